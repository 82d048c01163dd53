"""Findings: what the evidence itself says and a reader should know; and what no check can show.

A finding fails nothing: a gap in the footage or a quarantined file is what the recorder left, stated openly.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from edged.clock import from_rfc3339, rfc3339
from edged.evidence import bodies
from edged.evidence.certificates import key_bytes
from edged.evidence.digests import sha256_hex
from edged.evidence.entry import Entry
from edged.evidence.ids import bundle_name
from edged.evidence.media_names import is_named_as_media
from edged.evidence.verification.anchors import Anchors
from edged.evidence.verification.anomalies import meaning
from edged.evidence.verification.layout import Layout, LogId
from edged.evidence.verification.logs import Log
from edged.evidence.verification.port import Trust
from edged.evidence.verification.reading import Contents
from edged.evidence.verification.report import SegmentReport
from edged.evidence.verification.sealed import Sealed
from edged.evidence.verification.words import Words, signed_seconds
from edged.evidence.verification.words import some as shown

CLOCK_TOLERANCE_MS: Final = 3_000
"""A day's drift that GA/T 947 allows a recorder."""

CLOCK_SET_MS: Final = 2_000
"""How right a recorder's clock is that the station just set: it counts whole seconds, and setting it takes a moment."""

_DAY_MS: Final = 86_400_000
_MOST: Final = 1_000
_NAMED: Final = 5

CAMERA_GAP: Final = timedelta(seconds=1)
"""Segments that continue each other join within 0.04 s (GA/T 947); file names count whole seconds."""


def findings(
    layout: Layout, contents: Contents, logs: Mapping[LogId, Log], segments: Sequence[Sealed], custody: Sequence[Sealed]
) -> Iterator[Words]:
    """Give what the entries here say that a reader should not miss."""
    for each in segments:
        if each.entry is not None and each.segment is not None:
            yield from _of_segment(each.segment, each.entry.time)
    yield from _unreadable([each.segment for each in segments if each.segment])
    yield from _unsynchronised([each.entry for each in segments if each.entry])
    yield from _camera_gaps([each.segment for each in segments if each.segment])
    for each in custody:
        if each.entry is not None:
            yield from _of_custody(each.entry.body, rfc3339(each.entry.time))
    yield from clock_courses([each.entry for each in custody if each.entry])
    yield from _absent_tokens(layout, contents, list(logs.values()), custody)
    yield from _late_proofs(layout, logs, [*segments, *custody])


def of_anchors(anchors: Anchors, trust: Trust) -> Iterator[Words]:
    """Give what a reader should know of the anchors and of whom they come from."""
    if anchors.unreadable:
        names = shown(anchors.unreadable)
        yield Words(f"No token, or not whose one can tell: {names}.", f"不是令牌，或无法得知出自何处：{names}。")
    stations = {key_bytes(root) for root in trust.roots}
    for root in trust.authorities:
        if key_bytes(root) in stations:
            name = root.subject.rfc4514_string()
            yield Words(
                f"The time-stamping root {name} shares its key with a root of stations: the time is not from outside.",
                f"时间戳根证书 {name} 与所给采集站根证书密钥相同：时间并非来自站外。",
            )


def _of_segment(segment: bodies.Segment, sealed_at: datetime) -> Iterator[Words]:
    name = segment.segment
    if segment.quarantine is not None:
        code, path = segment.quarantine.code, segment.path
        ranges = shown([f"{start}–{end}" for start, end in segment.quarantine.unreadable])
        yield Words(
            f"{name} ({path}) is in quarantine ({code}){f'; unreadable bytes: {ranges}' if ranges else ''}.",
            f"{name}（{path}）处于隔离（{code}）{f'；无法读取的字节：{ranges}' if ranges else ''}。",
        )
    end = _moment(segment.recorded.end or segment.recorded.start)
    ahead = timedelta(milliseconds=CLOCK_TOLERANCE_MS + segment.recorded.uncertainty_ms)
    if end is not None and end - sealed_at > ahead:
        yield Words(
            f"By the recorder's clock {name} was recorded after it was sealed.",
            f"按记录仪时钟，{name} 的录制时间晚于固证时间。",
        )


def _unreadable(segments: Sequence[bodies.Segment]) -> Iterator[Words]:
    """Name the files that cannot be played and should, by their names, together where the reason is the same."""
    names = defaultdict(list)
    for each in segments:
        if isinstance(each.media, bodies.Unreadable) and each.side_of is None and is_named_as_media(each.path):
            names[each.media.unreadable].append(bundle_name(each.path))
    for reason, found in names.items():
        some = ", ".join(sorted(found)[:_NAMED])
        more = f" (+{len(found) - _NAMED})" if len(found) > _NAMED else ""
        yield Words(
            f"{len(found)} file(s) cannot be played: {reason}: {some}{more}.",
            f"{len(found)} 个文件无法播放（{reason}）：{some}{more}。",
        )


def _unsynchronised(entries: Sequence[Entry]) -> Iterator[Words]:
    """Say for how many segments the station's clock had nothing to go by."""
    count = sum(entry.clock == "unsynchronised" for entry in entries)
    if count:
        yield Words(
            f"The station's clock was not synchronised when {count} of {len(entries)} segment(s) were sealed.",
            f"{len(entries)} 个片段中有 {count} 个固证时采集站时钟未同步。",
        )


def _camera_gaps(segments: Sequence[bodies.Segment]) -> Iterator[Words]:
    """Find times between the videos of one recorder that none of them covers."""

    def recorder(timed: tuple[str, datetime, datetime]) -> str:
        return timed[0]

    timed = []
    for each in segments:
        start, end = _moment(each.recorded.start), _moment(each.recorded.end)
        if start is not None and end is not None and start < end and each.side_of is None:
            timed.append((each.recorder, start, end))
    for name, group in groupby(sorted(timed), key=recorder):
        reached: datetime | None = None
        for _, start, end in group:
            if reached is not None and start - reached > CAMERA_GAP:
                yield Words(
                    f"{name} shows nothing between {reached.isoformat()} and {start.isoformat()} (its own clock).",
                    f"{name} 在 {reached.isoformat()} 至 {start.isoformat()} 之间没有录像（按其自身时钟）。",
                )
            reached = end if reached is None else max(reached, end)


def _of_custody(body: object, when: str) -> Iterator[Words]:
    match body:
        case bodies.Docking():
            off, blur = body.clock_offset_ms, body.clock_uncertainty_ms or 0
            if off is not None and abs(off) > CLOCK_TOLERANCE_MS + blur:
                by = f"{signed_seconds(off)} s (± {signed_seconds(blur)[1:]} s)"
                yield Words(
                    f"At {body.docking} the clock of {body.recorder.id} was {by} off the station's.",
                    f"{body.docking} 时 {body.recorder.id} 的时钟与采集站相差 {by}。",
                )
            if not body.recorder.known:
                yield Words(
                    f"The recorder {body.recorder.id} of {body.docking} was not in the register.",
                    f"{body.docking} 的记录仪 {body.recorder.id} 未登记。",
                )
        case bodies.Anomaly():
            about = f"{body.subject.kind} {body.subject.id}" if body.subject else body.docking or "-"
            known = meaning(body)
            told = Words("", "") if known is None else Words(f": {known.en}", f"：{known.zh}")
            yield Words(
                f"The station noted an anomaly on {when}: {body.kind} ({about}){told.en}.",
                f"采集站于 {when} 记录异常：{body.kind}（{about}）{told.zh}。",
            )
        case bodies.Correction():
            yield Words(
                f"On {when} a person corrected the facts of intake of {body.segment}.",
                f"{when} 有人更正了 {body.segment} 的采集事实。",
            )
        case bodies.Wipe() if body.outcome != "gone":
            yield Words(
                f"Erasing {body.path} from the recorder ended as: {body.outcome}.",
                f"从记录仪清除 {body.path} 的结果为：{body.outcome}。",
            )
        case bodies.Disposal():
            yield Words(
                f"{body.segment} was {body.phase} for disposal on {when}.",
                f"{body.segment} 于 {when} 的销毁状态：{body.phase}。",
            )
        case _:
            pass


def clock_courses(entries: Sequence[Entry]) -> Iterator[Words]:
    """Find recorders whose clocks went wrong between two dockings by more than their standard allows, beyond doubt."""
    before: dict[tuple[str, str], tuple[Entry, bodies.Docking, tuple[int, int] | None]] = {}
    for entry in sorted(entries, key=lambda each: (each.time, each.epoch, each.seq)):
        body = entry.body
        if not isinstance(body, bodies.Docking):
            continue
        who, off, blur = (entry.station, body.recorder.id), body.clock_offset_ms, body.clock_uncertainty_ms or 0
        bounds = None if off is None else (off - blur, off + blur)
        earlier = before.get(who)
        # One that the station set was right then, to within the tolerance; what it showed before that counts no more.
        before[who] = entry, body, (-CLOCK_SET_MS, CLOCK_SET_MS) if body.clock_set else bounds
        if earlier is None or earlier[2] is None or bounds is None:
            continue
        least, most = bounds[0] - earlier[2][1], bounds[1] - earlier[2][0]
        allowed = CLOCK_TOLERANCE_MS * ((entry.time - earlier[0].time) // timedelta(milliseconds=1))
        if least * _DAY_MS > allowed or most * _DAY_MS < -allowed:
            by = f"{signed_seconds(least)} … {signed_seconds(most)} s"
            yield Words(
                f"Between {earlier[1].docking} and {body.docking} the clock of {body.recorder.id} went {by} against "
                "the station's, more than the 3 s a day that GA/T 947 allows: it drifts, or somebody set it.",
                f"{earlier[1].docking} 至 {body.docking} 之间，{body.recorder.id} 的时钟相对采集站变化 {by}，"
                "超过 GA/T 947 允许的每日 3 秒：时钟漂移，或被人设置。",
            )


def _absent_tokens(
    layout: Layout, contents: Contents, logs: Sequence[Log], custody: Sequence[Sealed]
) -> Iterator[Words]:
    """Name the tokens that `anchor` entries speak of and that are not here."""
    anchors = [each.entry.body for each in custody if each.entry and isinstance(each.entry.body, bodies.Anchor)]
    if not anchors:
        return
    here = {contents.sha256(path) for path in [*layout.tokens, *layout.anchors]}
    for log in logs:
        for head in log.heads.values():
            here |= {sha256_hex(line) for line in (head.cosigned or b"").splitlines(keepends=True)}
    for anchor in anchors:
        if anchor.sha256 not in here:
            yield Words(
                f"A token by {anchor.by} over {anchor.origin} at size {anchor.size} is named but not here.",
                f"条目提到 {anchor.by} 对 {anchor.origin}（大小 {anchor.size}）出具的令牌，但不在此处。",
            )


def _late_proofs(layout: Layout, logs: Mapping[LogId, Log], sealed: Sequence[Sealed]) -> Iterator[Words]:
    """Name the entries whose proofs pass over an anchored checkpoint: their time may look later than it was."""
    anchored = {
        log: [size for size, head in here.heads.items() if head.cosigned or layout.logs[log].sizes[size].tokens]
        for log, here in logs.items()
    }
    late = []
    for each in sealed:
        if each.entry is None or each.ending is None:
            continue
        seq, size = each.entry.seq, each.ending.checkpoint.size
        sizes = anchored.get((each.entry.station, each.entry.epoch), [])
        if any(seq < earlier < size for earlier in sizes):
            late.append(each.place)
    if late:
        names = shown(late)
        yield Words(
            f"Not proven by the earliest anchored checkpoint that covers them: {names}.",
            f"未以覆盖它们的最早带时间锚的检查点证明：{names}。",
        )


def shortened(found: Sequence[Words]) -> tuple[Words, ...]:
    """Keep a report readable, whatever a forger wrote into entries."""
    if len(found) <= _MOST:
        return tuple(found)
    more = len(found) - _MOST
    return (*found[:_MOST], Words(f"And {more} more findings.", f"另有 {more} 项发现。"))


def not_proven(trust: Trust, segments: Sequence[SegmentReport]) -> Iterator[Words]:
    """Say what stays unproven whatever the verdict, in whole sentences (EVIDENCE.md, section 7)."""
    yield Words(
        "What happened before a file was read from the card is not shown: neither what the recorder recorded or left "
        "out, nor whether the card was changed before it was docked.",
        "文件从存储卡读出之前发生的事情无从证明：既不证明记录仪录了什么、漏了什么，也不证明接入前存储卡未被改动。",
    )
    yield Words("Nothing that the station wrote after the export is shown.", "导出之后采集站写下的内容不在此列。")
    if trust.crls:
        yield Words(
            f"Revocation was checked only against the {len(trust.crls)} list(s) given.",
            f"证书吊销情况仅按所提供的 {len(trust.crls)} 份吊销列表核查。",
        )
    else:
        yield Words(
            "Whether a certificate was revoked was not checked: no revocation list was given.",
            "未核查证书是否被吊销：没有提供吊销列表。",
        )
    yield Words(
        "Erasing a file from flash memory removes its name; it does not show that every trace is gone.",
        "从闪存中清除文件只是去掉其名称，不能证明所有痕迹均已消失。",
    )
    roots = {segment.root for segment in segments if segment.root is not None}
    own = sorted(root.subject for root in roots if root.is_self_made)
    if own:
        yield Words(
            f"The root {', '.join(own)} was made by the station itself and binds to no authority: it shows that one "
            "and the same key holder signed, not who that is.",
            f"根证书 {', '.join(own)} 由采集站自制，不归属任何机构：它只证明签名者始终是同一密钥持有者，不证明其身份。",
        )
    else:
        yield Words(
            "A root that a station made itself (O=self-made by …) would bind to no authority.",
            "采集站自制的根证书（O=self-made by …）不归属任何机构。",
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_rfc3339(text)
