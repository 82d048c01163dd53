"""Runs one child process to its end: always drained, bounded in time, killed as a whole.

In this order: the child starts in a session of its own, with closed input and no other environment than is given;
its streams are read until every end of every pipe is closed, which means that nothing of it is left; of each stream
the beginning is kept and the rest thrown away, so that a talkative child neither hangs nor fills memory. When the
wall time is over, a stop is set, or anything is raised here, the whole group is killed first.
"""

import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from edged.clock import Clock
from edged.errors import ToolError

_MOST_STDOUT: Final = 1 << 20
_MOST_STDERR: Final = 1 << 16
_TICK_SECONDS: Final = 0.1
_DEATH_SECONDS: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a child left behind."""

    killed: bool
    """Whether it was killed here, for its wall time or for a stop."""
    code: int
    """Exit code; negative for the signal that ended it."""
    stdout: bytes
    stderr: bytes
    status: bytes
    """What was written to the status descriptor."""
    whole: bool
    """Whether `stdout` holds all that was written there."""


class _Beginning:
    """The first bytes of a stream."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.data = bytearray()
        self.whole = True

    def add(self, piece: bytes) -> None:
        room = self._most - len(self.data)
        self.whole = self.whole and len(piece) <= room
        self.data += piece[:room]


def run_child(
    command: Callable[[int], list[str]],
    *,
    wall_seconds: float,
    clock: Clock,
    stop: threading.Event,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run `command(status)`, where `status` is a descriptor for the child to report on; wait for its end.

    Raises ToolError if the first program of the command cannot be started.
    """
    status, report = os.pipe()
    try:
        try:
            child = _start(command(report), report, environment or {})
        finally:
            os.close(report)
        with child:
            return _watch(child, status, clock.monotonic() + wall_seconds, clock, stop)
    finally:
        os.close(status)


def _start(command: list[str], report: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd="/",
            pass_fds=(report,),
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise ToolError(f"{command[0]} cannot be started: {error.strerror}") from error


def _watch(
    child: subprocess.Popen[bytes], status: int, deadline: float, clock: Clock, stop: threading.Event
) -> Finished:
    assert child.stdout is not None  # noqa: S101 (a pipe was asked for)
    assert child.stderr is not None  # noqa: S101
    out, err, report = _Beginning(_MOST_STDOUT), _Beginning(_MOST_STDERR), _Beginning(_MOST_STDERR)
    streams = {child.stdout.fileno(): out, child.stderr.fileno(): err, status: report}
    killed = False
    with selectors.DefaultSelector() as ends:
        for end in streams:
            ends.register(end, selectors.EVENT_READ)
        try:
            while ends.get_map() and not stop.is_set() and clock.monotonic() < deadline:
                _drain(ends, streams)
        finally:
            if ends.get_map():
                killed = True
                # The child has not been waited for, so its number cannot have passed to another process.
                os.killpg(child.pid, signal.SIGKILL)
                give_up = clock.monotonic() + _DEATH_SECONDS
                while ends.get_map() and clock.monotonic() < give_up:
                    _drain(ends, streams)
    return Finished(
        killed=killed,
        code=child.wait(),
        stdout=bytes(out.data),
        stderr=bytes(err.data),
        status=bytes(report.data),
        whole=out.whole,
    )


def _drain(ends: selectors.BaseSelector, streams: Mapping[int, _Beginning]) -> None:
    """Take what has come, or wait a moment: a stop is an Event, which no selector can wait for."""
    for key, _ in ends.select(_TICK_SECONDS):
        piece = os.read(key.fd, 1 << 16)
        if piece:
            streams[key.fd].add(piece)
        else:
            ends.unregister(key.fd)
