"""The book's file: what is durable, what is refused untouched, and who may read and write it at the same time."""

import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from edged.book import BOOK_FILE, Book
from edged.book.database import VERSION, Database
from edged.errors import FullError, NewerStateError, StorageError, UnreadableError
from edged.evidence.entry import Entry, parse
from tests.unit.book_station import DOCKING, STATION, Ticking, docked, odd, open_book, sealed
from tests.unit.mounting import in_namespace, needs_mount

BULK = b"x" * 40_000


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(tmp_path)
    yield book
    book.close()


def reader(folder: Path) -> Book:
    return Book(folder, station=STATION, clock=Ticking(), read_only=True)


def files_of(folder: Path) -> dict[str, bytes]:
    """Give what lies in a folder; the index and the empty log of a reader say nothing about the book."""
    found = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}
    return {name: data for name, data in found.items() if data}


def write_and_fail(book: Book) -> None:
    book.registers.add_reason(code="c", text="t")
    book.ledger.append(odd("first"), documents=[BULK])
    raise ZeroDivisionError


def python(script: str, *arguments: object) -> str:
    """Run a script in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", dedent(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_book_of_a_newer_edged_is_refused_untouched(tmp_path: Path) -> None:
    open_book(tmp_path).close()
    with sqlite3.connect(tmp_path / BOOK_FILE) as other:
        other.execute("CREATE TABLE what_comes_later (x)")
        other.execute(f"PRAGMA user_version = {VERSION + 1}")
    other.close()
    before = files_of(tmp_path)
    for read_only in (False, True):
        with pytest.raises(NewerStateError, match=f"book version {VERSION + 1}"):
            Database(tmp_path / BOOK_FILE, read_only=read_only)
    assert files_of(tmp_path) == before


def test_newer_book_with_another_journal_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / BOOK_FILE
    other = sqlite3.connect(path)
    other.executescript(f"CREATE TABLE t (x); PRAGMA user_version = {VERSION + 7};")
    other.close()
    before = files_of(tmp_path)
    with pytest.raises(NewerStateError):
        Database(path)
    assert files_of(tmp_path) == before


def test_newer_book_of_a_killed_daemon_keeps_what_its_log_holds(tmp_path: Path) -> None:
    path = tmp_path / BOOK_FILE
    python(
        """
        import os, sqlite3, sys
        book = sqlite3.connect(sys.argv[1], isolation_level=None)
        book.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x); PRAGMA user_version = 99")
        book.execute("INSERT INTO t VALUES ('in the log')")
        os._exit(0)
        """,
        path,
    )
    before = files_of(tmp_path)
    assert set(before) == {BOOK_FILE, f"{BOOK_FILE}-wal"}
    with pytest.raises(NewerStateError):
        Database(path)
    assert files_of(tmp_path) == before


def test_reader_makes_no_book(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="no book"):
        Database(tmp_path / BOOK_FILE, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_reader_refuses_a_file_that_is_no_book(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / BOOK_FILE).close()
    (tmp_path / BOOK_FILE).touch()
    with pytest.raises(UnreadableError, match="not a book"):
        Database(tmp_path / BOOK_FILE, read_only=True)


@pytest.mark.parametrize("read_only", [False, True])
def test_file_of_something_else_is_refused_untouched(tmp_path: Path, *, read_only: bool) -> None:
    (tmp_path / BOOK_FILE).write_bytes(b"a letter, not a book\n" * 1000)
    before = files_of(tmp_path)
    with pytest.raises(StorageError, match="cannot be used"):
        Database(tmp_path / BOOK_FILE, read_only=read_only)
    assert files_of(tmp_path) == before


def test_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        Database(tmp_path / "gone" / BOOK_FILE)


@pytest.mark.parametrize("read_only", [False, True])
def test_data_of_another_program_are_not_built_upon(tmp_path: Path, *, read_only: bool) -> None:
    with sqlite3.connect(tmp_path / BOOK_FILE) as other:
        other.execute("CREATE TABLE work_of_others (x)")
    other.close()
    before = files_of(tmp_path)
    with pytest.raises(UnreadableError, match="not a book"):
        Database(tmp_path / BOOK_FILE, read_only=read_only)
    assert files_of(tmp_path) == before


def test_creation_that_was_killed_is_made_good(tmp_path: Path) -> None:
    script = """
        import os, sqlite3, sys
        book = sqlite3.connect(sys.argv[1], isolation_level=None)
        book.execute("PRAGMA journal_mode = WAL")
        book.execute("BEGIN IMMEDIATE")
        book.execute("CREATE TABLE epoch (x)")
        os._exit(0)
    """
    python(script, tmp_path / BOOK_FILE)
    book = open_book(tmp_path)
    assert book.ledger.size() == 1
    book.close()


def test_every_name_of_a_folder_works(tmp_path: Path) -> None:
    folder = tmp_path / "a?mode=memory#x %41 执法"
    open_book(folder).close()
    assert (folder / BOOK_FILE).is_file()
    book = reader(folder)
    assert book.ledger.size() == 1
    book.close()


def test_reader_cannot_write(book: Book, tmp_path: Path) -> None:
    other = reader(tmp_path)
    with pytest.raises(StorageError, match="readonly"):
        other.ledger.append(odd("nothing"))
    with pytest.raises(StorageError, match="readonly"):
        other.work.settle("sg", "work", "done")
    other.close()
    assert book.ledger.size() == 1


def test_full_book_is_a_full_error_and_changes_nothing(book: Book) -> None:
    docking, document = docked({"a.mp4": b"1"})
    book.ledger.append(docking, documents=[document])
    before = _everything(book)
    with book.database.reading() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(FullError, match="is full"):
        book.ledger.append(sealed("a.mp4", b"1"), odd("much", detail={"text": "x" * 50_000}), documents=[BULK])
    with pytest.raises(FullError):
        book.work.settle("sg", "work", "x" * 100_000)
    assert _everything(book) == before
    with book.database.reading() as connection:
        connection.execute("PRAGMA max_page_count = 100000")
    book.ledger.append(sealed("a.mp4", b"1"), documents=[BULK])
    assert [entry.seq for entry in _entries(book)] == [0, 1, 2]
    assert book.database.problems() == []


@pytest.mark.root
@needs_mount
def test_full_disk_is_a_full_error_and_intake_goes_on_when_there_is_room(tmp_path: Path) -> None:
    told = in_namespace(
        f'mount -t tmpfs -o size=1m none "{tmp_path}"',
        """
        import sys
        from pathlib import Path
        from edged.errors import FullError
        from tests.unit.book_station import odd, open_book

        disk = Path(sys.argv[1])
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(200_000))
        book = open_book(disk)
        written = 1
        try:
            for written in range(1, 10_000):
                book.ledger.append(odd("much", detail={"number": written, "text": "x" * 20_000}))
        except FullError as error:
            assert "is full" in error.message, error.message
        assert 3 < written < 10_000, written
        assert book.ledger.size() == written
        ballast.unlink()
        seq = book.ledger.append(odd("room again"))[0].seq
        assert seq == written, (seq, written)
        assert book.database.problems() == []
        book.close()
        print("went on")
        """,
        tmp_path,
    )
    assert told == "went on"


def test_exception_undoes_all_of_a_transaction(book: Book) -> None:
    before = _everything(book)
    with pytest.raises(ZeroDivisionError), book.database.write():
        write_and_fail(book)
    assert _everything(book) == before


def test_write_within_a_write_is_part_of_it(book: Book, tmp_path: Path) -> None:
    other = reader(tmp_path)
    with book.database.write():
        book.ledger.append(odd("inner"))
        book.work.settle("sg", "work", "done")
        assert book.ledger.size() == 2
        assert other.ledger.size() == 1
    assert other.ledger.size() == 2
    other.close()


def test_snapshot_is_of_one_moment_and_cannot_write(book: Book, tmp_path: Path) -> None:
    other = reader(tmp_path)
    with other.database.snapshot():
        assert other.ledger.size() == 1
        book.ledger.append(odd("meanwhile"))
        assert (other.ledger.size(), len(other.ledger.entries_between(0, 10))) == (1, 1)
    assert other.ledger.size() == 2
    other.close()
    with book.database.snapshot(), pytest.raises(StorageError, match="readonly"):
        book.ledger.append(odd("within"))
    assert book.ledger.append(odd("after"))[0].seq == 2


def test_book_that_is_attached_elsewhere_is_only_read(book: Book) -> None:
    other = sqlite3.connect(":memory:", uri=True)
    with book.database.attached(other, "live"):
        assert other.execute("SELECT count(*) FROM live.entry").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            other.execute("DELETE FROM live.settled")
    other.close()


def test_news_is_told_after_the_commit_and_not_before(book: Book, tmp_path: Path) -> None:
    other = reader(tmp_path)
    seen: list[int] = []
    book.database.on_news(lambda: seen.append(other.ledger.size()))
    book.ledger.append(odd("one"), odd("two"))
    assert seen == [3]
    with book.database.write():
        book.ledger.append(odd("three"))
        book.ledger.append(odd("four"))
        assert seen == [3]
    assert seen == [3, 5]
    head = book.ledger.decide_head()
    book.work.settle("sg", "work", "done")
    assert seen == [3, 5]
    book.ledger.keep_note(head, b"note")
    book.ledger.mark_published(head.size)
    assert seen == [3, 5, 5, 5]
    other.close()


def test_no_news_of_what_was_undone(book: Book) -> None:
    told: list[str] = []
    book.database.on_news(lambda: told.append("news"))
    with pytest.raises(ZeroDivisionError), book.database.write():
        write_and_fail(book)
    book.work.settle("sg", "work", "done")
    assert told == []


def test_whoever_is_told_may_read_and_write_at_once(book: Book) -> None:
    sizes: list[int] = []

    def note() -> None:
        sizes.append(book.ledger.size())
        book.work.settle("sg", f"look {len(sizes)}", "done")

    book.database.on_news(note)
    book.ledger.append(odd("one"))
    assert sizes == [2]


def test_readers_in_other_processes_see_whole_transactions_only(book: Book, tmp_path: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        from edged.book import Book
        from tests.unit.book_station import STATION, Ticking

        book = Book(Path(sys.argv[1]), station=STATION, clock=Ticking(), read_only=True)
        print("open", flush=True)
        sizes = set()
        while (size := book.ledger.size()) < 61:
            sizes.add(size)
        print(*{size % 3 for size in sizes | {size}})
        book.close()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", dedent(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        for number in range(20):
            book.ledger.append(*(odd(f"{number}-{part}") for part in range(3)))
        assert child.stdout.readline() == "1\n"
    assert child.returncode == 0


def test_second_writer_waits_and_forks_nothing(book: Book, tmp_path: Path) -> None:
    # Only one daemon runs on a state folder; should a second one ever write, SQLite still keeps one chain.
    second = Book(tmp_path, station=STATION, clock=Ticking())
    threads = [
        threading.Thread(target=lambda each=each: [each.ledger.append(odd("x")) for _ in range(20)])
        for each in (book, second)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.seq for entry in _entries(second)] == list(range(41))
    second.close()


def test_threads_that_come_and_go_leave_no_connection_behind(book: Book) -> None:
    book.ledger.size()
    before = len(open_files())
    for _ in range(50):
        thread = threading.Thread(target=book.facts.totals)
        thread.start()
        thread.join()
    assert len(open_files()) <= before + 3


def test_closing_lets_go_of_the_file(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    book.close()
    assert {path.name for path in tmp_path.iterdir()} == {BOOK_FILE}
    assert not [path for path in open_files() if path.is_relative_to(tmp_path)]


def open_files() -> list[Path]:
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(fd.readlink())
    return found


def test_commit_is_durable_when_it_returns(book: Book) -> None:
    with book.database.write() as connection:
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        assert (mode, connection.execute("PRAGMA synchronous").fetchone()[0]) == ("wal", 2)


def test_killed_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    script = """
        import os, sys
        from pathlib import Path
        from tests.unit.book_station import odd, open_book

        book = open_book(Path(sys.argv[1]))
        book.ledger.append(odd("stays"))
        with book.database.write():
            book.ledger.append(odd("goes"))
            os._exit(0)
    """
    python(script, tmp_path)
    book = Book(tmp_path, station=STATION, clock=Ticking())
    assert book.ledger.size() == 2
    assert book.ledger.append(odd("next"))[0].seq == 2
    assert book.database.problems() == []
    book.close()


def test_problem_with_a_reference_is_told(book: Book) -> None:
    docking, document = docked({})
    book.ledger.append(docking, documents=[document])
    with book.database.reading() as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("INSERT INTO found VALUES (?, 'a.mp4', 'sg-nowhere', 'sealed', 2)", (DOCKING,))
        connection.execute("PRAGMA foreign_keys = ON")
    assert book.database.problems() == ["found row None points nowhere"]


def _entries(book: Book) -> list[Entry]:
    return [parse(data) for data in book.ledger.entries_between(0, book.ledger.size())]


def _everything(book: Book) -> dict[str, list[tuple[object, ...]]]:
    with book.database.reading() as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: [tuple(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in tables}  # noqa: S608
