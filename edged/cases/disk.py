"""The feed folder on a disk or a network share.

Whoever may write into the folder is not trusted with more than its content: links are not followed, pipes and
devices are not opened, and names never lead out of the folder.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edged.cases.folder import Found, Tray
from edged.errors import UnavailableError


class DiskFeed:
    """A `FeedPort` of a folder and its sub-folders `done` and `rejected`, which are made as needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def files(self) -> list[Found]:
        """Give the regular files lying directly in the folder."""
        with _wrapped(f"The case feed folder {self._folder} cannot be read"), os.scandir(self._folder) as entries:
            found = []
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # taken away since
                if stat.S_ISREG(status.st_mode):
                    found.append(_found(entry.name, status))
            return found

    def read(self, found: Found, at_most: int) -> bytes | None:
        """Give the first `at_most` bytes of a file; `None` if it is gone or no longer what was found."""
        path = self._folder / found.name
        with _wrapped(f"The case feed file {found.name!r} cannot be read"):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            with os.fdopen(fd, "rb") as file:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    return None
                data = file.read(at_most)
                # Still the same after reading: nobody was writing meanwhile.
                return data if _found(found.name, os.fstat(fd)) == found else None

    def put_note(self, tray: Tray, name: str, text: str) -> None:
        """Write a text into a tray; one of the same name is replaced."""
        with _wrapped(f"The note {name!r} cannot be written"):
            new = self._tray(tray) / f".{name}.new"
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
            new.replace(self._tray(tray) / name)

    def move(self, found: Found, tray: Tray, name: str) -> None:
        """Move a file into a tray under `name`; one of the same name is replaced."""
        with _wrapped(f"The case feed file {found.name!r} cannot be moved to {tray}"):
            (self._folder / found.name).replace(self._tray(tray) / name)

    def holds(self, tray: Tray, name: str) -> bool:
        """Say whether a tray has something of that name."""
        with _wrapped(f"The folder {tray} cannot be read"):
            return os.path.lexists(self._tray(tray) / name)

    def _tray(self, tray: Tray) -> Path:
        folder = self._folder / tray
        folder.mkdir(mode=0o750, exist_ok=True)
        if folder.is_symlink():
            raise NotADirectoryError(0, f"{tray} is a link", str(folder))
        return folder


def _found(name: str, status: os.stat_result) -> Found:
    return Found(name=name, size_bytes=status.st_size, modified_ns=status.st_mtime_ns, inode=status.st_ino)


@contextmanager
def _wrapped(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"{what}: {error.strerror or error}.",
            hint="The station must be able to read and write the feed folder and its sub-folders.",
        ) from error
