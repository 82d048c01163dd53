"""Tables of days: what is told of a card, and what is an ordinary day."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import pytest

from edged.evidence.ids import DockingId, SegmentId
from edged.rules.continuity import Copy, Facts, Gone, Habits, Incomplete, Join, Recorded, judge
from edged.rules.counters import Skip

MORNING = datetime(2026, 1, 5, 8, tzinfo=UTC)
CUT = 900_000
CUTS = Habits(cut_ms=CUT)


def video(number: int | None, at_ms: int, lasts_ms: int | None = 10_000, **changes: Any) -> Recorded:
    """Give a video that begins so long after the morning by the recorder's clock."""
    facts: dict[str, Any] = {
        "path": f"{number}-{at_ms}.MP4",
        "segment": SegmentId(f"sg-{number}-{at_ms}"),
        "number": number,
        "digits": 4,
        "start": MORNING + timedelta(milliseconds=at_ms),
        "end": None,
        "uncertainty_ms": 1_000,
        "in_name": True,
        "duration_ms": lasts_ms,
        "size_bytes": 1_000_000,
        "is_video": True,
    }
    return Recorded(**facts | changes)


def told(*card: Recorded, habits: Habits = CUTS, **more: Any) -> list[Any]:
    return list(judge(Facts(habits=habits, card=card, **more)))


def joined(gap_ms: int, uncertainty_ms: int, *, number: bool = True, habits: Habits = CUTS) -> list[Any]:
    """Give what is told of two segments with so much between them."""
    one = video(1 if number else None, 0, CUT, uncertainty_ms=uncertainty_ms)
    two = video(2 if number else None, CUT + gap_ms, uncertainty_ms=uncertainty_ms)
    return told(one, two, habits=habits)


def test_an_officer_switches_the_camera_off_and_on_all_day() -> None:
    lengths = [12_000, 899_000 - 5_000, 3_000, 60_000, 450_000]
    begins = accumulate(
        (length + pause for length, pause in zip(lengths, [1_000, 20_000, 7_200_000, 90_000, 1], strict=True)),
        initial=0,
    )
    day = [video(n, at, length) for n, (at, length) in enumerate(zip(begins, lengths, strict=False), 1)]
    assert told(*day) == []
    assert told(*(video(None, n * 10_000_000, 5_000) for n in range(5))) == []


def test_a_recording_of_an_hour_in_segments_of_a_quarter() -> None:
    assert told(*(video(n, (n - 1) * CUT, CUT) for n in (1, 2, 3)), video(4, 3 * CUT, 40_000)) == []


@pytest.mark.parametrize("number", [True, False])
@pytest.mark.parametrize(
    ("gap_ms", "uncertainty_ms", "between"),
    [
        (39, 0, None),
        (40, 0, None),
        (41, 0, (41, 41)),
        (1_039, 1_000, None),
        (1_040, 1_000, None),
        (1_041, 1_000, (41, 2_041)),
        (7_200_000, 3_601_000, (3_599_000, 10_801_000)),
        (3_000_000, 3_601_000, None),
    ],
)
def test_a_gap_is_told_where_even_the_least_is_too_long(
    gap_ms: int, uncertainty_ms: int, between: tuple[int, int] | None, *, number: bool
) -> None:
    found = joined(gap_ms, uncertainty_ms, number=number)
    assert [(each.kind, each.least_ms, each.most_ms) for each in found] == (
        [] if between is None else [("gap", *between)]
    )


def test_no_gap_is_told_where_nobody_knows_how_the_recorder_cuts() -> None:
    assert joined(60_000, 1_000, habits=Habits()) == []


def test_a_gap_that_the_profile_allows_is_none() -> None:
    assert joined(3_000, 1_000, habits=Habits(cut_ms=CUT, longest_join_ms=2_000)) == []


def test_a_file_that_reached_the_largest_size_was_cut() -> None:
    full, next_one = video(1, 0, 500_000, size_bytes=4_290_000_000), video(2, 600_000)
    (gap,) = told(full, next_one, habits=Habits(cut_bytes=1 << 32))
    assert (gap.kind, gap.before, gap.after) == ("gap", full, next_one)


def test_a_photograph_between_two_segments_is_no_gap() -> None:
    photo = video(2, 400_000, None, is_video=False)
    assert told(video(1, 0, CUT), photo, video(3, CUT)) == []


@pytest.mark.parametrize(("into_ms", "told_of"), [(1_000, False), (1_040, False), (1_041, True), (120_000, True)])
def test_a_file_that_begins_before_the_last_one_ends_shows_a_clock_set_back(into_ms: int, *, told_of: bool) -> None:
    found = told(video(1, 0, 300_000), video(2, 300_000 - into_ms), habits=Habits())
    assert [(each.kind, each.least_ms, each.most_ms) for each in found] == (
        [("overlap", into_ms - 1_000, into_ms + 1_000)] if told_of else []
    )


def test_a_recorder_that_keeps_what_came_before_the_button_overlaps() -> None:
    assert told(video(1, 0, 300_000), video(2, 280_000), habits=Habits(longest_overlap_ms=30_000)) == []


def test_times_that_are_no_names_are_not_compared() -> None:
    assert told(video(1, 0, CUT, in_name=False), video(2, CUT + 60_000, in_name=False)) == []


def test_a_recording_that_stops_at_a_cut_is_incomplete() -> None:
    last = video(2, CUT, CUT + 1_500)
    assert told(video(1, 0, CUT), last) == [Incomplete(file=last, why="not-continued")]
    # A docking that came to its end told it already.
    assert told(video(1, 0, CUT), video(2, CUT, CUT, is_new=False)) == []


def test_a_recording_that_goes_on_in_a_number_that_is_missing_is_incomplete_there() -> None:
    first, third = video(1, 0, CUT), video(3, 2 * CUT, 30_000)
    skip = Skip(first=2, last=2, count=1, before=first.path, after=third.path)
    assert told(first, third) == [skip, Incomplete(file=first, why="not-continued")]


def test_a_file_that_was_never_finished_is_incomplete() -> None:
    flawed = [video(1, 0, None, flaw="no-index"), video(2, 60_000, None, flaw="empty", size_bytes=0)]
    assert told(*flawed) == [Incomplete(file=flawed[0], why="no-index"), Incomplete(file=flawed[1], why="empty")]
    assert told(video(1, 0, None, flaw="no-index", is_new=False)) == []


def test_a_file_that_could_not_be_taken_still_has_its_number() -> None:
    assert told(video(1, 0), video(2, 60_000, None, segment=None, is_video=False), video(3, 90_000)) == []


def test_a_file_without_any_time_is_told_nothing_of() -> None:
    assert told(video(7, 0, start=None), video(None, 0, start=None)) == []


def test_what_is_gone_and_what_is_there_twice_is_passed_on() -> None:
    gone = Gone(last=DockingId("dk-1"), held=("A",), lost=("B",))
    copy = Copy(segment=SegmentId("sg-1"), path="COPY/A", first_path="A", erased_in=None)
    assert told(gone=gone, copies=[copy]) == [gone, copy]
    assert told(gone=Gone(last=DockingId("dk-1"), held=(), lost=())) == []


def test_the_same_facts_give_the_same_findings_in_any_order() -> None:
    card = [video(1, 0, CUT), video(4, 3 * CUT + 60_000), video(3, 2 * CUT, CUT), video(6, 9 * CUT, None, flaw="empty")]
    assert told(*card) == told(*reversed(card))
    assert {type(each) for each in told(*card)} == {Skip, Join, Incomplete}
