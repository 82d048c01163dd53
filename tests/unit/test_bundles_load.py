"""Opening what somebody handed over: folders with traps in them, and zips that say two things at once."""

import contextlib
import os
import random
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edged.bundles.load import open_target, verify_target
from edged.bundles.zips import write_zip
from edged.errors import UnreadableError
from edged.evidence.verification import Trust
from tests.unit.bundle_station import Station, failing


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Station, Path]:
    station = Station(folder=tmp_path_factory.mktemp("station"))
    station.genesis()
    station.dock("d", "r", {"a.mp4": b"film"})
    segment = station.seal("d", "r", "a.mp4", b"film")
    station.bundle(station.export([segment]), station.folder / "bundle")
    return station, station.folder / "bundle"


@pytest.fixture
def folder(made: tuple[Station, Path], tmp_path: Path) -> Path:
    shutil.copytree(made[1], tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def trust(made: tuple[Station, Path]) -> Trust:
    return made[0].trust


# -- folders


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="cannot be read: No such file") as caught:
        verify_target(tmp_path / "nothing", Trust())
    assert caught.value.exit_code == 66


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableError, match="neither a folder nor a zip"):
        open_target(tmp_path / "pipe")


def test_a_link_in_place_of_a_file_is_refused(folder: Path, trust: Trust) -> None:
    (folder / "data/texts.json").rename(folder.parent / "texts.json")
    (folder / "data/texts.json").symlink_to(folder.parent / "texts.json")
    assert failing(verify_target(folder, trust)) == {"bag"}


def test_a_link_in_place_of_a_folder_is_refused(folder: Path, trust: Trust) -> None:
    (folder / "data/custody").rename(folder.parent / "custody")
    (folder / "data/custody").symlink_to(folder.parent / "custody")
    assert "bag" in failing(verify_target(folder, trust))


def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(folder: Path, trust: Trust) -> None:
    (folder / "data/texts.json").unlink()
    os.mkfifo(folder / "data/texts.json")
    assert failing(verify_target(folder, trust)) == {"bag"}


def test_a_name_that_is_no_text_is_refused(folder: Path, trust: Trust) -> None:
    (Path(os.fsdecode(os.fsencode(folder / "data") + b"/\xff\n"))).write_bytes(b"x")
    report = verify_target(folder, trust)
    assert failing(report) == {"bag"}
    assert "data/%FF%0A" in report.checks["bag"].detail.en


def test_an_empty_folder_is_refused(folder: Path, trust: Trust) -> None:
    (folder / "data/segments/sg-x").mkdir()
    assert failing(verify_target(folder, trust)) == {"bag"}


def test_a_file_that_becomes_a_link_while_it_is_read_is_not_followed(folder: Path) -> None:
    files = open_target(folder)
    files.listing()
    (folder / "bagit.txt").unlink()
    (folder / "bagit.txt").symlink_to("/etc/hostname")
    with pytest.raises(UnreadableError, match="bagit"):
        list(files.open("bagit.txt"))


def test_an_empty_folder_as_a_whole_is_no_bundle(tmp_path: Path) -> None:
    assert verify_target(tmp_path, Trust()).verdict == "failed"


# -- zips


@pytest.fixture
def archive(made: tuple[Station, Path], tmp_path: Path) -> Path:
    write_zip(made[1], tmp_path / "bundle.zip", top="ex-1")
    return tmp_path / "bundle.zip"


def test_an_honest_zip_is_read(archive: Path, trust: Trust) -> None:
    assert failing(verify_target(archive, trust)) == set()


def test_a_zip64_zip_is_read(made: tuple[Station, Path], tmp_path: Path, trust: Trust) -> None:
    out = tmp_path / "wide.zip"
    with zipfile.ZipFile(out, "x") as archive:
        for path in sorted(path for path in made[1].rglob("*") if path.is_file()):
            header = zipfile.ZipInfo(f"ex-1/{path.relative_to(made[1]).as_posix()}")
            with archive.open(header, "w", force_zip64=True) as target:
                target.write(path.read_bytes())
    assert failing(verify_target(out, trust)) == set()


def test_a_zip64_directory_is_read(archive: Path, trust: Trust) -> None:
    archive.write_bytes(widened(archive.read_bytes()))
    assert failing(verify_target(archive, trust)) == set()


def widened(data: bytes) -> bytes:
    """Give the same zip with a zip64 end of directory."""
    count, size, start = struct.unpack("<H2L", data[-12:-2])
    end = len(data) - 22
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:-22] + wide + locator + last


def test_a_zip_whose_later_files_lie_beyond_32_bits_is_read(archive: Path, trust: Trust) -> None:
    """After a file of gigabytes, the directory alone asks for zip64: the small files' own headers do not."""
    archive.write_bytes(far(archive.read_bytes()))
    assert failing(verify_target(archive, trust)) == set()


def far(data: bytes) -> bytes:
    """Write the place of each file as if it took more than 32 bits."""
    count, start = struct.unpack("<H4xL", data[-12:-2])
    directory = b""
    at = start
    for _ in range(count):
        name, extra, place = (*struct.unpack_from("<HH", data, at + 28), *struct.unpack_from("<L", data, at + 42))
        assert not extra
        head = data[at : at + 6] + struct.pack("<H", 45) + data[at + 8 : at + 30] + struct.pack("<H", 12)
        head += data[at + 32 : at + 42] + b"\xff" * 4
        directory += head + data[at + 46 : at + 46 + name] + struct.pack("<HHQ", 1, 8, place)
        at += 46 + name
    return data[:start] + directory + data[-22:-10] + struct.pack("<LL", len(directory), start) + data[-2:]


def test_a_zip_with_folders_in_it_is_read(made: tuple[Station, Path], tmp_path: Path, trust: Trust) -> None:
    shutil.copytree(made[1], tmp_path / "ex-1")
    with zipfile.ZipFile(tmp_path / "b.zip", "x") as archive:
        for path in sorted([tmp_path / "ex-1", *(tmp_path / "ex-1").rglob("*")]):
            archive.write(path, path.relative_to(tmp_path))
    assert failing(verify_target(tmp_path / "b.zip", trust)) == set()


Entry = tuple[str, bytes]


def build(path: Path, entries: Sequence[Entry], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "x") as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return path


@pytest.mark.parametrize(
    "names",
    [
        ["../a"],
        ["top/../a"],
        ["top//a"],
        ["top/./a"],
        ["/top/a"],
        ["top\\a"],
        ["a"],
        ["top/a", "other/b"],
        ["top/a", "top/a/b"],
        ["top"],
        ["top/"],
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_whose_names_lead_astray_is_refused(tmp_path: Path, names: list[str]) -> None:
    archive = build(tmp_path / "b.zip", [(name, b"") for name in names])
    with pytest.raises(UnreadableError, match="no bundle in zip form") as caught:
        open_target(archive)
    assert caught.value.exit_code == 66


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_a_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="occurs twice"):
        open_target(build(tmp_path / "b.zip", [("top/a", b"1"), ("top/a", b"2")]))


def test_a_compressed_zip_is_refused(tmp_path: Path) -> None:
    archive = build(tmp_path / "b.zip", [("top/a", b"1" * 1000)], compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UnreadableError, match="compressed"):
        open_target(archive)


def test_a_link_in_a_zip_is_refused(made: tuple[Station, Path], tmp_path: Path) -> None:
    header = zipfile.ZipInfo("top/bagit.txt")
    header.create_system = 3
    header.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "x") as archive:
        archive.writestr(header, b"/etc/passwd")
    report = verify_target(tmp_path / "b.zip", made[0].trust)
    assert failing(report) == {"bag"}
    assert "Not regular" in report.checks["bag"].detail.en


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"PK", b"x" * 100, b"PK\x05\x06" + bytes(18)):
        (tmp_path / "b.zip").write_bytes(data)
        with pytest.raises(UnreadableError):
            verify_target(tmp_path / "b.zip", Trust())


Change = Callable[[bytearray, int, int], bytes | bytearray | None]
"""Changes a zip, given where its first local header and its first directory entry begin."""


def _set(at: int, value: bytes, *, central: bool) -> Change:
    def change(data: bytearray, local: int, directory: int) -> None:
        start = (directory if central else local) + at
        assert data[start : start + len(value)] != value
        data[start : start + len(value)] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_set(30, b"t0p", central=False), id="another name before the file"),
        pytest.param(_set(8, b"\x01\x00", central=True), id="encrypted by the directory only"),
        pytest.param(_set(4, b"\x2d\x00", central=False), id="another version before the file"),
        pytest.param(_set(6, b"\x01\x00", central=False), id="encrypted by the header only"),
        pytest.param(_set(8, b"\x08\x00", central=False), id="compressed by the header only"),
        pytest.param(_set(14, b"\x00\x00\x00\x00", central=False), id="another checksum before the file"),
        pytest.param(_set(22, b"\x01\x00\x00\x00", central=False), id="another length before the file"),
        pytest.param(_set(10, b"\x11\x11", central=False), id="another time before the file"),
        pytest.param(_set(8, b"\x08\x00", central=True), id="written as a stream"),
        pytest.param(_set(42, b"\x01\x00\x00\x00", central=True), id="a header elsewhere"),
        pytest.param(_set(42, b"\xff\xff\xff\xff", central=True), id="a zip64 place that is missing"),
        pytest.param(_set(34, b"\x01\x00", central=True), id="on another disk"),
        pytest.param(lambda data, _, __: b"x" + data, id="something before the first file"),
        pytest.param(lambda data, _, __: data + b"x", id="something after the end"),
        pytest.param(lambda data, _, at: data[:at] + b"gap" + data[at:], id="something before the directory"),
        pytest.param(lambda data, _, __: data[:-2] + b"\x01\x00x", id="a comment"),
        pytest.param(lambda data, _, __: data[: len(data) // 2], id="cut short"),
        pytest.param(lambda data, _, __: data[:-12] + b"\xff\xff" + data[-10:], id="a count too high"),
        pytest.param(lambda data, _, __: data + data, id="two zips in one"),
    ],
)
def test_a_zip_that_says_two_things_is_refused(archive: Path, change: Change) -> None:
    data = bytearray(archive.read_bytes())
    directory = struct.unpack("<L", data[-6:-2])[0]
    changed = change(data, 0, directory)
    archive.write_bytes(data if changed is None else changed)
    with pytest.raises(UnreadableError, match="no bundle in zip form"):
        verify_target(archive, Trust())


def test_overlapping_files_in_a_zip_are_refused(tmp_path: Path) -> None:
    archive = build(tmp_path / "b.zip", [("top/a", b"1"), ("top/b", b"2")])
    data = bytearray(archive.read_bytes())
    start = struct.unpack("<L", data[-6:-2])[0]
    second = data.index(b"PK\x01\x02", start + 4)
    data[second + 42 : second + 46] = bytes(4)  # the second file begins where the first does
    archive.write_bytes(data)
    with pytest.raises(UnreadableError, match="overlap"):
        open_target(archive)


def test_a_zip64_end_that_points_elsewhere_is_refused(archive: Path) -> None:
    data = bytearray(widened(archive.read_bytes()))
    for at, value in ((-22 - 20 + 8, 1), (-22 - 20 - 56 + 48, 2**63 + 5), (-22 - 20 - 56 + 32, 2**40)):
        forged = bytearray(data)
        end = len(data) + at
        forged[end : end + 8] = value.to_bytes(8, "little")
        archive.write_bytes(forged)
        with pytest.raises(UnreadableError):
            open_target(archive)


@pytest.mark.parametrize("seed", range(100))
def test_random_damage_to_a_zip_is_never_a_crash(archive: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(archive.read_bytes())
    start = struct.unpack("<L", data[-6:-2])[0]
    for _ in range(3):
        data[chance.randrange(start, len(data))] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
    archive.write_bytes(data)
    with contextlib.suppress(UnreadableError):
        assert open_target(archive).listing()
