"""What the book keeps for speed, derived from entries alone.

`project` runs in the transaction that appends an entry; `PROJECTIONS` can be emptied and made again from the
entries at any time, and `edged check` compares the two. An entry of an unknown type projects to nothing.
"""

from collections.abc import Callable
from sqlite3 import Connection
from typing import Any

from edged.book.anchors import AnchorNotes
from edged.book.database import sql
from edged.clock import rfc3339
from edged.evidence import bodies
from edged.evidence.entry import Entry
from edged.evidence.ids import EntryRef

PROJECTIONS = (
    "names",
    "anchor",
    "anomaly",
    "clearance",
    "derivative",
    "classification",
    "replica",
    "retired",
    "found",
    "segment",
    "docking",
)
"""The projection tables, those that refer to others first."""

COMPARED = (*PROJECTIONS, "total")
"""These and what follows from them by triggers of the schema: nobody writes a total by hand, or empties it."""


def project(connection: Connection, position: int, entry: Entry, ref: EntryRef) -> None:
    """Bring the projections up to date with one entry just inserted at `position`."""
    run = _Run(connection, position, entry, ref)
    for kind, name in named_by(entry):
        run("add_name", kind=kind, id=name)
    apply = _APPLY.get(type(entry.body))
    if apply is not None:
        apply(run, entry.body)


def named_by(entry: Entry) -> set[tuple[str, str]]:
    """Give what an entry names: (kind, id) of segments, dockings, cases and recorders."""
    body = entry.body
    if not isinstance(body, bodies.Body):
        return set()
    named: set[tuple[str, str | None]] = {(kind, getattr(body, kind, None)) for kind in ("segment", "docking", "case")}
    match body:
        case bodies.Docking():
            named.add(("recorder", body.recorder.id))
        case bodies.Segment():
            named.add(("recorder", body.recorder))
        case bodies.Clearance():
            named |= {("segment", item.segment) for item in body.items}
        case bodies.Hold() | bodies.Review() | bodies.Disclosure():
            named.add((body.subject.kind, body.subject.id))
        case bodies.Anomaly():
            subject = body.subject
            if subject is not None:
                named.add((subject.kind, subject.id))
        case _:
            pass
    kinds = ("segment", "docking", "case", "recorder")
    return {(kind, name) for kind, name in named if name is not None and kind in kinds}


class _Run:
    """Runs named statements with what every projection of one entry shares."""

    def __init__(self, connection: Connection, position: int, entry: Entry, ref: EntryRef) -> None:
        self._connection = connection
        self._shared = {"position": position, "ref": ref}
        self.time = rfc3339(entry.time)

    def __call__(self, query: str, **values: Any) -> None:  # noqa: ANN401 - what SQLite takes
        self._connection.execute(sql(query), self._shared | values)


def _docking(run: _Run, body: bodies.Docking) -> None:
    run(
        "add_docking",
        docking=body.docking,
        bay=body.bay,
        recorder=body.recorder.id,
        officer=body.officer,
        inventory_sha256=body.inventory_sha256,
        files=body.files,
        bytes=body.bytes,
        began=run.time,
    )


def _undocking(run: _Run, body: bodies.Undocking) -> None:
    run("end_docking", docking=body.docking, outcome=body.outcome, remaining=body.remaining)


def _segment(run: _Run, body: bodies.Segment) -> None:
    media = body.media if isinstance(body.media, bodies.Media) else None
    run(
        "add_segment",
        segment=body.segment,
        docking=body.docking,
        recorder=body.recorder,
        recorder_seq=body.recorder_seq,
        path=body.path,
        bytes=body.bytes,
        sha256=body.sha256,
        chunks_sha256=body.chunks.sha256,
        officer=body.officer,
        started=body.recorded.start,
        ended=body.recorded.end,
        uncertainty_ms=body.recorded.uncertainty_ms,
        important=body.important,
        side_of=body.side_of,
        quarantine=body.quarantine.code if body.quarantine else None,
        unreadable=body.media.unreadable if isinstance(body.media, bodies.Unreadable) else None,
        container=media.container if media else None,
        video=media.video if media else None,
        audio=media.audio if media else None,
        duration_ms=media.duration_ms if media else None,
        sealed=run.time,
    )
    run("add_found", docking=body.docking, path=body.path, segment=body.segment, how="sealed")


def _sighting(run: _Run, body: bodies.Sighting) -> None:
    run("add_found", docking=body.docking, path=body.path, segment=body.segment, how="sighted")
    if body.important:
        run("mark_segment", segment=body.segment)


def _clearance(run: _Run, body: bodies.Clearance) -> None:
    for item in body.items:
        run("add_clearance", docking=body.docking, path=item.path, segment=item.segment)


def _wipe(run: _Run, body: bodies.Wipe) -> None:
    run("end_clearance", docking=body.docking, path=body.path, outcome=body.outcome)


def _classification(run: _Run, body: bodies.Classification) -> None:
    run(
        "add_classification",
        segment=body.segment,
        case=body.case,
        matter=body.matter,
        stage=body.stage,
        secrecy=body.secrecy,
        publicity=body.publicity,
        rule=body.rule,
        retain_until=body.retain_until,
        basis=body.basis,
        confidence=body.confidence,
    )


def _derivative(run: _Run, body: bodies.Derivative) -> None:
    run("add_derivative", segment=body.segment, kind=body.kind, sha256=body.sha256, bytes=body.bytes)


def _replica(run: _Run, body: bodies.Replica) -> None:
    # A copy that was removed, and is there again.
    run("drop_retired", segment=body.segment, store=body.store)
    run(
        "add_replica",
        segment=body.segment,
        store=body.store,
        key=body.key,
        version=body.version,
        checksum=body.checksum,
        checksum_type=body.checksum_type,
        verified=body.verified,
        method=body.method,
        locked_until=body.locked_until,
    )


def _retire(run: _Run, body: bodies.Retire) -> None:
    # EVIDENCE.md knows no phase of it; the one that edged writes is as that of a disposal.
    if (body.model_extra or {}).get("phase") == "done":
        run("retired_is_gone", segment=body.segment, store=body.store)
        return
    run("drop_replica", segment=body.segment, store=body.store)
    run("add_retired", segment=body.segment, store=body.store)


def _anomaly(run: _Run, body: bodies.Anomaly) -> None:
    run("add_anomaly", kind=body.kind, docking=body.docking, noted=run.time)


def _anchor(run: _Run, body: bodies.Anchor) -> None:
    run(
        "add_anchor",
        sha256=body.sha256,
        kind=body.kind,
        origin=body.origin,
        size=body.size,
        **AnchorNotes.of(body).row(),
    )


_APPLY: dict[type, Callable[[_Run, Any], None]] = {
    bodies.Docking: _docking,
    bodies.Undocking: _undocking,
    bodies.Segment: _segment,
    bodies.Sighting: _sighting,
    bodies.Clearance: _clearance,
    bodies.Wipe: _wipe,
    bodies.Classification: _classification,
    bodies.Derivative: _derivative,
    bodies.Replica: _replica,
    bodies.Retire: _retire,
    bodies.Anomaly: _anomaly,
    bodies.Anchor: _anchor,
}
