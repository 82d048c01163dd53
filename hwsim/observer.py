"""Somebody who listens to stations at a broker: `mosquitto_sub -t 'edged/#' -v`, with a record of all it printed.

Guarantees: the record is what mosquitto_sub wrote and nothing else; it listens under a name of its own and at QoS 1,
so that the broker keeps for it what comes while the two are apart, also over a stop and a new start of the broker.
"""

import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from edged.clock import Clock, SystemClock
from edged.errors import MalformedError, ToolError
from hwsim.broker import Mosquitto, tool

_TAKEN_AWAY: Final = b"(null)"
"""What mosquitto_sub prints for a message without content, by which what was retained is taken away."""

_START_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 5
_CUT_OFF: Final = 14
"""With what mosquitto_sub ends when its connection breaks in the middle of a TLS handshake."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One line of the record."""

    topic: str
    payload: bytes | None
    """None where what was retained was taken away."""


class Observer:
    """One listener; a context manager around the time in which it listens."""

    def __init__(self, broker: Mosquitto, record: Path, *, options: Sequence[str] = (), name: str = "observer") -> None:
        """`record` is made anew, and `NAME.err` beside it for complaints; `options` say who it is to the broker."""
        self._broker = broker
        self._record = record
        self._complaints = record.with_suffix(".err")
        self._options = tuple(options)
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start to listen, and wait until the broker has taken the subscription; raises ToolError."""
        self._listen("wb")
        clock, pause = SystemClock(), threading.Event()
        end = clock.monotonic() + _START_SECONDS
        while f"Sending SUBACK to {self._name}" not in self._broker.log():
            self.check_alive()
            if clock.monotonic() > end:
                raise ToolError(f"mosquitto_sub does not get through to the broker: {self._last_words()}")
            pause.wait(_LOOK_SECONDS)

    def _listen(self, mode: Literal["wb", "ab"]) -> None:
        where = ("-h", self._broker.host, "-p", str(self._broker.port), "-V", "mqttv5")
        command = [tool("mosquitto_sub"), *where, *self._options, "-q", "1", "-c", "-i", self._name]
        with self._record.open(mode) as record, self._complaints.open(mode) as complaints:
            self._process = subprocess.Popen(
                [*command, "-t", "edged/#", "-v"],
                cwd=self._record.parent,
                stdin=subprocess.DEVNULL,
                stdout=record,
                stderr=complaints,
                start_new_session=True,  # so that Ctrl-C reaches only whoever stops it in order
            )

    def stop(self) -> None:
        """End it; the record stays, and loses the complaints beside it if there were none."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
            self._process.kill()
            self._process.wait()
            self._process = None
        with suppress(FileNotFoundError):
            if not self._complaints.stat().st_size:
                self._complaints.unlink()

    def check_alive(self) -> None:
        """Raise ToolError with its last words if it ended by itself; one that was cut off listens on."""
        if self._process is not None and (code := self._process.poll()) is not None:
            if code == _CUT_OFF:
                self._listen("ab")
                return
            raise ToolError(f"mosquitto_sub ended with exit code {code}: {self._last_words()}")

    def messages(self) -> list[Message]:
        """Give what was heard so far, in order; raises MalformedError for a line that has no topic."""
        whole, _, _ = self._record.read_bytes().rpartition(b"\n")
        return [_message(line) for line in whole.split(b"\n")] if whole else []

    def wait_for(self, what: Callable[[Sequence[Message]], bool], clock: Clock, seconds: float) -> list[Message] | None:
        """Wait until what was heard is so; gives it, or None after `seconds`. Raises ToolError if it ended."""
        end, pause = clock.monotonic() + seconds, threading.Event()
        while not what(heard := self.messages()):
            self.check_alive()
            if clock.monotonic() > end:
                return None
            pause.wait(_LOOK_SECONDS)
        return heard

    def _last_words(self) -> str:
        said = self._complaints.read_text("utf-8", "replace").strip().splitlines()
        return said[-1] if said else "it said nothing"


def _message(line: bytes) -> Message:
    topic, is_one, payload = line.partition(b" ")
    if not is_one:
        raise MalformedError(f"mosquitto_sub printed {line!r}, which is no topic and payload")
    return Message(topic=topic.decode("utf-8", "replace"), payload=None if payload == _TAKEN_AWAY else payload)
