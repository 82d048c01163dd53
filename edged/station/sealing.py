"""Seals what was taken off a recorder: makes it durable, says what it is, and writes its `segment` entry.

The order is what the proof rests on: an entry is written only for bytes that are durable in the vault (INV-3), and
a file whose bytes were sealed before gets a `sighting`, which also rests on all of its bytes having been read
again. While files are being made durable and looked at, the next are being copied; their entries follow in the order
in which the files were taken, as many in one transaction as are ready.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import JsonValue

from edged.bays.claims import FileClaims
from edged.bays.inventory import Item
from edged.bays.safe_files import FileGoneError, NotAFileError
from edged.bays.source import Docked
from edged.book.facts import DockingRow, SegmentRow
from edged.errors import MalformedError, RecorderError, StorageError, ToolError, UnreadableError
from edged.evidence import bodies
from edged.evidence.digests import CHUNK_BYTES, Digests
from edged.evidence.entry import parse
from edged.evidence.ids import SegmentId, segment_id
from edged.media.facts import MediaFacts, body
from edged.station import recorder_clock
from edged.station.files import sealed_place
from edged.station.leftovers import Leftovers, Ready
from edged.station.parts import Parts
from edged.station.recorded import recorded_times
from edged.station.taking import Oddity, Sighted, StillWrittenError, Taken, Taker
from edged.vault.incoming import Original, Parked
from edged.vault.place import place
from edged.vault.unsealed import Unsealed

_log = logging.getLogger(__name__)

_UNEXAMINED = "not examined: ffprobe or its sandbox could not be used at the station"
_AHEAD: Final = 16
"""How many files may be copied and wait for their sealing."""
_AT_ONCE: Final = 4
"""How many files of a docking are made durable and looked at together; small ones wait mostly for the disk."""
_BATCH: Final = 16
"""How many files get their entries in one transaction."""


class Sealer:
    """Takes and seals the files of one docking."""

    def __init__(
        self,
        parts: Parts,
        docked: Docked,
        docking: DockingRow,
        gone: threading.Event,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        """`forget` drops what the kernel remembers of the card beyond a file's own pages."""
        self._parts = parts
        self._docked = docked
        self._docking = docking
        self._gone = gone
        self._taker = Taker(parts, docked, docking, gone, forget)
        self._leftovers = Leftovers(parts, docking, gone, keep=self._keep, is_known=self._is_known)
        self._preparing = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix=f"prepare {docked.bay}")
        self._sealing = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"seal {docked.bay}")
        self._ready: deque[Future[Ready]] = deque()
        self._running: deque[Future[None]] = deque()
        self._ids: dict[str, SegmentId] = {}
        """By path, what was taken here; the entries may still be on their way."""
        self._new: set[SegmentId] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until everything that was copied is sealed; raises what went wrong with it."""
        self._preparing.shutdown()
        self._sealing.shutdown()
        self._taker.close()
        if error is None:
            self._collect(0)

    @property
    def read(self) -> dict[str, tuple[int, int]]:
        """Length and time of last change of each file whose every byte was read in this docking, by path."""
        return self._taker.read

    def take(self, item: Item, claims: FileClaims) -> bool:
        """Copy one file and hand it on to be sealed, or sight it; says whether it could be read.

        A file that cannot be read although its recorder is there is an anomaly and stays on the card. Raises
        RecorderError when the recorder left, StillWrittenError, StorageError or FullError when the vault refuses,
        StoppedError.
        """
        self._collect(_AHEAD)
        try:
            with self._parts.turns.take(self._docked.bay, self._gone, important=claims.important) as go_on:
                known = self._taker.sight(item, go_on)
                taken = None if known else self._taker.copy(item, claims, go_on)
        except StillWrittenError:
            raise
        except RecorderError as error:
            self._docked.root.check()
            self._report(item, error)
            return False
        if known is not None:
            self._taker.not_again(item.size_bytes or 0)
            self._sight(known, item, claims)
        elif taken is not None:
            self._hand_on(taken)
        return True

    def seal_parked(self, parked: Parked, claims: FileClaims) -> None:
        """Seal what an interrupted copy left of a file that the card does not hold any more."""
        self._follow(self._preparing.submit(self._part_of_gone, parked, claims))

    def seal_unsealed(self, left: Unsealed, claims: FileClaims, *, gone: bool) -> None:
        """Seal an original that got no entry before the station stopped, unless the card gave these bytes again."""
        self._follow(self._preparing.submit(self._unsealed, left, claims, gone=gone))

    def _hand_on(self, taken: Taken) -> None:
        """Have a copy sealed, or sighted if these bytes are sealed already or about to be."""
        try:
            segment = segment_id(self._docking.recorder, taken.digests.sha256)
            side_of = self._segment_of(taken.claims.side_of)
            known = self._is_known(segment)
            prepare = self._prepare_sighting if known else self._prepare
            self._ids[taken.item.path] = segment
            ready = self._preparing.submit(prepare, taken, segment, side_of)
        except BaseException:
            # Nobody else has it yet, whatever went wrong.
            taken.draft.leave()
            raise
        self._follow(ready)

    def _is_known(self, segment: SegmentId) -> bool:
        """Say whether a segment is sealed or about to be; from now on it is."""
        with self._lock:
            known = segment in self._new or self._parts.book.facts.segment(segment) is not None
            self._new.add(segment)
            return known

    def _sight(self, known: Sighted, item: Item, claims: FileClaims) -> None:
        segment = known.segment.segment
        self._ids[item.path] = segment
        parked = self._sealed_parts(known.segment, self._taker.parked_at(item.path))
        sighting = self._sighting(segment, item, claims, agrees=known.agrees)
        done: Future[Ready] = Future()
        done.set_result(Ready(entries=[sighting], left=_files(parked)))
        self._follow(done)

    def _sighting(self, segment: SegmentId, item: Item, claims: FileClaims, *, agrees: bool = False) -> bodies.Sighting:
        """Give the entry of a file that was met again.

        Further keys say that it is marked as important under this name, and that its second reading agrees now.
        """
        further: dict[str, JsonValue] = {"important": True} if claims.important else {}
        if agrees:
            further["second_reading"] = "agrees"
        return bodies.Sighting(segment=segment, docking=self._docking.docking, path=item.path, **further)

    def _sealed_parts(self, known: SegmentRow, parked: tuple[Parked, ...]) -> tuple[Parked, ...]:
        """Give those interrupted copies that are the beginning of what is sealed; none if the vault cannot say."""
        if not parked:
            return ()
        try:
            sealed = self._parts.sealed_digests(known).parts
        except (StorageError, UnreadableError) as error:
            _log.error("bay %s: %s", self._docked.bay, error.message)
            return ()
        return tuple(each for each in parked if sealed[: len(each.parts)] == each.parts)

    def _follow(self, ready: Future[Ready]) -> None:
        self._ready.append(ready)
        self._running.append(self._sealing.submit(self._seal))

    def _seal(self) -> None:
        """Write the entries of the next file, and of those behind it that are ready as well."""
        if not self._ready:
            return
        batch = [self._ready[0].result()]
        self._ready.popleft()
        while self._ready and len(batch) < _BATCH and self._ready[0].done():
            if self._ready[0].exception() is not None:
                # It is raised when its turn comes.
                break
            batch.append(self._ready.popleft().result())
        self._append(batch)
        for each in batch:
            for path in each.left:
                self._parts.vault.remove(path)
            if each.unsealed is not None:
                segment = each.unsealed.where.segment
                self._parts.vault.unsealed.tidy(each.unsealed, sealed_place(self._parts.book, segment))
            if each.of_card:
                self._parts.live.count_file(self._docked.bay)

    def _append(self, batch: list[Ready]) -> None:
        """Write the entries of some files together, or one by one if one of them cannot be written."""
        try:
            self._parts.book.ledger.append(*(entry for each in batch for entry in each.entries))
        except MalformedError:
            if len(batch) == 1:
                raise
            for each in batch:
                self._append([each])

    def _prepare(self, taken: Taken, segment: SegmentId, side_of: SegmentId | None) -> Ready:
        """Make a copy durable under its name, and give its entries."""
        with taken.draft:
            before = self._parts_before(taken)
            sealed, odd, mark = self._keep(taken.draft, taken.digests, taken.claims, taken.item.path, segment, side_of)
        sealed = sealed.model_copy(update={"quarantine": taken.quarantine})
        entries = [*before.entries, sealed, *odd, *self._anomalies(segment, taken)]
        return Ready(entries=entries, left=(*before.left, mark.mark))

    def _prepare_sighting(self, taken: Taken, segment: SegmentId, _: SegmentId | None) -> Ready:
        """Give the entries of a copy whose bytes are sealed, or about to be."""
        before = self._parts_before(taken)
        taken.draft.discard()
        sighting = self._sighting(segment, taken.item, taken.claims)
        return Ready(entries=[*before.entries, sighting, *self._anomalies(segment, taken)], left=before.left)

    def _parts_before(self, taken: Taken) -> Ready:
        """Seal what interrupted copies of this path left of other bytes; those of these bytes are not needed."""
        entries: list[bodies.Body] = []
        left: list[Path] = []
        for parked in taken.parked:
            if taken.digests.parts[: len(parked.parts)] == parked.parts:
                left += parked.files
                continue
            sealed = self._leftovers.part(parked, taken.claims, gone=False)
            entries += sealed.entries
            left += sealed.left
        return Ready(entries=entries, left=tuple(left))

    def _part_of_gone(self, parked: Parked, claims: FileClaims) -> Ready:
        """Seal what was copied of a file that is gone, unless that is the beginning of what was sealed of it later."""
        known = self._parts.book.facts.segment_last_found_at(
            recorder=parked.of.recorder, path=parked.of.path, size_bytes=parked.of.size_bytes
        )
        if known is not None and self._sealed_parts(known, (parked,)):
            return Ready(entries=[], left=parked.files, of_card=False)
        return replace(self._leftovers.part(parked, claims, gone=True), of_card=False)

    def _unsealed(self, left: Unsealed, claims: FileClaims, *, gone: bool) -> Ready:
        """Keep, in quarantine, a whole original that got no entry before the station stopped, unless it has one now."""
        with self._lock:
            known = left.where.segment in self._new
        if known or self._parts.book.facts.segment(left.where.segment) is not None:
            return Ready(entries=[], of_card=False, unsealed=left)
        return self._leftovers.original(left, claims, gone=gone)

    def _keep(  # noqa: PLR0913, PLR0917 - what a segment is
        self,
        draft: Original,
        digests: Digests,
        claims: FileClaims,
        path: str,
        segment: SegmentId,
        side_of: SegmentId | None,
    ) -> tuple[bodies.Segment, list[bodies.Anomaly], Unsealed]:
        """Make a copy durable under its name; gives its entry, what is odd about what it holds, and its mark."""
        docking = self._docking
        draft.settle(digests.size_bytes)
        media, facts = self._probe(draft.temporary)
        recorded = recorded_times(claims, facts)
        where = place(
            recorder=docking.recorder,
            segment=segment,
            path=path,
            day=recorded.start or recorded.end or docking.began,
        )
        mark = self._parts.vault.keep(draft, where, digests, handed_in=docking.handed_in)
        odd = recorder_clock.contradictions(docking.docking, segment, claims, path, facts)
        sealed = bodies.Segment(
            segment=segment,
            docking=docking.docking,
            path=path,
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
            side_of=side_of,
            quarantine=None,
        )
        return sealed, odd, mark

    def _probe(self, file: Path) -> tuple[bodies.Media | bodies.Unreadable, MediaFacts | None]:
        """Say what the file is, in the sandbox; without one the file is sealed all the same, unexamined."""
        try:
            found = self._parts.media.probe(file, self._parts.stop)
        except ToolError as error:
            _log.warning("a file is sealed unexamined: %s", error.message)
            return bodies.Unreadable(unreadable=_UNEXAMINED), None
        return body(found), found if isinstance(found, MediaFacts) else None

    def _segment_of(self, path: str | None) -> SegmentId | None:
        if path is None:
            return None
        if path in self._ids:
            return self._ids[path]
        found = self._parts.book.facts.found_at(self._docking.docking, path)
        return None if found is None else found.segment

    def _anomalies(self, segment: SegmentId, taken: Taken) -> list[bodies.Body]:
        """Give what is to be said about a file beside its seal."""
        item, found_bytes = taken.item, taken.digests.size_bytes
        oddities = list(taken.oddities)
        if found_bytes != item.size_bytes:
            detail: dict[str, JsonValue] = {"path": item.path, "listed_bytes": item.size_bytes}
            oddities.append(Oddity(kind="changed-after-inventory", detail=detail | {"sealed_bytes": found_bytes}))
        return [
            bodies.Anomaly(
                kind=oddity.kind,
                docking=self._docking.docking,
                subject=bodies.Subject(kind="segment", id=segment),
                detail=oddity.detail,
            )
            for oddity in oddities
        ]

    def _report(self, item: Item, error: RecorderError) -> None:
        kind = "gone-after-inventory" if isinstance(error, FileGoneError) else "unreadable"
        if isinstance(error, NotAFileError):
            kind = "not-a-file"
        _log.warning("bay %s: a file cannot be taken: %s", self._docked.bay, error.message)
        if (kind, item.path) in self._told:
            return
        self._told.add((kind, item.path))
        self._parts.book.ledger.append(
            bodies.Anomaly(
                kind=kind,
                docking=self._docking.docking,
                subject=bodies.Subject(kind="docking", id=self._docking.docking),
                detail={"path": item.path, "what": error.message},
            )
        )

    @cached_property
    def _told(self) -> set[tuple[str, object]]:
        """Give the kinds and paths of what this docking has said already, in an earlier try."""
        said = map(parse, self._parts.book.facts.anomalies_of_docking(self._docking.docking))
        return {(body.kind, body.detail.get("path")) for each in said if isinstance(body := each.body, bodies.Anomaly)}

    def _collect(self, most: int) -> None:
        while len(self._running) > most:
            self._running.popleft().result()


def _files(parked: Iterable[Parked]) -> tuple[Path, ...]:
    return tuple(path for each in parked for path in each.files)
