"""Bounds in time from outside: the check `time`, and the time of signing T (EVIDENCE.md, sections 5 and 7).

An `Anchor` is a token or a quorum of cosignatures that was verified under what the verifier gave. This version
verifies neither kind, so `verify` hands in none, and every time is a claim; what follows from an anchor is
here, in one place, and asks for nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from edged.clock import rfc3339
from edged.evidence.entry import Entry
from edged.evidence.verification.report import Check, not_established, verified


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """A verified statement from outside that a log had reached a size by a moment."""

    origin: str
    size: int
    """The checkpoint it is over; checkpoints of smaller sizes are joined to it by verified consistency."""
    moment: datetime
    by: str
    """Common name of the authority, or names of the witnesses."""


def covering(anchors: Sequence[Anchor], origin: str, size: int) -> Anchor | None:
    """Give the earliest anchor over the checkpoint of `size` or one that extends it, None without any."""
    over = [anchor for anchor in anchors if anchor.origin == origin and anchor.size >= size]
    return min(over, key=lambda anchor: anchor.moment, default=None)


def signing_time(entry: Entry, anchor: Anchor | None) -> datetime:
    """Give T: the covering anchor's time, else what the entry claims."""
    return entry.time if anchor is None else anchor.moment


def check_time(anchor: Anchor | None, entry: Entry | None) -> Check:
    """Say what is known of the time at which an entry existed."""
    if anchor is not None:
        when = rfc3339(anchor.moment)
        return verified(f"The entry existed on {when}, says {anchor.by}.", f"{anchor.by} 证明该条目在 {when} 已存在。")
    if entry is None:
        return not_established("There is no readable entry.", "没有可读的条目。")
    claim = rfc3339(entry.time)
    return not_established(
        f"The station's own clock says {claim}. That is a claim: this version of the verifier checks no "
        "time-stamp tokens or witness cosignatures, so nothing from outside the station confirms it.",
        f"采集站自身时钟为 {claim}。这只是声明：本版本尚不检查时间戳令牌和见证方签名，没有站外证据予以证实。",
    )
