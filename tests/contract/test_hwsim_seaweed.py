"""The S3 server of the simulation keeps to itself."""

import socket
from pathlib import Path

import pytest

from edged.errors import ToolError
from hwsim import seaweed
from hwsim.listening import listeners
from hwsim.seaweed import SeaweedFS


def test_nothing_listens_beyond_loopback_and_nothing_but_what_was_asked_for(object_store: SeaweedFS) -> None:
    assert object_store.pid is not None
    found = listeners(object_store.pid)
    assert all(listener.loopback for listener in found)
    assert {listener.port for listener in found} == set(object_store._ports.values())
    assert object_store.port in object_store._ports.values()


def test_its_files_are_in_its_folder_and_its_keys_for_nobody_else(object_store: SeaweedFS) -> None:
    folder = object_store._folder
    assert {"data", "log", "s3.json", "s3.sock", "filer.sock"} <= {path.name for path in folder.iterdir()}
    assert (folder / "s3.json").stat().st_mode & 0o077 == 0


def test_a_server_whose_port_is_taken_says_so_and_is_not_mistaken_for_whoever_took_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = SeaweedFS(tmp_path / "server", access_key="a-key", secret_key="a-secret")  # noqa: S106
    ports = seaweed._free_ports()
    monkeypatch.setattr(seaweed, "_free_ports", lambda: ports)
    monkeypatch.setattr(seaweed, "_ATTEMPTS", 1)
    with (
        socket.create_server(("127.0.0.1", ports["master"])),
        pytest.raises(ToolError, match="SeaweedFS does not start"),
    ):
        server.start()
    assert server.pid is None


def test_a_port_that_was_taken_in_between_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = seaweed._free_ports
    with socket.create_server(("127.0.0.1", 0)) as taken:
        choices = [choose() | {"master": taken.getsockname()[1]}]
        monkeypatch.setattr(seaweed, "_free_ports", lambda: choices.pop() if choices else choose())
        with SeaweedFS(tmp_path / "server", access_key="a-key", secret_key="a-secret") as server:  # noqa: S106
            assert server.pid is not None
            server.kill()
