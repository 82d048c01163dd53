"""A recorder's clock at its docking: what it showed against the station's, and what of that is out of order.

`measure` is asked right before the `docking` entry is written, whose keys `clock_offset_ms`, `clock_uncertainty_ms`
and `clock_basis` it gives; `clock_anomalies` compares it with the recorder's earlier dockings, all from entries. An
offset is against the station's own clock, whose state stands in the same entry.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from pydantic import JsonValue

from edged.bays.claims import FileClaims
from edged.bays.inventory import Item
from edged.bays.recognise import Recognised
from edged.bays.recorder_clock import ClockReading, read_clock
from edged.bays.source import Docked, Plugged
from edged.clock import from_rfc3339, rfc3339
from edged.evidence import bodies
from edged.evidence.canonical import decode
from edged.evidence.entry import parse
from edged.evidence.ids import DockingId, RecorderId, SegmentId
from edged.media.facts import MediaFacts
from edged.rules.clocks import Reading, contradiction, drift, reading_of
from edged.station.parts import Parts

OFF_MS: Final = 60_000
"""From which offset on a recorder's clock is out of order: twenty days of the drift that GA/T 947 allows, so nobody has
set it for weeks; and case files tell times to the minute, so footage begins to fall out of its case."""

_EARLIER: Final = 60
"""So many dockings back a drift is looked for."""


def measure(parts: Parts, docked: Docked, recognised: Recognised, items: Sequence[Item]) -> ClockReading | None:
    """Compare the clock of a recorder that was just docked; `items` are those of its inventory.

    Raises RecorderGoneError.
    """
    if not recognised.profile.clock_reading:
        return None
    if docked.plugged is not None and _was_docked(parts, recognised.recorder.id, docked.plugged):
        # What it wrote when it was connected was to be read then; what changed since was written while it lay here.
        return None
    zone = recognised.zone or parts.config.station.zone
    unchanged = _unchanged(parts, recognised.recorder.id, items)
    return read_clock(docked, recognised.profile, items, zone, parts.clock, unchanged=unchanged)


def _was_docked(parts: Parts, recorder: RecorderId, plugged: Plugged) -> bool:
    """Say whether a docking of the recorder began already since it came."""
    last, clock = parts.book.facts.last_docking(recorder), parts.clock
    came = clock.now() - timedelta(seconds=clock.monotonic() - plugged.latest)
    return last is not None and from_rfc3339(last.began) >= came


def _unchanged(parts: Parts, recorder: RecorderId, items: Sequence[Item]) -> set[str]:
    """Give the files that were just the same at the last docking: no recorder wrote them when it was docked now."""
    last = parts.book.facts.last_docking(recorder)
    if last is None:
        return set()
    # Our own document, of which the book keeps the digest: `Inventory.document` says what is in it.
    listed: Any = decode(parts.book.registers.document(last.inventory_sha256))
    known = {(each["path"], each["bytes"], each["modified"]) for each in listed["items"]}
    return {item.path for item in items if (item.path, item.size_bytes, item.modified) in known}


def clock_anomalies(
    parts: Parts, docking: DockingId, recorder: RecorderId, reading: ClockReading | None
) -> list[bodies.Anomaly]:
    """Say what is out of order with a recorder's clock, by what is about to stand in its `docking` entry."""
    if reading is None:
        return []
    about = bodies.Subject(kind="recorder", id=recorder)
    said: dict[str, JsonValue] = {"offset_ms": reading.offset_ms, "uncertainty_ms": reading.uncertainty_ms}
    found = []
    if abs(reading.offset_ms) - reading.uncertainty_ms > OFF_MS:
        found.append(bodies.Anomaly(kind="recorder-clock-off", docking=docking, subject=about, detail=said))
    now = Reading(
        time=parts.clock.now(), offset_ms=reading.offset_ms, uncertainty_ms=reading.uncertainty_ms, was_set=False
    )
    course = drift([*_earlier(parts, recorder), now])
    if course is not None and course.exceeds:
        kind = "recorder-clock-jumped" if course.is_jump else "recorder-clock-drifts"
        (least, most), span = course.before, (course.least_ms_a_day, course.most_ms_a_day)
        detail = said | {"since": rfc3339(course.since)}
        if course.is_jump:
            detail |= {"before_least_ms": least, "before_most_ms": most}
        else:
            detail |= {"least_a_day_ms": span[0], "most_a_day_ms": span[1], "readings": course.readings}
        found.append(bodies.Anomaly(kind=kind, docking=docking, subject=about, detail=detail))
    return found


def _earlier(parts: Parts, recorder: RecorderId) -> list[Reading]:
    """Give what the recorder's earlier dockings say of its clock, oldest first."""
    readings = []
    for data in reversed(parts.book.facts.docking_entries(recorder, most=_EARLIER)):
        entry = parse(data)
        if isinstance(entry.body, bodies.Docking):
            readings.append(reading_of(entry.time, entry.body))
    return readings


def contradictions(
    docking: DockingId, segment: SegmentId, claims: FileClaims, path: str, facts: MediaFacts | None
) -> list[bodies.Anomaly]:
    """Say if the time within a file that was just copied contradicts its name, for a kind of recorder that has both."""
    means = claims.container_time
    if means is None or claims.started is None or facts is None or facts.creation_time is None:
        return []
    by_ms = contradiction(
        started=claims.started,
        uncertainty_ms=claims.uncertainty_ms,
        duration_ms=facts.duration_ms,
        created=facts.creation_time,
        moment=means.moment,
        local=means.local,
        within_ms=means.within_seconds * 1000,
    )
    if by_ms is None:
        return []
    return [
        bodies.Anomaly(
            kind="recorded-times-differ",
            docking=docking,
            subject=bodies.Subject(kind="segment", id=segment),
            detail={
                "path": path,
                "name": claims.started.isoformat(timespec="milliseconds"),
                "container": rfc3339(facts.creation_time),
                "by_ms": by_ms,
            },
        )
    ]
