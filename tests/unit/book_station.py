"""A real book in a folder, and bodies to fill it with: what tests of the book and of its readers share."""

import hashlib
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edged.book import Book
from edged.book.ledger import Written
from edged.clock import ClockState
from edged.evidence import bodies, canonical
from edged.evidence.digests import Digester, Digests, sha256_hex
from edged.evidence.ids import (
    DockingId,
    EntryRef,
    EpochId,
    RecorderId,
    SegmentId,
    Sha256,
    StationId,
    StoreId,
    segment_id,
)
from edged.evidence.note import vkey

STATION = StationId("st-07")
EPOCH = EpochId("2026-11-ab12")
ORIGIN = f"evidence.example/{STATION}/{EPOCH}"
START = datetime(2026, 11, 21, 8, 0, 0, 123000, tzinfo=UTC)
RECORDER = RecorderId("rec-0001")
DOCKING = DockingId("dk-20261121-00000001")
VAULT = StoreId("vault")
CENTRAL = StoreId("central")


class Ticking:
    """A clock that goes on by a millisecond at each look; `seconds` is what `monotonic` says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = START
        self.seconds = 0.0

    def now(self) -> datetime:
        with self._lock:
            self._now += timedelta(milliseconds=1)
            return self._now

    def monotonic(self) -> float:
        return self.seconds

    def state(self) -> ClockState:
        return "unsynchronised"


def new_book(folder: Path) -> Book:
    """Make a book without an epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    return Book(folder, station=STATION, clock=Ticking())


def open_book(folder: Path) -> Book:
    """Make a book whose first epoch is open."""
    book = new_book(folder)
    begin(book)
    return book


def begin(book: Book, epoch: EpochId = EPOCH) -> Written:
    """Open an epoch."""
    origin = f"evidence.example/{STATION}/{epoch}"
    return book.ledger.open_epoch(id=epoch, origin=origin, genesis=genesis(origin))


def digests(data: bytes) -> Digests:
    digester = Digester()
    digester.update(data)
    return digester.finish()


def sg(data: bytes, recorder: RecorderId = RECORDER) -> SegmentId:
    """Give the id of the segment with these bytes."""
    return segment_id(recorder, sha256_hex(data))


def reason(text: str = "why") -> bodies.Reason:
    return bodies.Reason(code="test", text=sha256_hex(text.encode()))


def genesis(origin: str = ORIGIN) -> bodies.Genesis:
    return bodies.Genesis(
        origin=origin,
        public_key=vkey(origin, hashlib.sha256(b"public key").digest()),
        certificate_sha256=sha256_hex(b"certificate"),
        previous=None,
        software="edged 0.1.0",
        reason=reason(),
    )


def close(following: str | None = None) -> bodies.Close:
    return bodies.Close(reason=reason(), next=following)


def inventory(docking: DockingId, files: Mapping[str, bytes]) -> bytes:
    """Give the inventory document of a card with these files."""
    items: list[dict[str, object]] = [
        {"path": path, "kind": "file", "bytes": len(data), "modified": "2026-11-21T07:00:00+08:00", "created": None}
        for path, data in files.items()
    ]
    about = {"type": "exfat", "label": "BWC", "serial": "1234-5678"}
    return canonical.encode({"v": 1, "docking": docking, "filesystem": about, "items": items})


def docked(
    files: Mapping[str, bytes], docking: DockingId = DOCKING, *, recorder: RecorderId = RECORDER
) -> tuple[bodies.Docking, bytes]:
    """Give the body of a docking and the inventory that it cites."""
    document = inventory(docking, files)
    body = bodies.Docking(
        docking=docking,
        bay="bay-1",
        recorder=bodies.RecorderInfo(id=recorder, vendor="V", model="M", serial="A100001", known=True),
        officer=None,
        inventory_sha256=sha256_hex(document),
        files=len(files),
        bytes=sum(map(len, files.values())),
        clock_offset_ms=None,
        clock_uncertainty_ms=None,
        clock_set=False,
        missing=0,
    )
    return body, document


def undocked(docking: DockingId = DOCKING, outcome: Any = "cleared", remaining: int = 0) -> bodies.Undocking:
    return bodies.Undocking(docking=docking, outcome=outcome, remaining=remaining)


def sealed(
    path: str, data: bytes, *, docking: DockingId = DOCKING, recorder: RecorderId = RECORDER, **changes: Any
) -> bodies.Segment:
    """Give the body of a segment; its place in the recorder's chain is left to the ledger."""
    found = digests(data)
    body = bodies.Segment(
        segment=segment_id(recorder, found.sha256),
        docking=docking,
        path=path,
        bytes=found.size_bytes,
        sha256=found.sha256,
        chunks=bodies.Chunks(count=found.chunk_count, sha256=found.chunks_sha256),
        recorder=recorder,
        recorder_seq=1,
        recorder_prev=None,
        officer=None,
        recorded=bodies.Recorded(
            start="2026-11-21T07:00:00.000+08:00",
            end=None,
            zone="Asia/Shanghai",
            source="filename",
            uncertainty_ms=1000,
        ),
        media=bodies.Unreadable(unreadable="not looked at"),
        important=False,
        side_of=None,
        quarantine=None,
    )
    return body.model_copy(update=changes)


def sighted(path: str, segment: SegmentId, docking: DockingId = DOCKING, **further: Any) -> bodies.Sighting:
    return bodies.Sighting(segment=segment, docking=docking, path=path, **further)


def copied(segment: SegmentId, store: StoreId = VAULT, *, checksum: str = "sum", **changes: Any) -> bodies.Replica:
    body = bodies.Replica(
        segment=segment,
        store=store,
        key=f"segments/{segment}",
        version=None,
        checksum=checksum,
        checksum_type="SHA256",
        verified="read-back",
        method="o_direct on ext4",
        locked_until=None,
        lock_mode=None,
        stored=None,
    )
    return body.model_copy(update=changes)


def cleared(
    items: Iterable[tuple[SegmentId, str]], proofs: Iterable[EntryRef], docking: DockingId = DOCKING
) -> bodies.Clearance:
    return bodies.Clearance(
        docking=docking,
        items=tuple(bodies.SegmentPath(segment=segment, path=path) for segment, path in items),
        proofs=tuple(proofs),
    )


def wiped(
    path: str, data: bytes, clearance: EntryRef, *, docking: DockingId = DOCKING, outcome: Any = "gone"
) -> bodies.Wipe:
    return bodies.Wipe(
        docking=docking,
        segment=sg(data),
        path=path,
        sha256=sha256_hex(data),
        clearance=clearance,
        outcome=outcome,
    )


def classified(segment: SegmentId, *, until: str = "undetermined", **changes: Any) -> bodies.Classification:
    body = bodies.Classification(
        segment=segment,
        case=None,
        matter=None,
        stage=None,
        secrecy=None,
        publicity=None,
        rule=None,
        clause=None,
        policy=sha256_hex(b"policy"),
        retain_until=until,
        basis="rule",
        confidence=0,
        supersedes=None,
    )
    return body.model_copy(update=changes)


def derived(segment: SegmentId, kind: Any = "poster", made: bytes = b"picture") -> bodies.Derivative:
    return bodies.Derivative(
        segment=segment,
        parent_sha256=sha256_hex(b"parent"),
        kind=kind,
        sha256=sha256_hex(made),
        bytes=len(made),
        tool="ffmpeg",
        arguments=[],
    )


def odd(kind: str, *, docking: DockingId | None = None, path: str | None = None, **changes: Any) -> bodies.Anomaly:
    body = bodies.Anomaly(kind=kind, docking=docking, subject=None, detail={} if path is None else {"path": path})
    return body.model_copy(update=changes)


def digest(number: int) -> Sha256:
    """Give a digest that stands for something else each time."""
    return sha256_hex(number.to_bytes(8, "big"))


def stamped(data: bytes = b"token", *, size: int = 1, renewal: int = 0) -> bodies.Anchor:
    """The token `data`, which goes along as a document."""
    return bodies.Anchor(
        kind="rfc3161",
        origin=ORIGIN,
        size=size,
        root="A" * 43 + "=",
        sha256=sha256_hex(data),
        by="Authority",
        name="tsa",
        moment="2026-11-21T08:00:00.000Z",
        expires="2036-11-21T08:00:00.000Z",
        renewal=renewal,
    )
