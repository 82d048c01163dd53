"""What the station is doing now: bays, progress and alarms. Nothing here is evidence, and nothing survives a restart.

The state of a bay is what a lamp beside it would show: `removable` is True only when taking the recorder out
neither interrupts anything nor leaves a file that the station still means to take. Rate and remaining time are of the
present phase, over the last seconds, and say nothing while nothing moves.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal

from edged.clock import Clock, rfc3339
from edged.station.pace import Pace

Phase = Literal["waiting", "listing", "copying", "securing", "safe", "wiping", "done", "kept", "refused"]
"""`waiting`: for its turn or for room. `listing`: recognising and taking the inventory. `copying`: files are read.
`securing`: all files are sealed; copies are being verified and uploaded. `safe`: the same, but that cannot go on
(central storage cannot be used, or the vault's copies cannot be read back), and waiting for it is not the officer's
business. `wiping`: cleared files are erased. `done`: empty and released. `kept`: released, but files were left on it.
`refused`: nothing was touched; the text says why."""

Lamp = Literal["busy", "free", "attention", "empty"]
"""`busy`: do not take out. `free`: can be taken out. `attention`: somebody has to look at the screen; `removable` says
whether the recorder can be taken out. `empty`: there is no recorder."""

_REMOVABLE: Final = frozenset({"safe", "done", "kept", "refused"})
_COPIES: Final = 2
"""What is secured is read back in the vault, and uploaded: each byte twice."""


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
    bytes_further: int = 0
    """What the present phase reads besides: a second time while copying; to compare each file while erasing."""
    bytes_further_done: int = 0
    bytes_per_second: int = 0
    """Read while copying and erasing, read back and uploaded while securing; else 0."""
    seconds_left: int | None = None
    """Of the present phase; None when it cannot be told."""
    reread: int = 0
    replicated: int = 0
    wiped: int = 0
    attention: bool = False
    """Whether somebody has to look at the screen: files stayed on the recorder that should not have, or it fails."""

    @property
    def removable(self) -> bool:
        """Whether the recorder can be taken out without interrupting anything."""
        return self.phase in _REMOVABLE

    @property
    def lamp(self) -> Lamp:
        """What a lamp beside the bay shows."""
        if self.attention or self.phase == "refused":
            return "attention"
        return "free" if self.removable else "busy"

    def plain(self) -> dict[str, object]:
        """Give the state as plain values, with whether the recorder can be taken out, and what a lamp shows."""
        return asdict(self) | {"removable": self.removable, "lamp": self.lamp}


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
        self._changed = threading.Condition()
        self._changes = 0
        self._bays: dict[str, BayState] = {}
        self._alarms: dict[str, Alarm] = {}
        self._because: dict[str, type[Exception] | None] = {}
        """What kind of error raised the alarm of a source, where one did."""
        self._paces: dict[str, Pace] = {}
        self._secured: dict[str, int] = {}
        """Bytes of each bay's docking that were read back or uploaded."""

    def set_bay(self, bay: str, phase: Phase, **changes: object) -> None:
        """Change a bay's state; what is not named stays."""
        with self._change():
            before = self._bays.get(bay, BayState(bay=bay, phase=phase))
            state = replace(before, phase=phase, **changes)  # type: ignore[arg-type]
            self._bays[bay] = state
            if state.docking != before.docking:
                self._secured.pop(bay, None)
            if state.phase != before.phase or "bytes_done" in changes:
                self._paces.pop(bay, None)
            self._note_pace(bay)

    def progress(self, bay: str, read_bytes: int) -> None:
        """Count bytes read from a bay's recorder; rate and remaining time follow."""
        with self._change():
            state = self._bays.get(bay)
            if state is None:
                # It left meanwhile.
                return
            self._bays[bay] = replace(state, bytes_done=state.bytes_done + read_bytes)
            self._note_pace(bay)

    def further(self, bay: str, read_bytes: int, *, less: int = 0) -> None:
        """Count what a phase reads besides; `less` of it turned out not to be needed."""
        with self._change():
            state = self._bays.get(bay)
            if state is None:
                # It left meanwhile.
                return
            self._bays[bay] = replace(
                state,
                bytes_further=max(0, state.bytes_further - less),
                bytes_further_done=state.bytes_further_done + read_bytes,
            )
            self._note_pace(bay)

    def secured(self, docking: str, secured_bytes: int) -> None:
        """Count bytes of a docking that were read back or uploaded, while its recorder is there."""
        with self._change():
            for bay, state in self._bays.items():
                if state.docking == docking:
                    self._secured[bay] = self._secured.get(bay, 0) + secured_bytes
                    self._note_pace(bay)

    def count_file(self, bay: str) -> None:
        """Count one more file of a bay as sealed or sighted."""
        with self._change():
            state = self._bays.get(bay)
            if state is None:
                # It left meanwhile.
                return
            self._bays[bay] = replace(state, files_done=state.files_done + 1)

    def clear_bay(self, bay: str) -> None:
        """Forget a bay whose recorder left."""
        with self._change():
            self._bays.pop(bay, None)
            self._paces.pop(bay, None)
            self._secured.pop(bay, None)

    def alarm(self, source: str, text: str, hint: str = "", *, because: type[Exception] | None = None) -> bool:
        """Raise an alarm, perhaps because of a kind of error; says whether it is new."""
        with self._change():
            before = self._alarms.get(source)
            self._because[source] = because
            if before is not None and before.text == text:
                return False
            self._alarms[source] = Alarm(source=source, text=text, hint=hint, since=rfc3339(self._clock.now()))
            return True

    def has_alarm(self, *sources: str) -> bool:
        """Say whether one of these sources has an alarm up."""
        with self._changed:
            return not self._alarms.keys().isdisjoint(sources)

    def has_failed(self, source: str, *kinds: type[Exception]) -> bool:
        """Say whether a source has an alarm up because of an error of one of these kinds."""
        with self._changed:
            because = self._because.get(source)
            return source in self._alarms and because is not None and issubclass(because, kinds)

    def calm(self, source: str) -> bool:
        """Withdraw an alarm; says whether there was one."""
        with self._change():
            return self._alarms.pop(source, None) is not None

    def bays(self) -> list[BayState]:
        """Give all bays with a recorder in them, by name."""
        now = self._clock.monotonic()
        with self._changed:
            return [self._as_of(now, self._bays[bay]) for bay in sorted(self._bays)]

    def alarms(self) -> list[Alarm]:
        """Give what a person should look at, oldest first."""
        with self._changed:
            return sorted(self._alarms.values(), key=lambda alarm: alarm.since)

    def changes(self, seen: int, wait_seconds: float) -> int:
        """Wait until something changes after the change numbered `seen`; gives the number of the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, wait_seconds)
            return self._changes

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Hold the state to change it, and wake who waits for that."""
        with self._changed:
            yield
            self._changes += 1
            self._changed.notify_all()

    def _as_of(self, now: float, state: BayState) -> BayState:
        attention = state.attention or f"bay {state.bay}" in self._alarms
        pace, work = self._paces.get(state.bay), self._work(state)
        if pace is None or work is None:
            return replace(state, attention=attention)
        return replace(
            state,
            attention=attention,
            # Where nothing is read again, what is erased is counted in files.
            bytes_per_second=0 if state.phase == "wiping" and not state.bytes_further else int(pace.rate(now)),
            seconds_left=pace.seconds_left(now, work[1]),
        )

    def _note_pace(self, bay: str) -> None:
        work, now = self._work(self._bays[bay]), self._clock.monotonic()
        if work is not None:
            self._paces.setdefault(bay, Pace(now, work[0])).note(now, work[0])

    def _work(self, state: BayState) -> tuple[int, int] | None:
        """Give how much of the present phase is done, of how much; None where that cannot be counted."""
        match state.phase:
            case "copying":
                return state.bytes_done + state.bytes_further_done, state.bytes + state.bytes_further
            case "securing":
                # Earlier dockings secured some of it, or an earlier run of the daemon: of that only files are known.
                known = state.bytes * (state.reread + state.replicated) // max(1, state.files)
                return max(known, self._secured.get(state.bay, 0)), _COPIES * state.bytes
            case "wiping":
                if state.bytes_further:
                    return state.bytes_further_done, state.bytes_further
                return state.wiped, state.files
            case _:
                return None
