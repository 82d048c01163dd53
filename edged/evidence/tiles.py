"""The published form of a log: C2SP `tlog-tiles`, which static file servers and stores can hold.

Everything but the checkpoint and partial tiles is written once and never changes. A bundle of entries has the
index and width of the tile of level 0 over the same entries.
"""

from typing import Final, NamedTuple

from edged.errors import MalformedError
from edged.evidence.merkle import HashReader

FULL: Final = 256
"""Hashes in a full tile, entries in a full bundle."""

_HEIGHT: Final = 8
_LENGTH_BYTES: Final = 2
_MAX_ENTRY_BYTES: Final = 65_535


class Tile(NamedTuple):
    """A row of hashes of the tree."""

    level: int
    """0 for leaf hashes; each level above is 8 levels of the tree."""
    n: int
    """Index within the level."""
    width: int
    """Number of hashes, 256 when full."""


def tile_path(level: int, n: int, width: int = FULL) -> str:
    """Give the path of a tile below the log's prefix."""
    return f"tile/{level}/{_index(n, width)}"


def entries_path(n: int, width: int = FULL) -> str:
    """Give the path of a bundle of entries below the log's prefix."""
    return f"tile/entries/{_index(n, width)}"


def tiles_for(old_size: int, new_size: int) -> list[Tile]:
    """Name the tiles that a log grown from `old_size` to `new_size` entries has to publish.

    Each tile of level 0 among them stands for its bundle of entries too. Tiles of a level come in order, lower
    levels first; the checkpoint is published after all of them.
    """
    tiles = []
    level, old, new = 0, old_size, new_size
    while new:
        if new != old:
            tiles += [Tile(level, n, FULL) for n in range(old // FULL, new // FULL)]
            if new % FULL:
                tiles.append(Tile(level, new // FULL, new % FULL))
        level, old, new = level + 1, old // FULL, new // FULL
    return tiles


def tile_bytes(tile: Tile, read: HashReader) -> bytes:
    """Give the bytes of a tile from the hashes of the tree's complete subtrees."""
    first = tile.n * FULL
    return b"".join(read(_HEIGHT * tile.level, first + i) for i in range(tile.width))


def bundle_entries(entries: list[bytes]) -> bytes:
    """Write entries in the form of a bundle: each with its length before it, 16 bits, big-endian."""
    if any(len(each) > _MAX_ENTRY_BYTES for each in entries):
        raise MalformedError(f"an entry is longer than {_MAX_ENTRY_BYTES} bytes")
    return b"".join(len(each).to_bytes(_LENGTH_BYTES, "big") + each for each in entries)


def parse_bundle(data: bytes) -> list[bytes]:
    """Read a bundle of entries back."""
    entries, at = [], 0
    while at < len(data):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data) or start > len(data):
            raise MalformedError("the bundle of entries ends within an entry")
        entries.append(data[start:at])
    if len(entries) > FULL:
        raise MalformedError(f"the bundle holds more than {FULL} entries")
    return entries


def _index(n: int, width: int) -> str:
    if n < 0 or not 1 <= width <= FULL:
        raise MalformedError(f"there is no tile {n} of width {width}")
    groups = [f"{n % 1000:03d}"]
    while n := n // 1000:
        groups.insert(0, f"x{n % 1000:03d}")
    return "/".join(groups) + ("" if width == FULL else f".p/{width}")
