"""The digests of a segment in one pass: SHA-256 of the whole and of every 8 MiB (EVIDENCE.md, section 1).

The chunk list says where a file was altered, lets a part of it be checked alone, and predicts the composite
checksum that an S3 store computes for a multipart upload in parts of 8 MiB. SM3 of the whole (GB/T 32905) is a third
digest, for whoever asks for it: OpenSSL computes it, and there are builds of OpenSSL that cannot.
"""

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from edged.errors import MalformedError
from edged.evidence.ids import Sha256, Sm3
from edged.evidence.text import to_base64

CHUNK_BYTES: Final = 8_388_608
"""Length of a chunk, and of a part of every upload; only the last may be shorter."""

_WORTH_A_THREAD: Final = 65_536
"""Shorter buffers are digested faster than they are handed over."""

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, kw_only=True)
class Digests:
    """What one pass over a file found."""

    size_bytes: int
    """Length of the file."""

    sha256: Sha256
    """Digest of the whole file."""

    parts: tuple[bytes, ...]
    """Raw digest of each chunk; none for an empty file."""

    sm3: Sm3 | None = None
    """SM3 of the whole file; None where nobody asked for it."""

    @property
    def chunk_list(self) -> bytes:
        """The bytes of `chunks.sha256`: one lower-case hex digest a line, each ended by LF."""
        return b"".join(part.hex().encode("ascii") + b"\n" for part in self.parts)

    @property
    def chunks_sha256(self) -> Sha256:
        """The digest of the chunk list."""
        return sha256_hex(self.chunk_list)

    @property
    def chunk_count(self) -> int:
        """The number of chunks, 0 for an empty file."""
        return len(self.parts)

    @property
    def part_digests(self) -> tuple[bytes, ...]:
        """The raw digests of the parts of an upload: as `parts`, but an empty file is one empty part."""
        return self.parts or (hashlib.sha256(b"").digest(),)

    @property
    def composite(self) -> str:
        """The S3 composite checksum that a multipart upload in parts of 8 MiB must get."""
        return composite_of(self.part_digests)


class Digester:
    """Computes the digests of a file that is fed to it once, in buffers of any length.

    With `helper`, each digest of the whole runs on one of its threads while the chunks are digested on the
    caller's; hashlib releases the interpreter lock for buffers of this size. A buffer may be reused as soon
    as `update` returns. `sm3` asks for that digest as well, where `has_sm3` says that there is one.
    """

    def __init__(self, *, helper: Executor | None = None, sm3: bool = False) -> None:
        self._helper = helper
        self._whole = hashlib.sha256()
        self._sm3 = hashlib.new("sm3") if sm3 else None
        self._chunk = hashlib.sha256()
        self._in_chunk_bytes = 0
        self._size_bytes = 0
        self._parts: list[bytes] = []

    def update(self, buffer: Buffer) -> None:
        """Take in the next bytes of the file."""
        view = memoryview(buffer).cast("B")
        wholes = self.wholes
        if self._helper is None or len(view) < _WORTH_A_THREAD:
            for whole in wholes:
                whole(view)
            self.update_chunks(view)
        else:
            running = [self._helper.submit(whole, view) for whole in wholes]
            self.update_chunks(view)
            for each in running:
                each.result()

    @property
    def wholes(self) -> list[Callable[[memoryview], None]]:
        """What takes in the next bytes for each digest of the whole: for whoever runs these beside `update_chunks`."""
        return [self._whole.update] if self._sm3 is None else [self._whole.update, self._sm3.update]

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The raw digests of the chunks that are complete by now."""
        return tuple(self._parts)

    def finish(self) -> Digests:
        """Give what was found; bytes may still be added afterwards, and the digester asked again."""
        parts = [*self._parts, self._chunk.digest()] if self._in_chunk_bytes else self._parts
        return Digests(
            size_bytes=self._size_bytes,
            sha256=Sha256(self._whole.hexdigest()),
            parts=tuple(parts),
            sm3=None if self._sm3 is None else Sm3(self._sm3.hexdigest()),
        )

    def update_chunks(self, view: memoryview) -> None:
        """Take in the next bytes for the chunk list alone; `wholes` need the same bytes."""
        self._size_bytes += len(view)
        while len(view):
            piece = view[: CHUNK_BYTES - self._in_chunk_bytes]
            self._chunk.update(piece)
            self._in_chunk_bytes += len(piece)
            if self._in_chunk_bytes == CHUNK_BYTES:
                self._parts.append(self._chunk.digest())
                self._chunk = hashlib.sha256()
                self._in_chunk_bytes = 0
            view = view[len(piece) :]


def has_sm3() -> bool:
    """Say whether this machine's OpenSSL can compute SM3."""
    try:
        hashlib.new("sm3")
    except ValueError:
        return False
    return True


def sha256_hex(data: Buffer) -> Sha256:
    """Give the SHA-256 of `data` in lower-case hex."""
    return Sha256(hashlib.sha256(data).hexdigest())


def composite_of(part_digests: tuple[bytes, ...]) -> str:
    """Predict the S3 composite checksum: base64 of SHA-256 over the raw part digests, `-`, number of parts."""
    return f"{to_base64(hashlib.sha256(b''.join(part_digests)).digest())}-{len(part_digests)}"


def parse_chunk_list(data: bytes) -> tuple[bytes, ...]:
    """Read the bytes of `chunks.sha256` back into raw digests."""
    if re.fullmatch(rb"(?:[0-9a-f]{64}\n)*", data) is None:
        raise MalformedError("the chunk list is not one SHA-256 in lower-case hex a line")
    return tuple(bytes.fromhex(line.decode("ascii")) for line in data.split())
