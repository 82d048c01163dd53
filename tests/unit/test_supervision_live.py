"""What is retained at the broker is what the station is doing now, and nothing else."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import fastjsonschema
import pytest

from edged.book import Book
from edged.clock import SystemClock, from_rfc3339
from edged.evidence import canonical
from edged.station.live import Phase
from edged.supervision import messages
from edged.supervision.port import AlarmReport, BayReport, StateReport
from hwsim.broker import Mosquitto
from tests.unit.book_station import ORIGIN, STATION, open_book
from tests.unit.supervision_station import (
    EVENTS,
    SINCE,
    STATE,
    Heard,
    Listener,
    Station,
    append,
    bay_topic,
    check,
    kept,
    needs_broker,
    pause,
    tell,
    validator,
    wait_until,
)

NOW = datetime(2026, 11, 21, 8, 0, 1, 500000, tzinfo=UTC)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(tmp_path / "state")
    yield book
    book.close()


@pytest.fixture
def listener(broker: Mosquitto) -> Iterator[Listener]:
    with Listener(broker) as listener:
        yield listener
        for heard in listener.heard:
            check(heard)


def last(listener: Listener, topic: str) -> dict[str, Any]:
    return listener.on(topic)[-1].json


# The station as a whole


@needs_broker
def test_the_state_is_retained_and_says_when_the_station_was_stopped(
    broker: Mosquitto, book: Book, listener: Listener
) -> None:
    with Station(book, broker.settings()):
        listener.wait_for(lambda: bool(listener.on(STATE)))
        assert json.loads(kept(broker)[STATE]) == last(listener, STATE)
        state = last(listener, STATE)
        assert (state["state"], state["reason"], state["origin"], state["since"]) == ("online", None, ORIGIN, SINCE)
    gone = json.loads(kept(broker)[STATE])
    assert (gone["state"], gone["reason"]) == ("offline", "stopped")
    assert from_rfc3339(gone["time"]) <= SystemClock().now()


@needs_broker
def test_a_station_that_is_lost_is_said_to_be_lost_by_the_broker(
    broker: Mosquitto, book: Book, listener: Listener
) -> None:
    with Station(book, broker.settings()) as station:
        listener.wait_for(lambda: bool(listener.on(STATE)))
        station.crash()
        listener.wait_for(lambda: last(listener, STATE)["state"] == "offline")
        assert last(listener, STATE) == {
            "v": 1,
            "station": STATION,
            "time": None,
            "state": "offline",
            "reason": "lost",
        }
        assert STATE in kept(broker)
    with Station(book, broker.settings()):
        listener.wait_for(lambda: last(listener, STATE)["state"] == "online")


@needs_broker
def test_alarms_are_told_by_their_source_and_their_words_stay_at_the_station(
    broker: Mosquitto, book: Book, listener: Listener
) -> None:
    with Station(book, broker.settings()) as station:
        station.live.alarm("case file", "Row 3: 张三 is not a time.", "It lies beside 李四.csv.")
        station.live.set_bay("bay-1", "refused", text="The card WANG WU fits no recorder profile.", officer="204417")
        listener.wait_for(lambda: bool(listener.on(bay_topic("bay-1"))) and bool(last(listener, STATE)["alarms"]))
        (alarm,) = last(listener, STATE)["alarms"]
        assert alarm["source"] == "case file"
        assert last(listener, bay_topic("bay-1"))["officer"] == "204417"
        station.live.calm("case file")
        listener.wait_for(lambda: not last(listener, STATE)["alarms"])
    said = b"".join(heard.payload for heard in listener.heard).decode()
    assert not any(word in said for word in ("张三", "李四", "WANG", "Row", "profile"))


# The bays


@needs_broker
def test_a_bay_is_retained_while_a_recorder_is_in_it(broker: Mosquitto, book: Book, listener: Listener) -> None:
    with Station(book, broker.settings()) as station:
        station.live.set_bay("bay-1", "copying", recorder="rec-0001", docking="dk-1", files=12, bytes=1000)
        listener.wait_for(lambda: bool(listener.on(bay_topic("bay-1"))))
        bay = json.loads(kept(broker)[bay_topic("bay-1")])
        assert (bay["phase"], bay["removable"], bay["recorder"], bay["files"]) == ("copying", False, "rec-0001", 12)
        listener.wait_for(lambda: last(listener, STATE)["bays"] == ["bay-1"])
        station.live.set_bay("bay-1", "done")
        listener.wait_for(lambda: last(listener, bay_topic("bay-1"))["removable"] is True)
        station.live.clear_bay("bay-1")
        listener.wait_for(lambda: listener.on(bay_topic("bay-1"))[-1].payload == b"")
        listener.wait_for(lambda: last(listener, STATE)["bays"] == [])
        assert set(kept(broker)) == {STATE}


@needs_broker
def test_what_is_retained_of_bays_before_a_crash_is_cleared(broker: Mosquitto, book: Book, listener: Listener) -> None:
    with Station(book, broker.settings()) as station:
        for bay in ("bay-1", "bay-2"):
            station.live.set_bay(bay, "copying")
        listener.wait_for(lambda: bool(listener.on(bay_topic("bay-1")) and listener.on(bay_topic("bay-2"))))
        station.crash()
    tell(broker, "edged/other/bays/bay-1", "not ours")
    tell(broker, bay_topic("bay-9"), "from somewhere")
    with Station(book, broker.settings()) as station:
        station.live.set_bay("bay-2", "waiting")
        wait_until(lambda: set(kept(broker)) == {STATE, bay_topic("bay-2"), "edged/other/bays/bay-1"})
        listener.wait_for(lambda: last(listener, bay_topic("bay-2"))["phase"] == "waiting")
    assert kept(broker)["edged/other/bays/bay-1"] == b"not ours"
    listener._heard[:] = [heard for heard in listener._heard if b"{" in heard.payload]


@needs_broker
def test_what_somebody_else_writes_to_a_bay_is_put_right(broker: Mosquitto, book: Book) -> None:
    with Station(book, broker.settings()) as station:
        station.live.set_bay("bay-1", "copying")
        wait_until(lambda: bay_topic("bay-1") in kept(broker))
        tell(broker, bay_topic("bay-1"), '{"phase":"done"}')
        tell(broker, bay_topic("bay-2"), '{"phase":"done"}')
        tell(broker, bay_topic("-=-"), "no bay has such a name")
        wait_until(
            lambda: (
                json.loads(kept(broker).get(bay_topic("bay-1"), b"{}")).get("phase") == "copying"
                and bay_topic("bay-2") not in kept(broker)
            )
        )


@needs_broker
def test_progress_is_told_once_a_second_at_most_and_the_newest_only(
    broker: Mosquitto, book: Book, listener: Listener
) -> None:
    with Station(book, broker.settings()) as station:
        station.live.set_bay("bay-1", "copying", bytes=10_000)
        for number in range(350):
            station.live.progress("bay-1", 10)
            if number % 10 == 0:
                append(book, 1)  # which wakes the worker
            pause(0.01)
        listener.wait_for(lambda: last(listener, bay_topic("bay-1"))["bytes_done"] == 3500)
    told = listener.on(bay_topic("bay-1"))
    times = [from_rfc3339(heard.json["time"]).timestamp() for heard in told]
    assert all(after - before > 0.9 for before, after in itertools.pairwise(times))
    assert len(told) >= 4
    assert len(listener.on(EVENTS)) == 36


@needs_broker
def test_an_idle_station_says_nothing_and_a_new_connection_everything(
    broker: Mosquitto, book: Book, listener: Listener
) -> None:
    with Station(book, broker.settings()) as station:
        station.live.set_bay("bay-1", "securing")
        listener.wait_for(lambda: bool(listener.on(bay_topic("bay-1")) and listener.events()))
        before = len(listener.heard)
        pause(2.5)
        assert len(listener.heard) == before
        broker.kill()
        (broker._folder / "mosquitto.db").unlink(missing_ok=True)
        broker.start()
        wait_until(lambda: set(kept(broker)) == {STATE, bay_topic("bay-1")})


# The words


def test_each_payload_has_its_schema_and_nothing_else_passes_for_it() -> None:
    alarms = (AlarmReport(source="upload", since=SINCE),)
    state = StateReport(version="0.1.0", origin=ORIGIN, since=SINCE, accepting=True, bays=("1", "bay-2"), alarms=alarms)
    bay = BayReport(
        bay="1",
        phase="copying",
        removable=False,
        lamp="busy",
        recorder=None,
        officer="204417",
        docking=None,
        files=1,
        files_done=0,
        bytes=2**40,
        bytes_done=0,
        bytes_per_second=0,
        seconds_left=None,
        reread=0,
        replicated=0,
        wiped=0,
    )
    good = {
        "state": [
            messages.online(STATION, state, NOW),
            messages.offline(STATION, "stopped", NOW),
            messages.offline(STATION, "lost", None),
        ],
        "bay": [messages.bay(STATION, bay, NOW)],
    }
    for name, payloads in good.items():
        for payload in payloads:
            assert canonical.is_canonical(payload)
            plain = json.loads(payload)
            validator(name)(plain)
            for wrong in [plain | {"text": "x"}, plain | {"v": 2}, plain | {"station": "a/b"}, plain | {"time": "now"}]:
                with pytest.raises(fastjsonschema.JsonSchemaException):
                    validator(name)(wrong)
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validator("state")(json.loads(good["state"][0]) | {"alarms": [asdict(alarms[0]) | {"text": "x"}]})
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validator("bay")(json.loads(good["bay"][0]) | {"officer": "Wang Wu"})


def test_the_schema_knows_the_phases_of_the_station() -> None:
    schema = json.loads((Path(messages.__file__).parent / "schemas" / "bay.json").read_text("utf-8"))
    assert tuple(schema["properties"]["phase"]["enum"]) == get_args(Phase)


def test_the_schema_of_events_takes_every_entry_and_no_other_envelope(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    append(book, 2)
    for seq in range(3):
        entry = json.loads(book.ledger.entry_bytes(seq))
        validator("event")(entry)
        for wrong in [entry | {"more": 1}, entry | {"seq": -1}, entry | {"prev": "x"}, entry | {"actor": "Wang Wu"}]:
            with pytest.raises(fastjsonschema.JsonSchemaException):
                validator("event")(wrong)
    book.close()


@pytest.mark.parametrize(
    "topic", ["edged/st-07/bays/", "edged/st-07/bays/a/b", "edged/st-08/bays/a", "edged/st-07/x", ""]
)
def test_a_topic_that_is_no_bay_of_this_station_is_none(topic: str) -> None:
    assert messages.Topics(STATION).bay_of(topic) is None
    assert messages.Topics(STATION).bay_of(bay_topic("bay-1")) == "bay-1"


def test_a_listener_that_gets_something_wrong_would_be_noticed() -> None:
    with pytest.raises(fastjsonschema.JsonSchemaException):
        check(Heard(topic=STATE, retained=False, payload=b'{"v":1}'))
