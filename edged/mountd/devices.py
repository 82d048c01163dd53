"""Which device may be mounted: one that udev itself says is a bay's, held open so that it stays the one it was.

Guarantees: the client's word counts for nothing. The device number is looked up in udev's database; only the property
`EDGED_BAY`, which udev's rules set, makes it a bay's, and its value must be the number of the very medium that is in
the device now. While the descriptor is open the kernel gives the device's number to no other disk.
"""

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyudev

from edged.errors import RecorderError, RefusedRecorderError

BAY_PROPERTY: Final = "EDGED_BAY"
"""Set by udev's rules to the `diskseq` of the disk, for each disk and partition at a port that is a bay."""

_BLKROSET: Final = 0x125D
_BLKGETDISKSEQ: Final = 0x80081280
_HINT: Final = "See `edged doctor`: the udev rules of edged may be missing, or made for other ports."


@dataclass(frozen=True, kw_only=True)
class BayDevice:
    """A block device of a bay, held open for reading."""

    number: tuple[int, int]
    medium: int
    node: Path
    filesystem: str
    """Type, as udev found it; empty for none."""
    fd: int

    def protect(self, *, on: bool) -> None:
        """Have the kernel refuse every write to the device, or allow them again; raises RecorderError."""
        try:
            fcntl.ioctl(self.fd, _BLKROSET, struct.pack("=i", on))
        except OSError as error:
            raise RecorderError(f"The device cannot be write-protected: {error.strerror}.") from error

    def forget(self) -> None:
        """Drop the device's own pages from memory: a file system in user space reads through them."""
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def is_free(self) -> bool:
        """Say whether no file system is on it any more, neither mounted nor on its way out after an unmount.

        A file system holds its device exclusively until it is written back; raises RecorderError if the device is gone.
        """
        try:
            os.close(os.open(self.node, os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            raise RecorderError(f"The device cannot be opened: {error.strerror}.") from error
        return True

    def give_back(self) -> None:
        """Leave the device as udev made it; raises RecorderError."""
        os.fchown(self.fd, 0, -1)
        self.protect(on=False)

    def read(self, offset: int, length: int) -> bytes:
        """Read from the device itself; raises RecorderError if it does not give that much."""
        try:
            data = os.pread(self.fd, length, offset)
        except OSError as error:
            raise RecorderError(f"The card cannot be read: {error.strerror}.") from error
        if len(data) < length:
            raise RecorderError("The card ends before its file system does, or has left.")
        return data


@contextmanager
def bay_device(number: tuple[int, int], medium: int) -> Iterator[BayDevice]:
    """Hold a device of a bay open; raises RefusedRecorderError if it is none, RecorderError if it is gone."""
    found = _look_up(number)
    if found.properties.get(BAY_PROPERTY) != str(medium):
        raise RefusedRecorderError(
            f"Device {number[0]}:{number[1]} is not marked by udev as a bay's, or its card was changed.", hint=_HINT
        )
    node = Path(found.device_node or "")
    try:
        fd = os.open(node, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise RecorderError(f"The device {node} cannot be opened: {error.strerror}.") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISBLK(status.st_mode) or status.st_rdev != os.makedev(*number) or _medium(fd) != medium:
            raise RecorderError(f"The device {node} is not the one that was asked for any more.")
        yield BayDevice(
            number=number, medium=medium, node=node, filesystem=found.properties.get("ID_FS_TYPE", ""), fd=fd
        )
    finally:
        os.close(fd)


def _look_up(number: tuple[int, int]) -> pyudev.Device:
    try:
        found = pyudev.Devices.from_device_number(pyudev.Context(), "block", os.makedev(*number))
    except pyudev.DeviceNotFoundError as error:
        raise RecorderError(f"There is no block device {number[0]}:{number[1]} any more.") from error
    if not found.is_initialized:
        raise RecorderError(f"udev has not yet looked at device {number[0]}:{number[1]}.")
    return found


def _medium(fd: int) -> int:
    try:
        answer = fcntl.ioctl(fd, _BLKGETDISKSEQ, bytes(8))
    except OSError as error:
        raise RecorderError(
            f"The kernel, which must be 5.15 or newer, does not number its disks: {error.strerror}."
        ) from error
    return int(struct.unpack("=Q", answer)[0])
