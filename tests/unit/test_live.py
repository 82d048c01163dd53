"""What the station shows of itself: the lamp beside a bay, progress, and what a person should look at."""

import threading
from typing import get_args

import pytest

from edged.station.live import Live, Phase
from tests.unit.book_station import START, Ticking


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def live(clock: Ticking) -> Live:
    return Live(clock)


def test_bay_keeps_what_is_not_named(live: Live) -> None:
    live.set_bay("bay-1", "listing", text="Reading.")
    live.set_bay("bay-1", "copying", recorder="rec-1", files=3, bytes=1000)
    (bay,) = live.bays()
    assert (bay.phase, bay.text, bay.recorder, bay.files, bay.bytes) == ("copying", "Reading.", "rec-1", 3, 1000)


def test_bays_come_by_name_and_go_with_their_recorder(live: Live) -> None:
    for name in ("bay-2", "bay-1", "bay-3"):
        live.set_bay(name, "waiting")
    live.clear_bay("bay-2")
    live.clear_bay("bay-2")
    assert [bay.bay for bay in live.bays()] == ["bay-1", "bay-3"]


def test_next_recorder_in_a_bay_inherits_nothing(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", recorder="rec-1", bytes=100)
    live.progress("bay-1", 50)
    clock.seconds = 1
    live.progress("bay-1", 50)
    live.clear_bay("bay-1")
    live.set_bay("bay-1", "waiting")
    (bay,) = live.bays()
    assert (bay.recorder, bay.bytes_done, bay.bytes_per_second, bay.seconds_left) == (None, 0, 0, None)
    live.progress("bay-1", 10)
    assert live.bays()[0].bytes_per_second == 0


@pytest.mark.parametrize("phase", get_args(Phase))
def test_recorder_can_be_taken_out_only_when_nothing_is_to_be_taken_from_it(live: Live, phase: Phase) -> None:
    live.set_bay("bay-1", phase)
    removable = live.bays()[0].plain()["removable"]
    assert removable is (phase in {"safe", "done", "kept", "refused"})
    if phase in {"waiting", "listing", "copying", "securing", "wiping"}:
        assert removable is False


def test_state_is_plain_values(live: Live) -> None:
    live.set_bay("bay-1", "copying", officer="110203")
    plain = live.bays()[0].plain()
    assert plain["officer"] == "110203"
    assert all(value is None or isinstance(value, str | int) for value in plain.values())


def test_rate_and_remaining_time_follow_from_what_was_read(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", bytes=10_000)
    live.progress("bay-1", 100)
    assert (live.bays()[0].bytes_done, live.bays()[0].bytes_per_second, live.bays()[0].seconds_left) == (100, 0, None)
    clock.seconds = 1
    live.progress("bay-1", 900)
    assert (live.bays()[0].bytes_per_second, live.bays()[0].seconds_left) == (1000, 9)
    clock.seconds = 1.1
    live.progress("bay-1", 1000)
    assert (live.bays()[0].bytes_per_second, live.bays()[0].seconds_left) == (1818, 4)
    clock.seconds = 2
    live.progress("bay-1", 8000)
    assert (live.bays()[0].bytes_per_second, live.bays()[0].seconds_left) == (5000, 0)


def pace(live: Live) -> tuple[int, int | None]:
    (bay,) = live.bays()
    return bay.bytes_per_second, bay.seconds_left


def test_rate_is_that_of_the_last_seconds(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", bytes=1_000_000)
    for second in range(1, 20):
        clock.seconds = second
        live.progress("bay-1", 10_000 if second < 11 else 100)
    rate, left = pace(live)
    assert rate == 100
    assert left == (1_000_000 - 100_000 - 900) // 100


def test_one_slow_moment_does_not_shake_the_rate(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", bytes=1_000_000)
    for tenth in range(1, 100):
        clock.seconds = tenth / 10
        live.progress("bay-1", 1000 if tenth != 97 else 0)
    assert 9000 < pace(live)[0] <= 10_000


def test_recorder_that_stalls_has_no_remaining_time(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", bytes=10_000)
    for second in range(1, 6):
        clock.seconds = second
        live.progress("bay-1", 1000)
    assert pace(live) == (1000, 5)
    clock.seconds = 8
    rate, left = pace(live)
    assert 0 < rate < 1000
    assert left is not None
    assert left > 5
    clock.seconds = 11
    assert pace(live) == (0, None)
    clock.seconds = 12
    live.progress("bay-1", 1000)
    assert pace(live)[0] > 0


def test_securing_has_a_rate_of_what_is_read_back_and_uploaded(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", docking="dk-1", files=4, bytes=1000)
    live.secured("dk-1", 500)
    live.secured("dk-of-another", 7)
    live.set_bay("bay-1", "securing")
    clock.seconds = 1
    live.secured("dk-1", 100)
    assert pace(live) == (100, 14)
    # A docking that is continued: three of four files were read back before this daemon started, and two uploaded.
    live.set_bay("bay-1", "securing", reread=3, replicated=2)
    clock.seconds = 2
    live.secured("dk-1", 650)
    assert pace(live) == (375, 2)
    live.set_bay("bay-1", "safe")
    assert pace(live) == (0, None)


def test_next_docking_in_a_bay_has_secured_nothing(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", docking="dk-1", bytes=1000)
    live.secured("dk-1", 2000)
    live.set_bay("bay-1", "securing", docking="dk-2")
    clock.seconds = 1
    live.secured("dk-2", 1000)
    assert pace(live) == (1000, 1)


def test_second_reading_counts_for_rate_and_remaining_time_but_takes_nothing(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", bytes=1000, bytes_done=0, bytes_further=1000, bytes_further_done=0)
    for second in range(1, 5):
        clock.seconds = second
        (live.progress if second % 2 else live.further)("bay-1", 200)
    assert pace(live) == (200, 6)
    (bay,) = live.bays()
    assert bay.bytes_done == 400
    # A file that was met again is not read a second time.
    live.further("bay-1", 0, less=600)
    assert pace(live) == (200, 3)


def test_erasing_where_each_file_is_compared_has_a_rate(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "wiping", files=10, wiped=0, bytes_further=1000, bytes_further_done=0)
    for second in range(1, 5):
        clock.seconds = second
        live.further("bay-1", 100)
    assert pace(live) == (100, 6)


def test_erasing_has_a_remaining_time_and_no_bytes(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "wiping", files=10, wiped=0)
    for second in range(1, 5):
        clock.seconds = second
        live.set_bay("bay-1", "wiping", wiped=2 * second)
    assert pace(live) == (0, 1)


@pytest.mark.parametrize("phase", get_args(Phase))
def test_lamp_follows_from_the_state(live: Live, phase: Phase) -> None:
    live.set_bay("bay-1", phase)
    (bay,) = live.bays()
    if phase == "refused":
        assert bay.lamp == "attention"
    else:
        assert bay.lamp == ("free" if bay.removable else "busy")
    assert bay.plain()["lamp"] == bay.lamp


def test_lamp_asks_for_attention_while_the_bay_has_an_alarm(live: Live) -> None:
    live.set_bay("bay-1", "waiting")
    live.set_bay("bay-10", "copying")
    live.alarm("bay bay-1", "The card gives errors.")
    live.alarm("upload", "It does not answer.")
    assert [(bay.lamp, bay.removable) for bay in live.bays()] == [("attention", False), ("busy", False)]
    live.calm("bay bay-1")
    assert live.bays()[0].lamp == "busy"


def test_lamp_asks_for_attention_where_files_stayed_that_should_not_have(live: Live) -> None:
    live.set_bay("bay-1", "kept", attention=True)
    assert (live.bays()[0].lamp, live.bays()[0].removable) == ("attention", True)


def test_whoever_waits_for_a_change_is_woken_by_it(live: Live) -> None:
    seen = live.changes(-1, 0)
    assert live.changes(seen, 0) == seen
    told = threading.Thread(target=live.set_bay, args=("bay-1", "waiting"))
    told.start()
    assert live.changes(seen, 10) > seen
    told.join()


def test_more_bytes_than_were_listed_leave_no_negative_time(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", bytes=10)
    live.progress("bay-1", 1)
    clock.seconds = 1
    live.progress("bay-1", 100)
    assert live.bays()[0].seconds_left == 0


def test_bytes_taken_off_again_leave_no_negative_rate(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", bytes=1000)
    live.progress("bay-1", 500)
    clock.seconds = 1
    live.progress("bay-1", -500)
    (bay,) = live.bays()
    assert (bay.bytes_done, bay.bytes_per_second, bay.seconds_left) == (0, 0, None)


def test_docking_that_is_tried_again_begins_its_rate_anew(live: Live, clock: Ticking) -> None:
    live.set_bay("bay-1", "copying", bytes=1000, bytes_done=0)
    live.progress("bay-1", 900)
    clock.seconds = 10
    live.set_bay("bay-1", "copying", bytes_done=100)
    live.progress("bay-1", 100)
    clock.seconds = 11
    live.progress("bay-1", 100)
    assert (live.bays()[0].bytes_done, live.bays()[0].bytes_per_second) == (300, 200)


def test_files_are_counted_one_by_one(live: Live) -> None:
    live.set_bay("bay-1", "copying", files=3)
    live.count_file("bay-1")
    live.count_file("bay-1")
    assert live.bays()[0].files_done == 2


def test_many_threads_lose_no_count(live: Live) -> None:
    live.set_bay("bay-1", "copying")

    def work() -> None:
        for _ in range(500):
            live.count_file("bay-1")
            live.progress("bay-1", 3)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (live.bays()[0].files_done, live.bays()[0].bytes_done) == (3000, 9000)


# ------------------------------------------------------------------------------------------------------ alarms


def test_alarm_is_new_once_and_keeps_its_time(live: Live) -> None:
    assert live.alarm("store", "It does not answer.", "Look at the network.")
    first = live.alarms()
    assert not live.alarm("store", "It does not answer.", "Look at the network.")
    assert live.alarms() == first
    assert first[0].since.startswith(f"{START:%Y-%m-%dT%H:%M:%S}")


def test_newer_alarm_of_a_source_replaces_the_older(live: Live) -> None:
    live.alarm("store", "It does not answer.")
    assert live.alarm("store", "It refuses.")
    assert [alarm.text for alarm in live.alarms()] == ["It refuses."]


def test_alarms_come_oldest_first_and_are_withdrawn_one_by_one(live: Live) -> None:
    for source in ("store", "media", "bay bay-1"):
        live.alarm(source, "Something.")
    assert [alarm.source for alarm in live.alarms()] == ["store", "media", "bay bay-1"]
    assert live.has_alarm("x", "media")
    assert live.calm("media")
    assert not live.calm("media")
    assert not live.has_alarm("media")
    assert not live.has_alarm()
    assert [alarm.source for alarm in live.alarms()] == ["store", "bay bay-1"]
