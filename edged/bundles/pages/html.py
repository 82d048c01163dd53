"""The report of a bundle as one page: English and Chinese side by side, no scripts, nothing fetched.

Whatever goes into the page is escaped here and nowhere else.
"""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from edged.bundles.plan import Plan
from edged.clock import rfc3339
from edged.evidence.verdict import Verdict
from edged.evidence.verification import Check, Report, SegmentReport, Words
from edged.evidence.verification.sentences import TITLES, VERDICTS, headline

NOTICE: Final = Words(
    "This report was made by the station and came with the evidence. It proves nothing: a forger's would look the "
    "same. Check the bundle yourself, as VERIFY.md says.",
    "本报告由采集站制作，随证据一同到来，不能证明任何事情：伪造者的报告看起来也会一样。请按 VERIFY.zh.md 自行核验。",
)

_STYLE: Final = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Noto Sans", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; color: #1d2430;
  background: #fff; max-width: 72rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid #d9dee6; }
th { font-weight: 600; } td.verdict { white-space: nowrap; width: 11rem; }
.pair { overflow-wrap: anywhere; display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0 2rem; }
.notice { border-left: 4px solid #8a6d1d; background: #fbf6e7; padding: .75rem 1rem; margin: 1rem 0; }
.verified { color: #1b6b3a; } .failed { color: #a61b1b; font-weight: 600; } .not-established { color: #7a5a10; }
.headline { font-size: 1.15rem; font-weight: 600; }
@media (max-width: 48rem) { .pair { grid-template-columns: 1fr; } }
@media print { body { margin: 0; max-width: none; } }
"""


def report_html(report: Report, plan: Plan) -> bytes:
    """Give the page."""
    about = Words(
        f"Station {plan.station}, export {plan.export.export}, {rfc3339(plan.exported)} by the station's clock.",
        f"采集站 {plan.station}，导出 {plan.export.export}，采集站时钟 {rfc3339(plan.exported)}。",
    )
    body = [
        f"<h1>{_both_inline(Words('Evidence bundle', '证据包'))}</h1>",
        _pair(about),
        f'<div class="notice">{_pair(NOTICE)}</div>',
        f'<div class="headline {report.verdict}">{_pair(headline(report))}</div>',
        _heading(Words("The bundle", "证据包整体")),
        _table(_row(name, check) for name, check in report.checks.items()),
        *(line for segment in report.segments for line in _segment(segment)),
        *_list(Words("Findings: what the evidence itself says", "发现：证据自身所述"), report.findings),
        *_list(Words("Not shown by any check", "任何检查都不能证明的事情"), report.not_proven),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(plan.export.export)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    ).encode()


def _segment(segment: SegmentReport) -> Iterator[str]:
    name = escape(segment.name or segment.segment)
    yield f'<h2>{name} <span class="{segment.verdict}">{_verdict(segment.verdict)}</span></h2>'
    yield f"<p><code>{escape(segment.segment)}</code></p>"
    if segment.root is not None:
        yield f"<p>{_both_inline(Words('Root', '根证书'))}: {escape(segment.root.subject)}<br>"
        yield f"<code>SHA-256 {escape(segment.root.sha256)}</code></p>"
    yield _table(_row(check, found) for check, found in segment.checks.items())


def _row(name: str, check: Check) -> str:
    title = TITLES[name]
    return (
        f'<tr><td class="verdict {check.verdict}">{_verdict(check.verdict)}</td>'
        f'<td><div class="pair"><p><b>{escape(title.en)}</b></p><p lang="zh"><b>{escape(title.zh)}</b></p>'
        f'<p>{escape(check.detail.en)}</p><p lang="zh">{escape(check.detail.zh)}</p></div></td></tr>'
    )


def _table(rows: Iterable[str]) -> str:
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def _list(title: Words, items: Iterable[Words]) -> Iterator[str]:
    lines = [f"<li>{_pair(item)}</li>" for item in items]
    if lines:
        yield _heading(title)
        yield "<ul>\n" + "\n".join(lines) + "\n</ul>"


def _heading(title: Words) -> str:
    return f"<h2>{_both_inline(title)}</h2>"


def _pair(words: Words) -> str:
    return f'<div class="pair"><p>{escape(words.en)}</p><p lang="zh">{escape(words.zh)}</p></div>'


def _both_inline(words: Words) -> str:
    return f'{escape(words.en)} <span lang="zh">{escape(words.zh)}</span>'


def _verdict(verdict: Verdict) -> str:
    return _both_inline(VERDICTS[verdict])
