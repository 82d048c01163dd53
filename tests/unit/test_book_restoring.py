"""A book that is behind is brought up to what was published; nothing that was signed ever leaves it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.book import Book
from edged.book.rebuilding import differences
from edged.book.restoring import Aside
from edged.errors import LedgerError
from edged.evidence import bodies
from edged.evidence.entry import parse, reference
from edged.evidence.ids import EpochId
from tests.unit.book_station import STATION, begin, close, docked, genesis, new_book, odd, open_book, sealed, sg

NEXT = EpochId("2026-12-cd34")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """A book whose first three entries are signed, and four more that are not."""
    book = open_book(tmp_path / "ours")
    body, document = docked({"a.mp4": b"a", "b.mp4": b"b", "c.mp4": b"c"})
    book.ledger.append(body, documents=[document])
    book.ledger.append(sealed("a.mp4", b"a"))
    sign(book)
    book.ledger.append(sealed("b.mp4", b"b"), sealed("c.mp4", b"c"), odd("strange"))
    yield book
    book.close()


def sign(book: Book) -> None:
    head = book.ledger.decide_head()
    book.ledger.keep_note(head, b"note of %d" % head.size)
    book.ledger.mark_published(head.size)


def twin(book: Book, folder: Path, *more: bodies.Body) -> tuple[list[bytes], bytes]:
    """Give the log that began as ours did and went on otherwise, and its root."""
    (first, *_) = book.ledger.epochs()
    other = new_book(folder)
    other.ledger.add_epoch(id=first.id, origin=first.origin)
    # The same first three entries, word for word.
    other.ledger.take_in(first.id, book.ledger.log(first).entries_between(0, 3))
    other.ledger.append(*more)
    size = other.ledger.size()
    found = other.ledger.entries_between(0, size), other.ledger.root(size)
    other.close()
    return found


def restore(book: Book, published: list[bytes], root: bytes, first: int = 3) -> list[Aside]:
    epoch = book.ledger.epoch
    with book.database.write():
        asides = book.restoration.set_aside(epoch, first)
        book.restoration.take_in(epoch, published[first:], note=b"theirs", size=len(published), root=root)
        book.ledger.leave_epoch()
        begin(book, NEXT)
        book.restoration.say_again(asides)
    return asides


def test_what_was_published_is_taken_in_and_what_was_not_is_said_again(book: Book, tmp_path: Path) -> None:
    published, root = twin(book, tmp_path / "theirs", odd("theirs"), sealed("b.mp4", b"b"))
    before = book.ledger.entries_between(3, 6)
    asides = restore(book, published, root)
    old, new = book.ledger.epochs()
    assert (old.state, new.state) == ("left", "open")
    log = book.ledger.log(old)
    assert log.entries_between(0, log.size()) == published
    assert (log.root(log.size()), log.newest_head()) == (root, log.heads()[-1])
    assert log.checkpoint_covering(4) == (5, b"theirs")
    # A segment that had been sealed meanwhile is a sighting now, the other is sealed, the anomaly is told.
    said = [parse(data) for data in book.ledger.entries_between(1, book.ledger.size())]
    assert [entry.type for entry in said] == ["sighting", "segment", "anomaly"]
    for entry, was, data in zip(said, asides, before, strict=True):
        assert isinstance(entry.body, bodies.Body)
        first = entry.body.plain()["first_written"]
        assert isinstance(first, dict)
        assert (first["epoch"], first["seq"], first["sha256"]) == (old.id, was.entry.seq, reference(data))
    sealing = said[1].body
    assert isinstance(sealing, bodies.Segment)
    assert (sealing.recorder_seq, sealing.recorder_prev) == (3, reference(published[4]))
    assert list(differences(book.database)) == []
    assert book.database.problems() == []
    assert list(book.ledger.published_sizes().values()) == [5]


def test_mark_of_a_segment_that_is_a_sighting_now_is_kept(book: Book, tmp_path: Path) -> None:
    book.ledger.append(sealed("IMP/d.mp4", b"d", important=True))
    restore(book, *twin(book, tmp_path / "theirs", sealed("d.mp4", b"d")))
    row = book.facts.segment(sg(b"d"))
    assert row is not None
    assert (row.path, row.important) == ("d.mp4", 1)
    assert list(differences(book.database)) == []


def test_references_to_what_was_set_aside_are_put_right(book: Book, tmp_path: Path) -> None:
    classified = bodies.Classification(
        segment=sg(b"a"),
        case=None,
        matter=None,
        stage=None,
        secrecy=None,
        publicity=None,
        rule=None,
        clause=None,
        policy=reference(b"policy"),
        retain_until="undetermined",
        basis="rule",
        confidence=0,
        supersedes=None,
    )
    ref = book.ledger.append(classified)[0].ref
    book.ledger.append(classified.model_copy(update={"supersedes": ref}))
    restore(book, *twin(book, tmp_path / "theirs", odd("theirs")))
    first, second = (parse(book.ledger.entry_bytes(seq)) for seq in book.ledger.of_type("classification"))
    assert isinstance(second.body, bodies.Classification)
    assert second.body.supersedes == reference(book.ledger.entry_bytes(first.seq)) != ref


def test_positions_are_never_given_twice(book: Book, tmp_path: Path) -> None:
    with book.database.reading() as connection:
        before = {row[0]: bytes(row[1]) for row in connection.execute("SELECT position, bytes FROM entry")}
    restore(book, *twin(book, tmp_path / "theirs", odd("theirs")))
    with book.database.reading() as connection:
        after = {row[0]: bytes(row[1]) for row in connection.execute("SELECT position, bytes FROM entry")}
    assert all(before[position] == data for position, data in after.items() if position in before)


def test_entries_that_do_not_lead_to_the_published_root_change_nothing(book: Book, tmp_path: Path) -> None:
    published, root = twin(book, tmp_path / "theirs", odd("theirs"))
    before = book.ledger.entries_between(0, book.ledger.size())
    for forged, of in ((published, bytes(32)), ([*published[:3], published[2]], root), (published[:3], root)):
        with pytest.raises(LedgerError):
            restore(book, forged, of)
        assert book.ledger.entries_between(0, book.ledger.size()) == before
    assert list(differences(book.database)) == []


def test_what_a_signature_covers_is_never_set_aside(book: Book) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=r"never deleted"):
        book.restoration.set_aside(book.ledger.epoch, 2)
    assert book.ledger.size() == 6
    with book.database.write() as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM entry WHERE seq = 5")
    assert book.ledger.size() == 6


def test_a_head_that_was_never_signed_goes_with_its_entries_and_no_other(book: Book, tmp_path: Path) -> None:
    book.ledger.decide_head()
    with book.database.write() as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM head")
    restore(book, *twin(book, tmp_path / "theirs", odd("theirs")))
    old, _ = book.ledger.epochs()
    assert [head.size for head in book.ledger.log(old).heads()] == [3, 4]


def test_an_unsigned_end_with_its_next_epoch_is_set_aside_as_a_whole(book: Book, tmp_path: Path) -> None:
    old = book.ledger.epoch
    book.ledger.append(close(f"evidence.example/{STATION}/{NEXT}"))
    begin(book, NEXT)
    book.ledger.append(sealed("d.mp4", b"d"))
    (old,) = [each for each in book.ledger.epochs() if each.number == old.number]
    published, root = twin(book, tmp_path / "theirs", odd("theirs"))
    with book.database.write():
        asides = book.restoration.set_aside(old, 3)
        book.restoration.take_in(old, published[3:], note=b"theirs", size=len(published), root=root)
        book.ledger.leave_epoch()
        begin(book, NEXT)
        book.restoration.say_again(asides)
    assert [each.state for each in book.ledger.epochs()] == ["left", "open"]
    assert len(book.ledger.of_type("segment")) == 3
    assert list(differences(book.database)) == []


def test_an_ended_epoch_with_its_close_is_never_opened_again(book: Book) -> None:
    book.ledger.append(close())
    with book.database.write() as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE epoch SET closed = 0")
    with book.database.write() as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("DELETE FROM epoch")


def test_epochs_end_and_begin_in_one_transaction(book: Book) -> None:
    def half() -> None:
        with book.database.write():
            book.ledger.close_epoch(close(f"evidence.example/{STATION}/{NEXT}"))
            begin(book, NEXT)
            begin(book, EpochId("2026-12-ef56"))

    with pytest.raises(LedgerError, match="open already"):
        half()
    assert book.ledger.epoch.id != NEXT
    with book.database.write():
        previous = book.ledger.close_epoch(close(f"evidence.example/{STATION}/{NEXT}"))
        origin = f"evidence.example/{STATION}/{NEXT}"
        begun = genesis(origin).model_copy(update={"previous": previous})
        book.ledger.open_epoch(id=NEXT, origin=origin, genesis=begun, actor="user:li")
    old, _ = book.ledger.epochs()
    assert previous.size == book.ledger.log(old).size() == 7
    assert parse(book.ledger.entry_bytes(0)).actor == "user:li"
    assert book.ledger.signing_epoch() == old
