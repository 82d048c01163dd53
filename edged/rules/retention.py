"""How long footage is kept, and by which provision. Every doubt ends in keeping (DESIGN.md, INV-5).

A term is a period, `permanent`, or `same-as-case-file`. A period counts from the later of the day of recording
and the day of sealing, so that a recorder whose clock is slow cannot shorten it; a month that is too short for
the day of the month runs over into the next one, never back. What is unknown or contradicts itself is
`undetermined`: never disposable, until somebody determines it.
"""

import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Literal, TypeAlias, assert_never

from pydantic import BeforeValidator, Field

from edged.rules.table import Id, Name, Table, Text

Until: TypeAlias = date | Literal["permanent", "undetermined"]
"""How long something is kept: the last day on which it must still be there, for ever, or not known yet."""

CaseFileUntil: TypeAlias = date | Literal["permanent"]
"""How long a written case file is kept."""

_PERIOD = re.compile(r"P(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?")
_LEAST_DAYS = 30
_TERMS = (
    "a period of at least a month in years, months or days (P6M, P3Y, P1Y6M, P90D), permanent, or same-as-case-file"
)


@dataclass(frozen=True, kw_only=True)
class Period:
    """A span of the calendar, as ISO 8601 writes it: `P1Y6M`."""

    years: int = 0
    months: int = 0
    days: int = 0

    def after(self, start: date) -> date:
        """Give the last day of the period that begins on `start`; raises OverflowError beyond the year 9999.

        31 August and six months is 1 March: the last day of February would be short of six months.
        """
        months = start.year * 12 + start.month - 1 + self.years * 12 + self.months
        year, month = months // 12, months % 12 + 1
        if year > date.max.year:
            raise OverflowError(f"{start} and {self} is beyond the calendar")
        short = start.day - monthrange(year, month)[1]
        landed = date(year, month, start.day - max(short, 0))
        return landed + timedelta(days=self.days + (1 if short > 0 else 0))


Term: TypeAlias = Period | Literal["permanent", "same-as-case-file"]


def parse_term(text: object) -> Term:
    """Read a term; raises ValueError saying what is allowed.

    Periods of less than a month are refused: no provision counts footage in days that few, and `P6D` for `P6M`
    would have destroyed evidence within a week.
    """
    if text in ("permanent", "same-as-case-file"):
        return "permanent" if text == "permanent" else "same-as-case-file"
    found = _PERIOD.fullmatch(text) if isinstance(text, str) and text.isascii() else None
    if found is None:
        raise ValueError(_TERMS)
    years, months, days = (int(part or 0) for part in found.groups())
    if years == 0 and months == 0 and days < _LEAST_DAYS:
        raise ValueError(_TERMS)
    return Period(years=years, months=months, days=days)


class RetentionRule(Table):
    """One rule of `retention.toml`."""

    id: Id
    name: Name
    term: Annotated[Term, BeforeValidator(parse_term)]
    clause: Text
    """The provision that says so; it is signed into every classification."""


class Retention(Table):
    """`retention.toml` as a whole."""

    important: Id
    """The rule that footage marked as important on the recorder is kept by at least."""
    rules: Annotated[tuple[RetentionRule, ...], Field(alias="rule", min_length=1)]


def retain_until(
    rule: RetentionRule,
    *,
    recorded_on: date | None,
    sealed_on: date,
    case_file_until: CaseFileUntil | None,
) -> Until:
    """Say how long `rule` keeps what was recorded and sealed on these days.

    A day of recording that is unknown does not matter to a period: a file was recorded before it was sealed. A
    case file that is said to end before its footage even reached the station contradicts itself.
    """
    term = rule.term
    if isinstance(term, Period):
        try:
            return term.after(sealed_on if recorded_on is None else max(recorded_on, sealed_on))
        except OverflowError:
            return "undetermined"
    if term == "permanent":
        return "permanent"
    if term == "same-as-case-file":
        if case_file_until is None:
            return "undetermined"
        if case_file_until != "permanent" and case_file_until < sealed_on:
            return "undetermined"
        return case_file_until
    assert_never(term)


def longest(untils: Iterable[Until]) -> Until:
    """Give what satisfies all of several terms: for ever before not known before the latest day."""
    terms = list(untils)
    if "permanent" in terms:
        return "permanent"
    days = [term for term in terms if isinstance(term, date)]
    return max(days) if days and len(days) == len(terms) else "undetermined"


def until_text(until: Until) -> str:
    """Write a term's end as `retain_until` in an entry."""
    return until.isoformat() if isinstance(until, date) else until


def parse_until(text: str) -> Until:
    """Read `retain_until` of an entry; raises ValueError for anything else than a date or one of the two words."""
    if text == "permanent":
        return "permanent"
    return "undetermined" if text == "undetermined" else date.fromisoformat(text)
