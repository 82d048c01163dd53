"""How SQLite answers the questions of a docking and of a start: never by reading a table that grows with the station.

The planner has no statistics of a book, so its plans for an empty one are those for a million segments.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from edged.book.database import queries

SCHEMA: Final = Path(__file__).parents[2] / "edged/book/schema.sql"

BOUNDED: Final = {"epoch", "total", "mark", "outbox", "anchoring", "anchors_published", "tiles_published"}
SMALL: Final = {"lately", "CONSTANT"}
"""Tables of a few rows for as long as the station lives; a subquery of sixteen, and no table at all."""
RARE: Final = {
    "all_entries": "a restored book is projected anew",
    "unsigned": "what a restored book had not signed is set aside",
}
ALLOWED: Final = {
    ("open_dockings", "docking USING INDEX docking_open"): "the index holds the open ones alone",
    ("newest_anchor", "anchor"): "the newest sixteen",
    ("newest_anchor", "(subquery-1)"): "these sixteen",
    ("expiring_anchor", "json_each VIRTUAL TABLE INDEX 1:"): "the names in the configuration",
    ("cases_about", "(subquery-2)"): "what two searches gave",
    ("distrusted_in", "(subquery-2)"): "what two searches gave",
}


@pytest.fixture(scope="module")
def book() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA.read_text("utf-8"))
        yield connection


def scanned(book: sqlite3.Connection, statement: str) -> set[str]:
    values = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
    plan = [row[3] for row in book.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    return {step.removeprefix("SCAN ") for step in plan if step.startswith("SCAN ")}


@pytest.mark.parametrize("name", sorted(queries().keys() - RARE.keys()))
def test_no_question_reads_a_table_that_grows(book: sqlite3.Connection, name: str) -> None:
    found = {each for each in scanned(book, queries()[name]) if each.split()[0] not in BOUNDED | SMALL}
    assert {each for each in found if (name, each) not in ALLOWED} == set()


def test_what_is_excused_is_there(book: sqlite3.Connection) -> None:
    for name, step in ALLOWED:
        assert step in scanned(book, queries()[name]), name
    for name in RARE:
        assert scanned(book, queries()[name])


def test_a_question_that_counts_a_table_would_be_noticed(book: sqlite3.Connection) -> None:
    assert scanned(book, "SELECT count(*) FROM segment WHERE quarantine IS NOT NULL") == {"segment"}
    assert scanned(book, "SELECT * FROM found JOIN segment USING (segment) WHERE found.path = :path") == {"found"}


def test_a_file_is_looked_for_at_the_last_dockings_of_its_recorder(book: sqlite3.Connection) -> None:
    steps = [
        row[3]
        for row in book.execute(
            f"EXPLAIN QUERY PLAN {queries()['segment_last_found_at']}", {"recorder": "r", "path": "p", "bytes": 1}
        )
    ]
    assert "SEARCH docking USING INDEX docking_by_recorder (recorder=?)" in steps
    assert "SEARCH found USING PRIMARY KEY (docking=? AND path=?)" in steps
