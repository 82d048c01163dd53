"""Originals on their way into the vault, and what is left of one whose copying was interrupted.

    incoming/RANDOM.part      a file being copied: what a recorder gave so far; removed at the next start, unless there
                              is a note of it,
    incoming/RANDOM.parked    which 8 MiB chunks of it are durable: a line saying what it is of, then one SHA-256 a
                              line, each written after its chunk was synced
    incoming/RANDOM.unsealed  an original that has its name, and no entry yet (`unsealed`)

Nothing here is evidence yet, and no entry speaks of it. But a parked part may be all there is of footage whose
recorder never comes back, so it is only ever removed when all of it, or better, was sealed.
"""

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Final, Self

from edged.clock import random_hex
from edged.errors import StoppedError, StorageError
from edged.evidence.digests import CHUNK_BYTES, Digester, Digests
from edged.evidence.ids import RecorderId
from edged.vault.disk import Disk

_log = logging.getLogger(__name__)

INCOMING: Final = "incoming"
"""Name of the folder in the vault."""
_LARGE_BYTES: Final = 1 << 20
"""From this length on a file is written past the page cache."""
_NOTE_CHUNKS: Final = 32
"""After so many chunks the part and its note are made durable: what a power cut can take of the work."""
_HEAD: Final = re.compile(r"edged-parked-1 ([A-Za-z0-9_][A-Za-z0-9._-]{0,63}) (\d+) (-?\d+) (.+)")
_DIGEST: Final = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which file of which recorder is copied, as the card lists it."""

    recorder: RecorderId
    path: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, kw_only=True)
class Parked:
    """An interrupted copy."""

    of: Source
    parts: tuple[bytes, ...]
    """Raw digests of the chunks, from the first, that were durable."""
    part: Path
    note: Path
    note_bytes: int
    """Of the note, up to the end of its last whole line."""

    @property
    def size_bytes(self) -> int:
        """Give the length of what is durable."""
        return len(self.parts) * CHUNK_BYTES

    @property
    def files(self) -> tuple[Path, ...]:
        """Give what is to be removed when all of it, or better, was sealed, in this order."""
        return (self.note, self.part)


class Original:
    """A file being copied: written at offsets, in order; ends in `rename`, or is parked, or discarded."""

    def __init__(self, disk: Disk, of: Source, part: Path, *, note: Path | None, parked: Parked | None = None) -> None:
        """Begin at `part`, which must not exist, or go on with what was `parked` there."""
        self._disk = disk
        self.of = of
        self.temporary = part
        self._note = note
        self._noted = 0 if parked is None else len(parked.parts)
        self._settled = False
        self._fd: int | None
        if parked is not None:
            self._fd = disk.open_large(part, of.size_bytes)
            return
        large = of.size_bytes >= _LARGE_BYTES
        self._fd = disk.create_large(part, of.size_bytes) if large else disk.create(part)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def write(self, buffer: memoryview, offset: int) -> None:
        """Write a buffer of the ring."""
        self._disk.write_at(self._open(), buffer, offset, self.temporary)

    def note(self, parts: Sequence[bytes], written_bytes: int, *, now: bool = False) -> None:
        """Make what was copied so far durable, if it is worth it: `parts` digested and `written_bytes` written."""
        durable = min(len(parts), written_bytes // CHUNK_BYTES)
        if self._note is None or durable - self._noted < (1 if now else _NOTE_CHUNKS):
            return
        self._disk.sync(self._open(), self.temporary)
        if self._noted == 0:
            head = f"edged-parked-1 {self.of.recorder} {self.of.size_bytes} {self.of.modified_ns} {self.of.path}\n"
            self._append(self._disk.create(self._note), head.encode())
            self._disk.sync_folder(self._note.parent)
        lines = b"".join(part.hex().encode() + b"\n" for part in parts[self._noted : durable])
        self._append(self._disk.open_to_append(self._note), lines)
        self._noted = durable

    def park(self, parts: Sequence[bytes], written_bytes: int) -> None:
        """Leave what is whole of it for another docking; what is not worth that is discarded."""
        self.note(parts, written_bytes, now=True)
        if not self._noted:
            self.discard()
            return
        fd, self._fd = self._open(), None
        self._disk.cut(fd, self._noted * CHUNK_BYTES, self.temporary)
        os.close(fd)

    def settle(self, size_bytes: int) -> None:
        """Make the content durable and read-only under its temporary name; the length must be `size_bytes`."""
        fd = self._open()
        if (found := os.fstat(fd).st_size) >= size_bytes:
            # Also what room was taken behind the end of a file that turned out to be shorter.
            self._disk.cut(fd, size_bytes, self.temporary)
        else:
            raise StorageError(f"{self.temporary} has {found} bytes where {size_bytes} were meant.")
        os.fchmod(fd, 0o440)
        self._disk.sync(fd, self.temporary)
        os.close(fd)
        self._fd = None
        self._settled = True

    def rename(self, target: Path) -> None:
        """Give the settled file its final name; durable once the folder of `target` is synced."""
        if not self._settled:
            raise StorageError(f"{self.temporary} is not settled and gets no name.")
        self._disk.rename(self.temporary, target)
        self._settled = False
        if self._note is not None and self._noted:
            self._disk.remove(self._note)
            self._noted = 0

    def leave(self) -> None:
        """Let go of it: what was noted stays parked, whatever happened; anything else is removed."""
        if not self._noted:
            self.discard()
            return
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._settled = None, False

    def discard(self) -> None:
        """Remove what is still under the temporary name; nothing, once renamed or parked."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        elif not self._settled:
            return
        self._settled = False
        self._disk.remove(self.temporary)
        if self._note is not None and self._noted:
            self._disk.remove(self._note)

    def _append(self, fd: int, data: bytes) -> None:
        if self._note is None:
            raise StorageError(f"{self.temporary} is not to be parked.")
        try:
            self._disk.write(fd, memoryview(data), self._note)
            self._disk.sync(fd, self._note)
        finally:
            os.close(fd)

    def _open(self) -> int:
        if self._fd is None:
            raise StorageError(f"{self.temporary} is finished and is not written again.")
        return self._fd


class Incoming:
    """The folder of originals that are not sealed yet."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        disk.make_folders(folder)

    def clear(self) -> None:
        """Remove what an interrupted run left and nothing can go on with; parked parts and the unsealed stay."""
        kept = set(self._folder.glob("*.unsealed"))
        for note in self._notes():
            part = note.with_suffix(".part")
            try:
                kept |= {note, part} if _read(part, note) else set()
            except StorageError as error:
                # It may be all there is; that it cannot be read just now does not make it worthless.
                _log.warning("%s", error.message)
                kept |= {note, part}
        for left in self._folder.iterdir():
            if left not in kept:
                self._disk.remove(left)

    def temporary(self) -> Path:
        """Give a free name."""
        return self._folder / f"{random_hex(16)}.part"

    def begin(self, of: Source, *, to_park: bool = True) -> Original:
        """Begin to copy a file; what is parked of it stays beside it. Not `to_park`: an interruption leaves nothing."""
        part = self.temporary()
        noted = to_park and of.size_bytes > CHUNK_BYTES
        return Original(self._disk, of, part, note=part.with_suffix(".parked") if noted else None)

    def go_on(self, parked: Parked) -> Original:
        """Go on with what was parked; a last line of its note that a power cut tore is taken off."""
        fd = self._disk.open_to_append(parked.note)
        try:
            self._disk.cut(fd, parked.note_bytes, parked.note)
        finally:
            os.close(fd)
        return Original(self._disk, parked.of, parked.part, note=parked.note, parked=parked)

    def parked(self, recorder: RecorderId | None = None) -> list[Parked]:
        """Give all that is parked, or what is of one recorder; a note that the disk does not give is left alone."""
        found = []
        for note in self._notes():
            try:
                parked = _read(note.with_suffix(".part"), note)
            except StorageError as error:
                _log.error("%s", error.message)
                continue
            if parked is not None and recorder in {None, parked.of.recorder}:
                found.append(parked)
        return found

    def _notes(self) -> list[Path]:
        return sorted(self._folder.glob("*.parked"))


def digest_parked(parked: Parked, *, stop: Event) -> Digests:
    """Digest what is there of a parked part, as the disk gives it, up to the end of its last durable chunk."""
    digester = Digester()
    try:
        with parked.part.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            left = parked.size_bytes
            while left and not stop.is_set() and (block := file.read(min(left, 1 << 20))):
                digester.update(block)
                left -= len(block)
        if stop.is_set():
            raise StoppedError("The reading of an interrupted copy was stopped.")
    except OSError as error:
        raise StorageError(f"{parked.part} cannot be read: {error.strerror}.") from error
    return digester.finish()


def _read(part: Path, note: Path) -> Parked | None:
    """Read the note of a part; a last line that a power cut tore is left out."""
    try:
        head, *lines = note.read_bytes().split(b"\n")[:-1]
        said = _HEAD.fullmatch(head.decode())
        size_bytes = part.stat().st_size
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise StorageError(f"{note} cannot be read: {error.strerror}.") from error
    if said is None:
        return None
    whole = list(takewhile(_DIGEST.fullmatch, lines))[: size_bytes // CHUNK_BYTES]
    parts = tuple(bytes.fromhex(line.decode()) for line in whole)
    of = Source(recorder=RecorderId(said[1]), size_bytes=int(said[2]), modified_ns=int(said[3]), path=said[4])
    note_bytes = len(head) + 1 + 65 * len(parts)
    return Parked(of=of, parts=parts, part=part, note=note, note_bytes=note_bytes) if parts else None
