"""A folder of cards, passed through but for what is wrong with each: the first two parts of a path name a card.

    bays/NAME/…     a docked card
    shelf/NAME/…    the same one, not docked

A card that is pulled out by its fault moves from `bays` to `shelf` by itself; whatever was open on it fails from then
on, as on a stick that was pulled, and paths lead nowhere.
"""

import errno
import os
import threading
from pathlib import Path
from typing import Any, Final

from mfusepy import Operations

from hwsim.faults import BAYS, SHELF
from hwsim.faults.card_faults import BadSpotError, Sick, from_plain

_STATUS: Final = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
_ROOM: Final = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail", "f_namemax")
_CARD_DEPTH: Final = 2


class CardFiles(Operations):  # type: ignore[misc] # the library says nothing of its types
    """What the kernel asks of the cards below `backing`."""

    use_ns = True

    def __init__(self, backing: Path) -> None:
        self._backing = backing
        self._lock = threading.Lock()
        self._sick: dict[str, Sick] = {}
        self._visits: dict[str, int] = {}
        """How often each card was pulled out; what was opened before fails."""
        self._opened: dict[int, tuple[str, int]] = {}
        self._pulled: list[str] = []

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command of `CardMount`."""
        with self._lock:
            match command["do"]:
                case "faults":
                    self._sick[command["card"]] = Sick(from_plain(command["faults"]))
                case "heal":
                    self._sick.pop(command["card"], None)
                case "pull":
                    self._pull(command["card"])
                case _:
                    pass
            return {"pulled": list(self._pulled)}

    # ------------------------------------------------------------------------------------------- reading

    def open(self, path: str, flags: int) -> int:
        """Open a file; O_DIRECT is the kernel's business alone."""
        fd = os.open(self._at(path), (flags & ~os.O_DIRECT) | os.O_CLOEXEC)
        with self._lock:
            card = _card(path)
            self._opened[fd] = (card, self._visits.get(card, 0))
        return fd

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read as the card's faults allow: EIO, other bytes than were written, late, or not at all."""
        card, inside = _card(path), _inside(path)
        with self._lock:
            self._check_there(fh)
            sick = self._sick.get(card)
            try:
                verdict = None if sick is None else sick.meet(inside, offset, size)
            except BadSpotError as error:
                raise OSError(errno.EIO, path) from error
            if verdict is not None and verdict.pulled:
                self._pull(card)
                self._check_there(fh)
        data = os.pread(fh, size if verdict is None else verdict.size, offset)
        if sick is None or verdict is None:
            return data
        speed = sick.faults.bytes_per_second
        threading.Event().wait(verdict.stalls_seconds + (len(data) / speed if speed else 0))
        with self._lock:
            self._check_there(fh)
            return sick.rot(data, offset, verdict.rotten)

    def release(self, path: str, fh: int) -> int:
        """Close."""
        del path
        with self._lock:
            self._opened.pop(fh, None)
        os.close(fh)
        return 0

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Give the status of what lies at a path, or is open."""
        if fh is not None:
            with self._lock:
                self._check_there(fh)
        status = os.lstat(self._at(path)) if fh is None else os.fstat(fh)
        plain: dict[str, Any] = {key: getattr(status, key) for key in _STATUS}
        return plain | {f"st_{each}time": getattr(status, f"st_{each}time_ns") for each in "amc"}

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        """List a folder, with the inodes by which the kernel knows what is there."""
        del fh
        at = self._at(path)
        found = [(".", at.lstat()), ("..", at.parent.lstat()), *((each.name, each.lstat()) for each in at.iterdir())]
        return [(name, {"st_ino": each.st_ino, "st_mode": each.st_mode}, 0) for name, each in found]

    def readlink(self, path: str) -> str:
        """Give where a link leads, as it stands there."""
        return os.fspath(self._at(path).readlink())

    def statfs(self, path: str) -> dict[str, int]:
        """Give the room on the disk below."""
        room = os.statvfs(self._at(path))
        return {key: getattr(room, key) for key in _ROOM}

    # ------------------------------------------------------------------------------------------- writing

    def create(self, path: str, mode: int, fi: object = None) -> int:
        """Make a file."""
        del fi
        fd = os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with self._lock:
            self._opened[fd] = (_card(path), self._visits.get(_card(path), 0))
        return fd

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write."""
        del path
        return os.pwrite(fh, data, offset)

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        """Make durable."""
        del path, datasync
        os.fsync(fh)
        return 0

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Cut or lengthen."""
        os.truncate(self._at(path) if fh is None else fh, length)
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        """Make a folder."""
        self._at(path).mkdir(mode)
        return 0

    def rmdir(self, path: str) -> int:
        """Remove a folder."""
        self._at(path).rmdir()
        return 0

    def unlink(self, path: str) -> int:
        """Remove a name."""
        self._at(path).unlink()
        return 0

    def rename(self, old: str, new: str) -> int:
        """Rename; with a card's own name, it is docked or taken out."""
        with self._lock:
            self._at(old).rename(self._at(new))
            if _depth(old) == _CARD_DEPTH and old.startswith(f"/{BAYS}/"):
                self._leave(_card(old))
        return 0

    def symlink(self, target: str, source: str) -> int:
        """Make a link."""
        self._at(target).symlink_to(source)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        """Set permissions."""
        self._at(path).chmod(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        """Set the owner."""
        os.lchown(self._at(path), uid, gid)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        """Set the times, in nanoseconds."""
        if times is None:
            os.utime(self._at(path), follow_symlinks=False)
        else:
            os.utime(self._at(path), ns=times, follow_symlinks=False)
        return 0

    # ------------------------------------------------------------------------------------------- within

    def _at(self, path: str) -> Path:
        return self._backing / path[1:]

    def _check_there(self, fd: int) -> None:
        card, visit = self._opened.get(fd, ("", 0))
        if self._visits.get(card, 0) != visit:
            raise OSError(errno.ENODEV, card)

    def _pull(self, card: str) -> None:
        """Pull a card out now, if it is docked."""
        docked = self._backing / BAYS / card
        if docked.is_dir():
            docked.rename(self._backing / SHELF / card)
            self._pulled.append(card)
        self._leave(card)

    def _leave(self, card: str) -> None:
        self._visits[card] = self._visits.get(card, 0) + 1


def _depth(path: str) -> int:
    return path.count("/")


def _card(path: str) -> str:
    """Give the card's name, or nothing for what is on none."""
    parts = path.split("/", 3)
    return parts[2] if len(parts) > _CARD_DEPTH else ""


def _inside(path: str) -> str:
    parts = path.split("/", 3)
    return parts[3] if len(parts) > _CARD_DEPTH + 1 else ""
