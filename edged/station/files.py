"""Where the files of a station lie below its state and vault folders."""

from pathlib import Path

from edged.book import Book
from edged.book.facts import SegmentRow
from edged.evidence.ids import SegmentId
from edged.vault.vault import Place, place

KEYS = "keys"
SOCKET = "control.sock"
LOCK = "lock"


def place_of(book: Book, segment: SegmentRow) -> Place:
    """Give where a sealed segment lies, in the vault and in central storage."""
    docking = book.facts.docking(segment.docking)
    day = segment.started or segment.ended or (docking.began if docking else segment.sealed)
    return place(recorder=segment.recorder, segment=segment.segment, path=segment.path, day=day)


def derivatives_folder(state: Path, segment: SegmentId) -> Path:
    """Give the folder of a segment's derivatives, `KIND.EXT`; they can be made again."""
    return state / "derivatives" / segment


def derivative_path(state: Path, segment: SegmentId, kind: str) -> Path | None:
    """Give the file of a derivative, if it lies there."""
    found = sorted(derivatives_folder(state, segment).glob(f"{kind}.*"))
    return found[0] if found else None
