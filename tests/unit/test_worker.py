"""A worker goes on whatever a step does, says so while it fails, and ends at once when it is told."""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from edged.errors import FullError, StoppedError
from edged.station import worker as worker_module
from edged.station.live import Live
from edged.station.worker import LONGEST_PAUSE_SECONDS, Pauses, Pulse, Worker, guarded
from tests.unit.book_station import Ticking

SOON = 10.0
"""Seconds after which a test gives up on what should happen at once."""


@dataclass
class Job:
    """Does what it is told at each step, in this order; the last of it for ever."""

    acts: list[Callable[[], bool]]
    name: str = "job"
    idle_seconds: float = 3600.0
    put_off: int = 0
    steps: int = 0
    stepped: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def step(self, stop: threading.Event) -> bool:
        assert isinstance(stop, threading.Event)
        act = self.acts[min(self.steps, len(self.acts) - 1)]
        self.steps += 1
        try:
            return act()
        finally:
            self.stepped.release()

    def wait_for(self, steps: int) -> None:
        for _ in range(steps):
            assert self.stepped.acquire(timeout=SOON)


def idle() -> bool:
    return False


def busy() -> bool:
    return True


def full() -> bool:
    raise FullError("The vault is full.", hint="Make room.")


def crash() -> bool:
    raise ZeroDivisionError("nobody foresaw this")


@pytest.fixture
def live() -> Live:
    return Live(Ticking())


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def pulse() -> Pulse:
    return Pulse()


@pytest.fixture
def run(live: Live, stop: threading.Event, pulse: Pulse) -> Iterator[Callable[[Job], Worker]]:
    """Start a worker on a job; all of them are stopped at the end."""
    workers: list[Worker] = []

    def run(job: Job) -> Worker:
        workers.append(Worker(job, live=live, pulse=pulse, stop=stop))
        workers[-1].start()
        return workers[-1]

    yield run
    stop.set()
    pulse.beat()
    for each in workers:
        each.join(SOON)
        assert not each.is_alive()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the first pause after a failure as short as a test can bear."""
    monkeypatch.setattr(worker_module, "FIRST_PAUSE_SECONDS", 0.01)


# ---------------------------------------------------------------------------------------------------- working


def test_worker_goes_on_while_there_is_work_and_rests_when_there_is_none(run: Callable[[Job], Worker]) -> None:
    job = Job([busy, busy, busy, idle])
    run(job)
    job.wait_for(4)
    assert not job.stepped.acquire(timeout=0.2)


def test_worker_that_rests_is_woken_by_news(run: Callable[[Job], Worker], pulse: Pulse) -> None:
    job = Job([idle])
    run(job)
    job.wait_for(1)
    for _ in range(3):
        pulse.beat()
        job.wait_for(1)


def test_news_that_come_during_a_step_are_looked_at(run: Callable[[Job], Worker], pulse: Pulse) -> None:
    def beaten() -> bool:
        pulse.beat()
        return False

    job = Job([beaten, idle])
    run(job)
    job.wait_for(2)


def test_worker_looks_again_by_itself_when_its_rest_is_over(run: Callable[[Job], Worker]) -> None:
    job = Job([idle], idle_seconds=0.05)
    run(job)
    job.wait_for(3)


# ----------------------------------------------------------------------------------------------------- failing


@pytest.mark.usefixtures("short")
def test_failure_is_an_alarm_until_a_step_succeeds(run: Callable[[Job], Worker], live: Live) -> None:
    seen: list[list[tuple[str, str, str]]] = []

    def look() -> bool:
        seen.append([(alarm.source, alarm.text, alarm.hint) for alarm in live.alarms()])
        return False

    def look_and_fail() -> bool:
        look()
        return full()

    job = Job([full, look_and_fail, look, look], idle_seconds=0.01)
    run(job)
    job.wait_for(4)
    alarm = ("job", "The vault is full.", "Make room.")
    assert seen[:3] == [[alarm], [alarm], []]


@pytest.mark.usefixtures("short")
def test_what_nobody_foresaw_is_an_alarm_with_its_trace_in_the_log_and_ends_no_worker(
    run: Callable[[Job], Worker], live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    texts: list[str] = []

    def look_and_crash() -> bool:
        texts.extend(alarm.text for alarm in live.alarms())
        return crash()

    job = Job([crash, look_and_crash, crash, idle])
    run(job)
    job.wait_for(4)
    assert texts == ["job failed unexpectedly: ZeroDivisionError('nobody foresaw this')."]
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1
    assert "Traceback" in caplog.text


def test_news_do_not_shorten_the_pause_after_a_failure(run: Callable[[Job], Worker], pulse: Pulse) -> None:
    job = Job([full])
    run(job)
    job.wait_for(1)
    for _ in range(10):
        pulse.beat()
    assert not job.stepped.acquire(timeout=0.3)


@pytest.mark.usefixtures("short")
def test_alarm_stays_while_something_that_failed_is_put_off(run: Callable[[Job], Worker], live: Live) -> None:
    job = Job([full, idle], put_off=1, idle_seconds=0.01)
    run(job)
    job.wait_for(4)
    assert [alarm.source for alarm in live.alarms()] == ["job"]
    job.put_off = 0
    job.wait_for(3)
    assert live.alarms() == []


def test_pauses_double_to_a_minute_and_begin_anew() -> None:
    pauses = Pauses()
    assert [pauses.failed() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    for _ in range(10_000):
        assert pauses.failed() == LONGEST_PAUSE_SECONDS
    pauses.succeeded()
    assert (pauses.failures, pauses.failed()) == (0, 1)


def test_being_stopped_is_no_failure(live: Live) -> None:
    def stopped() -> float:
        raise StoppedError("It was stopped.")

    pauses = Pauses()
    assert guarded(stopped, source="job", live=live, pauses=pauses) == 0
    assert (pauses.failures, live.alarms()) == (0, [])


def test_interruption_is_not_held_up(live: Live) -> None:
    def interrupted() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(interrupted, source="job", live=live, pauses=Pauses())


def test_one_failure_is_logged_once_however_often_it_happens(live: Live, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pauses = Pauses()

    def step() -> float:
        return float(full())

    for _ in range(5):
        guarded(step, source="job", live=live, pauses=pauses)
    guarded(lambda: 7.0, source="job", live=live, pauses=pauses)
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.INFO]
    assert pauses.failures == 0


# ---------------------------------------------------------------------------------------------------- stopping


@pytest.mark.parametrize("act", [idle, full, crash])
def test_stopping_ends_every_wait_at_once(
    run: Callable[[Job], Worker], stop: threading.Event, pulse: Pulse, act: Callable[[], bool]
) -> None:
    job = Job([act])
    worker = run(job)
    job.wait_for(1)
    # Let it reach its wait; after a failure that is a second at least, when idle an hour.
    assert not job.stepped.acquire(timeout=0.1)
    stop.set()
    pulse.beat()
    worker.join(0.5)
    assert not worker.is_alive()
    assert job.steps == 1


def test_stop_in_the_instant_before_a_rest_is_not_slept_over(live: Live, stop: threading.Event) -> None:
    class Instant(threading.Event):
        """The station stops just when the worker forgets the news it knows of."""

        def clear(self) -> None:
            stop.set()
            self.set()
            super().clear()

    class Late(Pulse):
        def subscribe(self) -> threading.Event:
            event = Instant()
            event.set()
            return event

    job = Job([idle])
    worker = Worker(job, live=live, pulse=Late(), stop=stop)
    worker.start()
    worker.join(SOON)
    assert not worker.is_alive()
    assert job.steps == 1


def test_worker_of_a_station_that_stopped_does_nothing(live: Live, stop: threading.Event, pulse: Pulse) -> None:
    stop.set()
    job = Job([busy])
    worker = Worker(job, live=live, pulse=pulse, stop=stop)
    worker.start()
    worker.join(SOON)
    assert (worker.is_alive(), job.steps) == (False, 0)


# ------------------------------------------------------------------------------------------------------- pulse


def test_beat_wakes_all_who_subscribed_and_nobody_else(pulse: Pulse) -> None:
    one, other, gone = pulse.subscribe(), pulse.subscribe(), pulse.subscribe()
    pulse.unsubscribe(gone)
    pulse.beat()
    assert (one.is_set(), other.is_set(), gone.is_set()) == (True, True, False)


def test_subscribers_may_come_and_go_while_it_beats(pulse: Pulse) -> None:
    over = threading.Event()

    def beat() -> None:
        while not over.is_set():
            pulse.beat()

    beating = threading.Thread(target=beat)
    beating.start()
    for _ in range(50):
        events = [pulse.subscribe() for _ in range(3)]
        assert all(event.wait(SOON) for event in events)
        for event in events:
            pulse.unsubscribe(event)
    over.set()
    beating.join()
