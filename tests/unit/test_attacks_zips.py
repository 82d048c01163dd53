"""Attacks by zips: those that lead out of the bundle, say two things, or would fill memory or disk when unpacked.

Zips are opened through `test_bundles_load`, whose tests have the many ways in which two headers contradict each other;
where the page is tested as well, it reads each of these too.
"""

import stat
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from edged.errors import UnreadableError
from edged.evidence.verification import Trust
from edged.evidence.verification.port import MAX_FILES
from tests.unit import test_bundles_load as opening
from tests.unit.bundle_station import failing

MOST_BYTES = 64 << 20
"""No zip may take more memory than this to be refused."""


def raw_zip(files: Sequence[tuple[bytes, bytes]], *, sizes: Sequence[int] = (), flags: int = 0x0800) -> bytes:
    """Write a stored zip byte by byte, with any name, and with sizes that need not be true."""
    out = directory = b""
    for number, (name, data) in enumerate(files):
        size = sizes[number] if sizes else len(data)
        told = struct.pack("<4H3L2H", flags, 0, 0, 33, zlib.crc32(data), size, size, len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<2H", 0x0314, 20) + told
        directory += struct.pack("<3H2L", 0, 0, 0, (stat.S_IFREG | 0o644) << 16, len(out)) + name
        out += b"PK\x03\x04" + struct.pack("<H", 20) + told + name + data
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(files), len(files), len(directory), len(out), 0)
    return out + directory + end


def refused(path: Path, data: bytes) -> str:
    """Give why a zip is refused; it must be, at once and in little memory."""
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match="no bundle in zip form") as caught:
            opening.open_target(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    assert caught.value.exit_code == 66
    return str(caught.value)


def test_what_these_zips_are_made_with_is_read(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(raw_zip([(b"top/a", b"1"), ("top/视".encode(), b"2")]))
    assert [file.path for file in opening.open_target(tmp_path / "b.zip").listing()] == ["a", "视"]


@pytest.mark.parametrize(
    "name",
    [
        b"../../etc/cron.d/evil",
        b"top/../../evil",
        b"top/data/../../../evil",
        b"/etc/passwd",
        b"//server/share/evil",
        b"top\\..\\evil",
        b"C:\\evil",
        b"top/..",
        b"top/.",
        b"",
        b"top/a\x00.txt",
    ],
)
def test_a_zip_that_slips_out_of_its_folder_is_refused(tmp_path: Path, name: bytes) -> None:
    refused(tmp_path / "b.zip", raw_zip([(name, b"x")]))
    refused(tmp_path / "b.zip", raw_zip([(b"top/a", b"1"), (name, b"x")]))


@pytest.mark.parametrize("name", [b"top/\xff", b"top/\xc0\xaf", b"top/\xed\xa0\x80"])
def test_a_zip_with_a_name_that_is_no_text_is_refused(tmp_path: Path, name: bytes) -> None:
    assert "no text" in refused(tmp_path / "b.zip", raw_zip([(name, b"x")]))
    assert "no text" in refused(tmp_path / "b.zip", raw_zip([("top/视".encode(), b"x")], flags=0))


def test_a_bomb_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "x", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top/data/export.json", bytes(50 << 20))
    data = (tmp_path / "bomb.zip").read_bytes()
    assert len(data) < 1 << 20
    assert "compressed" in refused(tmp_path / "b.zip", data)


def test_a_bomb_of_overlapping_files_is_refused(tmp_path: Path) -> None:
    """Many directory entries for one stretch of bytes, each with a name of its own."""
    one = raw_zip([(b"top/0000", bytes(1 << 16))])
    start = struct.unpack("<L", one[-6:-2])[0]
    entry = one[start:-22]
    directory = b"".join(entry.replace(b"top/0000", b"top/%04d" % number) for number in range(5_000))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 5_000, 5_000, len(directory), start, 0)
    assert "overlap" in refused(tmp_path / "b.zip", one[:start] + directory + end)


def test_a_zip_within_a_file_of_a_zip_is_no_second_bundle(tmp_path: Path) -> None:
    """The inner directory is found by programs that search backwards past a comment."""
    inner = raw_zip([(b"top/bagit.txt", b"another bundle")])
    outer = raw_zip([(b"top/a", inner)])
    (tmp_path / "b.zip").write_bytes(outer)
    assert [file.path for file in opening.open_target(tmp_path / "b.zip").listing()] == ["a"]
    comment = outer[:-2] + struct.pack("<H", len(inner)) + inner
    refused(tmp_path / "b.zip", comment)


@pytest.mark.parametrize("size", [2, 1 << 20, 0xFFFFFFFE, 0xFFFFFFFF])
def test_a_file_that_claims_to_be_longer_than_its_zip_is_refused(tmp_path: Path, size: int) -> None:
    refused(tmp_path / "b.zip", raw_zip([(b"top/a", b"x")], sizes=[size]))


@pytest.mark.parametrize("claimed", [2, 0xFFFE, 0xFFFF])
def test_a_directory_that_claims_more_files_than_it_lists_is_refused(tmp_path: Path, claimed: int) -> None:
    data = bytearray(raw_zip([(b"top/a", b"x")]))
    data[-14:-10] = struct.pack("<2H", claimed, claimed)
    refused(tmp_path / "b.zip", bytes(data))


def test_a_directory_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    wide = bytearray(opening.widened(raw_zip([(b"top/a", b"x")])))
    at = len(wide) - 22 - 20 - 56
    for count, size in ((1, 2**63), (2**63, 46), (MAX_FILES + 1, 46), (1, 2**40)):
        forged = bytearray(wide)
        forged[at + 24 : at + 48] = struct.pack("<3Q", count, count, size)
        refused(tmp_path / "b.zip", bytes(forged))


def test_names_of_many_parts_in_a_zip_do_not_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(raw_zip([(b"top/" + b"a/" * 30_000 + b"%d" % number, b"x") for number in range(20)]))
    tracemalloc.start()
    report = opening.verify_target(path, Trust())
    assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    tracemalloc.stop()
    assert failing(report) == {"bag"}


HIDDEN = b"what another program sees"
FAT_LIMIT = 0xFFFFFFFF


def with_hidden_directory() -> bytes:
    """Write a zip whose last directory entry holds, in a time stamp's extra field, the end of another directory."""
    plain = raw_zip([(b"top/a", b"1")])
    directory_at = plain.index(b"PK\x01\x02")
    files, entry = plain[:directory_at], plain[directory_at:-22]
    end_64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 0, 0, 0, directory_at)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, directory_at + len(entry) + 4, 1)
    extra = struct.pack("<2H", 0x5455, len(end_64 + locator)) + end_64 + locator
    entry = entry[:30] + struct.pack("<H", len(extra)) + entry[32:] + extra
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(files), 0)
    return files + entry + end


def test_another_directory_in_an_extra_field_is_refused(tmp_path: Path) -> None:
    data = with_hidden_directory()
    assert "zip64 end" in refused(tmp_path / "b.zip", data)
    with zipfile.ZipFile(tmp_path / "b.zip") as other:
        assert other.namelist() == []


def test_a_whole_file_in_an_extra_field_is_refused(tmp_path: Path) -> None:
    plain = raw_zip([(b"top/a", b"1")])
    extra = struct.pack("<2H", 0x7875, len(HIDDEN)) + HIDDEN
    at = plain.index(b"PK\x01\x02")
    local = plain[:28] + struct.pack("<H", len(extra)) + plain[30:35] + extra + plain[35:at]
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(plain) - 22 - at, len(local), 0)
    data = local + plain[at:-22] + end
    assert "carries what a bundle does not need" in refused(tmp_path / "b.zip", data)


@pytest.mark.parametrize("told", [1, 3])
def test_two_end_records_with_two_counts_are_refused(tmp_path: Path, told: int) -> None:
    plain = raw_zip([(b"top/a", b"1"), (b"top/b", b"2")])
    at, size = plain.index(b"PK\x01\x02"), len(plain) - 22 - plain.index(b"PK\x01\x02")
    end_64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, size, at)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at + size, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, told, told, size, FAT_LIMIT, 0)
    assert "two end records" in refused(tmp_path / "b.zip", plain[:-22] + end_64 + locator + end)
