"""A receipt as it is printed: on a terminal, as a picture, as a page; in English and Chinese at once."""

import html
import io
import re
from collections.abc import Iterator
from typing import Any, Final
from zoneinfo import ZoneInfo

import segno

from edged.bundles.pages.told import Face
from edged.cli.output import amount
from edged.clock import from_rfc3339

_WIDTH: Final = 46
"""Characters of a line on paper of 80 mm."""
_LINE: Final = 16
_CODE: Final = 360
_MARGIN: Final = 12
_NOT_YET: Final = (
    "NOT YET PUBLISHED 尚未发布",
    "No checkpoint covers this docking yet: print the receipt again later.",
    "本次接入尚无检查点，请稍后再打印凭条。",
)
_NO_STORE: Final = (
    "NOT SIGNED 未签署",
    "This station has no central storage yet, so nothing is signed.",
    "本站尚未配置集中存储，暂不签署。",
)
_KEEP: Final = (
    "Keep this paper: `edged receipt --check` shows whether the ledger still is what it was.",
    "请保存本凭条：可用 `edged receipt --check` 核对台账是否被改写。",
)
_WHY: Final = "Left on it because 留存原因"
_NOTED: Final = "Out of order 异常情况"
_KINDS: Final = 6
"""Kinds of findings that are listed."""
_MORE: Final = ("`edged ledger show --type anomaly` says more.", "详见 `edged ledger show --type anomaly`。")
_BLACK: Final = "black"
_OUTCOMES: Final = {
    "cleared": "emptied 已清空",
    "kept": "kept, files left on it 留存",
    "interrupted": "INTERRUPTED, dock it again 中断，请重新接入",
}


def rows(plain: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give what the receipt says, each with its name in both languages."""
    entry, checkpoint = plain["entry"], plain["checkpoint"]
    yield "Station 采集站", plain["station"]
    yield "Recorder 记录仪", plain["recorder"]
    yield "Officer 执法人员", plain["officer"] or "-"
    yield "Bay 采集口", plain["bay"]
    face = Face(zone=ZoneInfo(plain["zone"]))
    yield "Docked 接入", face.show(from_rfc3339(plain["began"]))
    yield "Ended 结束", face.show(from_rfc3339(plain["ended"]))
    yield "Outcome 结果", _OUTCOMES.get(plain["outcome"], plain["outcome"])
    yield "Files found 发现文件", str(plain["files"])
    yield "  sealed 已固证", str(plain["sealed"])
    yield "  met before 此前已固证", str(plain["sighted"])
    if (missing := plain["files"] - plain["sealed"] - plain["sighted"]) > 0:
        yield "  not taken in 未取入", str(missing)
    yield "  erased 已清除", str(plain["wiped"])
    yield "  left on it 留存", str(plain["left"])
    yield "Bytes 字节", f"{plain['bytes']} ({amount(plain['bytes'])})"
    yield "Findings 异常", str(plain["findings"])
    yield "Docking 接入编号", plain["docking"]
    yield "Entry 条目", f"{entry['seq']} {entry['reference']}"
    if checkpoint is not None:
        yield "Ledger 台账", checkpoint["origin"]
        yield "Checkpoint 检查点", f"{checkpoint['size']} {checkpoint['root']}"


def lines(plain: dict[str, Any], *, stored: bool = True) -> list[str]:
    """Give the lines of the receipt, without its code; ids and digests are broken where the paper ends.

    Without a code it says why: `stored` tells whether the station has central storage, which the code waits for.
    """
    told = ["RECEIPT OF A DOCKING 记录仪接入凭条", ""]
    for name, value in rows(plain):
        whole = f"{name}: {value}"
        told += [whole] if _columns(whole) <= _WIDTH else [f"{name}:", *_broken(value)]
    for heading, sentences in _reasons(plain):
        told += ["", f"{heading}:", *(f"  {line}" for each in sentences for line in _folded(each, _WIDTH - 2))]
    return [*told, "", *_notes(plain, stored=stored)]


def on_terminal(plain: dict[str, Any], *, stored: bool = True) -> str:
    """Give the receipt as text, its code drawn of blocks."""
    picture = io.StringIO()
    if plain["code"]:
        _code(plain).terminal(picture, compact=True)
    return "\n".join([*lines(plain, stored=stored), "", picture.getvalue().rstrip("\n")]).rstrip("\n")


def as_svg(plain: dict[str, Any], *, stored: bool = True) -> str:
    """Give the receipt as one picture, 80 mm wide."""
    told = lines(plain, stored=stored)
    folded = [piece for line in told for piece in (_folded(line) or [""])]
    top = _MARGIN + _LINE * len(folded)
    height = top + _MARGIN + (_CODE + _MARGIN if plain["code"] else 0)
    texts = "".join(
        f'<text x="{_MARGIN}" y="{_MARGIN + _LINE * number}" xml:space="preserve">{html.escape(line)}</text>'
        for number, line in enumerate(folded, 1)
    )
    code = f'<g transform="translate({_MARGIN} {top + _MARGIN})">{_drawn(plain)}</g>' if plain["code"] else ""
    width = _CODE + 2 * _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="80mm" viewBox="0 0 {width} {height}" fill="{_BLACK}"'
        f' font-family="monospace" font-size="13"><rect width="{width}" height="{height}" fill="white"/>'
        f"{texts}{code}</svg>\n"
    )


def as_html(plain: dict[str, Any], *, stored: bool = True) -> str:
    """Give the receipt as one page that needs nothing else."""
    told = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows(plain))
    reasons = "".join(
        f"<p>{'<br>'.join(html.escape(line) for line in (f'{heading}:', *sentences))}</p>"
        for heading, sentences in _reasons(plain)
    )
    notes = "".join(f"<p>{html.escape(text)}</p>" for text in _notes(plain, stored=stored))
    code = f'<svg class="code" viewBox="0 0 {_CODE} {_CODE}">{_drawn(plain)}</svg>' if plain["code"] else ""
    text = f"<p><code>{html.escape(plain['code'])}</code></p>" if plain["code"] else ""
    table = f"<table>{told}</table>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Receipt 凭条 '
        f"{html.escape(plain['docking'])}</title><style>@page{{size:80mm auto;margin:3mm}}"
        "body{width:74mm;font:9pt sans-serif}th{text-align:left;vertical-align:top;font-weight:normal}"
        "td,code{overflow-wrap:anywhere}.code{width:70mm}</style></head><body>"
        f"<h1>Receipt of a docking<br>记录仪接入凭条</h1>{table}{reasons}{notes}{code}{text}</body></html>\n"
    )


def _reasons(plain: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Give why files were left, and what was out of order, each sentence in both languages."""
    if plain["why_left"]:
        yield _WHY, [text for each in plain["why_left"] for text in (each["en"], each["zh"])]
    if noted := plain["noted"]:
        kinds = [f"{each['en']} {each['zh']}: {each['count']}" for each in noted[:_KINDS]]
        yield _NOTED, [*kinds, *(["…"] if len(noted) > _KINDS else []), *_MORE]


def _notes(plain: dict[str, Any], *, stored: bool) -> tuple[str, ...]:
    if plain["code"]:
        return _KEEP
    return _NOT_YET if stored else _NO_STORE


def _code(plain: dict[str, Any]) -> segno.QRCode:
    return segno.make_qr(plain["code"], error="m")


def _drawn(plain: dict[str, Any]) -> str:
    """Draw the code in a square of `_CODE` units, a quiet zone around it."""
    code = _code(plain)
    side = code.symbol_size()[0]
    squares = "".join(
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(code.matrix_iter(border=4)) for x, dark in enumerate(row) if dark
    )
    return f'<path transform="scale({_CODE / side:.6f})" fill="{_BLACK}" d="{squares}"/>'


def _columns(text: str) -> int:
    """Give how wide a text is: a Chinese character takes two columns."""
    return sum(2 if ord(each) > 0x2E7F else 1 for each in text)  # noqa: PLR2004 - where CJK begins


def _broken(value: str) -> Iterator[str]:
    line = " "
    for word in value.split(" "):
        for piece in (word[at : at + _WIDTH - 2] for at in range(0, len(word), _WIDTH - 2)):
            if line.strip() and _columns(f"{line} {piece}") > _WIDTH:
                yield line
                line = " "
            line = f"{line} {piece}"
    yield line


def _folded(line: str, width: int = _WIDTH) -> list[str]:
    """Fold a sentence to the width of the paper, at spaces, or between Chinese characters."""
    folded, now = [], ""
    for piece in re.findall(r"[^\s⺀-￿]+\s*|[⺀-￿]|\s+", line):
        if now and _columns(now + piece.rstrip()) > width:
            folded.append(now.rstrip())
            now = ""
        now += piece
    return [*folded, now.rstrip()] if now.strip() else folded
