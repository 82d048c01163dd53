"""A bundle as one zip: read so strictly that no two programs can see two bundles in it, and written likewise.

Zip says everything twice, in a header before each file and in a directory at the end, and programs differ in
which they believe. So both must agree, files must lie one after another without a gap from the first byte to
the directory, and nothing may be compressed, encrypted or appended (EVIDENCE.md, section 6; the format is
PKWARE's APPNOTE). Anything else is an `UnreadableError`.
"""

import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NoReturn

from edged.errors import UnreadableError
from edged.evidence.verification.layout import holds
from edged.evidence.verification.port import MAX_FILES, BundleFile

_BLOCK_BYTES: Final = 1 << 20
_MAX_DIRECTORY_BYTES: Final = 64 << 20

_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64: Final = struct.Struct("<4sLQL")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")

_UTF_8: Final = 0x0800
_ENCRYPTED: Final = 0x0041
_FULL_16: Final = 0xFFFF
_FULL_32: Final = 0xFFFFFFFF
_ZIP64: Final = 0x0001
_PLAIN_VERSION: Final = 20
_ZIP64_VERSION: Final = 45
_FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_HARMLESS: Final = {_ZIP64: 28, 0x5455: 13, 0x7875: 15}
"""Extra fields that change neither name nor content, with the most bytes that they need: zip64 sizes, Unix times, Unix
owner. In longer ones another directory, or another file, could lie for another program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Member:
    file: BundleFile
    raw_name: bytes
    versions: frozenset[int]
    """Versions needed that the local header may name."""
    told: tuple[int, ...]
    """Flags, method, time, date and CRC, which the local header must repeat."""
    size: int
    header_at: int


class ZipFiles:
    """The files of a bundle that lies in a zip."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error
        self._length = os.fstat(self._descriptor).st_size
        self._at = self._read_directory(self._length)

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def listing(self) -> Sequence[BundleFile]:
        """Give every name below the zip's one top folder."""
        return [file for file, _ in self._at.values()]

    def open(self, path: str) -> Iterator[bytes]:
        """Give the bytes of a file in blocks."""
        file, start = self._at[path]
        for offset in range(0, file.size_bytes, _BLOCK_BYTES):
            yield self._read(start + offset, min(_BLOCK_BYTES, file.size_bytes - offset))

    def _read_directory(self, length: int) -> Mapping[str, tuple[BundleFile, int]]:
        count, size, start = self._find_directory(length)
        if count > MAX_FILES or size > _MAX_DIRECTORY_BYTES:
            self._refuse(f"it lists more than {MAX_FILES} files")
        members = self._members(self._read(start, size), count)
        found: dict[str, tuple[BundleFile, int]] = {}
        expected = 0
        for member in sorted(members, key=lambda member: member.header_at):
            if member.header_at != expected:
                self._refuse("its files overlap, or leave gaps between them")
            data_at = self._check_local(member)
            expected = data_at + member.size
            if member.file.path in found:
                self._refuse("a name occurs twice in it")
            found[member.file.path] = member.file, data_at
        if expected != start:
            self._refuse("its files overlap, or leave gaps between them")
        return self._below_one_top(found)

    def _find_directory(self, length: int) -> tuple[int, int, int]:
        """Give number of files, length and place of the central directory, which must end where the end begins."""
        if length < _END.size:
            self._refuse("it is too short")
        mark, disk, first_disk, here, count, size, start, comment = _END.unpack(
            self._read(length - _END.size, _END.size)
        )
        if mark != b"PK\x05\x06" or comment or disk or first_disk or here != count:
            self._refuse("it does not end as a zip of one part without a comment ends")
        end = length - _END.size
        if count == _FULL_16 or _FULL_32 in (size, start):
            told = (count, _FULL_16), (size, _FULL_32), (start, _FULL_32)
            end -= _LOCATOR_64.size + _END_64.size
            if end < 0:
                self._refuse("it is too short")
            _, _, _, _, disk, first_disk, here, count, size, start = wide = _END_64.unpack(
                self._read(end, _END_64.size)
            )
            locator = _LOCATOR_64.unpack(self._read(end + _END_64.size, _LOCATOR_64.size))
            if wide[:2] != (b"PK\x06\x06", 44) or locator != (b"PK\x06\x07", 0, end, 1):
                self._refuse("its zip64 end is not where it must be")
            if disk or first_disk or here != count:
                self._refuse("it is one of several parts")
            if any(said not in (full, real) for (said, full), real in zip(told, (count, size, start), strict=True)):
                self._refuse("its two end records contradict each other")
        elif end >= _LOCATOR_64.size and self._read(end - _LOCATOR_64.size, 4) == b"PK\x06\x07":
            # Some programs look for a zip64 end there whatever the end record says.
            self._refuse("its zip64 end is not where it must be")
        if start + size != end:
            self._refuse("its directory does not end where the zip ends")
        return count, size, start

    def _members(self, directory: bytes, count: int) -> Iterator[_Member]:
        at = 0
        for _ in range(count):
            if at + _CENTRAL.size > len(directory):
                self._refuse("its directory is cut short")
            header = _CENTRAL.unpack_from(directory, at)
            (
                mark,
                _,
                needed,
                flags,
                method,
                time,
                date,
                crc,
                packed,
                size,
                name,
                extra,
                comment,
                disk,
                _,
                mode,
                start,
            ) = header
            end = at + _CENTRAL.size + name + extra
            if mark != b"PK\x01\x02" or comment or disk or end > len(directory):
                self._refuse("its directory is malformed")
            if flags & _ENCRYPTED:
                self._refuse("it is encrypted; a bundle never is")
            # A place beyond 32 bits makes the directory, and it alone, ask for a program that knows zip64.
            versions = {needed, _PLAIN_VERSION} if (needed, start) == (_ZIP64_VERSION, _FULL_32) else {needed}
            size, packed, start = self._widen(directory[end - extra : end], (size, packed, start))
            if flags & ~_UTF_8 or method or packed != size:
                self._refuse("a file in it is compressed or written as a stream; a bundle is stored as it is")
            raw_name = directory[at + _CENTRAL.size : at + _CENTRAL.size + name]
            path = self._name(raw_name, flags)
            kind = _kind(path, mode >> 16)
            if kind == "folder" and size:
                self._refuse("a folder in it has content")
            yield _Member(
                file=BundleFile(path=path.rstrip("/"), kind=kind, size_bytes=size),
                raw_name=raw_name,
                versions=frozenset(versions),
                told=(flags, method, time, date, crc),
                size=size,
                header_at=start,
            )
            at = end
        if at != len(directory):
            self._refuse("its directory is longer than it says")

    def _check_local(self, member: _Member) -> int:
        """Compare the header before a file with what the directory says of it; give where the bytes begin."""
        header = self._read(member.header_at, _LOCAL.size)
        mark, needed, flags, method, time, date, crc, packed, size, name, extra = _LOCAL.unpack(header)
        tail = self._read(member.header_at + _LOCAL.size, name + extra)
        size, packed = self._widen(tail[name:], (size, packed))
        told = (flags, method, time, date, crc)
        agreed = (member.told, member.size, member.size, member.raw_name) == (told, size, packed, tail[:name])
        if mark != b"PK\x03\x04" or needed not in member.versions or not agreed:
            self._refuse("the header of a file in it contradicts the directory")
        return member.header_at + _LOCAL.size + len(tail)

    def _widen(self, extra: bytes, told: tuple[int, ...]) -> tuple[int, ...]:
        """Give the `told` numbers, each taken from the zip64 extra field where 32 bits were too few for it."""
        wide, seen = b"", set()
        while extra:
            kind, length = struct.unpack_from("<HH", extra) if len(extra) >= 4 else (None, 0)  # noqa: PLR2004
            if kind in seen or length > _HARMLESS.get(kind, -1) or len(extra) < 4 + length:
                self._refuse("a header in it carries what a bundle does not need")
            seen.add(kind)
            if kind == _ZIP64:
                wide = extra[4 : 4 + length]
            extra = extra[4 + length :]
        numbers = []
        for number in told:
            if number != _FULL_32:
                numbers.append(number)
                continue
            if len(wide) < 8:  # noqa: PLR2004 - eight bytes a number
                self._refuse("a size in it is missing")
            numbers.append(int.from_bytes(wide[:8], "little"))
            wide = wide[8:]
        return tuple(numbers)

    def _name(self, raw: bytes, flags: int) -> str:
        try:
            name = raw.decode("utf-8" if flags & _UTF_8 else "ascii")
        except UnicodeDecodeError:
            self._refuse("a name in it is no text")
        parts = name.removesuffix("/").split("/")
        if any(part in ("", ".", "..") for part in parts) or any(mark in name for mark in "\\\x00"):
            self._refuse("a name in it leads out of the bundle")
        return name

    def _below_one_top(self, found: Mapping[str, tuple[BundleFile, int]]) -> dict[str, tuple[BundleFile, int]]:
        """Take the one top folder off every name."""
        below = {}
        for path, (file, start) in found.items():
            rest = path.partition("/")[2]
            if rest:
                below[rest] = BundleFile(path=rest, kind=file.kind, size_bytes=file.size_bytes), start
        paths = sorted(found)
        if any(file.kind != "folder" and holds(paths, path) for path, (file, _) in found.items()):
            self._refuse("a name in it is a file and a folder at once")
        if not below or len({path.partition("/")[0] for path in found}) != 1:
            self._refuse("a bundle's zip holds exactly one folder")
        return below

    def _read(self, offset: int, length: int) -> bytes:
        if offset + length > self._length:
            self._refuse("it is cut short")
        try:
            data = os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise UnreadableError(f"{self._path} cannot be read: {error.strerror}") from error
        if len(data) != length:
            self._refuse("it is cut short")
        return data

    def _refuse(self, why: str) -> NoReturn:
        raise UnreadableError(
            f"{self._path} is no bundle in zip form: {why}.",
            hint="If you unpack it yourself, the folder can be verified all the same.",
        )


def write_zip(folder: Path, out: Path, *, top: str) -> None:
    """Write a bundle's folder as a zip with the one top folder `top`; the same folder gives the same bytes.

    `out` must not exist; the caller names a temporary place and renames.
    """
    with zipfile.ZipFile(out, "x", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            header = zipfile.ZipInfo(f"{top}/{path.relative_to(folder).as_posix()}", _FIXED_TIME)
            header.create_system = _UNIX
            header.external_attr = (stat.S_IFREG | 0o644) << 16
            header.file_size = path.stat().st_size
            with path.open("rb") as source, archive.open(header, "w") as target:
                shutil.copyfileobj(source, target, _BLOCK_BYTES)


def _kind(name: str, mode: int) -> Literal["file", "folder", "other"]:
    if name.endswith("/"):
        return "folder" if stat.S_IFMT(mode) in (0, stat.S_IFDIR) else "other"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "other"
