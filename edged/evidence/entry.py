"""One entry of the ledger: its bytes, and what they mean (EVIDENCE.md, section 2).

`encode` writes nothing that `parse` would not accept. A reference to an entry is the digest of its stored
bytes, never of a re-serialisation: keep the bytes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from edged.clock import ClockState, from_rfc3339, rfc3339
from edged.errors import MalformedError
from edged.evidence import canonical
from edged.evidence.bodies import BODIES, Body
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import ID_PATTERN, EntryRef, EpochId, Sha256, StationId
from edged.evidence.shapes import ID, Count, Digest, Reference, complaint

VERSION: Final = 1
MAX_BYTES: Final = 65_535
"""The largest entry; longer things are stored beside it and cited by digest."""

ZERO_REF: Final = EntryRef("0" * 64)
"""What the first entry of an epoch has as `prev`."""

_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one custody event says."""

    type: str
    """One of `BODIES`, or a type of a later version."""
    station: StationId
    epoch: EpochId
    seq: int
    """Index in the log of this station and epoch, from 0."""
    prev: EntryRef
    """Reference to the entry before, `ZERO_REF` for the first."""
    time: datetime
    """The station's clock, UTC, in whole milliseconds: a claim."""
    clock: ClockState
    """Whether the operating system held that clock synchronised."""
    actor: str
    """`edged`, `user:ID` or `remote:ID`."""
    after: Sha256 | None = None
    """Digest of the newest anchor held when the entry was written."""
    body: Body | Mapping[str, object]
    """A model of `bodies` for a known type, the bare JSON object for an unknown one."""


def _check_time(text: str) -> str:
    # Reading and writing again refuses a 30 February, a 25th hour and whatever else the pattern lets through.
    if _TIME.fullmatch(text) is None or rfc3339(from_rfc3339(text)) != text:
        raise ValueError("a time is written 2026-11-21T08:00:00.123Z: UTC, exactly milliseconds")
    return text


class _Envelope(BaseModel):
    """The keys of an entry; a further one is not valid."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    v: Annotated[int, Field(ge=VERSION, le=VERSION)]
    type: str
    station: Annotated[StationId, ID]
    epoch: Annotated[EpochId, ID]
    seq: Count
    prev: Reference
    time: Annotated[str, AfterValidator(_check_time)]
    clock: Literal["synchronised", "unsynchronised"]
    actor: Annotated[str, Field(pattern=f"^(?:edged|(?:user|remote):{ID_PATTERN})$")]
    after: Digest | None = None
    body: dict[str, object]


def encode(entry: Entry) -> bytes:
    """Write an entry in its canonical bytes, the ones that are hashed, stored and signed."""
    document: dict[str, object] = {
        "v": VERSION,
        "type": entry.type,
        "station": entry.station,
        "epoch": entry.epoch,
        "seq": entry.seq,
        "prev": entry.prev,
        "time": rfc3339(entry.time),
        "clock": entry.clock,
        "actor": entry.actor,
        "body": entry.body.plain() if isinstance(entry.body, Body) else dict(entry.body),
    }
    if entry.after is not None:
        document["after"] = entry.after
    data = canonical.encode(document)
    _check_length(data)
    # What is read is what was written: the bytes are canonical, having just been made so.
    _read(_object(data))
    return data


def parse(data: bytes) -> Entry:
    """Read the bytes of an entry; the error names the key that is not as it must be."""
    _check_length(data)
    document = _object(data)
    if canonical.encode(document) != data:
        raise MalformedError("the entry is not in canonical form (RFC 8785)")
    return _read(document)


def reference(data: bytes) -> EntryRef:
    """Give the reference to the entry with these bytes."""
    return EntryRef(sha256_hex(data))


def _object(data: bytes) -> dict[str, canonical.Json]:
    document = canonical.decode(data)
    if not isinstance(document, dict):
        raise MalformedError("an entry is a JSON object")
    return document


def _check_length(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise MalformedError(f"an entry of {len(data)} bytes is longer than {MAX_BYTES}")


def _read(document: Mapping[str, object]) -> Entry:
    """Check a whole entry against section 2 and give it its types."""
    try:
        envelope = _Envelope.model_validate(document)
    except ValidationError as error:
        raise MalformedError(f"entry: {complaint(error)}") from error
    if "after" in document and envelope.after is None:
        raise MalformedError("entry: after: left out when there is no anchor, never null")
    return Entry(
        type=envelope.type,
        station=envelope.station,
        epoch=envelope.epoch,
        seq=envelope.seq,
        prev=envelope.prev,
        time=from_rfc3339(envelope.time),
        clock=envelope.clock,
        actor=envelope.actor,
        after=envelope.after,
        body=_read_body(envelope.type, envelope.body),
    )


def _read_body(kind: str, document: dict[str, object]) -> Body | Mapping[str, object]:
    model = BODIES.get(kind)
    if model is None:
        return document
    try:
        body = model.model_validate(document)
    except ValidationError as error:
        raise MalformedError(f"{kind} entry: body.{complaint(error)}") from error
    if body.plain() != document:
        # Only an optional key written as null gets here: the model takes it for one that is left out.
        wrong = sorted(key for key in document if document[key] is None and key in model.OPTIONAL)
        raise MalformedError(f"{kind} entry: body.{', '.join(wrong)}: left out when unknown, never null")
    return body
