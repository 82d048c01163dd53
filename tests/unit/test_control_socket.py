"""The control socket: who may ask what, and that no request, however odd, ends or blocks the daemon."""

import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

import pytest

from edged.clock import SystemClock
from edged.control.client import ask
from edged.control.peer import Peer, peer_of
from edged.control.protocol import (
    MAX_REQUEST_BYTES,
    RemoteError,
    Request,
    read_answer,
    read_request,
    write_answer,
    write_error,
    write_request,
)
from edged.control.server import Call, ControlServer
from edged.errors import FullError, MalformedError, StorageError, UnavailableError

ROOT = Path(__file__).parents[2]
ME = pwd.getpwuid(os.geteuid()).pw_name

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="asks as other users")


def fail(_: dict[str, Any], __: Peer) -> object:
    raise FullError("The vault is full.", hint="Make room.")


def crash(_: dict[str, Any], __: Peer) -> object:
    raise ZeroDivisionError


CALLS = {
    "echo": Call(role="reader", run=lambda arguments, _: arguments),
    "who": Call(role="reader", run=lambda _, peer: [peer.uid, peer.name, peer.role, peer.actor]),
    "export": Call(role="investigator", run=lambda _, peer: peer.actor),
    "stop": Call(role="administrator", run=lambda _, __: "stopped"),
    "much": Call(role="reader", run=lambda _, __: "x" * 10_000_000),
    "fail": Call(role="reader", run=fail),
    "crash": Call(role="reader", run=crash),
}


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    server = ControlServer(tmp_path / "control.sock", CALLS, SystemClock())
    server.start()
    yield tmp_path / "control.sock"
    server.stop()


def say(path: Path, data: bytes, *, finish: bool = True) -> bytes:
    """Send bytes as they are and give what comes back."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(data)
        if finish:
            connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answers:
            return answers.read()


def refusal(answer: bytes) -> tuple[int, str]:
    error = json.loads(answer)["error"]
    return error["exit_code"], error["message"]


# --------------------------------------------------------------------------------------------------- protocol


def test_request_and_answer_come_back_as_they_were() -> None:
    request = Request(do="export", arguments={"case": "c-1", "文": [1, None, True]})
    assert read_request(write_request(request)) == request
    assert read_answer(write_answer({"a": [1, "二"]})) == {"a": [1, "二"]}
    assert read_answer(write_answer(None)) is None
    assert b"\n" not in write_answer("line\nline")[:-1]


def test_refusal_comes_back_with_message_hint_and_exit_code() -> None:
    with pytest.raises(RemoteError) as caught:
        read_answer(write_error(FullError("The vault is full.", hint="Make room.")))
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == ("The vault is full.", "Make room.", 74)


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"nonsense\n", b"[]\n", b'"status"\n', b"{}\n", b'{"do": 1}\n', b'{"do": null}\n', b"\xff\xfe\n",
     b'{"do": "a"', b"[" * 60_000, b"9" * 5000, b"nul\x00\n"],
)  # fmt: skip
def test_line_that_is_no_request_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedError):
        read_request(line)


@pytest.mark.parametrize("line", [b"", b"{}\n", b'{"error": "x"}\n', b"[]\n", b"x\n"])
def test_line_that_is_no_answer_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedError):
        read_answer(line)


def test_refusal_without_a_code_is_an_internal_one() -> None:
    with pytest.raises(RemoteError) as caught:
        read_answer(b'{"error": {"exit_code": "1"}}\n')
    assert (caught.value.exit_code, caught.value.message) == (70, "")


# ----------------------------------------------------------------------------------------------------- socket


def test_daemon_answers_what_it_is_asked(path: Path) -> None:
    assert ask(path, "echo", case="c-1", 文=["a"]) == {"case": "c-1", "文": ["a"]}


def test_answer_of_any_length_arrives(path: Path) -> None:
    text = "证" * 15_000
    assert ask(path, "echo", text=[text[:5000]]) == {"text": [text[:5000]]}


def test_error_of_a_call_is_an_answer(path: Path) -> None:
    with pytest.raises(RemoteError, match="vault is full") as caught:
        ask(path, "fail")
    assert (caught.value.exit_code, caught.value.hint) == (74, "Make room.")


def test_unknown_call_is_wrong_usage(path: Path) -> None:
    with pytest.raises(RemoteError, match="cannot do 'dance'") as caught:
        ask(path, "dance")
    assert caught.value.exit_code == 64


@pytest.mark.parametrize(
    "data", [b"nonsense\n", b"{}\n", b"\x00\xff\n", b"GET / HTTP/1.1\r\n\r\n", b"[" * 60_000 + b"\n"]
)
def test_garbage_is_refused_and_the_next_request_answered(path: Path, data: bytes) -> None:
    assert refusal(say(path, data))[0] == 65
    assert ask(path, "echo") == {}


@pytest.mark.parametrize("length", [MAX_REQUEST_BYTES + 1, 3 * MAX_REQUEST_BYTES])
def test_request_that_is_too_long_is_refused_unread(path: Path, length: int) -> None:
    padding = b" " * (length - len(b'{"do":"echo"}\n'))
    try:
        answer = say(path, b'{"do":"echo"}' + padding + b"\n", finish=False)
    except (BrokenPipeError, ConnectionResetError):
        answer = b""  # the daemon answered and went before the rest could be sent
    assert answer == b"" or refusal(answer)[0] == 65
    assert ask(path, "echo") == {}


def test_longest_request_is_answered(path: Path) -> None:
    line = b'{"do":"echo"}'
    assert say(path, line + b" " * (MAX_REQUEST_BYTES - len(line) - 1) + b"\n") == b'{"ok": {}}\n'


@pytest.mark.parametrize("data", [b"", b'{"do":"echo"}', b"{"])
def test_request_that_ends_early_is_refused(path: Path, data: bytes) -> None:
    assert refusal(say(path, data))[0] == 65


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Path]:
    """A server that waits for a request for a third of a second."""
    server = ControlServer(tmp_path / "hasty.sock", CALLS, SystemClock(), request_seconds=0.3)
    server.start()
    yield tmp_path / "hasty.sock"
    server.stop()


def test_request_that_is_never_finished_is_given_up(hasty: Path) -> None:
    assert refusal(say(hasty, b'{"do":', finish=False))[0] == 65
    assert ask(hasty, "echo") == {}


def test_request_that_drips_is_given_up_as_a_whole(hasty: Path) -> None:
    begun = SystemClock().monotonic()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(hasty))
        connection.settimeout(0.05)
        answer = drip(connection)
    assert refusal(answer)[0] == 65
    assert SystemClock().monotonic() - begun < 3


def drip(connection: socket.socket) -> bytes:
    while True:
        try:
            connection.sendall(b" ")
            return connection.recv(4096)
        except TimeoutError:
            continue


def test_answer_that_nobody_takes_is_given_up(hasty: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(hasty))
        connection.sendall(b'{"do":"much"}\n')
        assert connection.recv(1) == b"{"
        answering = [thread for thread in threading.enumerate() if thread.name == "control request"]
        assert len(answering) == 1
        answering[0].join(10)
        assert not answering[0].is_alive()
    assert ask(hasty, "echo") == {}


def test_asker_who_leaves_before_the_answer_harms_nobody(path: Path) -> None:
    for _ in range(5):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b'{"do":"echo"}\n')
    assert ask(path, "echo") == {}


def test_silent_askers_hold_up_nobody(path: Path) -> None:
    silent = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for connection in silent:
        connection.connect(str(path))
    assert ask(path, "echo") == {}
    for connection in silent:
        connection.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_call_that_fails_unexpectedly_ends_only_itself(path: Path) -> None:
    for _ in range(70):
        with pytest.raises(RemoteError, match="unexpectedly") as caught:
            ask(path, "crash")
        assert caught.value.exit_code == 70
    assert ask(path, "echo") == {}


def test_socket_is_closed_to_strangers(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_socket_of_a_daemon_that_was_killed_is_replaced(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "control.sock"))
    left.close()
    with pytest.raises(UnavailableError, match="Connection refused"):
        ask(tmp_path / "control.sock", "echo")
    server = ControlServer(tmp_path / "control.sock", CALLS, SystemClock())
    server.start()
    assert ask(tmp_path / "control.sock", "echo") == {}
    server.stop()
    assert not (tmp_path / "control.sock").exists()


def test_stopping_before_the_start_ends_at_once(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "control.sock", CALLS, SystemClock())
    stopping = threading.Thread(target=server.stop, daemon=True)
    stopping.start()
    stopping.join(5)
    assert not stopping.is_alive()
    assert not (tmp_path / "control.sock").exists()


def test_nobody_there_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="No daemon answers") as caught:
        ask(tmp_path / "control.sock", "echo")
    assert "edged run" in caught.value.hint
    assert caught.value.exit_code == 69


def test_daemon_that_dies_before_it_answers_is_said(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()

        def die() -> None:
            listener.accept()[0].close()

        killer = threading.Thread(target=die)
        killer.start()
        with pytest.raises(UnavailableError, match=r"ended before it answered|did not answer"):
            ask(tmp_path / "control.sock", "echo")
        killer.join()


@pytest.mark.parametrize("length", [108, 200])
def test_path_that_is_too_long_says_so(tmp_path: Path, length: int) -> None:
    long = tmp_path / ("s" * (length - len(str(tmp_path)) - 1))
    with pytest.raises(StorageError, match="longer than a UNIX socket allows"):
        ControlServer(long, CALLS, SystemClock())
    with pytest.raises(UnavailableError):
        ask(long, "echo")


def test_place_that_cannot_hold_a_socket_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be made"):
        ControlServer(tmp_path / "gone" / "control.sock", CALLS, SystemClock())


# ------------------------------------------------------------------------------------------------------ roles


def test_own_user_administers(path: Path) -> None:
    assert ask(path, "who") == [os.geteuid(), ME, "administrator", f"user:{ME}"]
    assert ask(path, "stop") == "stopped"
    assert ask(path, "export") == f"user:{ME}"


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("reader", ["reader"]),
        ("investigator", ["reader", "investigator"]),
        ("administrator", ["reader", "investigator", "administrator"]),
    ],
)
def test_each_role_may_what_the_one_before_may(role: Any, may: list[str]) -> None:
    peer = Peer(uid=1, name="somebody", role=role)
    roles: tuple[Any, ...] = ("reader", "investigator", "administrator")
    assert [each for each in roles if peer.may(each)] == may


@pytest.mark.parametrize("name", ["zhang san", "张三", "user:root", "a\nb", "-rf", ""])
def test_name_of_a_user_is_always_an_actor_that_can_be_signed(name: str) -> None:
    actor = Peer(uid=1, name=name, role="reader").actor
    kind, _, id_ = actor.partition(":")
    assert kind == "user"
    assert id_.isascii()
    assert all(character.isalnum() or character in "._-" for character in id_)


@pytest.fixture
def as_user() -> Iterator[Callable[..., Any]]:
    """Ask a server from a process of another user that the file system lets reach it."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "control.sock"
        server = ControlServer(path, CALLS, SystemClock())
        server.start()

        def as_user(user: int, do: str, *, group: int | None = None) -> Any:
            script = """
                import json, os, socket, sys
                os.setgroups([])
                os.setgid(int(sys.argv[4]))
                os.setuid(int(sys.argv[3]))
                with socket.socket(socket.AF_UNIX) as connection:
                    try:
                        connection.connect(sys.argv[1])
                    except PermissionError:
                        print(json.dumps({"closed": True}))
                        sys.exit()
                    connection.sendall(json.dumps({"do": sys.argv[2]}).encode() + b"\\n")
                    print(connection.makefile().readline())
            """
            done = subprocess.run(
                [sys.executable, "-c", dedent(script), str(path), do, str(user), str(user if group is None else group)],
                capture_output=True,
                check=True,
            )
            return json.loads(done.stdout)

        as_user.path = path  # type: ignore[attr-defined]
        yield as_user
        server.stop()


@pytest.mark.root
@needs_root
def test_stranger_does_not_reach_the_socket(as_user: Callable[..., Any]) -> None:
    assert as_user(65_534, "who") == {"closed": True}


@pytest.mark.root
@needs_root
def test_user_of_the_group_reads_and_does_nothing_else(as_user: Callable[..., Any]) -> None:
    nobody = pwd.getpwuid(65_534).pw_name
    group = 0  # of the socket: that of who made it
    assert as_user(65_534, "who", group=group) == {"ok": [65_534, nobody, "reader", f"user:{nobody}"]}
    for do in ("export", "stop"):
        error = as_user(65_534, do, group=group)["error"]
        assert error["exit_code"] == 77
        assert "may not do" in error["message"]


@pytest.mark.root
@needs_root
def test_user_without_a_name_is_told_by_number(as_user: Callable[..., Any]) -> None:
    assert as_user(54_321, "who", group=0) == {"ok": [54_321, "uid-54321", "reader", "user:uid-54321"]}


def test_peer_is_who_the_kernel_says() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    assert peer_of(one) == Peer(uid=os.geteuid(), name=ME, role="administrator")
    one.close()
    other.close()


def test_request_that_hands_over_one_descriptor_after_the_other_is_refused(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "c.sock", {}, SystemClock())
    server.start()
    try:
        before = len(list(Path("/proc/self/fd").iterdir()))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, Path("/dev/null").open("rb") as handed:
            connection.connect(str(tmp_path / "c.sock"))
            for _ in range(3):
                socket.send_fds(connection, [b" "], [handed.fileno()])
            with connection.makefile("rb") as answers:
                assert "More descriptors" in json.loads(answers.readline())["error"]["message"]
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    finally:
        server.stop()
