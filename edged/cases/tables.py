"""The two formats of a case feed, as rows of cells: CSV as spreadsheets write it, and JSON.

A row that is broken in itself says so and leaves the others alone; what makes the rest of a file unreadable is a
`BadFileError`.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edged.cases.rows import COLUMNS, REQUIRED, column_of, shown


class BadFileError(ValueError):
    """A file that cannot be read, or not beyond `row`; the text says why and what is allowed."""

    def __init__(self, allowed: str, row: int | None = None) -> None:
        super().__init__(allowed)
        self.row = row


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row that is not empty."""

    number: int
    """As a spreadsheet counts, from 1; in JSON the item, from 1."""
    cells: Mapping[str, str] = field(default_factory=dict)
    """By column; only columns that are known here."""
    ignored: tuple[str, ...] = ()
    """Headings that are not known here."""
    broken: str | None = None
    """Why the row has no cells."""


def decode(data: bytes, *, at_most: int) -> str:
    """Give the text of a feed file: UTF-8 with or without a mark, else GB 18030 (the Chinese Windows default)."""
    if len(data) > at_most:
        raise BadFileError(f"it has more than {at_most} bytes; allowed: at most that, in several files")
    if b"\x00" in data:
        raise BadFileError("it is no plain text; allowed: CSV or JSON in UTF-8 or GB 18030 (save a workbook as CSV)")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadFileError("its characters are neither UTF-8 nor GB 18030; allowed: one of the two")


def csv_rows(text: str) -> Iterator[Row]:
    """Read CSV (RFC 4180) with a heading row, separated by `,` or `;`."""
    lines = _records(text)
    number, headings = next(lines, (0, []))
    if not headings:
        raise BadFileError(f"it is empty; allowed: a first row with the headings {', '.join(COLUMNS)}")
    columns = [column_of(heading) for heading in headings]
    known = [column for column in columns if column is not None]
    for column in known:
        if known.count(column) > 1:
            raise BadFileError(f"two headings mean {column}; allowed: each once", number)
    missing = [column for column in REQUIRED if column not in known]
    if missing:
        needed = ", ".join(f"{column} ({COLUMNS[column][-1]})" for column in missing)
        raise BadFileError(f"it has no heading {needed}; allowed: English or Chinese headings in the first row", number)
    ignored = tuple(
        heading.strip() for heading, column in zip(headings, columns, strict=True) if column is None and heading.strip()
    )
    for row, values in lines:
        if any(value.strip() for value in values[len(headings) :]):
            broken = (
                f"it has {len(values)} cells under {len(headings)} headings; "
                "allowed: as many, with quotes around a cell that holds a separator"
            )
            yield Row(number=row, ignored=ignored, broken=broken)
            continue
        cells = {column: value for column, value in zip(columns, values, strict=False) if column is not None}
        yield Row(number=row, cells=cells, ignored=ignored)


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Give the records that are not empty with their numbers; a record may span lines where a cell is quoted."""
    # Some spreadsheets say their separator in a first line of its own.
    said = re.match(r"sep=([,;])\r?\n", text)
    text, skipped = (text[said.end() :], 1) if said else (text, 0)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=said[1] if said else _separator(text), strict=True)
    number = skipped
    while True:
        number += 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadFileError(
                f"from here on it is not CSV ({error}); allowed: quotes only around a cell, doubled inside it", number
            ) from error
        if any(value.strip() for value in values):
            yield number, values


def _separator(text: str) -> str:
    heading = next((line for line in text.splitlines() if line.strip(",; \t")), "")
    return max(",;", key=lambda mark: sum(column_of(part.strip('"')) is not None for part in heading.split(mark)))


def json_rows(text: str) -> Iterator[Row]:
    """Read JSON: an array of objects, or an object whose `cases` is one; keys are headings."""
    try:
        # A whole number is an identifier here, and stays as it was written.
        whole = json.loads(text, object_pairs_hook=_Pairs, parse_int=str)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else f"it is not JSON ({error})"
        raise BadFileError(f"{why}; allowed: a list of cases, or an object with the list `cases`") from error
    if isinstance(whole, _Pairs):
        lists = [value for key, value in whole.pairs if key == "cases"]
        whole = lists[0] if len(lists) == 1 else None
    if not isinstance(whole, list):
        raise BadFileError("it holds no list of cases; allowed: a list of cases, or an object with the list `cases`")
    for number, item in enumerate(whole, 1):
        yield _json_row(number, item)


class _Pairs:
    """A JSON object as it was written, with keys that stand there twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self.pairs = pairs


def _json_row(number: int, item: object) -> Row:
    if not isinstance(item, _Pairs):
        return Row(number=number, broken="it is no object; allowed: an object whose keys are the headings")
    cells: dict[str, str] = {}
    ignored = []
    for key, value in item.pairs:
        column = column_of(key)
        if column is None:
            ignored.append(key)
        elif column in cells:
            return Row(number=number, broken=f"two keys mean {column}; allowed: each once")
        elif value is None:
            cells[column] = ""
        elif isinstance(value, str):
            cells[column] = value
        else:
            return Row(number=number, broken=f"{shown(key)} is no text; allowed: text, a whole number, or null")
    return Row(number=number, cells=cells, ignored=tuple(ignored))
