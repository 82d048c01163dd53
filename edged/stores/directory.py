"""Central storage in a folder: a NAS, or a dedicated storage device (EVIDENCE.md, section 9).

    FOLDER/edged-store.json     whose folder this is; without it nothing is read or written
    FOLDER/incoming/            files being written
    FOLDER/KEY                  the newest version of a key, as a plain file under the name that a person expects
    FOLDER/KEY~/1  KEY~/2 …     all versions of a key that has more than one; KEY is the same file as the last of them

A file goes this way, and each step can be the last one before a crash: it is written under a random name, part by
part, each compared with its sealed digest first; made read-only and durable; **read back past the page cache** and
compared with the seal; only then it gets its final name, which no other file ever had. So what stands under a final
name was shown to be there whole.

What a folder cannot promise, and this store does not say:
- Nobody but the kernel guards it. Files are 0440 and belong to the daemon's user, and no code path of edged opens
  one for writing or deletes one; but that user can, and root can. So `lock_mode` is always None, and `locked_until` is
  a note and no lock: until then edged is not to delete the file. It is kept as the file's access time, where storage
  for write-once files expects it, and is gone where something else sets that time.
- Over a network, reading back shows what the server gives, past this machine's memory but not past the server's.
- No server computed a checksum: `Found.checksum` is None.
- That a key never was. A person who deletes all of its files leaves no trace; the ledger knows what was there.
"""

import hashlib
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from edged.clock import from_ms
from edged.errors import EdgedError, StoppedError, StoreError, UnavailableError
from edged.evidence.digests import Digester
from edged.evidence.text import parse_decimal, to_base64
from edged.stores.port import PART_BYTES, DifferentError, Found, MissingError, PartsLog, Stored, Upload
from edged.stores.share import INCOMING, MORE, DirectorySettings, Share, check_key
from edged.stores.share_files import ContinuedDraft, Names, ShareDisk, noted_lock, open_file
from edged.stores.source import Interruption, Source
from edged.vault.reread import ON_DISK, OVER_NETWORK, Reread, reread

__all__ = ["DirectorySettings", "DirectoryStore"]

_PIECE_BYTES: Final = 1_048_576
_SMALL_BYTES: Final = 33_554_432
"""The longest object that `newest` takes. 256 entries of the greatest length, an entry bundle, have half of it."""

_READ_ONLY: Final = 0o440

_INCOMING_NAME: Final = re.compile(r"[0-9a-f]{32}")
"""All that is taken from the parts log as a name."""

_FORGOTTEN_NS: Final = 7 * 86_400 * 10**9
"""A file in `incoming` that was not written for so long is nobody's any more."""

_FAR: Final = from_ms(4_102_444_800_000)
"""The year 2100: longer than any horizon of a lock."""


@dataclass(frozen=True, kw_only=True)
class _Due:
    """What a version must turn out to be, and the caller's word to stop."""

    key: str
    size_bytes: int
    part_digests: tuple[bytes, ...]
    locked_until: datetime | None
    stop: threading.Event


@dataclass(frozen=True, kw_only=True)
class _Held:
    """A version that was shown to be what it must be."""

    version: int
    method: str
    locked_until: datetime | None


class DirectoryStore:
    """A folder as a `Store`."""

    def __init__(self, settings: DirectorySettings, *, disk: ShareDisk | None = None) -> None:
        """Nothing is touched yet."""
        self.id = settings.id
        self._disk = disk or ShareDisk()
        self._share = Share(settings, self._disk)
        self._swept = False

    def close(self) -> None:
        """Nothing is held open between two calls."""

    def set_up(self) -> None:
        """Make the folder that of this store; one that is it already is only checked.

        The folder must exist: only a person can know that it is the right one, and that it is mounted now.
        """
        self._share.set_up()
        self.check()

    def check(self) -> None:
        """Show that the folder is there and this store's, and can do all that storing in it takes.

        It cannot lock, as the other kind of store must; see the top of this module.
        """
        with self._share.opened("take in a file") as root:
            self._share.check_modes(root)
            with ContinuedDraft(self._disk, self._share.temporary(root)) as draft:
                draft.write(b"edged")
                draft.settle(len(b"edged"))
                kept = stat.S_IMODE(draft.temporary.stat().st_mode)
                if kept != _READ_ONLY:
                    raise StoreError(
                        f"{self._share.name} keeps no permissions: a file made read-only has the mode {kept:04o}.",
                        hint="NFS does, and local disks with ext4, xfs or btrfs.",
                    )
                self._note_lock(draft.temporary, _FAR)
                _read_back(draft.temporary, threading.Event())
                final = self._share.temporary(root)
                draft.rename(final)
                self._disk.remove(final)

    def upload(self, upload: Upload, parts: PartsLog, stop: threading.Event) -> Stored:
        """Store a file part by part."""
        check_key(upload.key)
        due = _due(upload, stop)
        try:
            with Source(upload, stop) as source, self._share.opened(f"take in {upload.key}") as root:
                _heed(due)
                held = self._already_there(root, due) or self._write(root, due, source, upload.source, parts)
        except Interruption as interruption:  # the station's own disk, or `stop`: nothing of the store's
            raise interruption.error from None
        parts.forget(upload.key)
        return _stored(held, due, upload.composite, "COMPOSITE")

    def confirm(self, upload: Upload, version: str | None, stop: threading.Event) -> Stored:
        """Read a version back past the page cache."""
        due = _due(upload, stop)
        with self._share.opened(f"show {upload.key}") as root:
            os.close(self._open(root, upload.key, version))
            number = parse_decimal(version or "", "a version")
            path = Names(root, upload.key).path(number)
            found = _read_back(path, stop)
            if found.digests.part_digests != due.part_digests:
                raise DifferentError(
                    f"{self._share.name} gives other bytes for {upload.key} in version {version} than were sealed.",
                    hint="This version counts for nothing. A disk is failing, or somebody else wrote to it.",
                )
            noted = self._note_lock(path, due.locked_until)
        held = _Held(version=number, method=found.method, locked_until=noted)
        return _stored(held, due, upload.composite, "COMPOSITE")

    def put(self, key: str, data: bytes, locked_until: datetime | None = None) -> Stored:
        """Store a small object in one piece, unless it is the newest version of the key already."""
        check_key(key)
        digester = Digester()
        digester.update(data)
        digests = digester.finish()
        due = _Due(
            key=key,
            size_bytes=len(data),
            part_digests=digests.part_digests,
            locked_until=locked_until,
            stop=threading.Event(),
        )
        with self._share.opened(f"take in {key}") as root:
            held = self._already_there(root, due)
            if held is None:
                with ContinuedDraft(self._disk, self._share.temporary(root)) as draft:
                    draft.write(data)
                    held = self._finish(root, due, draft)
        return _stored(held, due, to_base64(bytes.fromhex(digests.sha256)), "FULL_OBJECT")

    def stat(self, key: str, version: str | None) -> Found:
        """Look at a version."""
        with self._share.opened(f"show {key}") as root:
            fd = self._open(root, key, version)
            try:
                held = os.fstat(fd)
            finally:
                os.close(fd)
        return Found(
            key=key,
            version=version,
            size_bytes=held.st_size,
            checksum=None,
            checksum_type=None,
            locked_until=noted_lock(held),
            lock_mode=None,
        )

    def read(self, key: str, version: str | None, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read a version, or a range of it."""
        if length == 0:
            return
        doing = f"give {key} in version {version}"
        with self._share.opened(doing) as root:
            fd = self._open(root, key, version)
        try:
            with self._share.trying(doing):
                size_bytes = os.fstat(fd).st_size
                if start and start >= size_bytes:
                    raise StoreError(f"{key} in store {self.id} has {size_bytes} bytes, and none from {start} on.")
                end = size_bytes if length is None else min(size_bytes, start + length)
                while start < end:
                    piece = os.pread(fd, min(_PIECE_BYTES, end - start), start)
                    if not piece:
                        raise UnavailableError(f"{self._share.name} gave {key} only up to byte {start} of {end}.")
                    start += len(piece)
                    yield piece
        finally:
            os.close(fd)

    def newest(self, key: str) -> bytes | None:
        """Give the newest version of a small object, None when there never was one."""
        check_key(key)
        with self._share.opened(f"give the newest {key}") as root:
            names = Names(root, key)
            try:
                fd = open_file(names.plain)
            except (FileNotFoundError, NotADirectoryError):
                if names.last():
                    raise StoreError(
                        f"{key} was deleted in store {self.id}.",
                        hint=f"Its versions are still there, in {key}{MORE}. Find out who deleted it.",
                    ) from None
                return None
            try:
                data = os.read(fd, _SMALL_BYTES + 1)
            finally:
                os.close(fd)
        if len(data) > _SMALL_BYTES:
            raise StoreError(f"{key} in store {self.id} is far too long for what it should be.")
        return data

    # ------------------------------------------------------------------------------------------- writing

    def _write(self, root: Path, due: _Due, source: Source, origin: Path, parts: PartsLog) -> _Held:
        """Write a file, from where an earlier call left it, and give it its name."""
        draft, done = self._resume(root, due, parts) or (self._begin(root, due, parts), 0)
        buffer = memoryview(bytearray(PART_BYTES))
        try:
            for number, digest in enumerate(due.part_digests[done:], start=done + 1):
                part = source.read(number, buffer)
                if hashlib.sha256(part).digest() != digest:
                    raise _altered(number, origin)
                for at in range(0, len(part), _PIECE_BYTES):
                    _heed(due)
                    draft.write(part[at : at + _PIECE_BYTES])
                parts.done(due.key, number, digest.hex())
            return self._finish(root, due, draft)
        except StoreError:
            draft.discard()
            parts.forget(due.key)
            raise
        finally:
            draft.leave()

    def _begin(self, root: Path, due: _Due, parts: PartsLog) -> ContinuedDraft:
        draft = ContinuedDraft(self._disk, self._share.temporary(root))
        self._sweep(root, draft.temporary.stat().st_mtime_ns)
        parts.begin(due.key, draft.temporary.name)
        return draft

    def _resume(self, root: Path, due: _Due, parts: PartsLog) -> tuple[ContinuedDraft, int] | None:
        """Take up what an earlier call wrote, and say how many of its parts are as sealed.

        They are read for that: what was in flight at a crash may be anything.
        """
        noted = parts.load(due.key)
        if noted is None:
            return None
        name, done = noted
        temporary = root / INCOMING / name
        # A crash in the middle of naming leaves a second name of a version here, and that is not written again.
        if _INCOMING_NAME.fullmatch(name) is None or not temporary.is_file() or temporary.stat().st_nlink > 1:
            parts.forget(due.key)
            return None
        good, fd = 0, open_file(temporary)
        try:
            for number, digest in enumerate(due.part_digests, start=1):
                _heed(due)
                if number not in done or hashlib.sha256(os.pread(fd, PART_BYTES, good * PART_BYTES)).digest() != digest:
                    break
                good = number
        finally:
            os.close(fd)
        size_bytes = min(good * PART_BYTES, due.size_bytes)
        return ContinuedDraft(self._disk, temporary, size_bytes=size_bytes), good

    def _finish(self, root: Path, due: _Due, draft: ContinuedDraft) -> _Held:
        """Make a written file durable, show that it is there, and give it a name that no file ever had."""
        draft.settle(due.size_bytes)
        found = _read_back(draft.temporary, due.stop)
        if found.digests.part_digests != due.part_digests:
            raise StoreError(
                f"{self._share.name} gives back other bytes than were written as {due.key}; it was not stored.",
                hint="A disk, a cable, or the memory of the server is failing. Do not rely on what it holds.",
            )
        noted = self._note_lock(draft.temporary, due.locked_until)
        version = Names(root, due.key).add(draft, self._disk, temporary=self._share.temporary(root))
        return _Held(version=version, method=found.method, locked_until=noted)

    def _sweep(self, root: Path, now_ns: int) -> None:
        """Remove, once a run, what crashes left in `incoming`; `now_ns` is the store's own time."""
        if not self._swept:
            self._swept = True
            for left in (root / INCOMING).iterdir():
                with suppress(FileNotFoundError):
                    if left.stat().st_mtime_ns < now_ns - _FORGOTTEN_NS:
                        self._disk.remove(left)

    # ------------------------------------------------------------------------------------------ versions

    def _already_there(self, root: Path, due: _Due) -> _Held | None:
        """Find these very bytes as the newest version, from a call whose answer was lost or from another station."""
        names = Names(root, due.key)
        number = names.last()
        path = names.version(number) if number else names.plain
        try:
            fd = open_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        held = os.fstat(fd)
        os.close(fd)
        if held.st_size != due.size_bytes:
            return None
        found = _read_back(path, due.stop)
        if found.digests.part_digests != due.part_digests:
            return None
        if number and not (names.plain.exists() and names.plain.samefile(path)):
            self._disk.point(names.plain, path, temporary=self._share.temporary(root))
        noted = self._note_lock(path, due.locked_until)
        return _Held(version=number or 1, method=found.method, locked_until=noted)

    def _open(self, root: Path, key: str, version: str | None) -> int:
        """Open a version for reading; raises MissingError."""
        if version is None:
            raise StoreError(f"Which version of {key} is meant must be said to store {self.id}.")
        try:
            check_key(key)
            return Names(root, key).open(parse_decimal(version, "a version"))
        except (EdgedError, FileNotFoundError, NotADirectoryError) as error:
            raise MissingError(
                f"Store {self.id} is asked for {key} in version {version}, but does not hold it."
            ) from error

    def _note_lock(self, path: Path, until: datetime | None) -> datetime | None:
        """Note a lock, and give what is noted in the end; raises StoreError where that is not late enough."""
        if until is None:
            return noted_lock(path.stat())
        noted = self._disk.note_lock(path, until)
        if noted is None or noted < until:
            raise StoreError(
                f"{self._share.name} cannot note that a file is locked until {until:%Y-%m-%d}: it keeps no such time.",
                hint="xfs needs `bigtime` for times after 2038.",
            )
        return noted


def _due(upload: Upload, stop: threading.Event) -> _Due:
    return _Due(
        key=upload.key,
        size_bytes=upload.size_bytes,
        part_digests=upload.part_digests,
        locked_until=upload.locked_until,
        stop=stop,
    )


def _read_back(path: Path, stop: threading.Event) -> Reread:
    return reread(path, stop=stop, systems=ON_DISK | OVER_NETWORK)


def _altered(number: int, origin: Path) -> StoreError:
    return StoreError(
        f"Part {number} of {origin} is not what was sealed, and was not stored.",
        hint="Run `edged check`: the file in the vault is damaged.",
    )


def _stored(held: _Held, due: _Due, checksum: str, checksum_type: str) -> Stored:
    return Stored(
        key=due.key,
        version=str(held.version),
        checksum=checksum,
        checksum_type=checksum_type,
        verified="read-back",
        method=held.method,
        locked_until=held.locked_until,
        lock_mode=None,
    )


def _heed(due: _Due) -> None:
    if due.stop.is_set():
        raise StoppedError(f"The upload of {due.key} was stopped; it goes on where it stood.")
