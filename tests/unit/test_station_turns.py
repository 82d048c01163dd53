"""Turns at reading: capped, important first, then whoever was read least; and nobody is held up by one that hangs."""

import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from edged.clock import SystemClock
from edged.errors import StoppedError
from edged.station import turns as module
from edged.station.turns import Turns

PATIENCE = 20.0


class Ticking(SystemClock):
    """A clock that a test moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Bays:
    """Bays that take turns on threads of their own."""

    def __init__(self, at_once: int) -> None:
        self.clock = Ticking()
        self.turns = Turns(at_once, self.clock)
        self.gone = threading.Event()
        self.order: list[str] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def wants(self, bay: str, *, important: bool = False) -> threading.Event:
        """Have a bay ask for a turn, which it holds for no time; gives what is set when it had it."""
        had, waits = threading.Event(), threading.Event()

        def take() -> None:
            with self.turns.take(bay, self.gone, important=important, waits=waits.set), self._lock:
                self.order.append(bay)
            had.set()
            waits.set()

        thread = threading.Thread(target=take)
        thread.start()
        self._threads.append(thread)
        assert waits.wait(PATIENCE)
        return had

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.02)


def holding(bays: Bays, stack: ExitStack, bay: str) -> Callable[[], None]:
    return stack.enter_context(bays.turns.take(bay, bays.gone))


def test_no_more_than_the_cap_read_at_once_and_one_that_ends_makes_room() -> None:
    bays = Bays(2)
    with ExitStack() as first:
        holding(bays, first, "a")
        with ExitStack() as second:
            holding(bays, second, "b")
            had = bays.wants("c")
            assert not had.is_set()
        assert had.wait(PATIENCE)
    bays.join()


def test_important_files_go_first_and_then_whoever_was_read_least() -> None:
    bays = Bays(1)
    for bay, seconds in (("much", 9.0), ("some", 3.0)):
        with bays.turns.take(bay, bays.gone):
            bays.clock.seconds += seconds
    with ExitStack() as stack:
        holding(bays, stack, "reading")
        waiting = [bays.wants("much"), bays.wants("some"), bays.wants("new"), bays.wants("much", important=True)]
    assert all(each.wait(PATIENCE) for each in waiting)
    bays.join()
    assert bays.order == ["much", "new", "some", "much"]


def test_recorder_that_is_docked_anew_begins_with_nothing() -> None:
    bays = Bays(1)
    for bay, seconds in (("bay", 9.0), ("other", 3.0)):
        with bays.turns.take(bay, bays.gone):
            bays.clock.seconds += seconds
    bays.turns.forget("bay")
    with ExitStack() as stack:
        holding(bays, stack, "reading")
        waiting = [bays.wants("other"), bays.wants("bay")]
    assert all(each.wait(PATIENCE) for each in waiting)
    assert bays.order == ["bay", "other"]


def test_card_that_answers_no_read_holds_nobody_up() -> None:
    bays = Bays(1)
    with ExitStack() as stack:
        holding(bays, stack, "hanging")
        had = bays.wants("healthy")
        assert not had.wait(0.2)
        bays.clock.seconds += 2.5
        assert had.wait(PATIENCE)
    bays.join()


def test_long_file_gives_way_to_those_who_wait_and_goes_on_after_them() -> None:
    bays = Bays(1)
    with bays.turns.take("long", bays.gone) as go_on:
        bays.clock.seconds += 1.0
        had = bays.wants("short")
        go_on()
        assert not had.wait(0.1)
        bays.clock.seconds += 4.5
        # Moved just now, so that it does not count as hanging.
        go_on()
        assert had.wait(PATIENCE)
    bays.join()


def test_long_file_with_nobody_waiting_is_not_interrupted() -> None:
    bays = Bays(1)
    with bays.turns.take("long", bays.gone) as go_on:
        for _ in range(100):
            bays.clock.seconds += 1.0
            go_on()


def test_recorder_that_leaves_while_it_waits_waits_no_longer() -> None:
    bays = Bays(1)
    with ExitStack() as stack:
        holding(bays, stack, "reading")
        gone = threading.Event()
        gone.set()
        with pytest.raises(StoppedError), bays.turns.take("leaving", gone):
            pytest.fail("it had a turn")
        had = bays.wants("another")
    assert had.wait(PATIENCE)
    bays.join()
