"""INV-6, INV-7, INV-8 and INV-10 of DESIGN.md, section 4: full disks, lost networks, bad cards, power cuts."""

import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from edged.clock import SystemClock
from edged.evidence.ids import escape_path
from edged.stores.s3 import S3Settings
from hwsim.proxy import Fault, Proxy
from hwsim.seaweed import SeaweedFS
from tests.crash.conftest import MakeStation
from tests.crash.published import the_ledger_is_one, versions
from tests.crash.small_disk import MIB, small_disk
from tests.crash.station import Station, clip_path, read_card, sg, until, wait_for

RECORDER = "BC00001"


def fill(ballast: Path) -> None:
    """Write a file until not one more byte fits on its disk."""
    with ballast.open("wb", buffering=0) as file:
        for size_bytes in (MIB, 4096, 1):
            with suppress(OSError):
                while file.write(bytes(size_bytes)):
                    pass


def all_ended_well(station: Station, bay: Path, files: dict[bytes, bytes]) -> None:
    station.until_phase(bay, "done")
    assert station.result().ended == (("cleared", 0),)
    assert not read_card(bay)
    station.holds(RECORDER, files)
    station.is_whole()
    until(lambda: not station.status()["alarms"], "no alarm is left")


# ------------------------------------------------------------------------------------------------------- INV-6


def test_inv_6_a_full_vault_stops_intake_and_says_so_and_resumes_by_itself(
    make_station: MakeStation, new_bucket: Callable[[], S3Settings], tmp_path: Path
) -> None:
    station = make_station(store=new_bucket(), paths={"vault": str(tmp_path / "disk" / "vault")})
    files = {clip_path(n): bytes([n]) * (8 * MIB) for n in range(1, 4)}
    bay = station.dock(station.card(RECORDER, files))
    with small_disk(tmp_path / "image", tmp_path / "disk"):
        free = os.statvfs(tmp_path / "disk")
        ballast = tmp_path / "disk" / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 30 * MIB)
        with station.running():
            alarm = until(lambda: station.alarm(f"bay {RECORDER}"), "the alarm about the vault")
            assert "reserve" in alarm["text"]
            assert "nothing is deleted" in alarm["text"]
            state = station.until_phase(bay, "waiting", "copying", "listing")
            assert not state["removable"]
            until(lambda: station.alarm("vault", "no recorder is accepted"), "the alarm of the station")
            assert station.status()["accepting"] is False
            other = station.dock(station.card("BC00002", {clip_path(1, "BC00002"): b"another"}))
            state = until(lambda: station.bay("BC00002")["text"] and station.bay("BC00002"), "the other one waits")
            assert (state["phase"], state["docking"]) == ("waiting", None)
            assert "no room" in state["text"]
            # What fits is taken; nothing that is there is touched to make room.
            assert len(station.originals()) == 1
            assert read_card(bay) == files
            assert ballast.exists()
            ballast.unlink()
            station.until_phase(bay, "done", seconds=20)
            station.until_phase(other, "done", seconds=20)
            assert station.status()["accepting"] is True
            assert [docking["recorder"]["id"] for docking in station.bodies("docking")] == [RECORDER, "BC00002"]
            assert not read_card(bay)
            station.holds(RECORDER, files)
            station.is_whole()
            until(lambda: not station.status()["alarms"], "no alarm is left")


def test_inv_6_a_disk_that_refuses_in_the_middle_of_a_copy_loses_nothing(
    make_station: MakeStation, new_bucket: Callable[[], S3Settings], tmp_path: Path
) -> None:
    station = make_station(store=new_bucket(), paths={"vault": str(tmp_path / "disk" / "vault")})
    files = {clip_path(n): bytes([n]) * 1000 for n in range(1, 6)}
    bay = station.dock(station.card(RECORDER, files))
    # Room enough for the bytes, as far as anybody can ask, but not for the names.
    with small_disk(tmp_path / "image", tmp_path / "disk", "-N", "64"):
        ballast = [tmp_path / "disk" / f"ballast-{n}" for n in range(64)]
        for path in ballast[: os.statvfs(tmp_path / "disk").f_favail - 14]:
            path.touch()
        with station.running():
            alarm = until(lambda: station.alarm(f"bay {RECORDER}"), "the alarm about the disk")
            assert "is full; nothing was lost" in alarm["text"]
            assert read_card(bay) == files
            for path in ballast:
                path.unlink(missing_ok=True)
            all_ended_well(station, bay, files)


def test_inv_6_a_full_disk_under_the_book_stops_intake_and_loses_nothing(station: Station, tmp_path: Path) -> None:
    files = {clip_path(n): f"recording {n}".encode() for n in range(1, 41)}
    kept = tmp_path / "kept"
    station.state.rename(kept)
    with small_disk(tmp_path / "image", station.state):
        shutil.copytree(kept, station.state, dirs_exist_ok=True)
        with station.running():
            ballast = station.state / "ballast"
            fill(ballast)
            bay = station.dock(station.card(RECORDER, files))
            until(lambda: station.alarm("vault", "paths.state"), "the alarm about the disk")
            state = until(lambda: station.bay(RECORDER)["text"] and station.bay(RECORDER), "the bay says it")
            assert (state["phase"], state["docking"]) == ("waiting", None)
            assert not station.bodies("docking")
            assert read_card(bay) == files
            ballast.unlink()
            all_ended_well(station, bay, files)


def test_inv_6_a_book_whose_disk_fills_in_the_middle_of_a_docking_loses_nothing(
    station: Station, tmp_path: Path
) -> None:
    files = {clip_path(n): f"recording {n}".encode() * 1000 for n in range(1, 61)}
    kept = tmp_path / "kept"
    station.state.rename(kept)
    with small_disk(tmp_path / "image", station.state):
        shutil.copytree(kept, station.state, dirs_exist_ok=True)
        with station.running():
            bay = station.dock(station.card(RECORDER, files))
            wait_for(station, "segment", 3)
            ballast = station.state / "ballast"
            fill(ballast)
            until(lambda: station.alarm("vault", "no recorder is accepted"), "the alarm about the disk")
            assert not station.bodies("wipe")
            assert read_card(bay) == files
            ballast.unlink()
            all_ended_well(station, bay, files)


def test_inv_6_a_vault_below_its_reserve_takes_nothing_in_until_there_is_room(station: Station, tmp_path: Path) -> None:
    files = {clip_path(1): b"a recording"}
    free_mib = shutil.disk_usage(tmp_path).free // MIB
    station.configure(paths={"reserve_mib": free_mib + (1 << 20)})
    bay = station.dock(station.card(RECORDER, files))
    with station.running():
        until(lambda: station.alarm("vault", "reserve"), "the alarm about the vault")
        until(lambda: "no room" in station.bay(RECORDER)["text"], "the bay says it")
        assert not station.bay(RECORDER)["removable"]
        refused = station.run(
            "intake", str(bay), "--recorder", RECORDER, "--officer", "138001", "--reason", "brought by hand"
        )
        assert (refused.returncode, "no recorder is accepted" in refused.stderr) == (74, True)
        told = station.run("status").stdout
        assert "No recorder is accepted: there is no room" in told
    assert not station.originals()
    assert read_card(bay) == files
    station.configure(paths={"reserve_mib": 16})
    with station.running():
        all_ended_well(station, bay, files)


def test_inv_6_connections_cut_in_the_middle_of_uploads_lose_and_double_nothing(station: Station) -> None:
    assert station.store is not None
    files = {clip_path(n): os.urandom(18 * MIB) for n in range(1, 4)}
    direct = station.store
    host, _, port = direct.endpoint.removeprefix("http://").partition(":")
    with Proxy((host, int(port))) as proxy:
        station.store = replace(direct, endpoint=f"http://127.0.0.1:{proxy.port}")
        station.configure()
        # Somewhere in a request, in the middle of a part, and so on; boto3's own tries do not get through all of it.
        often = [Fault(after_bytes=200_000, how="reset")] * 9
        proxy.script(
            Fault(after_bytes=500, how="reset"),
            Fault(after_bytes=5 * MIB, how="reset"),
            Fault(after_bytes=7 * MIB, how="close"),
            *often,
        )
        bay = station.dock(station.card(RECORDER, files))
        with station.running():
            all_ended_well(station, bay, files)
        for body in station.bodies("replica"):
            if body["store"] != "vault":
                assert 1 <= len(versions(direct, body["key"])) <= 2


# ------------------------------------------------------------------------------------------------------- INV-7


def test_inv_7_of_a_dying_card_every_file_is_sealed_or_said_to_be_unreadable_and_none_erased(
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
    subprocess.run(["mount", "-o", "loop,ro,noload", image, bay], check=True)
    try:
        # From here on the cells behind the second third give nothing any more.
        os.truncate(image, 40 * MIB)
        good = {path: content for path, content in files.items() if _reads(bay / os.fsdecode(path))}
        assert 0 < len(good) < len(files)
        with station.running():
            state = station.until_phase(bay, "kept", "done", "refused")
            assert state["phase"] == "kept"
    finally:
        subprocess.run(["umount", bay], check=True)
    said = {body["detail"]["path"]: body["kind"] for body in station.anomalies("unreadable", "partly-unreadable")}
    assert said.keys() == {escape_path(path) for path in files.keys() - good.keys()}
    sealed = {body["path"]: body for body in station.bodies("segment")}
    in_part = {path for path, kind in said.items() if kind == "partly-unreadable"}
    assert sealed.keys() == {escape_path(path) for path in good} | in_part
    assert {path for path, body in sealed.items() if body["quarantine"]} == in_part
    assert station.result().ended == (("kept", len(files)),)
    assert not station.bodies("clearance", "wipe")
    station.holds(RECORDER, good)
    station.is_whole()


def _reads(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_inv_7_inventory_is_sealed_and_sighted_and_still_on_the_card(station: Station) -> None:
    twice = b"the same again"
    files = {clip_path(1): twice, clip_path(2): b"", b"copy/1.MP4": twice, b"LOG.TXT": b"a note", b"x/y/z": b"deep"}
    card = station.card(RECORDER, files)
    (card / "link").symlink_to("x/y/z")
    with station.running():
        bay = station.dock(card)
        station.until_phase(bay, "done")
    (docking,) = station.bodies("docking")
    result = station.result()
    assert docking["files"] == len(files) == len(result.sealed) + len(result.sighted)
    assert docking["bytes"] == sum(map(len, files.values()))
    assert {path for path, _ in result.sealed | result.sighted} == {escape_path(path) for path in files}
    assert {path for path, _, outcome in result.wiped if outcome == "gone"} == {escape_path(path) for path in files}
    assert [body["detail"]["path"] for body in station.anomalies("not-a-file")] == ["link"]
    station.holds(RECORDER, files)
    station.is_whole()


# ------------------------------------------------------------------------------------------------------- INV-8

HOSTILE_NAMES = (
    b"..%2F..%2F..%2Fetc%2Fpasswd",
    b"..\\..\\..\\windows\\system32",
    b"...",
    b"..a",
    b"new\nline.MP4",
    b"\r\n<6>forged: log line",
    b"\x01\x02\x1b[2J\x7f.MP4",
    b"a" * 255,
    "执".encode() * 85,
    b"not utf-8 \xff\xfe\xe9.MP4",
    b"\xff" * 255,
    "\u202egpj.4PM".encode(),
    b"entry.json",
    b"ENTRY.JSON",
    b"chunks.sha256",
    b"entry.tlog-proof",
    b"-rf",
    b" ",
    b"~",
    b"$(touch owned)`touch owned`;touch owned",
    b"%s%n%n",
    b"{0}[bold]",
    b"CON",
    b".part",
    b"'; DROP TABLE entry; --",
)


def test_inv_8_names_are_never_paths_and_what_is_no_file_is_never_followed(station: Station, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"nothing of the recorder's")
    files = {clip_path(1): b"an ordinary one"} | {b"odd/" + name: b"named " + name for name in HOSTILE_NAMES}
    card = station.card(RECORDER, files)
    links = {"passwd.MP4": "/etc/passwd", "secret.MP4": str(secret), "etc": "/etc", "up": "..", "self": "self"}
    for name, target in links.items():
        (card / name).symlink_to(target)
    (card / "20260105" / "in-between").symlink_to(tmp_path)
    os.mkfifo(card / "pipe.MP4")
    folder = os.open(card, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/socket.MP4")
    os.close(folder)
    if os.geteuid() == 0:
        os.mknod(card / "zero.MP4", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    deep = _deepest(card)
    bay = station.dock(card)
    with station.running():
        station.until_phase(bay, "done")
    assert station.result().ended == (("cleared", 0),)
    station.holds(RECORDER, files)
    assert deep in {path for path, _ in station.result().sealed}
    assert {path for path, _ in station.result().sealed} == {escape_path(path) for path in files} | {deep}
    left = {path.name for path in bay.rglob("*") if not path.is_dir() or path.is_symlink()}
    assert left >= {*links, "pipe.MP4", "socket.MP4", "in-between"}
    assert {body["detail"]["path"].rpartition("/")[2] for body in station.anomalies("not-a-file")} == left
    assert secret.read_bytes() == b"nothing of the recorder's"
    assert not list(tmp_path.rglob("owned"))
    vault = station.vault / "segments"
    assert all(path.resolve() == path and path.is_relative_to(vault) for path in station.originals().values())
    assert not any(b"nothing of the recorder's" in path.read_bytes() for path in station.originals().values())
    assert "\n<6>forged" not in station.log
    station.is_whole()


def _deepest(card: Path) -> str:
    """Put a file below sixty folders with the longest of names, none of them text; gives its path as escaped."""
    name, fd = b"\xfe" * 255, os.open(card, os.O_RDONLY)
    for _ in range(60):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    file = os.open(b"last", os.O_WRONLY | os.O_CREAT, dir_fd=fd)
    os.write(file, b"deep down")
    os.close(file)
    os.close(fd)
    return escape_path(b"/".join([name] * 60 + [b"last"]))


def test_inv_8_a_folder_of_two_thousand_files_ends_in_time(station: Station) -> None:
    files = {b"MANY/%04d.BIN" % n: b"one of a few %d" % (n % 40) for n in range(2000)} | {clip_path(1): b"a clip"}
    bay = station.dock(station.card(RECORDER, files))
    clock = SystemClock()
    with station.running():
        begun = clock.monotonic()
        station.until_phase(bay, "done", seconds=120)
        took = clock.monotonic() - begun
    assert took < 90
    result = station.result()
    assert len(result.sealed) == 41
    assert len(result.wiped) == len(files)
    assert max(len(body["items"]) for body in station.bodies("clearance")) < len(files)
    station.holds(RECORDER, files)
    station.is_whole()


# ------------------------------------------------------------------------------------------------------ INV-10


def test_inv_10_a_power_cut_of_the_whole_site_loses_nothing_and_needs_nobody(
    station: Station, object_store: SeaweedFS
) -> None:
    files = {clip_path(n): os.urandom(9 * MIB) for n in range(1, 9)}
    bay = station.dock(station.card(RECORDER, files))
    for count in (1, 5):
        station.start()
        wait_for(station, "replica", 2 * count)
        try:
            station.kill()
            object_store.kill()
        finally:
            object_store.start()
    with station.running():
        all_ended_well(station, bay, files)
        size = station.size()
        until(lambda: station.status()["ledger"]["published"] == size, "all is published")
    assert the_ledger_is_one(station) == size
    assert len(station.bodies("docking")) == 1
    copies = [body for body in station.bodies("replica") if body["store"] != "vault"]
    assert {body["segment"] for body in copies} == {sg(RECORDER, content) for content in files.values()}
