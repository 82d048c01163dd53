"""The few system calls of mounting that Python does not have, and what the kernel says is mounted.

Everything here is given paths that the mounter made itself, below a folder that belongs to root alone.
"""

import ctypes
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_NOSYMFOLLOW: Final = 256
MS_NOATIME: Final = 1024

_MS_BIND: Final = 4096
_MS_SHARED: Final = 1 << 20
_MNT_DETACH: Final = 2
_UMOUNT_NOFOLLOW: Final = 8
_MOUNT_TABLE: Final = Path("/proc/self/mountinfo")
_OCTAL: Final = re.compile(rb"\\([0-7]{3})")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class Mounted:
    """One line of the kernel's mount table."""

    number: str
    """MAJOR:MINOR of what is mounted."""
    folder: Path
    type: str


def mount(source: Path, folder: Path, filesystem: str, flags: int, options: str) -> None:
    """Mount a device; raises OSError."""
    _check(
        _libc.mount(
            os.fsencode(source), os.fsencode(folder), filesystem.encode(), ctypes.c_ulong(flags), options.encode()
        )
    )


def share(folder: Path) -> None:
    """Have what is unmounted below a folder also go from every namespace that has a copy of it; raises OSError.

    Each sandbox that begins while a card is mounted gets such a copy (mount_namespaces(7), "Shared subtrees"), and a
    file system is written back, and can be mounted anew, only when the last one is gone.
    """
    mount(folder, folder, "none", _MS_BIND, "")
    mount(folder, folder, "none", _MS_SHARED, "")


def unmount(folder: Path, *, lazily: bool) -> None:
    """Unmount with umount2(2), at once, or as soon as nobody has a file open there; raises OSError."""
    _check(_libc.umount2(os.fsencode(folder), _UMOUNT_NOFOLLOW | (_MNT_DETACH if lazily else 0)))


def mounts() -> list[Mounted]:
    """Give what is mounted, in the order of mounting (proc_pid_mountinfo(5))."""
    found = []
    for line in _MOUNT_TABLE.read_bytes().splitlines():
        # Optional fields stand between the sixth and a hyphen.
        fields, _, rest = line.partition(b" - ")
        words = fields.split(b" ")
        found.append(
            Mounted(number=words[2].decode(), folder=Path(_path(words[4])), type=rest.split(b" ", 1)[0].decode())
        )
    return found


def _path(escaped: bytes) -> str:
    return os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), escaped))


def _check(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
