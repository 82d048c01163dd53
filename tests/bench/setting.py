"""What all rows share: how much of everything, the files, the folder to work in, and what was left out.

The files stand for a card: a few long recordings, some short ones, small side files, all of random bytes. Their
names sort as they would be copied, the longest last, so that the last byte of the card is the hardest to seal.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

MIB: Final = 1 << 20

_SHARES: Final = (32, 32, 16, 8, 4, 2)
"""The recordings, each as one of so many equal parts of all their bytes; together they are the whole."""
_SIDE_FILES: Final = 8
_SIDE_BYTES: Final = 20_000
_RESTED_SECONDS: Final = 3600


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of everything."""

    name: str
    files_bytes: int
    """Of all recordings together."""
    upload_bytes: int
    """Of those that are uploaded, at most: the store keeps every round's."""
    segments: int
    """In the book of the ledger's rows; the budget names 1 000 000."""
    idle_seconds: float
    """How long the daemon's idling is watched."""
    card_bytes: int
    """Of the card in each of the bays that are busy at once."""
    small_files: int
    """On the card of small files."""
    small_probed: int
    """On the card of small files of which each is probed, which takes a tenth of a second of the processor."""
    rounds: int = 5

    @property
    def needed_bytes(self) -> int:
        """Give what the bench takes of the disk at most: files and two copies, the store, book, and its own slack."""
        uploads = 2 * self.rounds * self.upload_bytes
        # The cards of the bays are copied once at a time, and removed before the next row is measured.
        bays = 2 * 16 * self.card_bytes
        return 4 * self.files_bytes + uploads + bays + 8_000 * self.segments + 2048 * MIB

    def with_segments(self, segments: int) -> "Scale":
        """Give the same with a smaller or larger book."""
        return replace(self, segments=segments)


QUICK: Final = Scale(
    name="quick",
    files_bytes=256 * MIB,
    upload_bytes=128 * MIB,
    segments=20_000,
    idle_seconds=10.0,
    card_bytes=32 * MIB,
    small_files=1_000,
    small_probed=50,
)
FULL: Final = Scale(
    name="full",
    files_bytes=2048 * MIB,
    upload_bytes=1024 * MIB,
    segments=1_000_000,
    idle_seconds=60.0,
    card_bytes=256 * MIB,
    small_files=10_000,
    small_probed=200,
)


@dataclass(kw_only=True)
class Setting:
    """The scene of one run."""

    scale: Scale
    folder: Path
    """To work in; removed at the end."""
    card: Path
    """The folder of the files."""
    files: tuple[Path, ...]
    """By name."""
    tell: Callable[[str], None]
    """Shows one line of what is going on."""
    left_out: list[str] = field(default_factory=list)
    """One sentence for each peer that is not installed."""

    @classmethod
    def make(cls, folder: Path, scale: Scale, *, tell: Callable[[str], None]) -> Self:
        """Write the files."""
        card = folder / "card" / "DCIM" / "100MEDIA"
        card.mkdir(parents=True)
        sizes = [_SIDE_BYTES] * _SIDE_FILES + [scale.files_bytes // share for share in _SHARES]
        files = []
        for number, size_bytes in enumerate(sizes, start=1):
            path = card / f"VID_20261121_{number:06d}_{number:04d}.{'LOG' if size_bytes == _SIDE_BYTES else 'MP4'}"
            write_random(path, size_bytes)
            files.append(path)
        return cls(scale=scale, folder=folder, card=folder / "card", files=tuple(files), tell=tell)

    @property
    def recordings(self) -> tuple[Path, ...]:
        """The files without side files."""
        return tuple(path for path in self.files if path.suffix == ".MP4")

    @property
    def total_bytes(self) -> int:
        """Length of all files together."""
        return sum(path.stat().st_size for path in self.files)


def write_random(path: Path, size_bytes: int) -> None:
    """Make a durable file of random bytes."""
    with path.open("xb") as file:
        left = size_bytes
        while left:
            left -= file.write(os.urandom(min(left, MIB)))
        file.flush()
        os.fsync(file.fileno())
    let_rest(path)


def let_rest(path: Path) -> None:
    """Have a file look as if it was written a while ago: what was changed a moment ago is not taken off a card yet."""
    changed = path.stat().st_mtime - _RESTED_SECONDS
    os.utime(path, (changed, changed))
