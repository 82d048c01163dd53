"""Registers and notes of work: ordinary data, kept once, cited by digest, and lost at no harm."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edged.book import Book
from edged.book.registers import CaseRow
from edged.errors import UnreadableError
from tests.unit.book_station import (
    CENTRAL,
    DOCKING,
    VAULT,
    classified,
    copied,
    derived,
    docked,
    odd,
    open_book,
    sealed,
    sg,
)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(tmp_path)
    yield book
    book.close()


def case(name: str, record: str = "{}") -> CaseRow:
    return CaseRow(case=name, record=record, source="0" * 64)


def seal(book: Book, *names: str, important: tuple[str, ...] = ()) -> None:
    if book.facts.docking(DOCKING) is None:
        book.ledger.append(docked({})[0])
    book.ledger.append(*(sealed(name, name.encode(), important=name in important) for name in names))


# ----------------------------------------------------------------------------------------- reasons and documents


def test_reason_is_cited_by_its_salted_digest(book: Book) -> None:
    text = "按案件编号导出"
    reason = book.registers.add_reason(code="export", text=text)
    kept = book.registers.reason(reason.text)
    assert kept is not None
    salt, words = kept
    assert words == text
    assert len(salt) == 32
    assert reason.text == hashlib.sha256(salt.encode() + text.encode()).hexdigest()


def test_same_words_are_salted_anew_each_time(book: Book) -> None:
    assert book.registers.add_reason(code="c", text="t").text != book.registers.add_reason(code="c", text="t").text


def test_reason_that_was_removed_is_gone_and_its_entry_stands(book: Book) -> None:
    reason = book.registers.add_reason(code="c", text="t")
    with book.database.write() as connection:
        connection.execute("DELETE FROM reason_text")
    assert book.registers.reason(reason.text) is None


def test_document_that_is_not_there_is_unreadable(book: Book) -> None:
    with pytest.raises(UnreadableError, match="no document"):
        book.registers.document("0" * 64)


# ----------------------------------------------------------------------------------------------------- cases


def test_records_of_cases_are_kept_once_and_in_order(book: Book) -> None:
    rows = [case("b", about(n=1)), case("a", about(n=2)), case("b", about(n=1)), case("b", about(n=3))]
    book.registers.add_cases(rows)
    book.registers.add_cases(rows)
    assert cases(book) == [about(n=1), about(n=2), about(n=3)]


@pytest.mark.parametrize(
    ("record", "is_meant"),
    [
        ({}, True),
        ({"officer": "P2"}, True),
        ({"recorder": "rec-2"}, False),
        ({"recorder": None}, True),
        ({"recorder": None, "officer": "P2"}, False),
        ({"from": "2026-11-23T00:30:00+14:00", "until": "2026-11-23T09:00:00+14:00"}, True),
        ({"from": "2026-11-20T00:30:00-12:00", "until": "2026-11-20T09:00:00-12:00"}, True),
        ({"from": "2026-11-26T08:00:00+08:00", "until": "2026-11-26T09:00:00+08:00"}, False),
        ({"from": "2026-11-16T08:00:00+08:00", "until": "2026-11-16T09:00:00+08:00"}, False),
        ({"from": "2020-01-01T00:00:00+08:00", "until": "2030-01-01T00:00:00+08:00"}, True),
    ],
)
def test_footage_is_compared_with_what_may_mean_it(
    book: Book, record: dict[str, str | None], *, is_meant: bool
) -> None:
    text = about(**record)
    book.registers.add_cases([case("a", text)])
    assert cases(book) == ([text] if is_meant else [])


def test_time_at_the_end_of_the_calendar_meets_every_record(book: Book) -> None:
    book.registers.add_cases([case("a", about())])
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert book.registers.cases_about(recorder="rec-1", officer=None, begin=first, end=last) == [about()]


def about(**changes: object) -> str:
    """Give a record of recorder rec-1 and officer P1 on 21 November."""
    record = {"recorder": "rec-1", "officer": "P1", "from": "2026-11-21T08:00:00+08:00"}
    return json.dumps(record | {"until": "2026-11-21T09:00:00+08:00"} | changes)


def cases(book: Book) -> list[str]:
    """Give what footage of rec-1 by P1 may be meant by."""
    begin = datetime(2026, 11, 21, 8, 10, tzinfo=UTC)
    return book.registers.cases_about(recorder="rec-1", officer="P1", begin=begin, end=begin + timedelta(minutes=5))


def test_records_of_one_file_are_kept_together_or_not_at_all(book: Book) -> None:
    broken = CaseRow(case="c", record=None, source="0" * 64)  # type: ignore[arg-type]
    book.registers.add_cases([case("a", about())])
    with pytest.raises(sqlite3.IntegrityError):
        book.registers.add_cases([case("b", about(n=1)), broken])
    assert cases(book) == [about()]


# ------------------------------------------------------------------------------------------------------ work


def test_upload_is_taken_up_where_it_was_left(book: Book) -> None:
    work = book.work
    assert work.load("key") is None
    work.begin("key", "upload-1")
    assert work.load("key") == ("upload-1", {})
    work.done("key", 2, "two")
    work.done("key", 1, "one")
    work.done("key", 1, "one again")
    assert work.load("key") == ("upload-1", {1: "one again", 2: "two"})
    work.begin("key", "upload-2")
    assert work.load("key") == ("upload-2", {})
    work.done("key", 1, "new")
    work.forget("key")
    work.forget("key")
    assert work.load("key") is None
    work.begin("key", "upload-3")
    assert work.load("key") == ("upload-3", {})


def test_part_of_an_upload_that_is_not_known_is_refused(book: Book) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        book.work.done("key", 1, "etag")


def test_published_tiles_are_noted_by_epoch(book: Book) -> None:
    assert book.work.tiles_published(1) == 0
    book.work.tiles_are_published(1, 256)
    book.work.tiles_are_published(1, 300)
    assert (book.work.tiles_published(1), book.work.tiles_published(2)) == (300, 0)


# ----------------------------------------------------------------------------------------------- what is due


def due(book: Book, store: str = VAULT, *, after: int = 0, most: int = 10) -> list[str]:
    return [row.path for row in book.facts.without_replica(store, after=after, most=most)]


def test_what_lacks_a_copy_is_due_important_first_then_oldest(book: Book) -> None:
    seal(book, "a", "b", "c", important=("b",))
    assert due(book) == ["b", "a", "c"]
    assert due(book, most=2) == ["b", "a"]
    book.ledger.append(copied(sg(b"b")))
    assert due(book) == ["a", "c"]
    assert due(book, CENTRAL) == ["b", "a", "c"]
    book.work.settle(sg(b"a"), "replicate vault", "cannot be read")
    assert due(book) == ["c"]


def test_what_lies_before_a_position_is_not_asked_for_again(book: Book) -> None:
    seal(book, "a", "b")
    assert due(book, after=book.facts.last_segment_position()) == []
    seal(book, "c")
    assert due(book, after=book.facts.last_segment_position() - 1) == ["c"]


def test_segment_is_due_to_be_classified_once(book: Book) -> None:
    seal(book, "a", "b")
    assert [row.path for row in book.facts.unclassified(after=0, most=10)] == ["a", "b"]
    book.ledger.append(classified(sg(b"a")))
    assert [row.path for row in book.facts.unclassified(after=0, most=10)] == ["b"]


def test_anomalies_about_a_segment_are_told_by_kind(book: Book) -> None:
    seal(book, "a")
    about = {"subject": {"kind": "segment", "id": sg(b"a")}}
    body = odd("one").model_validate(odd("one").model_dump() | about)
    book.ledger.append(body, body.model_copy(update={"kind": "two"}), odd("one"))
    assert len(book.facts.anomalies_about(sg(b"a"), "one")) == 1
    assert book.facts.anomalies_about(sg(b"b"), "one") == []


def test_derivatives_of_a_segment_are_its_newest_of_each_kind(book: Book) -> None:
    seal(book, "a")
    book.ledger.append(derived(sg(b"a"), made=b"1"), derived(sg(b"a"), "proxy"), derived(sg(b"a"), made=b"three"))
    assert {row.kind: row.bytes for row in book.facts.derivatives(sg(b"a"))} == {"poster": 5, "proxy": 7}
