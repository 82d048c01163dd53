"""What supervision asks of the station, and what it then tells of it.

Nothing here is free text: phases, sources of alarms and numbers are the station's own, ids are those of the
register, and a person occurs as the id of an officer alone. Sentences for people (which may repeat the name of a
card, or a cell of a case file) stay on the station.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class BayReport:
    """A bay with a recorder in it; the schema `bay.json` says what each value means."""

    bay: str
    phase: str
    removable: bool
    lamp: str
    recorder: str | None
    officer: str | None
    docking: str | None
    files: int
    files_done: int
    bytes: int
    bytes_done: int
    bytes_per_second: int
    seconds_left: int | None
    reread: int
    replicated: int
    wiped: int


@dataclass(frozen=True, kw_only=True)
class AlarmReport:
    """Something that a person should look at, at the station."""

    source: str
    since: str


@dataclass(frozen=True, kw_only=True)
class StateReport:
    """The station as a whole; the schema `state.json` says what each value means."""

    version: str
    origin: str
    since: str
    accepting: bool
    bays: tuple[str, ...]
    alarms: tuple[AlarmReport, ...]


class Station(Protocol):
    """What the station is doing now. Asked once a second at most, and so to be cheap."""

    def state(self) -> StateReport:
        """Give the station as a whole; equal to the answer before when nothing changed."""

    def bays(self) -> list[BayReport]:
        """Give the bays with a recorder in them; equal to the answer before when nothing changed."""


class Outbox(Protocol):
    """The entries of the ledger as events that are still to be told, and how far each broker was told of them.

    Nothing is copied: an outbox is a position in the book. Where that note is lost, events are told again.
    """

    def entries_after(self, position: int, most: int) -> list[tuple[int, bytes]]:
        """Give at most so many entries behind a position, in their order: position and exact bytes of each."""

    def position(self, broker: str) -> int:
        """Give the position of the last entry that a broker is noted to have been told; 0 for none."""

    def move(self, broker: str, position: int) -> None:
        """Note durably that a broker was told everything up to a position."""
