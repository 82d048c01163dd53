"""Notice that somebody reads a file, as it happens: inotify(7) through libc, for pulling a card at that moment."""

import ctypes
import os
import select
import struct
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from edged.clock import Clock
from edged.errors import UnavailableError

_IN_ACCESS = 0x1
_IN_ISDIR = 0x40000000
_EVENT = struct.Struct("=iIII")
"""The fixed part of `struct inotify_event`: watch, mask, cookie, length of the name that follows."""

_PATIENCE_SECONDS = 0.2
"""How long one wait lasts before `stop` is asked again."""


class ReadWatch:
    """A watch for reads in a folder tree, from construction until it is closed.

    Folders that appear later are not watched. Raises UnavailableError if the kernel has no watch to give.
    """

    def __init__(self, root: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise UnavailableError(f"no inotify: {os.strerror(ctypes.get_errno())}")
        for folder, _, _ in os.walk(root):
            if libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _IN_ACCESS) < 0:
                reason = os.strerror(ctypes.get_errno())
                self.close()
                raise UnavailableError(f"{folder} cannot be watched: {reason}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the watch back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def wait(self, wanted: Callable[[str], bool], clock: Clock, seconds: float) -> str | None:
        """Wait until a file whose base name is `wanted` is read; give that name, or None after `seconds`."""
        end = clock.monotonic() + seconds
        while clock.monotonic() < end:
            if not select.select([self._descriptor], [], [], _PATIENCE_SECONDS)[0]:
                continue
            for name in _names(os.read(self._descriptor, 65_536)):
                if wanted(name):
                    return name
        return None


def _names(events: bytes) -> list[str]:
    """Read the names of files from a run of `struct inotify_event`; folders are read by whoever lists them."""
    names = []
    at = 0
    while at < len(events):
        _, mask, _, length = _EVENT.unpack_from(events, at)
        at += _EVENT.size + length
        if not mask & _IN_ISDIR:
            names.append(os.fsdecode(events[at - length : at].rstrip(b"\0")))
    return names
