"""A store as a target: a bucket, the folder of a directory store, or a copy of either (EVIDENCE.md, section 9)."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from edged.audit.port import ENTRIES, AbsentError, Copy, Lying, Originals
from edged.errors import MalformedError, UnreadableError, UsageError
from edged.evidence import bodies, tiles
from edged.evidence.ids import ID_PATTERN, SEGMENT_PATTERN, SegmentId, Sha256, StoreId, split_origin
from edged.evidence.note import parse_checkpoint, parse_note
from edged.evidence.verification import BundleFile, BundleFiles
from edged.stores.port import MissingError
from edged.stores.reader import Reader

_VAULT: Final = "vault"
_OVERLONG: Final = b"overlong"
"""What no checkpoint, tile or chunk list is."""

_MAX_NOTE_BYTES: Final = 64 << 10
_MAX_ENTRIES_BYTES: Final = ENTRIES * (2 + 65_535)
_MAX_TILE_BYTES: Final = ENTRIES * 32
_MAX_LIST_BYTES: Final = (16 << 20) + 1

_FOLDER: Final = rf"segments/{ID_PATTERN}/[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}}/(?P<segment>{SEGMENT_PATTERN})"
_BESIDE: Final = re.compile(rf"{_FOLDER}/(?:chunks\.sha256|entry\.json)")
_DERIVATIVE: Final = re.compile(rf"{_FOLDER}/derivatives/(?P<kind>[a-z]+)\.[A-Za-z0-9]{{1,10}}")
_ORIGINAL: Final = re.compile(rf"{_FOLDER}/[^/]+")


class StoreTarget:
    """A store, or its published logs alone."""

    def __init__(self, reader: Reader, name: str, originals: Originals | None) -> None:
        self.name = name
        self.originals = originals
        self._reader = reader

    def logs(self) -> Sequence["StoredLog"]:
        """Find the published logs."""
        found = []
        for domain in self._reader.folders("ledger/"):
            for station in self._reader.folders(f"ledger/{domain}/"):
                for epoch in self._reader.folders(f"ledger/{domain}/{station}/"):
                    origin = f"{domain}/{station}/{epoch}"
                    try:
                        split_origin(origin)
                    except MalformedError:
                        continue
                    found.append(StoredLog(self._reader, origin))
        if not found:
            raise UnreadableError(
                f"{self.name} holds no published ledger.",
                hint="A store has one under ledger/; a bundle has a bagit.txt, a station a book.sqlite.",
            )
        return found


class StoredLog:
    """A log as it was published (C2SP `tlog-tiles`)."""

    def __init__(self, reader: Reader, origin: str) -> None:
        self.origin = origin
        _, self.station, self.epoch = split_origin(origin)
        self._reader = reader
        self._folder = f"ledger/{origin}"
        self.newest = self._small("checkpoint", _MAX_NOTE_BYTES)
        self.size = 0 if self.newest is None else _size_of(self.newest)
        self.files: BundleFiles = _LogFiles(reader, self._folder, f"data/logs/{self.station}/{self.epoch}")

    def entries(self, n: int, width: int) -> list[bytes]:
        """Read a bundle of entries; a partial one may have been tidied away once the full one was there."""
        for held in dict.fromkeys((width, ENTRIES)):
            data = self._read(tiles.entries_path(n, held), _MAX_ENTRIES_BYTES)
            if data is not None:
                found = tiles.parse_bundle(data)
                if len(found) < width:
                    raise MalformedError(f"a bundle of {held} entries holds {len(found)}")
                return found[:width]
        raise AbsentError(f"The entries from {n * ENTRIES} on of {self.origin} are not here.")

    def tile(self, level: int, n: int, width: int) -> bytes | None:
        """Read a tile."""
        for held in dict.fromkeys((width, ENTRIES)):
            data = self._small(tiles.tile_path(level, n, held), _MAX_TILE_BYTES)
            if data is not None:
                return data[: 32 * width]
        return None

    def older(self) -> Iterator[bytes]:
        """Give the other versions of the checkpoint: each was signed once."""
        key = f"{self._folder}/checkpoint"
        for each in self._reader.listing(key):
            if each.key == key and each.is_object and each.version and not each.is_newest:
                yield _whole(partial(self._reader.read, key, each.version), _MAX_NOTE_BYTES, otherwise=_OVERLONG)

    def _small(self, name: str, most_bytes: int) -> bytes | None:
        """Read what is judged by its bytes: of an overlong one, bytes that are no such thing."""
        try:
            return _whole(partial(self._reader.newest, f"{self._folder}/{name}"), most_bytes, otherwise=_OVERLONG)
        except MissingError:
            return None

    def _read(self, name: str, most_bytes: int) -> bytes | None:
        try:
            return _whole(partial(self._reader.newest, f"{self._folder}/{name}"), most_bytes)
        except MissingError:
            return None


class _LogFiles:
    """Certificates and anchors of a published log, under the names of a bundle."""

    def __init__(self, reader: Reader, folder: str, top: str) -> None:
        self._reader = reader
        self._folder = folder
        self._top = top

    def listing(self) -> Sequence[BundleFile]:
        """List them."""
        found = []
        with suppress(MissingError):
            next(self._reader.newest(f"{self._folder}/station.pem"), b"")
            found = [BundleFile(path=f"{self._top}/station.pem", kind="file", size_bytes=0)]
        prefix = f"{self._folder}/anchors/"
        for each in self._reader.listing(prefix):
            if each.is_newest and each.is_object:
                path = f"{self._top}/{each.key.removeprefix(prefix)}"
                found.append(BundleFile(path=path, kind="file", size_bytes=each.size_bytes))
        return found

    def open(self, path: str) -> Iterator[bytes]:
        """Read one of them."""
        name = path.removeprefix(f"{self._top}/")
        key = name if name == "station.pem" else f"anchors/{name}"
        return _translated(lambda: self._reader.newest(f"{self._folder}/{key}"))


class StoredOriginals:
    """The originals of a store: those that `replica` entries name, in the version that they name."""

    has_documents = False

    def __init__(self, reader: Reader, store: StoreId | None = None) -> None:
        """Without `store`, it is the one that the ledger names, if that is only one."""
        self.store: StoreId | None = store or StoreId("")
        self._reader = reader

    def settle(self, stores: Collection[str]) -> None:
        """Choose the only store that the ledger names, if nobody said which this is."""
        named = sorted({*stores} - {_VAULT})
        if not named or self.store in named:
            return
        if self.store:
            raise UsageError(f"The ledger names no copies in a store {self.store}, but in: {', '.join(named)}.")
        if len(named) > 1:
            raise UsageError(
                f"The ledger names copies in several stores: {', '.join(named)}.", hint="Say which this is: --store ID."
            )
        self.store = StoreId(named[0])

    def place(self, segment: bodies.Segment) -> Copy:
        """Only a `replica` entry says where a copy is."""
        raise AbsentError(f"No replica entry names a copy of {segment.segment}.")

    def read(self, copy: Copy) -> Iterator[bytes]:
        """Read the version that counts."""
        return _translated(lambda: self._reader.read(copy.key, copy.version))

    def chunk_list(self, copy: Copy) -> bytes | None:
        """Read the chunk list; it is the sealed one or it is not, whatever its version."""
        try:
            read = partial(self._reader.newest, f"{copy.folder}/chunks.sha256")
            return _whole(read, _MAX_LIST_BYTES, otherwise=_OVERLONG)
        except MissingError:
            return None

    def document(self, sha256: Sha256) -> bytes | None:
        """Give nothing: inventories stay at the station."""
        del sha256
        return None

    def lying(self) -> Iterator[Lying]:
        """List every version of everything."""
        for each in self._reader.listing("segments/"):
            if not each.is_object:
                yield Lying(key=f"{each.key} (no file)", version="", kind="stray")
            elif (found := _DERIVATIVE.fullmatch(each.key)) is not None:
                if each.is_newest:
                    segment = SegmentId(found["segment"])
                    yield Lying(
                        key=each.key, version=None, kind="derivative", segment=segment, derivative=found["kind"]
                    )
            elif _BESIDE.fullmatch(each.key) is not None:
                if each.is_newest:
                    yield Lying(key=each.key, version=each.version, kind="beside")
            elif _ORIGINAL.fullmatch(each.key) is not None:
                yield Lying(key=each.key, version=each.version, kind="original")
            else:
                yield Lying(key=each.key, version=each.version, kind="stray")

    def read_lying(self, lying: Lying) -> Iterator[bytes]:
        """Read the newest version."""
        return _translated(lambda: self._reader.newest(lying.key))


def _translated(read: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
    """Pass blocks on, and what is missing as such."""
    try:
        yield from read()
    except MissingError as error:
        raise AbsentError(error.message) from error


def _whole(read: Callable[[], Iterator[bytes]], most_bytes: int, *, otherwise: bytes | None = None) -> bytes:
    """Read a small object; raises MissingError. One longer than any such is `otherwise`, or a MalformedError."""
    blocks, length = [], 0
    for block in read():
        length += len(block)
        if length > most_bytes:
            if otherwise is not None:
                return otherwise
            raise MalformedError(f"the object is longer than {most_bytes} bytes")
        blocks.append(block)
    return b"".join(blocks)


def _size_of(note: bytes) -> int:
    """Give the size that a checkpoint states; 0 where it is none, which is told elsewhere."""
    try:
        return parse_checkpoint(parse_note(note).text).size
    except MalformedError:
        return 0
