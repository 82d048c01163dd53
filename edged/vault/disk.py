"""The disk as a port: every operation that makes something durable, so that a test can fail or stop at each.

Guarantee: a full disk comes out as FullError, every other refusal as StorageError; nothing is retried here.
"""

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edged.errors import FullError, StorageError

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECT_BYTES: Final = 4096
"""What O_DIRECT asks offsets, lengths and addresses to be multiples of, on any disk that is made today."""
_KEEP_SIZE: Final = 1
"""FALLOC_FL_KEEP_SIZE of fallocate(2): room for the file is taken, its length stays."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


class Disk:
    """The real disk."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist, for writing, and give its descriptor."""
        with _wrapped(path):
            return os.open(path, _NEW, 0o600)

    def create_large(self, path: Path, size_bytes: int) -> int:
        """Create a file that must not exist, for `write_at`, past the page cache where the file system grants that.

        Room for `size_bytes` is taken at once where it can be, so that a disk that is too full says so before hours
        of copying, and the file lies in one piece.
        """
        with _wrapped(path):
            fd = _open_direct(path, _NEW)
            try:
                _take_room(fd, size_bytes)
            except OSError:
                os.close(fd)
                path.unlink()
                raise
            return fd

    def open_large(self, path: Path, size_bytes: int) -> int:
        """Open a file that `create_large` made, to go on writing it; it may have been settled, and is not any more."""
        with _wrapped(path):
            path.chmod(0o600)
            fd = _open_direct(path, _OLD)
            try:
                _take_room(fd, size_bytes)
            except OSError:
                os.close(fd)
                raise
            return fd

    def open_to_append(self, path: Path) -> int:
        """Open a file of ours that grows by whole lines."""
        with _wrapped(path):
            return os.open(path, _OLD | os.O_APPEND)

    def write(self, fd: int, buffer: memoryview, path: Path) -> None:
        """Write the whole buffer at the descriptor's position."""
        with _wrapped(path):
            while buffer:
                buffer = buffer[os.write(fd, buffer) :]

    def write_at(self, fd: int, buffer: memoryview, offset: int, path: Path) -> None:
        """Write the whole buffer at an offset; one that is no multiple of 4096 bytes long has to be the last."""
        with _wrapped(path):
            even = len(buffer) - len(buffer) % _DIRECT_BYTES
            try:
                while even and offset % _DIRECT_BYTES == 0:
                    done = os.pwrite(fd, buffer[:even], offset)
                    buffer, offset, even = buffer[done:], offset + done, even - done
            except OSError as error:
                # EINVAL: this disk, or this memory, asks for more than pages.
                if error.errno != errno.EINVAL:
                    raise
            if buffer:
                fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_DIRECT)
            while buffer:
                done = os.pwrite(fd, buffer, offset)
                buffer, offset = buffer[done:], offset + done

    def cut(self, fd: int, size_bytes: int, path: Path) -> None:
        """Shorten a file of ours that has no final name yet, and give up the room behind its end."""
        with _wrapped(path):
            os.ftruncate(fd, size_bytes)

    def sync(self, fd: int, path: Path) -> None:
        """Make what was written durable."""
        with _wrapped(path):
            os.fsync(fd)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        with _wrapped(folder):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name, atomically, on the same file system."""
        with _wrapped(target):
            source.rename(target)

    def remove(self, path: Path) -> None:
        """Remove a file of ours that no row speaks of."""
        with _wrapped(path):
            path.unlink(missing_ok=True)

    def make_folders(self, folder: Path) -> None:
        """Make a folder and those above it, each durable in its parent."""
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            with _wrapped(each):
                each.mkdir(mode=0o750, exist_ok=True)
            try:
                self.sync_folder(each.parent)
            except StorageError:
                # A folder that is found there counts as durable the next time, so it must not be.
                with suppress(OSError):
                    each.rmdir()
                raise

    def free_bytes(self, folder: Path) -> int:
        """Give the bytes an unprivileged process may still use on the folder's file system."""
        with _wrapped(folder):
            found = os.statvfs(folder)
            return found.f_bavail * found.f_frsize


def _take_room(fd: int, size_bytes: int) -> None:
    """Take room for a file of a length, which it does not get by that; what a file system cannot do is left."""
    if size_bytes and _libc.fallocate(fd, _KEEP_SIZE, 0, size_bytes) != 0:
        number = ctypes.get_errno()
        if number in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise OSError(number, os.strerror(number))


def _open_direct(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_DIRECT, 0o600)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    # A file system in memory or in user space: the file was made all the same where it is asked for as a new one.
    return os.open(path, flags & ~os.O_EXCL, 0o600)


@contextmanager
def _wrapped(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise FullError(
                f"The disk under {path} is full; nothing was lost, intake waits.", hint="Free space on it."
            ) from error
        raise StorageError(f"The station's disk refuses at {path}: {error.strerror}.") from error
