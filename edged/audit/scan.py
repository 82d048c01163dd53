"""The first reading of a log: its tree, computed anew from every entry.

Gives the root at each size that somebody speaks of. Where an entry is not the one that the log's own hashes stand for,
a second tree is grown from those hashes: if that one leads to the signed root, every entry but the altered ones is
proven, and they are named.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from edged.audit.port import ENTRIES, AbsentError, LogSource, Progress
from edged.errors import MalformedError
from edged.evidence import bodies, merkle
from edged.evidence.entry import parse
from edged.evidence.ids import SegmentId, StoreId

_HEIGHT: Final = 8
_MOST: Final = 10_000
"""As many altered entries, or tiles, are named."""

_RARE: Final = re.compile(rb'"type":"(?:retire|disposal|anchor)"')
_REPLICA: Final = re.compile(rb'"store":"([A-Za-z0-9_][A-Za-z0-9._-]{0,63})".*"type":"replica"', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What an entry says of a log at a size."""

    place: str
    origin: str
    size: int
    root: str
    """base64, as it stands there."""
    ends: bool = False
    """Whether it says that the log ended there."""


@dataclass(kw_only=True)
class Scan:
    """What the first reading found."""

    size: int = 0
    """Entries read, or known by their hashes."""
    roots: dict[int, bytes] = field(default_factory=dict)
    """By size, computed from the entries."""
    by_hashes: dict[int, bytes] = field(default_factory=dict)
    """By size, where they differ from the log's own hashes: computed from those."""
    altered: list[int] = field(default_factory=list)
    """Entries that are not those of the log's own hashes."""
    digests: list[bytes] = field(default_factory=list)
    """Of each bundle, one digest over its entries' hashes; empty where it is not here."""
    absent: list[int] = field(default_factory=list)
    """Numbers of bundles of entries that are not here, or are none."""
    wrong_tiles: list[str] = field(default_factory=list)
    """Tiles that are not those of the entries."""
    ended: str | None = None
    """Why it ended before the last entry."""
    statements: list[Statement] = field(default_factory=list)
    gone: set[tuple[SegmentId, StoreId]] = field(default_factory=set)
    """Copies that the ledger says were removed."""
    stores: Counter[str] = field(default_factory=Counter)
    """How many `replica` entries name each store."""

    def matches(self, size: int, root: bytes) -> bool:
        """Say whether the entries, or all but the altered ones, lead to a root."""
        return self.roots.get(size) == root or self.by_hashes.get(size) == root


def scan(log: LogSource, size: int, wanted: Iterable[int], progress: Progress, *, hashes: bool) -> Scan:
    """Read a log up to a size; `hashes` has its tiles compared as well, which tells altered entries from the others."""
    return _Scanner(log, size, set(wanted), hashes=hashes).run(progress)


def bundles(size: int) -> Iterator[tuple[int, int]]:
    """Give number and width of every bundle of entries of a log."""
    return ((n, min(ENTRIES, size - n * ENTRIES)) for n in range(-(-size // ENTRIES)))


def bundle_digest(leaves: Sequence[bytes]) -> bytes:
    """Give one digest for the hashes of a bundle's entries; empty where there are none."""
    return hashlib.sha256(b"".join(leaves)).digest() if leaves else b""


class _Scanner:
    def __init__(self, log: LogSource, size: int, wanted: set[int], *, hashes: bool) -> None:
        self._log = log
        self._size = size
        self._wanted = wanted
        self._hashes = hashes
        self._tree = merkle.Tree()
        self._second: merkle.Tree | None = None
        self._rows: dict[int, list[bytes]] = {}
        """Of each level of tiles above the lowest, the hashes of its unfinished tile."""
        self._found = Scan()

    def run(self, progress: Progress) -> Scan:
        found = self._found
        self._note()
        for n, width in bundles(self._size):
            if not self._take(n, width):
                break
            progress.advance(width)
        found.size = self._tree.size
        if self._hashes and found.ended is None and self._second is None:
            for level, row in self._rows.items():
                if row:
                    self._compare(level, (self._size >> (_HEIGHT * level)) // ENTRIES, row)
        return found

    def _take(self, n: int, width: int) -> bool:
        """Take in one bundle; says whether to go on."""
        found = self._found
        try:
            entries = self._log.entries(n, width)
        except (AbsentError, MalformedError):
            found.absent.append(n)
            entries = []
        leaves = [merkle.leaf_hash(data) for data in entries]
        found.digests.append(bundle_digest(leaves))
        own = self._leaves(n, width) if self._hashes or not entries else None
        if not entries:
            if own is None:
                found.ended = f"entries from {n * ENTRIES} on are not here"
                return False
            leaves = own
        for at, data in enumerate(entries):
            self._note_rare(n * ENTRIES + at, data)
        if own is not None and own != leaves:
            self._second = self._second or self._tree.branch()
            wrong = [n * ENTRIES + at for at, leaf in enumerate(leaves) if own[at] != leaf]
            found.altered += wrong[: _MOST - len(found.altered)]
        self._grow(leaves, leaves if own is None else own)
        return True

    def _grow(self, leaves: list[bytes], own: list[bytes]) -> None:
        for leaf, other in zip(leaves, own, strict=True):
            for level, index, digest in self._tree.append(leaf):
                if level and level % _HEIGHT == 0 and self._hashes and self._second is None:
                    self._fill(level // _HEIGHT, index, digest)
            if self._second is not None:
                self._second.append(other)
            self._note()

    def _fill(self, level: int, index: int, digest: bytes) -> None:
        row = self._rows.setdefault(level, [])
        row.append(digest)
        if len(row) == ENTRIES:
            self._compare(level, index // ENTRIES, row)
            row.clear()

    def _compare(self, level: int, n: int, row: list[bytes]) -> None:
        held = self._log.tile(level, n, len(row))
        if held is not None and held != b"".join(row):
            self._object(level, n)

    def _object(self, level: int, n: int) -> None:
        if len(self._found.wrong_tiles) < _MOST:
            self._found.wrong_tiles.append(f"tile/{level}/{n}")

    def _leaves(self, n: int, width: int) -> list[bytes] | None:
        tile = self._log.tile(0, n, width)
        if tile is None:
            return None
        if len(tile) != width * merkle.HASH_BYTES:
            self._object(0, n)
            return None
        return [tile[at : at + merkle.HASH_BYTES] for at in range(0, len(tile), merkle.HASH_BYTES)]

    def _note(self) -> None:
        """Keep the root of a size that somebody speaks of."""
        size = self._tree.size
        if size in self._wanted:
            self._found.roots[size] = self._tree.root()
            if self._second is not None:
                self._found.by_hashes[size] = self._second.root()

    def _note_rare(self, seq: int, data: bytes) -> None:
        """Note what has to be known before the entries are judged; what cannot be read is judged later."""
        if (named := _REPLICA.search(data)) is not None:
            self._found.stores[named[1].decode()] += 1
        if _RARE.search(data) is None:
            return
        try:
            body = parse(data).body
        except MalformedError:
            return
        place = f"{self._log.origin} entry {seq}"
        match body:
            case bodies.Anchor():
                said = Statement(place=place, origin=body.origin, size=body.size, root=body.root)
                self._found.statements.append(said)
            case bodies.Retire():
                self._found.gone.add((body.segment, body.store))
            case bodies.Disposal(phase="done"):
                self._found.gone |= {(body.segment, store) for store in body.stores}
            case _:
                pass
