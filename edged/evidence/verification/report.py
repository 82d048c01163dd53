"""What verification found: the verdict, every check with its reason, and what stays unproven.

`Report.plain` is the object that `edged verify --json` prints (EVIDENCE.md, section 7). The rules that make one
verdict of many stand here, each once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from edged.clock import rfc3339
from edged.evidence.ids import SegmentId, Sha256
from edged.evidence.verdict import Verdict, worst
from edged.evidence.verification.words import Words

BUNDLE_CHECKS: Final = (
    "bag",
    "selection",
    "consistency",
    "custody",
    "derivatives",
    "chain",
    "completeness",
)
SEGMENT_CHECKS: Final = ("bytes", "entry", "inclusion", "signature", "identity", "time")

_NEEDED: Final = ("bag", "selection", "consistency", "custody", "derivatives")
"""The checks of the bundle that an overall `verified` needs; the others only can fail it."""


@dataclass(frozen=True, slots=True)
class Check:
    """The answer to one question, and why."""

    verdict: Verdict
    detail: Words

    def plain(self) -> dict[str, object]:
        """Give the JSON object."""
        return {"verdict": self.verdict, "detail": self.detail.en}


def verified(en: str, zh: str) -> Check:
    """Say yes."""
    return Check("verified", Words(en, zh))


def failed(en: str, zh: str) -> Check:
    """Say no: something here contradicts something else."""
    return Check("failed", Words(en, zh))


def not_established(en: str, zh: str) -> Check:
    """Say that what is here decides nothing."""
    return Check("not-established", Words(en, zh))


def together(checks: Iterable[Check], otherwise: Check) -> Check:
    """Give the first of the worst checks, or `otherwise` where all are verified."""
    every = list(checks)
    verdict = worst(check.verdict for check in every)
    if verdict == "verified":
        return otherwise
    first, *more = [check for check in every if check.verdict == verdict]
    if not more:
        return first
    rest = Words(f"({len(more)} more like it.)", f"（另有 {len(more)} 处。）")
    return Check(verdict, first.detail + rest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """A stretch of an original that is not what was sealed."""

    chunk: int
    """Number of the 8 MiB chunk, from 0: line `chunk + 1` of `chunks.sha256`."""

    from_byte: int
    to_byte: int
    """Exclusive."""

    from_time: str | None
    to_time: str | None
    """By proportion of bytes between the recorder's claimed start and end, in the offset of its start; RFC 3339."""

    def plain(self) -> dict[str, object]:
        """Give the JSON object."""
        return {
            "chunk": self.chunk,
            "from_byte": self.from_byte,
            "to_byte": self.to_byte,
            "from_time": self.from_time,
            "to_time": self.to_time,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class RootName:
    """The root that an identity was established under."""

    subject: str
    """RFC 4514."""
    sha256: Sha256
    """Of the DER bytes."""

    @property
    def is_self_made(self) -> bool:
        """Say whether a station made this root itself, by its own account (EVIDENCE.md, section 4)."""
        return "O=self-made by " in self.subject


@dataclass(frozen=True, kw_only=True)
class SegmentReport:
    """What was found about one original."""

    segment: SegmentId
    name: str | None
    """File name in the bundle, None where the file is not here."""

    checks: Mapping[str, Check]
    """`SEGMENT_CHECKS`, in that order."""

    root: RootName | None
    """None where `identity` is not verified."""

    not_before: datetime | None = None
    not_after: datetime | None = None
    """Bounds in time that verified anchors give to its entry."""

    damage: tuple[Damage, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of its six checks."""
        return worst(check.verdict for check in self.checks.values())

    def plain(self) -> dict[str, object]:
        """Give the JSON object."""
        root = self.root
        return {
            "segment": self.segment,
            "name": self.name,
            "verdict": self.verdict,
            "checks": {name: check.plain() for name, check in self.checks.items()},
            "root": None if root is None else {"subject": root.subject, "sha256": root.sha256},
            "not_before": None if self.not_before is None else rfc3339(self.not_before),
            "not_after": None if self.not_after is None else rfc3339(self.not_after),
            "damage": [damage.plain() for damage in self.damage],
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found about one bundle."""

    checks: Mapping[str, Check]
    """`BUNDLE_CHECKS`, in that order."""

    segments: tuple[SegmentReport, ...]
    findings: tuple[Words, ...]
    """What the evidence says and a reader should know; no findings fail anything."""

    not_proven: tuple[Words, ...] = field(default=())
    """What no check here shows, whatever the verdict."""

    @property
    def verdict(self) -> Verdict:
        """Judge the bundle as a whole."""
        of_segments = [segment.verdict for segment in self.segments]
        if "failed" in {*of_segments, *(check.verdict for check in self.checks.values())}:
            return "failed"
        return "verified" if of_segments and not self.open_checks else "not-established"

    @property
    def open_checks(self) -> set[str]:
        """The checks that keep the bundle from being verified."""
        named = [(name, self.checks[name]) for name in _NEEDED]
        for segment in self.segments:
            named += segment.checks.items()
        return {name for name, check in named if check.verdict != "verified"}

    def plain(self) -> dict[str, object]:
        """Give the object that `edged verify --json` prints."""
        return {
            "verdict": self.verdict,
            "checks": {name: check.plain() for name, check in self.checks.items()},
            "segments": [segment.plain() for segment in self.segments],
            "findings": [finding.en for finding in self.findings],
            "not_proven": [sentence.en for sentence in self.not_proven],
        }
