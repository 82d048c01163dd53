"""The three answers a check can give (EVIDENCE.md, section 7).

What is missing is never `verified` and never `failed`: it is `not-established`.
"""

from collections.abc import Iterable
from typing import Final, Literal

Verdict = Literal["verified", "failed", "not-established"]

_FROM_WORST: Final[tuple[Verdict, ...]] = ("failed", "not-established", "verified")


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Give the worst of several verdicts: one failure fails all, one gap leaves all not established.

    Nothing to check is `verified`, as section 7 has it.
    """
    return min(verdicts, key=_FROM_WORST.index, default="verified")
