"""One card's mount, from its beginning to its end: what the server lets a lease do.

Guarantees: a card is mounted read-only until `writable`, and again after `read_only`; in between it is wholly
unmounted, so that all that was written is on the card and nothing of it is only in memory. A card whose file system
says that it was not closed in order, or is damaged, is never writable. `release` never waits for whoever still has a
file open. The mounter never looks into what a program serves: that could keep it waiting for ever.
"""

import errno
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edged.errors import EdgedError, RecorderError, RefusedRecorderError
from edged.mountd import kernel
from edged.mountd.condition import trouble
from edged.mountd.devices import BayDevice
from edged.mountd.exfat_fuse import Server, User
from edged.mountd.filesystems import KNOWN, mount_card

_log = logging.getLogger(__name__)

_BUSY_TRIES: Final = 20
_BUSY_SECONDS: Final = 0.1
_FLUSH_SECONDS: Final = 30.0
"""How long a program behind a file system may take to write back before it is ended."""


class Card:
    """A card in a bay that is, was, or is to be mounted at `folder`."""

    def __init__(self, device: BayDevice, folder: Path, *, owner: User, fuse_user: User | None) -> None:
        self.folder = folder
        self._device = device
        self._owner = owner
        self._fuse_user = fuse_user
        self._server: Server | None = None
        self.is_mounted = False
        """Whether it is, as far as the mounter had its way."""

    def mount(self) -> None:
        """Mount it read-only; raises RefusedRecorderError with the reason, RecorderError if it may pass."""
        name = ":".join(map(str, self._device.number))
        if taken := [each.folder for each in kernel.mounts() if each.number == name]:
            raise RefusedRecorderError(
                f"The card is mounted already, at {taken[0]}; something else on this machine mounts recorders.",
                hint="Switch the automounter off for this port, and dock the recorder again.",
            )
        if self._device.filesystem in KNOWN and (what := trouble(self._device.filesystem, self._device.read)):
            _log.warning("%s: %s It is only read.", self._device.node, what)
        self._mount(read_only=True)

    def writable(self) -> None:
        """Mount it to be written to.

        Raises RefusedRecorderError if its file system is not in order, RecorderError; it is read-only then, or not
        mounted any more (`is_mounted`).
        """
        if what := trouble(self._device.filesystem, self._device.read):
            raise RefusedRecorderError(
                f"{what} So nothing is written to it or erased from it.",
                hint="What it holds has been read. Have the recorder check or format its card.",
            )
        self._unmount()
        try:
            self._mount(read_only=False)
        except EdgedError:
            self._mount(read_only=True)
            raise

    def read_only(self) -> None:
        """Write back all that is in memory, and mount it read-only again; raises RecorderError."""
        self._unmount()
        self._mount(read_only=True)

    def forget(self) -> None:
        """Have the kernel drop what it remembers of the device, so that what is read next comes from the medium."""
        self._device.forget()

    def release(self) -> None:
        """Unmount it, lazily if files of it are open, and let go of the device."""
        try:
            self._unmount(tries=1)
            self._device.give_back()
        except RecorderError:
            # Busy, or gone. What is still open, and written back later, keeps the device as it is.
            if self.is_mounted:
                with suppress(OSError), self._patience():
                    kernel.unmount(self.folder, lazily=True)
        self._forget_server()
        with suppress(OSError):
            self.folder.rmdir()

    def _mount(self, *, read_only: bool) -> None:
        self._server = mount_card(
            self._device, self.folder, owner=self._owner, fuse_user=self._fuse_user, read_only=read_only
        )
        self.is_mounted = True

    def _unmount(self, *, tries: int = _BUSY_TRIES) -> None:
        """Unmount it, and wait until all of it is written back: then nobody has even a copy of the mount any more."""
        with self._patience():
            while not (self._is_off() and self._device.is_free()):
                tries -= 1
                if tries <= 0:
                    raise RecorderError("The card cannot be unmounted: something still uses it.")
                threading.Event().wait(_BUSY_SECONDS)
        self._forget_server()

    def _forget_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _is_off(self) -> bool:
        """Unmount it if nobody has a file open there; say whether it is unmounted."""
        if self.is_mounted:
            try:
                kernel.unmount(self.folder, lazily=False)
            except OSError as error:
                if error.errno == errno.EBUSY:
                    return False
                # EINVAL: somebody else unmounted it, who may.
                if error.errno != errno.EINVAL:
                    raise RecorderError(f"The card cannot be unmounted: {error.strerror}.") from error
            self.is_mounted = False
        return True

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Bound how long the program behind the file system may take to answer."""
        if self._server is None:
            yield
            return
        timer = threading.Timer(_FLUSH_SECONDS, self._server.end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
