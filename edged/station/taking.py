"""Takes one file off a card: recognises it, copies it, goes on where a copy was interrupted, reads it a second time.

What comes out is a copy in the vault's folder of incoming originals with its digests, not durable yet, and what the
card did that it should not have: bytes that cannot be read, or that differ from one reading to the next. Such bytes are
kept like any others, in quarantine (EVIDENCE.md, section 2).
"""

import logging
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydantic import JsonValue

from edged.bays.claims import FileClaims
from edged.bays.inventory import Item
from edged.bays.safe_files import open_file
from edged.bays.source import Docked
from edged.book.facts import DockingRow, SegmentRow
from edged.errors import EdgedError, RecorderError, StorageError
from edged.evidence import bodies
from edged.evidence.digests import CHUNK_BYTES, Digests
from edged.offload.again import Different, Second, bytes_again, read_again
from edged.offload.copying import ChangedError, Copied, copy, digest
from edged.offload.reading import CardReader, Range
from edged.offload.ring import Ring
from edged.station.parts import Parts
from edged.vault.incoming import Original, Parked, Source, digest_parked

_log = logging.getLogger(__name__)

DIFFERS: Final = "second-reading-differs"
"""Why a file is in quarantine whose two readings in one docking did not agree."""
_MOST_LISTED: Final = 100
"""Ranges that an anomaly lists; the entry of the segment has them all."""
_ENTRY_BYTES: Final = 60_000
_RANGE_BYTES: Final = 40
"""What an entry has room for, and what a range takes of it at most."""
_TELL_SECONDS: Final = 0.2
"""How often progress is shown: at the speed of a disk each buffer takes less than a millisecond."""
_CHANCE: Final = random.SystemRandom()
"""Which chunks are read a second time is not for the card to foresee."""


State: TypeAlias = tuple[int, int]
"""Length of a file in bytes, and time of its last change in nanoseconds."""


class StillWrittenError(RecorderError):
    """The file changed while it was read: somebody is writing it."""


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """What an anomaly is to say about a file, once it has an entry."""

    kind: str
    detail: dict[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class Sighted:
    """A file that was recognised."""

    segment: SegmentRow
    agrees: bool
    """Whether two readings of this docking gave what is sealed, where two earlier ones had not agreed."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A file that was copied, not durable yet."""

    item: Item
    claims: FileClaims
    draft: Original
    digests: Digests
    quarantine: bodies.Quarantine | None
    oddities: tuple[Oddity, ...]
    parked: tuple[Parked, ...]
    """What interrupted copies of this path left: of these very bytes, or of others."""


class Taker:
    """Takes the files of one docking, one after the other."""

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
        self._forget = forget
        self._ring = Ring()
        # What a person handed in is not the card that was interrupted.
        self._parked = [] if docking.handed_in else parts.vault.incoming.parked(docking.recorder)
        self._again = 0
        """Bytes read a second time that are not told yet."""
        self._counted = 0
        """Bytes of the file being read that are shown as read; `_untold` are not yet."""
        self._untold = 0
        self._told_at = 0.0
        self.read: dict[str, State] = {}
        """Length and time of last change of each file whose every byte was read in this docking, by path."""
        self._seen: dict[str, State] = {}
        """The same, of each file that was still being written when it was last looked at."""

    def close(self) -> None:
        """Let go of the memory."""
        self._ring.__exit__(None, None, None)

    def sight(self, item: Item, go_on: Callable[[], None]) -> Sighted | None:
        """Recognise a file that an earlier docking sealed under this path, by reading all of it again.

        Raises StillWrittenError.
        """
        known = self._parts.book.facts.segment_last_found_at(
            recorder=self._docking.recorder, path=item.path, size_bytes=item.size_bytes or 0
        )
        if known is None:
            return None
        with _opened(self._docked, item) as fd:
            before = self._at_rest(fd, item)
            source = self._reader(fd, item.path)
            found = digest(source, self._ring, on_bytes=self._on_bytes(go_on))
            self._tell()
            if found.sha256 != known.sha256 or source.unreadable:
                self._uncount()
                return None
            # Its readings differed once: what the card gives today is read twice as well, all of it.
            agrees = known.quarantine == DIFFERS and self._read_again(fd, found, "full") is None
        self.read[item.path] = before
        return Sighted(segment=known, agrees=agrees)

    def copy(self, item: Item, claims: FileClaims, go_on: Callable[[], None]) -> Taken:
        """Copy a file; the draft is the caller's.

        Raises RecorderError when the recorder left or gives none of it, StillWrittenError, StorageError or FullError
        when the vault refuses, StoppedError; what is whole of it is then parked.
        """
        with _opened(self._docked, item) as fd:
            before = self._at_rest(fd, item)
            of = Source(recorder=self._docking.recorder, path=item.path, size_bytes=before[0], modified_ns=before[1])
            parked = self.parked_at(item.path)
            source = self._reader(fd, item.path)
            draft, copied = self._copy(source, of, parked, go_on)
            self._tell()
            try:
                self._still(fd, item, before)
                quarantine, oddities = self._judge(fd, item, source, copied, before[0])
            except EdgedError as error:
                self._uncount()
                if isinstance(error, StillWrittenError) and all(each.part != draft.temporary for each in parked):
                    # It was begun just now, of a file that nobody has written to its end.
                    draft.discard()
                else:
                    draft.park(() if copied.unreadable else copied.digests.parts, copied.digests.size_bytes)
                raise
        self.read[item.path] = before
        if not claims.stays and not self._docking.handed_in and (changed := self._changed(item, copied.digests)):
            oddities.append(changed)
        return Taken(
            item=item,
            claims=claims,
            draft=draft,
            digests=copied.digests,
            quarantine=quarantine,
            oddities=tuple(oddities),
            parked=tuple(each for each in parked if each.part != draft.temporary),
        )

    def _copy(
        self, source: CardReader, of: Source, parked: Sequence[Parked], go_on: Callable[[], None]
    ) -> tuple[Original, Copied]:
        """Go on with an interrupted copy of this very file, or begin anew."""
        incoming, sm3 = self._parts.vault.incoming, self._parts.config.ledger.sm3
        for left in parked:
            if left.of == of:
                with self._parts.room.reserve(of.size_bytes - left.size_bytes):
                    known = self.intact(left)
                    draft = incoming.go_on(left) if known else None
                if draft is None:
                    continue
                try:
                    copied = copy(source, draft, self._ring, on_bytes=self._on_bytes(go_on), sm3=sm3, known=known)
                except ChangedError as error:
                    _log.warning("bay %s: %s", self._docked.bay, error.message)
                    self._uncount()
                    source = source.anew()
                except EdgedError:
                    self._uncount()
                    draft.leave()
                    raise
                else:
                    _log.info("bay %s: a copy was gone on with after %d bytes", self._docked.bay, left.size_bytes)
                    return draft, copied
        with self._parts.room.reserve(of.size_bytes):
            # The disk takes the room for it at once.
            draft = incoming.begin(of, to_park=not self._docking.handed_in)
        try:
            return draft, copy(source, draft, self._ring, on_bytes=self._on_bytes(go_on), sm3=sm3)
        except EdgedError:
            self._uncount()
            draft.leave()
            raise

    def _at_rest(self, fd: int, item: Item) -> State:
        """Give the length and time of last change of a file that nobody is writing; raises StillWrittenError.

        It must be as it was when it was last looked at, and not have been changed a moment ago by this machine's
        clock: what somebody copies into a bay bears that time. A recorder's own clock says nothing here.
        """
        found = os.fstat(fd)
        self._still(fd, item, self._seen.get(item.path, (item.size_bytes or 0, item.modified_ns or 0)))
        age_seconds = self._parts.clock.now().timestamp() - found.st_mtime
        if 0 <= age_seconds < self._parts.config.bays.settle_seconds:
            raise StillWrittenError("A file on the card was changed a moment ago.")
        return found.st_size, found.st_mtime_ns

    def _still(self, fd: int, item: Item, before: State) -> None:
        """Raise StillWrittenError if a file is not what it was."""
        now = _state(fd)
        if now != before:
            self._seen[item.path] = now
            raise StillWrittenError("A file on the card is still being written.")

    def parked_at(self, path: str) -> tuple[Parked, ...]:
        """Give what interrupted copies left of a path."""
        return tuple(each for each in self._parked if each.of.path == path)

    def intact(self, parked: Parked) -> tuple[bytes, ...]:
        """Give the chunks of a parked part that the vault's disk still holds as they were."""
        try:
            found = digest_parked(parked, stop=self._gone).parts
        except StorageError as error:
            _log.error("bay %s: %s", self._docked.bay, error.message)
            return ()
        same = next(
            (at for at, (one, other) in enumerate(zip(found, parked.parts, strict=False)) if one != other), len(found)
        )
        return parked.parts[:same]

    def _judge(
        self, fd: int, item: Item, source: CardReader, copied: Copied, listed_bytes: int
    ) -> tuple[bodies.Quarantine | None, list[Oddity]]:
        """Say whether what was read is to be trusted."""
        found, unreadable = copied.digests, list(copied.unreadable)
        if found.size_bytes < listed_bytes:
            unreadable.append((found.size_bytes, listed_bytes))
        if unreadable:
            source.confirm()
            lost = sum(end - start for start, end in unreadable)
            if lost == listed_bytes:
                raise RecorderError("No byte of a file on the card can be read.")
            quarantine = bodies.Quarantine(code="partly-unreadable", unreadable=tuple(unreadable), second_sha256=None)
            detail: dict[str, JsonValue] = {"path": item.path, "unreadable_bytes": lost, "ranges": listed(unreadable)}
            return quarantine, [Oddity(kind="partly-unreadable", detail=detail)]
        different = self._read_again(fd, found, self._parts.config.offload.second_read)
        if different is None:
            return None, []
        self._docked.root.check()
        return _not_trusted(item, found, different)

    def _read_again(self, fd: int, found: Digests, how: Second) -> Different | None:
        """Read a file a second time, and say so meanwhile."""
        if how == "off":
            return None
        text = "Do not take the recorder out."
        self._parts.live.set_bay(self._docked.bay, "copying", text=f"{text} A file is being read a second time.")
        different = read_again(
            fd, found, how, forget=self._forget, stop=self._gone, chance=_CHANCE, on_bytes=self._on_bytes_again
        )
        self._tell_again()
        self._parts.live.set_bay(self._docked.bay, "copying", text=text)
        return different

    def _changed(self, item: Item, found: Digests) -> Oddity | None:
        """Flag a file that the recorder held at its last docking with other bytes under the same name."""
        last = self._parts.book.facts.last_at_path(
            recorder=self._docking.recorder, path=item.path, but=self._docking.docking
        )
        if last is None or last.outcome == "gone" or last.sha256 == found.sha256:
            return None
        detail: dict[str, JsonValue] = {"path": item.path, "sealed": last.segment, "docking": last.docking}
        return Oddity(kind="changed-since-sealed", detail=detail)

    def _reader(self, fd: int, path: str) -> CardReader:
        self._counted = self._untold = 0
        check = self._docked.root.check
        return CardReader(
            fd, clock=self._parts.clock, stop=self._gone, still_there=check, most_ranges=most_ranges_beside(path)
        )

    def _on_bytes(self, go_on: Callable[[], None]) -> Callable[[int], None]:
        def on_bytes(read_bytes: int) -> None:
            self._untold += read_bytes
            now = self._parts.clock.monotonic()
            if now - self._told_at >= _TELL_SECONDS:
                self._told_at = now
                self._tell()
            go_on()

        return on_bytes

    def _on_bytes_again(self, read_bytes: int) -> None:
        self._again += read_bytes
        now = self._parts.clock.monotonic()
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            self._tell_again()

    def _tell_again(self) -> None:
        self._parts.live.further(self._docked.bay, self._again)
        self._again = 0

    def not_again(self, size_bytes: int) -> None:
        """Say that a file of this length needs no second reading after all."""
        less = bytes_again(size_bytes, self._parts.config.offload.second_read)
        if less:
            self._parts.live.further(self._docked.bay, 0, less=less)

    def _tell(self) -> None:
        """Show what was read since the last time."""
        self._parts.live.progress(self._docked.bay, self._untold)
        self._counted, self._untold = self._counted + self._untold, 0

    def _uncount(self) -> None:
        """Take off the progress what is to be read once more."""
        self._parts.live.progress(self._docked.bay, -self._counted)
        self._counted = self._untold = 0


def most_ranges_beside(path: str) -> int:
    """Give how many ranges an entry has room for beside a path, which a hostile card makes very long."""
    return max(1, (_ENTRY_BYTES - 2 * len(path.encode())) // _RANGE_BYTES)


def _not_trusted(item: Item, first: Digests, different: Different) -> tuple[bodies.Quarantine, list[Oddity]]:
    detail: dict[str, JsonValue] = {
        "path": item.path,
        "first_sha256": first.sha256,
        "second_sha256": different.second_sha256,
        "chunk_bytes": CHUNK_BYTES,
        "ranges": listed(different.ranges),
    }
    quarantine = bodies.Quarantine(code=DIFFERS, unreadable=(), second_sha256=different.second_sha256)
    return quarantine, [Oddity(kind="second-reading-differs", detail=detail)]


def listed(ranges: Sequence[Range]) -> list[JsonValue]:
    """Give ranges as an anomaly lists them: not more than it has room for."""
    return [[start, end] for start, end in ranges[:_MOST_LISTED]]


def _state(fd: int) -> State:
    status = os.fstat(fd)
    return status.st_size, status.st_mtime_ns


@contextmanager
def _opened(docked: Docked, item: Item) -> Iterator[int]:
    """Hold a file of the card open."""
    fd = open_file(docked.root, item.path)
    try:
        yield fd
    finally:
        os.close(fd)
