"""Extends object locks well before they lapse, so that nothing falls unlocked (EVIDENCE.md, section 9).

A lock ends with the term or with the horizon, whichever is earlier. When half of the horizon is used up it is set
anew by the classification in force then, never to an earlier end, and a further `replica` entry says so.
"""

import threading
from datetime import timedelta

from edged.book.facts import SegmentRow
from edged.clock import from_rfc3339, rfc3339
from edged.station.jobs.replicate import lock_end, replica, store_original
from edged.station.later import Later
from edged.station.parts import Parts
from edged.stores.port import Store

_WORTH = timedelta(days=1)
"""A lock is not extended by less: its term ends, and disposal is next."""


class RelockJob:
    """Looks once an hour for locks that end too soon."""

    name = "lock"
    idle_seconds = 3600.0

    def __init__(self, parts: Parts, store: Store, *, horizon: timedelta) -> None:
        self._parts = parts
        self._store = store
        self._horizon = horizon
        self._later = Later(parts.clock)

    @property
    def put_off(self) -> int:
        """How many segments failed and wait."""
        return self._later.put_off

    def step(self, stop: threading.Event) -> bool:
        """Extend every lock that ends within half of the horizon and is meant to last longer."""
        facts = self._parts.book.facts
        soon = rfc3339(self._parts.clock.now() + self._horizon / 2)
        due = {locked.segment: locked.locked_until for locked in facts.locks_before(self._store.id, soon)}
        segments = [row for row in map(facts.segment, due) if row is not None]

        def extend(segment: SegmentRow) -> None:
            until = lock_end(self._parts, segment.segment, self._horizon)
            if until - from_rfc3339(due[segment.segment]) >= _WORTH:
                stored = store_original(self._parts, self._store, segment, until, stop)
                self._parts.book.ledger.append(replica(segment.segment, self._store, stored))

        self._later.each(self._later.ready(segments), extend)
        return False
