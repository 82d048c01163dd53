"""Manual intake: a loose card or a file that was handed in is a docking of its own, sealed like any other."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from edged.control.client import ask
from edged.evidence.digests import sha256_hex
from tests.crash.station import BIN, OFFICER, Station, clip_path, environment, sg, until

FILES = {clip_path(1): b"one" * 1000, clip_path(2): b"two" * 1000, b"notes.txt": b"by hand"}


def intake(station: Station, what: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    given = ["--recorder", "BC00001", "--officer", OFFICER, "--reason", "the cable is broken", *arguments]
    return station.run("intake", str(what), *given)


def test_loose_card_is_sealed_by_the_person_who_handed_it_in_and_nothing_is_erased(station: Station) -> None:
    card = station.card("loose", FILES)
    with station.running():
        done = intake(station, card, "--json")
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert (answer["files"], answer["sealed"], answer["sighted"], answer["unread"]) == (3, 3, 0, 0)
        again = intake(station, card)
        assert "3 files" in again.stdout
        assert "0 are sealed, 3 were known already" in again.stdout
        assert "Nothing was erased" in again.stdout
        until(lambda: station.status()["totals"]["replicated"] == 3, "all is in central storage")
        assert station.status()["bays"] == []
    station.holds("BC00001", FILES)
    first = station.entries("docking")[0]
    assert first["actor"] == "user:root"
    assert first["body"]["docking"] == answer["docking"]
    assert first["body"]["bay"].startswith("intake-")
    assert first["body"]["officer"] == OFFICER
    assert first["body"]["reason"]["code"] == "intake"
    assert "cable" not in json.dumps(first)
    assert station.result().ended == (("kept", 3), ("kept", 3))
    assert station.bodies("clearance", "wipe") == []
    assert sorted(path.name for path in card.rglob("*") if path.is_file()) == sorted(
        os.fsdecode(path).rpartition("/")[2] for path in FILES
    )
    station.is_whole()


def test_one_file_is_taken_and_not_what_lies_beside_it(station: Station, tmp_path: Path) -> None:
    (tmp_path / "given.MP4").write_bytes(b"a recording")
    (tmp_path / "private.txt").write_bytes(b"not meant")
    with station.running():
        done = intake(station, tmp_path / "given.MP4")
        assert done.returncode == 0, done.stderr
    assert station.result().sealed == {("given.MP4", sg("BC00001", b"a recording"))}
    assert b"private" not in b"".join(path.read_bytes() for path in station.state.rglob("book.sqlite*"))
    station.is_whole()


def test_what_was_handed_in_is_not_missed_at_the_next_docking(station: Station) -> None:
    with station.running():
        assert intake(station, station.card("loose", FILES)).returncode == 0
        bay = station.dock(station.card("BC00001", {clip_path(3): b"three"}))
        station.until_phase(bay, "done")
    assert [body["missing"] for body in station.bodies("docking")] == [0, 0]
    assert station.result().ended == (("kept", 3), ("cleared", 0))


def test_recorder_is_not_accused_by_a_trimmed_copy_or_a_loose_file_that_was_handed_in(
    station: Station, tmp_path: Path
) -> None:
    loose = tmp_path / os.fsdecode(clip_path(1)).rpartition("/")[2]
    loose.write_bytes(FILES[clip_path(1)])
    with station.running():
        assert intake(station, loose).returncode == 0
        assert intake(station, station.card("trimmed", {clip_path(2): b"two"})).returncode == 0
        station.until_phase(station.dock(station.card("BC00001", FILES)), "done")
    assert station.bodies("anomaly") == []
    assert station.result().ended == (("kept", 1), ("kept", 1), ("cleared", 0))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--recorder", "BC99999"), "No recorder BC99999 is registered"),
        (("--officer", "no body"), "officer"),
        (("--reason", ""), "reason"),
    ],
)
def test_wrong_intake_is_refused_in_one_sentence(station: Station, arguments: tuple[str, ...], said: str) -> None:
    card = station.card("loose", FILES)
    with station.running():
        done = intake(station, card, *arguments)
        assert done.returncode == 64
        assert said in done.stderr
        assert intake(station, station.folder / "nowhere").returncode == 66
        empty = station.folder / "empty"
        empty.mkdir()
        assert intake(station, empty).returncode == 0
    assert [body["files"] for body in station.bodies("docking")] == [0]
    station.is_whole()


def test_recorder_that_is_docked_now_is_not_taken_in_by_hand_too(station: Station) -> None:
    card = station.card("loose", FILES)
    with station.running():
        bay = station.dock(station.card("BC00001", {clip_path(3): b"three"}))
        station.until_phase(bay, "done")
        done = intake(station, card)
        assert (done.returncode, f"Recorder BC00001 is docked in bay {bay.name} now." in done.stderr) == (77, True)
        assert "Take it out, and ask again." in done.stderr
    assert len(station.bodies("docking")) == 1


def test_request_without_a_folder_or_with_another_thing_is_refused(station: Station) -> None:
    given = {"recorder": "BC00001", "officer": OFFICER, "reason": "x", "name": "n"}
    reading, writing = os.pipe()
    with station.running():
        for handing in ([], [reading], [reading, writing]):
            with pytest.raises(Exception, match="An intake is of one folder"):
                ask(station.state / "control.sock", "intake", handing=handing, **given)
    os.close(reading)
    os.close(writing)
    assert station.bodies("docking") == []


def test_intake_that_a_kill_cut_short_is_taken_up_by_asking_again(station: Station) -> None:
    big = {clip_path(number): os.urandom(20 << 20) for number in range(1, 6)}
    card = station.card("loose", big)
    station.start()
    asking = subprocess.Popen(
        [
            *(str(BIN / "edged"), "intake", str(card), "--recorder", "BC00001"),
            *("--officer", OFFICER, "--reason", "test"),
            *("--config", str(station.config)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    until(lambda: station.bodies("segment"), "it is under way")
    station.kill()
    assert asking.wait(30) != 0
    with station.running():
        assert intake(station, card).returncode == 0
        until(lambda: len(station.result().ended) == 2, "the first is ended")
    assert {sha256_hex(content) for content in big.values()} == {body["sha256"] for body in station.bodies("segment")}
    assert sorted(outcome for outcome, _ in station.result().ended) == ["interrupted", "kept"]
    station.is_whole()


def test_folders_of_the_station_itself_are_not_taken_in_whoever_asks(station: Station, tmp_path: Path) -> None:
    with station.running():
        for folder in (station.state, station.state / "keys", station.vault, station.config, station.folder):
            done = intake(station, folder)
            assert (done.returncode, "What the station itself keeps" in done.stderr) == (77, True), done.stderr
        for file in (station.state / "keys" / "epoch.key", station.folder / "s3.toml"):
            assert intake(station, file).returncode == 77
        (tmp_path / "given").mkdir()
        (tmp_path / "given" / "1.MP4").write_bytes(b"a recording")
        assert intake(station, tmp_path / "given").returncode == 0
    assert station.result().sealed == {("1.MP4", sg("BC00001", b"a recording"))}
