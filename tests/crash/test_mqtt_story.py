"""What a person sees who types `mosquitto_sub -t 'edged/#' -v`: the story of a docking, without a gap.

With all that a broker can ask for: TLS, the station's certificate, user and password, and an access list that gives the
station its own topics and nothing else.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edged.clock import SystemClock, from_rfc3339
from edged.stores.s3 import S3Settings
from hwsim.broker import BrokerTls, Mosquitto
from hwsim.demo import telling
from hwsim.observer import Message, Observer
from tests.crash.conftest import MakeStation
from tests.crash.station import Station, clip_path, until
from tests.unit.parties import issue
from tests.unit.supervision_station import Heard, check, needs_broker

pytestmark = needs_broker

RECORDER = "BC00001"
STATE, BAY, EVENTS = "edged/st-01/state", f"edged/st-01/bays/{RECORDER}", "edged/st-01/events"
ACCESS = ("user st-01", "topic readwrite edged/st-01/#", "user platform", "topic read edged/#")


@dataclass(frozen=True)
class Supervised:
    """A station, the broker it reports to, and somebody who listens there."""

    station: Station
    broker: Mosquitto
    observer: Observer

    def wait_for(self, what: Callable[[list[Message]], bool], seconds: float = 60) -> list[Message]:
        heard = self.observer.wait_for(lambda heard: what(list(heard)), SystemClock(), seconds)
        assert heard is not None, f"the last heard: {self.observer.messages()[-3:]}"
        return heard

    def ledger(self) -> list[bytes]:
        said = self.station.run("ledger", "show", "--json")
        assert said.returncode == 0, said.stderr
        return said.stdout.encode().rstrip(b"\n").split(b"\n")


@pytest.fixture
def supervised(tmp_path: Path, make_station: MakeStation, new_bucket: Callable[[], S3Settings]) -> Iterator[Supervised]:
    agency = issue("Agency", None)
    authority, _ = agency.save(tmp_path, "ca")
    certificate, key = issue("broker", agency).save(tmp_path, "broker")
    mine, my_key = issue("st-01", agency).save(tmp_path, "station")
    its, its_key = issue("platform", agency).save(tmp_path, "platform")
    credentials = tmp_path / "mqtt.toml"
    credentials.write_text('user = "st-01"\npassword = "right"\n')
    tls = BrokerTls(ca_file=authority, certificate=certificate, key=key)
    users = {"st-01": "right", "platform": "other"}
    options = ("--cafile", str(authority), "--cert", str(its), "--key", str(its_key), "-u", "platform", "-P", "other")
    with (
        Mosquitto(tmp_path / "broker", users=users, access=ACCESS, tls=tls) as broker,
        Observer(broker, tmp_path / "mqtt.log", options=options) as observer,
    ):
        supervision = {"host": broker.host, "port": broker.port, "ca_file": authority, "certificate": mine}
        supervision |= {"key": my_key, "credentials": credentials}
        # A docking that waits for its proofs a while, so that there is something to see of it.
        station = make_station(store=new_bucket(), supervision=supervision, ledger={"publish_seconds": 1.5})
        yield Supervised(station, broker, observer)


def day(count: int) -> dict[bytes, bytes]:
    return {clip_path(n): bytes([n]) * 300_000 for n in range(1, count + 1)}


def plain(heard: list[Message], topic: str) -> list[dict[str, Any]]:
    return [json.loads(each.payload or b"{}") for each in heard if each.topic == topic]


def in_order(wanted: list[str], seen: list[str]) -> bool:
    """Say whether what is wanted was seen in this order, whatever came between."""
    rest = iter(seen)
    return all(each in rest for each in wanted)


def test_the_story_of_a_docking(supervised: Supervised) -> None:
    station = supervised.station
    with station.running():
        supervised.wait_for(lambda heard: any(each.topic == EVENTS for each in heard))
        bay = station.dock(station.card(RECORDER, day(3)))
        station.until_phase(bay, "done")
        supervised.wait_for(lambda heard: telling.removable(heard) == {RECORDER})
        station.pull(bay)
        supervised.wait_for(lambda heard: heard[-1] == Message(topic=BAY, payload=None) or not plain(heard, BAY)[-1])
        size = station.size()
        supervised.wait_for(lambda heard: len(telling.events(heard)) == size)
    heard = supervised.wait_for(telling.is_over)
    assert telling.check_told(heard, supervised.ledger()).repeated == 0
    telling.check_nothing_left(heard)
    for each in heard:
        check(Heard(topic=each.topic, retained=False, payload=each.payload or b""))

    # The recorder in its bay, from when it was docked until it could be taken out and was.
    bays = plain(heard, BAY)
    assert bays[-1] == {}
    assert not bays[0]["removable"]
    assert (bays[-2]["phase"], bays[-2]["removable"], bays[-2]["wiped"]) == ("done", True, 3)
    for each in bays[:-1]:
        paced = each["phase"] in {"copying", "securing", "wiping"}
        assert paced or (each["bytes_per_second"], each["seconds_left"]) == (0, None)
    times = [from_rfc3339(each["time"]).timestamp() for each in bays[:-1]]
    assert all(after - before > 0.9 for before, after in itertools.pairwise(times)), "once a second at most"
    assert [each["bays"] for each in plain(heard, STATE)[:-1]][-3:] in ([[RECORDER], []], [[], [RECORDER], []])

    # What became of its files, as signed.
    told = plain(heard, EVENTS)
    types = [each["type"] for each in told]
    assert in_order(["genesis", "docking", "segment", "replica", "clearance", "wipe", "undocking"], types)
    assert (types.count("segment"), types.count("wipe")) == (3, 3)
    assert types.count("replica") == 6, "each in the vault and in central storage"
    lines = telling.story(heard, RECORDER)
    assert in_order(["docking", "clearance", "undocking"], [each for line in lines for each in line.split('"')])
    assert lines[-1] == f"{BAY} (null)"


def test_a_broker_that_is_stopped_for_a_while(supervised: Supervised) -> None:
    """In the middle of a docking, over another one, and over a restart of the station."""
    station, broker = supervised.station, supervised.broker
    with station.running():
        first = station.dock(station.card(RECORDER, day(4)))
        supervised.wait_for(lambda heard: any(each["type"] == "segment" for each in plain(heard, EVENTS)))
        broker.stop()
        begun = len(telling.events(supervised.observer.messages()))
        station.until_phase(first, "done")
        station.pull(first)
        second = station.dock(station.card("BC00002", day(2)))
        station.until_phase(second, "done")
        until(lambda: station.alarm("supervision", "cannot be reached"), "the broker is missed")
        assert len(telling.events(supervised.observer.messages())) == begun < station.size()
    with station.running():
        broker.start()
        size = station.size()
        supervised.wait_for(lambda heard: len(set(telling.events(heard))) >= size)
        until(lambda: not station.status()["alarms"], "the broker is not missed any more")
        station.pull(second)
        until(lambda: not station.status()["bays"], "the bays are free")
        supervised.wait_for(lambda heard: plain(heard, STATE)[-1]["bays"] == [])
    heard = supervised.wait_for(telling.is_over)
    told = telling.check_told(heard, supervised.ledger())
    assert told.events == station.size()
    assert told.repeated <= 2, "what was on its way when the broker was stopped"
    telling.check_nothing_left(heard)
