"""The check `selection`: the bundle is what the station decided to hand over, all of it and nothing else.

The station lists segments and entries in `export.json` and cites that list in its `export` entry before the bundle
is made, so that whoever passes the bundle on cannot drop one unnoticed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edged.errors import MalformedError
from edged.evidence import bodies, canonical
from edged.evidence.digests import sha256_hex
from edged.evidence.entry import Entry
from edged.evidence.ids import EntryRef, ExportId, SegmentId, Sha256, is_segment_id, is_sha256
from edged.evidence.verification.layout import EXPORT, TEXTS, Layout
from edged.evidence.verification.reading import Contents
from edged.evidence.verification.report import Check, failed, not_established, together, verified
from edged.evidence.verification.sealed import Sealed
from edged.evidence.verification.words import Words, some

_MAX_LIST_BYTES: Final = 16 << 20
_SALT: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class ExportList:
    """What `export.json` lists."""

    export: ExportId
    segments: tuple[SegmentId, ...]
    entries: tuple[EntryRef, ...]
    """References of every entry of the bundle but the `export` entry itself."""

    def encode(self) -> bytes:
        """Write the list: each sorted and without duplicates (EVIDENCE.md, section 6)."""
        return canonical.encode(
            {
                "v": 1,
                "export": self.export,
                "segments": sorted(set(self.segments)),
                "entries": sorted(set(self.entries)),
            }
        )


def parse_export_list(data: bytes) -> ExportList:
    """Read `export.json` strictly."""
    document = _read(data)
    match document:
        case {"v": 1, "export": str(name), "segments": list(segments), "entries": list(entries), **more} if not more:
            pass
        case _:
            raise MalformedError("it is not {v, export, segments, entries}")
    found = ExportList(
        export=ExportId(name),
        segments=tuple(SegmentId(each) for each in segments if isinstance(each, str) and is_segment_id(each)),
        entries=tuple(EntryRef(each) for each in entries if isinstance(each, str) and is_sha256(each)),
    )
    if found.encode() != data:
        raise MalformedError("its lists are not sorted, or hold something twice or something else than ids")
    return found


def check_selection(layout: Layout, contents: Contents, segments: Sequence[Sealed], custody: Sequence[Sealed]) -> Check:
    """Check that the bundle is what the station decided to hand over: all of it, and nothing else."""
    exports = [each for each in custody if each.entry and isinstance(each.entry.body, bodies.Export)]
    texts = list(_texts(layout, contents, [*segments, *custody]))
    if not exports:
        missing = not_established(
            "No export entry is here, so nothing shows that the bundle is complete.",
            "缺少导出条目，无从证明证据包完整。",
        )
        return together([*texts, missing], missing)
    if EXPORT not in layout.files:
        missing = not_established("export.json is not here.", "缺少 export.json。")
        return together([*texts, missing], missing)
    try:
        data = contents.small(EXPORT, _MAX_LIST_BYTES)
    except MalformedError as error:
        return _malformed(EXPORT, error)
    citing = [each for each in exports if _cites(each, sha256_hex(data))]
    if len(citing) != 1:
        return failed(
            f"{len(citing)} export entries cite export.json as it is here; exactly one must.",
            f"有 {len(citing)} 个导出条目引用此处的 export.json，应恰有一个。",
        )
    return together(
        [*texts, *_of_export(citing[0], segments), *_of_lists(data, citing[0], layout, [*segments, *custody])],
        verified(
            "The bundle holds exactly what the station's signed export entry lists.",
            "证据包内容与采集站已签名的导出条目所列完全一致。",
        ),
    )


def _cites(sealed: Sealed, digest: Sha256) -> bool:
    body = sealed.entry.body if sealed.entry else None
    return isinstance(body, bodies.Export) and body.list_sha256 == digest


def _of_export(export: Sealed, segments: Sequence[Sealed]) -> Iterator[Check]:
    """Check that the export entry is proven, and is by the station of every segment."""
    for check in export.checks.values():
        if check.verdict != "verified":
            yield Check(check.verdict, Words("The export entry:", "导出条目：") + check.detail)
    station = export.entry.station if export.entry else None
    others = sorted({each.entry.station for each in segments if each.entry} - {station})
    if others:
        yield not_established(
            f"The export entry is by {station}, segments are by {some(others)}.",
            f"导出条目出自 {station}，而片段出自 {some(others)}。",
        )


def _of_lists(data: bytes, export: Sealed, layout: Layout, here: Sequence[Sealed]) -> Iterator[Check]:
    """Compare the lists in export.json with what is here, both ways."""
    try:
        listed = parse_export_list(data)
    except MalformedError as error:
        yield _malformed(EXPORT, error)
        return
    body = export.entry.body if export.entry else None
    if not isinstance(body, bodies.Export) or body.export != listed.export:
        yield failed("export.json is of another export than its entry.", "export.json 与导出条目不属于同一次导出。")
    present = {each.ref: each.place for each in here if each.ref and each is not export}
    for en, zh, wanted, found in (
        ("segments", "片段", set[str](listed.segments), set[str](layout.segments)),
        ("entries", "条目", set[str](listed.entries), set[str](present)),
    ):
        if lacking := sorted(wanted - found):
            yield failed(f"Listed {en} that are not here: {some(lacking)}.", f"导出清单所列{zh}缺失：{some(lacking)}。")
        if extra := sorted(present.get(EntryRef(each), each) for each in found - wanted):
            yield failed(f"Here but not exported: {some(extra)}.", f"不在导出清单内的{zh}：{some(extra)}。")


def _read(data: bytes) -> dict[str, canonical.Json]:
    document = canonical.decode(data)
    if not isinstance(document, dict) or canonical.encode(document) != data:
        raise MalformedError("it is no object in canonical form")
    return document


def _texts(layout: Layout, contents: Contents, here: Sequence[Sealed]) -> Iterator[Check]:
    """Check that each disclosed text is one that an entry here cites."""
    if TEXTS not in layout.files:
        return
    try:
        document = _read(contents.small(TEXTS, _MAX_LIST_BYTES))
    except MalformedError as error:
        yield _malformed(TEXTS, error)
        return
    cited = {digest for each in here if each.entry for digest in cited_texts(each.entry)}
    for digest, value in document.items():
        match value:
            case {"salt": str(salt), "text": str(text), **more} if not more and _SALT.fullmatch(salt):
                altered = sha256_hex((salt + text).encode()) != digest
            case _:
                altered = True
        if altered:
            yield failed(f"The text {digest} in texts.json is altered.", f"texts.json 中的文字 {digest} 已被改动。")
        elif digest not in cited:
            yield failed(f"No entry here cites the text {digest}.", f"此处没有条目引用文字 {digest}。")


def cited_texts(entry: Entry) -> Iterator[Sha256]:
    """Give the digests of the reasons that an entry cites.

    A type of a later version, or a further key, may cite one anywhere: every {`code`, `text`} counts.
    """
    yield from _reasons_in(entry.body.plain() if isinstance(entry.body, bodies.Body) else entry.body)


def _reasons_in(value: object) -> Iterator[Sha256]:
    match value:
        case {"code": str(), "text": str(text)} if is_sha256(text):
            yield Sha256(text)
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _reasons_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from _reasons_in(each)


def _malformed(path: str, error: MalformedError) -> Check:
    return failed(f"{path} is malformed: {error}.", f"{path} 格式有误：{error}。")
