"""The MQTT broker of the simulation keeps to itself."""

import socket
from pathlib import Path

import pytest

from edged.errors import ToolError
from hwsim import broker as module
from hwsim.broker import Mosquitto
from hwsim.listening import listeners
from tests.unit.supervision_station import kept, needs_broker, tell

pytestmark = needs_broker


def test_nothing_listens_beyond_loopback_and_nothing_but_what_was_asked_for(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        assert broker.pid is not None
        found = listeners(broker.pid)
    assert {(listener.port, listener.loopback) for listener in found} == {(broker.port, True)}
    assert broker.pid is None


def test_its_files_are_in_its_folder_and_its_passwords_for_nobody_else(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker", users={"station": "secret"}, access=["user station", "topic readwrite #"]):
        assert {path.name for path in (tmp_path / "broker").iterdir()} >= {"log", "passwords", "access"}
        for name in ("passwords", "access"):
            assert (tmp_path / "broker" / name).stat().st_mode & 0o077 == 0
        assert "secret" not in (tmp_path / "broker" / "passwords").read_text("utf-8")


def test_what_is_retained_is_there_again_after_a_new_start_at_the_same_place(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        tell(broker, "edged/x/state", "1")
        port = broker.port
        broker.stop()
        broker.start()
        assert broker.port == port
        assert kept(broker) == {"edged/x/state": b"1"}


def test_a_broker_whose_port_is_taken_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(module, "_free_port", lambda: port)
        with pytest.raises(ToolError, match=r"Mosquitto does not start: .*Address already in use"):
            Mosquitto(tmp_path / "broker").start()


def test_a_port_that_was_taken_in_between_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = module._free_port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        choices = [taken.getsockname()[1]]
        monkeypatch.setattr(module, "_free_port", lambda: choices.pop() if choices else choose())
        with Mosquitto(tmp_path / "broker") as broker:
            assert broker.port != taken.getsockname()[1]


def test_a_broker_that_is_not_installed_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WHERE", str(tmp_path))
    assert not module.is_installed()
    with pytest.raises(ToolError) as caught:
        Mosquitto(tmp_path / "broker").start()
    assert "apt-get install mosquitto" in caught.value.hint
