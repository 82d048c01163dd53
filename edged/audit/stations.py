"""A station as a target: its book, read-only and beside a running daemon, and its vault."""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from edged.audit.port import ENTRIES, AbsentError, Copy, Lying, Originals
from edged.book import Book
from edged.book.ledger import Epoch
from edged.bundles.load import read_blocks
from edged.clock import SystemClock
from edged.errors import LedgerError, StorageError, UnreadableError
from edged.evidence import bodies, tiles
from edged.evidence.entry import parse
from edged.evidence.ids import SEGMENT_PATTERN, SegmentId, Sha256, StationId, StoreId
from edged.evidence.verification import BundleFile, BundleFiles
from edged.keys import KeyFolder
from edged.station.files import KEYS, place_of
from edged.vault.place import CHUNKS_FILE

_BLOCK_BYTES: Final = 1 << 20
_PAGE: Final = 1_000
_LAST: Final = 2**62
_DERIVATIVE: Final = re.compile(rf"(?P<segment>{SEGMENT_PATTERN})/(?P<kind>[a-z]+)\.[A-Za-z0-9]{{1,10}}")
_OF_SEGMENT: Final = re.compile(rf"segments/[^/]+/[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}}/{SEGMENT_PATTERN}/[^/]+")


def open_book(state: Path) -> Book:
    """Open the book in a state folder, of whatever station; raises UnreadableError, NewerStateError or StorageError."""
    book = Book(state, station=StationId("unknown"), clock=SystemClock(), read_only=True)
    try:
        station = parse(book.ledger.bytes_at(1)).station
    finally:
        book.close()
    return Book(state, station=station, clock=SystemClock(), read_only=True)


class StationTarget:
    """A station."""

    def __init__(self, book: Book, *, state: Path, vault: Path, name: str, with_originals: bool) -> None:
        self.name = name
        self.originals: Originals | None = VaultOriginals(book, state, vault) if with_originals else None
        self._book = book
        self._keys = KeyFolder(state / KEYS)

    def logs(self) -> Sequence["BookLog"]:
        """Give the log of each epoch."""
        return [BookLog(self._book, epoch, self._keys) for epoch in self._book.ledger.epochs()]


class BookLog:
    """The log of one epoch in the book."""

    def __init__(self, book: Book, epoch: Epoch, keys: KeyFolder) -> None:
        self.origin, self.epoch, self.station = epoch.origin, epoch.id, book.ledger.station
        self._log = book.ledger.log(epoch)
        self.size = self._log.size()
        signed = book.anchors.signed(epoch.origin, self._log.signed_size())
        self.newest = None if signed is None else signed.note
        self.files: BundleFiles = _BookFiles(book, epoch, keys)

    def entries(self, n: int, width: int) -> list[bytes]:
        """Read entries from the book."""
        found = self._log.entries_between(n * ENTRIES, n * ENTRIES + width)
        if len(found) != width:
            raise AbsentError(f"The book lacks entries from {n * ENTRIES} on of {self.origin}.")
        return found

    def tile(self, level: int, n: int, width: int) -> bytes | None:
        """Compute a tile from the hashes that the book keeps."""
        try:
            return self._log.tile_bytes(tiles.Tile(level, n, width))
        except LedgerError:
            return None

    def older(self) -> Iterator[bytes]:
        """Give every other checkpoint that was signed."""
        return (head.note for head in self._log.heads() if head.note is not None and head.note != self.newest)


class _BookFiles:
    """Certificates and anchored checkpoints, under the names of a bundle."""

    def __init__(self, book: Book, epoch: Epoch, keys: KeyFolder) -> None:
        self._book = book
        self._epoch = epoch
        self._keys = keys
        self._top = f"data/logs/{book.ledger.station}/{epoch.id}"

    def listing(self) -> Sequence[BundleFile]:
        """List them."""
        paths = [] if self._keys.certificates_of(self._epoch.origin) is None else [f"{self._top}/station.pem"]
        position = 0
        while page := self._book.anchors.after(position, _PAGE):
            for each in page:
                folder = f"{self._top}/{each.size}"
                if each.origin == self._epoch.origin:
                    name = each.file_name if each.kind == "rfc3161" else "checkpoint.cosigned"
                    paths += [f"{folder}/checkpoint", f"{folder}/{name}"]
            position = page[-1].position
        return [BundleFile(path=path, kind="file", size_bytes=0) for path in dict.fromkeys(paths)]

    def open(self, path: str) -> Iterator[bytes]:
        """Give one of them."""
        name = path.removeprefix(f"{self._top}/")
        data = self._keys.certificates_of(self._epoch.origin) if name == "station.pem" else self._anchored(name)
        if data is None:
            raise UnreadableError(f"{path} is not here any more.")
        return (data[at : at + _BLOCK_BYTES] for at in range(0, len(data), _BLOCK_BYTES))

    def _anchored(self, path: str) -> bytes | None:
        size, _, name = path.partition("/")
        over = self._book.anchors.signed(self._epoch.origin, int(size))
        found = self._book.anchors.at(self._epoch.origin, int(size), before=_LAST)
        if over is None or name == "checkpoint":
            return None if over is None else over.note
        if name == "checkpoint.cosigned":
            return over.note + b"".join(each.data for each in found if each.kind == "cosignature")
        return next((each.data for each in found if each.kind == "rfc3161" and each.file_name == name), None)


class VaultOriginals:
    """The originals in the vault."""

    has_documents = True

    def __init__(self, book: Book, state: Path, vault: Path) -> None:
        self.store: StoreId | None = None
        self._book = book
        self._derivatives = state / "derivatives"
        self._vault = vault

    def settle(self, stores: Collection[str]) -> None:
        """Nothing is to be chosen: the vault is the vault."""

    def place(self, segment: bodies.Segment) -> Copy:
        """Give the place in the vault, which follows from the entry."""
        row = self._book.facts.segment(segment.segment)
        if row is None:
            raise AbsentError(f"The book knows no segment {segment.segment}.")
        return Copy(segment=segment, key=place_of(self._book, row).key, version=None)

    def read(self, copy: Copy) -> Iterator[bytes]:
        """Read a file of the vault, following no link."""
        return _read(self._vault / copy.key)

    def chunk_list(self, copy: Copy) -> bytes | None:
        """Read the chunk list beside it."""
        try:
            return b"".join(_read(self._vault / copy.folder / CHUNKS_FILE))
        except AbsentError:
            return None

    def document(self, sha256: Sha256) -> bytes | None:
        """Give an inventory."""
        try:
            return self._book.registers.document(sha256)
        except UnreadableError:
            return None

    def lying(self) -> Iterator[Lying]:
        """Walk vault and derivatives."""
        for path in _walk(self._vault / "segments"):
            key = str(path.relative_to(self._vault))
            is_ours = path.is_file() and not path.is_symlink() and _OF_SEGMENT.fullmatch(key) is not None
            kind = partial(Lying, key=key)
            if not is_ours:
                yield kind(version="", kind="stray")
            elif path.name == CHUNKS_FILE:
                yield kind(version=None, kind="beside")
            else:
                yield kind(version=None, kind="original")
        for path in _walk(self._derivatives):
            key = str(path.relative_to(self._derivatives))
            if (found := _DERIVATIVE.fullmatch(key)) is not None:
                segment = SegmentId(found["segment"])
                name = f"derivatives/{key}"
                yield Lying(key=name, version=None, kind="derivative", segment=segment, derivative=found["kind"])

    def read_lying(self, lying: Lying) -> Iterator[bytes]:
        """Read a derivative."""
        return _read(self._derivatives.parent / lying.key)


def _read(path: Path) -> Iterator[bytes]:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AbsentError(f"{path} is not there.") from error
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from error
    yield from read_blocks(path)


def _walk(top: Path) -> Iterator[Path]:
    """Give every name below a folder that is not a folder itself."""
    try:
        names = sorted(top.iterdir()) if top.exists() else []
    except OSError as error:
        raise StorageError(f"{top} cannot be read: {error.strerror}.") from error
    for path in names:
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path
