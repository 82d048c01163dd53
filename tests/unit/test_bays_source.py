"""Recorders that come, go, flap and change places in a real folder are told truly, in order, and once."""

import os
import queue
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edged.bays.inventory import Inventory, take_inventory
from edged.bays.safe_files import RecorderGoneError, Root
from edged.bays.source import DirectorySource, Docked
from edged.clock import SystemClock
from edged.errors import ConfigError

SETTLE_SECONDS = 0.1
QUIET_SECONDS = 0.6
"""Longer than settling, and than the half second that watchdog waits for the second half of a move."""


@dataclass
class Told:
    """What the source told, in order."""

    calls: "queue.Queue[tuple[str, Docked]]" = field(default_factory=queue.Queue)
    threads: set[int] = field(default_factory=set)

    def arrival(self, docked: Docked) -> None:
        self.threads.add(threading.get_ident())
        self.calls.put(("arrival", docked))

    def departure(self, docked: Docked) -> None:
        self.threads.add(threading.get_ident())
        self.calls.put(("departure", docked))

    def next(self) -> tuple[str, str]:
        what, docked = self.calls.get(timeout=10)
        return what, docked.hint

    def docked(self) -> Docked:
        what, docked = self.calls.get(timeout=10)
        assert what == "arrival"
        return docked

    def nothing_more(self) -> bool:
        time.sleep(QUIET_SECONDS)
        return self.calls.empty()


@pytest.fixture
def intake(tmp_path: Path) -> Path:
    folder = tmp_path / "intake"
    folder.mkdir()
    return folder


@pytest.fixture
def told() -> Told:
    return Told()


def made(intake: Path, told: Told, settle_seconds: float) -> DirectorySource:
    return DirectorySource(
        intake, settle_seconds, told.arrival, told.departure, clock=SystemClock(), rescan_seconds=1.0
    )


@pytest.fixture
def source(intake: Path, told: Told) -> Iterator[DirectorySource]:
    source = made(intake, told, SETTLE_SECONDS)
    yield source
    source.stop()


@pytest.fixture
def patient(intake: Path, told: Told) -> Iterator[DirectorySource]:
    """Settles so slowly that a busy machine's pauses do not look like rest."""
    source = made(intake, told, 0.6)
    yield source
    source.stop()


def test_recorders_docked_before_the_start_are_arrivals(intake: Path, source: DirectorySource, told: Told) -> None:
    for name in ("B", "A"):
        (intake / name).mkdir()
    source.start()
    assert [told.next(), told.next()] == [("arrival", "A"), ("arrival", "B")]
    assert told.nothing_more()


def test_it_is_known_between_which_moments_a_recorder_came(intake: Path, source: DirectorySource, told: Told) -> None:
    (intake / "OLD").mkdir()
    source.start()
    # Nobody knows since when that one is there.
    assert told.docked().plugged is None
    before = SystemClock().monotonic()
    (intake / "NEW").mkdir()
    came = SystemClock().monotonic()
    plugged = told.docked().plugged
    assert plugged is not None
    # A look a second, and one that settles after that.
    assert before - 10 <= plugged.earliest <= came
    assert came <= plugged.latest <= SystemClock().monotonic()


def test_after_the_intake_folder_was_away_nobody_knows_when_a_recorder_came(
    intake: Path, source: DirectorySource, told: Told
) -> None:
    source.start()
    (intake / "A").mkdir()
    assert told.docked().bay == "A"
    intake.rename(intake.with_name("away"))
    assert told.next() == ("departure", "A")
    time.sleep(1.2)
    intake.with_name("away").rename(intake)
    assert told.docked().plugged is None


def test_recorder_comes_and_goes(intake: Path, source: DirectorySource, told: Told) -> None:
    source.start()
    (intake / "CAM-1").mkdir()
    (intake / "CAM-1" / "a.mp4").touch()
    docked = told.docked()
    assert (docked.bay, docked.hint, docked.root.path) == ("CAM-1", "CAM-1", intake / "CAM-1")
    docked.root.check()
    with source.writable(docked) as root:
        assert root == docked.root
    shutil.rmtree(intake / "CAM-1")
    assert told.next() == ("departure", "CAM-1")
    with pytest.raises(RecorderGoneError), source.writable(docked):
        pass
    assert len(told.threads) == 1


def test_hidden_names_files_and_links_are_no_recorders(intake: Path, source: DirectorySource, told: Told) -> None:
    (intake / ".hidden").mkdir()
    (intake / "file").touch()
    (intake / "link").symlink_to("/etc")
    source.start()
    (intake / ".later").mkdir()
    (intake / "later").symlink_to(intake.parent)
    assert told.nothing_more()
    (intake / ".hidden").rename(intake / "shown")
    assert told.next() == ("arrival", "shown")


def test_card_that_is_still_being_filled_is_not_announced(intake: Path, patient: DirectorySource, told: Told) -> None:
    patient.start()
    (intake / "CAM-1" / "DCIM").mkdir(parents=True)
    for number in range(9):
        time.sleep(0.1)
        (intake / "CAM-1" / "DCIM" / f"{number}.mp4").write_bytes(b"x")
        assert told.calls.empty()
    assert told.next() == ("arrival", "CAM-1")


def test_card_that_is_read_while_it_settles_is_announced(intake: Path, source: DirectorySource, told: Told) -> None:
    (intake / "CAM-1").mkdir()
    (intake / "CAM-1" / "a.mp4").touch()
    source.start()
    announced = time.monotonic() + 5
    while told.calls.empty() and time.monotonic() < announced:
        (intake / "CAM-1" / "a.mp4").read_bytes()
        time.sleep(SETTLE_SECONDS / 4)
    assert told.next() == ("arrival", "CAM-1")


def test_flapping_recorder_is_never_announced_before_it_rests(
    intake: Path, patient: DirectorySource, told: Told
) -> None:
    patient.start()
    for _ in range(5):
        (intake / "CAM-1").mkdir()
        time.sleep(0.05)
        (intake / "CAM-1").rmdir()
    assert told.nothing_more()
    (intake / "CAM-1").mkdir()
    assert told.next() == ("arrival", "CAM-1")


def test_recorder_taken_out_and_put_back_departs_and_arrives(intake: Path, source: DirectorySource, told: Told) -> None:
    (intake / "CAM-1").mkdir()
    source.start()
    first = told.docked()
    (intake / "CAM-1").rename(intake.parent / "pocket")
    (intake.parent / "pocket").rename(intake / "CAM-1")
    assert [told.next(), told.next()] == [("departure", "CAM-1"), ("arrival", "CAM-1")]
    first.root.check()


def test_other_recorder_under_the_same_name_departs_and_arrives(
    intake: Path, source: DirectorySource, told: Told
) -> None:
    (intake / "CAM-1").mkdir()
    (intake.parent / "other").mkdir()
    source.start()
    first = told.docked()
    (intake / "CAM-1").rename(intake.parent / "pocket")
    (intake.parent / "other").rename(intake / "CAM-1")
    assert told.next() == ("departure", "CAM-1")
    assert told.docked().root != first.root
    with pytest.raises(RecorderGoneError):
        first.root.check()


def test_folder_made_anew_at_once_departs_and_arrives(intake: Path, source: DirectorySource, told: Told) -> None:
    (intake / "CAM-1").mkdir()
    source.start()
    assert told.next() == ("arrival", "CAM-1")
    # The file system may well give the new folder the inode number of the old one.
    (intake / "CAM-1").rmdir()
    (intake / "CAM-1").mkdir()
    assert [told.next(), told.next()] == [("departure", "CAM-1"), ("arrival", "CAM-1")]


def test_renamed_recorder_departs_and_arrives(intake: Path, source: DirectorySource, told: Told) -> None:
    (intake / "CAM-1").mkdir()
    source.start()
    assert told.next() == ("arrival", "CAM-1")
    (intake / "CAM-1").rename(intake / "CAM-2")
    assert [told.next(), told.next()] == [("departure", "CAM-1"), ("arrival", "CAM-2")]


@pytest.mark.parametrize(
    "name", [b"\xff\xfe", b"line\nfeed", b"-rf", b"x" * 255, b"%41"], ids=lambda name: repr(name[:12])
)
def test_hostile_folder_name_gets_a_valid_bay(intake: Path, source: DirectorySource, told: Told, name: bytes) -> None:
    path = intake / os.fsdecode(name)
    path.mkdir()
    source.start()
    docked = told.docked()
    assert docked.root.path == path
    assert len(docked.bay) <= 64
    assert docked.bay.isascii()
    assert docked.hint.isprintable()
    path.rmdir()
    assert told.next() == ("departure", docked.hint)


def test_name_made_to_collide_with_another_bay_waits_until_it_is_free(
    intake: Path, source: DirectorySource, told: Told
) -> None:
    (intake / "bay 1").mkdir()
    source.start()
    docked = told.docked()
    assert docked.bay != "bay 1"
    (intake / docked.bay).mkdir()
    assert told.nothing_more()
    (intake / "bay 1").rmdir()
    assert [told.next(), told.next()] == [("departure", "bay 1"), ("arrival", docked.bay)]


def test_missing_intake_folder_is_a_clear_error(tmp_path: Path, told: Told) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "file"):
        source = DirectorySource(path, SETTLE_SECONDS, told.arrival, told.departure, clock=SystemClock())
        with pytest.raises(ConfigError) as caught:
            source.start()
        assert str(path) in caught.value.message
        assert "bays.folder" in caught.value.hint
        source.stop()


def test_intake_folder_that_goes_away_and_comes_back_needs_nobody(
    intake: Path, source: DirectorySource, told: Told
) -> None:
    (intake / "CAM-1").mkdir()
    source.start()
    assert told.next() == ("arrival", "CAM-1")
    shutil.rmtree(intake)
    assert told.next() == ("departure", "CAM-1")
    time.sleep(1.1)
    intake.mkdir()
    (intake / "CAM-2").mkdir()
    assert told.next() == ("arrival", "CAM-2")
    (intake / "CAM-2").rmdir()
    assert told.next() == ("departure", "CAM-2")


def test_intake_folder_exchanged_for_another_is_followed(intake: Path, source: DirectorySource, told: Told) -> None:
    (intake / "CAM-1").mkdir()
    source.start()
    assert told.next() == ("arrival", "CAM-1")
    intake.rename(intake.parent / "old")
    intake.mkdir()
    assert told.next() == ("departure", "CAM-1")
    (intake.parent / "old" / "CAM-9").mkdir()
    (intake / "CAM-2").mkdir()
    assert told.next() == ("arrival", "CAM-2")
    assert told.nothing_more()


def test_recorders_are_found_when_the_kernel_tells_nothing(
    intake: Path, source: DirectorySource, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_watch_top", lambda: None)
    source.start()
    (intake / "CAM-1").mkdir()
    assert told.next() == ("arrival", "CAM-1")
    (intake.parent / "other").mkdir()
    (intake / "CAM-1").rename(intake.parent / "pocket")
    (intake.parent / "other").rename(intake / "CAM-1")
    assert [told.next(), told.next()] == [("departure", "CAM-1"), ("arrival", "CAM-1")]
    (intake / "CAM-1").rmdir()
    assert told.next() == ("departure", "CAM-1")


def test_stopping_is_quick_and_tells_no_departure(intake: Path, source: DirectorySource, told: Told) -> None:
    (intake / "CAM-1").mkdir()
    source.start()
    assert told.next() == ("arrival", "CAM-1")
    began = time.monotonic()
    source.stop()
    assert time.monotonic() - began < 1
    (intake / "CAM-1").rmdir()
    assert told.nothing_more()


def test_reading_and_wiping_a_docked_card_wakes_nobody(
    intake: Path, source: DirectorySource, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    (intake / "CAM-1").mkdir()
    for number in range(100):
        (intake / "CAM-1" / str(number)).touch()
    source.start()
    assert told.next() == ("arrival", "CAM-1")
    looks = 0
    look = source._look

    def counted() -> bool:
        nonlocal looks
        looks += 1
        return look()

    monkeypatch.setattr(source, "_look", counted)
    began = time.monotonic()
    for path in (intake / "CAM-1").iterdir():
        path.read_bytes()
        path.unlink()
    assert told.nothing_more()
    assert looks <= 2 + (time.monotonic() - began)


def test_folder_that_cannot_be_listed_for_a_moment_makes_nobody_depart(
    intake: Path, source: DirectorySource, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    (intake / "CAM-1").mkdir()
    source.start()
    assert told.next() == ("arrival", "CAM-1")
    refused = threading.Event()

    def refuse(_: bytes) -> None:
        refused.set()
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as fault:
        fault.setattr(os, "scandir", refuse)
        assert refused.wait(timeout=10)
    (intake / "CAM-2").mkdir()
    assert told.next() == ("arrival", "CAM-2")


def test_mounted_card_is_complete_and_not_walked(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel mounts some file systems below /dev: to the source, cards that an automounter mounted.
    walked = []

    def walk(root: Root, stop: threading.Event) -> Inventory:
        walked.append(root.path)
        return take_inventory(root, stop)

    monkeypatch.setattr("edged.bays.source.take_inventory", walk)
    source = made(Path("/dev"), told, SETTLE_SECONDS)
    source.start()
    try:
        docked = told.docked()
        while docked.hint != "pts":
            docked = told.docked()
    finally:
        source.stop()
    assert Path("/dev/pts").is_mount()
    assert Path("/dev/pts") not in walked
