"""The one pass over a file on a recorder: copy it and compute its digests, each on a thread of its own.

    reader ─▶ ring of buffers ─▶ SHA-256 of the whole │ chunk list │ (SM3) │ the vault's disk, past the page cache

What is written is what was digested: they share the buffer. The file is made durable afterwards, while the next one
is being read, and the vault's copy is read again from the disk before anything relies on it.

A copy that was interrupted is gone on with only if the card gives the same bytes again: they are all read and digested
once more, and compared chunk by chunk with what is in the vault. So no segment is put together out of two cards.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edged.errors import RecorderError
from edged.evidence.digests import CHUNK_BYTES, Digester, Digests
from edged.offload.reading import CardReader, Range
from edged.offload.ring import Fill, Ring, Take
from edged.vault.incoming import Original


class ChangedError(RecorderError):
    """The card gives other bytes than it gave before the copying was interrupted."""

    retry = False

    def __init__(self, chunk: int) -> None:
        super().__init__(f"The file is not the one that was copied in part before: chunk {chunk} differs.")
        self.chunk = chunk
        """Index of the first chunk that differs, from 0."""


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What one pass found."""

    digests: Digests
    unreadable: tuple[Range, ...]
    """Ranges of bytes that the card would not give; zeros stand in their place."""


def copy(  # noqa: PLR0913 - what a copy is
    source: CardReader,
    draft: Original,
    ring: Ring,
    *,
    on_bytes: Callable[[int], None],
    sm3: bool = False,
    known: Sequence[bytes] = (),
) -> Copied:
    """Copy a file of a recorder into a draft, which is not durable yet; `known` are the chunks that it holds already.

    `on_bytes` is told the size of every buffer read. Raises RecorderError when the recorder leaves, ChangedError when
    a known chunk differs, StorageError or FullError when the vault stops taking bytes, StoppedError on shutdown; what
    is whole of the draft is then parked, and the file is still on the recorder.
    """
    under_way = _Copying(source, draft, known, Digester(sm3=sm3))
    try:
        digests = under_way.run(ring, on_bytes)
    except ChangedError:
        # The old part stays what it was: it is all there is of what the card gave then.
        draft.park((), 0)
        raise
    except BaseException:
        # What a dying card gave with holes in it is read anew.
        draft.park(() if source.unreadable else under_way.digester.parts, under_way.written_bytes)
        raise
    return Copied(digests=digests, unreadable=source.unreadable)


class _Copying:
    """One pass, with what its threads share."""

    def __init__(self, source: CardReader, draft: Original, known: Sequence[bytes], digester: Digester) -> None:
        self._source = source
        self._draft = draft
        self._known = known
        self._there_bytes = len(known) * CHUNK_BYTES
        self.digester = digester
        self.written_bytes = self._there_bytes

    def run(self, ring: Ring, on_bytes: Callable[[int], None]) -> Digests:
        ring.pump(_told(self._source, on_bytes), [self._chunks, self._write, *map(_alone, self.digester.wholes)])
        digests = self.digester.finish()
        if digests.size_bytes < self._there_bytes:
            raise ChangedError(digests.size_bytes // CHUNK_BYTES)
        return digests

    def _chunks(self, view: memoryview, _: int) -> None:
        before = len(self.digester.parts)
        self.digester.update_chunks(view)
        for at, part in enumerate(self.digester.parts[before : len(self._known)], before):
            if part != self._known[at]:
                raise ChangedError(at)

    def _write(self, view: memoryview, offset: int) -> None:
        if offset < self._there_bytes:
            return
        self._draft.write(view, offset)
        self.written_bytes = offset + len(view)
        if self.written_bytes % CHUNK_BYTES == 0 and not self._source.unreadable:
            self._draft.note(self.digester.parts, self.written_bytes)


def digest(source: CardReader, ring: Ring, *, on_bytes: Callable[[int], None]) -> Digests:
    """Digest a file of a recorder without keeping it: what a sighting rests on."""
    digester = Digester()
    ring.pump(_told(source, on_bytes), [_alone(digester.update_chunks), *map(_alone, digester.wholes)])
    return digester.finish()


def _told(source: CardReader, on_bytes: Callable[[int], None]) -> Fill:
    def fill(buffer: memoryview, offset: int) -> int:
        length = source.fill(buffer, offset)
        on_bytes(length)
        return length

    return fill


def _alone(take: Callable[[memoryview], None]) -> Take:
    return lambda view, _: take(view)
