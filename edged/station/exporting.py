"""Exports: the daemon writes the `export` entry; whoever asked makes the bundle from it.

Order (EVIDENCE.md, section 6): the list of what the bundle holds is decided and cited by the entry in one
transaction; the entry is signed and published like any other; only then can the bundle be made, by any process
that may read book and vault, any number of times, and it is the same each time.
"""

import threading
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edged.bundles.contents import plan_export
from edged.clock import random_hex
from edged.config import Id, explain
from edged.errors import UnavailableError, UsageError
from edged.evidence import bodies
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import ExportId, SegmentId
from edged.station.parts import Parts
from edged.station.view import StationView

_SIGN_SECONDS: Final = 90.0
_PATIENCE_SECONDS: Final = 1.0


class _Asked(BaseModel):
    """What an export is asked with: one of `case` and `segments`, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: Id | None = None
    segments: tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-f]{32}$")], ...] = ()
    purpose: Annotated[str, Field(min_length=1, max_length=4000)]


def export(parts: Parts, arguments: Mapping[str, Any], actor: str) -> dict[str, object]:
    """Write an `export` entry and wait until it is signed; gives the export's id and the number of its entry.

    Raises UsageError for what cannot be exported, UnavailableError if nothing is signed now: the entry stands, and
    the bundle can be made from it later.
    """
    try:
        asked = _Asked.model_validate(arguments)
    except ValidationError as error:
        raise UsageError(f"This cannot be exported: {explain(error)}") from error
    chosen = _selected(parts, asked)
    selection: dict[str, Any] = {"case": asked.case} if asked.case else {"segments": sorted(chosen)}
    name = ExportId(f"ex-{parts.clock.now():%Y%m%d}-{random_hex(8)}")
    with parts.book.database.write():
        purpose = parts.book.registers.add_reason(code="export", text=asked.purpose)
        size = parts.book.ledger.size()
        view = StationView(parts.book, parts.config)
        listed = plan_export(view, export=name, segments=sorted(chosen), upto_seq=size)
        body = bodies.Export(export=name, selection=selection, purpose=purpose, list_sha256=sha256_hex(listed))
        seq = parts.book.ledger.append(body, actor=actor, documents=[listed])[0].seq
    _await_signature(parts, name, seq)
    return {"export": name, "seq": seq, "segments": len(chosen)}


def _selected(parts: Parts, asked: _Asked) -> set[SegmentId]:
    if bool(asked.case) == bool(asked.segments):
        raise UsageError("An export is of one case, or of segments: name one of the two.")
    if asked.case:
        chosen = {row.segment for row in parts.book.facts.segments_of_case(asked.case)}
        if not chosen:
            raise UsageError(
                f"No segment is classified to case {asked.case}.",
                hint="`edged ledger show --type classification` lists what the case feed tied to cases.",
            )
        return chosen
    for segment in asked.segments:
        if parts.book.facts.segment(segment) is None:
            raise UsageError(f"This station has sealed no segment {segment}.")
    return {SegmentId(segment) for segment in asked.segments}


def _await_signature(parts: Parts, name: ExportId, seq: int) -> None:
    wake: threading.Event = parts.pulse.subscribe()
    begun = parts.clock.monotonic()
    try:
        while parts.book.ledger.checkpoint_covering(seq) is None:
            if parts.clock.monotonic() - begun > _SIGN_SECONDS or parts.stop.is_set():
                raise UnavailableError(
                    f"Export {name} is written down, but the station signs nothing now.",
                    hint=f"See `edged status`; when it signs again, run `edged bundle --export {name} OUT`.",
                )
            wake.wait(_PATIENCE_SECONDS)
            wake.clear()
    finally:
        parts.pulse.unsubscribe(wake)
