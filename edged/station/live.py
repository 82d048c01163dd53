"""What the station is doing now: bays, progress and alarms. Nothing here is evidence, and nothing survives a restart.

The state of a bay is what a lamp beside it would show: `removable` is True only when taking the recorder out
neither interrupts anything nor leaves a file that the station still means to take.
"""

import threading
from dataclasses import asdict, dataclass, replace
from typing import Literal

from edged.clock import Clock, rfc3339

Phase = Literal["waiting", "listing", "copying", "securing", "safe", "wiping", "done", "kept", "refused"]
"""`waiting`: for its turn or for room. `listing`: recognising and taking the inventory. `copying`: files are read.
`securing`: all files are sealed; copies are being verified and uploaded. `safe`: the same, but central storage does
not answer, and waiting for it is not the officer's business. `wiping`: cleared files are erased. `done`: empty and
released. `kept`: released, but files were left on it. `refused`: nothing was touched; the text says why."""

_REMOVABLE = frozenset({"safe", "done", "kept", "refused"})
_RATE_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class BayState:
    """One bay with a recorder in it."""

    bay: str
    phase: Phase
    text: str = ""
    """One sentence for a person."""
    recorder: str | None = None
    officer: str | None = None
    docking: str | None = None
    files: int = 0
    """Found on the card."""
    files_done: int = 0
    """Sealed or sighted in this docking."""
    bytes: int = 0
    bytes_done: int = 0
    bytes_per_second: int = 0
    seconds_left: int | None = None
    reread: int = 0
    replicated: int = 0
    wiped: int = 0

    @property
    def removable(self) -> bool:
        """Whether the recorder can be taken out without interrupting anything."""
        return self.phase in _REMOVABLE

    def plain(self) -> dict[str, object]:
        """Give the state as plain values, with whether the recorder can be taken out."""
        return asdict(self) | {"removable": self.removable}


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something that a person should look at."""

    source: str
    """What raised it; an alarm is replaced by a newer one of the same source."""
    text: str
    hint: str
    since: str


class Live:
    """The live state of one station, shared by all of its threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._bays: dict[str, BayState] = {}
        self._alarms: dict[str, Alarm] = {}
        self._rates: dict[str, tuple[float, int]] = {}

    def set_bay(self, bay: str, phase: Phase, **changes: object) -> None:
        """Change a bay's state; what is not named stays."""
        with self._lock:
            before = self._bays.get(bay, BayState(bay=bay, phase=phase))
            self._bays[bay] = replace(before, phase=phase, **changes)  # type: ignore[arg-type]
            if "bytes_done" in changes:
                self._rates.pop(bay, None)

    def progress(self, bay: str, read_bytes: int) -> None:
        """Count bytes read from a bay's recorder; rate and remaining time follow."""
        now = self._clock.monotonic()
        with self._lock:
            state = self._bays[bay]
            done = state.bytes_done + read_bytes
            since, before = self._rates.setdefault(bay, (now, state.bytes_done))
            rate = state.bytes_per_second
            if now - since >= _RATE_SECONDS:
                # What turns out not to have been sighted is taken off again.
                rate = max(0, int((done - before) / (now - since)))
                self._rates[bay] = (now, done)
            left = int(max(0, state.bytes - done) / rate) if rate else None
            self._bays[bay] = replace(state, bytes_done=done, bytes_per_second=rate, seconds_left=left)

    def count_file(self, bay: str) -> None:
        """Count one more file of a bay as sealed or sighted."""
        with self._lock:
            state = self._bays[bay]
            self._bays[bay] = replace(state, files_done=state.files_done + 1)

    def clear_bay(self, bay: str) -> None:
        """Forget a bay whose recorder left."""
        with self._lock:
            self._bays.pop(bay, None)
            self._rates.pop(bay, None)

    def alarm(self, source: str, text: str, hint: str = "") -> bool:
        """Raise an alarm; says whether it is new."""
        with self._lock:
            before = self._alarms.get(source)
            if before is not None and before.text == text:
                return False
            self._alarms[source] = Alarm(source=source, text=text, hint=hint, since=rfc3339(self._clock.now()))
            return True

    def has_alarm(self, *sources: str) -> bool:
        """Say whether one of these sources has an alarm up."""
        with self._lock:
            return not self._alarms.keys().isdisjoint(sources)

    def calm(self, source: str) -> bool:
        """Withdraw an alarm; says whether there was one."""
        with self._lock:
            return self._alarms.pop(source, None) is not None

    def bays(self) -> list[BayState]:
        """Give all bays with a recorder in them, by name."""
        with self._lock:
            return [self._bays[bay] for bay in sorted(self._bays)]

    def alarms(self) -> list[Alarm]:
        """Give what a person should look at, oldest first."""
        with self._lock:
            return sorted(self._alarms.values(), key=lambda alarm: alarm.since)
