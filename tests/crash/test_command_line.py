"""Bad input at the command line gets one clear sentence and an exit code, loses nothing, and leaves nothing running."""

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from edged.stores.s3 import S3Settings
from tests.crash.conftest import MakeStation
from tests.crash.inside import inside, tools_without
from tests.crash.station import Station, clip_path, read_card, until

RECORDER = "BC00001"
FILES = {clip_path(n): f"recording {n}".encode() for n in range(1, 4)}


def tree(folder: Path) -> dict[str, str]:
    """Give path and digest of every file below a folder, but for what SQLite and flock keep beside while they look."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    contents = {str(path): path.read_bytes() for path in files if not path.name.endswith("-shm")}
    return {
        path: hashlib.sha256(content).hexdigest()
        for path, content in contents.items()
        if content or not path.endswith("-wal")
    }


def refuses(station: Station, code: int, *parts: str) -> None:
    """Fail unless `edged run` ends with this code and one sentence that has these parts, having changed nothing."""
    before = tree(station.folder)
    done = station.run("run")
    assert done.returncode == code, done.stderr
    # What is no such sentence is a line of the log.
    said = [line for line in done.stderr.splitlines() if " WARNING " not in line]
    sentence, *hints = said
    assert sentence.startswith("edged: "), done.stderr
    assert len(hints) <= 1, done.stderr
    assert all(hint.startswith("       ") for hint in hints), done.stderr
    for part in parts:
        assert part in sentence, sentence
    assert tree(station.folder) == before


# -------------------------------------------------------------------------------------- wrong configuration


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """One mistake in one file of the configuration."""

    file: str
    old: str
    new: str
    says: tuple[str, ...]


MISTAKES = {
    "not TOML": Wrong(file="station.toml", old="[paths]", new="[paths", says=("not TOML", "line")),
    "unknown key": Wrong(
        file="station.toml", old="reserve_mib", new="reserve_mb", says=("paths.reserve_mb is not a key",)
    ),
    "missing key": Wrong(file="station.toml", old='zone = "Asia/Shanghai"', new="", says=("station.zone is missing",)),
    "number out of bounds": Wrong(
        file="station.toml", old='wipe = "', new='at_once = 99\nwipe = "', says=("bays.at_once is 99", "32")
    ),
    "word that is not allowed": Wrong(
        file="station.toml",
        old='wipe = "after-clearance"',
        new='wipe = "always"',
        says=("bays.wipe is 'always'", '"after-clearance", "after N days" (1 to 365), or "never"'),
    ),
    "text for a number": Wrong(
        file="station.toml", old="reserve_mib = 16", new='reserve_mib = "16"', says=("paths.reserve_mib is '16'",)
    ),
    "relative folder": Wrong(
        file="station.toml", old='state = "/', new='state = "', says=("paths.state is ", "an absolute path")
    ),
    "no such zone": Wrong(
        file="station.toml", old="Asia/Shanghai", new="Mars/Olympus", says=("station.zone is 'Mars/Olympus'", "IANA")
    ),
    "register with an unknown profile": Wrong(
        file="register.toml", old='profile = "dcim"', new='profile = "gopro"', says=(".profile is 'gopro'", "gat947")
    ),
    "register with a number twice": Wrong(
        file="register.toml", old='serial = "BC00002"', new='serial = "BC00001"', says=("BC00001", "once")
    ),
    "rule that is not there": Wrong(
        file="retention.toml", old='id = "police-ordinary"', new='id = "police-odd"', says=("police-ordinary",)
    ),
    "term that is none": Wrong(file="retention.toml", old='term = "P6M"', new='term = "6 months"', says=("6 months",)),
    "profile with a broken pattern": Wrong(
        file="recorders/dcim.toml", old="pattern = 'DCIM/", new="pattern = '(DCIM/", says=("pattern",)
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_configuration_is_refused_with_file_key_and_what_is_allowed(
    make_station: MakeStation, mistake: str
) -> None:
    station, wrong = make_station(), MISTAKES[mistake]
    path = station.config / wrong.file
    text = path.read_text("utf-8")
    assert wrong.old in text
    path.write_text(text.replace(wrong.old, wrong.new, 1), "utf-8")
    refuses(station, 78, path.name, *wrong.says)


def test_an_unreadable_configuration_is_refused_with_its_file(make_station: MakeStation) -> None:
    station = make_station()
    path = station.config / "station.toml"
    text = path.read_bytes()
    path.write_bytes(text + b"# \xff\n")
    refuses(station, 78, str(path), "not UTF-8")
    path.unlink()
    refuses(station, 78, str(path), "does not exist")
    path.mkdir()
    refuses(station, 78, str(path), "cannot be read")
    path.rmdir()
    path.write_bytes(text)
    (station.config / "matters.toml").unlink()
    refuses(station, 78, "matters.toml", "does not exist")


def test_a_wrong_credentials_file_is_refused(make_station: MakeStation, new_bucket: Callable[[], S3Settings]) -> None:
    station = make_station(store=new_bucket())
    path = station.folder / "s3.toml"
    path.write_text('access_key = "a"\n')
    refuses(station, 78, str(path), "secret_key is missing")
    path.unlink()
    refuses(station, 78, str(path), "does not exist")


def test_folders_and_keys_that_are_not_as_they_must_be_are_refused(make_station: MakeStation) -> None:
    station = make_station()
    station.bays.rename(station.folder / "elsewhere")
    refuses(station, 78, str(station.bays), "which is no folder")
    (station.folder / "elsewhere").rename(station.bays)
    key = station.state / "keys" / "epoch.key"
    key.chmod(0o644)
    refuses(station, 77, str(key), "can be read by others")
    key.chmod(0o600)
    key.rename(station.folder / "taken")
    refuses(station, 78, str(key), "cannot be loaded")
    (station.folder / "taken").rename(key)
    kept = station.folder / "kept"
    station.state.rename(kept)
    done = station.run("run")
    assert (done.returncode, station.state.exists()) == (78, False)
    assert "cannot be used" in done.stderr
    kept.rename(station.state)
    with station.running():
        assert station.status()["station"] == "st-01"


def test_a_state_folder_too_deep_for_a_socket_is_refused(make_station: MakeStation) -> None:
    station = make_station()
    deep = station.folder / ("d" * 100)
    station.state.rename(deep)
    station.configure(paths={"state": str(deep)})
    done = station.run("run")
    assert done.returncode == 74
    assert "longer than a UNIX socket allows" in done.stderr
    assert "Traceback" not in done.stderr


# -------------------------------------------------------------------------------------- the state folder


def test_a_second_daemon_on_one_state_folder_is_refused_and_the_first_goes_on(make_station: MakeStation) -> None:
    station = make_station()
    with station.running() as pid:
        second = station.run("run")
        assert second.returncode == 75
        assert second.stderr.startswith("edged: Another edged is running on ")
        assert station.status()["station"] == "st-01"
        assert station.daemon is not None
        assert station.daemon.pid == pid
        station.until_phase(station.dock(station.card(RECORDER, FILES)), "kept")
    station.holds(RECORDER, FILES)
    # A daemon that was killed leaves no lock behind.
    station.start()
    station.kill()
    with station.running():
        assert station.status()["totals"]["segments"] == len(FILES)


def test_a_state_folder_of_a_newer_version_is_refused_untouched(make_station: MakeStation) -> None:
    station = make_station()
    with closing(sqlite3.connect(station.state / "book.sqlite")) as book:
        book.execute("PRAGMA user_version = 99")
    refuses(station, 76, "book.sqlite", "newer edged", "99")
    before = tree(station.state)
    done = station.run("check")
    assert done.returncode == 76
    assert tree(station.state) == before


def test_what_is_no_book_is_not_written_over(make_station: MakeStation) -> None:
    station = make_station()
    path = station.state / "book.sqlite"
    path.write_bytes(b"this is somebody's thesis, and no database at all\n" * 200)
    before = path.read_bytes()
    done = station.run("run")
    assert done.returncode in {66, 70, 74}
    assert done.stderr.startswith("edged: ")
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before


def test_a_station_that_is_there_is_not_made_again(make_station: MakeStation) -> None:
    station = make_station()
    before = tree(station.state) | tree(station.config)
    ids = ("--station", "st-02", "--domain", "example.org", "--state", str(station.state))
    done = station.run("init", *ids, "--root-key", str(station.folder / "other.key"))
    assert done.returncode == 64
    assert "is not empty" in done.stderr
    assert tree(station.state) | tree(station.config) == before
    assert not (station.folder / "other.key").exists()


def test_commands_without_a_daemon_say_so(make_station: MakeStation) -> None:
    station = make_station()
    done = station.run("status")
    assert done.returncode == 69
    assert "No daemon answers" in done.stderr
    station.start()
    station.kill()
    assert station.run("status").returncode == 69


# ------------------------------------------------------------------------------- tools and storage missing


@pytest.mark.parametrize("missing", [("ffmpeg", "ffprobe"), ("bwrap",), ("prlimit",)], ids="-".join)
def test_without_a_tool_footage_is_taken_in_unexamined_and_an_alarm_says_so(
    station: Station, missing: tuple[str, ...], tmp_path: Path
) -> None:
    station.configure(media={"derivatives": ["poster", "proxy"]})
    # Plain text is told without a tool.
    files = {path: b"\xff" + content for path, content in FILES.items()}
    bay = station.dock(station.card(RECORDER, files))
    with inside(station, search=tools_without(tmp_path / "tools", missing)):
        alarm = until(lambda: station.alarm("media"), "the alarm about the tools")
        assert missing[-1] in alarm["text"]
        assert "not installed" in alarm["text"]
        station.until_phase(bay, "done")
    assert all(body["media"]["unreadable"].startswith("not examined") for body in station.bodies("segment"))
    assert not station.bodies("derivative")
    assert not read_card(bay)
    station.holds(RECORDER, files)
    station.is_whole()


@pytest.mark.parametrize("hidden", ["ffprobe", "bwrap"])
def test_the_daemon_starts_and_takes_in_where_a_tool_is_not_installed(station: Station, hidden: str) -> None:
    found = shutil.which(hidden, path="/usr/local/bin:/usr/bin:/bin")
    assert found is not None
    # A file system of its own view, in which the tool is something that cannot be run.
    wrap = ("unshare", "--mount", "sh", "-c", f'mount --bind /dev/null {found} && exec "$@"', "sh")
    if subprocess.run([*wrap, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    bay = station.dock(station.card(RECORDER, FILES))
    station.start(wrap=wrap)
    assert hidden in until(lambda: station.alarm("media"), "the alarm about the tools")["text"]
    station.until_phase(bay, "done")
    station.stop()
    station.holds(RECORDER, FILES)


def test_without_a_store_footage_is_taken_in_nothing_is_erased_and_a_later_store_gets_all(
    make_station: MakeStation, new_bucket: Callable[[], S3Settings]
) -> None:
    station = make_station()
    card = station.card(RECORDER, FILES)
    with station.running():
        alarm = until(lambda: station.alarm("store"), "the alarm about the store")
        assert "No central storage is configured" in alarm["text"]
        bay = station.dock(card)
        state = station.until_phase(bay, "kept")
        assert "3" in state["text"]
        station.pull(bay)
    assert read_card(card) == FILES
    assert not station.bodies("clearance")
    station.store = new_bucket()
    station.configure()
    with station.running():
        until(lambda: len(station.bodies("replica")) == 2 * len(FILES), "all is uploaded")
        station.until_phase(station.dock(card), "done")
    assert len(station.bodies("segment")) == len(station.bodies("sighting")) == len(FILES)
    assert not read_card(station.bays / RECORDER)
    station.holds(RECORDER, FILES)
    station.is_whole()


# --------------------------------------------------------------------------------------------- being told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_daemon_ends_at_once_when_told_and_leaves_no_socket_behind(
    station: Station, number: signal.Signals
) -> None:
    bay = station.dock(station.card(RECORDER, {clip_path(n): os.urandom(4 << 20) for n in range(1, 9)}))
    station.start()
    until(lambda: station.bodies("segment"), "intake is under way")
    assert station.daemon is not None
    station.daemon.send_signal(number)
    assert station.daemon.wait(20) == 0
    station.daemon = None
    assert "Traceback" not in station.log
    assert not (station.state / "control.sock").exists()
    with station.running():
        station.until_phase(bay, "done")
    assert station.result().ended == (("cleared", 0),)
