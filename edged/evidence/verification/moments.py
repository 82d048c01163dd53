"""The check `time`, and the time of signing T (EVIDENCE.md, section 7): what the anchors say of one entry."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from edged.clock import rfc3339
from edged.evidence.entry import Entry
from edged.evidence.verification.anchors import Anchor, Covering, Found
from edged.evidence.verification.port import Trust
from edged.evidence.verification.report import Check, failed, not_established, together, verified
from edged.evidence.verification.words import Words

RESOLUTION: Final = timedelta(seconds=1)
"""Cosignatures, and many tokens, count whole seconds: only what lies further apart has an order."""


def signing_time(entry: Entry, anchor: Anchor | None) -> datetime:
    """Give T: the covering anchor's time, else what the entry claims."""
    return entry.time if anchor is None else anchor.moment


def not_before(after: Found) -> Anchor | None:
    """Give the lower bound that the anchor cited as `after` sets, if it holds."""
    return max(after.anchors, key=lambda anchor: anchor.moment, default=None)


def check_time(covering: Covering, after: Found, entry: Entry | None, trust: Trust) -> Check:
    """Say what is known of the time at which an entry existed; `after` is what was found of the anchor it cites."""
    anchor = covering.earliest
    wrong = [*covering.own.failed, *covering.larger.failed, *after.failed]
    objections = [failed(words.en, words.zh) for words in dict.fromkeys(wrong)]
    objections += [] if anchor is None else _contradictions(anchor, not_before(after))
    if objections:
        return together(objections, objections[0])
    if covering.own.anchors and anchor is not None:
        when = rfc3339(anchor.moment)
        return verified(f"The entry existed on {when}, says {anchor.by}.", f"{anchor.by} 证明该条目在 {when} 已存在。")
    reason = next(_reasons(covering, trust))
    if entry is None:
        return not_established(reason.en, reason.zh)
    claim = rfc3339(entry.time)
    return not_established(
        f"The station's own clock says {claim}. That is a claim. {reason}",
        f"采集站自身时钟为 {claim}，这只是声明。{reason.zh}",
    )


def _contradictions(covering: Anchor, after: Anchor | None) -> Iterator[Check]:
    """Find an entry that cites what came after it was covered."""
    if after is None:
        return
    if after.moment - covering.moment > after.accuracy + covering.accuracy + RESOLUTION:
        since, until = rfc3339(after.moment), rfc3339(covering.moment)
        yield failed(
            f"The entry cites an anchor of {since} ({after.by}), yet {covering.by} says it existed on {until}.",
            f"条目引用了 {since} 的时间锚（{after.by}），而 {covering.by} 称其在 {until} 已存在。",
        )


def _reasons(covering: Covering, trust: Trust) -> Iterator[Words]:
    """Say why nothing is established, the most telling reason first."""
    if not trust.authorities and trust.policy is None:
        yield Words(
            "Nobody outside the station confirms it: no time-stamping authority and no witness policy was given.",
            "没有站外证据予以证实：未提供时间戳机构或见证策略。",
        )
    yield from covering.own.undecided
    if covering.larger.anchors:
        yield Words(
            "Only a later checkpoint than the one this entry is proven by is anchored.",
            "只有晚于该条目证明所达检查点的检查点带有时间锚。",
        )
    yield from covering.larger.undecided
    yield Words(
        "No token of a given authority and no quorum of given witnesses covers it.",
        "没有所给机构的令牌或所给见证方的联署覆盖它。",
    )
