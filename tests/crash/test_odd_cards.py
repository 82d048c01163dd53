"""Cards that are broken or strange in a way of their own never hold up what else there is to be saved."""

import os
import subprocess
from pathlib import Path

from edged.evidence.ids import escape_path
from tests.crash.small_disk import MIB, small_disk
from tests.crash.station import (
    SECURING,
    Station,
    clip_path,
    off_the_network,
    read_card,
    until,
    wait_for,
)

RECORDER = "BC00001"


def test_a_file_of_impossible_length_keeps_no_other_from_being_sealed(station: Station) -> None:
    files = {clip_path(n): f"recording {n}".encode() for n in range(2, 6)}
    card = station.card(RECORDER, files)
    broken = card / os.fsdecode(clip_path(1))
    broken.touch()
    os.truncate(broken, 8 << 40)
    bay = station.dock(card)
    with station.running():
        wait_for(station, "segment", len(files))
        assert "reserve" in until(lambda: station.alarm(f"bay {RECORDER}"), "the alarm about the vault")["text"]
        assert not station.bay(RECORDER)["removable"]
        assert not station.bodies("clearance")
        (bay / broken.relative_to(card)).unlink()
        station.until_phase(bay, "kept", "done")
    # What the card holds now is another inventory, and so another docking, which says that one file is missing.
    assert station.result().ended == (("interrupted", len(files) + 1), ("cleared", 0))
    assert [body["missing"] for body in station.bodies("docking")] == [0, 1]
    station.holds(RECORDER, files)
    station.is_whole()


def test_a_card_that_dies_before_it_is_erased_ends_its_docking_and_keeps_what_cannot_be_compared(
    station: Station, tmp_path: Path
) -> None:
    files = {clip_path(n): os.urandom(4 * MIB) for n in range(1, 13)}
    image, bay = tmp_path / "image", station.bays / "bay-1"
    with small_disk(image, tmp_path / "card"):
        for path, content in files.items():
            target = tmp_path / "card" / os.fsdecode(path)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
        (tmp_path / "card" / "lost+found").rmdir()
    bay.mkdir()
    subprocess.run(["mount", "-o", "loop,noatime,errors=continue", image, bay], check=True)
    try:
        with off_the_network(station):
            station.until_phase(bay, *SECURING)
            subprocess.run(["sync", "-f", bay], check=True)
            os.truncate(image, 40 * MIB)
        left = {os.fsencode(path.relative_to(bay)) for path in bay.rglob("*.MP4")}
    finally:
        subprocess.run(["umount", bay], check=True)
    assert 0 < len(left) < len(files)
    outcomes = {body["path"]: body["outcome"] for body in station.bodies("wipe")}
    assert {path for path, outcome in outcomes.items() if outcome == "gone"} == {
        escape_path(path) for path in files.keys() - left
    }
    assert {body["detail"]["path"] for body in station.anomalies("unreadable-before-wipe")} == {
        escape_path(path) for path in left
    }
    assert station.result().ended == (("kept", len(left)),)
    station.holds(RECORDER, files)
    station.is_whole()


def test_a_card_that_cannot_be_written_is_kept_and_said_to_be_so(station: Station, tmp_path: Path) -> None:
    files = {clip_path(n): f"recording {n}".encode() for n in range(1, 4)}
    bay = station.bays / "bay-1"
    with small_disk(tmp_path / "image", tmp_path / "card"):
        for path, content in files.items():
            target = tmp_path / "card" / os.fsdecode(path)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
        (tmp_path / "card" / "lost+found").rmdir()
    bay.mkdir()
    subprocess.run(["mount", "-o", "loop,ro", tmp_path / "image", bay], check=True)
    try:
        with station.running():
            station.until_phase(bay, "kept", "done")
        assert read_card(bay) == files
    finally:
        subprocess.run(["umount", bay], check=True)
    assert {body["outcome"] for body in station.bodies("wipe")} == {"present"}
    assert station.result().ended == (("kept", len(files)),)
    station.holds(RECORDER, files)
    station.is_whole()


BAY_NAMES = (b"bay\n<6>forged", b"\xff\xfe", "执法记录仪一号".encode(), b"b" * 255, b"$(id)", b"[bold]red", b"con")


def test_bays_may_have_any_name_that_a_folder_can_have(station: Station) -> None:
    station.recorders = {f"BC1000{n}": "gat947" for n in range(len(BAY_NAMES))}
    station.configure()
    files = {recorder: {clip_path(1, recorder): f"by {recorder}".encode()} for recorder in station.recorders}
    for name, (recorder, content) in zip(BAY_NAMES, files.items(), strict=True):
        station.dock(station.card(recorder, content), os.fsdecode(name))
    with station.running():
        wait_for(station, "undocking", len(BAY_NAMES))
        assert {bay["phase"] for bay in station.status()["bays"]} == {"done"}
        assert station.run("status").returncode == 0
    assert station.result().ended == (("cleared", 0),) * len(BAY_NAMES)
    bays = {body["bay"] for body in station.bodies("docking")}
    assert len(bays) == len(BAY_NAMES)
    assert all(len(bay) <= 64 and bay.isascii() for bay in bays)
    assert "\n<6>forged" not in station.log
    assert len(station.originals()) == len(BAY_NAMES)
    station.is_whole()


def test_what_is_no_folder_is_no_recorder(station: Station) -> None:
    elsewhere = station.card(RECORDER, {clip_path(1): b"not docked"})
    (station.bays / "link").symlink_to(elsewhere)
    (station.bays / "file").write_bytes(b"no card")
    os.mkfifo(station.bays / "pipe")
    hidden = station.card("hidden", {clip_path(1): b"hidden"})
    hidden.rename(station.bays / ".hidden")
    with station.running():
        station.until_phase(station.dock(station.card("BC00002", {clip_path(1, "BC00002"): b"docked"})), "done")
    assert {body["bay"] for body in station.bodies("docking")} == {"BC00002"}
    assert read_card(elsewhere) == {clip_path(1): b"not docked"}
    assert read_card(station.bays / ".hidden") == {clip_path(1): b"hidden"}
