"""What the station says about itself: one object, the same for people, programs and pages."""

from edged import __version__
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
        "bays": [bay.plain() for bay in parts.live.bays()],
        "totals": facts.totals(),
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
