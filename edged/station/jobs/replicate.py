"""Uploads sealed segments to central storage, verifies them there, and says so in `replica` entries.

Beside each original lie its chunk list, its entry, and its derivatives (EVIDENCE.md, section 9).
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from functools import partial

from edged.book.facts import DerivativeRow, SegmentRow
from edged.clock import rfc3339
from edged.errors import EdgedError, StoppedError, StorageError, UnavailableError
from edged.evidence.bodies import Replica
from edged.evidence.digests import CHUNK_BYTES, Digester
from edged.evidence.ids import SegmentId
from edged.rules.retention import parse_until
from edged.station.due import Due, Mark
from edged.station.files import derivative_path, read_blocks
from edged.station.later import Later
from edged.station.parts import Parts
from edged.station.worker import IDLE_SECONDS
from edged.stores.port import Store, Stored, Upload
from edged.vault.place import CHUNKS_FILE

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
        self._due = Due(parts.book, f"replicate {store.id}", partial(parts.book.facts.without_replica, store.id))
        self._beside = Mark(parts.book.work, f"upload derivatives {store.id}")

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
        after, newest = self._beside.position, facts.last_derivative_position()
        beside = facts.derivatives_not_beside(self._store.id, after=after, most=_DERIVATIVES)
        for each in beside:
            self._put_derivative(*each, stop)
        if not beside and not self._later.put_off and newest != after:
            self._beside.move(newest)
        return bool(beside)

    def _replicate(self, segment: SegmentRow, stop: threading.Event) -> None:
        parts = self._parts
        where, sealed = parts.place_of(segment), parts.sealed_digests(segment)
        until = lock_end(parts, segment.segment, self._horizon)
        stored = store_original(parts, self._store, segment, until, stop)
        self._store.put(f"{where.folder}/{CHUNKS_FILE}", sealed.chunk_list, until)
        self._store.put(f"{where.folder}/entry.json", parts.book.ledger.bytes_at(segment.position), until)
        parts.book.ledger.append(replica(segment.segment, self._store, stored))

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
                locked_until=lock_end(parts, segment, self._horizon),
            )
            self._store.upload(upload, parts.book.work, stop)
        parts.book.work.settle(segment, f"upload {derivative.kind}", "done")


def store_original(parts: Parts, store: Store, segment: SegmentRow, until: datetime, stop: threading.Event) -> Stored:
    """Have a store hold an original, locked until `until`; one that it holds already is only locked for longer."""
    where, sealed = parts.place_of(segment), parts.sealed_digests(segment)
    upload = Upload(
        key=where.key,
        source=parts.vault.original(where),
        part_digests=sealed.part_digests,
        size_bytes=sealed.size_bytes,
        locked_until=until,
    )
    counted = Counted(parts, segment)
    try:
        stored = store.upload(upload, counted, stop)
    except EdgedError:
        counted.show(counted.left - segment.bytes)
        raise
    counted.show(counted.left)
    return stored


class Counted:
    """The notes of an upload, which also show how far it is."""

    def __init__(self, parts: Parts, segment: SegmentRow) -> None:
        self._parts = parts
        self._segment = segment
        self.left = segment.bytes
        """Bytes that were not shown yet."""

    def load(self, key: str) -> tuple[str, dict[int, str]] | None:
        """Give what is noted."""
        return self._parts.book.work.load(key)

    def begin(self, key: str, upload_id: str) -> None:
        """Note a new upload."""
        self._parts.book.work.begin(key, upload_id)

    def done(self, key: str, part: int, etag: str) -> None:
        """Note a part, and show it."""
        self._parts.book.work.done(key, part, etag)
        self.show(min(CHUNK_BYTES, self.left))

    def forget(self, key: str) -> None:
        """Forget an upload."""
        self._parts.book.work.forget(key)

    def show(self, size_bytes: int) -> None:
        """Show bytes as uploaded; below zero, take them back."""
        self.left -= size_bytes
        self._parts.live.secured(self._segment.docking, size_bytes)


def replica(segment: SegmentId, store: Store, stored: Stored) -> Replica:
    """Write what a store was shown to hold as a `replica` entry."""
    return Replica(
        segment=segment,
        store=store.id,
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


def lock_end(parts: Parts, segment: SegmentId, horizon: timedelta) -> datetime:
    """Give the end of the object lock: the term's or the horizon, whichever is earlier (EVIDENCE.md, section 9)."""
    latest = parts.clock.now() + horizon
    found = parts.book.facts.classification(segment)
    until = parse_until(found.retain_until) if found else "undetermined"
    if isinstance(until, str):
        return latest
    return min(latest, datetime.combine(until, time.max, UTC).replace(microsecond=0))
