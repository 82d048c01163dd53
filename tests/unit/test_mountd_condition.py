"""Whether a file system was closed in order, read from images that the real tools made."""

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edged.errors import RecorderError
from edged.mountd.condition import Read, exfat_cluster_bytes, trouble

MIB = 1 << 20
MakeImage = Callable[..., Path]


@pytest.fixture
def make_image(tmp_path: Path) -> MakeImage:
    """Make the image of an empty file system."""

    def make(tool: str, *options: str, size_mib: int = 64) -> Path:
        found = shutil.which(tool, path=f"/usr/sbin:/sbin:{os.defpath}")
        if found is None:
            pytest.skip(f"{tool} is not installed")
        image = tmp_path / "image"
        image.touch()
        os.truncate(image, size_mib * MIB)
        subprocess.run([found, *options, str(image)], check=True, capture_output=True)
        return image

    return make


def reader(image: Path) -> Read:
    data = image.read_bytes()
    return lambda offset, length: data[offset : offset + length]


def change(image: Path, offset: int, data: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_exfat_says_that_it_was_not_closed_or_is_damaged(make_image: MakeImage) -> None:
    image = make_image("mkfs.exfat", "-c", "32K")
    assert trouble("exfat", reader(image)) is None
    assert exfat_cluster_bytes(reader(image)) == 32 * 1024
    change(image, 106, b"\x02")
    assert "not closed in order" in (trouble("exfat", reader(image)) or "")
    change(image, 106, b"\x04")
    assert "damaged" in (trouble("exfat", reader(image)) or "")


@pytest.mark.parametrize(
    ("bits", "size_mib", "closed"),
    [("12", 4, None), ("16", 64, (2, 0x8000, 0x4000)), ("32", 300, (4, 0x0800_0000, 0x0400_0000))],
)
def test_fat_says_so_in_its_boot_sector_and_in_its_table(
    make_image: MakeImage, bits: str, size_mib: int, closed: tuple[int, int, int] | None
) -> None:
    image = make_image("mkfs.vfat", "-F", bits, size_mib=size_mib)
    assert trouble("vfat", reader(image)) is None
    change(image, 65 if bits == "32" else 37, b"\x01")
    assert "not closed in order" in (trouble("vfat", reader(image)) or "")
    change(image, 65 if bits == "32" else 37, b"\x00")
    if closed is None:
        return
    size, in_order, sound = closed
    sector, reserved = (
        struct.unpack_from("<H", image.read_bytes(), 11)[0],
        struct.unpack_from("<H", image.read_bytes(), 14)[0],
    )
    at = sector * reserved + size
    entry = int.from_bytes(image.read_bytes()[at : at + size], "little")
    change(image, at, (entry & ~in_order).to_bytes(size, "little"))
    assert "not closed in order" in (trouble("vfat", reader(image)) or "")
    change(image, at, (entry & ~sound).to_bytes(size, "little"))
    assert "damaged" in (trouble("vfat", reader(image)) or "")
    change(image, at, entry.to_bytes(size, "little"))
    assert trouble("vfat", reader(image)) is None


def test_ext4_says_that_it_needs_recovery_or_has_errors(make_image: MakeImage) -> None:
    image = make_image("mkfs.ext4", "-q", "-F")
    assert trouble("ext4", reader(image)) is None
    features = struct.unpack_from("<I", image.read_bytes(), 1024 + 96)[0]
    change(image, 1024 + 96, struct.pack("<I", features | 4))
    assert "not closed in order" in (trouble("ext4", reader(image)) or "")
    change(image, 1024 + 96, struct.pack("<I", features))
    for state, said in ((0, "not closed in order"), (3, "damaged")):
        change(image, 1024 + 58, struct.pack("<H", state))
        assert said in (trouble("ext4", reader(image)) or "")


@pytest.mark.parametrize("filesystem", ["exfat", "vfat", "ext4", "ntfs", ""])
@pytest.mark.parametrize("seed", range(20))
def test_nonsense_in_place_of_a_file_system_is_trouble_and_no_error(filesystem: str, seed: int) -> None:
    data = os.urandom(4096) if seed else bytes(4096)
    assert trouble(filesystem, lambda offset, length: (data * 2)[offset % 4096 :][:length]) is not None


def test_card_that_cannot_be_read_is_not_taken_for_one_in_order() -> None:
    def gone(offset: int, length: int) -> bytes:
        raise RecorderError(f"{length} bytes at {offset} cannot be read")

    for filesystem in ("exfat", "vfat", "ext4"):
        with pytest.raises(RecorderError):
            trouble(filesystem, gone)
