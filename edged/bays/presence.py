"""Since when each device of udev's may be there, as far as the station knows.

Guarantees: the moment that is given is never later than the one at which the device was plugged in. Forgotten is only
what udev told to be gone: a card that is let go of and mounted again, or of which a partition is told after its disk,
was there all the while. What was there before anybody looked is as old as udev says, or of unknown age.
"""

from collections.abc import Container
from typing import Final

from edged.bays.uevents import Uevent

_DIGITS: Final = 18


class Presence:
    """Remembers when devices came; all moments are of `Clock.monotonic`."""

    def __init__(self) -> None:
        self._since: dict[str, float | None] = {}
        self._known_at: float | None = None

    def tell(self, event: Uevent) -> None:
        """Take in one event."""
        path = event.properties.get("DEVPATH", "")
        if event.action == "remove":
            self._since.pop(path, None)
        elif path not in self._since:
            moments = [each for each in (self._known_at, _initialised(event)) if each is not None]
            self._since[path] = max(moments, default=None)

    def look(self, paths: Container[str | None], moment: float) -> None:
        """Take in that all devices were listed, from that moment on, and these were there."""
        self._since = {path: since for path, since in self._since.items() if path in paths}
        self.hear(moment)

    def hear(self, moment: float) -> None:
        """Take in that everything that happened before that moment was told."""
        self._known_at = moment

    def earliest(self, path: str) -> float | None:
        """Give since when a device, or what it is a part of, may be there; None where nobody knows."""
        parts = [since for each, since in self._since.items() if path == each or path.startswith(f"{each}/")]
        known = [since for since in parts if since is not None]
        return min(known) if known and len(known) == len(parts) else None


def _initialised(event: Uevent) -> float | None:
    """Give when udev first met a device, by CLOCK_MONOTONIC, in which time asleep does not count.

    After a sleep that seems longer ago than it is, never shorter.
    """
    text = event.properties.get("USEC_INITIALIZED", "")
    return int(text) / 1e6 if text.isdecimal() and len(text) <= _DIGITS else None
