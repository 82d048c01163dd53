"""The report of a bundle as one page to read and to print: English, Chinese or both, no scripts, nothing fetched.

The page says the same for whoever makes it: the station of its own bundle, or who received one. It holds no time of its
making but the one it is given, so the same export gives the same page again.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final

from cryptography import x509

from edged.bundles.pages.account import Account
from edged.bundles.pages.courts import METHODS, PROVISIONS, TOPICS
from edged.bundles.pages.markup import Content, Markup, code, facts, join, marked, put, spoken, table, tag
from edged.bundles.pages.originals import originals
from edged.bundles.pages.told import Face, actor, amount, exported
from edged.evidence import bodies
from edged.evidence.certificates import fingerprint
from edged.evidence.ids import is_id
from edged.evidence.verdict import Verdict, worst
from edged.evidence.verification import Check, Report, Trust, Words
from edged.evidence.verification.report import BUNDLE_CHECKS, SEGMENT_CHECKS
from edged.evidence.verification.sentences import TITLES, headline

NOTICE: Final = Words(
    "This report was made by the station and came with the evidence. It proves nothing: a forger's would look the "
    "same. Check the bundle yourself, as VERIFY.md says.",
    "本报告由采集站制作，随证据一同到来，不能证明任何事情：伪造者的报告看起来也会一样。请按 VERIFY.zh.md 自行核验。",
)
_RECEIVED: Final = Words(
    "This report was made by whoever received the bundle, under the trust that is listed at its end. It tells what a "
    "check found; whoever doubts it can repeat the check.",
    "本报告由收到证据包者制作，所依信任列于文末。它说明核验所得；如有疑问，可自行重复核验。",
)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """How a report came about."""

    by_station: bool
    """Whether the station checked its own bundle before it handed it over."""
    moment: datetime | None
    """When, as far as the page is to say so."""
    trust: Trust
    tool: str
    """Name and version of the program."""


def report_html(report: Report, account: Account, checked: Checked) -> bytes:
    """Give the page."""
    face = Face(zone=account.zone)
    name = _name(account)
    parts = [
        *_head(report, account, checked, face),
        *_checks(report),
        *originals(report, account, face),
        *_list(Words("3. Findings: what the evidence itself says", "三、发现：证据自身所述"), report.findings),
        *_list(Words("4. What is not proven", "四、未证明的事项"), report.not_proven),
        *_courts(report),
        *_made(account, checked, face),
    ]
    # Two names of nobody's choosing reach the style: an id, or nothing.
    style = _style().replace("FOOT", f"edged · {name}" if name else "edged")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"{tag('title', f'{name} edged'.strip())}\n<style>{style}</style>\n</head>\n<body>\n"
        f"{_switch()}\n<main>\n{join(parts)}\n</main>\n</body>\n</html>\n"
    ).encode()


def _switch() -> Markup:
    """Give the choice of language, which needs no script."""
    names = (("in-en", "en", "English"), ("in-zh", "zh-CN", "中文"), ("in-both", "en", "English + 中文"))
    inputs = [
        f'<input class="language" type="radio" name="language" id="{each}" aria-label="{name}"{" checked" * (not at)}>'
        for at, (each, _, name) in enumerate(names)
    ]
    labels = "".join(f'<label for="{each}" lang="{lang}">{name}</label>' for each, lang, name in names)
    return Markup("\n".join([*inputs, f'<nav class="languages">{labels}</nav>']))


def _name(account: Account) -> str:
    body = account.export.body if account.export else None
    return body.export if isinstance(body, bodies.Export) and is_id(body.export) else ""


def _head(report: Report, account: Account, checked: Checked, face: Face) -> Iterator[Markup]:
    yield tag("h1", Words("Report on a bundle of evidence", "证据包核验报告"))
    yield tag(
        "p",
        Words("What was checked, what was found, and what is not proven.", "核验内容、核验结果与未证明的事项。"),
        kind="soft",
    )
    yield tag(
        "div",
        tag("span", marked(report.verdict), kind="word"),
        tag("span", headline(report), kind="why"),
        kind=f"banner {report.verdict}",
    )
    yield tag("div", tag("p", NOTICE if checked.by_station else _RECEIVED), kind="notice")
    rows = []
    for topic in TOPICS:
        verdict = worst(_worst(report, name) for name in topic.checks)
        rows.append(
            tag(
                "tr",
                tag("th", topic.title, scope="row"),
                tag("td", marked(verdict), kind="verdict"),
                tag("td", topic.said[verdict]),
            )
        )
    yield tag("table", tag("tbody", *rows), kind="short")
    yield tag("h4", Words("The hand-over", "交付情况"))
    yield facts(_hand_over(report, account, checked, face))


def _hand_over(report: Report, account: Account, checked: Checked, face: Face) -> Iterator[tuple[Content, Content]]:
    entry = account.export
    if entry is not None and isinstance(entry.body, bodies.Export):
        yield Words("Station", "采集站"), f"{entry.station} ({entry.epoch})"
        yield Words("Export", "导出"), spoken(exported(entry.body))
        purpose = account.texts.get(entry.body.purpose.text)
        yield Words("Purpose", "目的"), purpose or Words("its words are not here", "文字不在此处")
        by = actor(entry.actor)
        when = face.show(entry.time)
        yield (
            Words("Asked for by", "申请人"),
            Words(f"{by.en}, {when} (station's clock)", f"{by.zh}，{when}（采集站时钟）"),
        )
    sizes = [each.body.bytes for each in account.sealed.values() if isinstance(each.body, bodies.Segment)]
    yield (
        Words("Originals", "原件"),
        Words(
            f"{len(report.segments)}, together {amount(sum(sizes))}",
            f"{len(report.segments)} 个，共 {amount(sum(sizes))}",
        ),
    )
    who = (
        Words("the station itself, before handing it over", "采集站自身，交付之前")
        if checked.by_station
        else Words("who received it", "收到证据包者")
    )
    when = "" if checked.moment is None else f", {face.show(checked.moment)}"
    yield (
        Words("Checked by", "核验者"),
        Words(f"{who.en}{when}, with {checked.tool}", f"{who.zh}{when}，{checked.tool}"),
    )
    zone = face.show(datetime.fromisoformat("2000-01-01T00:00:00+00:00"))[-6:]
    yield (
        Words("Times", "时间写法"),
        Words(f"at UTC{zone}, unless they carry another offset", f"除另有标注外，均为 UTC{zone}"),
    )


# ------------------------------------------------------------------------------------------------------- checks


def _checks(report: Report) -> Iterator[Markup]:
    yield tag("h2", Words("1. What was checked, how, and what was found", "一、核验内容、方法与结果"))
    headings = (Words("Result", "结果"), Words("Question, method, finding", "问题、方法与所得"))
    yield tag(
        "table",
        tag("thead", tag("tr", *(tag("th", each, scope="col") for each in headings))),
        tag("tbody", *(_check_row(name, report) for name in (*SEGMENT_CHECKS, *BUNDLE_CHECKS))),
        kind="checks",
    )


def _check_row(name: str, report: Report) -> Markup:
    found, verdict, method = _of(report, name), _worst(report, name), METHODS[name]
    return tag(
        "tr",
        tag("td", marked(verdict), kind="verdict"),
        tag(
            "td",
            tag("span", TITLES[name], " ", code(name), kind="asked"),
            tag("span", method.question + method.how, kind="how"),
            tag("span", _summary(name, found, verdict), kind="found"),
        ),
    )


def _summary(name: str, found: Sequence[Check], verdict: Verdict) -> Words:
    if name in BUNDLE_CHECKS:
        return found[0].detail
    if not found:
        return Words("There is no original here.", "此处没有原件。")
    alike = [check for check in found if check.verdict == verdict]
    if verdict == "verified":
        return Words(f"So for each of the {len(found)} original(s).", f"{len(found)} 个原件均如此。")
    count = Words(f"{len(alike)} of {len(found)} original(s):", f"{len(found)} 个原件中的 {len(alike)} 个：")
    return count + alike[0].detail


def _worst(report: Report, name: str) -> Verdict:
    """Give the verdict of a check over all originals; over none, nothing is established."""
    found = _of(report, name)
    return worst(check.verdict for check in found) if found else "not-established"


def _of(report: Report, name: str) -> list[Check]:
    if name in report.checks:
        return [report.checks[name]]
    return [segment.checks[name] for segment in report.segments]


# -------------------------------------------------------------------------------------------- what else there is


def _list(heading: Words, items: Iterable[Words]) -> Iterator[Markup]:
    lines = [tag("li", item) for item in items]
    yield tag("h2", heading)
    yield tag("ul", *lines) if lines else tag("p", Words("None.", "无。"))


def _courts(report: Report) -> Iterator[Markup]:
    yield tag("h2", Words("5. What courts look at", "五、法庭关注的事项"))
    yield tag(
        "p",
        Words(
            "Provisions are summed up; their own texts decide. Whether they apply and are met is for the court.",
            "条文为摘要，以原文为准。是否适用、是否满足由法院判断。",
        ),
        kind="soft",
    )
    rows = []
    for each in PROVISIONS:
        answered = [marked(_worst(report, name), TITLES[name]) for name in each.checks]
        here = (
            join([each.here, tag("span", join(answered, " · "), kind="checked")], " ") if answered else put(each.here)
        )
        rows.append((each.source, each.asks, here))
    yield table(
        (Words("Provision", "条文"), Words("It looks at", "关注事项"), Words("Here", "本证据包")), rows, kind="courts"
    )


def _made(account: Account, checked: Checked, face: Face) -> Iterator[Markup]:
    yield tag("h2", Words("6. How this was checked, and how to repeat it", "六、核验依据与复核方法"))
    rows: list[tuple[Content, Content]] = [
        (
            Words("Program", "程序"),
            Words(f"{checked.tool}, format: EVIDENCE version 1", f"{checked.tool}，格式：EVIDENCE 第 1 版"),
        )
    ]
    rows += [(Words("Root of stations", "采集站根证书"), _certificate(each)) for each in checked.trust.roots]
    rows += [(Words("Time-stamping authority", "时间戳机构"), _certificate(each)) for each in checked.trust.authorities]
    if checked.trust.policy is not None:
        names = ", ".join(each.name for each in checked.trust.policy.witnesses.values()) or "–"
        rows.append((Words("Witnesses", "见证方"), names))
    lists = [each.issuer.rfc4514_string() for each in checked.trust.crls]
    rows.append((Words("Revocation lists", "吊销列表"), ", ".join(lists) or Words("none was given", "未提供")))
    for entry in account.about_the_log():
        if isinstance(entry.body, bodies.Genesis):
            rows.append(
                (Words("Sealed with", "固证软件"), f"{entry.body.software} ({entry.epoch}, {face.show(entry.time)})")
            )
    yield facts(rows)
    yield tag(
        "p",
        Words(
            "To repeat it: VERIFY.md in the bundle has every command, for openssl and sha256sum alone; verify.html is "
            "a page for browsers, `edged verify` a command. Take root certificates and page from elsewhere than from "
            "the bundle.",
            "复核：证据包内 VERIFY.zh.md 列出全部命令，只需 openssl 和 sha256sum；verify.html 可在浏览器中核验；"
            "亦可在终端使用 edged verify。根证书和核验页面请勿取自证据包。",
        ),
    )
    lines = (
        Words("Name", "姓名"),
        Words("Office", "单位职务"),
        Words("Date", "日期"),
        Words("Signature or seal", "签名或盖章"),
    )
    yield tag("h4", Words("Handed over or checked by", "交付人或核验人"))
    yield tag("div", *(tag("div", each) for each in lines), kind="sign")


def _certificate(certificate: x509.Certificate) -> Markup:
    return join([certificate.subject.rfc4514_string(), code(f"SHA-256 {fingerprint(certificate)}")], " ")


@cache
def _style() -> str:
    text = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return re.sub(r"\s*\n\s*", "\n", text)
