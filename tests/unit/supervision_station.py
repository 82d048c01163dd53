"""A station without recorders that reports to a real broker, and somebody who listens there."""

import json
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Self

import fastjsonschema
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edged.book import Book
from edged.book.outbox import Outbox
from edged.clock import SystemClock
from edged.station.live import Live
from edged.station.worker import Pulse, Worker
from edged.supervision.port import AlarmReport, BayReport, StateReport
from edged.supervision.settings import BrokerSettings
from edged.supervision.supervisor import Supervisor
from hwsim.broker import Mosquitto, is_installed, tool
from tests.unit.book_station import ORIGIN, STATION, odd

needs_broker = pytest.mark.skipif(not is_installed(), reason="mosquitto and its clients are not installed")

STATE = f"edged/{STATION}/state"
EVENTS = f"edged/{STATION}/events"
SINCE = "2026-11-21T08:00:00.000Z"
_LONG_SECONDS = 15.0


def bay_topic(bay: str) -> str:
    return f"edged/{STATION}/bays/{bay}"


class CountingOutbox(Outbox):
    """The outbox of a book, and how often a place in it was noted."""

    moves = 0

    def move(self, broker: str, position: int) -> None:
        self.moves += 1
        super().move(broker, position)


class LiveView:
    """What a station's live state looks like from outside."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def state(self) -> StateReport:
        alarms = tuple(AlarmReport(source=each.source, since=each.since) for each in self._live.alarms())
        bays = tuple(each.bay for each in self._live.bays())
        return StateReport(version="0.1.0", origin=ORIGIN, since=SINCE, accepting=True, bays=bays, alarms=alarms)

    def bays(self) -> list[BayReport]:
        return [report(each.plain()) for each in self._live.bays()]


def report(plain: Mapping[str, Any]) -> BayReport:
    return BayReport(**{key: plain[key] for key in BayReport.__dataclass_fields__})


@dataclass
class Station:
    """What of a station supervision has to do with; a context manager that runs its worker."""

    book: Book
    settings: BrokerSettings
    live: Live = field(default_factory=lambda: Live(SystemClock()))

    def __post_init__(self) -> None:
        self.pulse = Pulse()
        self.stop = threading.Event()
        self.outbox = CountingOutbox(self.book.database)
        self.supervisor = self.new_supervisor()
        self._worker = Worker(self.supervisor, live=self.live, pulse=self.pulse, stop=self.stop)
        self.book.database.on_news(self.pulse.beat)

    def new_supervisor(self) -> Supervisor:
        return Supervisor(
            self.settings,
            station=STATION,
            view=LiveView(self.live),
            outbox=self.outbox,
            clock=SystemClock(),
            wake=self.pulse.subscribe(),
        )

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.halt()
        self.supervisor.close()

    def halt(self) -> None:
        """Stop the worker, as the station does."""
        self.stop.set()
        self.pulse.beat()
        self._worker.join(5)
        assert not self._worker.is_alive()

    def crash(self) -> None:
        """End without a word, as a power cut does: the broker learns of it from the network alone."""
        self.halt()
        connection = self.supervisor._link._connection
        if connection is not None:
            connection.cut()
            connection.join(5)


@dataclass(frozen=True)
class Heard:
    """One message as `mosquitto_sub` shows it."""

    topic: str
    retained: bool
    payload: bytes

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.payload)
        assert isinstance(value, dict)
        return value


class Listener:
    """A `mosquitto_sub` under a name of its own, so that the broker keeps for it what it misses."""

    def __init__(self, broker: Mosquitto, *options: str, name: str = "platform", topic: str = "edged/#") -> None:
        command = [tool("mosquitto_sub"), "-h", broker.host, "-p", str(broker.port), "-V", "mqttv5", "-q", "1"]
        command += ["-c", "-i", name, "-t", topic, "-F", "%r %t %p", *options]
        self._heard: list[Heard] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        # What nobody listens to, a broker throws away.
        wait_until(lambda: f"Sending SUBACK to {name}" in broker.log())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def heard(self) -> list[Heard]:
        with self._news:
            return list(self._heard)

    def on(self, topic: str) -> list[Heard]:
        return [each for each in self.heard if each.topic == topic]

    def events(self) -> list[dict[str, Any]]:
        return [each.json for each in self.on(EVENTS)]

    def wait_for(self, what: Callable[[], bool], seconds: float = _LONG_SECONDS) -> None:
        with self._news:
            assert self._news.wait_for(what, seconds), f"{len(self._heard)} heard, the last: {self._heard[-3:]}"

    def wait_for_event(self, seq: int) -> None:
        self.wait_for(lambda: any(event["seq"] == seq for event in self.events()))

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            retained, topic, payload = line.rstrip(b"\n").split(b" ", 2)
            heard = Heard(topic=topic.decode(), retained=retained == b"1", payload=payload)
            with self._news:
                self._heard.append(heard)
                self._news.notify_all()


def check(heard: Heard) -> None:
    """Check a message by the schema of its topic; raises JsonSchemaException."""
    if heard.payload:
        name = {"state": "state", "events": "event"}.get(heard.topic.split("/")[2], "bay")
        validator(name)(heard.json)


@cache
def validator(name: str) -> Callable[[object], object]:
    text = files("edged.supervision").joinpath("schemas", f"{name}.json").read_text("utf-8")
    made: Callable[[object], object] = fastjsonschema.compile(json.loads(text))
    return made


def kept(broker: Mosquitto) -> dict[str, bytes]:
    """Give what the broker retains; what it sends of that comes before what is published after the subscription."""
    found: dict[str, bytes] = {}
    end, done = "test/end", threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)

    def connected(*_: object) -> None:
        client.subscribe("#")

    def subscribed(*_: object) -> None:
        client.publish(end)

    def take(_: object, __: object, message: MQTTMessage) -> None:
        if message.topic == end:
            done.set()
        else:
            found[message.topic] = bytes(message.payload)

    client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, take
    client.connect(broker.host, broker.port)
    client.loop_start()
    assert done.wait(_LONG_SECONDS)
    client.disconnect()
    client.loop_stop()
    client.on_message = client.on_connect = client.on_subscribe = None
    return found


def tell(broker: Mosquitto, topic: str, payload: str, *options: str) -> None:
    """Write to a topic as somebody else."""
    command = [tool("mosquitto_pub"), "-h", broker.host, "-p", str(broker.port), "-q", "1", "-r"]
    subprocess.run([*command, "-t", topic, "-m", payload, *options], check=True)


def append(book: Book, count: int) -> None:
    """Let so many things happen, each an entry."""
    for number in range(count):
        book.ledger.append(odd(f"odd-{number}"))


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def wait_until(what: Callable[[], bool], seconds: float = _LONG_SECONDS) -> None:
    """Wait until something holds that nobody announces."""
    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    while not what():
        assert clock.monotonic() < deadline
        pause(0.02)
