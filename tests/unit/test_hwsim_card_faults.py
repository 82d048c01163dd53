"""Cards on the fault file system are wrong exactly where they were told to be, and whole everywhere else."""

import errno
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from hwsim.faults.card_faults import Fault, Faults, Pulled, Rotten, Stalling, Unreadable, from_plain
from hwsim.faults.cards import CardMount
from hwsim.faults.control import missing

CONTENT: Final = bytes(range(256)) * 4096
FILE: Final = "DCIM/A.MP4"


@pytest.fixture
def cards(tmp_path: Path) -> Iterator[CardMount]:
    if lacks := missing():
        pytest.skip(lacks)
    with CardMount(tmp_path / "recorders") as mount:
        (mount.shelf / "K" / "DCIM").mkdir(parents=True)
        (mount.shelf / "K" / FILE).write_bytes(CONTENT)
        (mount.shelf / "K").rename(mount.bays / "K")
        yield mount
    assert not mount.bays.parent.is_mount()


def ail(cards: CardMount, *faults: Fault) -> int:
    """Have this be wrong with the card, and open its file."""
    cards.ail("K", Faults(faults=faults))
    return os.open(cards.bays / "K" / FILE, os.O_RDONLY)


def test_a_card_without_faults_is_the_folder_below_it(cards: CardMount) -> None:
    docked = cards.bays / "K"
    odd = os.fsdecode(b"\xff.MP4")
    (cards.truth("K") / odd).write_bytes(b"odd")
    (docked / "LINK").symlink_to("/etc/passwd")
    assert sorted(each.name for each in docked.iterdir()) == ["DCIM", "LINK", odd]
    assert (docked / odd).read_bytes() == b"odd"
    assert (docked / "LINK").readlink() == Path("/etc/passwd")
    assert (docked / FILE).read_bytes() == CONTENT
    for name in ("DCIM", FILE):
        above, below = (docked / name).stat(), (cards.truth("K") / name).stat()
        assert (above.st_ino, above.st_mtime_ns, above.st_ctime_ns) == (
            below.st_ino,
            below.st_mtime_ns,
            below.st_ctime_ns,
        )
    (docked / FILE).unlink()
    (docked / "DCIM").rmdir()
    assert not (cards.truth("K") / "DCIM").exists()


def test_a_card_is_read_with_o_direct_too(cards: CardMount) -> None:
    fd = os.open(cards.bays / "K" / FILE, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, len(CONTENT)) as buffer:
            assert os.preadv(fd, [buffer], 0) == len(CONTENT)
            assert buffer[:] == CONTENT
    finally:
        os.close(fd)


def test_eio_comes_exactly_in_its_range_and_what_is_before_it_is_given(cards: CardMount) -> None:
    fd = ail(cards, Unreadable(path=FILE, start=70_000, end=70_010))
    try:
        assert os.pread(fd, 100, 69_900) == CONTENT[69_900:70_000]
        assert os.pread(fd, 5000, 69_000) == CONTENT[69_000:70_000]
        for at in (70_000, 70_009):
            with pytest.raises(OSError, match="Input/output") as caught:
                os.pread(fd, 1, at)
            assert caught.value.errno == errno.EIO
        assert os.pread(fd, 10, 70_010) == CONTENT[70_010:70_020]
        assert os.pread(fd, 65_536, 0) == CONTENT[:65_536]
    finally:
        os.close(fd)


def test_a_passing_error_passes_after_as_many_reads_as_were_named(cards: CardMount) -> None:
    fd = ail(cards, Unreadable(path=FILE, start=0, end=1, times=2))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                os.pread(fd, 4, 0)
        assert os.pread(fd, 4, 0) == CONTENT[:4]
    finally:
        os.close(fd)


def test_rot_differs_at_each_read_and_from_what_was_written_and_nowhere_else(cards: CardMount) -> None:
    fd = ail(cards, Rotten(path=FILE, start=100, end=108))
    try:
        reads = [os.pread(fd, 300, 0) for _ in range(5)]
        for read in reads:
            assert read[:100] == CONTENT[:100]
            assert read[108:] == CONTENT[108:300]
            assert not any(a == b for a, b in zip(read[100:108], CONTENT[100:108], strict=True))
        assert len(set(reads)) == len(reads)
        assert os.pread(fd, 50, 200) == CONTENT[200:250]
    finally:
        os.close(fd)
    assert (cards.truth("K") / FILE).read_bytes() == CONTENT


def test_a_stalling_read_hangs_and_then_gives_what_is_there(cards: CardMount) -> None:
    fd = ail(cards, Stalling(path=FILE, at=5, seconds=0.5))
    got: list[bytes] = []
    try:
        reader = threading.Thread(target=lambda: got.append(os.pread(fd, 10, 0)))
        reader.start()
        # Other files of the station go on meanwhile.
        assert sorted(each.name for each in cards.bays.iterdir()) == ["K"]
        assert got == []
        reader.join(30)
        assert got == [CONTENT[:10]]
        assert os.pread(fd, 10, 0) == CONTENT[:10]
    finally:
        os.close(fd)


def test_a_card_pulled_at_a_byte_is_gone_for_whoever_has_it_open_and_whoever_looks(cards: CardMount) -> None:
    fd = ail(cards, Pulled(path=FILE, at=900_000))
    try:
        assert os.pread(fd, 1000, 0) == CONTENT[:1000]
        for offset in (899_999, 0):
            with pytest.raises(OSError, match="No such device") as caught:
                os.pread(fd, 1000, offset)
            assert caught.value.errno == errno.ENODEV
        assert list(cards.bays.iterdir()) == []
        assert cards.pulled == ("K",)
        (cards.shelf / "K").rename(cards.bays / "K")
        assert (cards.bays / "K" / FILE).read_bytes() == CONTENT
        with pytest.raises(OSError, match="No such"):
            os.pread(fd, 10, 0)
    finally:
        os.close(fd)


def test_a_healed_card_is_whole(cards: CardMount) -> None:
    os.close(ail(cards, Rotten(path=FILE, start=0, end=10), Unreadable(path=FILE, start=50, end=60)))
    cards.heal("K")
    assert (cards.bays / "K" / FILE).read_bytes() == CONTENT


def test_faults_come_through_json_as_they_are() -> None:
    faults = Faults(
        faults=(
            Unreadable(path="\udcff", start=1, end=2, times=None),
            Rotten(path="a", start=1, end=2),
            Stalling(path="a", at=3, seconds=0.5),
            Pulled(path="a", at=4),
        ),
        bytes_per_second=1000,
    )
    assert from_plain(faults.plain()) == faults


def test_a_starter_that_is_killed_leaves_nothing_mounted(tmp_path: Path) -> None:
    if lacks := missing():
        pytest.skip(lacks)
    program = (
        "import sys, pathlib, time\n"
        "from hwsim.faults.cards import CardMount\n"
        "with CardMount(pathlib.Path(sys.argv[1])):\n"
        "    print('mounted', flush=True)\n"
        "    time.sleep(60)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    with starter.stdout:
        assert starter.stdout.readline() == b"mounted\n"
        assert (tmp_path / "cards").is_mount()
        starter.kill()
        starter.wait()
    pause = threading.Event()
    for _ in range(200):
        if not (tmp_path / "cards").is_mount():
            break
        pause.wait(0.05)
    assert not (tmp_path / "cards").is_mount()
