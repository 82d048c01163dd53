"""Watches the free space of the station's disks, says so when it takes nothing in, and wakes who waits for room."""

import logging
import threading
from typing import Final

from edged.station.parts import Parts

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 2.0


class RoomJob:
    """Keeps the alarm `vault` up for as long as the station does not accept; the worker withdraws it."""

    name = "vault"
    idle_seconds = _LOOK_SECONDS

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @property
    def put_off(self) -> int:
        """Whether recorders wait: the alarm stays for so long."""
        return int(not self._parts.room.accepting())

    def step(self, stop: threading.Event) -> bool:
        """Measure; raises StorageError if a disk does not answer."""
        room = self._parts.room
        if not stop.is_set() and not room.look():
            hint = "Free space, or give it a larger disk; retire_after_days lets local copies go. It goes on by itself."
            if self._parts.live.alarm(self.name, room.short(), hint):
                _log.warning("%s %s", room.short(), hint)
        return False
