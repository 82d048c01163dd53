"""Reading one file of a card that may be dying: again, then in ever smaller pieces, and what cannot be read is named.

Guarantees: what is handed out is what the card gave, at its place in the file; bytes that it would not give stand as
zeros, and `unreadable` lists exactly these ranges (or, where a card is in shreds, a few wider ones that hold them); a
recorder that has left is told from one that cannot read, so that no pulled plug passes for a damaged file.
"""

import os
import sys
from collections.abc import Callable
from threading import Event
from typing import Final

from edged.clock import Clock
from edged.errors import RecorderError, StoppedError

_PAUSES_SECONDS: Final = (0.1, 0.4, 1.6)
"""Before each further try to read a buffer that failed: a loose contact, or a port that resets the device."""
_PIECE_BYTES: Final = 4096
"""The smallest piece that is tried by itself: a page, and a multiple of every sector."""
_SALVAGE_SECONDS: Final = 600.0
"""For how long one file's damage is searched piece by piece; then whole buffers are given up."""
_MOST_RANGES: Final = 1000
"""What an entry can hold (EVIDENCE.md: at most 65 535 bytes)."""

Range = tuple[int, int]
"""Of bytes, from the first to the one after the last."""


class CardReader:
    """Gives the bytes of one open file of a card."""

    def __init__(  # noqa: PLR0913 - what reading a dying card takes
        self,
        fd: int,
        *,
        clock: Clock,
        stop: Event,
        still_there: Callable[[], None],
        most_ranges: int = _MOST_RANGES,
        end: int = sys.maxsize,
    ) -> None:
        """`still_there` raises RecorderError if the recorder left; `stop` is set when that is noticed elsewhere.

        What lies from `end` on is not read.
        """
        self._end = end
        self._most_ranges = min(most_ranges, _MOST_RANGES)
        self._fd = fd
        self._clock = clock
        self._stop = stop
        self._still_there = still_there
        self._ranges: list[Range] = []
        self._spent_seconds = 0.0

    @property
    def unreadable(self) -> tuple[Range, ...]:
        """Give what could not be read so far, ascending."""
        return tuple(self._ranges)

    def anew(self) -> "CardReader":
        """Give a reader of the same file that has met no damage yet."""
        return CardReader(
            self._fd,
            clock=self._clock,
            stop=self._stop,
            still_there=self._still_there,
            most_ranges=self._most_ranges,
            end=self._end,
        )

    def fill(self, buffer: memoryview, offset: int) -> int:
        """Read from `offset` until the buffer is full or the file ends; gives the length.

        Raises RecorderError when the recorder left, StoppedError.
        """
        if self._stop.is_set():
            raise StoppedError("The reading of a file was stopped.")
        with buffer[: max(0, self._end - offset)] as wanted:
            try:
                return read_at(self._fd, wanted, offset)
            except OSError:
                return self._read_again(wanted, offset)

    def confirm(self) -> None:
        """Show that the card still answers, after some of the file could not be read.

        Raises RecorderError when not even that can be read now which was read before: then it left, or died.
        """
        self._still_there()
        readable = self._ranges[0][1] if self._ranges and self._ranges[0][0] == 0 else 0
        with memoryview(bytearray(1)) as probe:
            try:
                os.preadv(self._fd, [probe], readable)
            except OSError as error:
                raise RecorderError(f"The recorder stopped giving bytes: {error.strerror}.") from error
        if self._stop.is_set():
            raise StoppedError("The reading of a file was stopped.")

    def _read_again(self, buffer: memoryview, offset: int) -> int:
        since = self._clock.monotonic()
        for pause in _PAUSES_SECONDS:
            self._still_there()
            if self._spent_seconds > _SALVAGE_SECONDS or self._stop.wait(pause):
                break
            try:
                return read_at(self._fd, buffer, offset)
            except OSError:
                continue
        if self._stop.is_set():
            raise StoppedError("The reading of a file was stopped.")
        length = min(len(buffer), os.fstat(self._fd).st_size - offset)
        if length <= 0:
            # It says that it fails where it says that it has ended.
            return 0
        self._salvage(buffer[:length], offset)
        self._spent_seconds += self._clock.monotonic() - since
        return length

    def _salvage(self, buffer: memoryview, offset: int) -> None:
        """Read what can be read of a buffer, by halves; the rest becomes zeros."""
        halves = [(0, len(buffer))]
        since, tried = self._clock.monotonic(), False
        while halves:
            start, end = halves.pop()
            if self._stop.is_set():
                raise StoppedError("The reading of a file was stopped.")
            too_long = self._spent_seconds + self._clock.monotonic() - since > _SALVAGE_SECONDS
            # The whole of it has just failed.
            if (tried or too_long) and self._fits(buffer[start:end], offset + start):
                continue
            tried = True
            if end - start <= _PIECE_BYTES or too_long:
                self._still_there()
                buffer[start:end] = bytes(end - start)
                self._note(offset + start, offset + end)
                continue
            # Cut where the file's own pages meet; the first half is read first.
            middle = start + max(_PIECE_BYTES, (end - start) // 2 // _PIECE_BYTES * _PIECE_BYTES)
            halves += [(middle, end), (start, middle)]

    def _fits(self, buffer: memoryview, offset: int) -> bool:
        try:
            return read_at(self._fd, buffer, offset) == len(buffer)
        except OSError:
            return False

    def _note(self, start: int, end: int) -> None:
        if self._ranges and self._ranges[-1][1] == start:
            self._ranges[-1] = (self._ranges[-1][0], end)
            return
        self._ranges.append((start, end))
        if len(self._ranges) > self._most_ranges:
            # Widened over the shortest stretch that could be read: those bytes are kept, only not vouched for.
            at = min(range(1, len(self._ranges)), key=lambda at: self._ranges[at][0] - self._ranges[at - 1][1])
            self._ranges[at - 1 : at + 1] = [(self._ranges[at - 1][0], self._ranges[at][1])]


def read_at(fd: int, buffer: memoryview, offset: int) -> int:
    """Read until the buffer is full or the file ends, and give the length; raises OSError."""
    filled = 0
    while filled < len(buffer) and (got := os.preadv(fd, [buffer[filled:]], offset + filled)):
        filled += got
    return filled
