"""Reading the source a second time, past the page cache: a dying card gives different bytes at each read.

One reading cannot tell; two that agree are no proof either, but two that differ are one. Which files are read again
is the station's configuration: none, a sample of the chunks of each file, or all of each.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Final, Literal, TypeAlias

from edged.errors import StoppedError
from edged.evidence.digests import CHUNK_BYTES, Digester, Digests
from edged.evidence.ids import Sha256
from edged.offload.reading import Range, read_at
from edged.offload.ring import BUFFER_BYTES

Second: TypeAlias = Literal["off", "sampled", "full"]

_SAMPLE: Final = 8
"""Chunks of a file, its first and its last among them: at 8 MiB each at most 64 MiB a file."""


@dataclass(frozen=True, kw_only=True)
class Different:
    """Two readings of one file that do not agree."""

    second_sha256: Sha256 | None
    """Of the whole file at the second reading; None when it could not be read to its end."""
    ranges: tuple[Range, ...]
    """Of bytes, a chunk each, in which they differ; whole chunks, not the bytes themselves."""


def bytes_again(size_bytes: int, how: Second) -> int:
    """Give how much of a file is read a second time."""
    match how:
        case "off":
            return 0
        case "sampled":
            return min(size_bytes, _SAMPLE * CHUNK_BYTES)
        case "full":
            return size_bytes


def read_again(  # noqa: PLR0913 - two readings, and how the second is made
    fd: int,
    first: Digests,
    how: Second,
    *,
    forget: Callable[[], None],
    stop: Event,
    chance: random.Random,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Different | None:
    """Read an open file of a card a second time and say whether it gives what it gave `first`.

    `forget` drops what the kernel remembers of the card; `on_bytes` is told the size of every buffer read. A sample
    that differs has the whole file read. Bytes that cannot be read now are different. Raises StoppedError.
    """
    reading = _Reading(fd, stop, on_bytes)
    if how == "off" or not first.parts:
        return None
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    forget()
    every = range(len(first.parts))
    differ: set[int] = set()
    if how == "sampled":
        inner = every[1:-1]
        chosen = {0, every[-1], *chance.sample(inner, min(len(inner), _SAMPLE - 2))}
        differ = {at for at in chosen if reading.chunk(at) != first.parts[at]}
        if not differ:
            return None
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        forget()
    whole = Digester()
    second = [reading.chunk(at, whole) for at in every]
    differ |= {at for at in every if second[at] != first.parts[at]}
    found = whole.finish()
    if not differ and found.sha256 == first.sha256:
        return None
    ranges = ((at * CHUNK_BYTES, min((at + 1) * CHUNK_BYTES, first.size_bytes)) for at in sorted(differ))
    return Different(second_sha256=None if None in second else found.sha256, ranges=tuple(ranges))


class _Reading:
    """The second reading of one file."""

    def __init__(self, fd: int, stop: Event, on_bytes: Callable[[int], None]) -> None:
        self._fd = fd
        self._stop = stop
        self._on_bytes = on_bytes

    def chunk(self, at: int, whole: Digester | None = None) -> bytes | None:
        """Digest one chunk; None if it cannot be read."""
        digester = Digester()
        with memoryview(bytearray(BUFFER_BYTES)) as buffer:
            for offset in range(at * CHUNK_BYTES, (at + 1) * CHUNK_BYTES, BUFFER_BYTES):
                if self._stop.is_set():
                    raise StoppedError("The second reading of a file was stopped.")
                try:
                    got = read_at(self._fd, buffer, offset)
                except OSError:
                    return None
                self._on_bytes(got)
                digester.update(buffer[:got])
                if whole is not None:
                    whole.update(buffer[:got])
                if got < BUFFER_BYTES:
                    break
        parts = digester.finish().parts
        return parts[0] if parts else None
