"""The unmodified daemon goes on without its broker, and with a folder as central storage."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.stores.directory import DirectorySettings
from edged.stores.s3 import S3Settings
from hwsim.broker import Mosquitto
from tests.crash.conftest import MakeStation
from tests.crash.station import Station, clip_path, until
from tests.unit.supervision_station import Listener, kept, needs_broker, pause

RECORDER = "BC00001"
STATE, EVENTS = "edged/st-01/state", "edged/st-01/events"

pytestmark = needs_broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


def reporting(broker: Mosquitto) -> dict[str, Any]:
    return {"host": broker.host, "port": broker.port, "tls": False}


def day(count: int) -> dict[bytes, bytes]:
    return {clip_path(n): bytes([n]) * 300_000 for n in range(1, count + 1)}


def told(listener: Listener) -> list[bytes]:
    return [heard.payload for heard in listener.on(EVENTS)]


def ledger(station: Station) -> list[dict[str, Any]]:
    return station.entries()


def test_a_broker_that_is_away_and_a_daemon_that_is_killed_leave_no_gap(
    make_station: MakeStation, new_bucket: Callable[[], S3Settings], broker: Mosquitto
) -> None:
    station = make_station(store=new_bucket(), supervision=reporting(broker))
    with Listener(broker) as listener:
        station.start()
        until(lambda: len(told(listener)) == station.size(), "the first entries were told")
        pause(0.5)
        broker.stop()
        bay = station.dock(station.card(RECORDER, day(4)))
        station.until_phase(bay, "done")
        until(lambda: station.alarm("supervision", "cannot be reached"), "the broker is missed")
        station.kill()
        station.pull(bay)
        broker.start()
        with station.running():
            until(lambda: len(set(told(listener))) == station.size(), "every entry was told")
            assert kept(broker)[STATE]
        once = list(dict.fromkeys(told(listener)))
        assert [json.loads(payload) for payload in once] == ledger(station)


def test_a_station_without_its_broker_does_everything_else(
    make_station: MakeStation, new_bucket: Callable[[], S3Settings]
) -> None:
    station = make_station(store=new_bucket(), supervision={"host": "127.0.0.1", "port": 9, "tls": False})
    with station.running():
        bay = station.dock(station.card(RECORDER, day(2)))
        station.until_phase(bay, "done")
    assert station.result().ended == (("cleared", 0),)


def test_a_recorder_is_cleared_by_copies_in_a_folder(
    make_station: MakeStation, new_share: Callable[[], DirectorySettings]
) -> None:
    share = new_share()
    station = make_station()
    station.configure(store={"kind": "directory", "id": str(share.id), "folder": share.folder})
    assert station.run("store", "check").returncode == 0
    files = day(3)
    with station.running():
        bay = station.dock(station.card(RECORDER, files))
        station.until_phase(bay, "done")
    assert station.result().ended == (("cleared", 0),)
    copies = [body for body in station.bodies("replica") if body["store"] == share.id]
    assert {(body["verified"], body["lock_mode"], body["version"]) for body in copies} == {("read-back", None, "1")}
    assert all(body["locked_until"] for body in copies)
    held = {path.read_bytes() for path in share.folder.glob("segments/**/*.MP4")}
    assert held == set(files.values())
    (checkpoint,) = share.folder.glob("ledger/**/checkpoint")
    assert checkpoint.read_text("utf-8").splitlines()[1] == str(station.size())


def test_a_nas_that_is_away_is_waited_for_and_never_written_beside(
    make_station: MakeStation, new_share: Callable[[], DirectorySettings]
) -> None:
    share = new_share()
    station = make_station()
    station.configure(store={"kind": "directory", "id": str(share.id), "folder": share.folder})
    away = share.folder.rename(share.folder.with_name(f"{share.folder.name}-gone"))
    share.folder.mkdir()
    with station.running():
        bay = station.dock(station.card(RECORDER, day(2)))
        until(lambda: station.alarm("upload", "nothing is mounted there"), "the store is missed")
        station.until_phase(bay, "securing", "safe")
        assert not list(share.folder.iterdir())
        share.folder.rmdir()
        away.rename(share.folder)
        station.until_phase(bay, "done", seconds=120)
    assert station.result().ended == (("cleared", 0),)
