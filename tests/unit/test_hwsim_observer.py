"""The observer's record is what mosquitto_sub printed, and lacks nothing of what came while the two were apart."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.clock import SystemClock
from edged.errors import MalformedError, ToolError
from hwsim.broker import Mosquitto, tool
from hwsim.observer import Message, Observer
from tests.unit.supervision_station import needs_broker, pause

CLOCK = SystemClock()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


def say(broker: Mosquitto, topic: str, *what: str) -> None:
    where = ("-h", broker.host, "-p", str(broker.port), "-q", "1")
    subprocess.run([tool("mosquitto_pub"), *where, "-t", topic, *what], check=True)


@needs_broker
def test_the_record_is_what_a_person_would_see(broker: Mosquitto, tmp_path: Path) -> None:
    with Observer(broker, tmp_path / "mqtt.log") as observer:
        say(broker, "edged/st-07/state", "-m", '{"text": "two  words"}')
        say(broker, "edged/st-07/bays/1", "-r", "-n")
        say(broker, "other/st-07/state", "-m", "not asked for")
        say(broker, "edged/st-08/events", "-m", "执法")
        heard = observer.wait_for(lambda heard: len(heard) == 3, CLOCK, 10)
    assert heard == [
        Message(topic="edged/st-07/state", payload=b'{"text": "two  words"}'),
        Message(topic="edged/st-07/bays/1", payload=None),
        Message(topic="edged/st-08/events", payload="执法".encode()),
    ]
    assert (tmp_path / "mqtt.log").read_text("utf-8") == (
        'edged/st-07/state {"text": "two  words"}\nedged/st-07/bays/1 (null)\nedged/st-08/events 执法\n'
    )
    assert not (tmp_path / "mqtt.err").exists()


@needs_broker
def test_what_comes_while_broker_and_observer_are_apart_is_heard_later(broker: Mosquitto, tmp_path: Path) -> None:
    with Observer(broker, tmp_path / "mqtt.log") as observer:
        say(broker, "edged/a", "-m", "1")
        assert observer.wait_for(lambda heard: len(heard) == 1, CLOCK, 10)
        pause(0.5)  # for its confirmation: what the broker lacks of that, it tells again
        broker.stop()
        broker.start()
        say(broker, "edged/a", "-m", "2")
        heard = observer.wait_for(lambda heard: len(heard) >= 2, CLOCK, 20)
    assert heard is not None
    assert [each.payload for each in heard] == [b"1", b"2"]


@needs_broker
def test_an_observer_that_is_not_let_in_says_so(tmp_path: Path) -> None:
    with (
        Mosquitto(tmp_path / "broker", users={"a": "right"}) as broker,
        pytest.raises(ToolError, match=r"mosquitto_sub ended with exit code .*: .*[Nn]ot authori[sz]ed"),
        Observer(broker, tmp_path / "mqtt.log", options=("-u", "a", "-P", "wrong")),
    ):
        pass
    assert (tmp_path / "mqtt.err").stat().st_size


@needs_broker
def test_waiting_for_what_never_comes_ends(broker: Mosquitto, tmp_path: Path) -> None:
    with Observer(broker, tmp_path / "mqtt.log") as observer:
        assert observer.messages() == []
        assert observer.wait_for(bool, CLOCK, 0.2) is None


@needs_broker
def test_a_line_that_is_no_message_is_not_passed_over(broker: Mosquitto, tmp_path: Path) -> None:
    with Observer(broker, tmp_path / "mqtt.log") as observer, (tmp_path / "mqtt.log").open("ab") as record:
        record.write(b"nonsense\nedged/half a li")
        record.flush()
        with pytest.raises(MalformedError, match="nonsense"):
            observer.messages()
