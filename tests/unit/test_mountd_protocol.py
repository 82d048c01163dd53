"""The mounter's lines, and a client against servers that misbehave."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import (
    ConfigError,
    EdgedError,
    InUseError,
    MalformedError,
    RecorderError,
    RefusedRecorderError,
    UnavailableError,
)
from edged.mountd.activation import given_socket, own_socket
from edged.mountd.client import MountClient, MountedCard
from edged.mountd.protocol import (
    MAX_LINE_BYTES,
    Change,
    MountRequest,
    read_answer,
    read_request,
    write_answer,
    write_error,
    write_request,
)


@given(st.integers(0, 4095), st.integers(0, (1 << 20) - 1), st.integers(1, (1 << 63) - 1))
def test_mount_request_comes_back_as_it_went(major: int, minor: int, medium: int) -> None:
    request = MountRequest(device=f"{major}:{minor}", medium=medium)
    assert read_request(write_request(request)) == request
    assert request.number == (major, minor)


@pytest.mark.parametrize("change", ["writable", "read_only", "forget", "unmount"])
def test_change_comes_back_as_it_went(change: Change) -> None:
    assert read_request(write_request(change)) == change


@given(st.binary(max_size=200))
def test_no_line_does_anything_but_be_a_request_or_be_refused(line: bytes) -> None:
    with suppress(MalformedError):
        read_request(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"do":"mount","device":"8:1","medium":1}',
        b'{"do":"mount","device":"8:1","medium":1}' + b" " * MAX_LINE_BYTES + b"\n",
        b'{"do":"mount","device":"8:1","medium":true}\n',
        b'{"do":"mount","device":"8:1","medium":0}\n',
        b'{"do":"mount","device":"8:1","medium":9223372036854775808}\n',
        b'{"do":"mount","device":"\xd9\xa8:1","medium":1}\n',
        b'{"do":"mount","device":"8:1\\n","medium":1}\n',
        b'{"do":"mount","device":"10000:1","medium":1}\n',
        b'{"do":"mount","device":"8:01","medium":1}\n',
        b'{"do":"writable","device":"8:1"}\n',
        b'{"do":"Mount"}\n',
    ],
)
def test_almost_a_request_is_none(line: bytes) -> None:
    with pytest.raises(MalformedError):
        read_request(line)


def test_refusals_and_what_may_pass_are_told_apart() -> None:
    assert read_answer(write_answer(Path("/run/edged/bays/8-17.4"))) == Path("/run/edged/bays/8-17.4")
    assert read_answer(write_answer()) is None
    with pytest.raises(RefusedRecorderError, match="damaged") as refused:
        read_answer(write_error(RefusedRecorderError("damaged", hint="look")))
    assert refused.value.hint == "look"
    with pytest.raises(RecorderError, match="gone"):
        read_answer(write_error(RecorderError("gone")))
    for nonsense in (b"{}\n", b'{"error": "no"}\n', b"[]\n", b'{"ok": 1}\n'):
        with pytest.raises(MalformedError):
            read_answer(nonsense)


@contextmanager
def server(folder: Path, behave: Callable[[socket.socket], None]) -> Iterator[MountClient]:
    """Run a mounter's end that does with one connection what a test wants."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / "s"))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield MountClient(folder / "s")
        thread.join(20)
        assert not thread.is_alive()


def mounted(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(write_answer(Path("/run/edged/bays/8-17.1")))


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", RecorderError),
        (b"x" * (MAX_LINE_BYTES + 1), MalformedError),
        (b'{"ok": {}}\n', MalformedError),
        (b"nonsense\n", MalformedError),
        (write_error(RefusedRecorderError("no")), RefusedRecorderError),
    ],
)
def test_server_that_does_not_mount_leaves_the_client_with_an_error(
    tmp_path: Path, said: bytes, error: type[EdgedError]
) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(said)

    with server(tmp_path, behave) as client, pytest.raises(error):
        client.mount("8:17", 1)


def test_without_a_mounter_the_client_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as error:
        MountClient(tmp_path / "s").mount("8:17", 1)
    assert "systemctl start edged-mountd.socket" in error.value.hint


def test_releasing_a_card_ends_a_request_that_another_thread_waits_for(tmp_path: Path) -> None:
    asked = threading.Event()

    def behave(connection: socket.socket) -> None:
        mounted(connection)
        connection.recv(4096)
        asked.set()
        assert connection.recv(4096) == b""

    with server(tmp_path, behave) as client:
        card = client.mount("8:17", 1)
        failed: list[EdgedError] = []

        def ask() -> None:
            try:
                card.writable()
            except EdgedError as error:
                failed.append(error)

        waiting = threading.Thread(target=ask)
        waiting.start()
        assert asked.wait(20)
        assert not card.lost(), "a card about which something is asked is not lost"
        card.release()
        waiting.join(20)
        assert isinstance(failed[0], RecorderError)


def test_card_is_lost_when_the_mounter_ends_the_connection(tmp_path: Path) -> None:
    end = threading.Event()

    def behave(connection: socket.socket) -> None:
        mounted(connection)
        assert end.wait(20)

    card: MountedCard
    with server(tmp_path, behave) as client:
        card = client.mount("8:17", 1)
        assert not card.lost()
        end.set()
    assert card.lost()
    card.release()
    with pytest.raises(RecorderError):
        card.read_only()


def test_socket_of_systemd_is_only_taken_by_the_process_it_is_meant_for() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "PATH": "/usr/bin"}
    assert given_socket(environment) is None
    assert given_socket({}) is None


def test_own_socket_replaces_a_dead_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    with own_socket(path, os.getgid()):
        assert path.stat().st_mode & 0o777 == 0o660
        with pytest.raises(InUseError):
            own_socket(path, os.getgid())
    (tmp_path / "file").write_text("not a socket")
    with pytest.raises(ConfigError):
        own_socket(tmp_path / "file", os.getgid())
    assert (tmp_path / "file").read_text() == "not a socket"
