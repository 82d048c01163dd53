"""A disk with a volatile write cache: what was written since the last flush is there until the power goes.

What is promised is the least that a disk may promise (and that ext4 asks for): after a flush everything written before
it is durable; of what was written since then any part may be, in any order, and of one write any of its 4 KiB blocks,
the last one perhaps only in part (sectors of 512 bytes are whole or not there).
"""

import os
import random
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal, get_args

BLOCK: Final = 4096
SECTOR: Final = 512
_MOST_BYTES: Final = 64 << 20
"""A larger cache writes its oldest content back by itself, as every disk does."""

Way = Literal["nothing", "prefix", "some", "everything"]
"""What of the unflushed writes a power cut leaves: none; the first ones, the next one torn; any; all."""
WAYS: Final[tuple[Way, ...]] = get_args(Way)


class NoPowerError(OSError):
    """The power is gone."""


@dataclass(frozen=True, kw_only=True)
class _Write:
    offset: int
    before: bytes
    after: bytes


class WriteCache:
    """One disk in the file behind a descriptor; not safe for several threads."""

    def __init__(self, fd: int) -> None:
        """Take the file as it is: all of it is durable."""
        self._fd = fd
        self._pending: deque[_Write] = deque()
        self._pending_bytes = 0
        self._left: int | None = None
        self.operations = 0
        """Writes and flushes so far."""
        self.has_power = True

    @property
    def pending(self) -> int:
        """How many writes a power cut would hit now."""
        return len(self._pending)

    def read(self, offset: int, size: int) -> bytes:
        """Give bytes as they were written last."""
        return os.pread(self._fd, size, offset)

    def write(self, offset: int, data: bytes) -> None:
        """Write into the cache; raises NoPowerError."""
        self._operate()
        before = os.pread(self._fd, len(data), offset)
        before += bytes(len(data) - len(before))
        os.pwrite(self._fd, data, offset)
        self._pending.append(_Write(offset=offset, before=before, after=data))
        self._pending_bytes += len(data)
        while self._pending_bytes > _MOST_BYTES:
            self._pending_bytes -= len(self._pending.popleft().after)

    def flush(self) -> None:
        """Make everything durable; raises NoPowerError."""
        self._operate()
        self._pending.clear()
        self._pending_bytes = 0

    def cut(self, *, after: int = 0) -> None:
        """Take the power away, now or once so many more writes and flushes were made."""
        if after:
            self._left = after
        else:
            self.has_power = False

    def restore(self, way: Way, seed: int) -> None:
        """Give the power back: what of the unflushed writes is there is chosen by `way` and `seed`."""
        rng = random.Random(f"{way} {seed}")
        for each in reversed(self._pending):
            os.pwrite(self._fd, each.before, each.offset)
        kept = rng.randrange(len(self._pending) + 1) if way == "prefix" else len(self._pending)
        for number, each in enumerate(self._pending):
            match way:
                case "nothing":
                    break
                case "prefix" if number > kept:
                    break
                case "prefix" if number == kept:
                    whole = rng.randrange(len(each.after) // SECTOR + 1) * SECTOR
                    os.pwrite(self._fd, each.after[:whole], each.offset)
                case "some":
                    for start in range(0, len(each.after), BLOCK):
                        if rng.random() < 0.5:  # noqa: PLR2004 - either way
                            os.pwrite(self._fd, each.after[start : start + BLOCK], each.offset + start)
                case _:
                    os.pwrite(self._fd, each.after, each.offset)
        self._pending.clear()
        self._pending_bytes = 0
        self._left = None
        self.has_power = True

    def _operate(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self.has_power = False
        if not self.has_power:
            raise NoPowerError
        self.operations += 1
