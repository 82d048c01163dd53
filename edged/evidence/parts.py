"""The JSON objects that stand within bodies of entries (EVIDENCE.md, section 2)."""

from typing import Annotated, Literal

from pydantic import JsonValue, Strict, model_validator

from edged.evidence.digests import CHUNK_BYTES
from edged.evidence.ids import is_segment_id
from edged.evidence.shapes import (
    ID,
    CardPath,
    Count,
    Digest,
    Instant,
    Many,
    Origin,
    Part,
    RecorderId,
    Root,
    SegmentId,
)


class Reason(Part):
    """Why a person did something; the words themselves stay in the register."""

    code: str
    text: Digest
    """SHA-256 of 32 hex digits of salt and the text."""


class Subject(Part):
    """What an act of keeping or use is about."""

    kind: Literal["segment", "case", "recorder", "officer", "docking"]
    id: Annotated[str, ID]

    @model_validator(mode="after")
    def _check_id(self) -> "Subject":
        if self.kind == "segment" and not is_segment_id(self.id):
            raise ValueError("a segment is named by its id")
        return self


class Previous(Part):
    """The last checkpoint of the epoch before."""

    origin: Origin
    size: Count
    root: Root


class RecorderInfo(Part):
    """The recorder that was docked."""

    id: RecorderId
    vendor: str
    model: str
    serial: str
    known: bool
    """Whether it is in the register."""


class Chunks(Part):
    """The chunk list of a file (section 1)."""

    size: Literal[8_388_608] = CHUNK_BYTES
    count: Count
    sha256: Digest
    """Digest of the list."""


class Recorded(Part):
    """When the recorder claims to have recorded; never corrected."""

    start: Instant | None
    end: Instant | None
    zone: str
    """As claimed: an IANA name or an offset."""
    source: Literal["filename", "container", "mtime"]
    uncertainty_ms: Count


class Media(Part):
    """What probing a file found in it."""

    container: str
    video: JsonValue
    """Name of the codec, null without a picture."""
    audio: JsonValue
    """Name of the codec, null without sound."""
    duration_ms: Count | None


class Unreadable(Part):
    """Why probing a file found nothing."""

    unreadable: str


class Quarantine(Part):
    """Why the bytes of a segment are kept but not trusted."""

    code: str
    unreadable: Many[Annotated[tuple[Count, Count], Strict(strict=False)]]
    """Ranges of bytes that could not be read, each from its first byte to the one after its last."""
    second_sha256: Digest | None
    """What a second reading gave, null if there was none."""

    @model_validator(mode="after")
    def _check_ranges(self) -> "Quarantine":
        if any(start >= end for start, end in self.unreadable):
            raise ValueError("a range of unreadable bytes ends before it begins")
        return self


class SegmentPath(Part):
    """One file on a card."""

    segment: SegmentId
    path: CardPath


class Ciphertext(Part):
    """What a store holds instead of the original."""

    sha256: Digest
    chunks: Chunks


class StatedTime(Part):
    """When something was recorded, as a person later stated it."""

    start: Instant | None
    end: Instant | None
