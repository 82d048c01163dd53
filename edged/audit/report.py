"""What was found of a station, a store or a published log: the verdict, and every check with its reason.

`plain` gives the object of `edged verify --json`, with `target`; `bag` and `selection` are questions about bundles and
are not in it. Segments are counted; those that are not verified are kept, up to a bound, and each is given to whoever
asked for them when it is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from edged.audit.tally import Tally
from edged.evidence.verdict import Verdict
from edged.evidence.verification.report import SEGMENT_CHECKS, Check, RootName, SegmentReport
from edged.evidence.verification.words import Words

_NEEDED: Final = ("consistency", "custody", "derivatives")
_KEPT: Final = 1_000


class Segments:
    """The reports of segments, as they come."""

    def __init__(self) -> None:
        self.count = 0
        self.checks: Mapping[str, Tally] = {name: Tally() for name in SEGMENT_CHECKS}
        self.verdicts = Tally()
        self.wanting: list[SegmentReport] = []
        """Those that are not verified, the first of them."""

    def add(self, report: SegmentReport) -> None:
        """Take in a report."""
        self.count += 1
        for name, check in report.checks.items():
            self.checks[name].add(check, report.name or report.segment)
        self.verdicts.counts[report.verdict] += 1
        if report.verdict != "verified" and len(self.wanting) < _KEPT:
            self.wanting.append(report)


@dataclass(frozen=True, kw_only=True)
class LogReport:
    """One log of a target."""

    origin: str
    entries: int
    """Under its newest checkpoint that holds."""
    root: str
    """base64; empty where no checkpoint holds."""
    checkpoints: int
    """How many of it were compared."""

    def plain(self) -> dict[str, object]:
        """Give the JSON object."""
        return {"origin": self.origin, "entries": self.entries, "root": self.root, "checkpoints": self.checkpoints}


@dataclass(frozen=True, kw_only=True)
class TargetReport:
    """What was found about a target."""

    target: str
    checks: Mapping[str, Check]
    logs: Sequence[LogReport]
    segments: Segments = field(default_factory=Segments)
    roots: Sequence[RootName] = ()
    """Whom the keys of the logs were found to be certified by."""
    findings: Sequence[Words] = ()
    not_proven: Sequence[Words] = ()
    needs_segments: bool = True
    """Whether nothing is verified without a segment: not where only a log was looked at."""

    @property
    def verdict(self) -> Verdict:
        """Judge the target as a whole."""
        if self.segments.verdicts.counts["failed"] or any(each.verdict == "failed" for each in self.checks.values()):
            return "failed"
        if self.open_checks or (self.needs_segments and not self.segments.count):
            return "not-established"
        return "verified"

    @property
    def open_checks(self) -> set[str]:
        """The checks that keep the target from being verified."""
        needed = {name for name in (*_NEEDED, "entries") if name in self.checks}
        found = {name for name in needed if self.checks[name].verdict != "verified"}
        for name, tally in self.segments.checks.items():
            if tally.counts["not-established"] or tally.counts["failed"]:
                found.add(name)
        return found

    def plain(self, segments: Sequence[object] | None = None) -> dict[str, object]:
        """Give the object that `--json` prints; `segments` are the reports of all, if somebody kept them."""
        return {
            "verdict": self.verdict,
            "target": self.target,
            "checks": {name: check.plain() for name, check in self.checks.items()},
            "logs": [each.plain() for each in self.logs],
            "roots": [{"subject": each.subject, "sha256": each.sha256} for each in self.roots],
            "segments": [each.plain() for each in self.segments.wanting] if segments is None else segments,
            "findings": [finding.en for finding in self.findings],
            "not_proven": [sentence.en for sentence in self.not_proven],
        }
