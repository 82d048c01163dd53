"""When a file was recorded, as its recorder claims it: never corrected here (EVIDENCE.md, section 2)."""

from datetime import datetime, timedelta
from typing import Final

from edged.bays.claims import FileClaims
from edged.evidence import bodies
from edged.media.facts import MediaFacts

_CONTAINER_UNCERTAINTY_MS: Final = 1000
"""Times in containers count whole seconds."""


def recorded_times(claims: FileClaims, facts: MediaFacts | None) -> bodies.Recorded:
    """Give the recorder's claim of when it recorded: by the file's name, else its container, else its last change."""
    length = None if facts is None or facts.duration_ms is None else timedelta(milliseconds=facts.duration_ms)
    if claims.started is None and facts is not None and facts.creation_time is not None:
        created = facts.creation_time
        return bodies.Recorded(
            start=_text(created),
            end=_text(_plus(created, length)),
            zone="UTC",
            source="container",
            uncertainty_ms=_CONTAINER_UNCERTAINTY_MS,
        )
    start, end = claims.started, claims.ended
    if start is not None and length is not None:
        end = _plus(start, length)
    elif end is not None and length is not None:
        start = _plus(end, -length)
    return bodies.Recorded(
        start=_text(start),
        end=_text(end),
        zone=claims.zone,
        source=claims.source,
        uncertainty_ms=claims.uncertainty_ms,
    )


def _plus(moment: datetime, length: timedelta | None) -> datetime | None:
    try:
        return None if length is None else moment + length
    except OverflowError:
        return None


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
