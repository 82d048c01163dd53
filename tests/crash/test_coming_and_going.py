"""Recorders that come and go as people make them: pulled out, put back, doubled, unknown, changed while being read."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edged.evidence.ids import escape_path
from edged.stores.s3 import S3Settings
from hwsim.seaweed import SeaweedFS
from tests.crash.conftest import MakeStation
from tests.crash.published import the_ledger_is_one
from tests.crash.station import SECURING, Station, clip_path, off_the_network, read_card, sg, until, wait_for
from tests.unit.mounting import needs_mount

RECORDER = "BC00001"
LARGE_BYTES = 24 << 20


def day(count: int, size_bytes: int = 1000, *, device: str = RECORDER) -> dict[bytes, bytes]:
    """Give the files of a day, each unlike the others."""
    return {clip_path(n, device): f"{device} {n} ".encode() + os.urandom(size_bytes) for n in range(1, count + 1)}


def test_a_recorder_pulled_three_times_in_the_middle_is_taken_up_where_it_stood(station: Station) -> None:
    files = day(120, 1 << 18)
    card = station.card(RECORDER, files)
    with station.running():
        for times in range(1, 4):
            before = station.size("segment")
            bay = station.dock(card)
            wait_for(station, "segment", before + 1)
            station.pull(bay)
            assert len(station.bodies("segment")) < len(files)
            wait_for(station, "undocking", times)
        assert read_card(card) == files
        bay = station.dock(card)
        station.until_phase(bay, "done")
    result = station.result()
    assert result.ended == (("interrupted", len(files)),) * 3 + (("cleared", 0),)
    assert len(result.sealed) == len(files)
    assert len(result.sighted) < len(files)
    assert {path for path, _, _ in result.wiped} == {escape_path(path) for path in files}
    assert [body["missing"] for body in station.bodies("docking")] == [0] * 4
    station.holds(RECORDER, files)
    station.is_whole()


def test_a_recorder_pulled_while_it_is_erased_keeps_the_rest_and_says_so(station: Station) -> None:
    files = {clip_path(n): b"always the same" for n in range(1, 101)}
    card = station.card(RECORDER, files)
    with station.running():
        bay = station.dock(card)
        until(lambda: station.bodies("wipe"), "erasing has begun")
        station.pull(bay)
        (end,) = until(lambda: station.bodies("undocking"), "the docking is ended")
        left = read_card(card)
        assert 0 < len(left) < len(files)
        # What was being erased at that moment may be gone without a word about it, but never the other way round.
        wiped = {body["path"] for body in station.bodies("wipe") if body["outcome"] == "gone"}
        assert not wiped & {escape_path(path) for path in left}
        assert (end["outcome"], end["remaining"]) == ("interrupted", len(files) - len(wiped))
        assert {body["path"] for body in station.bodies("wipe")} >= {
            escape_path(path) for path in files if path not in left
        }
        station.until_phase(station.dock(card), "done")
    assert station.result().ended[-1] == ("cleared", 0)
    assert station.bodies("docking")[-1]["missing"] == 0
    station.holds(RECORDER, files)
    station.is_whole()


def test_two_recorders_with_one_serial_are_never_taken_in_at_once(station: Station) -> None:
    first, second = day(2), day(3)
    cards = [station.card("one", first), station.card("other", second)]
    with off_the_network(station):
        station.until_phase(station.dock(cards[0]), *SECURING)
        refused = station.until_phase(station.dock(cards[1]), "refused")
        assert "in another bay already" in refused["text"]
    assert read_card(station.bays / "other") == second
    (anomaly,) = station.anomalies("recorder-refused")
    assert (anomaly["subject"]["id"], anomaly["docking"]) == ("other", None)
    assert station.result().ended == (("cleared", 0),)
    station.holds(RECORDER, first)
    station.is_whole()


def test_an_unregistered_recorder_is_refused_reported_and_not_touched(station: Station) -> None:
    files = day(3, device="ZZ99999")
    bay = station.dock(station.card("stranger", files))
    before = {path: (bay / os.fsdecode(path)).stat() for path in files}
    with station.running():
        refused = station.until_phase(bay, "refused")
    assert "ZZ99999" in refused["text"]
    assert "not registered" in refused["text"]
    assert refused["removable"]
    assert [body["kind"] for body in station.anomalies()] == ["recorder-refused"]
    assert not station.bodies("docking", "segment", "clearance")
    assert not station.originals()
    for path, was in before.items():
        now = (bay / os.fsdecode(path)).stat()
        assert (now.st_size, now.st_mtime_ns, now.st_ctime_ns) == (was.st_size, was.st_mtime_ns, was.st_ctime_ns)
    assert read_card(bay) == files


def test_a_card_that_fits_no_profile_is_refused_and_not_touched(station: Station) -> None:
    files = {b"holiday/beach.jpg": b"sand", b"readme.txt": b"hello"}
    bay = station.dock(station.card("usb-stick", files))
    with station.running():
        assert "fits no recorder profile" in station.until_phase(bay, "refused")["text"]
    assert read_card(bay) == files
    assert not station.bodies("docking")


def test_a_registered_recorder_without_files_is_given_back_at_once(station: Station) -> None:
    with station.running():
        bay = station.bays / "CAM-07"
        (bay / "DCIM" / "100MEDIA").mkdir(parents=True)
        station.until_phase(bay, "done")
        nameless = station.bays / "bay-9"
        nameless.mkdir()
        assert "empty" in station.until_phase(nameless, "refused")["text"]
    assert station.result().ended == (("cleared", 0),)
    assert (bay / "DCIM" / "100MEDIA").is_dir()
    station.is_whole()


def test_a_recorder_docked_while_the_daemon_is_down_is_taken_in_at_the_next_start(station: Station) -> None:
    files = day(3)
    bay = station.dock(station.card(RECORDER, files))
    gone = station.dock(station.card("BC00002", day(3, device="BC00002")))
    station.pull(gone)
    with station.running():
        station.until_phase(bay, "done")
    assert station.result().ended == (("cleared", 0),)
    station.holds(RECORDER, files)
    station.is_whole()


def test_a_recorder_removed_while_the_daemon_is_down_has_its_docking_ended(station: Station) -> None:
    files = day(12, 1 << 20)
    bay = station.dock(station.card(RECORDER, files))
    station.start()
    until(lambda: station.bodies("segment"), "a file is sealed")
    station.kill()
    card = station.pull(bay)
    with station.running():
        (end,) = until(lambda: station.bodies("undocking"), "the docking without a recorder is ended")
        assert (end["outcome"], end["remaining"]) == ("interrupted", len(files))
        station.until_phase(station.dock(card), "done")
    assert station.result().ended[-1] == ("cleared", 0)
    station.holds(RECORDER, files)
    station.is_whole()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_with_the_recorder_in_its_bay_goes_on_with_the_same_docking(station: Station, end: str) -> None:
    files = day(12, 1 << 20)
    bay = station.dock(station.card(RECORDER, files))
    station.start()
    until(lambda: len(station.bodies("segment")) > 3, "some files are sealed")
    station.stop() if end == "stop" else station.kill()
    assert len(station.bodies("segment")) < len(files)
    with station.running():
        station.until_phase(bay, "done")
    assert len(station.bodies("docking")) == 1
    assert station.result().ended == (("cleared", 0),)
    assert not station.bodies("sighting")
    station.holds(RECORDER, files)
    station.is_whole()


def test_a_file_that_grows_after_the_inventory_is_sealed_whole_and_reported(station: Station) -> None:
    files = {clip_path(n): bytes([n]) * LARGE_BYTES for n in range(1, 7)} | {clip_path(9): b"still recording"}
    bay = station.dock(station.card(RECORDER, files))
    grown = bay / os.fsdecode(clip_path(9))
    with station.running():
        until(lambda: station.bodies("docking"), "the inventory is taken")
        with grown.open("ab") as file:
            file.write(b", and on and on")
        station.until_phase(bay, "done", "kept")
    files[clip_path(9)] = b"still recording, and on and on"
    assert station.result().ended == (("cleared", 0),)
    (anomaly,) = (each for each in station.anomalies() if each["kind"] != "counter-skips")
    assert (anomaly["kind"], anomaly["subject"]["id"]) == ("changed-after-inventory", sg(RECORDER, files[clip_path(9)]))
    station.holds(RECORDER, files)
    station.is_whole()


def test_a_file_that_is_still_written_is_left_until_it_rests_and_nothing_waits_for_it(station: Station) -> None:
    path = clip_path(1)
    bay = station.dock(station.card(RECORDER, {path: b"began" * (LARGE_BYTES // 5), clip_path(2): b"another"}))
    enough = threading.Event()

    def record() -> None:
        with (bay / os.fsdecode(path)).open("ab", buffering=0) as file:
            while not enough.wait(0.002):
                file.write(b"and on" * 20)

    recording = threading.Thread(target=record)
    with station.running():
        until(lambda: station.bodies("docking"), "the inventory is taken")
        recording.start()
        try:
            wait_for(station, "segment", 1)
            until(lambda: "still being written" in station.bay(RECORDER)["text"], "the bay says so")
            assert [body["path"] for body in station.bodies("segment")] == [escape_path(clip_path(2))]
        finally:
            enough.set()
            recording.join()
        content = (bay / os.fsdecode(path)).read_bytes()
        station.until_phase(bay, "done")
    assert station.originals()[sg(RECORDER, content)].read_bytes() == content
    (changed,) = station.anomalies("changed-after-inventory")
    assert changed["detail"]["sealed_bytes"] == len(content)
    assert station.result().ended == (("cleared", 0),)
    station.is_whole()


@contextmanager
def mounted_memory(folder: Path) -> Iterator[None]:
    """Have an empty file system at a folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@needs_mount
def test_a_file_that_grows_slowly_on_a_mounted_card_is_left_until_it_rests(make_station: MakeStation) -> None:
    station = make_station(bays={"wipe": "never", "settle_seconds": 1.0})
    bay, enough = station.bays / RECORDER, threading.Event()
    growing = bay / os.fsdecode(clip_path(1))

    def record() -> None:
        while not enough.wait(0.3):
            with growing.open("ab") as file:
                file.write(b" and on")

    recording = threading.Thread(target=record)
    card = station.card(RECORDER, {clip_path(1): b"began", clip_path(2): b"another"})
    with mounted_memory(bay):
        shutil.copytree(card, bay, dirs_exist_ok=True)
        recording.start()
        try:
            with station.running():
                until(lambda: station.bodies("segment"), "the other one is sealed")
                until(lambda: "still being written" in station.bay(RECORDER)["text"], "the bay says so")
                assert [body["path"] for body in station.bodies("segment")] == [escape_path(clip_path(2))]
                enough.set()
                recording.join()
                content = growing.read_bytes()
                station.until_phase(bay, "kept")
        finally:
            enough.set()
            recording.join()
    assert station.originals()[sg(RECORDER, content)].read_bytes() == content
    assert len(station.bodies("segment")) == 2
    station.is_whole()


def test_a_folder_that_does_not_come_to_rest_is_shown_and_taken_when_it_does(make_station: MakeStation) -> None:
    station = make_station(bays={"settle_seconds": 0.5})
    card = station.card(RECORDER, {clip_path(1): b"began", clip_path(2): b"another"})
    with station.running():
        bay = station.dock(card)
        for _ in range(300):
            with (bay / os.fsdecode(clip_path(1))).open("ab") as file:
                file.write(b" and on")
            if station.status()["bays"]:
                break
            threading.Event().wait(0.1)
        shown = station.bay(bay.name)
        assert (shown["phase"], shown["lamp"], shown["docking"]) == ("waiting", "busy", None)
        assert "still being written" in shown["text"]
        content = (bay / os.fsdecode(clip_path(1))).read_bytes()
        station.until_phase(bay, "kept")
    station.holds(RECORDER, {clip_path(1): content, clip_path(2): b"another"})
    station.is_whole()


def test_a_file_that_leaves_after_the_inventory_is_reported_and_nothing_else_is_erased(station: Station) -> None:
    files = {clip_path(n): bytes([n]) * LARGE_BYTES for n in range(1, 7)} | {clip_path(9): b"soon gone"}
    bay = station.dock(station.card(RECORDER, files))
    with station.running():
        until(lambda: station.bodies("docking"), "the inventory is taken")
        (bay / os.fsdecode(clip_path(9))).unlink()
        station.until_phase(bay, "done", "kept")
    del files[clip_path(9)]
    (anomaly,) = (each for each in station.anomalies() if each["kind"] != "counter-skips")
    assert (anomaly["kind"], anomaly["detail"]["path"]) == ("gone-after-inventory", escape_path(clip_path(9)))
    assert station.result().ended == (("kept", len(files)),)
    assert not station.bodies("clearance")
    assert read_card(bay) == files
    station.holds(RECORDER, files)
    station.is_whole()


def test_the_same_bytes_under_two_paths_are_one_segment_and_both_are_erased(station: Station) -> None:
    files = day(2)
    twice = files[clip_path(1)]
    files |= {b"COPY/again.MP4": twice, b"COPY/and again.MP4": twice}
    bay = station.dock(station.card(RECORDER, files))
    with station.running():
        station.until_phase(bay, "done")
    result = station.result()
    assert len(result.sealed) == 2
    assert {path for path, segment in result.sighted | result.sealed if segment == sg(RECORDER, twice)} == {
        escape_path(path) for path, content in files.items() if content == twice
    }
    assert result.wiped == {(path, segment, "gone") for path, segment in result.sealed | result.sighted}
    station.holds(RECORDER, files)
    station.is_whole()


def test_a_station_that_never_erases_sights_what_it_sealed_before(
    make_station: MakeStation, new_bucket: Callable[[], S3Settings]
) -> None:
    station = make_station(store=new_bucket(), bays={"wipe": "never"})
    files = day(3)
    card = station.card(RECORDER, files)
    with station.running():
        for _ in range(3):
            bay = station.dock(card)
            station.until_phase(bay, "kept")
            station.pull(bay)
            until(lambda: not station.status()["bays"], "the bay is free")
    assert read_card(card) == files
    result = station.result()
    assert result.ended == (("kept", 3),) * 3
    assert result.sealed == result.sighted
    assert len(station.bodies("sighting")) == 2 * len(files)
    assert not station.bodies("clearance", "wipe")
    station.holds(RECORDER, files)
    station.is_whole()


def test_another_card_in_the_same_bay_is_not_taken_for_the_one_before(station: Station) -> None:
    first, second = day(8, 1 << 20), day(2, device="BC00002")
    one, other = station.card("one", first), station.card("other", second)
    station.start()
    bay = station.dock(one, "bay-1")
    until(lambda: station.bodies("segment"), "a file is sealed")
    station.kill()
    bay.rename(Path(one))
    station.dock(other, "bay-1")
    with station.running():
        station.until_phase(bay, "done")
        until(lambda: len(station.bodies("undocking")) == 2, "the docking of the first is ended too")
    ends = {body["docking"]: body["outcome"] for body in station.bodies("undocking")}
    assert [ends[body["docking"]] for body in station.bodies("docking")] == ["interrupted", "cleared"]
    assert read_card(one) == first
    assert {body["recorder"] for body in station.bodies("segment")} == {"BC00001", "BC00002"}
    station.is_whole()


def test_the_daemon_goes_on_when_the_store_is_killed_and_comes_back(station: Station, object_store: SeaweedFS) -> None:
    files = day(6, 9 << 20)
    bay = station.dock(station.card(RECORDER, files))
    with station.running():
        until(lambda: station.bodies("replica"), "a copy is made")
        object_store.kill()
        try:
            until(lambda: len(station.bodies("segment")) == len(files), "all is sealed without a store")
            until(lambda: station.alarm("upload") or station.alarm("publish"), "an alarm says it")
            assert read_card(bay) == files
        finally:
            object_store.start()
        station.until_phase(bay, "done")
        until(lambda: not station.status()["alarms"], "the alarms are withdrawn")
    assert station.result().ended == (("cleared", 0),)
    station.holds(RECORDER, files)
    station.is_whole()


def test_six_recorders_at_once_and_a_kill_in_between_keep_six_chains(station: Station) -> None:
    recorders = [f"BC2000{n}" for n in range(6)]
    station.recorders = dict.fromkeys(recorders, "gat947")
    station.configure(bays={"at_once": 2})
    files = {recorder: day(4, 1 << 20, device=recorder) for recorder in recorders}
    bays = [station.dock(station.card(recorder, files[recorder])) for recorder in recorders]
    station.start()
    wait_for(station, "segment", 8)
    station.kill()
    with station.running():
        for bay in bays:
            station.until_phase(bay, "done")
        until(lambda: station.status()["ledger"]["published"] == station.size(), "all is published")
    assert the_ledger_is_one(station) == station.size()
    assert station.result().ended == (("cleared", 0),) * 6
    assert len(station.bodies("docking")) == 6
    originals = station.originals()
    for recorder in recorders:
        for content in files[recorder].values():
            assert originals[sg(recorder, content)].read_bytes() == content
    assert len(originals) == len(station.bodies("segment")) == 24
    station.is_whole()


def test_files_of_the_recorder_s_own_are_sealed_and_stay_on_it_and_may_change(station: Station) -> None:
    profile = station.config / "recorders" / "gat947.toml"
    text = profile.read_text("utf-8")
    profile.write_text(text.replace("\nidentity =", "\nstays = ['SYSTEM/.*']\nidentity =", 1), "utf-8")
    card = station.card(RECORDER, {clip_path(1): b"film", b"SYSTEM/INDEX.DAT": b"1 file"})
    with station.running():
        bay = station.dock(card)
        assert "Empty but for 1 file of its own" in station.until_phase(bay, "done")["text"]
        assert read_card(bay) == {b"SYSTEM/INDEX.DAT": b"1 file"}
        card = station.pull(bay)
        until(lambda: not station.status()["bays"], "the bay is empty")
        (card / "SYSTEM" / "INDEX.DAT").write_bytes(b"no file")
        station.until_phase(station.dock(card), "done")
    assert station.result().ended == (("cleared", 1), ("cleared", 1))
    assert not station.anomalies()
    station.holds(RECORDER, {b"SYSTEM/INDEX.DAT": b"no file"})
    station.is_whole()
