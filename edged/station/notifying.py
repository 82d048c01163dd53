"""What systemd is told of the daemon: that it is ready, what it does, that it is alive, that it stops (sd_notify(3)).

Guarantees: a sign of life is sent only after `check` has returned, so a daemon whose workers ended or whose book does
not answer is started anew by systemd (`WatchdogSec=`). Without systemd nothing is sent and nothing runs.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, MutableMapping
from typing import Final

from edged.errors import EdgedError

_log = logging.getLogger(__name__)

_STATUS_SECONDS: Final = 30.0
_JOIN_SECONDS: Final = 2.0


class Notifier:
    """Tells systemd, if systemd asked for it."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Take what systemd left in the environment out of it, so that no child takes it for its own."""
        address = environment.pop("NOTIFY_SOCKET", "")
        # An abstract address begins with a zero byte, which no environment can hold.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        for_us = environment.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.pop("WATCHDOG_USEC", "")
        self._watchdog = for_us and microseconds.isdecimal() and int(microseconds) > 0
        self.seconds = int(microseconds) / 2_000_000 if self._watchdog else _STATUS_SECONDS
        """How often it is told."""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def tell(self, *lines: str) -> None:
        """Send `NAME=value` lines; who does not listen misses them."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.settimeout(_JOIN_SECONDS)
            try:
                connection.sendto("\n".join(lines).encode(), self._address)
            except OSError as error:
                _log.debug("systemd was not told: %s", error)

    def ready(self, check: Callable[[], str]) -> None:
        """Say that the daemon is ready, and from then on that it lives, for as long as `check` gives a status.

        `check` raises EdgedError saying what is dead, or does not return.
        """
        self.tell("READY=1")
        if self._address:
            self._thread = threading.Thread(target=self._live, args=(check,), name="watchdog", daemon=True)
            self._thread.start()

    def stopping(self) -> None:
        """Say that the daemon stops; how long that may take is the unit's matter."""
        self._stopping.set()
        self.tell("STOPPING=1", "STATUS=stopping")
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)

    def _live(self, check: Callable[[], str]) -> None:
        while True:
            try:
                status = " ".join(check().split())
            except EdgedError as error:
                _log.error("no sign of life: %s", error.message)
            else:
                self.tell(f"STATUS={status}", *(["WATCHDOG=1"] if self._watchdog else []))
            if self._stopping.wait(self.seconds):
                return
