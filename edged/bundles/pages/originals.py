"""The part of the report about each original: what it is, when it came about, what was checked, and who did what."""

from collections.abc import Iterator, Sequence
from typing import Final

from edged.bundles.pages.account import Account, Poster
from edged.bundles.pages.markup import Content, Markup, code, facts, join, marked, picture, spoken, table, tag
from edged.bundles.pages.recorded import Recorded
from edged.bundles.pages.told import Face, actor, amount, offset, sentences, title, within, worded
from edged.evidence import bodies
from edged.evidence.entry import Entry
from edged.evidence.verification import Report, SegmentReport, Words
from edged.evidence.verification.sentences import TITLES
from edged.rules.clocks import Corrected

_MOST_SEGMENTS: Final = 1_000
_MOST_ROWS: Final = 200
_NONE: Final = Words("–", "–")


def originals(report: Report, account: Account, face: Face) -> Iterator[Markup]:
    """Give the section; originals stand in the order in which their recorders wrote them."""
    yield tag("h2", Words("2. The originals and their custody history", "二、原件与经手记录"))
    headings = (
        Words("No.", "序号"),
        Words("File", "文件"),
        Words("Recorded from (recorder's claim)", "录制开始（记录仪所称）"),
        Words("Size", "大小"),
        Words("Result", "结果"),
    )
    segments = _in_order(report, account)
    recorded = Recorded(account)
    rows = []
    for number, segment in enumerate(segments, 1):
        body = _sealed(account, segment)
        start = _NONE if body is None or body.recorded.start is None else face.read(body.recorded.start)
        size = _NONE if body is None else amount(body.bytes)
        rows.append((str(number), segment.name or segment.segment, start, size, marked(segment.verdict)))
    yield table(headings, rows)
    for number, segment in enumerate(segments[:_MOST_SEGMENTS], 1):
        yield tag("section", *_original(number, segment, account, recorded, face), kind="original")
    if (more := len(segments) - _MOST_SEGMENTS) > 0:
        yield tag("p", Words(f"{more} more are in report.json only.", f"另有 {more} 个仅列于 report.json。"))


def _in_order(report: Report, account: Account) -> Sequence[SegmentReport]:
    def place(segment: SegmentReport) -> tuple[str, int, str]:
        body = _sealed(account, segment)
        return ("", 0, segment.segment) if body is None else (body.recorder, body.recorder_seq, segment.segment)

    return sorted(report.segments, key=place)


def _original(
    number: int, segment: SegmentReport, account: Account, recorded: Recorded, face: Face
) -> Iterator[Markup]:
    name = segment.name or segment.segment
    yield tag("h3", f"2.{number} {name} ", marked(segment.verdict))
    body = _sealed(account, segment)
    poster = account.posters.get(segment.segment)
    if body is not None:
        is_marked = any(
            each.body.important
            for each in account.history(segment.segment)
            if isinstance(each.body, bodies.Segment | bodies.Sighting) and each.body.segment == segment.segment
        )
        lead = _lead(segment, body, poster, is_marked=is_marked)
        yield tag("div", *lead, kind="lead pictured" if poster else "lead")
        yield tag("h4", Words("When, and how sure", "时间及其确定程度"))
        yield table(
            (Words("What", "事项"), Words("When", "时间"), Words("By what", "依据")),
            _times(segment, body, account, recorded.of(segment.segment), face),
            kind="times",
        )
    yield tag("h4", Words("Checks of this original", "本原件的核验"))
    yield table(
        (Words("Result", "结果"), Words("Check", "核验项"), Words("Found", "所得")),
        ((marked(check.verdict), TITLES[each], check.detail) for each, check in segment.checks.items()),
        kind="tested",
    )
    if segment.damage:
        yield tag("h4", Words("Where it differs", "不同之处"))
        yield table(
            (Words("Chunk", "分块"), Words("Bytes", "字节"), Words("Time of day in the recording", "录像中的时刻")),
            (
                (
                    str(each.chunk),
                    f"{each.from_byte} – {each.to_byte - 1}",
                    f"{each.from_time or '–'} – {each.to_time or '–'}",
                )
                for each in segment.damage[:_MOST_ROWS]
            ),
        )
    yield from _history(segment, account, face)


def _lead(segment: SegmentReport, body: bodies.Segment, poster: Poster | None, *, is_marked: bool) -> Iterator[Markup]:
    if poster is not None:
        caption = Words("A still from it, made by the station.", "采集站截取的画面。")
        image = picture(poster.mime, poster.data, segment.name or segment.segment)
        yield tag("figure", image, tag("figcaption", caption))
    yield tag("div", facts(_about(segment, body, is_marked=is_marked)))


def _about(segment: SegmentReport, body: bodies.Segment, *, is_marked: bool) -> Iterator[tuple[Content, Content]]:
    yield Words("On the card", "存储卡上路径"), code(body.path)
    yield "SHA-256", code(body.sha256)
    yield Words("Size", "大小"), amount(body.bytes)
    yield Words("Segment", "片段编号"), code(segment.segment)
    yield Words("Recorder, docking", "记录仪、接入"), f"{body.recorder}, {body.docking}"
    yield Words("Officer", "执法人员"), body.officer or _NONE
    if isinstance(body.media, bodies.Unreadable):
        yield (
            Words("Content", "内容"),
            Words(f"cannot be played: {body.media.unreadable}", f"无法播放：{body.media.unreadable}"),
        )
    else:
        kinds = [str(each) for each in (body.media.container, body.media.video, body.media.audio) if each]
        lasts = "" if body.media.duration_ms is None else f", {body.media.duration_ms / 1000:.3f} s"
        yield Words("Content", "内容"), ", ".join(kinds) + lasts
    if is_marked:
        yield Words("Mark", "标记"), Words("marked as important on the recorder", "在记录仪上标为重要")
    if body.side_of is not None:
        yield Words("Belongs to", "从属于"), code(body.side_of)
    if body.quarantine is not None:
        yield Words("Quarantine", "隔离"), body.quarantine.code


def _times(
    segment: SegmentReport, body: bodies.Segment, account: Account, corrected: Corrected | None, face: Face
) -> Iterator[tuple[Content, Content, Content]]:
    recorded = body.recorded
    span = [
        tag("span", "?" if each is None else face.read(each), kind="moment") for each in (recorded.start, recorded.end)
    ]
    source = worded(recorded.source)
    docking = account.docking_of(segment.segment)
    drift = offset(None, None) if docking is None else offset(docking.clock_offset_ms, docking.clock_uncertainty_ms)
    claim = Words(
        f"The recorder's claim, from {source.en}, zone {recorded.zone}, {within(recorded.uncertainty_ms)}.",
        f"记录仪所称，来自{source.zh}，时区 {recorded.zone}，{within(recorded.uncertainty_ms)}。",
    )
    yield Words("Recorded from, until", "录制起止"), join(span), claim + drift
    if corrected is not None:
        yield from _corrected(corrected, face)
    nobody = Words("Nobody outside the station says so here.", "此处无站外证实。")
    earliest, latest = segment.not_before, segment.not_after
    yield (
        Words("Sealed not before", "固证不早于"),
        _NONE if earliest is None else face.show(earliest),
        nobody
        if earliest is None
        else Words("From outside the station: the entry cites it.", "由站外证实：条目引用了它。"),
    )
    entry = account.sealed[segment.segment]
    state = worded(entry.clock)
    yield (
        Words("Read from the card and sealed", "读出并固证"),
        face.show(entry.time),
        Words(f"The station's claim; its clock was {state.en}.", f"采集站所称；其时钟{state.zh}。"),
    )
    yield (
        Words("Sealed not after", "固证不晚于"),
        _NONE if latest is None else face.show(latest),
        segment.checks["time"].detail,
    )


def _corrected(corrected: Corrected, face: Face) -> Iterator[tuple[Content, Content, Content]]:
    """Give what the claim stands for by the station's clock: between which two moments."""
    if corrected.start is None and corrected.end is None:
        yield Words("Recorded, by the station's clock", "按采集站时钟录制"), "?", corrected.basis
        return
    basis = corrected.basis
    for what, each in (
        (Words("Began, by the station's clock", "按采集站时钟，开始于"), corrected.start),
        (Words("Ended, by the station's clock", "按采集站时钟，结束于"), corrected.end),
    ):
        if each is not None:
            lines = (f"{face.show(each.earliest)} –", face.show(each.latest))
            yield what, join(tag("span", line, kind="moment") for line in lines), basis
            basis = Words("Likewise.", "同上。")


def _history(segment: SegmentReport, account: Account, face: Face) -> Iterator[Markup]:
    history = account.history(segment.segment)
    yield tag("h4", Words("Custody history, oldest first", "经手记录（由早至晚）"))
    if not history:
        yield tag("p", Words("No readable entry about it is here.", "此处没有可读的相关条目。"))
        return
    headings = (
        Words("Entry", "条目"),
        Words("When (station's clock)", "时间（采集站时钟）"),
        Words("What", "事项"),
        Words("By whom", "由谁"),
    )
    rows = (
        (str(each.seq), face.show(each.time), _event(each, account, face), actor(each.actor))
        for each in history[:_MOST_ROWS]
    )
    yield table(headings, rows, kind="history")
    if (more := len(history) - _MOST_ROWS) > 0:
        yield tag("p", Words(f"{more} more entries are in the bundle.", f"证据包内另有 {more} 个条目。"))


def _event(entry: Entry, account: Account, face: Face) -> Markup:
    return join([tag("b", title(entry)), spoken(sentences(entry, account.texts, face))], " ")


def _sealed(account: Account, segment: SegmentReport) -> bodies.Segment | None:
    entry = account.sealed.get(segment.segment)
    return entry.body if entry is not None and isinstance(entry.body, bodies.Segment) else None
