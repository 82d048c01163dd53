"""Takes files off a recorder and seals them: copy, digest, make durable, then the `segment` entry.

The order is what the proof rests on: an entry is written only for bytes that are durable in the vault (INV-3), and
a file whose bytes were sealed before gets a `sighting`, which also rests on all of its bytes having been read
again. While one file is being sealed the next is being copied.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from edged.bays.claims import FileClaims
from edged.bays.inventory import Item
from edged.bays.safe_files import FileGoneError, NotAFileError, open_file
from edged.bays.source import Docked
from edged.book.facts import DockingRow
from edged.errors import EdgedError, RecorderError, ToolError
from edged.evidence import bodies
from edged.evidence.digests import CHUNK_BYTES, Digests
from edged.evidence.ids import SegmentId, segment_id
from edged.media.facts import MediaFacts, body
from edged.offload.copying import copy, digest
from edged.station.parts import Parts
from edged.vault.durable import Draft
from edged.vault.vault import place

_log = logging.getLogger(__name__)

_CONTAINER_UNCERTAINTY_MS = 1000
"""Times in containers count whole seconds."""
_UNEXAMINED = "not examined: ffprobe or its sandbox could not be used at the station"
_AHEAD = 2
"""How many files may be copied and wait for their sealing."""


class Sealer:
    """Seals the files of one docking, in order, on a thread of its own beside the copying one."""

    def __init__(self, parts: Parts, docked: Docked, docking: DockingRow, gone: threading.Event) -> None:
        self._parts = parts
        self._docked = docked
        self._docking = docking
        self._gone = gone
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"seal {docked.bay}")
        self._running: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until everything that was copied is sealed; raises what went wrong with it."""
        self._thread.shutdown()
        if error is None:
            self._collect(0)

    def take(self, item: Item, claims: FileClaims) -> bool:
        """Copy one file and hand it on to be sealed, or sight it; says whether it could be read.

        A file that cannot be read although its recorder is there is an anomaly and stays on the card. Raises
        RecorderError when the recorder left, StorageError or FullError when the vault refuses, StoppedError.
        """
        self._collect(_AHEAD)
        try:
            if self._sight(item):
                return True
            self._copy(item, claims)
        except RecorderError as error:
            self._docked.root.check()
            self._report(item, error)
            return False
        return True

    def _sight(self, item: Item) -> bool:
        """Recognise a file that an earlier docking sealed under this path, by reading all of it again."""
        facts = self._parts.book.facts
        known = facts.segment_last_found_at(
            recorder=self._docking.recorder, path=item.path, size_bytes=item.size_bytes or 0
        )
        if known is None:
            return False
        with _opened(self._docked, item) as source:
            found = digest(source, on_bytes=self._on_bytes, stop=self._gone)
        if found.sha256 != known.sha256:
            self._parts.live.progress(self._docked.bay, -found.size_bytes)
            return False
        self._write_sighting(known.segment, item)
        return True

    def _copy(self, item: Item, claims: FileClaims) -> None:
        self._parts.vault.make_room(item.size_bytes or 0)
        draft = self._parts.vault.draft()
        try:
            with _opened(self._docked, item) as source:
                sm3 = self._parts.config.ledger.sm3
                digests = copy(source, draft, on_bytes=self._on_bytes, stop=self._gone, sm3=sm3)
        except EdgedError:
            draft.discard()
            raise
        self._running.append(self._thread.submit(self._seal, draft, item, claims, digests))

    def _seal(self, draft: Draft, item: Item, claims: FileClaims, digests: Digests) -> None:
        parts, docking = self._parts, self._docking
        with draft:
            segment = segment_id(docking.recorder, digests.sha256)
            if parts.book.facts.segment(segment) is not None:
                self._write_sighting(segment, item)
                return
            media, facts = self._probe(draft)
            recorded = _recorded(claims, facts)
            where = place(
                recorder=docking.recorder,
                segment=segment,
                path=item.path,
                day=recorded.start or recorded.end or docking.began,
            )
            parts.vault.keep(draft, where, digests)
        body = bodies.Segment(
            segment=segment,
            docking=docking.docking,
            path=item.path,
            bytes=digests.size_bytes,
            sha256=digests.sha256,
            sm3=digests.sm3,
            chunks=bodies.Chunks(size=CHUNK_BYTES, count=digests.chunk_count, sha256=digests.chunks_sha256),
            recorder=docking.recorder,
            recorder_seq=1,
            recorder_prev=None,
            officer=claims.officer or docking.officer,
            recorded=recorded,
            media=media,
            important=claims.important,
            side_of=self._segment_of(claims.side_of),
            quarantine=None,
        )
        changed = [] if digests.size_bytes == item.size_bytes else [self._changed(segment, item, digests)]
        parts.book.ledger.append(body, *changed)
        self._count()

    def _probe(self, draft: Draft) -> tuple[bodies.Media | bodies.Unreadable, MediaFacts | None]:
        """Say what the file is, in the sandbox; without one the file is sealed all the same, unexamined."""
        try:
            found = self._parts.media.probe(draft.temporary, self._parts.stop)
        except ToolError as error:
            _log.warning("a file is sealed unexamined: %s", error.message)
            return bodies.Unreadable(unreadable=_UNEXAMINED), None
        return body(found), found if isinstance(found, MediaFacts) else None

    def _segment_of(self, path: str | None) -> SegmentId | None:
        if path is None:
            return None
        found = self._parts.book.facts.found_at(self._docking.docking, path)
        return None if found is None else found.segment

    def _write_sighting(self, segment: SegmentId, item: Item) -> None:
        self._parts.book.ledger.append(bodies.Sighting(segment=segment, docking=self._docking.docking, path=item.path))
        self._count()

    def _changed(self, segment: SegmentId, item: Item, digests: Digests) -> bodies.Anomaly:
        return bodies.Anomaly(
            kind="changed-after-inventory",
            docking=self._docking.docking,
            subject=bodies.Subject(kind="segment", id=segment),
            detail={"path": item.path, "listed_bytes": item.size_bytes, "sealed_bytes": digests.size_bytes},
        )

    def _report(self, item: Item, error: RecorderError) -> None:
        kind = "gone-after-inventory" if isinstance(error, FileGoneError) else "unreadable"
        if isinstance(error, NotAFileError):
            kind = "not-a-file"
        _log.warning("bay %s: a file cannot be taken: %s", self._docked.bay, error.message)
        self._parts.book.ledger.append(
            bodies.Anomaly(
                kind=kind,
                docking=self._docking.docking,
                subject=bodies.Subject(kind="docking", id=self._docking.docking),
                detail={"path": item.path, "what": error.message},
            )
        )

    def _count(self) -> None:
        self._parts.live.count_file(self._docked.bay)

    def _on_bytes(self, read_bytes: int) -> None:
        self._parts.live.progress(self._docked.bay, read_bytes)

    def _collect(self, most: int) -> None:
        while len(self._running) > most:
            self._running.popleft().result()


@contextmanager
def _opened(docked: Docked, item: Item) -> Iterator[int]:
    """Hold a file of the card open."""
    fd = open_file(docked.root, item.path)
    try:
        yield fd
    finally:
        os.close(fd)


def _recorded(claims: FileClaims, facts: MediaFacts | None) -> bodies.Recorded:
    """Give the recorder's claim of when it recorded: by the file's name, else its container, else its last change."""
    length = None if facts is None or facts.duration_ms is None else timedelta(milliseconds=facts.duration_ms)
    if claims.started is None and facts is not None and facts.creation_time is not None:
        created = facts.creation_time
        return bodies.Recorded(
            start=_text(created),
            end=_text(_plus(created, length)),
            zone="UTC",
            source="container",
            uncertainty_ms=_CONTAINER_UNCERTAINTY_MS,
        )
    start, end = claims.started, claims.ended
    if start is not None and length is not None:
        end = _plus(start, length)
    elif end is not None and length is not None:
        start = _plus(end, -length)
    return bodies.Recorded(
        start=_text(start),
        end=_text(end),
        zone=claims.zone,
        source=claims.source,
        uncertainty_ms=claims.uncertainty_ms,
    )


def _plus(moment: datetime, length: timedelta | None) -> datetime | None:
    try:
        return None if length is None else moment + length
    except OverflowError:
        return None


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
