"""The whole station on real devices: daemon without rights, mounter, cards that come and go, central storage."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from edged.clock import SystemClock
from edged.stores.s3 import S3Settings
from hwsim.kernel import bays
from hwsim.kernel.images import opened
from hwsim.watching import ReadWatch
from tests.crash.station import PATIENCE_SECONDS, Station, clip_path, environment, until
from tests.kernel.machine import DAEMON_USER, PORTS, USB, Mounter, plug, port, python_path, unprivileged_python, user

Card = Callable[..., Path]
CLOCK = SystemClock()
MIB = 1 << 20
PORT_11 = port("bay-11")
PROGRAM = "from edged.cli.main import main; main()"


@dataclass(kw_only=True)
class KernelStation(Station):
    """A station whose daemon is an ordinary user's process, and whose bays are ports."""

    mounter: Mounter

    def make(self) -> None:
        super().make()
        for name in ("gat947", "sidecar", "dcim"):
            profile = self.config / "recorders" / f"{name}.toml"
            profile.write_text(profile.read_text("utf-8").replace("usb = []", f'usb = ["{USB}"]'), "utf-8")
        account = user(DAEMON_USER)
        subprocess.run(["chown", "-R", f"{account.pw_uid}:{account.pw_gid}", str(self.folder)], check=True)

    def run(self, *arguments: str, wrap: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*wrap, sys.executable, "-c", PROGRAM, *arguments, "--config", str(self.config)],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            env=environment(PYTHONPATH=python_path()),
        )

    def start(self, *, wrap: tuple[str, ...] = (), ready: bool = True) -> int:
        assert self.daemon is None
        account = user(DAEMON_USER)
        with (self.folder / "log").open("ab") as log:
            self.daemon = subprocess.Popen(
                [*wrap, *unprivileged_python(), "-c", PROGRAM, "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment(PYTHONPATH=python_path(), PYTHONDONTWRITEBYTECODE="1", HOME=str(self.folder)),
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
                start_new_session=True,
            )
        if ready:
            until(self.answers, "the daemon answers")
        return self.daemon.pid

    def rights(self) -> dict[str, str]:
        """Give what /proc says of the daemon's user and capabilities."""
        assert self.daemon is not None
        lines = Path(f"/proc/{self.daemon.pid}/status").read_text("utf-8").splitlines()
        return dict(line.split(":\t", 1) for line in lines)

    def phase(self, bay: str, *phases: str) -> dict[str, Any]:
        """Wait until a bay is in one of some phases."""
        return self.until_phase(Path(bay), *phases)


class NewStation(Protocol):
    def __call__(self, **tables: dict[str, Any]) -> KernelStation: ...


@pytest.fixture
def new_station(folder: Path, mounter: Mounter, new_bucket: Callable[[], S3Settings]) -> Iterator[NewStation]:
    """Make a station with central storage and the bays of this machine."""
    made: list[KernelStation] = []

    def make(**tables: dict[str, Any]) -> KernelStation:
        place = folder / f"station-{len(made)}"
        place.mkdir()
        ports = {f'"{port}"': bay for port, bay in PORTS.items()}
        bays_table = {"source": "udev", "mounter": mounter.socket, "at_once": 8} | tables.pop("bays", {})
        station = KernelStation(
            folder=place,
            store=new_bucket(),
            mounter=mounter,
            tables={"bays": bays_table, "bays.ports": ports, **tables},
            recorders={f"BC{number:05}": "gat947" for number in range(1, 10)},
        )
        station.make()
        made.append(station)
        return station

    yield make
    for station in made:
        station.clean_up()


def footage(device: str = "BC00001", *, clips: int = 3, size_bytes: int = 2 * MIB) -> dict[str, bytes]:
    """Give the files of a recorder, no two alike."""
    return {clip_path(number, device).decode(): os.urandom(size_bytes) for number in range(1, clips + 1)}


def as_bytes(files: dict[str, bytes]) -> dict[bytes, bytes]:
    return {path.encode(): content for path, content in files.items()}


def left_on(image: Path) -> list[str]:
    """Give the files that a card holds."""
    with opened(image) as root:
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_recorder_is_taken_in_and_emptied_by_a_daemon_without_rights(new_station: NewStation, card: Card) -> None:
    station = new_station()
    cards = [footage(clips=2, size_bytes=24 * MIB) for _ in range(3)]
    images = [card(files, name=f"card-{number}", label="BC00001") for number, files in enumerate(cards)]
    first_bytes = []
    with station.running():
        rights = station.rights()
        assert rights["Uid"].split() == [str(user(DAEMON_USER).pw_uid)] * 4
        assert {rights[key] for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
        for files, image in zip(cards, images, strict=True):
            plugged_at = CLOCK.monotonic()
            docked = plug(image, "bay-11", serial="BC00001")
            mounted = until(lambda: next(iter(station.mounter.mounted()), None), "it is mounted")
            folder = until(lambda mounted=mounted: next(mounted.glob("2*"), None), "it is read")  # type: ignore[misc]
            with ReadWatch(folder) as watch:
                assert watch.wait(lambda name: name.endswith(".MP4"), CLOCK, 5.0)
            first_bytes.append(CLOCK.monotonic() - plugged_at)
            station.phase("bay-11", "done")
            print(  # noqa: T201
                f"from plug to first byte read {first_bytes[-1]:.3f} s, to released, with {len(files)} files of 24 MiB "
                f"sealed, uploaded, verified and erased, {CLOCK.monotonic() - plugged_at:.3f} s"
            )
            assert station.bay("bay-11")["removable"]
            bays.pull(docked.device)
            until(lambda: station.bay("bay-11")["phase"] is None, "the bay is empty")
            until(lambda: not station.mounter.mounted(), "nothing is mounted")
            assert left_on(image) == []
    # The machine that runs this may be busy with other things.
    assert min(first_bytes) < 0.5
    result = station.result()
    assert result.ended == (("cleared", 0),) * 3
    assert {outcome for _, _, outcome in result.wiped} == {"gone"}
    for files in cards:
        station.holds("BC00001", as_bytes(files))
    assert {body["bay"] for body in station.bodies("docking")} == {"bay-11"}
    assert station.anomalies("recorder-refused", "not-writable") == []
    station.is_whole()


def test_eight_recorders_at_once_are_all_taken_in_and_emptied(new_station: NewStation, card: Card) -> None:
    station = new_station()
    names = [f"bay-{hub}{number}" for hub in (1, 2) for number in (1, 2, 3, 4)]
    cards = {}
    for number, name in enumerate(names, 1):
        files = footage(f"BC{number:05}", clips=2, size_bytes=MIB)
        cards[name] = (f"BC{number:05}", files, card(files, name=name))
    with station.running():
        for name, (recorder, _, image) in cards.items():
            plug(image, name, serial=recorder)
        for name in names:
            station.phase(name, "done")
        assert set(station.rights()["CapEff"]) == {"0"}
        for each in bays.docked():
            bays.pull(each.device)
        for name in names:
            until(lambda name=name: station.bay(name)["phase"] is None, "the bay is empty")  # type: ignore[misc]
    assert station.result().ended == (("cleared", 0),) * 8
    for recorder, files, image in cards.values():
        for path, content in files.items():
            assert (path, hashlib.sha256(content).hexdigest()) in {
                (body["path"], body["sha256"]) for body in station.bodies("segment") if body["recorder"] == recorder
            }
        assert left_on(image) == []
    station.is_whole()


def test_three_yanks_under_load_lose_nothing_and_the_fourth_docking_ends(new_station: NewStation, card: Card) -> None:
    station = new_station()
    files = footage(clips=6, size_bytes=32 * MIB)
    image = card(files)
    with station.running():
        for nth in range(1, 4):
            docked = plug(image, "bay-11", serial="BC00001")

            def well_under_way(nth: int = nth) -> bool:
                state = station.bay("bay-11")
                done = sum(body["bytes"] for body in station.bodies("segment"))
                return state["phase"] == "copying" and state["bytes_done"] > done + nth * MIB

            until(
                well_under_way, "it is being read", otherwise=lambda: f"{station.bay('bay-11')} {station.log[-2000:]}"
            )
            bays.pull(docked.device)
            until(lambda: station.bay("bay-11")["phase"] is None, "the bay is empty")
            until(lambda: not station.mounter.mounted(), "nothing is mounted")
        plug(image, "bay-11", serial="BC00001")
        station.phase("bay-11", "done")
    assert [outcome for outcome, _ in station.result().ended] == ["interrupted"] * 3 + ["cleared"]
    station.holds("BC00001", as_bytes(files))
    assert station.anomalies("unreadable", "gone-after-inventory", "not-listed") == []
    station.is_whole()


def test_recorder_yanked_in_the_middle_of_its_wipe_is_read_again_and_kept(new_station: NewStation, card: Card) -> None:
    station = new_station()
    files = footage(clips=40, size_bytes=MIB)
    image = card(files)
    with station.running():
        docked = plug(image, "bay-11", serial="BC00001")
        until(lambda: station.bodies("wipe"), "it is being erased")
        bays.pull(docked.device)
        until(lambda: station.bay("bay-11")["phase"] is None, "the bay is empty")
        until(lambda: not station.mounter.mounted(), "nothing is mounted")
        plug(image, "bay-11", serial="BC00001")
        state = station.phase("bay-11", "done", "kept")
    # What a card says whose file system was being written to decides; nothing is lost either way.
    station.holds("BC00001", as_bytes(files))
    if state["phase"] == "kept":
        assert "not closed in order" in state["text"]
        assert [body["detail"]["why"] for body in station.anomalies("not-writable")]
        assert set(left_on(image)) <= set(files)
    station.is_whole()


def test_card_that_was_not_closed_in_order_is_taken_in_and_kept_with_the_reason(
    new_station: NewStation, card: Card
) -> None:
    station = new_station()
    files = footage(clips=2, size_bytes=MIB)
    image = card(files)
    with image.open("r+b") as file:
        file.seek(106)
        file.write(b"\x02")
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    with station.running():
        docked = plug(image, "bay-11", serial="BC00001")
        state = station.phase("bay-11", "kept")
        assert "not closed in order" in state["text"]
        assert state["removable"]
        assert bays.yank(docked.device)
    assert station.result().ended == (("kept", 2),)
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before
    assert len(station.anomalies("not-writable")) == 1
    station.holds("BC00001", as_bytes(files))
    station.is_whole()


def test_unregistered_stick_is_reported_once_and_blocks_no_bay(new_station: NewStation, card: Card) -> None:
    station = new_station()
    stick = card({"holiday.jpg": b"jpg"}, name="stick")
    files = footage(clips=2, size_bytes=MIB)
    with station.running():
        for _ in range(2):
            plugged = plug(stick, "bay-11", usb="0781:5567", serial="4C530001")
            assert "belongs to no recorder profile" in station.phase("bay-11", "refused")["text"]
            assert station.mounter.mounted() == []
            assert bays.yank(plugged.device)
            until(lambda: station.bay("bay-11")["phase"] is None, "the bay is empty")
        plug(card(files), "bay-11", serial="BC00001")
        station.phase("bay-11", "done")
    [anomaly] = station.anomalies("recorder-refused")
    assert (anomaly["detail"]["bay"], anomaly["detail"]["usb"]) == ("bay-11", "0781:5567")
    assert station.result().ended == (("cleared", 0),)
    station.is_whole()


def test_camera_without_a_number_of_its_own_is_known_by_its_volume_or_usb_number(
    new_station: NewStation, card: Card
) -> None:
    station = new_station()
    station.recorders = {"CAM-07": "dcim", "USB-0001": "dcim"}
    station.configure()
    files = {"DCIM/100MEDIA/VID_20260105_080000_0001.MP4": os.urandom(MIB)}
    with station.running():
        plug(card(files, name="a", label="CAM-07"), "bay-11", serial="123456789ABCDEF")
        plug(card(files, name="b", label="NO NAME"), "bay-12", serial="USB-0001")
        station.phase("bay-11", "done")
        station.phase("bay-12", "done")
    assert sorted(body["recorder"]["id"] for body in station.bodies("docking")) == ["CAM-07", "USB-0001"]


@pytest.mark.parametrize("who", ["daemon", "mounter"])
def test_killed_in_the_middle_it_goes_on_by_itself(new_station: NewStation, card: Card, who: str) -> None:
    station = new_station()
    files = footage(clips=6, size_bytes=16 * MIB)
    image = card(files)
    station.start()
    try:
        plug(image, "bay-11", serial="BC00001")
        until(lambda: station.bay("bay-11").get("bytes_done", 0) > 20 * MIB, "it is being read")
        if who == "daemon":
            station.kill()
            until(lambda: not station.mounter.mounted(), "nothing is mounted for a daemon that is not there")
            station.start()
        else:
            station.mounter.kill()
            station.mounter.start()
        station.phase("bay-11", "done")
        station.stop()
    finally:
        station.clean_up()
    station.holds("BC00001", as_bytes(files))
    assert station.result().ended[-1] == ("cleared", 0)
    assert left_on(image) == [] if not bays.docked() else True
    station.is_whole()


def test_bays_command_shows_what_is_plugged_in_and_where(new_station: NewStation, card: Card) -> None:
    station = new_station()
    plug(card({"a": b"a"}), "bay-11", serial="BC00001")
    plug(card({"b": b"b"}, name="stick"), "bay-12", usb="0781:5567", serial="S")
    found = until(
        lambda: said if len(said := json.loads(station.run("bays", "--json").stdout)) == 2 else None, "both are shown"
    )
    assert [(each["port"], each["usb"], each["serial"], each["bay"]) for each in found] == [
        (PORT_11, USB, "BC00001", "bay-11"),
        (port("bay-12"), "0781:5567", "S", ""),
    ]
    shown = station.run("bays").stdout
    assert re.search(rf"{re.escape(PORT_11)} +{USB} +BC00001 +/dev/loop\d+ +bay-11\n", shown)
    assert re.search(r"/dev/loop\d+: USB storage 0781:5567 .* belongs to no recorder profile", shown)


def vendor_command(station: KernelStation, name: str, lines: str) -> Path:
    """Write a program of the vendor's into the profile gat947's reach."""
    program = station.folder / name
    program.write_text(f"#!/bin/sh\n{lines}\n", "utf-8")
    program.chmod(0o755)
    return program


def test_recorder_is_unlocked_before_it_is_mounted_and_its_clock_set_before_it_is_read(
    new_station: NewStation, card: Card
) -> None:
    station = new_station()
    record = station.folder / "record"
    record.touch()
    account = user(DAEMON_USER)
    os.chown(record, account.pw_uid, account.pw_gid)
    said = f'echo "$0 $EDGED_BAY $EDGED_USB $EDGED_SERIAL $EDGED_FOLDER" >> {record}; id -u >> {record}'
    unlock, clock = vendor_command(station, "unlock", said), vendor_command(station, "set-clock", said)
    profile = station.config / "recorders" / "gat947.toml"
    profile.write_text(
        f'{profile.read_text("utf-8")}\n[unlock]\nusb = ["04c5:10cc"]\ncommand = ["{unlock}"]\n'
        f'[clock]\ncommand = ["{clock}", "now"]\nseconds = 5\n',
        "utf-8",
    )
    files = footage(clips=1, size_bytes=MIB)
    with station.running():
        locked = plug(card({"autorun.inf": b"a driver disk"}, name="locked"), "bay-11", usb="04c5:10cc")
        until(lambda: record.read_text("utf-8").count("\n") == 2, "it is unlocked")
        assert station.mounter.mounted() == []
        bays.yank(locked.device)
        plug(card(files), "bay-11", serial="BC00001")
        station.phase("bay-11", "done")
    lines = record.read_text("utf-8").splitlines()
    assert lines[0].split(" ")[:4] == [str(unlock), "bay-11", "04c5:10cc", "SC20451"]
    assert lines[2].startswith(f"{clock} bay-11 {USB} BC00001 /")
    assert {lines[1], lines[3]} == {str(account.pw_uid)}
    [docking] = station.bodies("docking")
    assert docking["clock_set"]
    assert [(ran["purpose"], ran["outcome"], ran["code"]) for ran in docking["commands"]] == [
        ("unlock", "done", 0),
        ("clock", "done", 0),
    ]
    assert docking["device"] == {"usb": USB, "serial": "BC00001", "port": f"{PORT_11}"}
    assert station.anomalies() == []
    station.is_whole()


def test_vendor_command_that_hangs_or_fails_is_ended_written_down_and_keeps_no_footage(
    new_station: NewStation, card: Card
) -> None:
    station = new_station()
    unlock = vendor_command(station, "unlock", "exit 3")
    clock = vendor_command(station, "set-clock", "trap '' TERM; sleep 1000")
    profile = station.config / "recorders" / "gat947.toml"
    profile.write_text(
        f'{profile.read_text("utf-8")}\n[unlock]\nusb = ["04c5:10cc"]\ncommand = ["{unlock}"]\n'
        f'[clock]\ncommand = ["{clock}"]\nseconds = 1\n',
        "utf-8",
    )
    with station.running():
        locked = plug(card({"a": b"a"}, name="locked"), "bay-11", usb="04c5:10cc")
        assert "cannot be unlocked: unlock failed" in station.phase("bay-11", "refused")["text"]
        bays.yank(locked.device)
        plug(card(footage(clips=1, size_bytes=MIB)), "bay-11", serial="BC00001")
        station.phase("bay-11", "done")
    [docking] = station.bodies("docking")
    assert not docking["clock_set"]
    assert [(ran["purpose"], ran["outcome"], ran["code"]) for ran in docking["commands"]] == [
        ("unlock", "failed", 3),
        ("clock", "timeout", None),
    ]
    kinds = [body["kind"] for body in station.anomalies()]
    assert sorted(kinds) == ["clock-command-failed", "recorder-refused", "unlock-command-failed"]
    assert station.result().ended == (("cleared", 0),)
