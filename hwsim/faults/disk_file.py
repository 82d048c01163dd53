"""The one file of a file system, behind which lies a disk with a volatile write cache.

After a power cut it has another name: whoever still holds the old one (a mount that a copy of it in another namespace
keeps alive, a kernel thread that writes back) gets errors for ever, and nothing of it reaches the disk.
"""

import errno
import os
import stat
import threading
from typing import Any

from mfusepy import Operations

from hwsim.faults import DISK
from hwsim.faults.write_cache import WAYS, NoPowerError, WriteCache


class DiskFile(Operations):  # type: ignore[misc] # the library says nothing of its types
    """What the kernel asks of the file; its fsync is the disk's flush."""

    use_ns = True

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._cache = WriteCache(fd)
        self._life = 0
        self._lock = threading.Lock()

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command of `LossyDisk`."""
        with self._lock:
            match command["do"]:
                case "cut":
                    self._cache.cut(after=int(command["after"]))
                case "restore":
                    way = next(each for each in WAYS if each == command["way"])
                    self._cache.restore(way, int(command["seed"]))
                    self._life += 1
                case _:
                    pass
            cache = self._cache
            return {
                "power": cache.has_power,
                "operations": cache.operations,
                "pending": cache.pending,
                "life": self._life,
            }

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Give the status of the file, or of the folder that it is in."""
        del fh
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path not in {f"/{DISK.format(life)}" for life in range(self._life + 1)}:
            raise OSError(errno.ENOENT, path)
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": os.fstat(self._fd).st_size}

    def readdir(self, path: str, fh: int) -> list[str]:
        """List the folder."""
        del path, fh
        return [".", "..", DISK.format(self._life)]

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Refuse: a disk has the size it has."""
        del path, length, fh
        raise OSError(errno.EPERM, "a disk does not change its size")

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read."""
        del fh
        with self._lock:
            self._check(path)
            return self._cache.read(offset, size)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write into the cache; EIO once the power is gone."""
        del fh
        with self._lock:
            self._check(path)
            try:
                self._cache.write(offset, data)
            except NoPowerError as error:
                raise OSError(errno.EIO, "no power") from error
        return len(data)

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        """Flush; EIO once the power is gone."""
        del datasync, fh
        with self._lock:
            self._check(path)
            try:
                self._cache.flush()
            except NoPowerError as error:
                raise OSError(errno.EIO, "no power") from error
        return 0

    def _check(self, path: str) -> None:
        if path != f"/{DISK.format(self._life)}":
            raise OSError(errno.EIO, "no power since")
