"""What the station says about itself: one object, the same for people, programs and pages."""

from edged import __version__
from edged.station.noted import noted_in_bays
from edged.station.parts import Parts

_LISTED = 50


def status(parts: Parts, *, running_since: str) -> dict[str, object]:
    """Give the whole state as plain JSON values."""
    ledger, facts = parts.book.ledger, parts.book.facts
    undetermined = facts.undetermined(after=0, most=_LISTED)
    size = ledger.size()
    published = ledger.published_size()
    return {
        "station": parts.config.station.id,
        "version": __version__,
        "running_since": running_since,
        "accepting": parts.room.accepting(),
        "room": parts.room.plain(),
        "bays": [bay.plain() for bay in parts.live.bays()],
        "noted": noted_in_bays(parts),
        "totals": facts.totals(),
        "parked": [
            {"recorder": of.recorder, "path": of.path, "bytes": each.size_bytes, "of_bytes": of.size_bytes}
            for each in parts.vault.incoming.parked()
            if (of := each.of)
        ],
        "unsealed": [
            {"recorder": each.of.recorder, "path": each.of.path, "file": str(each.original)}
            for each in parts.vault.unsealed.left_before()
            if facts.segment(each.where.segment) is None
        ],
        "ledger": {
            "origin": ledger.epoch.origin,
            "size": size,
            "published": published,
        },
        "store": None if parts.store is None else {"id": parts.store.id},
        "undetermined": [
            {"segment": row.segment, "recorder": row.recorder, "path": row.path, "started": row.started}
            for row in undetermined
        ],
        "alarms": [
            {"source": alarm.source, "text": alarm.text, "hint": alarm.hint, "since": alarm.since}
            for alarm in parts.live.alarms()
        ],
    }
