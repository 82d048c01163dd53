"""The folder of a directory store: that it is the right one, what may be named in it, and what its errors mean.

Guarantees: nothing is read or written unless the folder holds the marker of this very store, so that the empty
mount point of a NAS that is gone is never taken for the NAS; a folder that was opened stays the same one until the
operation is over, whatever is mounted over it meanwhile; what the file system refuses comes out as an error of a
store, in plain words, and never as one of the station's own disk.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.clock import random_hex
from edged.errors import EdgedError, MalformedError, StorageError, StoreError, UnavailableError
from edged.evidence import canonical
from edged.evidence.ids import StoreId
from edged.vault.disk import Disk
from edged.vault.durable import keep
from edged.vault.reread import NoProofError

MARKER: Final = "edged-store.json"
"""Says whose folder it is. Where it is missing, the folder is taken for a mount point with nothing mounted."""

INCOMING: Final = "incoming"
"""Files that are being written, under random names; nobody was told of any of them."""

MORE: Final = "~"
"""Behind the last part of a key: the folder of its versions, which therefore is in no key."""

_LONGEST_KEY_BYTES: Final = 1024
_LONGEST_NAME_BYTES: Final = 255 - len(MORE)
"""What file systems take, less the mark of versions."""

_OWN: Final = frozenset({MARKER, INCOMING})
_OTHERS_MAY_WRITE: Final = 0o022

_GONE: Final = frozenset(
    {
        errno.ECONNABORTED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENODEV,
        errno.ENOLINK,
        errno.ENOTCONN,
        errno.ENXIO,
        errno.EREMOTEIO,
        errno.ESHUTDOWN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""What a network file system, or a disk that was pulled, answers when its far end is gone."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM})
_CANNOT: Final = frozenset({errno.EINVAL, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV})

_CAN: Final = "NFS can, and local disks with ext4, xfs or btrfs."


@dataclass(frozen=True, kw_only=True)
class DirectorySettings:
    """Where a directory store is."""

    id: StoreId
    folder: Path
    """Absolute. For a NAS, the place where it is mounted; give NFS the option `softerr`, so that a server that went
    away is an error and not a wait without end."""


class Share:
    """The folder of one store."""

    def __init__(self, settings: DirectorySettings, disk: Disk) -> None:
        self._settings = settings
        self._disk = disk

    @property
    def name(self) -> str:
        """The store as its errors call it."""
        return f"Store {self._settings.id} at {self._settings.folder}"

    @contextmanager
    def opened(self, doing: str) -> Iterator[Path]:
        """Hold the folder open, under a path that leads to it alone; `doing` completes "does not allow to …".

        Raises UnavailableError when the folder or its marker is not there, StoreError for another store's marker
        and for what the file system refuses inside.
        """
        with self.trying(doing), self._held() as root:
            self._check_marker(root)
            yield root

    @contextmanager
    def trying(self, doing: str) -> Iterator[None]:
        """Turn what the file system raises inside into an EdgedError of a store."""
        try:
            yield
        except OSError as error:
            raise self._said(doing, error) from error
        except NoProofError as error:
            raise StoreError(
                f"{self.name} lies on a file system where reading a file back proves nothing.", hint=_CAN
            ) from error
        except StorageError as error:  # of `Disk`, which speaks of the station's own
            if isinstance(error.__cause__, OSError):
                raise self._said(doing, error.__cause__) from error
            raise StoreError(f"{self.name} failed to {doing}: {error.message}") from error

    def temporary(self, root: Path) -> Path:
        """Give a name for a file to be written."""
        return root / INCOMING / random_hex(32)

    def set_up(self) -> None:
        """Write the marker, unless it is there; raises UnavailableError when there is no such folder."""
        with self.trying("be set up"), self._held() as root:
            self._disk.make_folders(root / INCOMING)
            if not (root / MARKER).exists():
                data = canonical.encode({"v": 1, "store": self._settings.id}) + b"\n"
                keep(self._disk, root / MARKER, [data], temporary=self.temporary(root))
            self._check_marker(root)

    def check_modes(self, root: Path) -> None:
        """Raise StoreError if others than the daemon's user may write in the folder."""
        if root.stat().st_mode & _OTHERS_MAY_WRITE:
            raise StoreError(
                f"In {self.name}, others than its owner may write: they could delete or replace what is stored.",
                hint=f"`chmod go-w {self._settings.folder}`, or correct the options it is mounted with.",
            )

    @contextmanager
    def _held(self) -> Iterator[Path]:
        try:
            fd = os.open(self._settings.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise UnavailableError(
                f"{self.name}: there is no such folder.", hint="Mount it, or correct `folder`."
            ) from error
        try:
            yield Path(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)

    def _check_marker(self, root: Path) -> None:
        try:
            data = (root / MARKER).read_bytes()
        except FileNotFoundError as error:
            raise UnavailableError(
                f"{self.name} has no {MARKER} in it: either nothing is mounted there, or it was never set up. "
                "Nothing is written.",
                hint="Mount it. If it is mounted and really is a new store, set it up: `edged store set-up`.",
            ) from error
        try:
            marker = canonical.decode(data)
        except MalformedError as error:
            raise StoreError(f"The file {MARKER} of {self.name} cannot be read: {error.message}.") from error
        if marker != {"v": 1, "store": self._settings.id}:
            raise StoreError(
                f"{self.name} is the folder of another store, or of a later version: {MARKER} says so.",
                hint="Correct `folder`, or `id`.",
            )

    def _said(self, doing: str, error: OSError) -> EdgedError:
        """Say in plain words what an error of the file system means."""
        if error.errno in _GONE:
            return UnavailableError(
                f"{self.name} is gone or does not answer, in trying to {doing}: {error.strerror}.",
                hint="It is tried again. Check the network, the server, and the mount.",
            )
        if error.errno in _FULL:
            return UnavailableError(
                f"{self.name} is full and cannot {doing}; nothing that it holds was touched.",
                hint="Make room on it, or raise its quota; storing goes on by itself.",
            )
        if error.errno in _CANNOT:
            return StoreError(
                f"{self.name} lies on a file system that cannot do all that it takes to {doing}: {error.strerror}.",
                hint=f"It must have hard links, permissions, and folders that can be made durable. {_CAN}",
            )
        if error.errno == errno.EROFS:
            return StoreError(
                f"{self.name} does not allow to {doing}: it is read-only.",
                hint="Is it mounted so, or did its file system stop writing after an error? See the kernel's log.",
            )
        if error.errno in _REFUSED:
            return StoreError(
                f"{self.name} does not allow to {doing}: {error.strerror}.",
                hint="The folder and all in it must belong to the daemon's user, who must be able to write there.",
            )
        return StoreError(f"{self.name} failed to {doing}: {error.strerror or error}.")


def check_key(key: str) -> None:
    """Raise StoreError for a key that could lead out of the folder, into its own files, or to an impossible name."""
    parts = key.split("/")
    if not key.isprintable():  # NUL and other control characters, and what is no Unicode text
        raise StoreError(f"{key!r} is no key: it has characters that cannot be printed.")
    if any(part in {"", ".", ".."} for part in parts):
        raise StoreError(f"{key!r} is no key: each part between the slashes must be a plain name.")
    if parts[0] in _OWN or any(part.endswith(MORE) for part in parts):
        raise StoreError(f"{key!r} is no key: the store keeps that name for itself.")
    if len(key.encode()) > _LONGEST_KEY_BYTES or max(len(part.encode()) for part in parts) > _LONGEST_NAME_BYTES:
        raise StoreError(
            f"{key[:40]!r}… is no key: it has more than {_LONGEST_KEY_BYTES} bytes, or a part of it more than "
            f"{_LONGEST_NAME_BYTES}."
        )
