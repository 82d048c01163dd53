"""Uploads sealed segments to central storage, verifies them there, and says so in `replica` entries.

Beside each original lie its chunk list, its entry, and its derivatives (EVIDENCE.md, section 9).
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from functools import partial

from edged.book.facts import DerivativeRow, SegmentRow
from edged.clock import rfc3339
from edged.errors import StoppedError, StorageError, UnavailableError
from edged.evidence.bodies import Replica
from edged.evidence.digests import Digester
from edged.evidence.ids import SegmentId
from edged.rules.retention import parse_until
from edged.station.due import Due
from edged.station.files import derivative_path, read_blocks
from edged.station.later import Later
from edged.station.parts import Parts
from edged.station.worker import IDLE_SECONDS
from edged.stores.port import Store, Upload
from edged.vault.vault import CHUNKS_FILE

_DERIVATIVES = 16


class ReplicateJob:
    """The second proof that clearance asks for (INV-1): a copy in central storage, checked by the store itself."""

    name = "upload"

    def __init__(self, parts: Parts, store: Store, *, at_once: int, horizon: timedelta) -> None:
        self._parts = parts
        self._store = store
        self._horizon = horizon
        self._pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="upload")
        self._at_once = at_once
        self._later = Later(parts.clock)
        self._due = Due(parts.book.facts, partial(parts.book.facts.without_replica, store.id))
        self._beside_up_to = 0

    @property
    def idle_seconds(self) -> float:
        """How long nothing that failed is to be tried again."""
        return self._later.pause_seconds(IDLE_SECONDS)

    @property
    def put_off(self) -> int:
        """How many segments failed and wait."""
        return self._later.put_off

    def step(self, stop: threading.Event) -> bool:
        """Upload a few segments at once, and the derivatives that were made meanwhile.

        One that fails holds up no other; the first error is raised when all of the batch are through.
        """
        due = self._later.ready(self._due.rows(4 * self._at_once + self._later.put_off))
        running = {segment.segment: self._pool.submit(self._replicate, segment, stop) for segment in due}
        for segment, upload in running.items():
            error = upload.exception()
            if error is None:
                self._later.succeeded(segment)
            elif not isinstance(error, StoppedError | UnavailableError):
                # A store that cannot be reached is no fault of this segment, which goes on as soon as it can be.
                self._later.failed(segment)
        for upload in running.values():
            upload.result()
        return bool(due) or self._put_derivatives(stop)

    def _put_derivatives(self, stop: threading.Event) -> bool:
        """Put derivatives beside their replicas; like `Due`, behind a mark up to which they are known to lie there."""
        facts = self._parts.book.facts
        newest = facts.last_derivative_position()
        beside = facts.derivatives_not_beside(self._store.id, after=self._beside_up_to, most=_DERIVATIVES)
        for each in beside:
            self._put_derivative(*each, stop)
        if not beside and not self._later.put_off:
            self._beside_up_to = newest
        return bool(beside)

    def _replicate(self, segment: SegmentRow, stop: threading.Event) -> None:
        parts = self._parts
        where = parts.place_of(segment)
        sealed = parts.sealed_digests(segment)
        until = self._locked_until(segment.segment)
        upload = Upload(
            key=where.key,
            source=parts.vault.original(where),
            part_digests=sealed.part_digests,
            size_bytes=sealed.size_bytes,
            locked_until=until,
        )
        stored = self._store.upload(upload, parts.book.work, stop)
        self._store.put(f"{where.folder}/{CHUNKS_FILE}", sealed.chunk_list, until)
        self._store.put(f"{where.folder}/entry.json", parts.book.ledger.bytes_at(segment.position), until)
        parts.book.ledger.append(
            Replica(
                segment=segment.segment,
                store=self._store.id,
                key=stored.key,
                version=stored.version,
                checksum=stored.checksum,
                checksum_type=stored.checksum_type,
                verified=stored.verified,
                method=stored.method,
                locked_until=None if stored.locked_until is None else rfc3339(stored.locked_until),
                lock_mode=stored.lock_mode,
                stored=None,
            )
        )

    def _put_derivative(self, segment: SegmentId, derivative: DerivativeRow, stop: threading.Event) -> None:
        parts = self._parts
        row = parts.book.facts.segment(segment)
        path = derivative_path(parts.config.paths.state, segment, derivative.kind)
        if row is not None and path is not None:
            digester = Digester()
            for block in read_blocks(path):
                digester.update(block)
            digests = digester.finish()
            if digests.sha256 != derivative.sha256:
                parts.book.work.settle(segment, f"upload {derivative.kind}", "it is not the one in the ledger")
                raise StorageError(f"The {derivative.kind} of {segment} on the station is not the one in the ledger.")
            upload = Upload(
                # In a folder of their own: an original may be called proxy.mp4.
                key=f"{parts.place_of(row).folder}/derivatives/{path.name}",
                source=path,
                part_digests=digests.part_digests,
                size_bytes=digests.size_bytes,
                locked_until=self._locked_until(segment),
            )
            self._store.upload(upload, parts.book.work, stop)
        parts.book.work.settle(segment, f"upload {derivative.kind}", "done")

    def _locked_until(self, segment: SegmentId) -> datetime:
        """Give the end of the object lock: the term's or the horizon, whichever is earlier (EVIDENCE.md, section 9)."""
        horizon = self._parts.clock.now() + self._horizon
        found = self._parts.book.facts.classification(segment)
        until = parse_until(found.retain_until) if found else "undetermined"
        if isinstance(until, str):
            return horizon
        return min(horizon, datetime.combine(until, time.max, UTC).replace(microsecond=0))
