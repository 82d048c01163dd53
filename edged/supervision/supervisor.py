"""Tells the broker what the station does: its state, its bays, and every entry of the ledger as an event.

Guarantees: events go out in the order of the ledger, one after the other, and the next only when the broker has
confirmed the one before, so that none is missing and none overtakes another, whatever fails in between. One comes
twice only after a connection was lost before its confirmation arrived, or after a crash (the position is noted every
few seconds and at the end, not with every event). What happens in the bays is told once a second at most, and the
newest only. Nothing waits for the broker: where it cannot be reached, the station goes on and an alarm says so.

It is a `Job` of the station: a worker calls `step`, shows what it raises as an alarm, and tries again.
"""

import logging
import threading
from contextlib import suppress
from typing import Final

from edged.clock import Clock
from edged.errors import EdgedError
from edged.evidence.ids import StationId
from edged.supervision import messages
from edged.supervision.connection import Presence
from edged.supervision.link import Link
from edged.supervision.port import BayReport, Outbox, StateReport, Station
from edged.supervision.settings import BrokerSettings

_log = logging.getLogger(__name__)

_EVENTS_AT_ONCE: Final = 50
"""Read from the book in one go: 3 MiB at the very most."""

_LIVE_SECONDS: Final = 1.0
_NOTE_SECONDS: Final = 5.0


class Supervisor:
    """Keeps one broker up with one station."""

    name = "supervision"
    idle_seconds = _LIVE_SECONDS
    put_off = 0
    """What could not be told waits in the ledger, not here."""

    def __init__(  # noqa: PLR0913 - its surroundings, each by name
        self,
        settings: BrokerSettings,
        *,
        station: StationId,
        view: Station,
        outbox: Outbox,
        clock: Clock,
        wake: threading.Event,
    ) -> None:
        """Nothing is sent yet. `wake` is set when the station stops, at the latest; it is nobody else's."""
        self._station = station
        self._view = view
        self._outbox = outbox
        self._clock = clock
        self._broker = settings.id
        self._topics = messages.Topics(station)
        presence = Presence(
            client_id=f"edged-{station}",
            will=(self._topics.state, messages.offline(station, "lost", None)),
            watch=self._topics.any_bay,
        )
        self._link = Link(settings, presence, clock=clock, wake=wake)
        self._position = self._noted = self._telling = outbox.position(settings.id)
        self._note_due = 0.0
        self._live_due = 0.0
        self._told_state: StateReport | None = None
        self._told_bays: dict[str, BayReport | None] = {}
        """What the broker holds of each bay; None for something else than what this station told it last."""

    def step(self, stop: threading.Event) -> bool:
        """Tell what is new; says whether more events may be waiting. Raises UnavailableError, StoppedError."""
        try:
            if self._link.open(stop):
                _log.info("supervision: connected")
                self._told_state, self._told_bays, self._live_due = None, {}, 0.0
            self._tell_live(stop)
            return self._tell_events(stop)
        finally:
            self._note()

    def close(self) -> None:
        """Say that the station stops, and let go of the broker, within a few seconds; raises nothing.

        The book must still be open.
        """
        if self._link.was_taken():
            self._position = self._telling
        with suppress(EdgedError):
            self._note(now=True)
        self._link.close(self._topics.state, messages.offline(self._station, "stopped", self._clock.now()))

    def _tell_live(self, stop: threading.Event) -> None:
        now = self._clock.monotonic()
        if now < self._live_due:
            return
        self._live_due = now + _LIVE_SECONDS
        for topic in self._link.heard():
            # What an earlier run of this station left there, or somebody else wrote.
            if (bay := self._topics.bay_of(topic)) is not None:
                self._told_bays[bay] = None
        state = self._view.state()
        if state != self._told_state:
            self._keep(self._topics.state, messages.online(self._station, state, self._clock.now()), stop)
            self._told_state = state
        present = {report.bay: report for report in self._view.bays()}
        for bay in self._told_bays.keys() - present.keys():
            self._keep(self._topics.bay(bay), b"", stop)
            del self._told_bays[bay]
        for bay, report in present.items():
            if self._told_bays.get(bay) != report:
                self._keep(self._topics.bay(bay), messages.bay(self._station, report, self._clock.now()), stop)
                self._told_bays[bay] = report

    def _keep(self, topic: str, payload: bytes, stop: threading.Event) -> None:
        self._link.deliver(topic, payload, retain=True, stop=stop)

    def _tell_events(self, stop: threading.Event) -> bool:
        """Tell the next events; a slow broker gets the live state in between all the same."""
        entries = self._outbox.entries_after(self._position, _EVENTS_AT_ONCE)
        for position, entry in entries:
            self._telling = position
            self._link.deliver(self._topics.events, entry, retain=False, stop=stop)
            self._position = position
            if self._clock.monotonic() >= self._live_due:
                break
        return bool(entries)

    def _note(self, *, now: bool = False) -> None:
        """Note how far the broker was told, not too often: each time is a transaction of the book."""
        seconds = self._clock.monotonic()
        if self._position != self._noted and (now or seconds >= self._note_due):
            self._outbox.move(self._broker, self._position)
            self._noted, self._note_due = self._position, seconds + _NOTE_SECONDS
