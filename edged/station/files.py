"""Where the files of a station lie below its state and vault folders."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from edged.book import Book
from edged.book.facts import SegmentRow
from edged.errors import StorageError
from edged.evidence.digests import Digester
from edged.evidence.ids import SegmentId
from edged.vault.place import Place, place

KEYS = "keys"
LOCK = "lock"

_BLOCK_BYTES = 1 << 20


def place_of(book: Book, segment: SegmentRow) -> Place:
    """Give where a sealed segment lies, in the vault and in central storage."""
    docking = book.facts.docking(segment.docking)
    day = segment.started or segment.ended or (docking.began if docking else segment.sealed)
    return place(recorder=segment.recorder, segment=segment.segment, path=segment.path, day=day)


def sealed_place(book: Book, segment: SegmentId) -> Place | None:
    """Give where a segment lies if it is sealed."""
    sealed = book.facts.segment(segment)
    return None if sealed is None else place_of(book, sealed)


def derivatives_folder(state: Path, segment: SegmentId) -> Path:
    """Give the folder of a segment's derivatives, `KIND.EXT`; they can be made again."""
    return state / "derivatives" / segment


def making_folder(state: Path) -> Path:
    """Give the folder in which derivatives are made; what lies there at a start is left over."""
    return state / "derivatives" / ".making"


def read_blocks(path: Path) -> Iterator[bytes]:
    """Give the content of a file of the station's own in blocks; raises StorageError."""
    try:
        with path.open("rb") as file:
            yield from iter(partial(file.read, _BLOCK_BYTES), b"")
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error


def digested(blocks: Iterable[bytes], digester: Digester) -> Iterator[bytes]:
    """Pass blocks on, and have them digested on the way."""
    for block in blocks:
        digester.update(block)
        yield block


def derivative_path(state: Path, segment: SegmentId, kind: str) -> Path | None:
    """Give the file of a derivative, if it lies there."""
    found = sorted(derivatives_folder(state, segment).glob(f"{kind}.*"))
    return found[0] if found else None
