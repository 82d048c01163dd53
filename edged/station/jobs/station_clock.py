"""The station's own clock, watched: whether somebody or something set it, and whether it follows a time server.

The wall clock is compared with the one that never steps and counts time asleep. Making a clock slightly faster or
slower (NTP: by at most 500 ppm) is no step; on Linux it moves both alike. What parts them by more is an anomaly
`station-clock-stepped` of every docking under way, so that it goes along with their footage; without one it stands
alone. At the start the newest entry is the witness: a clock behind it was set back while the station was off.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from pydantic import JsonValue

from edged.clock import Clock, rfc3339
from edged.evidence import bodies
from edged.evidence.entry import parse
from edged.evidence.ids import DockingId
from edged.station.parts import Parts

STEP_MS: Final = 100
"""What time servers correct by a step they correct by more (timesyncd 400 ms, ntpd 128 ms, chrony as configured)."""

_STEP: Final = timedelta(milliseconds=STEP_MS)

SLEW_MS_A_SECOND: Final = 0.5
"""500 ppm: the most by which the kernel lets NTP change the rate of a clock (adjtimex(2))."""

UNSYNCHRONISED_SECONDS: Final = 600.0
"""How long a clock may be unsynchronised before a person is told: a restarted time service needs minutes."""

_SURE_SECONDS: Final = 0.02
_TRIES: Final = 3


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What both clocks showed at one moment."""

    wall: datetime
    steady: float
    """In seconds, on the clock that never steps."""


class StationClockJob:
    """Looks at the station's clock every few seconds."""

    name = "station clock"
    idle_seconds: ClassVar[float] = 5.0

    def __init__(self, parts: Parts) -> None:
        """Begin to watch; to be made before anything of this start is written into the ledger."""
        self._parts = parts
        self._newest = _newest_entry(parts)
        self._known = _look(parts.clock)
        self._free_since: float | None = None
        self.put_off = 0

    def step(self, stop: threading.Event) -> bool:
        """Compare; there is never more to do at once. Raises EdgedError when what was found cannot be written."""
        del stop
        look = _look(self._parts.clock)
        if look is not None:
            self._compare(look)
        self._watch_state(self._parts.clock.monotonic())
        return False

    def _compare(self, look: _Look) -> None:
        known = self._known or look
        if self._newest is not None and self._newest - known.wall > _STEP:
            self._tell(self._newest, known.wall, at_start=True)
        self._newest = None
        elapsed = timedelta(seconds=look.steady - known.steady)
        expected = known.wall + elapsed
        slewed = expected + _slewed(look.wall - expected, elapsed)
        if abs(look.wall - slewed) > _STEP:
            self._tell(expected, look.wall, at_start=False)
            self._known = look
        else:
            # A small difference stays, so that many of them, one after the other, are noticed as one.
            self._known = _Look(wall=slewed, steady=look.steady)

    def _tell(self, before: datetime, after: datetime, *, at_start: bool) -> None:
        by_ms = (after - before) // timedelta(milliseconds=1)
        detail: dict[str, JsonValue] = {
            "before": rfc3339(before),
            "after": rfc3339(after),
            "by_ms": by_ms,
            "why": "while-off" if at_start else "while-running",
        }
        open_now: list[DockingId | None] = [each.docking for each in self._parts.book.facts.open_dockings()]
        self._parts.book.ledger.append(
            *(
                bodies.Anomaly(
                    kind="station-clock-stepped",
                    docking=docking,
                    subject=None if docking is None else bodies.Subject(kind="docking", id=docking),
                    detail=detail,
                )
                for docking in open_now or [None]
            )
        )

    def _watch_state(self, steady: float) -> None:
        """Tell a person of a clock that has had nothing to go by for a while."""
        if self._parts.clock.state() == "synchronised":
            self._free_since, self.put_off = None, 0
            return
        if self._free_since is None:
            self._free_since = steady
        if steady - self._free_since >= UNSYNCHRONISED_SECONDS:
            self.put_off = 1
            self._parts.live.alarm(
                self.name,
                "The station's clock is not synchronised: its entries state times that nobody keeps right.",
                "Have this machine follow a time server: see `timedatectl`.",
            )


def _newest_entry(parts: Parts) -> datetime | None:
    """Give the time of the newest entry."""
    position = parts.book.ledger.last_position()
    return None if position == 0 else parse(parts.book.ledger.bytes_at(position)).time


def _look(clock: Clock) -> _Look | None:
    """Read both clocks at one moment; None on a machine that is too busy for that just now."""
    for _ in range(_TRIES):
        before = clock.monotonic()
        wall = clock.now()
        after = clock.monotonic()
        if after - before <= _SURE_SECONDS:
            return _Look(wall=wall, steady=(before + after) / 2)
    return None


def _slewed(apart: timedelta, elapsed: timedelta) -> timedelta:
    """Give the part of a difference that making the clock faster or slower explains."""
    most = elapsed * (SLEW_MS_A_SECOND / 1000)
    return max(-most, min(most, apart))
