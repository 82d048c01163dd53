"""Gathers what the receipt of a docking says, from book and configuration: also beside a running daemon or without it.

A receipt is of a docking that is over. Its code is there once the entry that ended it lies under a checkpoint that
central storage holds: before that, the ledger could still lose it.
"""

from dataclasses import dataclass
from typing import Any

from edged.book import Book
from edged.book.facts import DockingRow
from edged.book.ledger import Place
from edged.clock import rfc3339
from edged.config import StationConfig
from edged.errors import UnavailableError, UnreadableError, UsageError
from edged.evidence import bodies
from edged.evidence.entry import Entry, parse, reference
from edged.evidence.ids import DockingId
from edged.evidence.receipts import Receipt, format_receipt, receipt
from edged.evidence.text import to_base64
from edged.evidence.verification.words import Words
from edged.station.receipt_reasons import NotedKind, noted_kinds, why_left

_WHICH = ("docking", "bay", "last")


@dataclass(frozen=True, kw_only=True)
class DockingReceipt:
    """What the receipt of one docking says."""

    station: str
    zone: str
    """The station's, in which its paper shows times."""
    docking: DockingRow
    ended: str
    """Station clock, RFC 3339."""
    counts: dict[str, int]
    """Files `sealed`, `sighted`, `wiped`, and `findings`: anomalies of the docking."""
    noted: tuple[NotedKind, ...]
    why_left: tuple[Words, ...]
    """Why files were left on the recorder, if any were."""
    place: Place
    """Of the entry that ended it."""
    ref: str
    paper: Receipt | None
    """None as long as no published checkpoint covers that entry."""

    def plain(self) -> dict[str, object]:
        """Give the receipt as plain values, with the text of its code."""
        docking, paper = self.docking, self.paper
        return {
            "station": self.station,
            "zone": self.zone,
            "docking": docking.docking,
            "recorder": docking.recorder,
            "officer": docking.officer,
            "bay": docking.bay,
            "began": docking.began,
            "ended": self.ended,
            "outcome": docking.outcome,
            "files": docking.files,
            "bytes": docking.bytes,
            **self.counts,
            "left": docking.remaining,
            "why_left": [{"en": words.en, "zh": words.zh} for words in self.why_left],
            "noted": [each.plain() for each in self.noted],
            "entry": {"epoch": self.place.epoch, "seq": self.place.seq, "reference": self.ref},
            "checkpoint": None
            if paper is None
            else {
                "origin": paper.checkpoint.origin,
                "size": paper.checkpoint.size,
                "root": to_base64(paper.checkpoint.root),
                "note": paper.note().decode(),
            },
            "code": None if paper is None else format_receipt(paper),
        }


def asked_receipt(book: Book, arguments: dict[str, Any], config: StationConfig) -> DockingReceipt:
    """Give the receipt that is asked for: of `docking` ID, of the newest in `bay` ID, or of the `last` that ended.

    Raises UsageError for anything else, and for what is not there; UnavailableError for a docking that goes on.
    """
    given = {key: value for key, value in arguments.items() if value}
    if len(given) != 1 or not given.keys() <= set(_WHICH):
        raise UsageError("A receipt is of one docking.", hint="Name the docking, or a bay, or ask for the last one.")
    if any(value is not True if key == "last" else not isinstance(value, str) for key, value in given.items()):
        raise UsageError("The id of a docking or bay is text, and `last` is true.")
    with book.database.snapshot():
        return _receipt(book, _chosen(book, **given), config)


def _chosen(book: Book, *, docking: str = "", bay: str = "", last: bool = False) -> DockingRow:
    facts = book.facts
    if last:
        ended = _last_ended(book)
        row = None if ended is None else facts.docking(ended)
        missing = "No docking has ended yet."
    elif bay:
        row, missing = facts.last_docking_in(bay), f"Nothing was ever docked in bay {bay}."
    else:
        row, missing = facts.docking(docking), f"There is no docking {docking}."
    if row is None:
        raise UsageError(missing, hint="`edged ledger show --type docking` lists them.")
    return row


def _last_ended(book: Book) -> DockingId | None:
    """Give the docking that ended last; one whose epoch is closed counts as any other."""
    for epoch in reversed(book.ledger.epochs()):
        data = book.ledger.log(epoch).last_of_type("undocking")
        if data is not None and isinstance(body := parse(data).body, bodies.Undocking):
            return body.docking
    return None


def _receipt(book: Book, docking: DockingRow, config: StationConfig) -> DockingReceipt:
    position = book.facts.undocking_of(docking.docking)
    if docking.outcome is None or position is None:
        raise UnavailableError(
            f"Docking {docking.docking} of {docking.recorder} is not over.", hint="Its receipt comes when it is."
        )
    data = book.ledger.bytes_at(position)
    place = book.ledger.place(position)
    counts, noted = book.facts.receipt_counts(docking.docking), noted_kinds(book, docking)
    not_taken = max(0, docking.files - counts["sealed"] - counts["sighted"])
    return DockingReceipt(
        station=book.ledger.station,
        zone=config.station.zone,
        docking=docking,
        ended=rfc3339(_undocking(data, docking.docking).time),
        counts=counts,
        noted=noted,
        why_left=why_left(book, docking, noted, config, not_taken=not_taken),
        place=place,
        ref=reference(data),
        paper=_paper(book, place, data),
    )


def _undocking(data: bytes, docking: DockingId) -> Entry:
    entry = parse(data)
    if not isinstance(entry.body, bodies.Undocking) or entry.body.docking != docking:
        raise UnreadableError(f"The book names another entry as the end of {docking}.", hint="Run `edged check`.")
    return entry


def _paper(book: Book, place: Place, data: bytes) -> Receipt | None:
    log = book.ledger.log_of(place.epoch)
    covering = log.checkpoint_covering(place.seq)
    if covering is None or log.published_size() < covering[0]:
        return None
    return receipt(covering[1], place.seq, reference(data))
