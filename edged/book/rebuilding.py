"""Making the projections anew from the entries: how the live ones are checked, and how they would be repaired.

All of it is one read of the book, so it may run beside the daemon; what is made anew lies in a temporary file of
SQLite's own, and the two are compared by SQLite, so that a large book needs no memory.
"""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files

from edged.book.database import VERSION, Database
from edged.book.projections import COMPARED, PROJECTIONS, project
from edged.errors import MalformedError
from edged.evidence.entry import parse
from edged.evidence.ids import EntryRef


def differences(database: Database) -> Iterator[str]:
    """Give one sentence for each projection table that is not what the entries say, or entry that cannot be read."""
    fresh = sqlite3.connect("", isolation_level=None, uri=True)
    try:
        fresh.row_factory = sqlite3.Row
        fresh.executescript(files(__package__).joinpath("schema.sql").read_text("utf-8"))
        with database.attached(fresh, "live"):
            fresh.execute("BEGIN")
            yield from _rebuild(fresh)
            # A book that an older edged wrote, and nobody brought up to date yet, keeps no totals and some tables less.
            of_today = fresh.execute("PRAGMA live.user_version").fetchone()[0] == VERSION
            here = {row[0] for row in fresh.execute("SELECT name FROM live.sqlite_schema WHERE type = 'table'")}
            for table in COMPARED if of_today else [each for each in PROJECTIONS if each in here]:
                yield from _compare(fresh, table)
            fresh.execute("ROLLBACK")
    finally:
        fresh.close()


def _rebuild(fresh: sqlite3.Connection) -> Iterator[str]:
    for row in fresh.execute("SELECT position, ref, bytes FROM live.entry ORDER BY position"):
        try:
            project(fresh, row["position"], parse(bytes(row["bytes"])), EntryRef(row["ref"]))
        except (MalformedError, sqlite3.IntegrityError) as error:
            yield f"The entry at position {row['position']} cannot be projected: {error}."


def _compare(fresh: sqlite3.Connection, table: str) -> Iterator[str]:
    lacking, extra = (
        fresh.execute(
            f"SELECT count(*) FROM (SELECT * FROM {one}.{table} EXCEPT SELECT * FROM {other}.{table})"  # noqa: S608
        ).fetchone()[0]
        for one, other in (("main", "live"), ("live", "main"))
    )
    if lacking or extra:
        yield (
            f"Table {table} differs from what the entries say: {lacking} rows are missing or other, "
            f"{extra} should not be there."
        )
