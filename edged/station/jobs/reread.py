"""Re-reads each sealed file of the vault past the page cache, and says so in a `replica` entry of store `vault`."""

import threading
from functools import partial

from edged.book.facts import SegmentRow
from edged.errors import StorageError, UnreadableError
from edged.evidence.bodies import Anomaly, Replica, Subject
from edged.evidence.ids import StoreId
from edged.station.due import Due
from edged.station.later import Later
from edged.station.parts import Parts
from edged.station.worker import IDLE_SECONDS
from edged.vault.reread import reread

_BATCH = 16


class RereadJob:
    """The first proof that clearance asks for (INV-1): the station's own copy, read from the disk itself."""

    name = "re-read"

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._later = Later(parts.clock)
        self._due = Due(parts.book, "replicate vault", partial(parts.book.facts.without_replica, "vault"))

    @property
    def idle_seconds(self) -> float:
        """How long nothing that failed is to be tried again."""
        return self._later.pause_seconds(IDLE_SECONDS)

    @property
    def put_off(self) -> int:
        """How many segments failed and wait."""
        return self._later.put_off

    def step(self, stop: threading.Event) -> bool:
        """Re-read a batch; raises NoProofError where reading back means nothing."""
        due = self._later.ready(self._due.rows(_BATCH + self._later.put_off))
        try:
            self._later.each(due, lambda segment: self._reread(segment, stop))
        except (StorageError, UnreadableError):
            # Those who wait for these copies look what is to be waited for.
            self._parts.pulse.beat()
            raise
        return bool(due)

    def _reread(self, segment: SegmentRow, stop: threading.Event) -> None:
        parts = self._parts
        where = parts.place_of(segment)
        told = partial(parts.live.secured, segment.docking)
        try:
            sealed = parts.sealed_digests(segment)
            found = reread(parts.vault.original(where), stop=stop, on_bytes=told)
        except (StorageError, UnreadableError):
            parts.unread[segment.segment] = parts.unread.get(segment.segment, 0) + 1
            raise
        parts.unread.pop(segment.segment, None)
        if found.digests != sealed:
            self._report(segment, found.digests.sha256)
            return
        parts.book.ledger.append(
            Replica(
                segment=segment.segment,
                store=StoreId("vault"),
                key=where.key,
                version=None,
                checksum=found.digests.sha256,
                checksum_type="SHA256",
                verified="read-back",
                method=found.method,
                locked_until=None,
                lock_mode=None,
                stored=None,
            )
        )

    def _report(self, segment: SegmentRow, found_sha256: str) -> None:
        """Say that the disk gave other bytes than were sealed: never cleared, so the recorder keeps its file."""
        parts = self._parts
        parts.book.work.settle(segment.segment, "replicate vault", "the disk gave other bytes than were sealed")
        parts.book.ledger.append(
            Anomaly(
                kind="vault-copy-differs",
                docking=segment.docking,
                subject=Subject(kind="segment", id=segment.segment),
                detail={"sealed_sha256": segment.sha256, "found_sha256": found_sha256},
            )
        )
        raise StorageError(
            f"The vault's copy of {segment.segment} is not what was sealed; its recorder will not be erased.",
            hint="Keep the recorder, check the vault's disk, and look at the anomaly in `edged ledger show`.",
        )
