"""What the station noted as out of order, in plain words.

Each kind has a name, and sentences that say what its detail holds; the first sentence counts whose keys are all there,
as whole numbers or texts. Keys that end in `_ms` are written as seconds. A kind or a detail of a later version, and one
that a forger wrote, is told by as much of this as fits.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edged.evidence import bodies
from edged.evidence.verification.words import Words

_KEY: Final = re.compile(r"\{([a-z0-9_]+)\}")
_OFFSETS: Final = ("ahead_ms", "behind_ms")
"""Keys that are in no detail: how far a clock was ahead, or behind, by `offset_ms`."""
_LONGEST: Final = 120
"""Characters of a text out of a detail."""

NAMES: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "recorder-refused": Words("a recorder was refused", "记录仪被拒绝"),
        "officer-not-registered": Words("the officer is not in the register", "执法人员未登记"),
        "officer-not-qualified": Words("the officer's qualification was not valid", "执法人员资格无效"),
        "not-a-file": Words("the card holds something that is no file", "存储卡上有非文件项"),
        "not-listed": Words("a folder could not be listed", "目录无法列出"),
        "unreadable": Words("a file could not be read", "文件无法读取"),
        "gone-after-inventory": Words("a file left the card after it was listed", "文件在列出之后消失"),
        "changed-after-inventory": Words("a file changed after it was listed", "文件在列出之后改变"),
        "changed-before-wipe": Words(
            "a file changed before it was to be erased; it was left", "文件在清除前改变，予以保留"
        ),
        "unreadable-before-wipe": Words("a file could not be read again; it was left", "文件清除前无法复读，予以保留"),
        "not-erased": Words("the card did not let a file be erased; it was left", "存储卡未能清除文件，文件仍在"),
        "not-writable": Words("the card cannot be written to", "存储卡不可写"),
        "unlock-command-failed": Words("the program that unlocks the recorder failed", "记录仪解锁程序失败"),
        "clock-command-failed": Words("the program that sets the recorder's clock failed", "记录仪校时程序失败"),
        "vault-copy-differs": Words("the disk gave other bytes than were sealed", "磁盘读出与固证不符"),
        "classification-contradicted": Words("a later case file says otherwise", "后来的案件数据与之矛盾"),
        "ledger-restored": Words(
            "the ledger had gone on elsewhere: a restored backup", "台账曾在别处继续：备份恢复所致"
        ),
        "ledger-contradicted": Words(
            "what was published contradicts what the station signed", "已公布内容与采集站签名内容矛盾"
        ),
        "second-reading-differs": Words(
            "the card gave different bytes when it was read a second time", "存储卡两次读出的内容不同"
        ),
        "partly-unreadable": Words("a part of a file could not be read", "文件有一部分无法读取"),
        "changed-since-interruption": Words(
            "a file changed while its copying was interrupted", "文件在复制中断期间改变"
        ),
        "changed-since-sealed": Words("a file holds other bytes than were sealed from it", "文件内容与先前固证时不同"),
        "gone-from-card": Words(
            "a file whose copying was interrupted is gone from the card", "复制中断的文件已不在存储卡上"
        ),
        "replica-not-confirmed": Words("central storage does not hold a copy any more", "中心存储不再存有副本"),
        "counter-skips": Words("the recorder's counter leaves out numbers", "记录仪编号有缺号"),
        "counter-begins-anew": Words("the recorder's counter began anew", "记录仪编号重新开始"),
        "join-gap": Words("a recording goes on only after a gap", "同一录像的片段之间有空隙"),
        "join-overlap": Words(
            "a file begins before the one before it ends: the recorder's clock was set back",
            "后一文件在前一文件结束之前开始：记录仪时钟曾被回拨",
        ),
        "recording-incomplete": Words("a recording stops early", "录像提前中止"),
        "missing-since-last-docking": Words(
            "files of the last inventory are gone, and the station had not erased them",
            "上次清单中的文件未经采集站清除即已消失",
        ),
        "same-file-again": Words("the same file again", "同一文件再次出现"),
        "recorder-clock-off": Words("the recorder's clock was wrong", "记录仪时钟不准"),
        "recorder-clock-drifts": Words(
            "the recorder's clock goes wrong faster than GA/T 947 allows", "记录仪时钟漂移超过 GA/T 947 的规定"
        ),
        "recorder-clock-jumped": Words(
            "the recorder's clock was set, or lost its time", "记录仪时钟被重新设置或曾丢失时间"
        ),
        "recorded-times-differ": Words(
            "a file's name and its content claim different times", "文件名与文件内容所称时间不一致"
        ),
        "station-clock-stepped": Words("the station's clock was set", "采集站时钟被调整"),
    }
)
"""What each kind is called."""

_TOLD: Final[Mapping[str, tuple[Words, ...]]] = MappingProxyType(
    {
        "second-reading-differs": (
            Words(
                "{path}: SHA-256 first {first_sha256}, then {second_sha256}; both are kept in the entry",
                "{path}：SHA-256 先为 {first_sha256}，后为 {second_sha256}；条目载明两者",
            ),
        ),
        "partly-unreadable": (
            Words(
                "{unreadable_bytes} byte(s) of {path}; what could be read is kept",
                "{path} 有 {unreadable_bytes} 字节；能读出的部分已保留",
            ),
        ),
        "changed-since-interruption": (
            Words("what was copied of {path} before is kept as well", "先前已复制的 {path} 部分也予以保留"),
        ),
        "changed-since-sealed": (
            Words(
                "{path} was sealed as {sealed} in {docking}; what it holds now is a segment of its own",
                "{path} 曾在 {docking} 固证为 {sealed}；现在的内容另作片段",
            ),
        ),
        "counter-skips": (
            Words(
                "this station knows no file with a number from {first} to {last} ({count} in all), between {before} "
                "and {after}",
                "本站未见编号 {first} 至 {last} 的文件（共 {count} 个），位于 {before} 与 {after} 之间",
            ),
            Words(
                "this station knows no file with a number from {first} to {last} ({count} in all), before {after}",
                "本站未见编号 {first} 至 {last} 的文件（共 {count} 个），位于 {after} 之前",
            ),
        ),
        "counter-begins-anew": (
            Words(
                "after {last} came {number}; how many files lie between cannot be told",
                "{last} 之后为 {number}；其间有多少文件无从得知",
            ),
        ),
        "join-gap": (
            Words(
                "the recorder itself ended {before} to go on in {after}, and left at least {least_ms} and at most "
                "{most_ms} seconds between them",
                "记录仪自行结束 {before} 并续录于 {after}，其间空隙至少 {least_ms} 秒、至多 {most_ms} 秒",
            ),
        ),
        "join-overlap": (
            Words(
                "{after} begins at least {least_ms} and at most {most_ms} seconds before {before} ends",
                "{after} 在 {before} 结束之前至少 {least_ms} 秒、至多 {most_ms} 秒开始",
            ),
        ),
        "recording-incomplete/empty": (Words("{file} is empty: nothing was written", "{file} 为空：没有写入内容"),),
        "recording-incomplete/no-index": (
            Words(
                "{file} was never finished, as when the power fails while recording",
                "{file} 未写完，如录制中断电",
            ),
        ),
        "recording-incomplete/not-continued": (
            Words(
                "the recorder itself ended {file} to go on in another, and none goes on from it",
                "记录仪自行结束 {file} 以便续录，但没有后续文件",
            ),
        ),
        "missing-since-last-docking": (
            Words(
                "of what it held at {last_docking}, {held} file(s) that the station has are gone, and {lost} that it "
                "never took in",
                "{last_docking} 时卡上文件中，采集站已存的有 {held} 个消失，从未取入的有 {lost} 个消失",
            ),
        ),
        "same-file-again": (
            Words(
                "{at} holds again what the station erased there in {erased_in}",
                "{at} 再次出现采集站在 {erased_in} 已清除的内容",
            ),
            Words("{at} holds the same bytes as {first_at}", "{at} 与 {first_at} 内容相同"),
        ),
        "recorder-clock-off": (
            Words(
                "{ahead_ms} seconds ahead of the station's when it was connected, to within {uncertainty_ms}",
                "接入时比采集站快 {ahead_ms} 秒，不确定度 {uncertainty_ms} 秒",
            ),
            Words(
                "{behind_ms} seconds behind the station's when it was connected, to within {uncertainty_ms}",
                "接入时比采集站慢 {behind_ms} 秒，不确定度 {uncertainty_ms} 秒",
            ),
        ),
        "recorder-clock-drifts": (
            Words(
                "{least_a_day_ms} to {most_a_day_ms} seconds a day since {since}, by {readings} readings",
                "自 {since} 起每日 {least_a_day_ms} 至 {most_a_day_ms} 秒，依据 {readings} 次比对",
            ),
        ),
        "recorder-clock-jumped": (
            Words(
                "{offset_ms} seconds off the station's when it was connected, and {before_least_ms} to "
                "{before_most_ms} at {since}",
                "接入时与采集站相差 {offset_ms} 秒，而在 {since} 时相差 {before_least_ms} 至 {before_most_ms} 秒",
            ),
        ),
        "recorded-times-differ": (
            Words(
                "the name of {path} says {name}, its content {container}: {by_ms} seconds more",
                "{path} 的文件名为 {name}，内容为 {container}：多 {by_ms} 秒",
            ),
        ),
        "station-clock-stepped/while-running": (
            Words("from {before} to {after}, by {by_ms} seconds", "由 {before} 改为 {after}，相差 {by_ms} 秒"),
        ),
        "station-clock-stepped/while-off": (
            Words(
                "while the station was off: its newest entry says {before}, and its clock then showed {after}",
                "采集站停机期间：最新条目为 {before}，其后时钟显示 {after}",
            ),
        ),
    }
)
"""What the details say; of a kind that has several reasons, each by `why`."""

_ONE: Final[Mapping[str, tuple[Words, ...]]] = MappingProxyType(
    {
        "counter-skips": (
            Words(
                "this station knows no file with the number {first}, between {before} and {after}",
                "本站未见编号 {first} 的文件，位于 {before} 与 {after} 之间",
            ),
            Words(
                "this station knows no file with the number {first}, before {after}",
                "本站未见编号 {first} 的文件，位于 {after} 之前",
            ),
        ),
    }
)
"""What is said instead where `first` and `last` are the same number."""


def meaning(body: bodies.Anomaly) -> Words | None:
    """Say what an anomaly means; None for a kind that this version does not know."""
    name = NAMES.get(body.kind)
    if name is None:
        return None
    why = body.detail.get("why")
    first = _number(body.detail.get("first"))
    one = _ONE.get(body.kind, ()) if first is not None and first == _number(body.detail.get("last")) else ()
    known = _TOLD.get(body.kind) or _TOLD.get(f"{body.kind}/{why}") or ()
    for told in (*one, *known):
        en, zh = _filled(told.en, body), _filled(told.zh, body)
        if en is not None and zh is not None:
            more = body.detail.get("more")
            rest = _number(more)
            also = Words("", "") if rest is None else Words(f" (and {rest} more such)", f"（另有 {rest} 项）")
            return Words(f"{name.en}: {en}{also.en}", f"{name.zh}：{zh}{also.zh}")
    return name


def _filled(text: str, body: bodies.Anomaly) -> str | None:
    """Fill in what the detail says; None where it does not say it."""
    values = {}
    for key in _KEY.findall(text):
        value = _offset(body, key) if key in _OFFSETS else body.detail.get(key)
        number = _number(value)
        if number is not None:
            values[key] = _seconds(number) if key.endswith("_ms") else str(number)
        elif isinstance(value, str):
            values[key] = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
        else:
            return None
    return _KEY.sub(lambda match: values[match[1]], text)


def _offset(body: bodies.Anomaly, key: str) -> int | None:
    """Give what the detail's `offset_ms` is without its sign, for the one of the two keys that its sign speaks of."""
    offset = _number(body.detail.get("offset_ms"))
    return None if offset is None or (offset < 0) != (key == "behind_ms") else abs(offset)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _seconds(ms: int) -> str:
    whole, rest = divmod(abs(ms), 1_000)
    return f"{'-' if ms < 0 else ''}{whole}.{rest:03}"
