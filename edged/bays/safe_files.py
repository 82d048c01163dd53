"""Opening what a card holds, without ever leaving the card.

Guarantees, for a card that a stranger filled and may change while it is read (INV-8):
- the root is opened anew each time and must still be the very folder that was docked: another card under the same
  path is a `RecorderGoneError`, not another recorder's footage under the first one's name;
- each component of a path is opened relative to the folder before it, and none of them through a link;
- what is handed out is a regular file on the root's own file system, opened so that a pipe cannot block.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edged.errors import MalformedError, RecorderError
from edged.evidence.ids import unescape_path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

_NOT_A_FILE = {errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.ENODEV, errno.EISDIR}
"""What open(2) answers for a link, for a file in place of a folder, and for a socket or a device without driver."""

_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN}
"""What the top folder of a card answers that is unmounted, pulled out, or replaced by something else."""


class RecorderGoneError(RecorderError):
    """The folder that was docked is not there any more, or another one stands in its place."""


class FileGoneError(RecorderError):
    """The card is there, but nothing has this path on it any more."""

    retry = False


class NotAFileError(RecorderError):
    """The path leads through a link or to another file system, or ends at something that is no regular file."""

    retry = False


@dataclass(frozen=True, kw_only=True)
class Root:
    """The top folder of one docked card: where it lies, and which folder exactly that was at docking."""

    path: Path
    device: int
    inode: int
    descriptor: int | None = None
    """Of the folder itself, where that is all there is of it; `path` is for people then."""

    @classmethod
    def at(cls, path: Path) -> "Root":
        """Remember the folder that lies at `path` now; raises RecorderGoneError if there is none, RecorderError."""
        fd = _open_top(path)
        try:
            status = os.fstat(fd)
        finally:
            os.close(fd)
        return cls(path=path, device=status.st_dev, inode=status.st_ino)

    @classmethod
    def behind(cls, descriptor: int) -> "Root":
        """Remember the folder that is open as `descriptor`, which stays the caller's; `release` lets go of it."""
        held = os.open(".", _FOLDER, dir_fd=descriptor)
        status = os.fstat(held)
        return cls(path=Path(f"/proc/self/fd/{held}"), device=status.st_dev, inode=status.st_ino, descriptor=held)

    def release(self) -> None:
        """Let go of the descriptor, if there is one."""
        if self.descriptor is not None:
            os.close(self.descriptor)

    def check(self) -> None:
        """Raise RecorderGoneError (or RecorderError) unless the docked folder is still where it was."""
        os.close(self.open())

    def open(self) -> int:
        """Give a descriptor of the docked folder, to be closed by the caller; raises as `check` does."""
        fd = _open_top(self.path, self.descriptor)
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != (self.device, self.inode):
            os.close(fd)
            raise RecorderGoneError("Another card has taken the place of the recorder that was docked here.")
        return fd


def components(path: str) -> tuple[bytes, ...]:
    """Split a path as EVIDENCE.md section 2 writes it into the raw names on the card.

    Raises MalformedError for what cannot be the path of anything below a card's root.
    """
    names = tuple(unescape_path(path).split(b"/"))
    if any(name in {b"", b".", b".."} or b"\0" in name for name in names):
        raise MalformedError(f"{path!r} is not a path on a card.")
    return names


@contextmanager
def opened_folder(root: Root, names: Sequence[bytes]) -> Iterator[int]:
    """Hold a descriptor of the folder that lies below `root` under these raw names (none: the root itself).

    Raises RecorderGoneError, FileGoneError, NotAFileError, or RecorderError when the card cannot be read there.
    """
    with ExitStack() as held:
        fd = root.open()
        held.callback(os.close, fd)
        for name in names:
            fd = _open_below(root, fd, name, _FOLDER)
            held.callback(os.close, fd)
            if os.fstat(fd).st_dev != root.device:
                raise NotAFileError("A folder on the card belongs to another file system.")
        yield fd


def open_file(root: Root, path: str) -> int:
    """Open the regular file at `path` for reading; the caller closes the descriptor.

    Raises MalformedError for a path that cannot be; RecorderGoneError, FileGoneError or NotAFileError as they say;
    RecorderError when the card cannot be read there.
    """
    *folders, name = components(path)
    with opened_folder(root, folders) as parent:
        return open_in(root, parent, name)


def open_in(root: Root, parent: int, name: bytes) -> int:
    """Open the regular file `name` of the open folder `parent`; errors as for `open_file`."""
    fd = _open_below(root, parent, name, _FILE)
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_dev == root.device:
        return fd
    os.close(fd)
    raise NotAFileError("Where the card was said to hold a file there is something else.")


def read_start(root: Root, path: str, limit_bytes: int) -> bytes:
    """Read at most the first `limit_bytes` of a small file; errors as for `open_file`."""
    fd = open_file(root, path)
    try:
        with os.fdopen(fd, "rb") as file:
            return file.read(limit_bytes)
    except OSError as error:
        raise RecorderError(f"A file of the card cannot be read: {error.strerror}.") from error


def read_end(root: Root, path: str, limit_bytes: int) -> bytes:
    """Read at most the last `limit_bytes` of a file, as long as it is now; errors as for `open_file`."""
    fd = open_file(root, path)
    try:
        with os.fdopen(fd, "rb") as file:
            file.seek(max(0, os.fstat(fd).st_size - limit_bytes))
            return file.read(limit_bytes)
    except OSError as error:
        raise RecorderError(f"A file of the card cannot be read: {error.strerror}.") from error


def _open_top(path: Path, descriptor: int | None = None) -> int:
    try:
        return os.open(path, _FOLDER) if descriptor is None else os.open(".", _FOLDER, dir_fd=descriptor)
    except OSError as error:
        if error.errno in _GONE:
            raise RecorderGoneError(f"The recorder is not there any more: {error.strerror}.") from error
        raise RecorderError(f"The card cannot be opened: {error.strerror}.") from error


def _open_below(root: Root, parent: int, name: bytes, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=parent)
    except OSError as error:
        # A card that was pulled out answers every open with an error of its own: that comes first.
        root.check()
        if error.errno == errno.ENOENT:
            raise FileGoneError("Nothing has this path on the card any more.") from error
        if error.errno in _NOT_A_FILE:
            raise NotAFileError("The path leads through a link, or to something that is no file.") from error
        raise RecorderError(f"The card cannot be read here: {error.strerror}.") from error
