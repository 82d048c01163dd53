"""The topics and payloads of supervision. What each payload is made of stands in `schemas/`, one JSON schema each.

    edged/STATION/state       retained, `state.json`. The broker itself puts `offline` there when the station is lost.
    edged/STATION/bays/BAY    retained, `bay.json`; nothing is retained of a bay without a recorder.
    edged/STATION/events      `event.json`: every entry of the ledger, once it is durable, in the order of the ledger.

An event is the entry itself, byte for byte: `sha256sum` of the payload is the reference by which the next one names
it in `prev`, so that whoever keeps the events sees by itself that none is missing, and knows one that comes twice by
its `epoch` and `seq`. All payloads are canonical JSON (RFC 8785).
"""

from dataclasses import asdict
from datetime import datetime
from typing import Literal

from edged.clock import rfc3339
from edged.evidence import canonical
from edged.evidence.ids import StationId, is_id
from edged.supervision.port import BayReport, StateReport

_VERSION = 1


class Topics:
    """The topics of one station."""

    def __init__(self, station: StationId) -> None:
        self._bays = f"edged/{station}/bays/"
        self.state = f"edged/{station}/state"
        self.events = f"edged/{station}/events"
        self.any_bay = f"{self._bays}+"

    def bay(self, bay: str) -> str:
        """Give the topic of a bay."""
        return f"{self._bays}{bay}"

    def bay_of(self, topic: str) -> str | None:
        """Give the bay that a topic is about; None if it is about something else."""
        bay = topic.removeprefix(self._bays)
        return bay if bay != topic and is_id(bay) else None


def online(station: StationId, state: StateReport, now: datetime) -> bytes:
    """Say that the station runs."""
    return _encode(station, now, {"state": "online", "reason": None} | asdict(state))


def offline(station: StationId, reason: Literal["stopped", "lost"], now: datetime | None) -> bytes:
    """Say that the station does not run: it was stopped, or (in the words it left with the broker) is lost.

    Nobody is there to say since when it is lost.
    """
    return _encode(station, now, {"state": "offline", "reason": reason})


def bay(station: StationId, report: BayReport, now: datetime) -> bytes:
    """Say what happens in a bay."""
    return _encode(station, now, asdict(report))


def _encode(station: StationId, now: datetime | None, what: dict[str, object]) -> bytes:
    head = {"v": _VERSION, "station": station, "time": None if now is None else rfc3339(now)}
    return canonical.encode(head | what)
