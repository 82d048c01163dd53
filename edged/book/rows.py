"""The rows in which the projections are read: frozen, their fields the columns of the same names."""

from dataclasses import dataclass, fields
from typing import Literal, Self

from edged.book.database import Row
from edged.evidence.ids import (
    BayId,
    CaseId,
    DockingId,
    EntryRef,
    EpochId,
    OfficerId,
    RecorderId,
    SegmentId,
    Sha256,
    StoreId,
    is_handed_in,
)


@dataclass(frozen=True, kw_only=True)
class FromRow:
    """A row whose fields are columns of the same names; further columns are left out."""

    @classmethod
    def of(cls, row: Row) -> Self:
        """Take the fields out of a row."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class SegmentRow(FromRow):
    """A sealed segment."""

    position: int
    segment: SegmentId
    docking: DockingId
    recorder: RecorderId
    recorder_seq: int
    path: str
    bytes: int
    sha256: Sha256
    chunks_sha256: Sha256
    officer: OfficerId | None
    started: str | None
    """RFC 3339 with offset: the recorder's claim."""
    ended: str | None
    uncertainty_ms: int
    important: int
    """1 if it was marked as important on its recorder when it was sealed, or met again so marked."""
    side_of: SegmentId | None
    quarantine: str | None
    unreadable: str | None
    container: str | None
    video: str | None
    audio: str | None
    duration_ms: int | None
    sealed: str


@dataclass(frozen=True, kw_only=True)
class MarkedRow(SegmentRow):
    """A segment that was met again where it is marked as important."""

    marked_at: int
    """Position of the entry that says so."""


@dataclass(frozen=True, kw_only=True)
class DockingRow(FromRow):
    """A docking."""

    docking: DockingId
    bay: BayId
    recorder: RecorderId
    officer: OfficerId | None
    inventory_sha256: Sha256
    files: int
    bytes: int
    began: str
    outcome: str | None
    """None while it lasts."""
    remaining: int | None

    @property
    def handed_in(self) -> bool:
        """Whether a person brought these files: what they chose says nothing about the recorder's own card."""
        return is_handed_in(self.bay)


@dataclass(frozen=True, kw_only=True)
class FoundRow(FromRow):
    """A path of a docking that is accounted for."""

    path: str
    segment: SegmentId
    how: str
    """`sealed` or `sighted`."""


@dataclass(frozen=True, kw_only=True)
class AtPathRow(FromRow):
    """What a docking found at a path."""

    docking: DockingId
    segment: SegmentId
    sha256: Sha256
    outcome: str | None
    """Of its wipe; None if there was none."""


@dataclass(frozen=True, kw_only=True)
class SealedFileRow(FromRow):
    """A path of a docking with what clearance needs of its segment."""

    path: str
    segment: SegmentId
    sha256: Sha256
    distrusted: int
    """1 for a file in quarantine, else 0."""
    sealed_at: str
    """The station's time of the `segment` entry."""
    sealed_seq: int
    sealed_ref: EntryRef
    sealed_epoch: EpochId
    """Of the `segment` entry."""
    said_seq: int
    said_ref: EntryRef
    said_epoch: EpochId
    """Of this docking's own entry about the path."""


@dataclass(frozen=True, kw_only=True)
class ClearanceRow(FromRow):
    """A cleared file, and what became of it."""

    path: str
    segment: SegmentId
    ref: EntryRef
    outcome: str | None
    """None until a `wipe` entry says it."""


@dataclass(frozen=True, kw_only=True)
class ReplicaRow(FromRow):
    """A verified copy."""

    store: StoreId
    seq: int
    """Of the `replica` entry."""
    ref: EntryRef
    epoch: EpochId
    key: str
    version: str | None
    checksum: str
    checksum_type: str
    verified: Literal["server-checksum", "read-back"]
    method: str
    locked_until: str | None


@dataclass(frozen=True, kw_only=True)
class RetiredRow(FromRow):
    """A copy that was removed while others stay."""

    segment: SegmentId
    gone: int
    """0 until an entry says that it is gone."""


@dataclass(frozen=True, kw_only=True)
class RetiringRow(SegmentRow):
    """A segment of which a copy is to be removed, by the entry that orders it."""

    ordered_seq: int
    ordered_epoch: EpochId


@dataclass(frozen=True, kw_only=True)
class LockRow(FromRow):
    """A locked copy."""

    segment: SegmentId
    locked_until: str


@dataclass(frozen=True, kw_only=True)
class ClassificationRow(FromRow):
    """The classification in force."""

    ref: EntryRef
    case: CaseId | None
    matter: str | None
    stage: str | None
    secrecy: str | None
    publicity: str | None
    rule: str | None
    retain_until: str
    basis: Literal["rule", "feed", "person"]
    confidence: int


@dataclass(frozen=True, kw_only=True)
class DerivativeRow(FromRow):
    """A derivative."""

    kind: str
    sha256: Sha256
    bytes: int
