"""The link to the broker: connected when something is to be told, one message after the other, each confirmed.

Guarantees: `deliver` returns only when the broker confirmed the message (PUBACK with a reason code that is no
refusal); every wait ends at once when the station stops, and after a bounded time if the broker is silent. The
protocol is MQTT 5 and no older one: before it, a broker that refuses a message confirms it all the same.
"""

import threading
from collections.abc import Callable
from typing import Final

from edged.clock import Clock
from edged.errors import StoppedError, UnavailableError
from edged.supervision.connection import Connection, Presence
from edged.supervision.settings import BrokerSettings

_OPEN_SECONDS: Final = 30.0
_ANSWER_SECONDS: Final = 20.0
_LEAVE_SECONDS: Final = 2.0


class Link:
    """The connection of one station, made anew whenever it was lost."""

    def __init__(self, settings: BrokerSettings, presence: Presence, *, clock: Clock, wake: threading.Event) -> None:
        """Nothing is sent yet. `wake` is set when the station stops, and is nobody else's; see `Connection`."""
        self._settings = settings
        self._presence = presence
        self._clock = clock
        self._wake = wake
        self._connection: Connection | None = None
        self._unanswered: int | None = None

    def open(self, stop: threading.Event) -> bool:
        """Connect unless connected, and say whether this is a new connection.

        Raises UnavailableError for whatever keeps the broker from taking the station, ConfigError when a
        certificate cannot be used, StoppedError.
        """
        if self._connection is not None and self._connection.up:
            return False
        if self._connection is None:
            self._connection = Connection(self._settings, self._presence, self._wake)
            self._connection.start()
        connection = self._connection
        if not self._wait(lambda: connection.up or connection.over, _OPEN_SECONDS, stop):
            connection.cut()
            raise UnavailableError(
                f"{self._settings.name} does not answer.", hint="It is tried again. Is something else listening there?"
            )
        if connection.up:
            return True
        lost = self._lost(connection)
        if connection.is_cut:  # and why was told then
            return self.open(stop)
        raise lost

    def deliver(self, topic: str, payload: bytes, *, retain: bool, stop: threading.Event) -> None:
        """Tell something, and wait until the broker has confirmed it.

        Raises UnavailableError when it did not, StoppedError; it may have taken the message all the same.
        """
        connection = self._connection
        if connection is None:
            raise UnavailableError(f"{self._settings.name} is not connected.", hint="It is tried again.")
        if connection.over:
            raise self._lost(connection)
        number = self._unanswered = connection.publish(topic, payload, retain=retain)
        answered = self._wait(lambda: connection.answer(number) is not None or connection.over, _ANSWER_SECONDS, stop)
        self._unanswered = None
        answer = connection.answer(number)
        if not answered:
            connection.cut()
            raise UnavailableError(
                f"{self._settings.name} confirmed nothing for {_ANSWER_SECONDS:.0f} s; the connection was given up.",
                hint="It is tried again. The broker or the network to it is overloaded.",
            )
        if answer is None:
            raise self._lost(connection)
        if answer.is_failure:
            trouble = connection.refusal(f"tell {topic}", answer)
            raise UnavailableError(trouble.text, hint=trouble.hint)

    def heard(self) -> set[str]:
        """Give the watched topics that others wrote to, or that the broker had kept, since the last call."""
        return set() if self._connection is None else self._connection.heard()

    def was_taken(self) -> bool:
        """Say whether the message that a stop interrupted was confirmed after all; waits a moment for it."""
        connection, number = self._connection, self._unanswered
        if connection is None or number is None:
            return False
        never = threading.Event()
        self._wait(lambda: connection.answer(number) is not None or connection.over, _LEAVE_SECONDS, never)
        answer = connection.answer(number)
        return answer is not None and not answer.is_failure

    def close(self, topic: str, last_words: bytes) -> None:
        """Say the last words and take leave, in a bounded time; where that fails, the broker tells the will."""
        connection, never = self._connection, threading.Event()
        if connection is None:
            return
        if not connection.up:
            connection.cut()
            return
        number = connection.publish(topic, last_words, retain=True)
        taken = self._wait(lambda: connection.answer(number) is not None or connection.over, _LEAVE_SECONDS, never)
        connection.end() if taken else connection.cut()
        self._wait(lambda: connection.over, _LEAVE_SECONDS, never)

    def _lost(self, connection: Connection) -> UnavailableError:
        """Forget a connection that is over, and say why it is."""
        self._connection = None
        return UnavailableError(connection.trouble.text, hint=connection.trouble.hint)

    def _wait(self, done: Callable[[], bool], seconds: float, stop: threading.Event) -> bool:
        """Wait until something is done, and say whether it is; raises StoppedError."""
        deadline = self._clock.monotonic() + seconds
        while not done():
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return False
            if stop.is_set():
                raise StoppedError("Telling the broker was stopped.")
            self._wake.wait(left)
            self._wake.clear()
        return True
