"""Reading one file of the case feed: CSV or JSON, in English or Chinese, as spreadsheets really write them.

Guarantee: `parse` never raises for what a file contains. Each row that cannot be used becomes one sentence naming
file, row, column and what is allowed; the good rows beside it are kept. Nothing is guessed: a time without a
clock time, a window that runs backwards, or a row that names neither officer nor recorder is refused, because a
case that matches too much would have footage kept, and disposed of, under the wrong case.
"""

import hashlib
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from edged.cases.rows import BadCellError, record_of, shown
from edged.cases.tables import BadFileError, csv_rows, decode, json_rows
from edged.evidence.ids import Sha256
from edged.rules.cases import CaseRecord

MAX_FEED_BYTES: Final = 4 * 1024 * 1024
"""Larger files are refused: some twenty thousand rows, and what a small computer can hold at once."""

_MOST_PROBLEMS: Final = 1000


@dataclass(frozen=True, kw_only=True)
class FeedProblem:
    """Something in a feed file that could not be used; as text, one sentence."""

    file: str
    row: int | None
    """As a spreadsheet counts, from 1; in JSON the item, from 1; `None` for the file as a whole."""
    column: str | None
    allowed: str
    """What was found and what is allowed."""

    def __str__(self) -> str:
        where = [self.file]
        where += [] if self.row is None else [f"row {self.row}"]
        where += [] if self.column is None else [f"column {self.column}"]
        return f"{', '.join(where)}: {self.allowed}."


@dataclass(frozen=True, kw_only=True)
class FeedFile:
    """What one feed file says."""

    name: str
    """As people may read it: quoted where it holds anything odd."""
    sha256: Sha256
    """Of the file: taking the same content twice is harmless to whoever remembers this."""
    cases: tuple[CaseRecord, ...]
    """Each once, in the order of the file."""
    problems: tuple[FeedProblem, ...]
    ignored: tuple[str, ...]
    """Headings that are not known here, so that a misspelt one is noticed."""

    @property
    def refused(self) -> bool:
        """Whether there was something in it, and none of it could be used."""
        return bool(self.problems) and not self.cases


def parse(name: str, data: bytes, zone: tzinfo) -> FeedFile:
    """Read a feed file; `zone` is meant by times that name none. The ending of `name` decides between the formats."""
    plain = name if name.isprintable() else shown(name)
    cases: dict[CaseRecord, None] = {}
    problems: list[FeedProblem] = []
    ignored: dict[str, None] = {}

    def note(row: int | None, column: str | None, allowed: str) -> None:
        problems.append(FeedProblem(file=plain, row=row, column=column, allowed=allowed))

    try:
        text = decode(data, at_most=MAX_FEED_BYTES)
        for row in json_rows(text) if name.lower().endswith(".json") else csv_rows(text):
            ignored.update(dict.fromkeys(row.ignored))
            if len(problems) >= _MOST_PROBLEMS:
                note(row.number, None, f"{_MOST_PROBLEMS} rows before could not be used; nothing was read from here on")
                break
            if row.broken is not None:
                note(row.number, None, row.broken)
                continue
            try:
                cases[record_of(row.cells, zone)] = None
            except BadCellError as error:
                note(row.number, error.column, str(error))
    except BadFileError as error:
        note(error.row, None, str(error))
    return FeedFile(
        name=plain,
        sha256=Sha256(hashlib.sha256(data).hexdigest()),
        cases=tuple(cases),
        problems=tuple(problems),
        ignored=tuple(shown(heading) for heading in ignored),
    )
