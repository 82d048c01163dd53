"""A book of an older edged: the writer brings it up to date, losing nothing; readers take it as it is."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edged.book import BOOK_FILE, Book
from edged.book.database import VERSION, Database
from edged.book.rebuilding import differences
from edged.errors import StorageError
from edged.evidence import bodies
from tests.unit.book_station import (
    CENTRAL,
    DOCKING,
    STATION,
    Ticking,
    classified,
    cleared,
    copied,
    docked,
    odd,
    open_book,
    sealed,
    sg,
    undocked,
    wiped,
)

OLD = Path(__file__).parent / "books"
TABLES = ("epoch", "entry", "node", "names", "docking", "segment", "found", "replica", "classification", "clearance")


def fill(book: Book) -> None:
    files = {f"{number}.mp4": bytes([number]) for number in range(1, 6)}
    body, document = docked(files)
    book.ledger.append(body, documents=[document])
    for path, data in files.items():
        bad = bodies.Quarantine(code="partly-unreadable", unreadable=(), second_sha256=None) if data == b"\1" else None
        book.ledger.append(sealed(path, data, quarantine=bad), copied(sg(data)), classified(sg(data)))
    for data in (b"\2", b"\3"):
        book.ledger.append(copied(sg(data), CENTRAL), classified(sg(data), until="permanent"))
    book.ledger.append(bodies.Retire(segment=sg(b"\2"), store=CENTRAL, proofs=()))
    ref = book.ledger.append(cleared([(sg(b"\3"), "3.mp4")], []))[0].ref
    book.ledger.append(wiped("3.mp4", b"\3", ref), odd("unreadable", docking=DOCKING), undocked(remaining=4))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The state folder of a station whose book is of version 1, and not empty."""
    fresh = open_book(tmp_path / "fresh")
    fill(fresh)
    fresh.close()
    folder = tmp_path / "old"
    folder.mkdir()
    with closing(sqlite3.connect(folder / BOOK_FILE, isolation_level=None)) as book:
        book.executescript(f"BEGIN; {(OLD / '1.sql').read_text('utf-8')} PRAGMA user_version = 1; COMMIT;")
        book.execute("ATTACH ? AS fresh", (str(tmp_path / "fresh" / BOOK_FILE),))
        for table in (*TABLES, "anomaly", "document"):
            book.execute(f"INSERT INTO {table} SELECT * FROM fresh.{table}")  # noqa: S608
    return folder


def as_made(path: Path) -> dict[str, str]:
    """Give every object of a schema by its name, in one form of spaces."""
    with closing(sqlite3.connect(path)) as book:
        rows = book.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
        return {name: re.sub(r"\s+", " ", text) for name, text in rows}


def test_an_upgraded_schema_is_the_fresh_one(old: Path, tmp_path: Path) -> None:
    Database(old / BOOK_FILE).close()
    assert as_made(old / BOOK_FILE) == as_made(tmp_path / "fresh" / BOOK_FILE)


def test_an_upgraded_book_says_the_same_and_goes_on(old: Path, tmp_path: Path) -> None:
    fresh = Book(tmp_path / "fresh", station=STATION, clock=Ticking(), read_only=True)
    book = Book(old, station=STATION, clock=Ticking())
    try:
        assert book.facts.totals() == fresh.facts.totals()
        assert list(book.facts.totals().values()) == [5, 5, 1, 5, 1, 0, 3, 1, 1, 1]
        assert list(differences(book.database)) == []
        assert book.database.problems() == []
        book.ledger.append(bodies.Retire(segment=sg(b"\3"), store=CENTRAL, proofs=()))
        assert book.facts.totals()["replicated"] == 0
        assert list(differences(book.database)) == []
    finally:
        book.close()
        fresh.close()


def test_a_reader_takes_an_older_book_as_it_is(old: Path) -> None:
    before = (old / BOOK_FILE).read_bytes()
    book = Book(old, station=STATION, clock=Ticking(), read_only=True)
    try:
        assert book.facts.segment(sg(b"\1")) is not None
        assert list(differences(book.database)) == []
    finally:
        book.close()
    assert (old / BOOK_FILE).read_bytes() == before


def test_an_upgrade_that_fails_leaves_the_book_as_it_was(old: Path) -> None:
    with closing(sqlite3.connect(old / BOOK_FILE, isolation_level=None)) as other:
        # Something that the last statements of the migration stumble over.
        other.execute("CREATE TABLE mark (x)")
    before = as_made(old / BOOK_FILE)
    with pytest.raises((sqlite3.OperationalError, StorageError), match="mark"):
        Database(old / BOOK_FILE)
    assert as_made(old / BOOK_FILE) == before
    with closing(sqlite3.connect(old / BOOK_FILE)) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (1,)


def test_there_is_a_step_to_every_version() -> None:
    folder = Path(__file__).parents[2] / "edged/book/migrations"
    assert sorted(path.name for path in folder.iterdir()) == [f"{number}.sql" for number in range(2, VERSION + 1)]
