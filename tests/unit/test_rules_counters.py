"""A recorder's own numbers: what is left out, and what only looks like it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from edged.rules.counters import Anew, Counter, Counts, Numbered, Skip, count

MORNING = datetime(2026, 1, 5, 8, tzinfo=UTC)
DAY = 24 * 60


def file(number: int, minute: int, *, sealed: int = 0, digits: int = 4) -> Numbered:
    moment = MORNING + timedelta(minutes=minute)
    return Numbered(path=f"{minute}/{number}", number=number, digits=digits, moment=moment, sealed=sealed)


def files(*numbers: int, at: int = 0, sealed: int = 0) -> list[Numbered]:
    """Give a file a minute, from minute `at` on; sealed ones in this order."""
    return [file(n, at + i, sealed=sealed and sealed + i) for i, n in enumerate(numbers)]


def skips(counts: Counts) -> list[tuple[int, int, int]]:
    return [(each.first, each.last, each.count) for each in counts.findings if isinstance(each, Skip)]


@pytest.mark.parametrize(
    ("card", "earlier", "counter"),
    [
        pytest.param(files(1, 2, 3, 4), [], None, id="a first day"),
        pytest.param(files(57, 58, 59), [], "recorder", id="a recorder that served elsewhere before"),
        pytest.param(files(5, 6, at=DAY), files(1, 2, 3, 4, sealed=1), "recorder", id="the next day"),
        pytest.param(files(9998, 9999, 1, 2), [], "recorder", id="past the last number to 1"),
        pytest.param(files(9998, 9999, 0, 1), [], "recorder", id="past the last number to 0"),
        pytest.param(files(1, 2, at=DAY), files(9998, 9999, sealed=1), "recorder", id="past it between dockings"),
        pytest.param(files(1, 2, at=DAY), files(1, 2, 3, sealed=1), None, id="begun anew for an empty card"),
        pytest.param(files(6, 7, 8, 1, 2), files(5, at=-DAY, sealed=1), None, id="begun anew within a card"),
        pytest.param([*files(1, 2, 3), *files(1, 2, at=60)], [], None, id="begun anew over the same numbers"),
        pytest.param(
            [*files(11, 12, 13), *files(6, 7, 8, 9, 10, at=60)],
            files(5, at=-60, sealed=1),
            "recorder",
            id="the clock was set back",
        ),
        pytest.param([file(3, 0), file(10, 9)], files(*range(4, 10), at=1, sealed=1), None, id="left on the card"),
        pytest.param([file(1, 0), file(2, 5), file(1, DAY), file(2, DAY + 5)], [], "day", id="a number a day"),
        pytest.param(files(0, 1, 2), [], "day", id="a day that begins with 0"),
        pytest.param(files(3, 4, at=60), files(1, 2, sealed=1), "day", id="two dockings on one day"),
        pytest.param(files(1, 7, 3), [], "none", id="digits that count nothing"),
        pytest.param([], files(1, 2, sealed=1), "recorder", id="an empty card"),
    ],
)
def test_nothing_is_left_out(card: list[Numbered], earlier: list[Numbered], counter: Counter | None) -> None:
    assert count(card, earlier, counter).findings == ()


@pytest.mark.parametrize(
    ("card", "earlier", "counter", "expected"),
    [
        pytest.param(files(1, 2, 4), [], None, [(3, 3, 1)], id="within a card"),
        pytest.param(files(1, 2, 5, 9), [], "recorder", [(3, 4, 2), (6, 8, 3)], id="twice"),
        pytest.param(files(8, 9, at=DAY), files(4, 5, sealed=1), None, [(6, 7, 2)], id="between dockings"),
        pytest.param(files(3, 4, at=DAY), files(9998, 9999, sealed=1), None, [(1, 2, 2)], id="behind the last number"),
        pytest.param(files(9998, 2), [], None, [(9999, 1, 2)], id="around the last number"),
        pytest.param(files(3, 4, at=DAY), files(136, 137, sealed=1), None, [(1, 2, 2)], id="of a count begun anew"),
        pytest.param(
            [*files(1, 2, 3, 4, 5), *files(1, 2, 4, at=60)],
            [],
            None,
            [(3, 3, 1)],
            id="not hidden by the same number of an older count",
        ),
        pytest.param(files(3, 10), [], None, [(4, 9, 6)], id="of which nothing is known"),
        pytest.param(files(2, 3), [], "day", [(1, 1, 1)], id="the first of a day"),
        pytest.param([file(1, 0), file(1, DAY), file(3, DAY + 5)], [], "day", [(2, 2, 1)], id="on the second day"),
        pytest.param(files(4, at=60), files(1, 2, sealed=1), "day", [(3, 3, 1)], id="between two dockings of a day"),
    ],
)
def test_numbers_are_left_out(
    card: list[Numbered], earlier: list[Numbered], counter: Counter | None, expected: list[tuple[int, int, int]]
) -> None:
    assert skips(count(card, earlier, counter)) == expected


def test_a_gap_of_the_card_that_was_partly_taken_in_before_names_the_rest() -> None:
    earlier = [file(n, n, sealed=n) for n in (4, 5, 7, 9)]
    assert skips(count([file(3, 3), file(10, 10)], earlier, None)) == [(6, 6, 1), (8, 8, 1)]


def test_what_was_handed_in_fills_gaps_and_makes_none() -> None:
    taken = files(1, 2, 3, sealed=1)
    by_hand = [replace(each, handed_in=True) for each in files(4, 5, at=3, sealed=4)]
    assert count(files(6, 7, at=5), [*taken, *by_hand], "recorder").findings == ()
    odd = [replace(each, handed_in=True) for each in files(900, at=3, sealed=4)]
    assert count(files(4, 5, at=5), [*taken, *odd], "recorder").findings == ()
    assert count(files(4, 5, at=5), odd, "recorder").findings == ()
    # It was handed in before the recorder's own files were sealed.
    before = [replace(each, handed_in=True) for each in files(4, 5, at=3, sealed=1)]
    assert count(files(6, at=5), [*files(1, 2, 3, sealed=3), *before], "recorder").findings == ()
    # A number of years ago says nothing of today's.
    ago = [replace(each, handed_in=True) for each in files(4, 5, at=-1000 * DAY, sealed=1)]
    assert skips(count(files(6, at=5), [*files(1, 2, 3, sealed=3), *ago], "recorder")) == [(4, 5, 2)]


def test_the_files_on_both_sides_are_named() -> None:
    (skip,) = count(files(1, 2, 5), [], None).findings
    assert (skip.before, skip.after) == ("1/2", "2/5")  # type: ignore[union-attr]


def test_a_counter_that_should_go_on_and_begins_anew_says_so() -> None:
    counts = count(files(1, 2, at=DAY), files(136, 137, sealed=1), "recorder")
    assert counts.findings == (Anew(number=1, last=137, after=f"{DAY}/1"),)


def test_what_an_interrupted_docking_took_out_of_order_is_no_gap() -> None:
    # It took the important one first and left; the card holds it still, and it is not among what is earlier.
    assert count(files(*range(1, 13)), [], "recorder").findings == ()


def test_stretches_end_where_a_number_is_missing_and_go_on_over_midnight() -> None:
    card = [file(1, 0), file(2, 1), file(4, 3), file(5, 959), file(1, 960), file(2, 961)]
    expected = (("0/1", "1/2"), ("3/4", "959/5", "960/1", "961/2"))
    assert count(card, [], "day").stretches == expected
    assert count(card, [], None).stretches == expected
