"""Erasing from a card, one cleared file at a time, and looking up what became of it.

Guarantees (INV-1, INV-3): a name is removed only after the whole content under it was read and is the expected one
(read again, unless nobody could have changed it since), and only while it stands for the very file that was read; then
its folder is made durable and the outcome looked up. A file that differs is not touched. This part does not know
clearance: its caller has written that before.
"""

import errno
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import Final, Literal

from edged.bays.inventory import take_inventory
from edged.bays.profiles import Profile
from edged.bays.safe_files import FileGoneError, RecorderGoneError, Root, components, open_in, opened_folder
from edged.errors import RecorderError, StoppedError
from edged.evidence.ids import Sha256

Outcome = Literal["gone", "present", "unknown"]
"""`outcome` of a `wipe` entry. `unknown`: the card gave no answer, or the path leads elsewhere than it did."""

_BUFFER_BYTES: Final = 1_048_576

_log = logging.getLogger(__name__)


class DifferentError(RecorderError):
    """A file is not the one that was cleared: its content differs, or changed under the comparison. It stays."""

    retry = False


class NotErasedError(RecorderError):
    """A file is the one that was cleared, but its file system does not remove it. It stays, as far as that says so."""

    retry = False

    def __init__(self, message: str, *, read_only: bool) -> None:
        """`read_only`: nothing else can be erased from this card either."""
        super().__init__(message, hint="Have the recorder check or format its card, after its files were sealed.")
        self.read_only = read_only


def wipe_order(paths: Iterable[str], profile: Profile) -> list[str]:
    """Sort cleared paths so that the card stays recognisable to the last: strange names first, the id file last."""
    return sorted(paths, key=lambda path: (profile.names_itself_by(path), profile.match(path) is not None, path))


def erase(  # noqa: PLR0913 - which file, what it must be, and who is told
    root: Root,
    path: str,
    expected: Sha256,
    stop: threading.Event,
    *,
    unchanged: tuple[int, int] | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Erase one cleared file and say what became of it; a file that is gone already is `gone`.

    `unchanged` is given for a file on a card that stayed mounted read-only since all of it was read as `expected`:
    its length and time of last change then, which it must still have; it is not read another time. `on_bytes` is told
    the size of every buffer that is.

    Raises DifferentError, NotAFileError, RecorderGoneError or RecorderError with the card unchanged, and
    StoppedError likewise. When the file system was told to remove the name and did not, NotErasedError: what is true
    then, the card has to be asked. After the name was removed nothing is raised any more.
    """
    *folders, name = components(path)
    try:
        with opened_folder(root, folders) as parent:
            if unchanged is None:
                _compare(root, parent, name, expected, stop, on_bytes)
            else:
                _compare_state(root, parent, name, unchanged)
            if not _remove(parent, name):
                return "unknown"
    except FileGoneError:
        pass
    return look_up(root, path)


def look_up(root: Root, path: str) -> Outcome:
    """Say whether anything has this path on the card; never raises for what the card answers."""
    *folders, name = components(path)
    try:
        with opened_folder(root, folders) as parent:
            os.stat(name, dir_fd=parent, follow_symlinks=False)
    except (FileGoneError, FileNotFoundError):
        return "gone"
    except (RecorderError, OSError):
        return "unknown"
    return "present"


def tidy(root: Root, profile: Profile, stop: threading.Event) -> tuple[str, ...]:
    """Remove the empty folders of a wiped card, if its profile says so, and give their paths.

    The root stays. A folder that cannot be removed stays. Errors are those of `take_inventory`.
    """
    if not profile.remove_empty_folders:
        return ()
    removed = []
    # Sorted by path, a folder stands before what it holds: backwards, the innermost come first.
    for item in reversed(take_inventory(root, stop).items):
        if item.kind != "folder":
            continue
        *folders, name = components(item.path)
        try:
            with opened_folder(root, folders) as parent:
                os.rmdir(name, dir_fd=parent)
        except RecorderGoneError:
            raise
        except (RecorderError, OSError):
            continue
        removed.append(item.path)
    return tuple(removed)


def _compare_state(root: Root, parent: int, name: bytes, expected: tuple[int, int]) -> None:
    """Raise unless the file under `name` has the length and time of last change that it had."""
    fd = open_in(root, parent, name)
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    if (status.st_size, status.st_mtime_ns) != expected:
        raise DifferentError("A file on the card is not the one that was cleared; it stays there.")


def _compare(  # noqa: PLR0913, PLR0917 - which file, what it must be, and who is told
    root: Root,
    parent: int,
    name: bytes,
    expected: Sha256,
    stop: threading.Event,
    on_bytes: Callable[[int], None],
) -> None:
    """Read the whole file under `name`; raise unless it is the expected one and still stands under that name."""
    fd = open_in(root, parent, name)
    try:
        before = os.fstat(fd)
        # From the card itself, as far as the kernel grants it, and not from what the copying left in memory.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        digest = hashlib.sha256()
        left = before.st_size
        # No further than it was long: a file that somebody appends to has no end.
        while left > 0 and (buffer := os.read(fd, min(left, _BUFFER_BYTES))):
            if stop.is_set():
                raise StoppedError("Erasing was interrupted by a shutdown before anything was removed.")
            digest.update(buffer)
            left -= len(buffer)
            on_bytes(len(buffer))
        after = os.fstat(fd)
        named = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError as error:
        raise FileGoneError("The file left the card while it was compared.") from error
    except OSError as error:
        raise RecorderError(f"A cleared file cannot be read again: {error.strerror}.") from error
    finally:
        os.close(fd)
    if digest.hexdigest() != expected:
        raise DifferentError("A file on the card is not the one that was cleared; it stays there.")
    if _identity(before) != _identity(after) or _identity(after) != _identity(named):
        raise DifferentError("A file on the card changed while it was compared; it stays there.")


def _remove(parent: int, name: bytes) -> bool:
    """Remove the name and make that durable; False if the card did not confirm a removal that it made."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError as error:
        _log.warning("a cleared file could not be erased: %s", error.strerror)
        raise NotErasedError(
            f"The card does not let a cleared file be erased: {error.strerror}.", read_only=error.errno == errno.EROFS
        ) from error
    try:
        os.fsync(parent)
    except OSError as error:
        # EINVAL: a file system without fsync of folders. Any other error: the name may come back after a power cut.
        _log.warning("an erased name may not be durably gone: %s", error.strerror)
        return error.errno == errno.EINVAL
    return True


def _identity(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
