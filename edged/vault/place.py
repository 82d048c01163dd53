"""Where a segment lies, in the vault and in central storage alike.

It follows from the segment's entry alone, so no row has to remember it (EVIDENCE.md, section 9).
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from edged.clock import from_rfc3339
from edged.evidence.ids import RecorderId, SegmentId, bundle_name

CHUNKS_FILE: Final = "chunks.sha256"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a segment lies, in the vault and in central storage alike."""

    recorder: RecorderId
    day: date
    """The day of recording as the recorder claims it, else the day of the docking."""
    segment: SegmentId
    name: str

    @property
    def folder(self) -> str:
        """The key of the segment's folder."""
        return f"segments/{self.recorder}/{self.day:%Y/%m/%d}/{self.segment}"

    @property
    def key(self) -> str:
        """The key of the original."""
        return f"{self.folder}/{self.name}"


def place(*, recorder: RecorderId, segment: SegmentId, path: str, day: str) -> Place:
    """Give a segment's place; `day` is the RFC 3339 time whose date, in its own zone, files it."""
    return Place(recorder=recorder, day=from_rfc3339(day).date(), segment=segment, name=bundle_name(path))
