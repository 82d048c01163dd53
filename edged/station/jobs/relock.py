"""Extends object locks well before they lapse, so that nothing falls unlocked (EVIDENCE.md, section 9).

A lock ends with the term or with the horizon, whichever is earlier. When half of the horizon is used up it is set
anew by the classification in force then, never to an earlier end, and a further `replica` entry says so.
"""

import threading
from datetime import datetime, timedelta

from edged.book.facts import ReplicaRow, SegmentRow
from edged.clock import from_rfc3339, rfc3339
from edged.station.jobs.replicate import lock_end, replica, store_original
from edged.station.later import Later
from edged.station.parts import Parts
from edged.stores.port import Store, Stored, Upload

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
                stored = self._locked(segment, until, stop)
                self._parts.book.ledger.append(replica(segment.segment, self._store, stored))

        self._later.each(self._later.ready(segments), extend)
        return False

    def _locked(self, segment: SegmentRow, until: datetime, stop: threading.Event) -> Stored:
        """Have a copy locked; one that is not what was sealed is stored anew, for as long as the vault has it, too."""
        facts = self._parts.book.facts
        if facts.retired(segment.segment, "vault") is None:
            return store_original(self._parts, self._store, segment, until, stop)
        (replica,) = [row for row in facts.replicas(segment.segment) if row.store == self._store.id]
        return self._store.confirm(held_upload(self._parts, segment, replica, until), replica.version, stop)


def held_upload(parts: Parts, segment: SegmentRow, replica: ReplicaRow, until: datetime | None) -> Upload:
    """Give what a store is to confirm of a copy; the vault's own file may be gone."""
    sealed = parts.sealed_digests(segment)
    return Upload(
        key=replica.key,
        source=parts.vault.original(parts.place_of(segment)),
        part_digests=sealed.part_digests,
        size_bytes=sealed.size_bytes,
        locked_until=until,
    )
