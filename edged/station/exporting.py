"""Exports: the daemon writes the `export` entry; whoever asked makes the bundle from it.

Order (EVIDENCE.md, section 6): what must not be handed out is refused; the list of what the bundle holds is decided and
cited by the entry in one transaction; the entry is signed and published like any other; only then can the bundle be
made, by any process that may read book and vault, any number of times, and it is the same each time.
"""

import threading
from collections.abc import Mapping
from typing import Any, Final

from edged.bundles.contents import plan_export
from edged.clock import random_hex
from edged.errors import UnavailableError
from edged.evidence import bodies
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import EpochId, ExportId, SegmentId
from edged.station.parts import Parts
from edged.station.selecting import Asked, chosen, permit, withheld
from edged.station.view import StationView

_SIGN_SECONDS: Final = 90.0
_ANCHOR_SECONDS: Final = 20.0
_PATIENCE_SECONDS: Final = 1.0


def export(parts: Parts, arguments: Mapping[str, Any], actor: str, *, may_override: bool) -> dict[str, object]:
    """Write an `export` entry and wait until it is signed; gives the export's id and the number of its entry.

    Raises UsageError for what cannot be exported, NotAllowedError for what its secrecy class forbids to hand out,
    UnavailableError if nothing is signed now: the entry stands, and the bundle can be made from it later.
    """
    asked = Asked.of(arguments)
    selection = asked.selection(parts.zone)
    facts, rules = parts.book.facts, parts.config.export
    segments = chosen(facts, asked, parts.zone)
    permit(withheld(facts, rules, segments), asked.override, may_override=may_override)
    _await_anchor(parts, segments)
    name = ExportId(f"ex-{parts.clock.now():%Y%m%d}-{random_hex(8)}")
    with parts.book.database.write():
        # Once more: what was classified meanwhile counts.
        classes = permit(withheld(facts, rules, segments), asked.override, may_override=may_override)
        purpose = parts.book.registers.add_reason(code="export", text=asked.purpose)
        end = parts.book.ledger.last_position() + 1
        view = StationView(parts.book, parts.config)
        listed = plan_export(view, export=name, segments=sorted(segments), upto_seq=end)
        body = bodies.Export(export=name, selection=selection, purpose=purpose, list_sha256=sha256_hex(listed))
        if asked.override is not None:
            reason = parts.book.registers.add_reason(code="override", text=asked.override)
            told = {"classes": list(classes), "reason": reason.model_dump()}
            body = body.model_copy(update={"override": told})
        entry = parts.book.ledger.append(body, actor=actor, documents=[listed])[0].entry
    _await_signature(parts, name, entry.epoch, seq := entry.seq)
    return {"export": name, "seq": seq, "segments": len(segments)}


def _await_anchor(parts: Parts, chosen: set[SegmentId]) -> None:
    """Wait a little until the segments are bounded in time: what arrives after the export is not in its bundle.

    Nobody waits for those who are known to be away; what is not anchored is exported all the same.
    """
    part = parts.config.anchors
    names = [each.id for each in part.authority] + [each.name for each in part.witness]
    rows = [row for row in map(parts.book.facts.segment, chosen) if row is not None]
    newest = max((row.position for row in rows), default=0)
    wake: threading.Event = parts.pulse.subscribe()
    begun = parts.clock.monotonic()
    try:
        while not all(parts.live.has_alarm(f"anchor {name}") for name in names):
            view = StationView(parts.book, parts.config)
            if view.anchors_covering(newest, parts.book.ledger.last_position() + 1):
                return
            if parts.clock.monotonic() - begun > _ANCHOR_SECONDS or parts.stop.is_set():
                return
            parts.anchor_wanted.set()
            parts.pulse.beat()
            wake.clear()
            wake.wait(_PATIENCE_SECONDS)
    finally:
        parts.anchor_wanted.clear()
        parts.pulse.unsubscribe(wake)


def _await_signature(parts: Parts, name: ExportId, epoch: EpochId, seq: int) -> None:
    wake: threading.Event = parts.pulse.subscribe()
    begun, log = parts.clock.monotonic(), parts.book.ledger.log_of(epoch)
    try:
        while log.checkpoint_covering(seq) is None:
            if parts.clock.monotonic() - begun > _SIGN_SECONDS or parts.stop.is_set():
                raise UnavailableError(
                    f"Export {name} is written down, but the station signs nothing now.",
                    hint=f"See `edged status`; when it signs again, run `edged bundle --export {name} OUT`.",
                )
            wake.wait(_PATIENCE_SECONDS)
            wake.clear()
    finally:
        parts.pulse.unsubscribe(wake)
