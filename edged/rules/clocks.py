"""What readings of a recorder's clock say: how fast it goes wrong, and when something was really recorded.

Guarantees: every bound is a hard one. A reading is an interval, not a guess with a spread, and what follows from
several is the interval of all that fits each of them. Between two readings a clock is taken to go wrong steadily, by no
more than GA/T 947 allows or than was shown of it; that nobody set it in between is an assumption, which is said. Where
nothing was measured nothing is corrected. Claims are never changed: a corrected time stands beside the claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Final, Literal

from edged.evidence import bodies
from edged.evidence.verification.findings import CLOCK_SET_MS, CLOCK_TOLERANCE_MS
from edged.evidence.verification.words import Words, signed_seconds

ALLOWED_MS_A_DAY: Final = CLOCK_TOLERANCE_MS
"""Drift that GA/T 947 allows a recorder."""

JUMP_MS_A_DAY: Final = 60_000
"""No quartz goes wrong by a minute a day (694 ppm; a bad one by 100): a clock that did was set, or lost its battery."""

SET_UNCERTAINTY_MS: Final = CLOCK_SET_MS

_FASTEST: Final = 10**12
"""Milliseconds a day: what two readings a moment apart say of a clock that was set is cut to what entries can state."""
_DAY_MS: Final = 86_400_000
_MOST_READINGS: Final = 100
_CONTAINER_STEP_MS: Final = 1_000
"""Times in containers count whole seconds (ISO/IEC 14496-12, `mvhd`)."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one docking says of a recorder's clock."""

    time: datetime
    """By the station's clock."""
    offset_ms: int | None
    """Recorder minus station; None where it was not measured."""
    uncertainty_ms: int
    was_set: bool = False
    """Whether the station set the clock then, after it was read."""

    @property
    def bounds(self) -> tuple[int, int] | None:
        """Give the least and the largest that the offset can be, in milliseconds; None where nothing was measured."""
        if self.offset_ms is None:
            return None
        return self.offset_ms - self.uncertainty_ms, self.offset_ms + self.uncertainty_ms


@dataclass(frozen=True, kw_only=True)
class Drift:
    """By how much a clock went wrong against the station's over its last readings, in milliseconds a day."""

    least_ms_a_day: int
    """Negative: it loses."""
    most_ms_a_day: int
    since: datetime
    """Of the first reading, or setting, that it follows from."""
    until: datetime
    readings: int
    """How many it follows from, the setting included."""
    before: tuple[int, int]
    """Bounds of the offset at `since`, in milliseconds."""

    @property
    def exceeds(self) -> bool:
        """Say whether it is more than GA/T 947 allows, beyond doubt."""
        return self.least_ms_a_day > ALLOWED_MS_A_DAY or self.most_ms_a_day < -ALLOWED_MS_A_DAY

    @property
    def is_jump(self) -> bool:
        """Say whether it is more than a clock can go wrong by itself, beyond doubt."""
        return self.least_ms_a_day > JUMP_MS_A_DAY or self.most_ms_a_day < -JUMP_MS_A_DAY


def reading_of(time: datetime, docking: bodies.Docking) -> Reading:
    """Give what a `docking` entry of this time says of the recorder's clock."""
    return Reading(
        time=time,
        offset_ms=docking.clock_offset_ms,
        uncertainty_ms=docking.clock_uncertainty_ms or 0,
        was_set=docking.clock_set,
    )


def drift(history: Sequence[Reading]) -> Drift | None:
    """Say how fast a clock goes wrong, by its readings, oldest first; None where fewer than two can be compared.

    As far back from the newest as one steady rate fits all of them: a setting, by the station or by anybody, ends it.
    """
    measured = [each for each in history if each.bounds is not None or each.was_set][-_MOST_READINGS:]
    if not measured or measured[-1].bounds is None:
        return None
    newest = measured[-1]
    points = [(newest.time, newest.bounds or (0, 0))]
    rates: list[tuple[int, int]] = []
    found: Drift | None = None
    for reading in reversed(measured[:-1]):
        # What it showed before it was set is another course.
        bounds = (-SET_UNCERTAINTY_MS, SET_UNCERTAINTY_MS) if reading.was_set else reading.bounds
        if bounds is None or reading.time >= points[-1][0]:
            break
        rates += [_rate(reading.time, bounds, *later) for later in points]
        rates = [(max(least for least, _ in rates), min(most for _, most in rates))]
        points.append((reading.time, bounds))
        ((least, most),) = rates
        if least > most:
            break
        found = Drift(
            least_ms_a_day=max(-_FASTEST, min(_FASTEST, least)),
            most_ms_a_day=max(-_FASTEST, min(_FASTEST, most)),
            since=reading.time,
            until=newest.time,
            readings=len(points),
            before=bounds,
        )
        if reading.was_set:
            break
    return found


def _rate(earlier: datetime, early: tuple[int, int], later: datetime, late: tuple[int, int]) -> tuple[int, int]:
    """Give the least and the largest rate, in milliseconds a day, of a straight line through two intervals."""
    apart_ms = max(1, (later - earlier) // timedelta(milliseconds=1))
    return (late[0] - early[1]) * _DAY_MS // apart_ms, -((early[0] - late[1]) * _DAY_MS // apart_ms)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Between which two moments something was, by the station's clock."""

    earliest: datetime
    latest: datetime


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """When something was recorded, as far as the readings of the recorder's clock tell."""

    start: Interval | None
    end: Interval | None
    basis: Words
    """What it follows from and what it takes for granted; or why there is none."""


def corrected(
    start: datetime | None,
    end: datetime | None,
    *,
    uncertainty_ms: int,
    history: Sequence[Reading],
    synchronised: bool,
) -> Corrected:
    """Correct the recorder's claim of when it recorded.

    `uncertainty_ms` is that of the claim as it is written; `history` what is known of the clock, oldest first, its last
    reading that of the docking in which the file was read; `synchronised` whether the station's own clock was then.
    """
    docking = history[-1] if history else None
    if docking is None or docking.bounds is None:
        return Corrected(start=None, end=None, basis=_UNKNOWN)
    course = drift(history)
    offset, rates = docking.bounds, (-ALLOWED_MS_A_DAY, ALLOWED_MS_A_DAY)
    if course is not None and course.is_jump:
        offset = _both_courses(offset, course)
    elif course is not None and course.exceeds:
        rates = min(rates[0], course.least_ms_a_day), max(rates[1], course.most_ms_a_day)
    spans = []
    for claim in (start, end):
        span = None if claim is None else _true(claim, uncertainty_ms, docking.time, offset, rates)
        if claim is not None and span is None:
            return Corrected(start=None, end=None, basis=_AFTERWARDS)
        spans.append(span)
    last_set = max((each.time for each in history[:-1] if each.was_set), default=None)
    if last_set is not None and any(span is not None and span.earliest < last_set for span in spans):
        return Corrected(start=None, end=None, basis=_SET)
    return Corrected(start=spans[0], end=spans[1], basis=_basis(docking, course, rates, synchronised=synchronised))


def _both_courses(offset: tuple[int, int], course: Drift) -> tuple[int, int]:
    """Give bounds for a clock that was set at a time that nobody knows: it may have been on either course."""
    apart_ms = (course.until - course.since) // timedelta(milliseconds=1)
    drifted_ms = ALLOWED_MS_A_DAY * apart_ms // _DAY_MS + 1
    return min(offset[0], course.before[0] - drifted_ms), max(offset[1], course.before[1] + drifted_ms)


def _true(
    claim: datetime, uncertainty_ms: int, docked: datetime, offset: tuple[int, int], rates: tuple[int, int]
) -> Interval | None:
    """Give when it was, by the station's clock, that the recorder's showed `claim`; None if after the docking.

    With offset o at the docking D and R milliseconds a day, the recorder shows t + o - (D - t) R / day at a time t.
    """
    claimed_ms = (claim - docked) // timedelta(milliseconds=1)
    found = []
    for off, rate, blur in product(offset, rates, (-uncertainty_ms, uncertainty_ms)):
        before_ms = off - claimed_ms - blur
        numerator, denominator = before_ms * rate, _DAY_MS + rate
        found += [-before_ms + numerator // denominator, -before_ms - (-numerator // denominator)]
    if min(found) > 0:
        return None
    # The docking was written after the card had come, so nothing on it is younger.
    try:
        return Interval(
            earliest=docked + timedelta(milliseconds=min(found)),
            latest=docked + timedelta(milliseconds=min(0, max(found) + 1)),
        )
    except OverflowError:
        return None


_UNKNOWN: Final = Words(
    "The recorder's clock was not compared with the station's, so nobody can say by how much this claim is off.",
    "未将记录仪时钟与采集站时钟比对，因此无法得知该时间相差多少。",
)
_AFTERWARDS: Final = Words(
    "By the recorder's own clock this lies after the docking at which the clock was compared: it was set in between, "
    "or the claim is not its own. Nothing can be corrected.",
    "按记录仪自身时钟，该时间晚于比对时钟的那次接入：时钟在其间被重新设置，或该时间并非出自其时钟。无法更正。",
)

_SET: Final = Words(
    "The station set the recorder's clock at an earlier docking; this may be from before that. Nothing is corrected.",
    "采集站在更早一次接入时校准了记录仪时钟，该录制可能早于校准。不作更正。",
)


def _basis(docking: Reading, course: Drift | None, rates: tuple[int, int], *, synchronised: bool) -> Words:
    off, blur = signed_seconds(docking.offset_ms or 0), docking.uncertainty_ms / 1000
    said = Words(
        f"At the docking the recorder's clock minus the station's was {off} s ± {blur:.3f} s.",
        f"接入时记录仪时钟减采集站时钟为 {off} 秒 ± {blur:.3f} 秒。",
    )
    if course is not None and course.is_jump:
        before = " … ".join(map(signed_seconds, course.before))
        said += Words(
            f"At an earlier reading it was {before} s: it was set in between, nobody knows when, so this covers both.",
            f"更早一次比对时为 {before} 秒：其间时钟被重新设置，时刻不明，因此所给区间涵盖两种情形。",
        )
    span = " … ".join(map(signed_seconds, rates))
    measured = course is not None and course.exceeds and not course.is_jump
    said += (
        Words(
            f"Before it, {span} s a day are taken into account, as its readings show.",
            f"此前按每日 {span} 秒计入漂移，依据其历次比对。",
        )
        if measured
        else Words(
            f"Before it, {span} s a day are taken into account, which is the drift that GA/T 947 allows.",
            f"此前按每日 {span} 秒计入漂移，即 GA/T 947 允许的范围。",
        )
    )
    said += Words(
        "It is taken for granted that nobody set it otherwise in between.", "前提是其间无人以其他方式设置过时钟。"
    )
    if not synchronised:
        said += Words(
            "The station's own clock was not synchronised then, so this is no better than that clock was.",
            "当时采集站自身时钟未同步，因此该时间的准确性不高于采集站时钟。",
        )
    return said


def contradiction(  # noqa: PLR0913 - two claims and what each of them means
    *,
    started: datetime,
    uncertainty_ms: int,
    duration_ms: int | None,
    created: datetime,
    moment: Literal["start", "end"],
    local: bool,
    within_ms: int,
) -> int | None:
    """Say by how many milliseconds the time in a container is later than the file's name says; None if they agree.

    `started` is the name's, `created` the container's. `local`: whether the container holds local time as if it were
    UTC. Both are claims of one clock, so that they agree says nothing about it; that they do not says that one of them
    is not what the recorder wrote, or that it wrote them by different clocks.
    """
    if moment == "end":
        if duration_ms is None:
            return None
        started += timedelta(milliseconds=duration_ms)
    by_ms = (created - started) // timedelta(milliseconds=1)
    if local:
        by_ms -= (started.utcoffset() or timedelta()) // timedelta(milliseconds=1)
    return None if abs(by_ms) <= uncertainty_ms + _CONTAINER_STEP_MS + within_ms else by_ms
