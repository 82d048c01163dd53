"""The files of a directory store: how one gets its final name, which version it is, and how long it is to stay.

Guarantees: no file under a final name is ever replaced by another (`ShareDisk.rename` fails instead), also when two
stations store to one key in the same moment. Only the plain name of a key moves on, to the newest version of it.
"""

import errno
import os
import stat
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from edged.clock import from_ms
from edged.errors import StoreError
from edged.stores.share import MORE
from edged.vault.disk import Disk
from edged.vault.durable import Draft

_SECOND_NS: Final = 10**9


class ShareDisk(Disk):
    """The disk of a store that several stations may share; what its own methods raise is the bare OSError."""

    def rename(self, source: Path, target: Path) -> None:
        """Give a file its final name; raises FileExistsError where there is one of that name.

        By link(2), as rename(2) would silently replace what another station stored in the same moment.
        """
        os.link(source, target, follow_symlinks=False)
        source.unlink()

    def point(self, name: Path, version: Path, *, temporary: Path) -> None:
        """Let a plain name stand for a version, durably, whatever it stood for before."""
        os.link(version, temporary, follow_symlinks=False)
        temporary.rename(name)
        self.sync_folder(name.parent)
        temporary.unlink(missing_ok=True)  # rename(2) leaves it when both were one file already

    def reopen(self, path: Path, size_bytes: int) -> int:
        """Open a file that has no final name yet, to be written behind its first `size_bytes`; the rest is dropped."""
        path.chmod(0o600)
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        os.ftruncate(fd, size_bytes)
        os.lseek(fd, size_bytes, os.SEEK_SET)
        return fd

    def note_lock(self, path: Path, until: datetime) -> datetime | None:
        """Note durably until when a file is not to be deleted, and give what is noted then; never an earlier time.

        The access time holds the note, rounded up to whole seconds; see `noted_lock`.
        """
        due_ns = -(-(until - from_ms(0)) // timedelta(seconds=1)) * _SECOND_NS
        fd = open_file(path)
        try:
            noted = noted_lock(os.fstat(fd))
            if noted is None or noted < from_ms(due_ns // 1_000_000):
                os.utime(fd, ns=(due_ns, os.fstat(fd).st_mtime_ns))
                self.sync(fd, path)
                noted = noted_lock(os.fstat(fd))
            return noted
        finally:
            os.close(fd)


class ContinuedDraft(Draft):
    """A draft that can go on where an earlier call left it, and can be left once more."""

    def __init__(self, disk: ShareDisk, temporary: Path, *, size_bytes: int | None = None) -> None:
        """Go on behind the first `size_bytes` of `temporary`; None for a new file."""
        if size_bytes is None:
            super().__init__(disk, temporary)
        else:
            self._disk = disk
            self.temporary = temporary
            self._fd = disk.reopen(temporary, size_bytes)
            self._written = size_bytes

    def leave(self) -> None:
        """Let go of the file, and leave what is in it for another call."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Names:
    """The names of one key: the plain one, which is the newest version, and those of its versions, by number."""

    def __init__(self, root: Path, key: str) -> None:
        self.plain = root / key
        self.folder = root / f"{key}{MORE}"

    def version(self, number: int) -> Path:
        """Give the name of a version that has a number of its own."""
        return self.folder / str(number)

    def path(self, number: int) -> Path:
        """Give the name under which a version lies."""
        return self.version(number) if self.last() else self.plain

    def last(self) -> int:
        """Give the highest number; 0 where the plain name is the only one. Numbers have no gap: few looks find it."""
        if not self.version(1).exists():
            return 0
        low = 1
        while self.version(2 * low).exists():
            low *= 2
        high = 2 * low
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.version(middle).exists() else (low, middle)
        return low

    def open(self, number: int) -> int:
        """Open a version for reading; raises FileNotFoundError, StoreError where something else is there."""
        if number == 1:
            # In this order: if there are no numbers even after it was opened, the plain name is version 1.
            with suppress(FileNotFoundError), ExitStack() as opened:
                fd = open_file(self.plain)
                opened.callback(os.close, fd)
                if self.last() == 0:
                    opened.pop_all()
                    return fd
        return open_file(self.version(number))

    def add(self, draft: Draft, disk: ShareDisk, *, temporary: Path) -> int:
        """Make a settled draft the newest version, durably, and give its number; `temporary` is a name to use."""
        number = self.last()
        if number == 0:
            with suppress(FileExistsError):
                draft.rename(self.plain)
                return 1
            # The first version gets its number before its plain name goes to another one.
            number = 1
            disk.make_folders(self.folder)
            with suppress(FileExistsError):
                os.link(self.plain, self.version(1), follow_symlinks=False)
        while True:
            number += 1
            with suppress(FileExistsError):
                draft.rename(self.version(number))
                break
        disk.point(self.plain, self.version(number), temporary=temporary)
        return number


def open_file(path: Path) -> int:
    """Open a file for reading; raises FileNotFoundError, StoreError for a link, a folder or anything else there."""
    no_file = StoreError(f"{path.name} in the folder of the store is no file.", hint="Look at it by hand.")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise no_file from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise no_file
    return fd


def noted_lock(held: os.stat_result) -> datetime | None:
    """Read the note of a lock: an access time in whole seconds beyond the last change of the file, links included.

    Reading alone does not make such a time; and file systems that keep access times as usual (relatime) leave one
    that lies ahead as it is.
    """
    if held.st_atime_ns % _SECOND_NS or held.st_atime_ns <= held.st_ctime_ns:
        return None
    return from_ms(held.st_atime_ns // 1_000_000)
