"""A mark of importance that comes later, in the name under which a file is met again, counts like any other."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from edged.book.rebuilding import differences
from edged.book.registers import CaseRow
from edged.clock import SystemClock
from edged.evidence import bodies
from edged.evidence.digests import sha256_hex
from edged.evidence.entry import parse
from edged.evidence.ids import CaseId, DockingId, MatterId, StageId, StationId
from edged.rules.cases import CaseRecord
from edged.station.assembly import build
from edged.station.creation import NewStation, create
from edged.station.jobs.classify import ClassifyJob
from edged.station.parts import Parts
from tests.unit.book_station import RECORDER, docked, sealed, sg, sighted, undocked
from tests.unit.stored_station import NEVER

FIRST, LATER = DockingId("dk-20261121-00000001"), DockingId("dk-20261122-00000001")
PLAIN, MARKED, SIDE, OTHER = "a.mp4", "a_IMP.mp4", "a.txt", "b.mp4"
FILM: Final = b"film"


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """A station with footage of one case, a side file of it, and another recording of the same case."""
    places = {"config": tmp_path / "config", "state": tmp_path / "state", "root_key": tmp_path / "root.key"}
    create(NewStation(station=StationId("st-01"), domain="example.org", zone="UTC", **places), SystemClock())
    parts = build(tmp_path / "config", SystemClock())
    tell_case(parts)
    body, document = docked({PLAIN: FILM, SIDE: b"side", OTHER: b"other"}, FIRST)
    parts.book.ledger.append(body, documents=[document])
    parts.book.ledger.append(
        sealed(PLAIN, FILM, docking=FIRST),
        sealed(SIDE, b"side", docking=FIRST, side_of=sg(FILM)),
        sealed(OTHER, b"other", docking=FIRST),
        undocked(FIRST, "kept", 3),
    )
    yield parts
    parts.book.close()


def tell_case(parts: Parts) -> None:
    record = CaseRecord(
        case=CaseId("C-1"),
        matter=MatterId("police-response"),
        stage=StageId("start"),
        recorder=RECORDER,
        from_=datetime(2026, 11, 20, tzinfo=UTC),
        until=datetime(2026, 11, 23, tzinfo=UTC),
    )
    row = CaseRow(case=record.case, record=json.dumps(record.plain(), sort_keys=True), source=sha256_hex(b"feed"))
    parts.book.registers.add_cases([row])


def meet_again(parts: Parts, path: str = MARKED, data: bytes = FILM, **further: Any) -> None:
    if parts.book.facts.docking(LATER) is None:
        body, document = docked({path: data}, LATER)
        parts.book.ledger.append(body, documents=[document])
    parts.book.ledger.append(sighted(path, sg(data), LATER, **further))


def work(parts: Parts, job: ClassifyJob | None = None) -> None:
    job = job or ClassifyJob(parts)
    while job.step(NEVER):
        pass


def terms(parts: Parts) -> list[str]:
    """Give the terms of film, side file and other recording; `years` stands for a date."""
    rows = [parts.book.facts.classification(sg(data)) for data in (FILM, b"side", b"other")]
    return [
        "none" if row is None else row.retain_until if row.retain_until in {"permanent", "undetermined"} else "a date"
        for row in rows
    ]


def said(parts: Parts) -> int:
    return len(parts.book.ledger.positions_of_type("classification"))


def test_mark_in_a_later_name_makes_the_term_longer_of_the_file_and_what_belongs_to_it(parts: Parts) -> None:
    job = ClassifyJob(parts)
    work(parts, job)
    assert terms(parts) == ["a date"] * 3
    first = parts.book.facts.classification(sg(FILM))
    assert first is not None
    meet_again(parts, important=True)
    work(parts, job)
    assert terms(parts) == ["permanent", "permanent", "a date"]
    entries = [parse(parts.book.ledger.bytes_at(at)) for at in parts.book.ledger.positions_of_type("classification")]
    again = [entry.body for entry in entries if isinstance(entry.body, bodies.Classification)][3:]
    assert [(body.segment, body.case) for body in again] == [(sg(FILM), "C-1"), (sg(b"side"), "C-1")]
    assert again[0].supersedes == first.ref
    work(parts, job)
    work(parts)
    assert said(parts) == 5


def test_mark_that_came_while_the_daemon_was_down_is_found_at_its_start(parts: Parts) -> None:
    work(parts)
    meet_again(parts, important=True)
    work(parts)
    assert terms(parts) == ["permanent", "permanent", "a date"]


def test_mark_before_the_first_classification_counts_at_once(parts: Parts) -> None:
    meet_again(parts, important=True)
    work(parts)
    assert terms(parts) == ["permanent", "permanent", "a date"]
    assert said(parts) == 3


def test_mark_is_not_taken_back_by_a_name_without_it(parts: Parts) -> None:
    meet_again(parts, important=True)
    meet_again(parts, PLAIN)
    work(parts)
    assert terms(parts)[0] == "permanent"


@pytest.mark.parametrize("further", [{}, {"important": False}, {"important": 1}, {"important": "true"}])
def test_only_a_mark_is_one(parts: Parts, further: dict[str, Any]) -> None:
    work(parts)
    meet_again(parts, **further)
    work(parts)
    assert terms(parts) == ["a date"] * 3
    assert said(parts) == 3
    row = parts.book.facts.segment(sg(FILM))
    assert row is not None
    assert row.important == 0


def test_many_marks_are_all_found(parts: Parts) -> None:
    many = {f"{number}.mp4": b"%d" % number for number in range(150)}
    parts.book.ledger.append(*(sealed(path, data, docking=FIRST) for path, data in many.items()))
    job = ClassifyJob(parts)
    work(parts, job)
    for path, data in many.items():
        meet_again(parts, f"IMP/{path}", data, important=True)
    work(parts, job)
    rows = [parts.book.facts.classification(sg(data)) for data in many.values()]
    assert {row.retain_until for row in rows if row is not None} == {"permanent"}


def test_book_made_anew_knows_the_marks(parts: Parts) -> None:
    work(parts)
    meet_again(parts, important=True)
    row = parts.book.facts.segment(sg(FILM))
    assert row is not None
    assert row.important == 1
    assert list(differences(parts.book.database)) == []
