"""Whose turn it is to read: so many recorders at the same time, fairly, and none held up by a slow or broken one.

A turn is for one file, and for a long one ends after a while if others wait. Important files go first, then whoever
has been read for the shortest time since it was docked. A reader that stands still (a card that answers no read, or is
searched for what can still be read of it) does not count among those at the same time: another goes in its place.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from edged.clock import Clock
from edged.errors import StoppedError

_STILL_SECONDS: Final = 2.0
"""After so long without a byte a reader counts as standing still."""
_LONG_SECONDS: Final = 5.0
"""After so long a turn ends if others wait."""
_LOOK_SECONDS: Final = 1.0
"""How often those who wait look whether a reader stands still."""


@dataclass(eq=False, kw_only=True)
class Turn:
    """One bay's turn, waited for or had."""

    bay: str
    important: bool
    began: float = field(default=0.0)
    moved: float = field(default=0.0)
    """When it last read something."""


class Turns:
    """Hands out turns to the bays of one station."""

    def __init__(self, at_once: int, clock: Clock) -> None:
        self._at_once = at_once
        self._clock = clock
        self._changed = threading.Condition()
        self._reading: list[Turn] = []
        self._waiting: list[Turn] = []
        self._had: dict[str, float] = {}
        """Seconds of turns since its recorder was docked, by bay."""

    @contextmanager
    def take(
        self, bay: str, gone: threading.Event, *, important: bool = False, waits: Callable[[], None] = lambda: None
    ) -> Iterator[Callable[[], None]]:
        """Hold a turn; what it gives is to be called after each read, and may wait for the next turn.

        `waits` is called once when there is no turn at once. Raises StoppedError when `gone` is set meanwhile.
        """
        turn = Turn(bay=bay, important=important)
        self._begin(turn, gone, waits)
        try:
            yield lambda: self._go_on(turn, gone)
        finally:
            self._end(turn)

    def forget(self, bay: str) -> None:
        """Forget how long a bay was read: another recorder is docked in it."""
        with self._changed:
            self._had.pop(bay, None)

    def _begin(self, turn: Turn, gone: threading.Event, waits: Callable[[], None] = lambda: None) -> None:
        with self._changed:
            self._waiting.append(turn)
            told = False
            try:
                while not self._is_next(turn):
                    if not told:
                        waits()
                        told = True
                    self._changed.wait(_LOOK_SECONDS)
                    if gone.is_set():
                        raise StoppedError("The recorder left before its turn, or the station stops.")
            finally:
                self._waiting.remove(turn)
            turn.began = turn.moved = self._clock.monotonic()
            self._reading.append(turn)
            self._changed.notify_all()

    def _end(self, turn: Turn) -> None:
        with self._changed:
            if turn in self._reading:
                self._reading.remove(turn)
                self._had[turn.bay] = self._had.get(turn.bay, 0.0) + self._clock.monotonic() - turn.began
                self._changed.notify_all()

    def _go_on(self, turn: Turn, gone: threading.Event) -> None:
        now = self._clock.monotonic()
        turn.moved = now
        if self._waiting and now - turn.began >= _LONG_SECONDS:
            self._end(turn)
            self._begin(turn, gone)

    def _is_next(self, turn: Turn) -> bool:
        now = self._clock.monotonic()
        moving = sum(now - each.moved < _STILL_SECONDS for each in self._reading)
        free = self._at_once - moving
        ahead = sorted(self._waiting, key=lambda each: (not each.important, self._had.get(each.bay, 0.0)))
        return turn in ahead[: max(0, free)]
