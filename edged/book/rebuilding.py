"""Making the projections anew from the entries: how the live ones are checked, and how they would be repaired."""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files

from edged.book.database import Database
from edged.book.projections import PROJECTIONS, project
from edged.evidence.entry import parse
from edged.evidence.ids import EntryRef

_PAGE = 1000


def differences(database: Database) -> Iterator[str]:
    """Give one sentence for each projection table that is not what the entries say."""
    fresh = _rebuilt(database)
    try:
        for table in PROJECTIONS:
            query = f'SELECT * FROM "{table}"'  # noqa: S608 - a name from PROJECTIONS
            with database.reading() as connection:
                live = {tuple(row) for row in connection.execute(query)}
            made = {tuple(row) for row in fresh.execute(query)}
            if live != made:
                yield (
                    f"Table {table} differs from what the entries say: {len(made - live)} rows are missing or other, "
                    f"{len(live - made)} should not be there."
                )
    finally:
        fresh.close()


def _rebuilt(database: Database) -> sqlite3.Connection:
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    fresh.row_factory = sqlite3.Row
    fresh.executescript(files(__package__).joinpath("schema.sql").read_text("utf-8"))
    fresh.execute("BEGIN")
    with database.reading() as connection:
        epochs = connection.execute("SELECT * FROM epoch").fetchall()
    fresh.executemany("INSERT INTO epoch VALUES (?, ?, ?, ?)", [tuple(epoch) for epoch in epochs])
    position = 1
    while rows := database.rows("entries_from", position=position, most=_PAGE):
        for row in rows:
            fresh.execute("INSERT INTO entry VALUES (:position, :epoch, :seq, :ref, :type, :bytes)", dict(row))
            project(fresh, row["position"], parse(bytes(row["bytes"])), EntryRef(row["ref"]))
        position = rows[-1]["position"] + 1
    return fresh
