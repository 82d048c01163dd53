"""The SQLite file under the book: one writer, any number of readers, schema and queries in `.sql` files.

Guarantees: a write is one transaction that is durable when `write` is left (WAL with synchronous=FULL), or did
not happen; a full disk is a `FullError` and changes nothing; a file of a newer version is refused untouched; one of
an older version is brought up to date by the writer, in one transaction, and read as it is by everybody else.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from edged.errors import FullError, NewerStateError, StorageError, UnreadableError

VERSION = 2
"""`user_version` of the schema in `schema.sql`; `migrations/N.sql` leads there from the version before."""

Row = sqlite3.Row


class Database:
    """Connections to one book file."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the book at `path`, making it if it is new and this is no reader.

        Raises NewerStateError for a newer schema, UnreadableError where there is nothing to read.
        """
        self._path = path
        self._read_only = read_only
        self._writing = threading.RLock()
        self._held = threading.local()
        self._idle: list[sqlite3.Connection] = []
        self._listeners: list[Callable[[], None]] = []
        self._news = False
        if read_only and not path.exists():
            raise UnreadableError(f"There is no book at {path}.", hint="Is this the state folder of a station?")
        version = self._version_there()
        if version == 0:
            if read_only:
                raise UnreadableError(f"{path} is not a book of edged.")
            self._run_script("schema.sql", VERSION)
        elif not read_only:
            for following in range(version + 1, VERSION + 1):
                self._run_script(f"migrations/{following}.sql", following)

    def close(self) -> None:
        """Close the connections; nobody uses the object while or after this runs."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction of the one writer; leaving it commits durably, an exception undoes all of it.

        Inside another `write` of the same thread it is part of that transaction.
        """
        mine: sqlite3.Connection | None = getattr(self._held, "connection", None)
        if mine is not None:
            with _wrapped(self._path):
                yield mine
            return
        with self._writing:
            with self.reading() as connection:
                self._held.connection = connection
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    yield connection
                    with _wrapped(self._path):
                        connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    self._news = False
                    raise
                finally:
                    self._held.connection = None
            news, self._news = self._news, False
        for tell in self._listeners if news else ():
            tell()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hold a connection to read by: that of the transaction this thread is in, else one that nobody else holds.

        SQLite's errors about the disk come out as edged's own.
        """
        connection: sqlite3.Connection | None = getattr(self._held, "connection", None)
        with _wrapped(self._path):
            if connection is not None:
                yield connection
                return
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect(read_only=self._read_only)
            try:
                yield connection
            finally:
                self._idle.append(connection)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Hold the book as it is now: whatever this thread reads within is of one moment, and it cannot write."""
        with self.reading() as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            self._held.connection = connection
            try:
                yield
            finally:
                self._held.connection = None
                connection.execute("ROLLBACK")
                connection.execute("PRAGMA query_only = OFF")

    @contextmanager
    def attached(self, other: sqlite3.Connection, name: str) -> Iterator[None]:
        """Let another connection read the book, and only read it, as the schema `name`."""
        with _wrapped(self._path):
            other.execute("ATTACH ? AS ?", (f"file:{_uri(self._path)}?mode=ro", name))
            yield

    def on_news(self, tell: Callable[[], None]) -> None:
        """Call `tell` after each commit of a transaction that brought news, on its thread; it must not block."""
        self._listeners.append(tell)

    def bring_news(self) -> None:
        """Say, within a transaction, that it changes what others wait for."""
        self._news = True

    def rows(self, query: str, **values: Any) -> list[Row]:  # noqa: ANN401 - what SQLite takes
        """Run a named query."""
        with self.reading() as connection:
            return connection.execute(sql(query), values).fetchall()

    def row(self, query: str, **values: Any) -> Row | None:  # noqa: ANN401 - what SQLite takes
        """Run a named query that gives at most one row."""
        found = self.rows(query, **values)
        return found[0] if found else None

    def run(self, query: str, **values: Any) -> None:  # noqa: ANN401 - what SQLite takes
        """Run a named statement, in a transaction of its own unless this thread is in one."""
        with self.write() as connection, _wrapped(self._path):
            connection.execute(sql(query), values)

    def problems(self) -> list[str]:
        """Give what SQLite itself finds wrong with the file: structure, foreign keys."""
        with self.reading() as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            lost = connection.execute("PRAGMA foreign_key_check").fetchall()
        return found + [f"{row[0]} row {row[1]} points nowhere" for row in lost]

    def _version_there(self) -> int:
        """Look into the file without being able to change it; 0 for one that is empty or not there."""
        if not self._path.exists():
            return 0
        with _wrapped(self._path), closing(self._connect(read_only=True)) as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
        if version > VERSION:
            raise NewerStateError(
                f"{self._path} was written by a newer edged (book version {version}; this edged knows {VERSION}).",
                hint="Install the newer edged again; nothing was changed.",
            )
        if version == 0 and tables:
            raise UnreadableError(f"{self._path} is not a book of edged.")
        return version

    def _run_script(self, name: str, version: int) -> None:
        """Make the schema, or bring it from one version to the next, in one transaction with its number."""
        script = files(__package__).joinpath(name).read_text("utf-8")
        with self.reading() as connection:
            try:
                # executescript commits on its own.
                connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _connect(self, *, read_only: bool) -> sqlite3.Connection:
        mode = "ro" if read_only else "rwc"
        with _wrapped(self._path):
            connection = sqlite3.connect(
                f"file:{_uri(self._path)}?mode={mode}",
                uri=True,
                isolation_level=None,
                timeout=30,
                check_same_thread=False,
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            if not read_only:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
        return connection


@cache
def queries() -> dict[str, str]:
    """Give the statements of `queries.sql` by the name in the comment `-- name: …` before each."""
    text = files(__package__).joinpath("queries.sql").read_text("utf-8")
    named = {}
    for block in text.split("-- name: ")[1:]:
        name, _, statement = block.partition("\n")
        named[name.strip()] = statement.strip()
    return named


def sql(name: str) -> str:
    """Give one named statement."""
    return queries()[name]


@contextmanager
def _wrapped(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the disk into edged's own; anything else is a bug and passes through."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
            raise
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
            raise FullError(
                f"The disk under {path} is full; nothing was lost, intake waits.", hint="Free space on it."
            ) from error
        raise StorageError(f"The book {path} cannot be used: {error}.") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise StorageError(
            f"The book {path} cannot be used: {error}.", hint="Run `edged check`; do not delete it."
        ) from error


def _uri(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
