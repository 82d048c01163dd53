"""Docking and pulling in directory mode: wholly there or wholly gone."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edged.clock import SystemClock
from edged.errors import UnreadableError, UsageError
from hwsim.bays import DockedCard, dock, docked, yank
from hwsim.demo.slots import FolderSlots
from hwsim.demo.stage import Stage
from hwsim.quick import quick_card
from hwsim.watching import ReadWatch


@pytest.fixture
def intake(tmp_path: Path) -> Path:
    folder = tmp_path / "bays"
    folder.mkdir()
    return folder


@pytest.fixture
def card(tmp_path: Path) -> Path:
    quick_card(tmp_path / "card", {b"DCIM/1.MP4": b"x" * 100, b"DCIM/2\xff.MP4": b"y"})
    return tmp_path / "card"


def hwsim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from hwsim.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_card_is_docked_listed_and_taken_out(tmp_path: Path, intake: Path, card: Path) -> None:
    dock(card, intake / "CAM-07")
    assert not card.exists()
    assert docked(intake) == (DockedCard(name="CAM-07", files=2, size_bytes=101),)
    yank(intake / "CAM-07", tmp_path / "shelf")
    assert docked(intake) == ()
    assert (tmp_path / "shelf" / "DCIM" / "1.MP4").read_bytes() == b"x" * 100


def test_a_taken_bay_is_not_replaced_even_if_its_card_is_empty(intake: Path, card: Path) -> None:
    (intake / "CAM-07").mkdir()
    with pytest.raises(UsageError, match="is taken"):
        dock(card, intake / "CAM-07")
    assert card.is_dir()


def test_what_is_no_card_is_not_docked(tmp_path: Path, intake: Path, card: Path) -> None:
    (tmp_path / "link").symlink_to(card)
    for wrong in (tmp_path / "none", tmp_path / "link"):
        with pytest.raises(UnreadableError, match="no such folder"):
            dock(wrong, intake / "CAM-07")
    with pytest.raises(UnreadableError, match="is no folder"):
        dock(card, tmp_path / "nowhere" / "CAM-07")
    with pytest.raises(UsageError, match="dot"):
        dock(card, intake / ".hidden")


def test_an_unreadable_intake_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="cannot be read"):
        docked(tmp_path / "none")


def test_a_card_can_be_pulled_at_the_moment_a_file_is_read(tmp_path: Path, intake: Path, card: Path) -> None:
    with ReadWatch(card) as watch:
        dock(card, intake / "CAM-07")
        reader = threading.Timer(0.05, (intake / "CAM-07/DCIM/1.MP4").read_bytes)
        reader.start()
        seen = watch.wait(lambda name: name.startswith("1"), SystemClock(), 20)
        yank(intake / "CAM-07", tmp_path / "shelf")
        reader.join()
    assert seen == "1.MP4"
    assert docked(intake) == ()


def test_a_folder_that_is_listed_is_no_read_and_waiting_ends(card: Path) -> None:
    with ReadWatch(card) as watch:
        assert len(list(card.iterdir())) == 1
        assert watch.wait(bool, SystemClock(), 0.3) is None


def test_the_commands_make_dock_list_and_pull_a_card(tmp_path: Path, intake: Path) -> None:
    made = hwsim(
        "record",
        tmp_path / "c",
        "--layout",
        "sidecar",
        "--segments",
        "1",
        "--seconds",
        "1",
        "--start",
        "2026-11-21T08:30:00",
        "--faults",
        "empty,important",
    )
    assert made.returncode == 0, made.stderr
    assert "VIDEO/20261121/083000_00001L.MP4" in made.stdout
    assert hwsim("dock", tmp_path / "c", intake / "X", "--clock-error", "97").returncode == 0
    assert hwsim("list", intake).stdout.startswith(("X\t6\t", "X\t7\t"))
    assert any(log.read_text().endswith(" USB CONNECTED\n") for log in (intake / "X/LOG").iterdir())
    out = hwsim("yank", intake / "X", tmp_path / "d", "--reading", "*.MP4", "--patience", "0.2")
    assert out.returncode == 69
    assert "it stays docked" in out.stderr
    assert hwsim("yank", intake / "X", tmp_path / "d").returncode == 0
    assert (tmp_path / "d" / "DEVICE.INI").is_file()


def test_a_recorder_with_a_log_writes_into_it_that_it_was_connected(tmp_path: Path, intake: Path) -> None:
    ini = b"[device]\r\nserial=SC20451\r\nzone=Asia/Shanghai\r\n"
    quick_card(tmp_path / "card", {b"DEVICE.INI": ini, b"LOG/20261122.LOG": b"2026-11-22 08:00:00 POWER ON\r\n"})
    shown = datetime(2026, 11, 21, 23, 59, 58, tzinfo=UTC)
    dock(tmp_path / "card", intake / "X", shown=shown)
    log = intake / "X/LOG/20261122.LOG"
    assert log.read_text().splitlines()[1:] == ["2026-11-22 07:59:58 USB CONNECTED"]
    assert log.stat().st_mtime == shown.timestamp()


def test_other_recorders_write_nothing_when_they_are_connected(intake: Path, card: Path) -> None:
    dock(card, intake / "CAM-07", shown=datetime(2026, 11, 22, tzinfo=UTC))
    assert docked(intake) == (DockedCard(name="CAM-07", files=2, size_bytes=101),)


def test_what_a_recorder_of_the_demo_writes_when_it_is_connected_is_kept_to_compare(tmp_path: Path) -> None:
    stage = Stage(folder=tmp_path)
    stage.bays.mkdir()
    for shelf in (stage.recorders, stage.originals):
        shelf.mkdir()
        quick_card(shelf / "SC20451", {b"DEVICE.INI": b"zone=UTC\n"})
    slots = FolderSlots(stage, SystemClock(), {"SC20451": timedelta(seconds=100)})
    slots.dock("SC20451")
    (docked_log,) = (stage.bays / "SC20451/LOG").iterdir()
    (kept_log,) = (stage.originals / "SC20451/LOG").iterdir()
    assert docked_log.read_text() == kept_log.read_text()


def test_a_card_at_a_port_cannot_be_written_to(card: Path) -> None:
    done = hwsim("dock", card, "pci-0000:00:14.0-usb-0:2.1", "--kernel", "--clock-error", "60")
    assert done.returncode == 64
    assert "cannot be written to any more" in done.stderr


def test_without_arguments_the_help_is_shown() -> None:
    done = hwsim()
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("record", "dock", "yank", "list", "demo"))


@pytest.mark.parametrize("arguments", [("juggle",), ("record",), ("list", "a", "b")])
def test_a_wrong_command_line_is_one_sentence_and_64(arguments: tuple[str, ...]) -> None:
    done = hwsim(*arguments)
    assert done.returncode == 64
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--layout", "vhs"), "no layout 'vhs'"),
        (("--layout", "dcim", "--faults", "fire"), "'fire' is not a valid Feature"),
        (("--layout", "dcim", "--start", "noon"), "'noon' is no time"),
        (("--layout", "dcim", "--zone", "Mars/Base"), "no time zone"),
    ],
)
def test_wrong_usage_is_one_sentence_and_64(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = hwsim("record", tmp_path / "c", *arguments)
    assert done.returncode == 64
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
