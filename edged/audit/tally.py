"""Counting answers: millions of checks become one, with the first of the worst to show for it."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from edged.evidence.verdict import Verdict, worst
from edged.evidence.verification.report import Check
from edged.evidence.verification.words import Words

_SHOWN: Final = 3


class Tally:
    """The answers to one question, asked of many things."""

    def __init__(self) -> None:
        self.counts: Counter[Verdict] = Counter()
        self.first: dict[Verdict, list[Check]] = {"failed": [], "not-established": []}
        """The first of those that are not verified."""

    def add(self, check: Check, where: str = "") -> None:
        """Take in an answer; `where` says what it is about."""
        self.counts[check.verdict] += 1
        if check.verdict == "verified":
            return
        first = self.first[check.verdict]
        if len(first) < _SHOWN:
            first.append(Check(check.verdict, Words(f"{where}:", f"{where}：") + check.detail) if where else check)

    def add_all(self, checks: Iterable[Check]) -> None:
        """Take in several answers."""
        for check in checks:
            self.add(check)

    def check(self, otherwise: Check) -> Check:
        """Give the first of the worst, or `otherwise` where all are verified."""
        verdict = worst(self.counts)
        if verdict == "verified":
            return otherwise
        detail = Words("", "")
        for each in self.first[verdict]:
            detail = detail + each.detail
        more = self.counts[verdict] - len(self.first[verdict])
        if more:
            detail = detail + Words(f"({more} more like it.)", f"（另有 {more} 处。）")
        return Check(verdict, detail)

    def take(self, other: "Tally") -> None:
        """Take in the answers of another."""
        self.counts.update(other.counts)
        for verdict, first in other.first.items():
            mine = self.first[verdict]
            mine += first[: _SHOWN - len(mine)]
