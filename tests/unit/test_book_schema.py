"""The schema itself refuses what must never happen, whoever asks: no statement of edged, no hand with a shell."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.book import Book
from tests.unit.book_station import DOCKING, EPOCH, ORIGIN, copied, docked, open_book, sealed, sg

FILES = {"a.mp4": b"first", "b.mp4": b"second"}


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """A book with two segments under a head of size 3, and one entry above it."""
    book = open_book(tmp_path)
    docking, document = docked(FILES)
    book.ledger.append(docking, documents=[document])
    book.ledger.append(sealed("a.mp4", FILES["a.mp4"]))
    book.ledger.decide_head()
    book.ledger.append(sealed("b.mp4", FILES["b.mp4"]))
    yield book
    book.close()


def run(book: Book, statement: str, *values: Any) -> None:
    with book.database.write() as connection:
        connection.execute(statement, values)


def all_rows(book: Book, table: str) -> list[tuple[Any, ...]]:
    with book.database.reading() as connection:
        return [tuple(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("entry", "UPDATE entry SET bytes = x'7b7d' WHERE position = 2"),
        ("entry", "UPDATE entry SET seq = 99 WHERE position = 2"),
        ("entry", "UPDATE entry SET type = type"),
        ("entry", "DELETE FROM entry WHERE position = 4"),
        ("entry", "DELETE FROM entry"),
        ("entry", "INSERT OR REPLACE INTO entry SELECT 1, epoch, seq, ref, type, x'00' FROM entry WHERE position = 1"),
        ("head", "UPDATE head SET root = zeroblob(32)"),
        ("head", "UPDATE head SET size = 2"),
        ("head", "DELETE FROM head"),
        ("head", "INSERT INTO head (epoch, size, root) VALUES (1, 2, zeroblob(32))"),
        ("head", "INSERT INTO head (epoch, size, root) VALUES (1, 3, zeroblob(32))"),
        ("head", "INSERT OR REPLACE INTO head (epoch, size, root) VALUES (1, 3, zeroblob(32))"),
        ("head", "INSERT OR IGNORE INTO head (epoch, size, root) VALUES (1, 2, zeroblob(32))"),
        ("head", "INSERT INTO head (epoch, size, root) VALUES (1, 4, x'00')"),
        ("head", "INSERT INTO head (epoch, size, root) VALUES (1, 0, zeroblob(32))"),
        ("head", "INSERT INTO head (epoch, size, root) VALUES (7, 4, zeroblob(32))"),
        ("node", "INSERT INTO node VALUES (1, 0, 9, x'00')"),
        ("node", "INSERT INTO node VALUES (1, -1, 0, zeroblob(32))"),
        ("node", "INSERT INTO node VALUES (1, 0, 0, zeroblob(32))"),
        ("epoch", "INSERT INTO epoch (id, origin) VALUES ('2026-12-0000', 'evidence.example/st-07/2026-12-0000')"),
        ("entry", "INSERT INTO entry (epoch, seq, ref, type, bytes) VALUES (1, 3, hex(zeroblob(32)), 'x', x'00')"),
        ("entry", "INSERT INTO entry (epoch, seq, ref, type, bytes) VALUES (1, 4, 'short', 'x', x'00')"),
        ("entry", "INSERT INTO entry (epoch, seq, ref, type, bytes) VALUES (1, -1, hex(zeroblob(32)), 'x', x'00')"),
        ("entry", "INSERT INTO entry (epoch, seq, ref, type, bytes) VALUES (9, 0, hex(zeroblob(32)), 'x', x'00')"),
        ("segment", "UPDATE segment SET docking = 'dk-elsewhere'"),
        ("segment", "UPDATE segment SET recorder_seq = 1"),
        ("segment", "UPDATE segment SET bytes = -1"),
        ("segment", "UPDATE segment SET important = 2"),
        ("segment", "UPDATE segment SET bytes = 'many'"),
        ("segment", "DELETE FROM segment"),
        ("docking", "UPDATE docking SET outcome = 'finished'"),
        ("found", "UPDATE found SET how = 'guessed'"),
        ("found", "UPDATE found SET segment = 'sg-unknown'"),
        ("names", "UPDATE names SET kind = 'person'"),
        ("document", "INSERT INTO document VALUES ('short', x'00')"),
    ],
)
def test_schema_refuses(book: Book, table: str, statement: str) -> None:
    before = all_rows(book, table)
    with pytest.raises(sqlite3.IntegrityError):
        run(book, statement)
    assert all_rows(book, table) == before


def test_entry_that_replaces_another_of_its_reference_is_refused(book: Book) -> None:
    # REPLACE deletes without firing delete triggers unless recursive triggers are on; it must not be a way round.
    before = all_rows(book, "entry")
    position, epoch, seq, ref, kind, _ = before[1]
    with pytest.raises(sqlite3.IntegrityError):
        run(book, "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?)", position, epoch, seq, ref, kind, b"forged")
    with pytest.raises(sqlite3.IntegrityError):
        run(
            book,
            "INSERT OR REPLACE INTO entry (epoch, seq, ref, type, bytes) VALUES (?, ?, ?, ?, ?)",
            *(epoch, seq, "f" * 64, kind, b"forged"),
        )
    assert all_rows(book, "entry") == before


def test_head_grows_and_is_signed_once(book: Book) -> None:
    run(book, "INSERT INTO head (epoch, size, root) VALUES (1, 4, zeroblob(32))")
    run(book, "UPDATE head SET note = x'00' WHERE size = 4")
    with pytest.raises(sqlite3.IntegrityError):
        run(book, "UPDATE head SET note = x'01' WHERE size = 4")


def test_unknown_outcomes_of_a_wipe_and_of_a_copy_are_refused(book: Book) -> None:
    book.ledger.append(copied(sg(b"first")))
    with pytest.raises(sqlite3.IntegrityError):
        run(book, "UPDATE replica SET verified = 'hoped'")
    clearance = "INSERT INTO clearance VALUES (?, 'a.mp4', ?, 'ref', 'vanished')"
    with pytest.raises(sqlite3.IntegrityError):
        run(book, clearance, DOCKING, sg(b"first"))


def test_two_epochs_never_share_an_origin(book: Book) -> None:
    run(book, "UPDATE epoch SET closed = 1")
    for id_, origin in ((EPOCH, "evidence.example/st-07/2026-12-0000"), ("2026-12-0000", ORIGIN)):
        with pytest.raises(sqlite3.IntegrityError):
            run(book, "INSERT INTO epoch (id, origin) VALUES (?, ?)", id_, origin)


def test_every_table_and_column_is_explained(book: Book) -> None:
    script = Path(__file__).parents[2].joinpath("edged/book/schema.sql").read_text("utf-8")
    for name in {row[0] for row in _tables(book)}:
        before, _, _ = script.partition(f"CREATE TABLE {name} (")
        assert before.rstrip().splitlines()[-1].startswith("-- "), name


def _tables(book: Book) -> list[tuple[Any, ...]]:
    with book.database.reading() as connection:
        return [tuple(row) for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
