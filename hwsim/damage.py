"""What happens to files on a recorder: a battery taken out while recording, cells that lost their bits."""

import random
from enum import Enum
from typing import assert_never

from edged.errors import MalformedError

_BOX_HEADER = 8
_WIDE_BOX_HEADER = 16


class Damage(Enum):
    """How a file differs from the one that the recorder meant to write."""

    TRUNCATED = "truncated"
    """Power was lost while recording: an MP4 that ends before its index (`moov`) was written."""

    CORRUPTED = "corrupted"
    """Runs of its bytes are garbage; its length is right."""


def damaged(data: bytes, damage: Damage, seed: int) -> bytes:
    """Give `data` with the damage done, the same for the same seed.

    Raises MalformedError if a file is to be truncated that has no index at its end.
    """
    match damage:
        case Damage.TRUNCATED:
            return _before_index(data)
        case Damage.CORRUPTED:
            return _garbled(data, random.Random(seed))
        case _:
            assert_never(damage)


def _before_index(data: bytes) -> bytes:
    boxes = mp4_boxes(data)
    names = [name for name, _, _ in boxes]
    if b"moov" not in names or b"mdat" not in names or names.index(b"moov") < names.index(b"mdat"):
        raise MalformedError("only an MP4 file whose index follows its media can lose it by truncation")
    start, end = next((start, end) for name, start, end in boxes if name == b"mdat")
    return data[: start + (end - start) * 2 // 3]


def _garbled(data: bytes, rng: random.Random) -> bytes:
    result = bytearray(data)
    # A flash page is 2 to 16 KiB; the first ones, which hold a file's header, are hit as well.
    for at in [0, *(rng.randrange(len(data)) for _ in range(5))] if data else []:
        run = min(4096, len(data) - at)
        result[at : at + run] = rng.randbytes(run)
    return bytes(result)


def mp4_boxes(data: bytes) -> list[tuple[bytes, int, int]]:
    """List the top boxes of an MP4 or MOV file: name, start and end in bytes (ISO/IEC 14496-12, 4.2).

    A last box that the file cuts short ends where it says it would. Raises MalformedError if a size is
    impossible.
    """
    boxes = []
    at = 0
    while at + _BOX_HEADER <= len(data):
        size, header = int.from_bytes(data[at : at + 4]), _BOX_HEADER
        if size == 1:
            size, header = int.from_bytes(data[at + 8 : at + 16]), _WIDE_BOX_HEADER
        elif size == 0:
            size = len(data) - at
        if size < header:
            raise MalformedError(f"the box at byte {at} says it is {size} bytes long")
        boxes.append((data[at + 4 : at + 8], at, at + size))
        at += size
    return boxes
