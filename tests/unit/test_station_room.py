"""Room on the disks: the reserve stays, whoever copies at once; intake stops, says so, and goes on by itself."""

import re
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from edged.config import PathsPart
from edged.errors import FullError, StorageError
from edged.evidence import bodies
from edged.station.jobs.derive import DeriveJob
from edged.station.jobs.room import RoomJob
from edged.station.room import RECORDING_BYTES, Room
from edged.station.worker import Pulse, Worker
from edged.stores.directory import DirectorySettings
from edged.vault.disk import Disk
from tests.unit.book_station import Ticking, docked, sealed
from tests.unit.stored_station import make_stored

MIB: Final = 1 << 20
RESERVE: Final = 64 * MIB
SPARE: Final = RESERVE // 8


class Filling(Disk):
    """A disk whose folders have as much free as a test says."""

    def __init__(self, **free_bytes: int) -> None:
        self.free = free_bytes
        self.broken = False

    def free_bytes(self, folder: Path) -> int:
        if self.broken:
            raise StorageError("The disk does not answer.")
        return self.free[folder.name]


class Rooms:
    """A `Room` whose two folders lie on disks of their own, as far as it can tell."""

    def __init__(self, tmp_path: Path, *, shared: bool = False, vault: int = 1 << 40, state: int = 1 << 40) -> None:
        self.disk = Filling(vault=vault, state=state)
        self.pulse = Pulse()
        self.beats = self.pulse.subscribe()
        folders = {name: tmp_path / name for name in ("vault", "state")}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        paths = PathsPart(state=folders["state"], vault=folders["vault"], reserve_mib=RESERVE // MIB)
        devices = iter((1, 1 if shared else 2))
        self.room = Room(paths, self.disk, Ticking(), self.pulse, device_of=lambda _: next(devices))

    def has_beaten(self) -> bool:
        beaten = self.beats.is_set()
        self.beats.clear()
        return beaten


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    return Rooms(tmp_path, vault=RESERVE + 100 * MIB)


def test_room_is_promised_up_to_the_reserve_and_not_a_byte_beyond(rooms: Rooms) -> None:
    with rooms.room.reserve(100 * MIB):
        pass
    said = re.escape("no 104.9 MB beside its reserve of 67.1 MB; intake waits and nothing is deleted")
    with pytest.raises(FullError, match=said):
        rooms.room.reserve(100 * MIB + 1).__enter__()


def test_what_is_promised_to_one_bay_is_not_promised_to_another(rooms: Rooms) -> None:
    with rooms.room.reserve(60 * MIB):
        with pytest.raises(FullError), rooms.room.reserve(60 * MIB):
            raise AssertionError
        with rooms.room.reserve(40 * MIB):
            pass
    with rooms.room.reserve(100 * MIB):
        pass


def test_sixteen_bays_at_once_leave_the_reserve(rooms: Rooms) -> None:
    gate, taken, full = threading.Barrier(16), [], []

    def copy() -> None:
        gate.wait()
        try:
            with rooms.room.reserve(9 * MIB):
                taken.append(9 * MIB)
                gate.wait()
        except FullError:
            full.append(1)
            gate.wait()

    threads = [threading.Thread(target=copy) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(taken), len(full)) == (99 * MIB, 5)


def test_promises_count_for_the_book_on_the_same_disk(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path, shared=True, vault=RESERVE + 30 * MIB, state=RESERVE + 30 * MIB)
    with rooms.room.reserve(20 * MIB), pytest.raises(FullError, match="it is made when there is room"):
        rooms.room.insist_on_spare(3 * MIB)
    rooms.room.insist_on_spare(30 * MIB - SPARE)
    assert [each["name"] for each in rooms.room.plain()] == ["vault"]


def test_a_failed_copy_gives_its_promise_back(rooms: Rooms) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), rooms.room.reserve(90 * MIB):
            _ = 1 / 0


def test_below_its_reserve_the_station_stops_accepting_and_resumes_with_some_to_spare(rooms: Rooms) -> None:
    assert rooms.room.accepting()
    rooms.disk.free["vault"] = RESERVE
    assert rooms.room.look()
    rooms.disk.free["vault"] = RESERVE - 1
    assert not rooms.room.look()
    assert rooms.has_beaten()
    with pytest.raises(FullError, match="no recorder is accepted, and nothing is deleted"):
        rooms.room.insist()
    rooms.disk.free["vault"] = RESERVE + SPARE - 1
    assert not rooms.room.look(), "it does not flap"
    assert (rooms.has_beaten(), rooms.room.returns()) == (False, 0)
    rooms.disk.free["vault"] += 1
    assert rooms.room.look()
    assert (rooms.has_beaten(), rooms.room.returns()) == (True, 1)
    rooms.disk.free["vault"] = RESERVE
    assert rooms.room.look()
    rooms.room.insist()


def test_a_station_that_starts_on_a_full_disk_accepts_nothing(tmp_path: Path) -> None:
    assert not Rooms(tmp_path, vault=RESERVE - 1).room.accepting()


def test_the_book_needs_room_too(rooms: Rooms) -> None:
    rooms.disk.free["state"] = RESERVE - 1
    with pytest.raises(FullError, match="state"), rooms.room.reserve(1):
        raise AssertionError
    assert not rooms.room.accepting()
    assert "paths.state" in rooms.room.short()
    assert "paths.vault" not in rooms.room.short()


def test_where_not_even_one_recording_fits_nothing_new_is_accepted_until_it_does(rooms: Rooms) -> None:
    with pytest.raises(FullError), rooms.room.reserve(150 * MIB):
        raise AssertionError
    assert not rooms.room.accepting()
    assert rooms.has_beaten()
    with rooms.room.reserve(10 * MIB):
        assert not rooms.room.look(), "what runs goes on as far as it can"
    rooms.disk.free["vault"] = RESERVE + 150 * MIB
    assert rooms.room.look()


def test_card_that_claims_a_file_beyond_all_bounds_stops_nobody_else(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path, vault=RESERVE + RECORDING_BYTES)
    with pytest.raises(FullError), rooms.room.reserve(1 << 60):
        raise AssertionError
    assert rooms.room.accepting()


def test_a_derivative_that_finds_no_room_stops_no_intake(rooms: Rooms) -> None:
    rooms.disk.free["state"] = RESERVE + SPARE
    rooms.room.insist_on_spare(0)
    with pytest.raises(FullError):
        rooms.room.insist_on_spare(1)
    assert rooms.room.accepting()


def waiting(wait: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_who_waits_goes_on_when_room_comes_back(rooms: Rooms) -> None:
    stop = threading.Event()
    rooms.disk.free["vault"] = 0
    rooms.room.look()
    seen = rooms.room.returns()
    threads = [
        waiting(lambda: rooms.room.wait_until_accepting(stop)),
        waiting(lambda: rooms.room.wait_for_return(seen, stop, 1e9)),
    ]
    rooms.pulse.beat()
    assert all(thread.is_alive() for thread in threads)
    rooms.disk.free["vault"] = 1 << 40
    rooms.room.look()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_who_waits_ends_with_the_recorder(rooms: Rooms) -> None:
    gone = threading.Event()
    rooms.disk.free["vault"] = 0
    rooms.room.look()
    thread = waiting(lambda: rooms.room.wait_until_accepting(gone))
    gone.set()
    rooms.pulse.beat()
    thread.join(20)
    assert not thread.is_alive()
    assert not rooms.room.accepting()


def test_room_that_came_back_before_the_wait_began_is_not_waited_for(rooms: Rooms) -> None:
    seen = rooms.room.returns()
    for free_bytes in (0, 1 << 40):
        rooms.disk.free["vault"] = free_bytes
        rooms.room.look()
    rooms.room.wait_for_return(seen, threading.Event(), 1e9)


def test_wait_that_is_over_is_over(rooms: Rooms) -> None:
    rooms.room.wait_for_return(rooms.room.returns(), threading.Event(), 0.0)


def test_disk_that_does_not_answer_is_told_and_hides_nothing_else(rooms: Rooms) -> None:
    rooms.disk.broken = True
    with pytest.raises(StorageError, match="does not answer"):
        rooms.room.look()
    assert [each["free_bytes"] for each in rooms.room.plain()] == [None, None]


def test_the_real_disk_is_measured(tmp_path: Path) -> None:
    paths = PathsPart(state=tmp_path, vault=tmp_path, reserve_mib=1 << 30)
    room = Room(paths, Disk(), Ticking(), Pulse())
    with ExitStack() as held, pytest.raises(FullError):
        held.enter_context(room.reserve(1))
    assert not room.accepting()


def test_derivatives_wait_for_room_to_spare_and_are_not_put_off(
    tmp_path: Path, new_share: Callable[[], DirectorySettings]
) -> None:
    stored = make_stored(tmp_path / "station", new_share())
    paths = stored.parts.config.paths.model_copy(update={"reserve_mib": 1 << 30})
    parts = replace(stored.parts, room=Room(paths, Disk(), Ticking(), Pulse()))
    job = DeriveJob(parts, "poster")
    assert job.step(threading.Event()) is False
    media = bodies.Media(container="mp4", video=None, audio=None, duration_ms=None)
    parts.book.ledger.append(docked({"a.mp4": b"a"})[0], sealed("a.mp4", b"a").model_copy(update={"media": media}))
    with pytest.raises(FullError, match="it is made when there is room"):
        job.step(threading.Event())
    assert job.put_off == 0
    stored.close()


def test_alarm_of_the_station_stays_until_it_accepts_again(
    tmp_path: Path, new_share: Callable[[], DirectorySettings]
) -> None:
    stored, rooms = make_stored(tmp_path / "station", new_share()), Rooms(tmp_path, state=0)
    parts = replace(stored.parts, room=rooms.room)
    stop, told = parts.stop, threading.Event()
    worker = Worker(RoomJob(parts), live=parts.live, pulse=rooms.pulse, stop=stop)
    worker.start()
    while not parts.live.has_alarm("vault"):
        told.wait(0.01)
    (alarm,) = parts.live.alarms()
    assert "paths.state" in alarm.text
    assert "retire_after_days" in alarm.hint
    rooms.disk.free["state"] = 1 << 40
    rooms.pulse.beat()
    while parts.live.has_alarm("vault"):
        told.wait(0.01)
    assert rooms.room.accepting()
    stop.set()
    rooms.pulse.beat()
    worker.join(20)
    stored.close()
