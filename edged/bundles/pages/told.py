"""The entries of a ledger in plain words, English and Chinese: what happened, when by which clock, and by whom.

Every type of EVIDENCE.md, section 2, has its words; one that this version does not know is shown by its name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Final

from edged.clock import from_rfc3339
from edged.evidence import bodies
from edged.evidence.entry import Entry
from edged.evidence.verification.anomalies import meaning
from edged.evidence.verification.selection import cited_texts
from edged.evidence.verification.words import Words

TYPES: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "genesis": Words("An epoch of the log begins", "日志的一个纪元开始"),
        "docking": Words("Recorder docked", "记录仪接入"),
        "segment": Words("Copied and sealed", "复制并固证"),
        "sighting": Words("Met again", "再次见到"),
        "undocking": Words("Recorder left", "记录仪取出"),
        "clearance": Words("Cleared for erasing", "放行清除"),
        "wipe": Words("Erased from the recorder", "从记录仪清除"),
        "anomaly": Words("Anomaly noted", "记录异常"),
        "classification": Words("Classified", "归类"),
        "correction": Words("Corrected by a person", "人工更正"),
        "hold": Words("Hold", "保全"),
        "derivative": Words("Copy for viewing made", "生成衍生件"),
        "replica": Words("Copy verified", "副本核验"),
        "retire": Words("Copy removed", "移除副本"),
        "disposal": Words("Disposal", "销毁"),
        "policy": Words("Configuration", "配置"),
        "export": Words("Handed out", "导出"),
        "review": Words("Reviewed", "审查"),
        "disclosure": Words("Disclosure", "公开"),
        "anchor": Words("Bounded in time from outside", "站外时间锚"),
        "close": Words("The epoch of the log ends", "日志纪元结束"),
    }
)
"""What each type of entry is called."""

_WORDS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "none": Words("none", "无"),
        "privacy": Words("privacy", "个人隐私"),
        "trade-secret": Words("trade secret", "商业秘密"),
        "work-secret": Words("work secret", "工作秘密"),
        "state-secret": Words("state secret", "国家秘密"),
        "public": Words("public", "主动公开"),
        "on-request": Words("on request", "依申请公开"),
        "closed": Words("closed", "不予公开"),
        "permanent": Words("permanently", "永久"),
        "undetermined": Words("not determined yet, so it is kept", "尚未确定，因此保留"),
        "rule": Words("by rule", "按规则"),
        "feed": Words("from the case feed", "依案件数据"),
        "person": Words("by a person", "由人员决定"),
        "cleared": Words("all files were cleared", "全部文件已放行"),
        "interrupted": Words("interrupted", "中断"),
        "kept": Words("files were kept on the recorder", "文件保留在记录仪上"),
        "gone": Words("the file is gone", "文件已清除"),
        "present": Words("the file is still there", "文件仍在"),
        "unknown": Words("not known", "未知"),
        "placed": Words("placed", "设置"),
        "lifted": Words("lifted", "解除"),
        "ordered": Words("ordered", "已下令"),
        "done": Words("done", "已完成"),
        "candidate": Words("proposed", "候选"),
        "active": Words("in force", "生效"),
        "refused": Words("refused", "拒绝"),
        "proxy": Words("proxy", "代理视频"),
        "poster": Words("poster", "封面图"),
        "filmstrip": Words("filmstrip", "画面条"),
        "framehash": Words("list of frame digests", "逐帧摘要表"),
        "redacted": Words("redacted copy", "遮蔽副本"),
        "filename": Words("file name", "文件名"),
        "container": Words("the file's container", "文件容器"),
        "mtime": Words("time of last change", "最后修改时间"),
        "synchronised": Words("synchronised", "已同步"),
        "unsynchronised": Words("not synchronised", "未同步"),
        "segment": Words("segment", "片段"),
        "case": Words("case", "案件"),
        "recorder": Words("recorder", "记录仪"),
        "officer": Words("officer", "执法人员"),
        "docking": Words("docking", "接入"),
    }
)


def worded(word: str) -> Words:
    """Give a word of an entry in both languages; one that is not known stands as it is."""
    return _WORDS.get(word) or Words(word, word)


@dataclass(frozen=True, kw_only=True)
class Face:
    """How times are written: all with one offset, which they carry."""

    zone: tzinfo

    def show(self, moment: datetime) -> str:
        """Write a time as `2026-11-21 16:00:00.123 +08:00`."""
        try:
            here = moment.astimezone(self.zone)
        except OverflowError:
            here = moment
        offset = here.isoformat()[-6:]
        return f"{here:%Y-%m-%d %H:%M:%S}.{here.microsecond // 1000:03d} {offset}"

    def read(self, text: str) -> str:
        """Write a time of an entry, which keeps the offset it claims."""
        moment = from_rfc3339(text)
        return Face(zone=moment.tzinfo or self.zone).show(moment)


def actor(name: str) -> Words:
    """Say who did something."""
    kind, _, who = name.partition(":")
    match kind:
        case "user" if who:
            return Words(f"user {who} of the station", f"采集站用户 {who}")
        case "remote" if who:
            return Words(f"user {who}, remotely", f"远程用户 {who}")
        case "edged":
            return Words("the station itself", "采集站自动")
        case _:
            return Words(name, name)


def title(entry: Entry) -> Words:
    """Give what an entry is called."""
    if isinstance(entry.body, bodies.Retire) and (entry.body.model_extra or {}).get("phase") == "ordered":
        return Words("Copy to be removed", "将移除副本")
    return TYPES.get(entry.type) or Words(entry.type, entry.type)


def amount(size_bytes: int) -> str:
    """Write a number of bytes for people."""
    size, units = float(size_bytes), iter(("B", "kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while size >= 1000 and unit != "PB":  # noqa: PLR2004 - powers of ten
        size, unit = size / 1000, next(units)
    return f"{size_bytes} B" if unit == "B" else f"{size:.1f} {unit} ({size_bytes} B)"


def offset(ms: int | None, uncertainty_ms: int | None) -> Words:
    """Say by how much the recorder's clock was off the station's."""
    if ms is None:
        return Words("The recorder's clock could not be compared.", "无法比对记录仪时钟。")
    blur = "" if uncertainty_ms is None else f" ± {uncertainty_ms / 1000:.3f} s"
    written = f"{ms / 1000:+.3f} s{blur}"
    return Words(f"Recorder's clock minus station's: {written}.", f"记录仪时钟减采集站时钟：{written}。")


def sentences(entry: Entry, texts: Mapping[str, str], face: Face) -> Iterator[Words]:
    """Say what an entry says, and the reasons that it cites."""
    if isinstance(entry.body, bodies.Body):
        yield from _told(entry.body, face)
    else:
        yield Words("An entry of a type that this program does not know.", "本程序不认识的条目类型。")
    for digest in dict.fromkeys(cited_texts(entry)):
        words = texts.get(digest)
        if words is None:
            yield Words("The words of the reason are not in this bundle.", "理由的文字不在本证据包内。")
        else:
            yield Words(f"Reason: {words}", f"理由：{words}")


def _told(body: bodies.Body, face: Face) -> Iterator[Words]:  # noqa: C901, PLR0912, PLR0915 - one case a type
    match body:
        case bodies.Genesis():
            yield Words(f"Log {body.origin}, with {body.software}.", f"日志 {body.origin}，软件 {body.software}。")
        case bodies.Docking():
            who, size = body.recorder, amount(body.bytes)
            yield Words(
                f"{who.id} ({who.vendor} {who.model}, number {who.serial}) in bay {body.bay}; its card was listed "
                f"before anything was copied: {body.files} files, {size}.",
                f"{who.id}（{who.vendor} {who.model}，编号 {who.serial}）接入采集口 {body.bay}；复制之前先列出存储卡："
                f"{body.files} 个文件，{size}。",
            )
            yield offset(body.clock_offset_ms, body.clock_uncertainty_ms)
            if body.clock_set:
                yield Words("The station set the recorder's clock.", "采集站校准了记录仪时钟。")
            if body.missing:
                yield Words(
                    f"{body.missing} file(s) of the last inventory are gone without the station having erased them.",
                    f"上次清单中有 {body.missing} 个文件未经采集站清除即已消失。",
                )
        case bodies.Segment():
            yield Words(
                f"{body.path}, {amount(body.bytes)}, was copied and digested in one pass; SHA-256 {body.sha256}. "
                f"Number {body.recorder_seq} of recorder {body.recorder} at this station.",
                f"{body.path}，{amount(body.bytes)}，一次读取中完成复制与摘要；SHA-256 {body.sha256}。"
                f"为记录仪 {body.recorder} 在本站的第 {body.recorder_seq} 号。",
            )
        case bodies.Sighting():
            yield Words(
                f"The same bytes were met at {body.path} in {body.docking}.",
                f"在 {body.docking} 的 {body.path} 处见到相同内容。",
            )
            if body.important:
                yield Words("There it is marked as important.", "该处标为重要。")
        case bodies.Undocking():
            how = worded(body.outcome)
            yield Words(
                f"{how.en.capitalize()}; {body.remaining} file(s) remained on the card.",
                f"{how.zh}；卡上剩余 {body.remaining} 个文件。",
            )
        case bodies.Clearance():
            yield Words(
                f"{len(body.items)} file(s) may be erased from the recorder: {len(body.proofs)} verified copies are "
                "named as proof.",
                f"{len(body.items)} 个文件可从记录仪清除：引用 {len(body.proofs)} 份已核验副本为证。",
            )
        case bodies.Wipe():
            how = worded(body.outcome)
            yield Words(f"{body.path}: {how.en}.", f"{body.path}：{how.zh}。")
        case bodies.Anomaly():
            known = meaning(body)
            after = Words("", "") if known is None else Words(f": {known.en}", f"：{known.zh}")
            yield Words(f"Of kind {body.kind}{after.en}.", f"类型 {body.kind}{after.zh}。")
        case bodies.Classification():
            yield from _classified(body)
        case bodies.Correction():
            stated: dict[str, str | None] = {"officer": body.officer, "recorder": body.recorder}
            if body.recorded is not None:
                stated |= {"start": body.recorded.start, "end": body.recorded.end}
            told = ", ".join(f"{key} {value}" for key, value in stated.items() if value is not None) or "-"
            yield Words(f"Stated instead: {told}.", f"更正为：{told}。")
        case bodies.Hold():
            how, kind = worded(body.action), worded(body.subject.kind)
            yield Words(
                f"{body.hold} was {how.en} on {kind.en} {body.subject.id}.",
                f"{how.zh} {body.hold}，对象：{kind.zh} {body.subject.id}。",
            )
        case bodies.Derivative():
            kind = worded(body.kind)
            yield Words(
                f"{kind.en.capitalize()}, {amount(body.bytes)}, with {body.tool}.",
                f"{kind.zh}，{amount(body.bytes)}，由 {body.tool} 生成。",
            )
        case bodies.Replica():
            yield from _copied(body, face)
        case bodies.Retire():
            yield Words(f"From {body.store}; other copies stay.", f"自 {body.store} 移除；其他副本保留。")
        case bodies.Disposal():
            how = worded(body.phase)
            yield Words(
                f"{how.en.capitalize()} under rule {body.rule} ({body.clause}).",
                f"{how.zh}，规则 {body.rule}（{body.clause}）。",
            )
        case bodies.Policy():
            how = worded(body.phase)
            yield Words(
                f"{body.kind}: {how.en}; SHA-256 {body.sha256}.", f"{body.kind}：{how.zh}；SHA-256 {body.sha256}。"
            )
        case bodies.Export():
            yield from exported(body)
        case bodies.Review() | bodies.Disclosure():
            kind = worded(body.subject.kind)
            yield Words(
                f"{body.action}, of {kind.en} {body.subject.id}: {_plain(body.outcome)}.",
                f"{body.action}，对象：{kind.zh} {body.subject.id}：{_plain(body.outcome)}。",
            )
        case bodies.Anchor():
            how = Words("time stamp", "时间戳") if body.kind == "rfc3161" else Words("cosignature", "联署")
            yield Words(
                f"A {how.en} by {body.by} over {body.size} entries.", f"{body.by} 对前 {body.size} 个条目出具{how.zh}。"
            )
        case bodies.Close():
            yield Words(f"Continued in {body.next or '-'}.", f"后续日志：{body.next or '-'}。")
        case _:
            pass


def _classified(body: bodies.Classification) -> Iterator[Words]:
    basis, until = worded(body.basis), worded(body.retain_until)
    if body.case is None:
        yield Words(f"No case is known ({basis.en}).", f"未归入案件（{basis.zh}）。")
    else:
        where = [each for each in (body.matter, body.stage) if each]
        inside = f" ({' / '.join(where)})" if where else ""
        yield Words(f"Case {body.case}{inside}, {basis.en}.", f"案件 {body.case}{inside}，{basis.zh}。")
    if body.secrecy is not None:
        secret, open_to = worded(body.secrecy), worded(body.publicity or "-")
        yield Words(f"Secrecy: {secret.en}; publicity: {open_to.en}.", f"保密：{secret.zh}；公开属性：{open_to.zh}。")
    clause = f" ({body.clause})" if body.clause else ""
    by = f", {body.rule}{clause}" if body.rule else ""
    yield Words(f"To be kept: {until.en}{by}.", f"保存期限：{until.zh}{by}。")


def _copied(body: bodies.Replica, face: Face) -> Iterator[Words]:
    if body.store == "vault":
        yield Words(
            f"The station's own copy was read back from the disk and compared ({body.method}).",
            f"采集站自存副本已从磁盘复读并比对（{body.method}）。",
        )
        return
    how = (
        Words("the server's checksum matches", "服务器校验值一致")
        if body.verified == "server-checksum"
        else Words("it was read back and compared", "复读并比对一致")
    )
    yield Words(f"In store {body.store}: {how.en} ({body.method}).", f"存储 {body.store}：{how.zh}（{body.method}）。")
    if body.locked_until is not None:
        until = face.read(body.locked_until)
        yield Words(f"Locked until {until} ({body.lock_mode or '-'}).", f"锁定至 {until}（{body.lock_mode or '-'}）。")


def exported(body: bodies.Export) -> Iterator[Words]:
    """Say what an export was asked for."""
    asked = body.selection
    span = f" {asked['from']} – {asked['until']}" if "from" in asked and "until" in asked else ""
    match asked:
        case {"case": str(name)}:
            what = Words(f"case {name}{span}", f"案件 {name}{span}")
        case {"recorder": str(name)}:
            what = Words(f"recorder {name}{span}", f"记录仪 {name}{span}")
        case {"segments": list(names)}:
            what = Words(f"{len(names)} segment(s) by name", f"指名的 {len(names)} 个片段")
        case _:
            what = Words("not told", "未说明")
    yield Words(f"Export {body.export}: {what.en}.", f"导出 {body.export}：{what.zh}。")
    match body.plain().get("override"):
        case {"classes": list(classes)}:
            overridden = [worded(str(each)) for each in classes]
            yield Words(
                f"An administrator overrode the refusal of: {', '.join(each.en for each in overridden)}.",
                f"管理员准予导出原不得导出的类别：{'、'.join(each.zh for each in overridden)}。",
            )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def within(ms: int) -> str:
    """Write a tolerance."""
    return f"± {timedelta(milliseconds=ms).total_seconds():g} s"
