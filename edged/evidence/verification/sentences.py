"""A report in plain sentences, for a terminal, a page, or to be read out (English and Chinese)."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from edged.evidence.verdict import Verdict
from edged.evidence.verification.originals import NAMED_PLACES, where
from edged.evidence.verification.report import SEGMENT_CHECKS, Check, Report, SegmentReport
from edged.evidence.verification.words import Words

TITLES: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "bag": Words("The list of files", "文件清单"),
        "selection": Words("Handed over whole", "交付完整"),
        "consistency": Words("One history of the log", "日志历史唯一"),
        "custody": Words("The custody record", "经手记录"),
        "derivatives": Words("Copies for viewing", "衍生件"),
        "chain": Words("Unbroken numbering", "编号连续"),
        "completeness": Words("Every file of the card", "卡上文件清点"),
        "bytes": Words("The original, byte for byte", "原件逐字节"),
        "entry": Words("Its entry", "台账条目"),
        "inclusion": Words("In the station's log", "日志收录"),
        "signature": Words("The signature", "签名"),
        "identity": Words("Whose key it is", "签名者身份"),
        "time": Words("When", "时间"),
    }
)
"""What each check is about."""

VERDICTS: Final[Mapping[Verdict, Words]] = MappingProxyType(
    {
        "verified": Words("verified", "已验证"),
        "failed": Words("FAILED", "不通过"),
        "not-established": Words("not established", "未能证实"),
    }
)

_MOST_DAMAGE: Final = 20
_MOST_FAILED: Final = 50


def sentences(report: Report) -> tuple[Words, ...]:
    """Say what was verified, what failed and where, what is not established and why, and what no check shows."""
    return tuple(_sentences(report))


def _sentences(report: Report) -> Iterator[Words]:
    yield headline(report)
    for verdict in ("failed", "not-established"):
        for name, check in _of_verdict(report, verdict):
            yield _line(VERDICTS[verdict], name, check.detail)
        if verdict == "failed":
            for segment in report.segments:
                yield from _more_damage(segment)
    whole = [TITLES[name] for name in TITLES if _is_verified(report, name)]
    if whole:
        yield Words(
            "Verified: " + "; ".join(title.en for title in whole) + ".",
            "已验证：" + "；".join(title.zh for title in whole) + "。",
        )
    for root in sorted({each.root for each in report.segments if each.root}, key=lambda root: root.subject):
        yield Words(
            f"Signed under the root {root.subject}. Compare its SHA-256 with what its owner tells you: {root.sha256}",
            f"所依根证书：{root.subject}。请将其 SHA-256 与签发机构告知的核对：{root.sha256}",
        )
    for finding in report.findings:
        yield Words("Finding:", "发现：") + finding
    for sentence in report.not_proven:
        yield Words("Not proven:", "未证明：") + sentence


def headline(report: Report) -> Words:
    """Give the verdict on the bundle in one sentence."""
    count = len(report.segments)
    match report.verdict:
        case "verified":
            return Words(
                f"Verified: {count} original(s) are what the station sealed, and the bundle is whole.",
                f"已验证：{count} 个原件与采集站固证时一致，证据包完整。",
            )
        case "failed":
            return Words(
                "FAILED: something in this bundle is not what the station sealed and signed.",
                "不通过：证据包中有内容与采集站固证并签名的不符。",
            )
        case _ if _unsure(report) == {"time"}:
            return Words(
                f"Not established, because of the time alone: {count} original(s) are what the station sealed and the "
                "bundle is whole, but nothing from outside the station confirms when.",
                f"未能证实，仅因时间一项：{count} 个原件与采集站固证时一致，证据包完整，但没有站外证据证实时间。",
            )
        case _ if _unsure(report) == {"time", "completeness"}:
            return Words(
                "Not established: the time is not confirmed from outside, and there are findings on whether files are "
                f"missing: {count} original(s) are what the station sealed.",
                f"未能证实：时间没有站外证据，且完整性有异常：{count} 个原件与采集站固证时一致。",
            )
        case _:
            return Words(
                "Not established: nothing here contradicts the evidence, but not everything could be shown.",
                "未能证实：没有发现矛盾，但并非每一项都能得到证明。",
            )


def _unsure(report: Report) -> set[str]:
    """Give every check that is not verified, also those that the verdict does not need."""
    return report.open_checks | {name for name, check in report.checks.items() if check.verdict != "verified"}


def _more_damage(segment: SegmentReport) -> Iterator[Words]:
    """Say where an original differs, beyond the places that the detail of `bytes` names."""
    name = segment.name or segment.segment
    for each in segment.damage[NAMED_PLACES:_MOST_DAMAGE]:
        yield Words(f"{name}:", f"{name}：") + where(each)
    more = len(segment.damage) - _MOST_DAMAGE
    if more > 0:
        yield Words(f"{name}: {more} more chunks differ.", f"{name}：另有 {more} 个分块不同。")


def _of_verdict(report: Report, verdict: Verdict) -> Iterator[tuple[str, Check]]:
    """Give every check of a verdict; of segments of which something is not established, the first speaks for all."""
    for name, check in report.checks.items():
        if check.verdict == verdict:
            yield name, check
    for name in SEGMENT_CHECKS:
        shared = [each for each in report.segments if each.checks[name].verdict == verdict]
        for segment in shared[: _MOST_FAILED if verdict == "failed" else 1]:
            check, who = segment.checks[name], segment.name or segment.segment
            more = len(shared) - 1 if verdict != "failed" else 0
            en = f"{who} and {more} more:" if more else f"{who}:"
            zh = f"{who} 等 {len(shared)} 个：" if more else f"{who}："
            yield name, Check(verdict, Words(en, zh) + check.detail)


def _is_verified(report: Report, name: str) -> bool:
    if name in report.checks:
        return report.checks[name].verdict == "verified"
    return bool(report.segments) and all(each.checks[name].verdict == "verified" for each in report.segments)


def _line(verdict: Words, name: str, detail: Words) -> Words:
    title = TITLES[name]
    return Words(f"{verdict.en} - {title.en} ({name}):", f"{verdict.zh}——{title.zh}（{name}）：") + detail
