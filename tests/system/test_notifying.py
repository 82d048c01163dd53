"""What systemd hears of the daemon, on a real datagram socket."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edged.clock import SystemClock
from edged.errors import EdgedError
from edged.station.notifying import Notifier
from tests.crash.station import Station, environment

PROGRAM = "from edged.cli.main import main; main()"
WORKER_ENDS = (
    "from edged.station.worker import Worker; run = Worker.run; "
    "Worker.run = lambda self: None if self.name == 'classify' else run(self); "
)
BOOK_HANGS = (
    "import pathlib, threading; from edged.book.ledger import Ledger; size = Ledger.size; "
    "Ledger.size = lambda self: threading.Event().wait() if pathlib.Path('hang').exists() "
    "and threading.current_thread().name == 'watchdog' else size(self); "
)
SECONDS = 60.0


class Listener:
    """Stands where systemd listens."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)

    def hear(self, seconds: float) -> str | None:
        """Give the next message; None if there is none in time."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(4096).decode()
        except TimeoutError:
            return None

    def until(self, line: str) -> str:
        """Give the first message with a line."""
        while (heard := self.hear(SECONDS)) is not None:
            if line in heard.split("\n"):
                return heard
        raise AssertionError(f"{line} was not heard")

    def silence(self, line: str, seconds: float) -> bool:
        """Say whether a line is not heard for so long, once what was sent before is taken away."""
        while self.hear(0.001) is not None:
            pass
        clock = SystemClock()
        end = clock.monotonic() + seconds
        while (left := end - clock.monotonic()) > 0:
            heard = self.hear(left)
            if heard is not None and line in heard.split("\n"):
                return False
        return True


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    made = Listener(str(tmp_path / "notify"))
    yield made
    made.socket.close()


@contextmanager
def daemon(folder: Path, *, before: str = "", watchdog_ms: int = 400) -> Iterator[subprocess.Popen[bytes]]:
    """Run the real daemon as systemd would."""
    station = Station(folder=folder / "station", store=None)
    station.folder.mkdir()
    station.make()
    with (folder / "log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-c", before + PROGRAM, "run", "--config", str(station.config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment(
                NOTIFY_SOCKET=str(folder / "notify"),
                WATCHDOG_USEC=str(watchdog_ms * 1000),
                PYTHONPATH=str(Path(__file__).parents[2]),
            ),
            start_new_session=True,
        )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_daemon_says_that_it_is_ready_lives_and_stops(tmp_path: Path, listener: Listener) -> None:
    with daemon(tmp_path) as child:
        listener.until("READY=1")
        alive = listener.until("WATCHDOG=1")
        assert "STATUS=0 recorders docked, 1 entries in the ledger; alarms: store" in alive
        assert "WATCHDOG=1" in listener.until("WATCHDOG=1")
        child.send_signal(signal.SIGTERM)
        listener.until("STOPPING=1")
        assert child.wait(SECONDS) == 0
        assert listener.silence("WATCHDOG=1", 0.5)


def test_daemon_that_is_stopped_in_its_tracks_gives_no_sign_of_life(tmp_path: Path, listener: Listener) -> None:
    with daemon(tmp_path) as child:
        listener.until("WATCHDOG=1")
        child.send_signal(signal.SIGSTOP)
        assert listener.silence("WATCHDOG=1", 1.0)
        child.send_signal(signal.SIGCONT)
        listener.until("WATCHDOG=1")


def test_daemon_whose_book_hangs_gives_no_sign_of_life(tmp_path: Path, listener: Listener) -> None:
    with daemon(tmp_path, before=BOOK_HANGS):
        listener.until("WATCHDOG=1")
        (tmp_path / "hang").touch()
        assert listener.silence("WATCHDOG=1", 0.5) or listener.silence("WATCHDOG=1", 1.0)


def test_daemon_one_of_whose_workers_ended_gives_no_sign_of_life(tmp_path: Path, listener: Listener) -> None:
    with daemon(tmp_path, before=WORKER_ENDS):
        listener.until("READY=1")
        assert listener.silence("WATCHDOG=1", 1.5)
        assert "no sign of life: The worker classify has ended." in (tmp_path / "log").read_text("utf-8")


# ------------------------------------------------------------------------------------------------------ the notifier


def test_without_systemd_nothing_runs(tmp_path: Path) -> None:
    del tmp_path
    notifier = Notifier({})
    before = threading.active_count()
    notifier.ready(lambda: "fine")
    assert threading.active_count() == before
    notifier.stopping()


def test_environment_is_not_left_to_children(listener: Listener) -> None:
    given = {
        "NOTIFY_SOCKET": listener.socket.getsockname(),
        "WATCHDOG_USEC": "1000000",
        "WATCHDOG_PID": "1",
        "HOME": "/",
    }
    notifier = Notifier(given)
    assert given == {"HOME": "/"}
    notifier.tell("READY=1")
    assert listener.hear(1.0) == "READY=1"


def test_watchdog_of_another_process_is_not_ours(listener: Listener) -> None:
    notifier = Notifier(
        {"NOTIFY_SOCKET": listener.socket.getsockname(), "WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid() + 1)}
    )
    notifier.ready(lambda: "fine")
    assert listener.hear(1.0) == "READY=1"
    assert listener.hear(1.0) == "STATUS=fine"
    notifier.stopping()


def test_abstract_address_is_understood() -> None:
    made = Listener(f"\0edged-test-{os.getpid()}")
    notifier = Notifier({"NOTIFY_SOCKET": f"@edged-test-{os.getpid()}"})
    notifier.tell("STATUS=x")
    assert made.hear(1.0) == "STATUS=x"
    made.socket.close()


def test_status_of_many_lines_cannot_say_more_than_a_status(listener: Listener) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": listener.socket.getsockname(), "WATCHDOG_USEC": "100000"})
    notifier.ready(lambda: "odd\nMAINPID=1")
    listener.until("READY=1")
    assert listener.hear(1.0) == "STATUS=odd MAINPID=1\nWATCHDOG=1"
    notifier.stopping()


def test_systemd_that_went_away_does_no_harm(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "20000"})
    told = threading.Event()

    def check() -> Any:
        told.set()
        return "fine"

    notifier.ready(check)
    assert told.wait(5.0)
    notifier.stopping()


@pytest.mark.parametrize("fault", [EdgedError("dead")])
def test_fault_keeps_the_sign_of_life_back_until_it_is_gone(listener: Listener, fault: EdgedError) -> None:
    faults = [fault, fault]

    def check() -> str:
        if faults:
            raise faults.pop()
        return "fine"

    checked: Callable[[], str] = check
    notifier = Notifier({"NOTIFY_SOCKET": listener.socket.getsockname(), "WATCHDOG_USEC": "50000"})
    notifier.ready(checked)
    listener.until("READY=1")
    assert listener.hear(2.0) == "STATUS=fine\nWATCHDOG=1"
    assert not faults
    notifier.stopping()
