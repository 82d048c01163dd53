"""Filling a station's book with segments for which everything is done: what a station looks like after years.

Every entry goes through `Ledger.append` and says what the real ones say: dockings of 200 files, each file sealed,
re-read, in central storage, classified to a case, and settled as to derivatives. The ledger is signed, and the
store holds its checkpoint, so that a daemon finds nothing to do. Only the footage itself does not exist.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from edged import keys
from edged.book import Book
from edged.clock import Clock
from edged.evidence import bodies, canonical
from edged.evidence.digests import CHUNK_BYTES, sha256_hex
from edged.evidence.ids import (
    CaseId,
    DockingId,
    MatterId,
    OfficerId,
    RecorderId,
    RuleId,
    SegmentId,
    Sha256,
    StageId,
    StoreId,
    segment_id,
)
from edged.evidence.note import Checkpoint
from edged.station.files import KEYS
from edged.stores.port import Store
from tests.bench.station import STATION, BenchStation

PER_DOCKING: Final = 200
_RECORDERS: Final = 100
_SIZE_BYTES: Final = 40 * CHUNK_BYTES


class Filled(NamedTuple):
    """How many entries the book holds, and how long it took to append them."""

    entries: int
    seconds: float


def fill(station: BenchStation, clock: Clock, store: Store, *, segments: int, tell: Callable[[str], None]) -> Filled:
    """Fill the book, sign and publish its head."""
    book = Book(station.state, station=STATION, clock=clock)
    try:
        begun = clock.monotonic()
        for number, first in enumerate(range(0, segments, PER_DOCKING)):
            tell(f"ledger: filling the book, {first} of {segments} segments")
            _dock(book, number, range(first, min(first + PER_DOCKING, segments)))
        seconds = clock.monotonic() - begun
        _publish(book, station, store)
        return Filled(entries=book.ledger.size(), seconds=seconds)
    finally:
        book.close()


def sealed(number: int, docking: DockingId, recorder: RecorderId) -> bodies.Segment:
    """Give the body of a segment: eleven minutes in 320 MiB."""
    digest = sha256_hex(f"file {number}".encode())
    return bodies.Segment(
        segment=segment_id(recorder, digest),
        docking=docking,
        path=f"VIDEO/20261121/{number % 86_400:06d}_{number % 100_000:05d}.MP4",
        bytes=_SIZE_BYTES,
        sha256=digest,
        chunks=bodies.Chunks(count=40, sha256=sha256_hex(digest.encode())),
        recorder=recorder,
        recorder_seq=1,
        recorder_prev=None,
        officer=OfficerId(f"P{number % 500:06d}"),
        recorded=bodies.Recorded(
            start="2026-11-21T08:00:00.000+08:00",
            end="2026-11-21T08:11:00.000+08:00",
            zone="Asia/Shanghai",
            source="filename",
            uncertainty_ms=1000,
        ),
        media=bodies.Media(container="mp4", video="h264", audio="aac", duration_ms=660_000),
        important=False,
        side_of=None,
        quarantine=None,
    )


def docking_id(number: int) -> DockingId:
    """Give the id of a docking by its number."""
    return DockingId(f"dk-20261121-{number:08x}")


def docked(book: Book, number: int, files: int) -> tuple[DockingId, RecorderId]:
    """Append a docking of so many files."""
    docking, recorder = docking_id(number), RecorderId(f"rec-{number % _RECORDERS:04d}")
    # The files themselves are left out of it: nothing of the bench reads them, and they would double the book.
    inventory = canonical.encode({"v": 1, "docking": docking, "filesystem": None, "items": []})
    body = bodies.Docking(
        docking=docking,
        bay="bay-1",
        recorder=bodies.RecorderInfo(id=recorder, vendor="bench", model="card", serial=recorder, known=True),
        officer=None,
        inventory_sha256=sha256_hex(inventory),
        files=files,
        bytes=files * _SIZE_BYTES,
        clock_offset_ms=None,
        clock_uncertainty_ms=None,
        clock_set=False,
        missing=0,
    )
    book.ledger.append(body, documents=[inventory])
    return docking, recorder


def undocked(docking: DockingId, files: int) -> bodies.Undocking:
    """Give the end of a docking whose files were left on the card."""
    return bodies.Undocking(docking=docking, outcome="kept", remaining=files)


def _dock(book: Book, number: int, files: range) -> None:
    with book.database.write():
        docking, recorder = docked(book, number, len(files))
        segments = [sealed(file, docking, recorder) for file in files]
        book.ledger.append(*segments)
        book.ledger.append(*(body for segment in segments for body in _after(segment)))
        for segment in segments:
            book.work.settle(segment.segment, "derive poster", "done")
            book.work.settle(segment.segment, "derive proxy", "done")
        book.ledger.append(undocked(docking, len(files)))


def _after(segment: bodies.Segment) -> Iterator[bodies.Body]:
    key = f"segments/{segment.recorder}/2026/11/21/{segment.segment}/{segment.path.rpartition('/')[2]}"
    yield _replica(segment.segment, "vault", key, None)
    yield _replica(segment.segment, "central", key, hashlib.sha256(key.encode()).hexdigest()[:32])
    yield bodies.Classification(
        segment=segment.segment,
        case=CaseId(f"C-2026-{int(segment.sha256[:8], 16) % 100_000:06d}"),
        matter=MatterId("penalty"),
        stage=StageId("closed"),
        secrecy=None,
        publicity=None,
        rule=RuleId("five-years"),
        clause="1",
        policy=Sha256("0" * 64),
        retain_until="2031-11-21",
        basis="feed",
        confidence=100,
        supersedes=None,
    )


def _replica(segment: SegmentId, store: str, key: str, version: str | None) -> bodies.Replica:
    until = None if version is None else "2027-11-21T00:00:00Z"
    return bodies.Replica(
        segment=segment,
        store=StoreId(store),
        key=key,
        version=version,
        checksum=sha256_hex(key.encode()),
        checksum_type="COMPOSITE" if version else "SHA256",
        verified="server-checksum" if version else "read-back",
        method="s3 multipart" if version else "o_direct on ext4",
        locked_until=until,
        lock_mode=None if until is None else "COMPLIANCE",
        stored=None,
    )


def _publish(book: Book, station: BenchStation, store: Store) -> None:
    """Sign the head and let the store hold the checkpoint, as if every tile had been put there over the years."""
    ledger = book.ledger
    epoch, head = ledger.epoch, ledger.decide_head()
    key = keys.load(station.state / KEYS)
    note = key.sign(Checkpoint(origin=epoch.origin, size=head.size, root=head.root).text(), epoch.origin)
    ledger.keep_note(head, note)
    store.put(f"ledger/{epoch.origin}/checkpoint", note)
    book.work.tiles_are_published(epoch.number, head.size)
    ledger.mark_published(head.size)
