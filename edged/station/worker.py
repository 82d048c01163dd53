"""A worker: one thread that carries out what is due, over and over, until the station stops.

Guarantees: a failed step never ends the worker, is shown as an alarm until a later step succeeds, and is tried
again after a pause that grows to a minute; every wait ends at once on shutdown. This module holds the one broad
handler of edged: what nobody foresaw stops the step it happened in, is logged with its trace, and is tried again,
because a station has nobody to restart it. Nothing is lost by that: due work is derived from the book each time.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edged.errors import EdgedError, StoppedError
from edged.station.live import Live

_log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
IDLE_SECONDS = 30.0
"""How long most idle workers wait when nothing wakes them."""


class Job(Protocol):
    """A kind of work."""

    name: str

    @property
    def idle_seconds(self) -> float:
        """How long to wait when nothing was due and nothing wakes it; not less than a second."""

    @property
    def put_off(self) -> int:
        """How much work failed and waits to be tried again; the alarm about it stays for as long as there is some."""

    def step(self, stop: threading.Event) -> bool:
        """Do a bounded amount of what is due; says whether there was any. Raises EdgedError."""


class Pulse:
    """Wakes every worker when the facts change."""

    def __init__(self) -> None:
        self._waiting: list[threading.Event] = []

    def subscribe(self) -> threading.Event:
        """Give an event that each `beat` sets."""
        event = threading.Event()
        self._waiting.append(event)
        return event

    def unsubscribe(self, event: threading.Event) -> None:
        """Stop setting an event."""
        self._waiting.remove(event)

    def beat(self) -> None:
        """Wake all."""
        for event in list(self._waiting):
            event.set()


@dataclass
class Pauses:
    """How long to wait before trying again what failed: a second, doubled each time, a minute at most."""

    failures: int = 0

    def failed(self) -> float:
        """Count a failure and give the pause in seconds."""
        self.failures += 1
        return float(min(FIRST_PAUSE_SECONDS * 2 ** min(self.failures - 1, 16), LONGEST_PAUSE_SECONDS))

    def succeeded(self) -> None:
        """Begin again with the shortest pause."""
        self.failures = 0


class Worker(threading.Thread):
    """Runs one job."""

    def __init__(self, job: Job, *, live: Live, pulse: Pulse, stop: threading.Event) -> None:
        super().__init__(name=job.name, daemon=True)
        self._job = job
        self._live = live
        self._wake = pulse.subscribe()
        self._stopping = stop
        self._pauses = Pauses()

    def run(self) -> None:
        """Work until the station stops."""
        while not self._stopping.is_set():
            pause = guarded(
                self._step,
                source=self._job.name,
                live=self._live,
                pauses=self._pauses,
                well=lambda: not self._job.put_off,
            )
            if pause > 0 and self._pauses.failures:
                self._stopping.wait(pause)
            elif pause > 0:
                self._wake.wait(pause)
            # Before the next look at the facts and at `stop`: whoever changes them beats afterwards.
            self._wake.clear()

    def _step(self) -> float:
        return 0.0 if self._job.step(self._stopping) else self._job.idle_seconds


def guarded(
    step: Callable[[], float], *, source: str, live: Live, pauses: Pauses, well: Callable[[], bool] = lambda: True
) -> float:
    """Run a step, turn its failure into an alarm, and give the seconds to wait before the next.

    A step without a failure withdraws the alarm if all is `well` then.
    """
    try:
        wait = step()
    except StoppedError:
        return 0.0
    except EdgedError as error:
        if live.alarm(source, error.message, error.hint, because=type(error)):
            _log.warning("%s %s", error.message, error.hint)
        return pauses.failed()
    except Exception as error:  # noqa: BLE001 - the one worker boundary; see above
        if live.alarm(source, f"{source} failed unexpectedly: {error!r}.", "See the log; it is tried again."):
            _log.exception("failed unexpectedly")
        return pauses.failed()
    pauses.succeeded()
    if well() and live.calm(source):
        _log.info("works again")
    return wait
