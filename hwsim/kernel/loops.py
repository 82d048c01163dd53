"""Loop devices of our own, which come and go as USB disks do (drivers/block/loop.c).

A loop device that is mounted cannot be taken away, but the disk behind it can: its length becomes 0, and from then on
every read and write of the device fails with EIO, as with a stick that was pulled. The device itself goes as soon as
nobody has it open any more.
"""

import ctypes
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from edged.errors import UnavailableError

_CONTROL: Final = Path("/dev/loop-control")
_FIRST: Final = 200
"""Numbers below are left to others on the machine."""
_LAST: Final = 455

_LOOP_CTL_ADD: Final = 0x4C80
_LOOP_CTL_REMOVE: Final = 0x4C81
_LOOP_CLR_FD: Final = 0x4C01
_LOOP_SET_STATUS64: Final = 0x4C04
_LOOP_GET_STATUS64: Final = 0x4C05
_LOOP_CONFIGURE: Final = 0x4C0A
_BLKPG: Final = 0x1269
_BLKPG_ADD_PARTITION: Final = 1

_INFO_BYTES: Final = 232
"""Of `struct loop_info64`: device, inode, rdevice, offset, sizelimit, …, flags at 52."""
_OFFSET_AT: Final = 24
_FLAGS_AT: Final = 52
_LO_FLAGS_READ_ONLY: Final = 1
_LO_FLAGS_PARTSCAN: Final = 8
_SECTOR: Final = 512


class Loop:
    """One loop device; it may be there or not."""

    def __init__(self, name: str) -> None:
        """Name it as the kernel does, `loop217`."""
        self.name = name
        self.node = Path("/dev") / name
        self.folder = Path("/sys/block") / name

    @property
    def number(self) -> str:
        """MAJOR:MINOR."""
        return (self.folder / "dev").read_text("ascii").strip()

    @property
    def exists(self) -> bool:
        """Whether the kernel has it."""
        return self.folder.is_dir()

    @property
    def partitions(self) -> list[Path]:
        """The folders in sysfs of its partitions."""
        return sorted(self.folder.glob(f"{self.name}p*"))

    def add(self) -> bool:
        """Make it, without a disk in it; False if there is one of this name. Raises UnavailableError."""
        try:
            _control(_LOOP_CTL_ADD, self._index)
        except FileExistsError:
            return False
        except OSError as error:
            raise UnavailableError(f"no loop device can be made: {error.strerror}", hint="It takes root.") from error
        return True

    def attach(self, image: Path) -> None:
        """Put a disk in it; raises UnavailableError."""
        try:
            with image.open("r+b") as file, self.node.open("r+b") as device:
                info = bytearray(_INFO_BYTES)
                struct.pack_into("=I", info, _FLAGS_AT, _LO_FLAGS_PARTSCAN)
                fcntl.ioctl(
                    device, _LOOP_CONFIGURE, struct.pack("=II", file.fileno(), _SECTOR) + bytes(info) + bytes(64)
                )
        except OSError as error:
            raise UnavailableError(f"{image} cannot be attached to {self.node}: {error.strerror}") from error

    @property
    def is_free(self) -> bool:
        """Whether no file system is on it any more, neither mounted nor on its way out after an unmount."""
        try:
            os.close(os.open(self.node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError:
            return False
        return True

    def divide(self, partitions: tuple[tuple[int, int], ...]) -> None:
        """Tell a kernel that does not read this kind of table itself the (start, length) in bytes of partitions."""
        with self.node.open("rb") as device:
            for number, (start, length) in enumerate(partitions, 1):
                if not (self.folder / f"{self.name}p{number}").exists():
                    _add_partition(device.fileno(), number, start, length)

    def vanish(self) -> None:
        """Pull it out, mounted and being read or not: `remove` is told, and whoever reads or writes gets EIO."""
        for folder in (*self.partitions, self.folder):
            with suppress(OSError):
                (folder / "uevent").write_text("remove", "ascii")
        with suppress(OSError):
            device = os.open(self.node, os.O_RDONLY | os.O_CLOEXEC)
            try:
                info = bytearray(_INFO_BYTES)
                fcntl.ioctl(device, _LOOP_GET_STATUS64, info)
                struct.pack_into("=Q", info, _OFFSET_AT, 1 << 62)
                fcntl.ioctl(device, _LOOP_SET_STATUS64, bytes(info))
            finally:
                # Gone when the last one who has it open closes it.
                with suppress(OSError):
                    fcntl.ioctl(device, _LOOP_CLR_FD, 0)
                os.close(device)

    def remove(self) -> bool:
        """Remove the device; False if somebody still has it open."""
        try:
            _control(_LOOP_CTL_REMOVE, self._index)
        except OSError:
            return not self.exists
        return True

    @property
    def _index(self) -> int:
        return int(self.name.removeprefix("loop"))


def candidates() -> list[Loop]:
    """Give the loop devices that may be ours, in the order in which they are tried."""
    return [Loop(f"loop{index}") for index in range(_FIRST, _LAST + 1)]


def _control(request: int, index: int) -> None:
    with _CONTROL.open("rb") as control:
        fcntl.ioctl(control, request, index)


def _add_partition(device: int, number: int, start: int, length: int) -> None:
    # struct blkpg_partition, padded to its 8 bytes; struct blkpg_ioctl_arg points to it.
    buffer = bytearray(struct.pack("=qqi64s64s4x", start, length, number, b"", b""))
    held = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    argument = struct.pack("=iiixxxxQ", _BLKPG_ADD_PARTITION, 0, len(buffer), ctypes.addressof(held))
    fcntl.ioctl(device, _BLKPG, argument)
