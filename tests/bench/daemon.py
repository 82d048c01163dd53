"""The unmodified daemon on a large book, watched from outside: how soon it answers, what it takes when idle."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edged.clock import SystemClock
from edged.config import SOCKET
from edged.control.client import ask
from edged.errors import EdgedError, ToolError, UnavailableError
from tests.bench.report import Row
from tests.bench.rounds import make_cold
from tests.bench.setting import MIB, Setting
from tests.bench.station import BenchStation

_CLOCK: Final = SystemClock()
_PAUSE: Final = threading.Event()

_START_SECONDS: Final = 120
_STOP_SECONDS: Final = 30
_LOOK_SECONDS: Final = 0.01
_SETTLE_SECONDS: Final = 120
_QUIET: Final = 0.02
"""A daemon that took less of a core than this over a second has done what it does after a start."""


def watch(setting: Setting, station: BenchStation) -> list[Row]:
    """Start it once a round, and watch it idle the last time."""
    starts, resident, idle = [], [], 0.0
    for number in range(1, setting.scale.rounds + 1):
        setting.tell(f"daemon: start {number} of {setting.scale.rounds}")
        make_cold([station.state / "book.sqlite"])
        begun = _CLOCK.monotonic()
        with running(station, setting.folder / "daemon.log") as pid:
            starts.append(_CLOCK.monotonic() - begun)
            _settle(pid)
            resident.append(_resident_mib(pid))
            if number == setting.scale.rounds:
                setting.tell("daemon: idle")
                idle = _share(pid, setting.scale.idle_seconds)
    size = setting.scale.segments
    seconds = setting.scale.idle_seconds
    return [
        Row(what=f"start-up of the daemon, {size} segments", unit="s", edged=starts, at_most=2),
        Row(what=f"memory of the idle daemon, {size} segments", unit="MiB", edged=resident, at_most=150),
        Row(what=f"idle for {seconds:.0f} s, of a core", unit="%", edged=[100 * idle], at_most=0.5),
    ]


@contextmanager
def running(station: BenchStation, log: Path) -> Iterator[int]:
    """Hold a daemon that answers; gives its process id."""
    edged = Path(sys.executable).with_name("edged")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("ab") as output:
        daemon = subprocess.Popen(
            [str(edged), "run", "--config", str(station.config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=kept,
            start_new_session=True,  # so that Ctrl-C reaches only whoever stops it in order
        )
    try:
        _await_answer(daemon, station, log)
        yield daemon.pid
    finally:
        daemon.terminate()
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(_STOP_SECONDS)
        daemon.kill()
        daemon.wait()


def _await_answer(daemon: subprocess.Popen[bytes], station: BenchStation, log: Path) -> None:
    deadline = _CLOCK.monotonic() + _START_SECONDS
    while True:
        try:
            ask(station.state / SOCKET, "status")
        except UnavailableError as error:
            if daemon.poll() is not None or _CLOCK.monotonic() > deadline:
                said = log.read_text("utf-8", "replace").strip().splitlines() or ["nothing"]
                raise ToolError(f"The daemon does not start; it said: {said[-1]}") from error
            _PAUSE.wait(_LOOK_SECONDS)
        else:
            return


def _settle(pid: int) -> None:
    """Wait until the daemon has done what it does after a start; raises ToolError if it never comes to rest."""
    deadline = _CLOCK.monotonic() + _SETTLE_SECONDS
    while _share(pid, 1.0) > _QUIET:
        if _CLOCK.monotonic() > deadline:
            raise ToolError(f"The daemon is still busy {_SETTLE_SECONDS} s after its start, although nothing is due.")


def _share(pid: int, seconds: float) -> float:
    """Watch a process for a while; gives the share of one core it took."""
    begun, used = _CLOCK.monotonic(), _cpu_seconds(pid)
    _PAUSE.wait(seconds)
    return (_cpu_seconds(pid) - used) / (_CLOCK.monotonic() - begun)


def _cpu_seconds(pid: int) -> float:
    """Give the CPU time of all threads of a process, ended ones included, to the nanosecond."""
    # The clock's number is made as clock_getcpuclockid(3) makes it.
    return time.clock_gettime((~pid << 3) | 2)


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / MIB
    raise EdgedError(f"The kernel does not say how much memory process {pid} takes.")
