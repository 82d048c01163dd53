"""A report on a station, a store or a log in plain sentences (English and Chinese)."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from edged.audit.comparing import Difference, Kept
from edged.audit.report import TargetReport
from edged.evidence.verdict import Verdict
from edged.evidence.verification.originals import NAMED_PLACES, where
from edged.evidence.verification.sentences import TITLES, VERDICTS
from edged.evidence.verification.words import Words

_TITLES: Final[Mapping[str, Words]] = MappingProxyType(
    {**TITLES, "entries": Words("Every entry", "每个条目"), "anchors": Words("Anchors in time", "时间锚")}
)
_MOST_SEGMENTS: Final = 50
_MOST_DAMAGE: Final = 20


def sentences(report: TargetReport) -> Iterator[Words]:
    """Say what was verified, what failed and where, what is not established and why, and what no check shows."""
    yield _headline(report)
    for verdict in ("failed", "not-established"):
        for name, check in report.checks.items():
            if check.verdict == verdict:
                yield _line(verdict, name, check.detail)
        yield from _of_segments(report, verdict)
    whole = [_TITLES[name] for name, check in report.checks.items() if check.verdict == "verified"]
    if report.segments.count:
        tallies = report.segments.checks.items()
        whole += [_TITLES[name] for name, tally in tallies if tally.counts["verified"] == tally.counts.total()]
    if whole:
        yield Words(
            "Verified: " + "; ".join(title.en for title in whole) + ".",
            "已验证：" + "；".join(title.zh for title in whole) + "。",
        )
    for log in report.logs:
        yield Words(
            f"{log.origin}: {log.entries} entries, root {log.root or 'none'}.",
            f"{log.origin}：{log.entries} 个条目，根 {log.root or '无'}。",
        )
    for root in report.roots:
        yield Words(
            f"Signed under the root {root.subject}. Compare its SHA-256 with what its owner tells you: {root.sha256}",
            f"所依根证书：{root.subject}。请将其 SHA-256 与签发机构告知的核对：{root.sha256}",
        )
    for finding in report.findings:
        yield Words("Finding:", "发现：") + finding
    for sentence in report.not_proven:
        yield Words("Not proven:", "未证明：") + sentence


def of_difference(difference: Difference) -> Iterator[Words]:
    """Say where two copies part, and show both entries."""
    here, there = difference.sides
    if difference.is_fork:
        yield Words(
            f"FAILED - {difference.origin}: the copies part at entry {difference.seq}. Only in {here.target}: "
            f"{here.only_here} entries; only in {there.target}: {there.only_here}.",
            f"不通过——{difference.origin}：两个副本自第 {difference.seq} 号条目起不同。仅在 {here.target} 的有 "
            f"{here.only_here} 个，仅在 {there.target} 的有 {there.only_here} 个。",
        )
        for side in difference.sides:
            text = (side.entry or b"").decode("utf-8", "backslashreplace")
            yield Words(f"  {side.target}: {text}", f"  {side.target}：{text}")
        return
    behind, ahead = (here, there) if here.entry is None else (there, here)
    yield Words(
        f"{difference.origin}: {behind.target} ends before entry {difference.seq}; {ahead.target} has "
        f"{ahead.only_here} more. They contradict each other in nothing.",
        f"{difference.origin}：{behind.target} 止于第 {difference.seq} 号条目之前，{ahead.target} 多 "
        f"{ahead.only_here} 个；两者并无矛盾。",
    )


def of_kept(kept: Kept) -> Words:
    """Say what a checkpoint that was brought along shows."""
    verdict, target = VERDICTS[kept.check.verdict], f" ({kept.target})" if kept.target else ""
    return (
        Words(f"{verdict.en} - {kept.claim.label}{target}:", f"{verdict.zh}——{kept.claim.label}{target}：")
        + kept.check.detail
    )


def _headline(report: TargetReport) -> Words:
    count, target = report.segments.count, report.target
    match report.verdict:
        case "verified" if report.needs_segments:
            return Words(
                f"Verified: {target}: {count} original(s) are what was sealed, and the ledger is whole.",
                f"已验证：{target}：{count} 个原件与固证时一致，台账完整。",
            )
        case "verified":
            return Words(f"Verified: {target}: the ledger is whole.", f"已验证：{target}：台账完整。")
        case "failed":
            return Words(
                f"FAILED: {target}: something here is not what the station sealed and signed.",
                f"不通过：{target}：此处有内容与采集站固证并签名的不符。",
            )
        case _ if _unsure(report) == {"time"}:
            return Words(
                f"Not established, because of the time alone: {target}: {count} original(s) are what was sealed and "
                "the ledger is whole, but nothing from outside the station confirms when.",
                f"未能证实，仅因时间一项：{target}：{count} 个原件与固证时一致，台账完整，但没有站外证据证实时间。",
            )
        case _ if _unsure(report) == {"time", "completeness"}:
            return Words(
                f"Not established: {target}: the time is not confirmed from outside, and whether files are missing is "
                f"not established either: {count} original(s) are what was sealed.",
                f"未能证实：{target}：时间没有站外证据，是否缺少文件也未能证实：{count} 个原件与固证时一致。",
            )
        case _:
            return Words(
                f"Not established: {target}: nothing here contradicts the evidence, but not everything could be shown.",
                f"未能证实：{target}：没有发现矛盾，但并非每一项都能得到证明。",
            )


def _unsure(report: TargetReport) -> set[str]:
    """Give every check that is not verified, also those that the verdict does not need."""
    return report.open_checks | {name for name, check in report.checks.items() if check.verdict != "verified"}


def _of_segments(report: TargetReport, verdict: Verdict) -> Iterator[Words]:
    """Give what is wrong with segments: each that failed, and of the others the first for all."""
    segments = report.segments
    if verdict != "failed":
        for name, tally in segments.checks.items():
            if count := tally.counts[verdict]:
                first = tally.first[verdict][0].detail
                more = Words(f"({count} originals.)", f"（共 {count} 个原件。）") if count > 1 else Words("", "")
                yield _line(verdict, name, first + more)
        return
    failed = [each for each in segments.wanting if each.verdict == "failed"]
    for each in failed[:_MOST_SEGMENTS]:
        who = each.name or each.segment
        for name, check in each.checks.items():
            if check.verdict == "failed":
                yield _line(
                    verdict, name, Words(f"{who} ({each.segment}):", f"{who}（{each.segment}）：") + check.detail
                )
        for damage in each.damage[NAMED_PLACES:_MOST_DAMAGE]:
            yield Words(f"{who}:", f"{who}：") + where(damage)
    more_failed = segments.verdicts.counts["failed"] - min(len(failed), _MOST_SEGMENTS)
    if more_failed:
        yield Words(f"{more_failed} more originals failed; --json lists them.", f"另有 {more_failed} 个原件不通过。")


def _line(verdict: Verdict, name: str, detail: Words) -> Words:
    said, title = VERDICTS[verdict], _TITLES[name]
    return Words(f"{said.en} - {title.en} ({name}):", f"{said.zh}——{title.zh}（{name}）：") + detail
