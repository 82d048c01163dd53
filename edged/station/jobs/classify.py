"""Takes in the case feed, and ties sealed segments to cases by it."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from edged.book.facts import ClassificationRow, SegmentRow
from edged.book.registers import CaseRow
from edged.cases.feed import FeedFile
from edged.cases.folder import FeedFolder
from edged.clock import from_rfc3339
from edged.evidence.bodies import Anomaly, Subject
from edged.evidence.entry import parse
from edged.rules.cases import CaseRecord, SegmentClaims
from edged.rules.classification import ClassificationFact, Contradiction, Decision, classify, supersede
from edged.station.due import Due, Mark
from edged.station.parts import Parts
from edged.station.worker import IDLE_SECONDS

_log = logging.getLogger(__name__)

_BATCH = 64


class FeedJob:
    """Takes case files that rest in the feed's folder into the register of cases."""

    name = "case feed"
    idle_seconds = 2.0
    put_off = 0

    def __init__(self, parts: Parts, feed: FeedFolder, *, on_cases: Callable[[], None]) -> None:
        self._parts = parts
        self._feed = feed
        self._on_cases = on_cases

    def step(self, stop: threading.Event) -> bool:
        """Take in what rests; raises UnavailableError if the folder cannot be read."""
        if not stop.is_set() and self._feed.take(self._parts.clock.monotonic(), self._take_in):
            self._on_cases()
        return False

    def _take_in(self, file: FeedFile) -> None:
        rows = [
            CaseRow(case=record.case, record=json.dumps(record.plain(), sort_keys=True), source=file.sha256)
            for record in file.cases
        ]
        self._parts.book.registers.add_cases(rows)
        _log.info("%s told %d record%s", file.name, len(rows), "" if len(rows) == 1 else "s")
        if file.problems:
            text = f"{file.problems[0]} ({len(file.problems)} such sentences.)"
            self._parts.live.alarm("case file", text, "They lie beside the file in the feed's folder.")
        else:
            self._parts.live.calm("case file")


class ClassifyJob:
    """Classifies each segment once it is sealed, and what has no case or term again when the feed brings cases.

    What is met again marked as important, and was not so when it was sealed, is classified again with its side files.
    """

    name = "classify"
    idle_seconds = IDLE_SECONDS
    put_off = 0

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._due = Due(parts.book, "classify", parts.book.facts.unclassified)
        self._marked = Mark(parts.book.work, "classify marked")
        self._reconsidered: int | None = 0
        """Position up to which unsettled segments were looked at with the cases known now; None: all were."""

    def reconsider(self) -> None:
        """Look again at what has no case or term: there are new cases."""
        self._reconsidered = 0
        self._parts.pulse.beat()

    def step(self, stop: threading.Event) -> bool:
        """Classify a batch."""
        facts = self._parts.book.facts
        fresh = self._due.rows(_BATCH)
        if fresh and not stop.is_set():
            self._classify(fresh)
            return True
        if self._look_at_marked():
            return True
        after = self._reconsidered
        if after is None:
            return False
        again = facts.unsettled(after=after, most=_BATCH)
        if self._reconsidered == after:
            self._reconsidered = again[-1].position if again else None
        self._classify(again)
        return bool(again)

    def _look_at_marked(self) -> bool:
        """Look again at what was met marked as important since; gives whether there may be more."""
        book, after = self._parts.book, self._marked.position
        newest = book.ledger.last_position()
        found = [] if newest == after else book.facts.marked_again(after=after, most=_BATCH)
        for segment in found:
            self._classify([segment, *book.facts.side_files(segment.segment)])
        is_all = len(found) < _BATCH
        self._marked.move(newest if is_all else found[-1].marked_at)
        return not is_all

    def _classify(self, segments: Sequence[SegmentRow]) -> None:
        book = self._parts.book
        for segment in segments:
            claims = self._claims(segment)
            decision = classify(claims, self._records(claims), self._parts.catalogue, self._parts.policy)
            stands = book.facts.classification(segment.segment)
            outcome = supersede(None if stands is None else _fact(stands), decision)
            if isinstance(outcome, Decision):
                book.ledger.append(outcome.body(None if stands is None else stands.ref))
            elif isinstance(outcome, Contradiction):
                self._report(outcome)

    def _report(self, contradiction: Contradiction) -> None:
        """Say once that the feed contradicts a classification in force, which stays."""
        book, kind = self._parts.book, "classification-contradicted"
        detail: dict[str, JsonValue] = {"stands": contradiction.stands, "keys": list(contradiction.keys)}
        said = [parse(data).body for data in book.facts.anomalies_about(contradiction.segment, kind)]
        if not any(isinstance(body, Anomaly) and body.detail == detail for body in said):
            subject = Subject(kind="segment", id=contradiction.segment)
            book.ledger.append(Anomaly(kind=kind, docking=None, subject=subject, detail=detail))

    def _records(self, claims: SegmentClaims) -> list[CaseRecord]:
        """Give the records of the feed that a segment, or what it follows, may be meant by."""
        followed = claims.main or claims
        begin, end = followed.start or followed.end, followed.end or followed.start
        if begin is None or end is None:
            return []
        off = timedelta(milliseconds=abs(followed.uncertainty_ms))
        try:
            begin, end = begin - off, end + off
        except OverflowError:
            begin, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        found = self._parts.book.registers.cases_about(
            recorder=followed.recorder, officer=followed.officer, begin=begin, end=end
        )
        return [CaseRecord.from_plain(json.loads(text)) for text in found]

    def _claims(self, segment: SegmentRow) -> SegmentClaims:
        main = None if segment.side_of is None else self._parts.book.facts.segment(segment.side_of)
        return SegmentClaims(
            segment=segment.segment,
            recorder=segment.recorder,
            officer=segment.officer,
            start=None if segment.started is None else from_rfc3339(segment.started),
            end=None if segment.ended is None else from_rfc3339(segment.ended),
            uncertainty_ms=segment.uncertainty_ms,
            important=bool(segment.important),
            sealed_on=from_rfc3339(segment.sealed).astimezone(self._parts.zone).date(),
            main=None if main is None else self._claims(main),
        )


def _fact(row: ClassificationRow) -> ClassificationFact:
    return ClassificationFact(
        reference=row.ref,
        case=row.case,
        matter=row.matter,
        stage=row.stage,
        secrecy=row.secrecy,
        publicity=row.publicity,
        retain_until=row.retain_until,
        basis=row.basis,
    )
