"""Whether a recorder's card goes on from what was there before: from the facts of a docking to its anomalies.

The facts are what the card holds now and what the book knew before this docking began, so asking again after a crash
gives the same findings. What an entry says already, of this docking or of one that was cut short, is not said twice.
What a person handed in is not judged: it is what that person chose to bring.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, assert_never

from pydantic import JsonValue

from edged.bays.claims import FileClaims
from edged.book.facts import DockingRow
from edged.evidence import bodies
from edged.evidence.entry import parse
from edged.evidence.ids import SegmentId
from edged.rules.continuity import Copy, Finding, Gone, Incomplete, Join, judge
from edged.rules.counters import Anew, Skip
from edged.station.continuity_facts import gather
from edged.station.parts import Parts

_MOST: Final = 100
"""Findings of one kind at one docking; a card with more is out of order as a whole, and the rest is counted."""
_NAMED: Final = 10
"""Paths that one finding names; the rest is counted."""
_LONGEST: Final = 1_000
"""A longer path is left out: an entry has at most 65 535 bytes."""


def continuity(parts: Parts, docking: DockingRow, claimed: Mapping[str, FileClaims]) -> list[bodies.Anomaly]:
    """Give what does not go on as it should, as the anomalies that nothing says yet.

    To be asked when every file of the docking was sealed, sighted, or found unreadable, and appended before its end.
    `claimed` are the claims of the files that lie on the card now.
    """
    if docking.handed_in:
        return []
    findings = judge(gather(parts, docking, claimed))
    return _untold(parts, [_anomaly(docking, finding, more) for finding, more in _bounded(findings)])


def _bounded(findings: Sequence[Finding]) -> Iterator[tuple[Finding, int]]:
    """Give the first findings of each kind, the last of them with how many more there are."""
    left = Counter(type(finding) for finding in findings)
    told: Counter[type] = Counter()
    for finding in findings:
        told[type(finding)] += 1
        left[type(finding)] -= 1
        if told[type(finding)] <= _MOST:
            yield finding, left[type(finding)] if told[type(finding)] == _MOST else 0


def _anomaly(docking: DockingRow, finding: Finding, more: int) -> bodies.Anomaly:
    """Write a finding as an anomaly: about the segment that it is about, else about the recorder."""
    segment: SegmentId | None = None
    detail: dict[str, JsonValue]
    match finding:
        case Skip():
            kind = "counter-skips"
            detail = {"first": finding.first, "last": finding.last, "count": finding.count}
            detail |= {"before": _short(finding.before), "after": _short(finding.after)}
        case Anew():
            kind = "counter-begins-anew"
            detail = {"number": finding.number, "last": finding.last, "after": _short(finding.after)}
        case Join():
            kind = "join-gap"
            if finding.is_overlap:
                kind = "join-overlap"
            segment = finding.after.segment
            detail = {"before": finding.before.segment, "after": segment}
            detail |= {"least_ms": finding.least_ms, "most_ms": finding.most_ms}
        case Incomplete():
            kind, segment = "recording-incomplete", finding.file.segment
            detail = {"why": finding.why, "file": _short(finding.file.path)}
        case Copy():
            kind, segment = "same-file-again", finding.segment
            detail = {"at": _short(finding.path), "first_at": _short(finding.first_path)}
            detail |= {"erased_in": finding.erased_in}
        case Gone():
            kind = "missing-since-last-docking"
            detail = {"last_docking": finding.last, "held": len(finding.held), "lost": len(finding.lost)}
            detail |= {"held_files": _some(finding.held), "lost_files": _some(finding.lost)}
        case _:
            assert_never(finding)
    if more:
        detail["more"] = more
    about = bodies.Subject(kind="recorder", id=docking.recorder)
    if segment is not None:
        about = bodies.Subject(kind="segment", id=segment)
    return bodies.Anomaly(kind=kind, docking=docking.docking, subject=about, detail=detail)


def _untold(parts: Parts, anomalies: Sequence[bodies.Anomaly]) -> list[bodies.Anomaly]:
    """Leave out what an entry says already, and what was found twice."""
    told: dict[tuple[str, str, str], list[dict[str, JsonValue]]] = {}
    fresh = []
    for each in anomalies:
        about = each.subject
        if about is None:
            continue
        key = (each.kind, about.kind, about.id)
        if key not in told:
            said = parts.book.facts.anomalies_about(about.id, each.kind, kind=about.kind)
            told[key] = [body.detail for data in said if isinstance(body := parse(data).body, bodies.Anomaly)]
        if each.detail not in told[key]:
            told[key].append(each.detail)
            fresh.append(each)
    return fresh


def _short(path: str | None) -> str | None:
    return path if path is None or len(path) <= _LONGEST else None


def _some(paths: Sequence[str]) -> JsonValue:
    return [path for path in paths[:_NAMED] if len(path) <= _LONGEST]
