"""A real ext4 on a disk that loses power: the station's disk in the crash tests.

    ext4  ─▶  loop device  ─▶  the one file of a FUSE  ─▶  volatile write cache  ─▶  an image

ext4, its journal, O_DIRECT and SQLite are the real ones; only the disk below them forgets. It takes root and e2fsprogs.
When the power goes, the disk is not written any more from that very operation on, and whoever asks for durability gets
an error; so nothing that happens outside afterwards rests on a promise that the disk broke.
"""

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Final, Self

from edged.errors import ToolError
from hwsim.faults import DISK
from hwsim.faults.control import Process
from hwsim.faults.control import missing as fuse_missing
from hwsim.faults.write_cache import Way

_MIB: Final = 1 << 20
_TRIES: Final = 200
_PATH: Final = f"/usr/sbin:/sbin:{os.defpath}"


def missing() -> str:
    """Say what this machine lacks for such a disk; nothing if it lacks nothing."""
    if os.geteuid() != 0:
        return "a disk of one's own takes root"
    if not Path("/dev/loop-control").exists():
        return "the kernel has no loop devices"
    if shutil.which("mkfs.ext4", path=_PATH) is None:
        return "not installed: e2fsprogs"
    return fuse_missing()


class LossyDisk:
    """One disk and the ext4 on it, mounted at `root`; a context manager."""

    def __init__(self, folder: Path, *, size_bytes: int = 256 * _MIB) -> None:
        """Keep everything in `folder`, which is made."""
        self._folder = folder
        self._size_bytes = size_bytes
        self._image = folder / "image"
        self.root = folder / "root"
        """Where the file system is."""
        self._process = Process("disk", self._image, folder / "below")

    def __enter__(self) -> Self:
        self.make()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def make(self) -> None:
        """Make the file system, empty, and mount it; raises ToolError."""
        if lacks := missing():
            raise ToolError(f"no disk can be made: {lacks}")
        self.root.mkdir(parents=True)
        self._image.touch()
        os.truncate(self._image, self._size_bytes)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self._image))
        self._process.start()
        try:
            self._mount()
        except ToolError:
            self.close()
            raise

    def close(self) -> None:
        """Unmount everything."""
        self._unmount()
        self._process.stop()

    def cut(self, *, after: int = 0) -> None:
        """Take the power away, now or once the disk was written to or flushed so many times more.

        Processes that have files open there go on with errors: whoever cuts kills them.
        """
        self._process.tell(do="cut", after=after)

    @property
    def has_power(self) -> bool:
        """Whether it was not cut yet."""
        return bool(self._process.tell(do="state")["power"])

    @property
    def operations(self) -> int:
        """How many times it was written to or flushed."""
        return int(self._process.tell(do="state")["operations"])

    @property
    def pending(self) -> int:
        """How many writes no flush has followed yet."""
        return int(self._process.tell(do="state")["pending"])

    def restart(self, way: Way, seed: int) -> None:
        """Have the machine start again after `cut`, with nothing running that has files open here; raises ToolError.

        ext4 replays its journal. What of the unflushed writes is on the disk is chosen by `way` and `seed`.
        """
        self._unmount()
        self._process.tell(do="restore", way=way, seed=seed)
        self._mount()

    def check(self) -> str:
        """Unmount, let e2fsck look at all of it, mount again; gives what it complains of."""
        self._unmount()
        self._process.tell(do="restore", way="everything", seed=0)
        done = _try("e2fsck", "-f", "-n", str(self._image))
        self._mount()
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def _mount(self) -> None:
        disk = self._folder / "below" / DISK.format(self._process.tell(do="state")["life"])
        _run("mount", "-o", "loop,noatime", "-t", "ext4", str(disk), str(self.root))

    def _unmount(self) -> None:
        pause = threading.Event()
        for left in reversed(range(_TRIES)):
            if not self.root.is_mount():
                break
            done = _try("umount", str(self.root))
            if done.returncode and not left:
                _try("umount", "--lazy", str(self.root))
                raise ToolError(f"{self.root} cannot be unmounted: {done.stderr.strip()}")
            if done.returncode:
                pause.wait(0.05)


def _try(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": _PATH})


def _run(*command: str) -> None:
    done = _try(*command)
    if done.returncode:
        raise ToolError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")
