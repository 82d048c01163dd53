"""One row of a case feed: from what a person or another system wrote to a case record.

The columns are listed in `COLUMNS` with every spelling that is understood. Outside identifiers become ids by
`to_id`; what they were before stays in the record.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import Final

from edged.evidence.ids import CaseId, MatterId, OfficerId, RecorderId, StageId, to_id
from edged.rules.cases import CaseRecord
from edged.rules.retention import CaseFileUntil

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "case": ("case_id", "案件编号", "案件号", "案号"),
        "title": ("case_title", "案件名称", "案由"),
        "party": ("party_ref", "当事人编号", "当事人"),
        "matter": ("执法事项", "执法事项编号", "事项", "事项编号"),
        "stage": ("执法环节", "环节"),
        "officer": ("执法人员", "执法人员编号", "执法证号", "警号"),
        "recorder": ("记录仪", "记录仪编号", "设备编号"),
        "from": ("start", "开始时间", "起始时间"),
        "until": ("end", "结束时间", "截止时间"),
        "case_file_until": ("案卷保存至", "案卷保管至", "案卷保存期限"),
    }
)
"""Each column with its other spellings."""

REQUIRED: Final = ("case", "matter", "stage", "from", "until")

_SPELLINGS = {spelling: column for column, others in COLUMNS.items() for spelling in (column, *others)}

_OFFSET = r" ?(Z|[+-]\d{2}:?\d{2})?"
_TIME = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6})\d*)?)?" + _OFFSET, re.ASCII
)
_TIME_ZH = re.compile(
    r"(\d{4})年(\d{1,2})月(\d{1,2})日 ?(\d{1,2})[:时](\d{2})(?:[:分]|[:分](\d{2})(?:\.(\d{1,6})\d*)?秒?)?" + _OFFSET,
    re.ASCII,
)
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?", re.ASCII)

_TIMES = "a day with a time, such as 2026-11-21T08:00:00+08:00 or 2026-11-21 08:00"
_LONGEST_ID = 200
_LONGEST_TITLE = 500
_YEARS = range(1970, 9999)
"""So that no zone can carry a time out of the calendar."""
_LONGEST_WINDOW = timedelta(days=366)


class BadCellError(ValueError):
    """A cell that cannot be used; the text says what was found and what is allowed."""

    def __init__(self, column: str | None, allowed: str) -> None:
        super().__init__(allowed)
        self.column = column


def column_of(heading: str) -> str | None:
    """Give the column that a heading means; `None` if it is not known."""
    folded = unicodedata.normalize("NFKC", heading).strip().casefold()
    return _SPELLINGS.get(re.sub(r"[\s-]+", "_", folded))


def shown(text: str) -> str:
    """Quote a found text, so that it stays one short, printable line; letters of every script stay readable."""
    short = text if len(text) <= 60 else text[:60] + "…"  # noqa: PLR2004 - room for an id or a time
    return repr(short.encode("utf-8", "backslashreplace").decode("utf-8"))


def record_of(cells: Mapping[str, str], zone: tzinfo) -> CaseRecord:
    """Make a case record of a row's cells, by column; raises BadCellError at the first that cannot be used."""
    row = _Row(cells, zone)
    for column in REQUIRED:
        if not row.text(column):
            raise BadCellError(column, "it is empty; this column is needed in every row")
    if not row.text("officer") and not row.text("recorder"):
        raise BadCellError("officer", "it is empty, and so is recorder; allowed: at least one of the two")
    begin, end = row.time("from", fold=0), row.time("until", fold=1)
    if begin >= end:
        raise BadCellError("until", f"it is not after from ({shown(row.text('from'))}); allowed: a later time")
    if end - begin > _LONGEST_WINDOW:
        raise BadCellError(
            "until", f"it is more than {_LONGEST_WINDOW.days} days after from; allowed: at most that, in several rows"
        )
    case, officer, recorder = row.id("case"), row.id("officer"), row.id("recorder")
    return CaseRecord(
        case=CaseId(case),
        title=row.text("title") or None,
        party_ref=row.id("party") or None,
        matter=MatterId(row.id("matter")),
        stage=StageId(row.id("stage")),
        officer=OfficerId(officer) if officer else None,
        recorder=RecorderId(recorder) if recorder else None,
        from_=begin,
        until=end,
        case_file_until=row.case_file_until(),
        as_written=tuple(sorted(row.mapped.items())),
    )


class _Row:
    """The cells of one row, read column by column."""

    def __init__(self, cells: Mapping[str, str], zone: tzinfo) -> None:
        self._cells = cells
        self._zone = zone
        self.mapped: dict[str, str] = {}

    def written(self, column: str) -> str:
        """Give a cell in one line: spreadsheets put line breaks and doubled spaces into cells."""
        text = " ".join(self._cells.get(column, "").split())
        if not text.isprintable():
            raise BadCellError(column, f"{shown(text)} has characters that cannot be printed; allowed: none")
        most = _LONGEST_TITLE if column == "title" else _LONGEST_ID
        if len(text) > most:
            raise BadCellError(column, f"it has {len(text)} characters; allowed: at most {most}")
        return text

    def text(self, column: str) -> str:
        """Give a cell as it is meant."""
        text = self.written(column)
        if column in ("officer", "recorder", "from", "until", "case_file_until"):
            # These have to equal what a machine wrote in ASCII; input methods make full-width digits of it.
            text = unicodedata.normalize("NFKC", text).strip()
        return text

    def id(self, column: str) -> str:
        """Give a cell as an id, empty if it is empty; keeps the original where that was not one."""
        text = self.text(column)
        if not text:
            return ""
        mapped, written = to_id(text), self.written(column)
        if mapped != written:
            self.mapped[column] = written
        return mapped

    def time(self, column: str, *, fold: int) -> datetime:
        """Give a cell as an aware time; `fold` decides an hour that the clocks of the zone show twice."""
        text = self.text(column)
        found = _TIME.fullmatch(text) or _TIME_ZH.fullmatch(text)
        if found is None:
            raise BadCellError(column, f"{shown(text)} is not a time; allowed: {_TIMES}")
        *numbers, fraction, offset = found.groups()
        year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
        micro = int((fraction or "").ljust(6, "0"))
        outside = BadCellError(column, f"{shown(text)} is not in the calendar; allowed: {_TIMES}")
        if year not in _YEARS:
            raise outside
        try:
            zone = _offset(offset) if offset else self._zone
            return _fixed(datetime(year, month, day, hour, minute, second, micro, tzinfo=zone, fold=fold))
        except ValueError as error:
            raise outside from error

    def case_file_until(self) -> CaseFileUntil | None:
        text = self.text("case_file_until")
        if not text:
            return None
        if text in ("permanent", "永久"):
            return "permanent"
        found = _DAY.fullmatch(text)
        try:
            if found is not None:
                return date(*(int(number) for number in found.groups()))
        except ValueError:
            pass
        raise BadCellError(
            "case_file_until", f"{shown(text)} is no day; allowed: a day such as 2036-12-31, permanent, 永久, or empty"
        )


def _fixed(moment: datetime) -> datetime:
    """Give a time with its offset instead of its zone: it keeps its meaning when a zone's rules are changed."""
    return moment.replace(tzinfo=timezone(moment.utcoffset() or timedelta()), fold=0)


def _offset(text: str) -> tzinfo:
    if text == "Z":
        return timezone(timedelta())
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    if int(text[-2:]) >= 60:  # noqa: PLR2004 - minutes of an hour
        raise ValueError("an offset has less than 60 minutes")
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
