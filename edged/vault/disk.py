"""The disk as a port: every operation that makes something durable, so that a test can fail or stop at each.

Guarantee: a full disk comes out as FullError, every other refusal as StorageError; nothing is retried here.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edged.errors import FullError, StorageError


class Disk:
    """The real disk."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist, for writing, and give its descriptor."""
        with _wrapped(path):
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def write(self, fd: int, buffer: memoryview, path: Path) -> None:
        """Write the whole buffer at the descriptor's position."""
        with _wrapped(path):
            while buffer:
                buffer = buffer[os.write(fd, buffer) :]

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
