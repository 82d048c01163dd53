"""The bays as something that changes: what LEDs, screens and `edged bays --follow` go by.

A caller names the last change it saw, and gets an answer as soon as there is another one, or when its patience ends.
So a stream is a row of questions, and nothing is kept here for anybody.
"""

import threading
from typing import Any, Final

from edged.errors import UnavailableError, UsageError
from edged.station.parts import Parts

_LONGEST_SECONDS: Final = 10
_AT_ONCE: Final = 16
"""Questions that may wait at the same time; the others of the control socket must stay possible."""
_STEP_SECONDS: Final = 1.0


class Following:
    """Answers who follows the bays of one station."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._free = threading.Semaphore(_AT_ONCE)

    def answer(self, arguments: dict[str, Any]) -> dict[str, object]:
        """Give all bays, once something changed after `seen`, or after `wait` seconds; raises UsageError.

        Raises UnavailableError where too many wait already.
        """
        seen, wait = _number(arguments, "seen", default=-1), _number(arguments, "wait", default=0)
        if not 0 <= wait <= _LONGEST_SECONDS:
            raise UsageError(f"Nobody waits longer than {_LONGEST_SECONDS} s here.", hint="Ask again instead.")
        if not self._free.acquire(blocking=False):
            raise UnavailableError(f"{_AT_ONCE} follow the bays already.", hint="End some of them.")
        try:
            last = self._parts.live.changes(seen, 0)
            while last == seen and wait > 0 and not self._parts.stop.is_set():
                last = self._parts.live.changes(seen, _STEP_SECONDS)
                wait -= 1
        finally:
            self._free.release()
        return {"seen": last, "bays": self._bays()}

    def _bays(self) -> list[dict[str, object]]:
        """Give the bays with a recorder, and those of the configuration without one."""
        present = {bay.bay: bay.plain() for bay in self._parts.live.bays()}
        empty: dict[str, dict[str, object]] = {
            bay: {"bay": bay, "lamp": "empty"} for bay in self._parts.config.bays.ports.values()
        }
        both = empty | present
        return [both[bay] for bay in sorted(both)]


def _number(arguments: dict[str, Any], key: str, *, default: int) -> int:
    value = arguments.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{key} is a whole number.")
    return value
