"""The station's own clock: steps are found, what else a clock may do is none, and nobody hides one in small pieces."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edged.clock import ClockState, SystemClock
from edged.errors import FullError
from edged.evidence import bodies
from edged.evidence.entry import parse
from edged.evidence.ids import DockingId, RecorderId, StationId
from edged.station.assembly import build, build_jobs
from edged.station.creation import NewStation, create
from edged.station.jobs.station_clock import UNSYNCHRONISED_SECONDS, StationClockJob
from edged.station.parts import Parts
from edged.station.worker import IDLE_SECONDS

NEVER = threading.Event()
BEGIN = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


class Scripted:
    """A machine's clocks as the test moves them."""

    def __init__(self) -> None:
        self.wall = BEGIN
        self.steady = 1000.0
        self.is_synchronised = True
        self.delay = 0.0
        """How long each reading takes."""

    def now(self) -> datetime:
        self.go(self.delay)
        return self.wall

    def monotonic(self) -> float:
        self.go(self.delay)
        return self.steady

    def state(self) -> ClockState:
        return "synchronised" if self.is_synchronised else "unsynchronised"

    def go(self, seconds: float, *, ppm: float = 0.0) -> None:
        self.steady += seconds
        self.wall += timedelta(seconds=seconds * (1 + ppm / 1e6))

    def step(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Scripted:
    return Scripted()


@pytest.fixture
def parts(tmp_path: Path, clock: Scripted) -> Iterator[Parts]:
    places = {"config": tmp_path / "config", "state": tmp_path / "state", "root_key": tmp_path / "root.key"}
    create(NewStation(station=StationId("st-01"), domain="example.org", zone="UTC", **places), clock)
    parts = build(tmp_path / "config", clock)
    yield parts
    parts.book.close()


def steps(parts: Parts) -> list[bodies.Anomaly]:
    ledger = parts.book.ledger
    found = [parse(ledger.bytes_at(position)).body for position in ledger.positions_of_type("anomaly")]
    return [body for body in found if isinstance(body, bodies.Anomaly)]


def by_ms(parts: Parts) -> list[Any]:
    return [each.detail["by_ms"] for each in steps(parts)]


def watch(job: StationClockJob, clock: Scripted, seconds: float, *, ppm: float = 0.0) -> None:
    """Let time go by, with the job looking every five seconds."""
    for _ in range(int(seconds // 5)):
        clock.go(5, ppm=ppm)
        assert job.step(NEVER) is False


@pytest.mark.parametrize("seconds", [3600.0, 0.25, -0.25, -3600.0, -400 * 86400.0])
def test_a_step_is_an_anomaly_once_with_before_after_and_by_how_much(
    parts: Parts, clock: Scripted, seconds: float
) -> None:
    job = StationClockJob(parts)
    watch(job, clock, 60)
    clock.step(seconds)
    watch(job, clock, 60)
    (told,) = steps(parts)
    assert (told.kind, told.docking, told.subject) == ("station-clock-stepped", None, None)
    before, after = (
        datetime.fromisoformat(str(told.detail["before"])),
        datetime.fromisoformat(str(told.detail["after"])),
    )
    assert before == BEGIN + timedelta(seconds=65)
    assert after - before == timedelta(seconds=seconds)
    assert told.detail["by_ms"] == pytest.approx(seconds * 1000, abs=3)
    assert told.detail["why"] == "while-running"


@pytest.mark.parametrize("ppm", [500, -500, 50])
def test_slewing_by_a_time_server_is_no_step_however_long(parts: Parts, clock: Scripted, ppm: int) -> None:
    job = StationClockJob(parts)
    watch(job, clock, 4 * 3600, ppm=ppm)
    assert steps(parts) == []


def test_a_clock_that_runs_faster_than_any_time_server_makes_it_is_noticed(parts: Parts, clock: Scripted) -> None:
    job = StationClockJob(parts)
    watch(job, clock, 600, ppm=5000)
    assert sum(by_ms(parts)) == pytest.approx(600 * 4.5, abs=150)


def test_a_step_hidden_in_many_small_ones_is_noticed(parts: Parts, clock: Scripted) -> None:
    job = StationClockJob(parts)
    for _ in range(30):
        clock.step(-0.09)
        watch(job, clock, 5)
    assert sum(by_ms(parts)) == pytest.approx(-30 * 87.5, abs=150)


def test_a_machine_that_slept_was_not_set(parts: Parts, clock: Scripted) -> None:
    job = StationClockJob(parts)
    watch(job, clock, 30)
    clock.go(8 * 3600)
    watch(job, clock, 30)
    assert steps(parts) == []


def test_the_real_clock_counts_time_asleep_and_does_not_step() -> None:
    clock = SystemClock()
    one, other = clock.monotonic(), clock.monotonic()
    assert other >= one > 0


def test_a_busy_machine_is_not_taken_for_a_step(parts: Parts, clock: Scripted) -> None:
    job = StationClockJob(parts)
    watch(job, clock, 30)
    clock.delay = 0.5
    watch(job, clock, 30)
    assert steps(parts) == []
    clock.step(10)
    watch(job, clock, 30)
    clock.delay = 0.0
    watch(job, clock, 30)
    assert by_ms(parts) == [pytest.approx(10_000, abs=60)]


def test_a_step_is_told_of_each_docking_under_way(parts: Parts, clock: Scripted) -> None:
    for name in ("dk-1", "dk-2"):
        parts.book.ledger.append(docking(name))
    job = StationClockJob(parts)
    watch(job, clock, 10)
    clock.step(-30)
    watch(job, clock, 10)
    assert [(each.docking, each.subject.id if each.subject else "") for each in steps(parts)] == [
        ("dk-1", "dk-1"),
        ("dk-2", "dk-2"),
    ]
    # It goes along in bundles: whatever names the docking concerns its footage.
    assert len(parts.book.ledger.positions_naming("docking", "dk-1")) == 2


def docking(name: str) -> bodies.Docking:
    return bodies.Docking(
        docking=DockingId(name),
        bay=f"bay-{name}",
        recorder=bodies.RecorderInfo(id=RecorderId(name), vendor="V", model="M", serial="S", known=True),
        officer=None,
        inventory_sha256="0" * 64,
        files=0,
        bytes=0,
        clock_offset_ms=None,
        clock_uncertainty_ms=None,
        clock_set=False,
        missing=0,
    )


def test_a_clock_set_back_while_the_station_was_off_is_found_at_the_start(parts: Parts, clock: Scripted) -> None:
    clock.go(3600)
    parts.book.ledger.append(docking("dk-1"))
    clock.step(-1800)
    job = StationClockJob(parts)
    # Whatever is written first at this start does not hide it.
    parts.book.ledger.append(docking("dk-2"))
    watch(job, clock, 30)
    told = steps(parts)
    assert [each.docking for each in told] == ["dk-1", "dk-2"]
    assert all(each.detail["why"] == "while-off" for each in told)
    assert {each.detail["by_ms"] for each in told} == {-1_800_000}


def test_time_that_went_by_while_the_station_was_off_is_no_step(parts: Parts, clock: Scripted) -> None:
    parts.book.ledger.append(docking("dk-1"))
    clock.go(86400)
    watch(StationClockJob(parts), clock, 30)
    assert steps(parts) == []


def test_what_cannot_be_written_now_is_written_later(
    parts: Parts, clock: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = StationClockJob(parts)
    clock.go(5)
    clock.step(60)

    def full(*_: object, **__: object) -> None:
        raise FullError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(parts.book.ledger, "append", full)
        with pytest.raises(FullError):
            job.step(NEVER)
    watch(job, clock, 10)
    assert by_ms(parts) == [pytest.approx(60_000, abs=10)]


def test_a_person_is_told_of_a_clock_that_follows_nothing_and_no_more_once_it_does(
    parts: Parts, clock: Scripted
) -> None:
    job = StationClockJob(parts)
    clock.is_synchronised = False
    watch(job, clock, UNSYNCHRONISED_SECONDS - 5)
    assert (parts.live.alarms(), job.put_off) == ([], 0)
    watch(job, clock, 10)
    assert [alarm.source for alarm in parts.live.alarms()] == [job.name]
    assert job.put_off == 1
    clock.is_synchronised = True
    watch(job, clock, 5)
    assert job.put_off == 0


def test_the_station_runs_it_and_it_does_not_keep_a_core_busy(parts: Parts) -> None:
    (job,) = [job for job in build_jobs(parts) if isinstance(job, StationClockJob)]
    assert 1 <= job.idle_seconds <= IDLE_SECONDS
