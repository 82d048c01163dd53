"""Whether a file system was closed in order, read from its own marks and never set right here.

Pure: bytes in, a sentence out. A card that was pulled out while it was written to, or whose battery ended, keeps the
mark until something repairs it; until then edged only reads it, because writing to a file system whose own
account of what is in use is wrong can destroy what lies beside.

Sources: Microsoft's exFAT specification, 3.1.13 (VolumeFlags); its FAT specification, 3.5 and 4 (FAT[1]), and the
kernel's `fs/fat/inode.c` (state byte); the kernel's documentation of ext4, "Super Block".
"""

import struct
from collections.abc import Callable
from typing import Final

Read = Callable[[int, int], bytes]
"""Gives bytes of the device: offset, length."""

_EXFAT_FLAGS: Final = 106
_EXFAT_DIRTY: Final = 0x2
_EXFAT_FAILED: Final = 0x4

_FAT32_STATE: Final = 65
_FAT16_STATE: Final = 37
_FAT_STATE_DIRTY: Final = 0x1
_FAT12_CLUSTERS: Final = 4085

_EXT_SUPER: Final = 1024
_EXT_MAGIC: Final = 0xEF53
_EXT_VALID: Final = 0x1
_EXT_ERRORS: Final = 0x2
_EXT_RECOVER: Final = 0x4

_NOT_CLOSED: Final = "The card's file system was not closed in order the last time it was written to."
_ERRORS: Final = "The card's file system is marked as damaged."
_CONTRADICTS: Final = "The card's file system does not begin as one of its kind does."


def trouble(filesystem: str, read: Read) -> str | None:
    """Say what the file system's marks say against writing to it; None if nothing does. Raises what `read` raises."""
    match filesystem:
        case "exfat":
            return _exfat(read(0, 512))
        case "vfat":
            return _fat(read(0, 512), read)
        case "ext4":
            return _ext4(read(_EXT_SUPER, 1024))
        case _:
            return _CONTRADICTS


def exfat_cluster_bytes(read: Read) -> int:
    """Give the size of a cluster as the boot sector states it; it may be nonsense."""
    start = read(0, 512)
    return 1 << min(start[108] + start[109], 40)


def _exfat(start: bytes) -> str | None:
    if start[3:11] != b"EXFAT   ":
        return _CONTRADICTS
    flags = struct.unpack_from("<H", start, _EXFAT_FLAGS)[0]
    if flags & _EXFAT_FAILED:
        return _ERRORS
    return _NOT_CLOSED if flags & _EXFAT_DIRTY else None


def _fat(start: bytes, read: Read) -> str | None:
    sector, per_cluster, reserved, fats, roots, sectors16 = struct.unpack_from("<HBHBHH", start, 11)
    fat16, sectors32, fat32 = (
        struct.unpack_from(form, start, at)[0] for form, at in (("<H", 22), ("<I", 32), ("<I", 36))
    )
    if sector not in {512, 1024, 2048, 4096} or not per_cluster or not reserved or not fats:
        return _CONTRADICTS
    if start[_FAT16_STATE if fat16 else _FAT32_STATE] & _FAT_STATE_DIRTY:
        return _NOT_CLOSED
    used = reserved + fats * (fat16 or fat32) + (roots * 32 + sector - 1) // sector
    if (sectors16 or sectors32) - used < _FAT12_CLUSTERS * per_cluster:
        # FAT12 has no marks in its table.
        return None
    # The second entry of the table; its highest bits are 1 for "closed in order" and for "no errors met".
    size, closed, sound = (2, 0x8000, 0x4000) if fat16 else (4, 0x0800_0000, 0x0400_0000)
    marks = int.from_bytes(read(reserved * sector + size, size), "little")
    if not marks & sound:
        return _ERRORS
    return None if marks & closed else _NOT_CLOSED


def _ext4(super_block: bytes) -> str | None:
    magic, state = struct.unpack_from("<HH", super_block, 56)
    incompatible = struct.unpack_from("<I", super_block, 96)[0]
    if magic != _EXT_MAGIC:
        return _CONTRADICTS
    if state & _EXT_ERRORS:
        return _ERRORS
    return _NOT_CLOSED if incompatible & _EXT_RECOVER or not state & _EXT_VALID else None
