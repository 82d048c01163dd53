"""The statements of the book: each has a name of its own and a user, and what runs often never reads a whole table."""

import re
import sqlite3
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from edged.book.database import queries, sql

BOOK = Path(__file__).parents[2] / "edged" / "book"

RARE = {
    "totals": "once a status, which counts everything",
    "cases": "the register of cases is read as a whole",
    "newest_anchor": "from the newest down, sixteen at most",
    "open_dockings": "through an index that holds the open ones alone",
    "published_sizes": "one row an epoch",
    "all_entries": "all projections are made anew when a restored book sets entries aside",
    "unsigned": "once, by a restored book",
}
"""Statements that may read a whole table or index, and why that is not much."""

GROWS = (
    "entry",
    "node",
    "head",
    "names",
    "docking",
    "segment",
    "found",
    "replica",
    "classification",
    "derivative",
    "anchor",
)
"""Tables that grow for as long as the station runs."""


@pytest.fixture(scope="module")
def empty() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(files("edged.book").joinpath("schema.sql").read_text("utf-8"))
    return connection


def plan(connection: sqlite3.Connection, name: str) -> list[str]:
    statement = sql(name)
    values = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
    return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


def test_every_statement_has_a_name_of_its_own() -> None:
    names = re.findall(r"^-- name: (.*)$", (BOOK / "queries.sql").read_text("utf-8"), re.MULTILINE)
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert set(names) == set(queries())
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


def test_every_statement_is_one_statement(empty: sqlite3.Connection) -> None:
    for name, statement in queries().items():
        body = re.sub(r"--.*", "", statement).strip()
        assert sqlite3.complete_statement(body), name
        assert body.count(";") == 1, name
        assert plan(empty, name) is not None


def test_every_statement_has_exactly_one_user() -> None:
    code = "\n".join(path.read_text("utf-8") for path in BOOK.glob("*.py"))
    used = Counter(re.findall(r'"([a-z_]+)"', code))
    assert [name for name in queries() if used[name] == 0] == []
    outside = "\n".join(path.read_text("utf-8") for path in BOOK.parent.rglob("*.py") if path.parent != BOOK)
    assert re.findall(r"\bsql\(\"|\.rows\(\"|\.row\(\"", outside) == []


@pytest.mark.parametrize("name", sorted(set(queries()) - set(RARE)))
def test_statement_reads_no_whole_table(empty: sqlite3.Connection, name: str) -> None:
    scans = [step for step in plan(empty, name) if step.startswith("SCAN") and step.split()[1] in GROWS]
    assert scans == []


def test_every_index_has_a_use(empty: sqlite3.Connection) -> None:
    steps = "\n".join(step for name in queries() for step in plan(empty, name))
    made = {row[0] for row in empty.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")}
    unique = {"epoch_one_open"}  # refuses a second open epoch; that it also finds the one is a bonus
    assert {name for name in made - unique if name not in steps} == set()


@pytest.mark.parametrize("name", ["undetermined", "unsettled", "of_type", "head_covering", "last_of_recorder"])
def test_first_rows_come_without_sorting_all(empty: sqlite3.Connection, name: str) -> None:
    assert not [step for step in plan(empty, name) if "TEMP B-TREE" in step]


def test_newest_published_head_is_found_from_the_newest_down(empty: sqlite3.Connection) -> None:
    # `max` over the published ones would read every head that was ever decided, for each file of a docking.
    for name in ("published_size", "published_sizes", "lacking_proof"):
        assert "max(" not in sql(name).lower()
        assert not [step for step in plan(empty, name) if step.startswith("SCAN head")]
