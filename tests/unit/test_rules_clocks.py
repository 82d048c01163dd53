"""Drift and corrected times: the truth is always inside, a setting is never taken for drift, nothing is made up."""

import random
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from edged.rules.clocks import (
    ALLOWED_MS_A_DAY,
    SET_UNCERTAINTY_MS,
    Corrected,
    Drift,
    Reading,
    contradiction,
    corrected,
    drift,
)

DAY = timedelta(days=1)
BEGIN = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
CHINA = timezone(timedelta(hours=8))


def reading(days: float, offset_ms: int | None, uncertainty_ms: int = 1_000, *, was_set: bool = False) -> Reading:
    return Reading(time=BEGIN + days * DAY, offset_ms=offset_ms, uncertainty_ms=uncertainty_ms, was_set=was_set)


def course(*readings: Reading) -> Drift:
    found = drift(readings)
    assert found is not None
    return found


# -- drift


@pytest.mark.parametrize(
    "history",
    [
        [],
        [reading(0, 5)],
        [reading(0, None), reading(1, None)],
        [reading(0, 5), reading(1, None)],
        [reading(0, None), reading(1, 5)],
        [reading(1, 5), reading(1, 5)],
        [reading(2, 5), reading(1, 5)],
    ],
)
def test_fewer_than_two_readings_in_order_are_no_drift(history: list[Reading]) -> None:
    assert drift(history) is None


def test_two_readings_bound_the_rate_by_their_uncertainties() -> None:
    found = course(reading(0, 0), reading(10, 20_000, 3_000))
    assert (found.least_ms_a_day, found.most_ms_a_day, found.readings) == (1_600, 2_400, 2)
    assert (found.since, found.until) == (BEGIN, BEGIN + 10 * DAY)
    assert not found.exceeds


def test_more_readings_narrow_the_rate_down() -> None:
    few = course(reading(0, 0), reading(10, 20_000))
    many = course(reading(0, 0), reading(5, 10_500), reading(10, 20_000))
    assert few.least_ms_a_day <= many.least_ms_a_day <= 2_000 <= many.most_ms_a_day <= few.most_ms_a_day
    assert many.readings == 3


@pytest.mark.parametrize(
    ("change_ms", "uncertainty_ms", "exceeds"),
    [
        (30_000, 0, False),
        (30_011, 0, True),
        (30_011, 10, False),
        (-30_011, 0, True),
        (-30_000, 0, False),
        (90_000, 29_000, True),
        (90_000, 31_000, False),
    ],
)
def test_three_seconds_a_day_are_exceeded_only_beyond_doubt(
    *, change_ms: int, uncertainty_ms: int, exceeds: bool
) -> None:
    found = course(reading(0, 7_000, uncertainty_ms), reading(10, 7_000 + change_ms, uncertainty_ms))
    assert found.exceeds is exceeds


def test_a_clock_that_was_set_by_hand_has_jumped_and_not_drifted() -> None:
    found = course(reading(0, 0), reading(1, 500), reading(2, 3_600_000))
    assert found.is_jump
    assert found.exceeds
    assert found.since == BEGIN + DAY
    assert found.before == (-500, 1_500)


def test_what_was_before_a_jump_is_another_course() -> None:
    found = course(reading(0, 3_600_000), reading(1, 3_600_500), reading(2, 100), reading(3, 600), reading(4, 1_100))
    assert (found.since, found.readings) == (BEGIN + 2 * DAY, 3)
    assert not found.exceeds


def test_a_setting_by_the_station_begins_anew_and_is_sure_to_two_seconds() -> None:
    found = course(reading(0, 90_000), reading(10, 120_000, was_set=True), reading(20, 10_000))
    assert (found.since, found.before) == (BEGIN + 10 * DAY, (-SET_UNCERTAINTY_MS, SET_UNCERTAINTY_MS))
    assert (found.least_ms_a_day, found.most_ms_a_day) == (700, 1_300)
    unread = course(reading(10, None, 0, was_set=True), reading(20, 10_000))
    assert (unread.least_ms_a_day, unread.most_ms_a_day) == (700, 1_300)


def test_a_station_clock_that_went_back_ends_the_history() -> None:
    found = course(reading(5, 0), reading(1, 0), reading(2, 100))
    assert found.since == BEGIN + DAY


def test_the_true_rate_is_always_inside() -> None:
    chance = random.Random(7)
    for _ in range(300):
        rate, start = chance.uniform(-50_000, 50_000), chance.uniform(-100_000, 100_000)
        history = []
        for days in sorted(chance.uniform(0, 30) for _ in range(chance.randint(2, 8))):
            blur = chance.randint(0, 5_000)
            seen = start + rate * days + chance.uniform(-blur, blur)
            history.append(reading(days, round(seen), blur + 1))
        found = drift(history)
        assert found is not None
        # Times are cut to microseconds in the script, so a rate may be off in the last digit.
        assert found.least_ms_a_day - 2 <= rate <= found.most_ms_a_day + 2
        assert found.readings == len(history)


def test_a_long_history_is_bounded() -> None:
    assert course(*(reading(day, day * 100) for day in range(1_000))).readings == 100


# -- corrected times


def correct(
    start: datetime | None,
    end: datetime | None = None,
    *history: Reading,
    uncertainty_ms: int = 0,
    synchronised: bool = True,
) -> Corrected:
    return corrected(start, end, uncertainty_ms=uncertainty_ms, history=history, synchronised=synchronised)


@pytest.mark.parametrize("history", [[], [reading(1, None)], [reading(0, 5_000), reading(1, None)]])
def test_what_was_never_measured_is_not_corrected_and_said_so(history: list[Reading]) -> None:
    found = correct(BEGIN, BEGIN, *history)
    assert (found.start, found.end) == (None, None)
    assert "nobody can say by how much" in found.basis.en
    assert "无法得知" in found.basis.zh


def test_a_claim_is_put_back_by_the_offset_and_widened_by_the_day_s_drift() -> None:
    docked = reading(1, 97_000, 4_000)
    claim = docked.time - DAY + timedelta(seconds=97)
    found = correct(claim, claim + timedelta(seconds=60), docked, uncertainty_ms=1_000)
    assert found.start is not None
    assert found.end is not None
    # 4 s of the reading, 1 s of the name, 3 s of drift.
    assert found.start.earliest == pytest.approx(docked.time - DAY - timedelta(seconds=8), abs=timedelta(seconds=0.01))
    assert found.start.latest == pytest.approx(docked.time - DAY + timedelta(seconds=8), abs=timedelta(seconds=0.01))
    assert found.end.latest - found.end.earliest < found.start.latest - found.start.earliest
    assert "+97.000 s ± 4.000 s" in found.basis.en
    assert "GA/T 947 allows" in found.basis.en
    assert "nobody set it otherwise" in found.basis.en
    assert "not synchronised" not in found.basis.en


def test_the_claim_of_a_start_alone_gives_a_start_alone() -> None:
    found = correct(BEGIN, None, reading(1, 0))
    assert found.start is not None
    assert found.end is None
    found = correct(None, None, reading(1, 0))
    assert (found.start, found.end) == (None, None)


def test_the_true_time_is_always_inside() -> None:
    chance = random.Random(11)
    for _ in range(1_000):
        rate = chance.uniform(-3_000, 3_000)
        at_docking = chance.uniform(-4_000_000, 4_000_000)
        blur = chance.randint(0, 10_000)
        docked = reading(20, round(at_docking + chance.uniform(-blur, blur)), blur + 1)
        truly = BEGIN + chance.uniform(0, 20) * DAY
        shown = truly + timedelta(milliseconds=at_docking - rate * ((docked.time - truly) / DAY))
        found = correct(shown.astimezone(CHINA), None, docked)
        assert found.start is not None
        assert found.start.earliest <= truly <= found.start.latest
        assert found.start.latest <= docked.time
        assert found.start.latest - found.start.earliest < timedelta(milliseconds=2 * blur + 2 * 3_000 * 20 + 10)


def test_the_true_time_is_inside_for_a_clock_that_drifts_more_than_allowed() -> None:
    rate = 20_000
    readings = [reading(days, rate * days) for days in (0, 10, 20)]
    truly = BEGIN + 12 * DAY
    found = correct(truly + timedelta(milliseconds=rate * 12), None, *readings)
    assert found.start is not None
    assert found.start.earliest <= truly <= found.start.latest
    assert "as its readings show" in found.basis.en
    alone = correct(truly + timedelta(milliseconds=rate * 12), None, readings[-1])
    assert alone.start is not None
    assert alone.start.earliest > truly or alone.start.latest < truly


def test_a_measured_drift_never_makes_a_time_surer_than_the_standard_does() -> None:
    claim = BEGIN + 5 * DAY
    sure = correct(claim, None, reading(0, 0, 0), reading(10, 0, 0))
    alone = correct(claim, None, reading(10, 0, 0))
    assert sure.start == alone.start


@pytest.mark.parametrize("truly_days", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("set_after_days", [0.2, 0.95])
def test_a_clock_that_somebody_set_in_between_is_covered_before_and_after(
    truly_days: float, set_after_days: float
) -> None:
    """An hour off at the first docking, right at the second: the recording may be from either side."""
    rate = 2_900 if set_after_days < 0.5 else -2_900
    truly = BEGIN + truly_days * DAY
    old, new = 3_600_000 + rate * truly_days, -rate * (1 - truly_days)
    shown = truly + timedelta(milliseconds=old if truly_days < set_after_days else new)
    found = correct(shown, None, reading(0, 3_600_000), reading(1, 0))
    assert found.start is not None
    assert found.start.earliest <= truly <= found.start.latest
    assert "set in between" in found.basis.en


def test_what_the_recorder_claims_to_have_recorded_after_it_was_docked_is_not_corrected() -> None:
    found = correct(BEGIN + 2 * DAY, None, reading(1, 0))
    assert found.start is None
    assert "after the docking" in found.basis.en


def test_what_may_be_from_before_the_station_set_the_clock_is_not_corrected() -> None:
    history = [reading(0, 90_000, was_set=True), reading(1, 500)]
    before, after = BEGIN - timedelta(hours=1), BEGIN + timedelta(hours=1)
    assert correct(before, None, *history).start is None
    assert "set the recorder's clock at an earlier docking" in correct(before, None, *history).basis.en
    assert correct(after, None, *history).start is not None
    # Setting it at the docking itself changes nothing of what was recorded before.
    assert correct(before, None, reading(0, 90_000, was_set=True)).start is not None


def test_nothing_is_recorded_later_than_the_docking() -> None:
    found = correct(BEGIN + DAY - timedelta(seconds=1), None, reading(1, 0, 60_000))
    assert found.start is not None
    assert found.start.latest == BEGIN + DAY


def test_an_unsynchronised_station_is_told() -> None:
    assert "not synchronised" in correct(BEGIN, None, reading(1, 0), synchronised=False).basis.en


@pytest.mark.parametrize(
    ("claim", "docked"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), reading(0, 2**53 - 1)),
        (datetime(1, 1, 1, tzinfo=UTC), reading(0, 0, 2**53 - 1)),
        (datetime(9999, 12, 31, tzinfo=UTC), reading(0, -(2**53) + 1)),
        (datetime(1, 1, 1, tzinfo=CHINA), reading(0, 0)),
    ],
)
def test_times_and_offsets_without_sense_never_fail(claim: datetime, docked: Reading) -> None:
    found = correct(claim, claim, docked, uncertainty_ms=2**53 - 1)
    assert found.basis.en


def test_drift_over_offsets_without_sense_never_fails() -> None:
    wild = [reading(0, 2**53 - 1, 0), reading(0.00000001, -(2**53) + 1, 0)]
    assert course(*wild).is_jump
    assert correct(BEGIN, None, *wild).basis.en


def test_the_allowed_drift_is_that_of_the_standard() -> None:
    assert ALLOWED_MS_A_DAY == 3_000


# -- a name against a container


NAMED: dict[str, Any] = {
    "started": datetime(2026, 11, 21, 16, 0, 0, tzinfo=CHINA),
    "uncertainty_ms": 1_000,
    "duration_ms": 60_000,
    "moment": "start",
    "local": False,
    "within_ms": 2_000,
}


@pytest.mark.parametrize(
    ("created", "more", "by_ms"),
    [
        ("2026-11-21T08:00:00Z", {}, None),
        ("2026-11-21T08:00:04Z", {}, None),
        ("2026-11-21T08:00:05Z", {}, 5_000),
        ("2026-11-21T07:59:55Z", {}, -5_000),
        ("2026-11-21T08:01:00Z", {"moment": "end"}, None),
        ("2026-11-21T08:00:00Z", {"moment": "end"}, -60_000),
        ("2026-11-21T08:00:00Z", {"moment": "end", "duration_ms": None}, None),
        ("2026-11-21T16:00:00Z", {}, 28_800_000),
        ("2026-11-21T16:00:00Z", {"local": True}, None),
        ("2026-11-21T08:00:00Z", {"local": True}, -28_800_000),
    ],
)
def test_a_name_and_a_container_that_contradict_each_other(
    created: str, more: dict[str, Any], by_ms: int | None
) -> None:
    assert contradiction(created=datetime.fromisoformat(created), **(NAMED | more)) == by_ms
