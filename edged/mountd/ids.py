"""Whose the files of an ext4 card are: the daemon's, without changing one byte of it (an ID-mapped mount).

ext4 keeps the numbers of users of the recorder, which mean nobody here. The mount shows the owner of the card's top
folder, which is whoever the recorder writes as, as the daemon's user. Files of others keep only what everybody may do
with them. See mount_setattr(2).
"""

import ctypes
import errno
import os
import struct
import subprocess
from pathlib import Path
from typing import IO, Final

from edged.errors import RecorderError
from edged.mountd import kernel
from edged.mountd.exfat_fuse import User

_AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_OPEN_TREE_CLONE: Final = 1
_MOVE_MOUNT_F_EMPTY_PATH: Final = 4
_MOUNT_ATTR_IDMAP: Final = 0x0010_0000

_OPEN_TREE: Final = 428
_MOVE_MOUNT: Final = 429
_MOUNT_SETATTR: Final = 442
"""Numbers of system calls, which since 5.0 are the same on every architecture; C libraries know them only lately."""

_libc = ctypes.CDLL(None, use_errno=True)


def lend(folder: Path, owner: User) -> None:
    """Mount what is mounted at `folder` anew, with the owner of its top folder shown as `owner`.

    Raises RecorderError, and then nothing is mounted there any more.
    """
    try:
        status = folder.stat()
        tree = _call(_OPEN_TREE, _AT_FDCWD, os.fsencode(folder), _OPEN_TREE_CLONE | os.O_CLOEXEC)
        try:
            _show_as(tree, (status.st_uid, status.st_gid), owner)
            kernel.unmount(folder, lazily=True)
            _call(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(folder), _MOVE_MOUNT_F_EMPTY_PATH)
        finally:
            os.close(tree)
    except OSError as error:
        if any(each.folder == folder for each in kernel.mounts()):
            kernel.unmount(folder, lazily=True)
        raise RecorderError(f"The card cannot be mounted for the daemon's user: {error.strerror}.") from error


def _show_as(tree: int, kept: tuple[int, int], owner: User) -> None:
    """Map the numbers kept on the card to those of `owner`."""
    # A user namespace exists as long as a process is in it, or somebody holds it open.
    with subprocess.Popen(
        ["/usr/bin/unshare", "--user", "/usr/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}
    ) as inside:
        if inside.stdin is None or inside.stdout is None or not _is_running(inside.stdin, inside.stdout):
            raise OSError(errno.EPERM, "no user namespace can be made")
        for name, shown, held in (("uid_map", owner.uid, kept[0]), ("gid_map", owner.gid, kept[1])):
            Path(f"/proc/{inside.pid}/{name}").write_text(f"{held} {shown} 1\n", "ascii")
        namespace = os.open(f"/proc/{inside.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        try:
            wanted = struct.pack("=QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, namespace)
            _call(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, wanted, len(wanted))
        finally:
            os.close(namespace)


def _is_running(to: IO[bytes], back: IO[bytes]) -> bool:
    """Have the child repeat a byte: then it is in its namespace."""
    to.write(b"\n")
    to.flush()
    return back.read(1) == b"\n"


def _call(number: int, *arguments: int | bytes) -> int:
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    answer = int(_libc.syscall(ctypes.c_long(number), *words))
    if answer < 0:
        wrong = ctypes.get_errno()
        raise OSError(wrong, os.strerror(wrong))
    return answer
