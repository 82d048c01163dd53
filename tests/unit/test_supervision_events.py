"""Every entry reaches the broker, in order, whatever fails in between."""

import hashlib
import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from edged.book import Book
from edged.clock import SystemClock
from edged.errors import StoppedError, UnavailableError
from edged.evidence.ids import EpochId
from edged.supervision import link
from hwsim.broker import Mosquitto
from hwsim.proxy import Fault, Proxy
from tests.unit.book_station import begin, close, open_book
from tests.unit.supervision_station import (
    EVENTS,
    STATE,
    Listener,
    Station,
    append,
    check,
    needs_broker,
    pause,
    wait_until,
)

pytestmark = needs_broker


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


def seqs(listener: Listener) -> list[int]:
    return [event["seq"] for event in listener.events()]


def test_every_entry_is_told_as_it_stands_in_the_ledger(broker: Mosquitto, book: Book, listener: Listener) -> None:
    append(book, 120)
    with Station(book, broker.settings()):
        append(book, 3)
        listener.wait_for_event(123)
    payloads = [heard.payload for heard in listener.on(EVENTS)]
    assert payloads == [book.ledger.entry_bytes(seq) for seq in range(124)]
    for before, event in itertools.pairwise(listener.on(EVENTS)):
        assert event.json["prev"] == hashlib.sha256(before.payload).hexdigest(), "the chain can be walked by anybody"
    assert not any(heard.retained for heard in listener.on(EVENTS))


def test_entries_of_the_next_epoch_follow_those_of_the_last(broker: Mosquitto, book: Book, listener: Listener) -> None:
    with Station(book, broker.settings()):
        append(book, 2)
        book.ledger.append(close())
        begin(book, EpochId("2026-12-cd34"))
        append(book, 1)
        listener.wait_for(lambda: len(listener.events()) == 6)
    told = [(event["epoch"], event["seq"]) for event in listener.events()]
    assert told == [("2026-11-ab12", seq) for seq in range(4)] + [("2026-12-cd34", seq) for seq in range(2)]


def test_a_broker_that_is_away_for_a_while_misses_nothing(broker: Mosquitto, book: Book, listener: Listener) -> None:
    with Station(book, broker.settings()) as station:
        append(book, 5)
        listener.wait_for_event(5)
        pause(0.5)  # for the listener's own confirmations: what the broker lacks of them, it tells the listener again
        broker.stop()
        append(book, 70)
        refused = f"The broker at 127.0.0.1:{broker.port} cannot be reached: Connection refused."
        wait_until(lambda: [alarm.text for alarm in station.live.alarms()] == [refused])
        broker.start()
        append(book, 5)
        listener.wait_for_event(80)
        wait_until(lambda: not station.live.alarms())
    assert seqs(listener) == list(range(81)), "nothing missing, nothing twice, nothing out of order"


def test_a_station_that_is_restarted_goes_on_where_it_stopped(
    broker: Mosquitto, book: Book, listener: Listener
) -> None:
    for end in (10, 20, 30):
        with Station(book, broker.settings()):
            append(book, 10)
            listener.wait_for_event(end)
    assert seqs(listener) == list(range(31))


def test_a_station_that_crashed_tells_some_events_again_and_none_too_few(
    broker: Mosquitto, book: Book, listener: Listener
) -> None:
    with Station(book, broker.settings()) as first:
        append(book, 10)
        listener.wait_for_event(10)
        first.crash()
    book.outbox.move("broker", 4)  # what was noted last before it
    with Station(book, broker.settings()):
        append(book, 1)
        listener.wait_for_event(11)
    assert seqs(listener) == [*range(11), *range(4, 12)]


def test_another_broker_is_told_everything_from_the_start(broker: Mosquitto, book: Book, listener: Listener) -> None:
    append(book, 3)
    book.outbox.move("broker", 4)
    with Station(book, replace(broker.settings(), id="province")):
        listener.wait_for_event(3)
    assert seqs(listener) == [0, 1, 2, 3]


def test_a_network_that_breaks_anywhere_loses_nothing_and_turns_nothing_round(
    broker: Mosquitto, book: Book, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.station.worker.FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("edged.station.worker.LONGEST_PAUSE_SECONDS", 0.02)
    with Proxy(("127.0.0.1", broker.port)) as proxy:
        proxy.script(*(Fault(after_bytes=at, how="reset" if at % 2 else "close") for at in range(300, 5000, 470)))
        with Station(book, replace(broker.settings(), port=proxy.port)):
            append(book, 60)
            listener.wait_for_event(60)
        assert not proxy._faults, "each was met"
    heard = seqs(listener)
    assert sorted(set(heard)) == list(range(61))
    assert all(after in {before, before + 1} for before, after in itertools.pairwise(heard)), "twice, but never back"


def test_a_broker_that_refuses_events_has_not_got_them(tmp_path: Path, book: Book) -> None:
    """MQTT 3.1.1 has no word for this: a broker that refuses would confirm, and the event would be lost."""
    users, folder = {"station": "a", "platform": "b"}, tmp_path / "strict"
    reads = ["user platform", "topic read #"]
    append(book, 3)
    with Mosquitto(folder, users=users, access=["user station", f"topic readwrite {STATE}", *reads]) as broker:
        port = broker.port
        with Station(book, broker.settings(user="station")) as station:
            wait_until(lambda: bool(station.live.alarms()))
            (alarm,) = station.live.alarms()
            assert f"does not authorise this station, in trying to tell {EVENTS}." in alarm.text
            assert "readwrite" in alarm.hint
            assert station.outbox.moves == 0
            broker.stop()
            broker._access = ("user station", "topic readwrite edged/st-07/#", *reads)
            broker.start()
            assert broker.port == port
            with Listener(broker, "-u", "platform", "-P", "b") as listener:
                listener.wait_for_event(3)
                assert seqs(listener) == [0, 1, 2, 3]


def test_the_position_is_noted_now_and_then_and_at_the_end(broker: Mosquitto, book: Book, listener: Listener) -> None:
    append(book, 200)
    with Station(book, broker.settings()) as station:
        listener.wait_for_event(200)
        assert 1 <= station.outbox.moves <= 2, "a note is a transaction of the book"
    assert book.outbox.position("broker") == 201


def test_a_broker_that_is_slow_gets_one_message_at_a_time_and_the_newest_state(
    broker: Mosquitto, book: Book, listener: Listener
) -> None:
    append(book, 400)
    with Proxy(("127.0.0.1", broker.port)) as proxy:
        proxy.delay(0.05)
        with Station(book, replace(broker.settings(), port=proxy.port)) as station:
            for number in range(40):
                station.live.set_bay("bay-1", "copying", files_done=number)
                pause(0.1)
                connection = station.supervisor._link._connection
                assert connection is None or len(connection._client._out_messages) <= 1
            told = [heard.json["files_done"] for heard in listener.on("edged/st-07/bays/bay-1")]
            assert len(told) >= 2, "in the middle of the events"
            assert 2 <= len(seqs(listener)) < 400
    assert seqs(listener) == list(range(len(seqs(listener))))


@pytest.mark.parametrize("how", ["silent from the start", "silent in the middle"])
def test_a_silent_broker_is_given_up_and_a_stop_is_heard_at_once(
    broker: Mosquitto, book: Book, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    clock, stop = SystemClock(), threading.Event()

    def halt() -> None:  # in this order, as the daemon does
        stop.set()
        station.pulse.beat()

    with Proxy(("127.0.0.1", broker.port)) as proxy, ExitStack() as undo:
        proxy.script(Fault(after_bytes=10 if how == "silent from the start" else 700, how="stall"))
        station = Station(book, replace(broker.settings(), port=proxy.port))
        undo.callback(station.supervisor.close)
        append(book, 30)
        monkeypatch.setattr(link, "_OPEN_SECONDS", 0.5)
        monkeypatch.setattr(link, "_ANSWER_SECONDS", 0.5)
        begun = clock.monotonic()
        with pytest.raises(UnavailableError, match=r"does not answer|confirmed nothing"):
            _step_for_ever(station, stop)
        assert 0.4 < clock.monotonic() - begun < 10
        monkeypatch.setattr(link, "_OPEN_SECONDS", 60)
        monkeypatch.setattr(link, "_ANSWER_SECONDS", 60)
        proxy.script(Fault(after_bytes=10 if how == "silent from the start" else 700, how="stall"))
        begun = clock.monotonic()
        threading.Timer(0.5, halt).start()
        with pytest.raises(StoppedError):
            _step_for_ever(station, stop)
        assert clock.monotonic() - begun < 5, "at once, on a machine that is busy"
        station.supervisor.close()
        assert clock.monotonic() - begun < 15


def test_a_copy_of_the_station_does_not_take_its_place_unnoticed(broker: Mosquitto, book: Book) -> None:
    with Station(book, broker.settings()) as station, Station(book, broker.settings()) as copy:

        def alarmed(one: Station) -> bool:
            return any("another station has the same id" in alarm.hint for alarm in one.live.alarms())

        wait_until(lambda: alarmed(station) or alarmed(copy))


def _step_for_ever(station: Station, stop: threading.Event) -> None:
    while True:
        station.supervisor.step(stop)
