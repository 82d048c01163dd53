"""Ends the dockings whose recorders left without anybody ending them.

They left while the station was down, or at a moment when the book could not be written. A recorder whose docking was
open when the station stopped may take a while to show up again, and is waited for.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from edged.book.facts import DockingRow
from edged.station.parts import Parts
from edged.station.releasing import end_absent
from edged.station.worker import IDLE_SECONDS

_PATIENCE_SECONDS: Final = 10.0
"""How long after the start a recorder with an open docking may take to show up again."""


class AbsentJob:
    """The job that looks for such dockings."""

    name = "absent"
    put_off = 0

    def __init__(self, parts: Parts, has_recorder: Callable[[str], bool]) -> None:
        """`has_recorder` says whether there is one in a bay."""
        self._parts = parts
        self._has_recorder = has_recorder
        self._due = parts.clock.monotonic() + _PATIENCE_SECONDS + parts.config.bays.settle_seconds

    @property
    def idle_seconds(self) -> float:
        """How long there is nothing to look for."""
        left = self._due - self._parts.clock.monotonic()
        return max(1.0, left) if left > 0 else IDLE_SECONDS

    def step(self, stop: threading.Event) -> bool:
        """End what is open of recorders that are not there."""
        parts = self._parts
        if parts.clock.monotonic() < self._due:
            return False
        for docking in parts.book.facts.open_dockings():
            if self._is_absent(docking) and not stop.is_set():
                # It may come back until nobody else can go on with its docking.
                end_absent(parts, docking, absent=partial(self._is_absent, docking))
        return False

    def _is_absent(self, docking: DockingRow) -> bool:
        # In this order: a bay that ends its docking gives its claim back after that.
        return not (self._has_recorder(docking.bay) or self._parts.claims.holds(docking.bay))
