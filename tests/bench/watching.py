"""What can be seen of a process from outside: memory and CPU time of it and all of its children, and what it reads.

Memory is Pss: private memory, and of shared pages (programs and libraries) the share that falls on each of the
processes that map them, so that the sum over a family counts every page once. The page cache is not in it. Looks
are some tenths of a second apart: what was there for less long may be missed.
"""

import ctypes
import os
import re
import select
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edged.clock import SystemClock
from edged.errors import ToolError

_CLOCK: Final = SystemClock()
_LOOK_SECONDS: Final = 0.2
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")

_libc = ctypes.CDLL(None, use_errno=True)
_EVENT: Final = struct.Struct("iIII")
"""inotify(7): watch, mask, cookie, length of the name that follows."""
_ACCESS: Final = 0x1
_IS_DIR: Final = 0x4000_0000


class Peak:
    """Watches the memory of a process and of all below it, on a thread of its own, for as long as it is held."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peak")
        self.bytes = 0
        """The most that was seen at one look."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self.bytes = max(self.bytes, family_memory_bytes(self._pid))


class FirstRead:
    """Notes when a file directly in one of some folders is read for the first time, by whomever."""

    def __init__(self, folders: Iterator[Path]) -> None:
        """Watch from now on; raises ToolError where the kernel has no more watches to give."""
        self._fd = _libc.inotify_init1(os.O_CLOEXEC)
        for folder in folders:
            if self._fd < 0 or _libc.inotify_add_watch(self._fd, os.fsencode(folder), _ACCESS) < 0:
                raise ToolError(f"The kernel does not say when {folder} is read: {os.strerror(ctypes.get_errno())}.")

    def wait(self, seconds: float) -> float:
        """Give the monotonic time of the first read; raises ToolError if there is none within `seconds`."""
        deadline = _CLOCK.monotonic() + seconds
        while (left := deadline - _CLOCK.monotonic()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                moment = _CLOCK.monotonic()
                if tells_of_file(os.read(self._fd, 1 << 16)):
                    return moment
        raise ToolError(f"Nothing was read within {seconds:.0f} s.")

    def close(self) -> None:
        """Watch no more."""
        os.close(self._fd)


@contextmanager
def first_read(folders: Iterator[Path]) -> Iterator[FirstRead]:
    """Hold a watch."""
    watch = FirstRead(folders)
    try:
        yield watch
    finally:
        watch.close()


def tells_of_file(events: bytes) -> bool:
    """Say whether one of these events of inotify(7) is a file's: listing a folder reads that, too."""
    position = 0
    while position < len(events):
        _, mask, _, length = _EVENT.unpack_from(events, position)
        if mask & _ACCESS and not mask & _IS_DIR:
            return True
        position += _EVENT.size + length
    return False


def family(root: int) -> set[int]:
    """Give the numbers of a process and of all below it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        if text := _read(path):
            parents[int(path.parent.name)] = int(_fields(text)[1])
    return below(root, parents)


def below(root: int, parents: Mapping[int, int]) -> set[int]:
    """Give a process and all below it, where `parents` gives the parent of each."""
    found, fresh = {root}, {root}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def family_memory_bytes(root: int) -> int:
    """Give the memory of a process and of all below it."""
    own = _command_line(root)
    # A child that was just made uses its parent's memory until it has begun its own program (vfork).
    return sum(memory_bytes(pid) for pid in family(root) if pid == root or _command_line(pid) != own)


def memory_bytes(pid: int) -> int:
    """Give the Pss of a process, 0 for one that has ended; where that is not for us to see, all it has resident."""
    try:
        text = _read(Path(f"/proc/{pid}/smaps_rollup"))
    except PermissionError:
        resident = _read(Path(f"/proc/{pid}/statm"))
        return int(resident.split()[1]) * _PAGE_BYTES if resident else 0
    found = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def cpu_seconds(pid: int) -> float:
    """Give the CPU time of a process and of those children that it has waited for."""
    user, system, of_children, system_of_children = map(int, _fields(_read(Path(f"/proc/{pid}/stat")))[11:15])
    return (user + system + of_children + system_of_children) / _TICKS


def _command_line(pid: int) -> str:
    return _read(Path(f"/proc/{pid}/cmdline"))


def _fields(stat: str) -> list[str]:
    """Give the fields of proc(5)'s `stat` from the third on: the second is a name that may hold anything."""
    return stat.rpartition(")")[2].split()


def _read(path: Path) -> str:
    """Give what stands there; nothing for a process that has ended."""
    try:
        return path.read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
