"""Terms of keeping: calendar arithmetic that never shortens, and doubt that always keeps."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.config import parse_toml
from edged.rules.retention import (
    Period,
    Retention,
    RetentionRule,
    Term,
    longest,
    parse_term,
    parse_until,
    retain_until,
    until_text,
)
from edged.rules.table import Name


def rule(term: Term) -> RetentionRule:
    return RetentionRule.model_construct(id="r", name=Name(en="r", zh="规"), term=term, clause="c")


@pytest.mark.parametrize(
    ("start", "term", "until"),
    [
        ("2026-01-15", "P6M", "2026-07-15"),
        ("2025-08-31", "P6M", "2026-03-01"),
        ("2023-08-31", "P6M", "2024-03-01"),
        ("2024-02-29", "P1Y", "2025-03-01"),
        ("2024-02-29", "P4Y", "2028-02-29"),
        ("2026-03-31", "P1M", "2026-05-01"),
        ("2026-12-31", "P1Y6M", "2028-07-01"),
        ("2026-11-21", "P90D", "2027-02-19"),
        ("2026-08-31", "P6M1D", "2027-03-02"),
    ],
)
def test_a_period_ends_on_the_same_day_or_runs_over(start: str, term: str, until: str) -> None:
    day = date.fromisoformat(start)
    end = retain_until(rule(parse_term(term)), recorded_on=day, sealed_on=day, case_file_until=None)
    assert until_text(end) == until


def test_a_slow_recorder_clock_does_not_shorten_a_term() -> None:
    end = retain_until(
        rule(Period(months=6)),
        recorded_on=date(1980, 1, 1),
        sealed_on=date(2026, 11, 21),
        case_file_until=None,
    )
    assert end == date(2027, 5, 21)


def test_a_fast_recorder_clock_only_lengthens() -> None:
    end = retain_until(
        rule(Period(months=6)),
        recorded_on=date(2031, 1, 1),
        sealed_on=date(2026, 11, 21),
        case_file_until=None,
    )
    assert end == date(2031, 7, 1)


def test_a_period_counts_from_sealing_where_the_day_of_recording_is_unknown() -> None:
    end = retain_until(rule(Period(years=3)), recorded_on=None, sealed_on=date(2026, 11, 21), case_file_until=None)
    assert end == date(2029, 11, 21)


def test_a_claimed_day_at_the_end_of_the_calendar_is_undetermined() -> None:
    for term in (Period(months=1), Period(days=30)):
        end = retain_until(rule(term), recorded_on=date(9999, 12, 31), sealed_on=date(2026, 1, 1), case_file_until=None)
        assert end == "undetermined"


@pytest.mark.parametrize(
    ("case_file", "until"),
    [
        (None, "undetermined"),
        ("permanent", "permanent"),
        (date(2036, 12, 31), date(2036, 12, 31)),
        (date(2026, 11, 21), date(2026, 11, 21)),
        (date(2026, 11, 20), "undetermined"),
    ],
)
def test_same_as_case_file(case_file: date | None, until: object) -> None:
    end = retain_until(
        rule("same-as-case-file"),
        recorded_on=date(2026, 11, 20),
        sealed_on=date(2026, 11, 21),
        case_file_until=case_file,
    )
    assert end == until


def test_permanent_stays_permanent_whatever_is_claimed() -> None:
    day = date(2026, 1, 1)
    assert retain_until(rule("permanent"), recorded_on=day, sealed_on=day, case_file_until=day) == "permanent"


DAYS = st.dates(min_value=date(1970, 1, 1), max_value=date(2200, 1, 1))
PERIODS = st.builds(
    Period,
    years=st.integers(0, 200),
    months=st.integers(0, 200),
    days=st.integers(0, 4000),
)


@settings(deadline=None, max_examples=300)
@given(start=DAYS, period=PERIODS)
def test_no_period_is_ever_shorter_than_its_calendar_months(start: date, period: Period) -> None:
    end = period.after(start) - timedelta(days=period.days)
    months = (end.year - start.year) * 12 + end.month - start.month
    wanted = period.years * 12 + period.months
    assert months > wanted or (months == wanted and end.day >= start.day)


@settings(deadline=None, max_examples=300)
@given(start=DAYS, later=st.integers(0, 400), period=PERIODS)
def test_a_later_start_never_ends_earlier(start: date, later: int, period: Period) -> None:
    assert period.after(start + timedelta(days=later)) >= period.after(start)


NO_TERMS = (
    *("P6D", "P0M", "P0Y", "P29D", "P", "P-6M", "-P6M", "6M", "p6m", "P6W", "PT6M", "P6M ", "P6M\n", "P1.5Y", "P٦M"),
    *("", "Permanent", "forever", 6, None, True, ["P6M"]),
)


@pytest.mark.parametrize("text", NO_TERMS)
def test_a_term_that_is_no_term_is_refused_with_what_is_allowed(text: object) -> None:
    with pytest.raises(ValueError, match=r"P6M, P3Y, P1Y6M, P90D\), permanent, or same-as-case-file"):
        parse_term(text)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("P6M", Period(months=6)),
        ("P3Y", Period(years=3)),
        ("P1Y6M10D", Period(years=1, months=6, days=10)),
        ("P30D", Period(days=30)),
        ("permanent", "permanent"),
        ("same-as-case-file", "same-as-case-file"),
    ],
)
def test_terms(text: str, term: Term) -> None:
    assert parse_term(text) == term


def test_longest_prefers_for_ever_and_then_doubt() -> None:
    early, late = date(2026, 1, 1), date(2030, 1, 1)
    assert longest([early, late]) == late
    assert longest([late, "undetermined"]) == "undetermined"
    assert longest(["undetermined", "permanent", early]) == "permanent"
    assert longest([]) == "undetermined"


@pytest.mark.parametrize("text", ["permanent", "undetermined", "2026-11-21"])
def test_terms_of_entries_are_read_as_they_were_written(text: str) -> None:
    assert until_text(parse_until(text)) == text


GOOD = """
important = "a"
[[rule]]
id = "a"
name = { en = "A", zh = "甲" }
term = "P6M"
clause = "第十三条"
"""


def test_a_good_file_is_read() -> None:
    read = parse_toml(GOOD, Retention)
    assert read.rules[0].term == Period(months=6)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('term = "P6M"', 'term = "P6D"', r"rule\.0\.term is 'P6D'; allowed: a period of at least a month"),
        ('term = "P6M"', "term = 6", r"rule\.0\.term is 6; allowed: a period of at least a month"),
        ('term = "P6M"', 'term = "P6M"\nterms = "P1Y"', r"rule\.0\.terms is not a key that is known here"),
        ('clause = "第十三条"', "", r"rule\.0\.clause is missing"),
        ('clause = "第十三条"', 'clause = "  "', r"rule\.0\.clause is '  '"),
        ('important = "a"', "", r"important is missing"),
        ('id = "a"\nname', 'id = "../a"\nname', r"rule\.0\.id is '\.\./a'"),
    ],
)
def test_a_wrong_key_is_named_with_what_is_allowed(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ValueError, match=said):
        parse_toml(GOOD.replace(old, new), Retention)
