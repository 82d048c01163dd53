"""The check `bytes`: the original is, byte for byte, the file that was sealed; if not, where it differs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from edged.clock import from_rfc3339
from edged.errors import MalformedError
from edged.evidence.bodies import Segment
from edged.evidence.digests import CHUNK_BYTES, Digests, parse_chunk_list, sha256_hex
from edged.evidence.ids import bundle_name
from edged.evidence.verification.report import Check, Damage, not_established, verified
from edged.evidence.verification.words import Words

MAX_CHUNK_LIST_BYTES: Final = 16 << 20
"""The chunk list of a file of two terabytes."""

NAMED_PLACES: Final = 3
"""How many damaged chunks the detail of the check names; the report lists them all."""


_NO_SM3: Final = not_established(
    "Length, SHA-256, chunks and name are as sealed; SM3 was not checked, because the OpenSSL here does not have it.",
    "长度、SHA-256、分块及文件名与固证时一致；本机 OpenSSL 不支持 SM3，未核验 SM3 摘要。",
)


@dataclass(frozen=True, kw_only=True)
class Original:
    """What lies in a segment's folder besides its entry and proof."""

    name: str
    digests: Digests
    chunk_list: bytes | None
    """The bytes of `chunks.sha256`, None where it is not here or overlong."""


def check_bytes(original: Original | None, sealed: Segment | None) -> tuple[Check, tuple[Damage, ...]]:
    """Compare an original with its entry: length, digests of the whole and of its chunks, name."""
    if original is None:
        return not_established("The file is not here.", "文件不在此处。"), ()
    if sealed is None:
        return (
            not_established("There is no readable entry to compare the file with.", "没有可读的条目可供比对。"),
            (),
        )
    objections = list(_objections(original, sealed))
    if not objections and sealed.sm3 is not None and original.digests.sm3 is None:
        return _NO_SM3, ()
    damage = tuple(_damage(original, sealed)) if _content_differs(original.digests, sealed) else ()
    if not objections:
        return (
            verified(
                f"All {sealed.bytes} bytes are as sealed: length, SHA-256, {sealed.chunks.count} chunks and name.",
                f"全部 {sealed.bytes} 字节与固证时一致：长度、SHA-256、{sealed.chunks.count} 个分块及文件名。",
            ),
            (),
        )
    detail = Words("", "")
    for words in [*objections, *(where(each) for each in damage[:NAMED_PLACES])]:
        detail = detail + words
    if len(damage) > NAMED_PLACES:
        detail = detail + Words(f"({len(damage)} damaged chunks in all.)", f"（共 {len(damage)} 个分块受损。）")
    return Check("failed", detail), damage


def _objections(original: Original, sealed: Segment) -> Iterator[Words]:
    found, chunks = original.digests, sealed.chunks
    expected_name = bundle_name(sealed.path)
    if original.name != expected_name:
        yield Words(
            f"The file is named {original.name} instead of {expected_name}.",
            f"文件名为 {original.name}，应为 {expected_name}。",
        )
    if found.size_bytes != sealed.bytes:
        yield Words(
            f"The file has {found.size_bytes} bytes; {sealed.bytes} were sealed.",
            f"文件长 {found.size_bytes} 字节，固证时为 {sealed.bytes} 字节。",
        )
    if found.sha256 != sealed.sha256:
        yield Words("The file is not the one that was sealed.", "文件内容与固证时不同。")
    elif sealed.sm3 is not None and found.sm3 not in {None, sealed.sm3}:
        yield Words("The sealed SM3 digest is not that of this file.", "固证的 SM3 摘要与此文件不符。")
    elif (found.chunks_sha256, found.chunk_count) != (chunks.sha256, chunks.count):
        yield Words("The sealed chunk list is not that of this file.", "固证的分块清单与此文件不符。")
    if original.chunk_list is not None and sha256_hex(original.chunk_list) != chunks.sha256:
        yield Words("chunks.sha256 is not the sealed chunk list.", "chunks.sha256 不是固证时的分块清单。")


def _content_differs(found: Digests, sealed: Segment) -> bool:
    return (found.size_bytes, found.sha256) != (sealed.bytes, sealed.sha256)


def _damage(original: Original, sealed: Segment) -> Iterator[Damage]:
    """Give the stretches that differ, as far as the sealed chunk list is here to say so."""
    expected = _sealed_parts(original, sealed)
    if expected is None:
        return
    found = original.digests
    for number in range(max(len(expected), found.chunk_count)):
        if number < len(expected) and number < found.chunk_count and expected[number] == found.parts[number]:
            continue
        start = number * CHUNK_BYTES
        end = min(start + CHUNK_BYTES, max(sealed.bytes, found.size_bytes))
        yield Damage(
            chunk=number,
            from_byte=start,
            to_byte=end,
            from_time=time_at(sealed, start),
            to_time=time_at(sealed, end),
        )


def _sealed_parts(original: Original, sealed: Segment) -> Sequence[bytes] | None:
    if original.chunk_list is None or sha256_hex(original.chunk_list) != sealed.chunks.sha256:
        return None
    try:
        return parse_chunk_list(original.chunk_list)
    except MalformedError:
        return None


def time_at(sealed: Segment, byte: int) -> str | None:
    """Give the time of day at a byte, by proportion between the recorder's claimed start and end."""
    start, end = sealed.recorded.start, sealed.recorded.end
    if start is None or end is None or not 0 <= byte <= sealed.bytes or not sealed.bytes:
        return None
    try:
        begun = from_rfc3339(start)
        lasted = from_rfc3339(end) - begun
        # Microseconds as integers: as a timedelta, hours times gigabytes would be more than one can hold.
        moment = begun + timedelta(microseconds=lasted // timedelta(microseconds=1) * byte // sealed.bytes)
    except (ValueError, OverflowError):
        return None
    return moment.isoformat(timespec="milliseconds") if lasted.days >= 0 else None


def where(damage: Damage) -> Words:
    """Say which bytes are damaged, and when they were recorded."""
    en = f"Chunk {damage.chunk}, bytes {damage.from_byte} to {damage.to_byte - 1}, is damaged"
    zh = f"第 {damage.chunk} 分块（第 {damage.from_byte} 至 {damage.to_byte - 1} 字节）受损"
    if damage.from_time and damage.to_time:
        en += f": recorded between {damage.from_time} and {damage.to_time} by the recorder's clock"
        zh += f"，按记录仪时钟录于 {damage.from_time} 至 {damage.to_time}"
    return Words(en + ".", zh + "。")
