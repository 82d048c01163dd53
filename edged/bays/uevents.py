"""What udev tells of disks and USB devices: those that are there, and each change, once its rules have dealt with it.

Guarantees: the listening begins before the first list is taken, so that nothing is between the two. When the kernel's
queue ran over, and events are lost, that is said, and the list must be taken again. Waiting ends at once on `wake`.
"""

import selectors
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol

import pyudev

from edged.bays.volumes import KEYS
from edged.errors import UnavailableError

_QUEUE_BYTES: Final = 8 << 20


@dataclass(frozen=True, kw_only=True)
class Uevent:
    """One device at one moment."""

    action: str
    """`add`, `change`, `remove` …"""
    properties: Mapping[str, str]
    """Those of `volumes.KEYS` that it has."""
    sectors: int
    """Its length in units of 512 bytes; 0 without a medium."""


class Uevents(Protocol):
    """Where the source `udev` hears of devices."""

    def present(self) -> list[Uevent]:
        """Give all block devices and USB devices that there are."""

    def wait(self, seconds: float) -> list[Uevent] | None:
        """Give what happened, at once or within `seconds`; None if something was lost. Raises UnavailableError."""

    def wake(self) -> None:
        """End a `wait`, this one or the next; from any thread."""

    def close(self) -> None:
        """Listen no more."""


class UdevEvents:
    """The uevents of this machine's udev."""

    def __init__(self) -> None:
        """Begin to listen; raises UnavailableError if there is no udev."""
        self._context = pyudev.Context()
        try:
            self._monitor = pyudev.Monitor.from_netlink(self._context)
            self._monitor.filter_by("block")
            self._monitor.filter_by("usb", "usb_device")
            # Without the right to more, the kernel grants what it grants everybody.
            with suppress(OSError):
                self._monitor.set_receive_buffer_size(_QUEUE_BYTES)
            self._monitor.start()
        except OSError as error:
            raise UnavailableError(
                f"udev cannot be listened to: {error.strerror}.", hint="The source `udev` needs systemd-udevd."
            ) from error
        self._wake, self._waker = socket.socketpair()
        self._wake.settimeout(0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._monitor.fileno(), selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def present(self) -> list[Uevent]:
        """Give all block devices and USB devices that there are and that udev has looked at."""
        disks = self._context.list_devices(subsystem="block")
        recorders = self._context.list_devices(subsystem="usb", DEVTYPE="usb_device")
        return [_uevent(device, "add") for device in chain(recorders, disks) if _known(device)]

    def wait(self, seconds: float) -> list[Uevent] | None:
        """Give what happened, at once or within `seconds`; None if something was lost."""
        self._selector.select(seconds)
        with suppress(BlockingIOError):
            self._wake.recv(4096)
        found = []
        try:
            while (device := self._monitor.poll(0)) is not None:
                found.append(_uevent(device, device.action or ""))
        except OSError:
            # ENOBUFS: more came than was read.
            return None
        return found

    def wake(self) -> None:
        """End a `wait`, this one or the next."""
        self._waker.send(b"\n")

    def close(self) -> None:
        """Listen no more."""
        self._selector.close()
        self._wake.close()
        self._waker.close()


def _known(device: pyudev.Device) -> bool:
    return bool(device.is_initialized)


def _uevent(device: pyudev.Device, action: str) -> Uevent:
    properties = {}
    for key in KEYS:
        # A value that is not text is one that nothing here can use.
        with suppress(KeyError, UnicodeError):
            properties[key] = device.properties[key]
    sectors = 0
    with suppress(KeyError, ValueError, OSError):
        sectors = device.attributes.asint("size")
    return Uevent(action=action, properties=properties, sectors=sectors)
