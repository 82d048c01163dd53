"""What the book keeps for speed is what its entries say, whatever came in which order, and can be made anew."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.book import Book
from edged.book.projections import PROJECTIONS
from edged.book.rebuilding import differences
from edged.evidence import bodies
from edged.evidence.ids import DockingId, EpochId, RecorderId, SegmentId, StoreId
from tests.unit.book_station import (
    CENTRAL,
    DOCKING,
    RECORDER,
    STATION,
    VAULT,
    Ticking,
    begin,
    classified,
    cleared,
    close,
    copied,
    derived,
    docked,
    odd,
    open_book,
    reason,
    sealed,
    sg,
    sighted,
    stamped,
    undocked,
    wiped,
)

Moves = list[tuple[str, int, int]]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """A book in which each projection holds something."""
    book = open_book(tmp_path)
    body, document = docked({"a.mp4": b"a", "b.mp4": b"b"})
    append = book.ledger.append
    append(body, documents=[document])
    append(sealed("a.mp4", b"a"), sighted("b.mp4", sg(b"a")))
    proofs = [append(copied(sg(b"a"), store))[0].ref for store in (VAULT, CENTRAL)]
    append(classified(sg(b"a"), case="case-1"), derived(sg(b"a")), odd("odd", docking=DOCKING))
    clearance = append(cleared([(sg(b"a"), "a.mp4")], proofs))[0].ref
    append(wiped("a.mp4", b"a", clearance), undocked(outcome="kept", remaining=1))
    append(bodies.Retire(segment=sg(b"a"), store=StoreId("attic"), proofs=()))
    append(stamped(), documents=[b"token"])
    yield book
    book.close()


class Play:
    """Turns moves into entries that are valid where the book then stands."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.dockings: list[tuple[DockingId, RecorderId]] = []
        self.segments: list[tuple[SegmentId, DockingId, str, bytes]] = []
        self.sealed: set[SegmentId] = set()
        self.epochs = 0

    def make(self, move: str, a: int, b: int) -> None:
        getattr(self, move)(a, b)

    def dock(self, a: int, _: int) -> None:
        name, recorder = DockingId(f"dk-{len(self.dockings)}"), RecorderId(f"rec-{a % 3}")
        body, document = docked({"a": b"a"}, name, recorder=recorder)
        self.book.ledger.append(body, documents=[document])
        self.dockings.append((name, recorder))

    def seal(self, a: int, b: int) -> None:
        if not self.dockings:
            return
        docking, recorder = self.dockings[a % len(self.dockings)]
        data, path = f"{b % 7}".encode(), f"folder/{b % 5}.mp4"
        segment = sg(data, recorder)
        if segment in self.sealed:
            marked = {"important": True} if b % 3 == 0 else {}
            self.book.ledger.append(sighted(path, segment, docking, **marked))
        else:
            quarantine = bodies.Quarantine(code="unequal", unreadable=(), second_sha256=None) if b % 4 == 0 else None
            media = bodies.Media(container="mp4", video="h264", audio=None, duration_ms=b) if b % 2 else None
            body = sealed(path, data, docking=docking, recorder=recorder, quarantine=quarantine)
            self.book.ledger.append(body.model_copy(update={"media": media} if media else {}))
            self.sealed.add(segment)
        self.segments.append((segment, docking, path, data))

    def copy(self, a: int, b: int) -> None:
        for segment, *_ in self.pick(a):
            self.book.ledger.append(copied(segment, StoreId(f"store-{b % 2}"), checksum=f"{b}"))

    def retire(self, a: int, b: int) -> None:
        for segment, *_ in self.pick(a):
            self.book.ledger.append(bodies.Retire(segment=segment, store=StoreId(f"store-{b % 2}"), proofs=()))

    def classify(self, a: int, b: int) -> None:
        for segment, *_ in self.pick(a):
            until = ("undetermined", "permanent", "2030-01-01")[b % 3]
            self.book.ledger.append(classified(segment, until=until, case=None if b % 2 else f"case-{b}"))

    def derive(self, a: int, b: int) -> None:
        for segment, *_ in self.pick(a):
            self.book.ledger.append(derived(segment, ("poster", "proxy")[b % 2], str(b).encode()))

    def clear(self, a: int, b: int) -> None:
        for segment, docking, path, data in self.pick(a):
            ref = self.book.ledger.append(cleared([(segment, path)], [], docking))[0].ref
            if b % 4:
                outcome = ("gone", "present", "unknown")[b % 3]
                self.book.ledger.append(wiped(path, data, ref, docking=docking, outcome=outcome))

    def undock(self, a: int, b: int) -> None:
        for docking, _ in self.dockings[a % 8 : a % 8 + 1]:
            outcome = ("cleared", "interrupted", "kept")[b % 3]
            self.book.ledger.append(undocked(docking, outcome, b))

    def hold(self, a: int, b: int) -> None:
        kinds = ("segment", "case", "recorder", "officer", "docking")
        name = f"sg-{b:032x}" if a % 5 == 0 else f"id-{b}"
        subject = bodies.Subject(kind=kinds[a % 5], id=name)  # type: ignore[arg-type]
        self.book.ledger.append(
            bodies.Hold(hold=f"hold-{b}", subject=subject, action="placed", reason=reason(), reference=None),
            odd("odd", subject=subject),
        )

    def turn(self, *_: int) -> None:
        self.book.ledger.append(close())
        self.epochs += 1
        begin(self.book, EpochId(f"2027-01-{self.epochs:04x}"))

    def pick(self, a: int) -> list[tuple[SegmentId, DockingId, str, bytes]]:
        return [self.segments[a % len(self.segments)]] if self.segments else []


_moves = ("dock", "seal", "copy", "retire", "classify", "derive", "clear", "undock", "hold", "turn")
numbers = st.integers(min_value=0, max_value=20)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(_moves), numbers, numbers), max_size=40))
def test_projections_made_anew_are_the_live_ones(moves: Moves) -> None:
    with TemporaryDirectory() as folder:
        book = open_book(Path(folder))
        play = Play(book)
        for move in [("dock", 0, 0), ("seal", 0, 1), *moves]:
            play.make(*move)
        assert list(differences(book.database)) == []
        assert book.database.problems() == []
        book.close()


def test_each_projection_holds_something(book: Book) -> None:
    with book.database.reading() as connection:
        for table in PROJECTIONS:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0, table  # noqa: S608
    assert list(differences(book.database)) == []


@pytest.mark.parametrize("table", PROJECTIONS)
def test_missing_rows_are_found(book: Book, table: str) -> None:
    tamper(book, f"DELETE FROM {table}")  # noqa: S608
    assert any(f"Table {table} differs" in text for text in differences(book.database))


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("names", "UPDATE names SET id = 'dk-other' WHERE kind = 'docking'"),
        ("anchor", "UPDATE anchor SET moment = '2020-01-01T00:00:00.000Z'"),
        ("anomaly", "UPDATE anomaly SET kind = 'harmless'"),
        ("clearance", "UPDATE clearance SET outcome = 'present'"),
        ("derivative", "UPDATE derivative SET bytes = 1"),
        ("classification", "UPDATE classification SET retain_until = '2026-11-22'"),
        ("replica", "UPDATE replica SET checksum = 'other' WHERE store = 'central'"),
        ("retired", "UPDATE retired SET gone = 1"),
        ("found", "UPDATE found SET how = 'sealed'"),
        ("segment", "UPDATE segment SET officer = '110203'"),
        ("docking", "UPDATE docking SET outcome = NULL"),
        ("found", "INSERT INTO found SELECT docking, 'c.mp4', segment, how, position FROM found WHERE path = 'a.mp4'"),
    ],
)
def test_row_that_was_altered_or_added_is_found(book: Book, table: str, change: str) -> None:
    tamper(book, change)
    found = [text for text in differences(book.database) if not text.startswith("Table total ")]
    assert len(found) == 1
    assert found[0].startswith(f"Table {table} differs from what the entries say: ")


def test_total_that_was_altered_is_found(book: Book) -> None:
    tamper(book, "UPDATE total SET bytes = bytes + 1")
    assert [text.partition(" differs")[0] for text in differences(book.database)] == ["Table total"]


def tamper(book: Book, statement: str) -> None:
    with book.database.reading() as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement)
        connection.execute("PRAGMA foreign_keys = ON")


def test_entry_that_cannot_be_read_is_told_and_the_rest_is_compared(book: Book) -> None:
    tamper(book, "DROP TRIGGER entry_is_final")
    tamper(book, "UPDATE entry SET bytes = x'7b' WHERE type = 'derivative'")
    found = list(differences(book.database))
    assert found[0].startswith("The entry at position 8 cannot be projected: ")
    assert any(text.startswith("Table derivative differs") for text in found)
    assert not any("Table segment" in text for text in found)


def test_entry_that_lies_there_twice_is_told(book: Book) -> None:
    tamper(book, "DROP TRIGGER entry_comes_next")
    columns = "epoch, seq, ref, type, bytes"
    twice = "SELECT 1, 99, upper(ref), type, bytes FROM entry WHERE seq = 1"
    tamper(book, f"INSERT INTO entry ({columns}) {twice}")
    assert any("cannot be projected" in text for text in differences(book.database))


def test_rebuilding_beside_a_running_writer_finds_nothing_wrong(book: Book, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            book.ledger.append(sealed(f"{number}.mp4", f"{number}".encode()), odd("more", docking=DOCKING))

    writer = threading.Thread(target=write)
    writer.start()
    reader = Book(tmp_path, station=STATION, clock=Ticking(), read_only=True)
    try:
        found = [list(differences(reader.database)) for _ in range(10)]
    finally:
        stop.set()
        writer.join()
        reader.close()
    assert found == [[]] * 10


def test_rebuilding_changes_nothing(book: Book) -> None:
    before = [tuple(row) for row in rows(book, "SELECT * FROM segment")], book.ledger.size()
    list(differences(book.database))
    assert ([tuple(row) for row in rows(book, "SELECT * FROM segment")], book.ledger.size()) == before
    assert [row[1] for row in rows(book, "PRAGMA database_list")] == ["main"]


def rows(book: Book, statement: str) -> list[sqlite3.Row]:
    with book.database.reading() as connection:
        return connection.execute(statement).fetchall()


# ------------------------------------------------------------------------------------- what the projections say


def test_docking_is_open_until_it_ends(book: Book) -> None:
    later = DockingId("dk-later")
    assert book.facts.open_dockings() == []
    body, document = docked({}, later)
    book.ledger.append(body)
    # Without its inventory nothing can be compared with it.
    lost = book.facts.last_docking(RECORDER)
    assert lost is not None
    assert lost.docking == DOCKING
    book.ledger.append(odd("something"), documents=[document])
    assert [row.docking for row in book.facts.open_dockings()] == [later]
    newest = book.facts.last_docking(RECORDER)
    assert newest is not None
    assert (newest.docking, newest.outcome, newest.remaining) == (later, None, None)
    before = book.facts.docking(DOCKING)
    assert before is not None
    assert (before.outcome, before.remaining, before.files) == ("kept", 1, 2)


def test_what_a_docking_found_is_told_by_path(book: Book) -> None:
    found = book.facts.found(DOCKING)
    assert {path: (row.segment, row.how) for path, row in found.items()} == {
        "a.mp4": (sg(b"a"), "sealed"),
        "b.mp4": (sg(b"a"), "sighted"),
    }
    assert book.facts.found_at(DOCKING, "b.mp4") == found["b.mp4"]
    assert book.facts.found_at(DOCKING, "c.mp4") is None


def test_segment_is_known_by_path_and_size_of_its_newest_docking(book: Book) -> None:
    at: Callable[..., Any] = book.facts.segment_last_found_at
    known = at(recorder=RECORDER, path="b.mp4", size_bytes=1)
    assert known is not None
    assert known.segment == sg(b"a")
    assert at(recorder=RECORDER, path="b.mp4", size_bytes=2) is None
    assert at(recorder="rec-0002", path="b.mp4", size_bytes=1) is None
    later = DockingId("dk-later")
    book.ledger.append(docked({}, later)[0], sealed("b.mp4", b"c", docking=later))
    assert at(recorder=RECORDER, path="b.mp4", size_bytes=1).segment == sg(b"c")


def test_what_a_recorder_held_last_at_a_path_is_not_what_a_person_handed_in(book: Book) -> None:
    at: Callable[..., Any] = book.facts.last_at_path
    assert at(recorder=RECORDER, path="b.mp4", but="dk-now").segment == sg(b"a")
    by_hand = docked({}, DockingId("dk-hand"))[0].model_copy(update={"bay": "intake-1"})
    book.ledger.append(by_hand, sealed("b.mp4", b"cut", docking=DockingId("dk-hand")))
    assert at(recorder=RECORDER, path="b.mp4", but="dk-now").segment == sg(b"a")


def test_file_cleared_again_waits_for_its_outcome_again(book: Book) -> None:
    assert book.facts.clearances(DOCKING)["a.mp4"].outcome == "gone"
    ref = book.ledger.append(cleared([(sg(b"a"), "a.mp4")], []))[0].ref
    again = book.facts.clearances(DOCKING)["a.mp4"]
    assert (again.ref, again.outcome) == (ref, None)


def test_newest_copy_and_classification_are_the_ones_in_force(book: Book) -> None:
    segment = sg(b"a")
    book.ledger.append(copied(segment, CENTRAL, checksum="newer"), classified(segment, until="permanent"))
    assert {row.store: row.checksum for row in book.facts.replicas(segment)} == {VAULT: "sum", CENTRAL: "newer"}
    in_force = book.facts.classification(segment)
    assert in_force is not None
    assert (in_force.retain_until, in_force.case) == ("permanent", None)
    assert book.facts.segments_of_case("case-1") == []


def test_retired_copy_is_no_proof_any_more(book: Book) -> None:
    book.ledger.append(bodies.Retire(segment=sg(b"a"), store=CENTRAL, proofs=()))
    assert [row.store for row in book.facts.replicas(sg(b"a"))] == [VAULT]


def test_retired_vault_copy_is_asked_for_by_nobody_until_it_is_there_again(book: Book) -> None:
    def asked_for() -> list[bool]:
        facts = book.facts
        return [
            bool(facts.without_replica(VAULT, after=0, most=9)),
            bool(facts.without_replica("other", after=0, most=9)),
            bool(facts.without_derivative("proxy", after=0, most=9)),
            bool(facts.not_retired(VAULT, before="2999", after=0, most=9)),
            bool(facts.retiring(VAULT, after=0, most=9)),
        ]

    segment = sg(b"b")
    media = bodies.Media(container="mp4", video=None, audio=None, duration_ms=None)
    book.ledger.append(sealed("b2.mp4", b"b").model_copy(update={"media": media}), classified(segment))
    book.ledger.append(copied(segment))
    book.ledger.append(bodies.Retire(segment=sg(b"a"), store=VAULT, proofs=()))
    assert asked_for() == [False, True, True, True, True]
    retire = bodies.Retire(segment=segment, store=VAULT, proofs=())
    book.ledger.append(retire)
    assert asked_for() == [False, False, False, False, True]
    assert book.facts.totals()["retired"] == 2
    assert book.facts.retired(segment, VAULT).gone == 0  # type: ignore[union-attr]
    for each in (sg(b"a"), segment):
        book.ledger.append(bodies.Retire.model_validate(retire.plain() | {"segment": each, "phase": "done"}))
    assert asked_for() == [False, False, False, False, False]
    assert book.facts.retired(segment, VAULT).gone == 1  # type: ignore[union-attr]
    book.ledger.append(copied(segment))
    assert asked_for() == [False, True, True, True, False]
    assert book.facts.retired(segment, VAULT) is None
    assert list(differences(book.database)) == []


def test_totals_count_what_is_there(book: Book) -> None:
    assert book.facts.totals() == {
        "segments": 1,
        "bytes": 1,
        "quarantined": 0,
        "reread": 1,
        "replicated": 1,
        "retired": 0,
        "undetermined": 1,
        "wiped": 1,
        "anomalies": 1,
        "dockings": 1,
    }


def test_unsettled_segments_come_in_the_order_they_were_sealed(book: Book) -> None:
    names = [f"{number}".encode() for number in range(5)]
    book.ledger.append(*(sealed(f"{name!r}.mp4", name) for name in names))
    # Classified in another order, one of them with a term and a case, one with a case alone.
    for name in reversed(names[1:4]):
        book.ledger.append(classified(sg(name)))
    book.ledger.append(classified(sg(names[4]), until="permanent", case="case-2"))
    book.ledger.append(classified(sg(names[0]), until="permanent"))
    unsettled = [row.segment for row in book.facts.unsettled(after=0, most=10)]
    assert unsettled == [sg(b"a"), *(sg(name) for name in names[:4])]
    page = book.facts.undetermined(after=0, most=2)
    assert [row.segment for row in page] == [sg(b"a"), sg(names[1])]
    behind = book.facts.undetermined(after=page[-1].position, most=10)
    assert [row.segment for row in behind] == [sg(names[2]), sg(names[3])]
