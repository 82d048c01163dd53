"""Seals what an interrupted docking left in the vault without an entry: interrupted copies, and whole originals.

They are sealed when their recorder is docked again and does not give the same bytes: then this is all there is. All of
it is kept, in quarantine, as the vault's disk gives it; what the disk lost meanwhile is said. A leftover is copied once
more, and removed only when its entry is written.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import TypeAlias

from pydantic import JsonValue

from edged.bays.claims import FileClaims
from edged.book.facts import DockingRow
from edged.errors import MalformedError, StorageError
from edged.evidence import bodies
from edged.evidence.digests import CHUNK_BYTES, Digests, parse_chunk_list
from edged.evidence.ids import SegmentId, segment_id
from edged.offload.copying import Copied, copy
from edged.offload.reading import CardReader, Range
from edged.offload.ring import Ring
from edged.station.parts import Parts
from edged.station.taking import listed, most_ranges_beside
from edged.vault.incoming import Original, Parked, Source
from edged.vault.place import CHUNKS_FILE
from edged.vault.unsealed import Unsealed

_log = logging.getLogger(__name__)

Keep: TypeAlias = Callable[
    [Original, Digests, FileClaims, str, SegmentId, SegmentId | None],
    tuple[bodies.Segment, list[bodies.Anomaly], Unsealed],
]
"""Makes a copy durable under its name; gives its entry, what is odd about what it holds, and its mark."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """Bytes that are durable, or were before, with what is to be written about them."""

    entries: list[bodies.Body]
    left: tuple[Path, ...] = field(default=())
    """What is to be removed from the vault's incoming when the entries are written, in this order."""
    segment: SegmentId | None = None
    """Of a leftover: as what it was sealed, now or before."""
    of_card: bool = True
    """Whether this accounts for a file of the card."""
    unsealed: Unsealed | None = None
    """What has an entry when these are written."""


class Leftovers:
    """Seals what is left of one recorder, in the docking that found it changed or gone."""

    def __init__(
        self, parts: Parts, docking: DockingRow, stop: Event, *, keep: Keep, is_known: Callable[[SegmentId], bool]
    ) -> None:
        """`is_known` says whether a segment is sealed or about to be; from then on it is."""
        self._parts = parts
        self._docking = docking
        self._stop = stop
        self._keep = keep
        self._is_known = is_known

    def part(self, parked: Parked, claims: FileClaims, *, gone: bool) -> Ready:
        """Seal an interrupted copy; it stays where it is if the disk does not give any of it."""
        sealed = self._seal(parked.part, parked.of, parked.parts, parked.size_bytes, claims, gone=gone)
        return Ready(entries=[]) if sealed is None else replace(sealed, left=(*sealed.left, *parked.files))

    def original(self, left: Unsealed, claims: FileClaims, *, gone: bool) -> Ready:
        """Seal a whole original that got no entry before the station stopped."""
        known = _chunk_list(left.original.with_name(CHUNKS_FILE))
        size_bytes = left.original.stat().st_size
        sealed = self._seal(left.original, left.of, known, size_bytes, claims, gone=gone)
        if sealed is None:
            return Ready(entries=[], of_card=False)
        if sealed.segment == left.where.segment:
            return replace(sealed, of_card=False, unsealed=left)
        # The vault's disk does not give what was copied: what it does give has an entry now.
        return replace(sealed, of_card=False, left=(*sealed.left, *left.files))

    def _seal(  # noqa: PLR0913 - what a leftover is
        self,
        file: Path,
        of: Source,
        known: Sequence[bytes],
        size_bytes: int,
        claims: FileClaims,
        *,
        gone: bool,
    ) -> Ready | None:
        kind = "gone-from-card" if gone else "changed-since-interruption"
        draft = self._parts.vault.incoming.begin(replace(of, size_bytes=size_bytes), to_park=False)
        with draft:
            copied = self._copy(file, of, size_bytes, draft)
            if size_bytes and sum(end - start for start, end in copied.unreadable) == size_bytes:
                _log.error("%s cannot be read: nothing of %s is left", file, of.path)
                return None
            digests = copied.digests
            segment = segment_id(self._docking.recorder, digests.sha256)
            if self._is_known(segment):
                return Ready(entries=[], segment=segment)
            sealed, _, mark = self._keep(draft, digests, claims, of.path, segment, None)
        quarantine = bodies.Quarantine(code=kind, unreadable=copied.unreadable, second_sha256=None)
        detail: dict[str, JsonValue] = {
            "path": of.path,
            "kept_bytes": digests.size_bytes,
            "listed_bytes": of.size_bytes,
        }
        if damaged := _damaged(known, digests):
            detail["damaged_in_vault"] = listed(damaged)
        told = bodies.Anomaly(
            kind=kind,
            docking=self._docking.docking,
            subject=bodies.Subject(kind="segment", id=segment),
            detail=detail,
        )
        entries = [sealed.model_copy(update={"quarantine": quarantine}), told]
        return Ready(entries=entries, segment=segment, left=(mark.mark,))

    def _copy(self, file: Path, of: Source, size_bytes: int, draft: Original) -> Copied:
        """Copy a file of the vault as the card it came from was copied: what cannot be read stands as zeros."""
        with _opened(file) as fd, Ring() as ring:
            reader = CardReader(
                fd,
                clock=self._parts.clock,
                stop=self._stop,
                still_there=lambda: None,
                most_ranges=most_ranges_beside(of.path),
                end=size_bytes,
            )
            return copy(reader, draft, ring, on_bytes=lambda _: None, sm3=self._parts.config.ledger.sm3)


def _damaged(known: Sequence[bytes], found: Digests) -> list[Range]:
    """Give the chunks that are not what was noted when they were copied."""
    return [
        (at * CHUNK_BYTES, min((at + 1) * CHUNK_BYTES, found.size_bytes))
        for at, (one, other) in enumerate(zip(known, found.parts, strict=False))
        if one != other
    ]


def _chunk_list(path: Path) -> tuple[bytes, ...]:
    """Read the chunk list beside an original; nothing if it cannot be read."""
    try:
        return parse_chunk_list(path.read_bytes())
    except (OSError, MalformedError) as error:
        _log.warning("%s cannot be read: %s", path, error)
        return ()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Hold a file of the vault open, as the disk has it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        yield fd
    finally:
        os.close(fd)
