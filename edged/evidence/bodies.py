"""What each type of entry says: the body keys of EVIDENCE.md, section 2, as frozen models.

A body is valid if every key of the page is there with a value of its kind; further keys are kept and shown.
A key marked `?` on the page is optional: it is left out, never null. Every other key is always present; it is
null where the page says so, and where there is nothing it could name (a case, matter or rule when nothing
matched). Where the page leaves the shape of a value open, any JSON value is taken.

Values of the wrong kind are a `ValueError`, a mistake of the program; bytes of it a `MalformedError` of `entry.parse`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, JsonValue

from edged.evidence import ids
from edged.evidence.parts import (
    Chunks,
    Ciphertext,
    Media,
    Previous,
    Quarantine,
    Reason,
    Recorded,
    RecorderInfo,
    SegmentPath,
    StatedTime,
    Subject,
    Unreadable,
)
from edged.evidence.shapes import (
    ID,
    CardPath,
    CaseId,
    Count,
    Digest,
    DockingId,
    ExportId,
    Instant,
    Many,
    OfficerId,
    Origin,
    Part,
    RecorderId,
    Reference,
    Root,
    SegmentId,
    Sm3,
    StoreId,
    Term,
    VerifierKey,
    Whole,
)

__all__ = [
    "BODIES",
    "Anchor",
    "Anomaly",
    "Body",
    "Chunks",
    "Classification",
    "Clearance",
    "Close",
    "Correction",
    "Derivative",
    "Disclosure",
    "Disposal",
    "Docking",
    "Export",
    "Genesis",
    "Hold",
    "Media",
    "Policy",
    "Previous",
    "Quarantine",
    "Reason",
    "Recorded",
    "RecorderInfo",
    "Replica",
    "Retire",
    "Review",
    "Segment",
    "SegmentPath",
    "Sighting",
    "Subject",
    "Undocking",
    "Unreadable",
    "Wipe",
]


class Body(Part):
    """The body of an entry of a known type."""

    TYPE: ClassVar[str]
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()
    """Keys that are left out when there is nothing to say."""

    def plain(self) -> dict[str, object]:
        """Give the JSON object that is signed."""
        document: dict[str, object] = self.model_dump(mode="json")
        return {key: value for key, value in document.items() if value is not None or key not in self.OPTIONAL}


class Genesis(Body):
    """An epoch begins; the first entry of its log."""

    TYPE = "genesis"
    origin: Origin
    public_key: VerifierKey
    certificate_sha256: Digest
    """Of the DER bytes."""
    previous: Previous | None
    software: str
    reason: Reason


class Docking(Body):
    """A recorder came into a bay and its card was listed."""

    TYPE = "docking"
    docking: DockingId
    bay: str
    recorder: RecorderInfo
    officer: OfficerId | None
    inventory_sha256: Digest
    files: Count
    bytes: Count
    clock_offset_ms: Whole | None
    """Recorder minus station."""
    clock_uncertainty_ms: Count | None
    clock_set: bool
    missing: Count


class Segment(Body):
    """A file is sealed."""

    TYPE = "segment"
    OPTIONAL = frozenset({"sm3"})
    segment: SegmentId
    docking: DockingId
    path: CardPath
    bytes: Count
    sha256: Digest
    sm3: Sm3 | None = None
    chunks: Chunks
    recorder: RecorderId
    recorder_seq: Annotated[int, Field(ge=1, le=2**53 - 1)]
    recorder_prev: Reference | None
    officer: OfficerId | None
    recorded: Recorded
    media: Media | Unreadable
    important: bool
    side_of: SegmentId | None
    quarantine: Quarantine | None


class Sighting(Body):
    """The bytes of a sealed segment were met again."""

    TYPE = "sighting"
    segment: SegmentId
    docking: DockingId
    path: CardPath

    @property
    def important(self) -> bool:
        """Whether the file is marked as important at this path, by a further key that is left out where it is not."""
        return (self.model_extra or {}).get("important") is True


class Undocking(Body):
    """A recorder left its bay."""

    TYPE = "undocking"
    docking: DockingId
    outcome: Literal["cleared", "interrupted", "kept"]
    remaining: Count


class Clearance(Body):
    """These files may be erased from the recorder; written before anything is."""

    TYPE = "clearance"
    docking: DockingId
    items: Many[SegmentPath]
    proofs: Many[Reference]
    """The `replica` entries that show that nothing is lost."""


class Wipe(Body):
    """What became of a file that was to be erased."""

    TYPE = "wipe"
    docking: DockingId
    segment: SegmentId
    path: CardPath
    sha256: Digest
    clearance: Reference
    outcome: Literal["gone", "present", "unknown"]


class Anomaly(Body):
    """Something is not as it should be."""

    TYPE = "anomaly"
    kind: str
    docking: DockingId | None
    subject: Subject | None
    detail: dict[str, JsonValue]
    """Without personal data."""


class Classification(Body):
    """What a segment belongs to and how long it is kept."""

    TYPE = "classification"
    OPTIONAL = frozenset({"reason"})
    segment: SegmentId
    case: CaseId | None
    matter: ids.MatterId | None
    stage: ids.StageId | None
    secrecy: str | None
    publicity: str | None
    rule: ids.RuleId | None
    clause: str | None
    policy: Digest
    """Of the configuration that decided."""
    retain_until: Term
    basis: Literal["rule", "feed", "person"]
    confidence: Annotated[int, Field(ge=0, le=100)]
    supersedes: Reference | None
    reason: Reason | None = None


class Correction(Body):
    """What a person later stated about the facts of intake."""

    TYPE = "correction"
    OPTIONAL = frozenset({"officer", "recorder", "recorded"})
    segment: SegmentId
    officer: OfficerId | None = None
    recorder: RecorderId | None = None
    recorded: StatedTime | None = None
    reason: Reason


class Hold(Body):
    """Disposal is suspended, or no longer."""

    TYPE = "hold"
    hold: Annotated[str, ID]
    subject: Subject
    action: Literal["placed", "lifted"]
    reason: Reason
    reference: JsonValue


class Derivative(Body):
    """Something was made from a segment."""

    TYPE = "derivative"
    segment: SegmentId
    parent_sha256: Digest
    kind: Literal["proxy", "poster", "filmstrip", "framehash", "redacted"]
    sha256: Digest
    bytes: Count
    tool: str
    arguments: JsonValue


class Replica(Body):
    """A copy of a segment is where it says, and was checked there."""

    TYPE = "replica"
    segment: SegmentId
    store: StoreId
    """`vault` is the station's own copy."""
    key: str
    version: str | None
    checksum: str
    checksum_type: str
    verified: Literal["server-checksum", "read-back"]
    method: str
    locked_until: Instant | None
    lock_mode: str | None
    stored: Ciphertext | None


class Retire(Body):
    """A copy is removed while others stay."""

    TYPE = "retire"
    segment: SegmentId
    store: StoreId
    proofs: Many[Reference]


class Disposal(Body):
    """A segment is deleted at the end of its term."""

    TYPE = "disposal"
    segment: SegmentId
    sha256: Digest
    rule: ids.RuleId
    clause: str
    approvals: Many[JsonValue]
    stores: Many[StoreId]
    phase: Literal["ordered", "done"]


class Policy(Body):
    """The configuration changed, or was refused."""

    TYPE = "policy"
    kind: str
    sha256: Digest
    previous: Digest | None
    phase: Literal["candidate", "active", "refused"]
    approvals: Many[JsonValue]


class Export(Body):
    """A bundle is about to be made."""

    TYPE = "export"
    export: ExportId
    selection: dict[str, JsonValue]
    purpose: Reason
    list_sha256: Digest


class Review(Body):
    """A person looked at something."""

    TYPE = "review"
    subject: Subject
    action: str
    outcome: JsonValue
    reason: Reason


class Disclosure(Body):
    """Something was made public, or withdrawn."""

    TYPE = "disclosure"
    subject: Subject
    action: str
    outcome: JsonValue
    reason: Reason


class Anchor(Body):
    """A checkpoint was bound in time from outside."""

    TYPE = "anchor"
    kind: Literal["rfc3161", "cosignature"]
    origin: Origin
    size: Count
    root: Root
    sha256: Digest
    by: str


class Close(Body):
    """An epoch ends; the last entry of its log."""

    TYPE = "close"
    reason: Reason
    next: Origin | None


_ALL: Final[tuple[type[Body], ...]] = (
    Genesis,
    Docking,
    Segment,
    Sighting,
    Undocking,
    Clearance,
    Wipe,
    Anomaly,
    Classification,
    Correction,
    Hold,
    Derivative,
    Replica,
    Retire,
    Disposal,
    Policy,
    Export,
    Review,
    Disclosure,
    Anchor,
    Close,
)

BODIES: Final[Mapping[str, type[Body]]] = MappingProxyType({model.TYPE: model for model in _ALL})
"""The model of each known type of entry."""
