"""When a station has nothing left to do: as it says itself, and as its book says."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

_ENDED: Final = frozenset({"done", "kept", "refused"})

_LACKING: Final = """
    SELECT (SELECT count(*) FROM docking WHERE outcome IS NULL)
        + (SELECT count(*) FROM segment AS s WHERE 2 > (SELECT count(*) FROM replica AS r WHERE r.segment = s.segment))
        + (SELECT count(*) FROM segment WHERE segment NOT IN (SELECT segment FROM classification))
"""


def at_rest(status: Mapping[str, Any], state: Path, cards: set[str]) -> bool:
    """Say whether every card's docking has ended, every segment has its copies, and all of it is published."""
    ended = {bay["bay"] for bay in status["bays"] if bay["phase"] in _ENDED}
    if ended != cards or status["ledger"]["published"] != status["ledger"]["size"]:
        return False
    with closing(sqlite3.connect(f"file:{state}/book.sqlite?mode=ro", uri=True)) as book:
        (lacking,) = book.execute(_LACKING).fetchone()
    return int(lacking) == 0
