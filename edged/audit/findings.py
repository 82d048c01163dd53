"""What a reader should know of a station or a store, counted where it is many; and what stays unproven."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from edged.audit.entries import Entries
from edged.audit.judging import Judge, Shown
from edged.evidence.ids import SegmentId
from edged.evidence.verification import SegmentReport, Trust, Words
from edged.evidence.verification.anomalies import NAMES
from edged.evidence.verification.findings import not_proven, of_anchors, shortened
from edged.evidence.verification.report import RootName
from edged.evidence.verification.words import some


def findings(
    entries: Sequence[Entries], judges: Mapping[str, Judge], shown: Shown, trust: Trust, strays: Sequence[Words]
) -> tuple[Words, ...]:
    """Give what the ledger says, and what lies there that it does not name."""
    said = [*_of_entries(entries), *_of_logs(judges), *of_anchors(shown.anchors, trust)]
    amiss = [words for each in entries for words in each.amiss]
    return shortened([*said, *strays, *amiss])


def _of_entries(entries: Sequence[Entries]) -> Iterator[Words]:
    waiting = [segment for each in entries for segment in each.waiting]
    if waiting:
        yield Words(
            f"{len(waiting)} sealed segment(s) have no copy here, as the published ledger has it: {some(waiting)}.",
            f"按已公布的台账，{len(waiting)} 个已固证片段在此没有副本：{some(waiting)}。",
        )
    if removed := sum(each.removed for each in entries):
        yield Words(f"{removed} copies were removed, says the ledger.", f"台账记载有 {removed} 个副本已移除。")
    if quarantined := sum(each.quarantined for each in entries):
        yield Words(f"{quarantined} segment(s) are in quarantine.", f"{quarantined} 个片段处于隔离。")
    if unsynchronised := sum(each.unsynchronised for each in entries):
        yield Words(
            f"The station's clock was not synchronised when {unsynchronised} segment(s) were sealed.",
            f"{unsynchronised} 个片段固证时采集站时钟未同步。",
        )
    anomalies: Counter[str] = sum((each.anomalies for each in entries), Counter())
    for kind, count in sorted(anomalies.items()):
        name = NAMES.get(kind)
        told = Words("", "") if name is None else Words(f" ({name.en})", f"（{name.zh}）")
        yield Words(
            f"The station noted {count} anomalies: {kind}{told.en}.", f"采集站记录异常 {count} 次：{kind}{told.zh}。"
        )


def _of_logs(judges: Mapping[str, Judge]) -> Iterator[Words]:
    for origin, judge in judges.items():
        beyond = judge.scan.size - judge.claimed
        if beyond > 0:
            yield Words(
                f"{beyond} entries of {origin} are not under a signed checkpoint yet.",
                f"{origin} 有 {beyond} 个条目尚未被签名的检查点覆盖。",
            )


def not_shown(trust: Trust, roots: Sequence[RootName], *, has_originals: bool) -> tuple[Words, ...]:
    """Say what stays unproven whatever the verdict."""
    before_card, _after_export, *rest = not_proven(
        trust, [SegmentReport(segment=SegmentId(""), name=None, checks={}, root=root) for root in roots]
    )
    own = [
        Words(
            "Nothing that a station wrote after its newest checkpoint here is shown.",
            "此处最新检查点之后的内容不在此列。",
        )
    ]
    if not has_originals:
        own.append(Words("No original was read.", "没有读取任何原件。"))
    return (before_card, *own, *rest)
