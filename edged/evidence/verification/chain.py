"""The check `chain`: the recorder's own numbering joins its segments, so that none was taken out between them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from edged.evidence import bodies
from edged.evidence.ids import EntryRef
from edged.evidence.verification.report import Check, failed, not_established, together, verified
from edged.evidence.verification.sealed import Sealed

Link = tuple[EntryRef, bodies.Segment, Sealed]


def check_chain(sealed: Sequence[Sealed]) -> Check:
    """Follow `recorder_seq` and `recorder_prev` through every segment entry here, sealed or merely listed."""
    links: dict[EntryRef, Link] = {
        each.ref: (each.ref, each.segment, each) for each in sealed if each.ref and each.segment
    }
    return together(
        _broken(links),
        verified(
            f"{len(links)} segment entries follow each other without a break, from each recorder's first.",
            f"{len(links)} 个片段条目自各记录仪首个片段起首尾相接，无中断。",
        ),
    )


def _broken(links: Mapping[EntryRef, Link]) -> Iterator[Check]:
    def of_recorder(link: Link) -> tuple[str, str]:
        entry = link[2].entry
        return (entry.station if entry else "", link[1].recorder)

    for (station, recorder), group in groupby(sorted(links.values(), key=of_recorder), key=of_recorder):
        whose = f"{recorder} ({station})"
        numbers: dict[int, EntryRef] = {}
        for ref, segment, _ in sorted(group, key=lambda link: link[1].recorder_seq):
            number = segment.recorder_seq
            if number in numbers:
                yield failed(f"{whose} has two segments numbered {number}.", f"{whose} 有两个片段编号均为 {number}。")
            numbers[number] = ref
            yield from _of_link(segment, whose, numbers, links)


def _of_link(
    segment: bodies.Segment, whose: str, numbers: Mapping[int, EntryRef], links: Mapping[EntryRef, Link]
) -> Iterator[Check]:
    """Check that a segment's `recorder_prev` is the recorder's segment of the number before."""
    number, before = segment.recorder_seq, segment.recorder_prev
    if number == 1:
        if before is not None:
            yield failed(f"{whose} has a segment before its first.", f"{whose} 在首个片段之前还有片段。")
    elif (
        before is None
        or before != numbers.get(number - 1, before)
        # With no such number here, any segment entry that is here is another number's, or another recorder's.
        or (number - 1 not in numbers and before in links)
    ):
        yield failed(
            f"Segment {number} of {whose} does not follow number {number - 1}.",
            f"{whose} 的第 {number} 个片段并非接在第 {number - 1} 个之后。",
        )
    elif before not in links:
        yield not_established(
            f"Segment {number - 1} of {whose} is not here: what came before segment {number} is not shown.",
            f"{whose} 的第 {number - 1} 个片段不在此处，第 {number} 个之前的情况无从证明。",
        )
