"""Why files were left on a recorder, and what was out of order, for its receipt: in words, with what to do next.

The ledger says what became of each file, and what was noted; how the station is set to erase is as it is set now.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edged.book import Book
from edged.book.facts import DockingRow
from edged.config import StationConfig
from edged.evidence import bodies
from edged.evidence.entry import parse
from edged.evidence.verification.anomalies import NAMES
from edged.evidence.verification.words import Words

_NOTHING: Final = Words("Nothing has to be done.", "无需处理。")
_AGAIN: Final = Words(
    "Dock it again; if it stays so, keep the card with the case.", "请重新接入；若仍如此，请将存储卡随案保存。"
)
_READ_ONLY: Final = Words(
    "The card does not let files be erased. Have the recorder check or format it once its files are sealed.",
    "存储卡不允许清除文件。文件固证后，请由记录仪检查或格式化。",
)
_NOT_PROVEN: Final = Words(
    "They are not proven safe yet, or not any more, or not what was sealed. Dock it again.",
    "尚未证明其安全，或证明已失效，或与固证内容不符。请重新接入。",
)


@dataclass(frozen=True, kw_only=True)
class NotedKind:
    """What was out of order at a docking, of one kind."""

    kind: str
    count: int
    words: Words

    def plain(self) -> dict[str, object]:
        """Give it as plain values."""
        return {"kind": self.kind, "count": self.count, "en": self.words.en, "zh": self.words.zh}


def noted_kinds(book: Book, docking: DockingRow) -> tuple[NotedKind, ...]:
    """Count the anomalies of a docking by their kinds, in the order in which they came up."""
    found = Counter(
        entry.body.kind
        for entry in map(parse, book.facts.anomalies_of_docking(docking.docking))
        if isinstance(entry.body, bodies.Anomaly)
    )
    return tuple(
        NotedKind(kind=kind, count=count, words=NAMES.get(kind, Words(kind, kind))) for kind, count in found.items()
    )


def why_left(
    book: Book, docking: DockingRow, noted: tuple[NotedKind, ...], config: StationConfig, *, not_taken: int
) -> tuple[Words, ...]:
    """Say why files were left on a recorder whose docking is over; `not_taken` of them are not sealed."""
    if not docking.remaining or docking.outcome == "interrupted":
        return ()
    if docking.outcome == "cleared":
        return (Words("They are the recorder's own, and it needs them.", "均为记录仪自身所需文件。"),)
    count = Counter({each.kind: each.count for each in noted})
    found = [*_of_card(book, docking, count, not_taken)]
    found += _of_rule(docking, config, trouble=bool(found))
    return tuple(found) or (_NOT_PROVEN,)


def _of_card(book: Book, docking: DockingRow, count: Counter[str], not_taken: int) -> Iterator[Words]:
    if distrusted := book.facts.distrusted_in(docking.docking):
        yield (
            Words(
                f"In quarantine: {distrusted}. The card did not give all of it, or not the same as before; what it "
                "gave is kept, and nothing on the card is erased.",
                f"隔离 {distrusted} 个：存储卡未能全部读出，或前后读出不一致；已读出的予以保留，卡上不作任何清除。",
            )
            + _AGAIN
        )
    if not_taken or count["not-listed"]:
        yield (
            Words(
                f"Could not be read: {not_taken or 'a folder'}. Nothing is erased while the card alone holds it.",
                f"无法读取{f' {not_taken} 个' if not_taken else '某个目录'}：内容仅存于卡上时不作任何清除。",
            )
            + _AGAIN
        )
    if count["not-writable"] or count["not-erased"]:
        yield _READ_ONLY
    if changed := count["changed-before-wipe"] + count["unreadable-before-wipe"]:
        yield Words(
            f"Another file than was sealed, or not to be read again: {changed}. Dock it again: it is sealed anew.",
            f"与固证内容不符或无法复读：{changed} 个。请重新接入，将重新固证。",
        )


def _of_rule(docking: DockingRow, config: StationConfig, *, trouble: bool) -> Iterator[Words]:
    done = Words("", "") if trouble else _NOTHING
    if docking.handed_in:
        yield Words("They were handed in, and nothing is erased there.", "文件系移交所得，不清除其来源。") + done
    elif config.bays.wipe == "never":
        yield Words("The station is set never to erase recorders.", "本站设置为从不清除记录仪。") + done
    elif config.store is None:
        yield Words("Without central storage the station erases nothing.", "未配置中心存储，本站不作清除。") + done
    elif config.bays.wipe_delay and not trouble:
        days = config.bays.wipe_delay.days
        yield Words(
            f"The station is set to erase files when they were sealed {days} days ago. Dock it again then.",
            f"本站设置为固证满 {days} 天后清除。届时请重新接入。",
        )
