"""Power loss on a real ext4, over a disk that forgets what was not flushed: what was promised is there."""

import mmap
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from hwsim.faults.card_faults import Faults
from hwsim.faults.disk import LossyDisk, missing
from hwsim.faults.write_cache import WAYS, Way
from hwsim.torture.plan import Act, Deed, Means, Plan, PlannedCard, PlannedFile
from hwsim.torture.round import run_round
from hwsim.torture.store import Store

MIB: Final = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LossyDisk]:
    if lacks := missing():
        pytest.skip(lacks)
    with LossyDisk(tmp_path / "disk", size_bytes=64 * MIB) as made:
        yield made
    assert not made.root.is_mount()


def synced(path: Path, content: bytes) -> None:
    """Write a file as the vault does: content, then name."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_synced_is_there_after_a_power_cut_and_the_file_system_is_whole(disk: LossyDisk, way: Way) -> None:
    for number in range(8):
        synced(disk.root / f"synced-{number}", f"{number}".encode() * 50_000)
        (disk.root / f"not-{number}").write_bytes(b"x" * 50_000)
    disk.cut()
    disk.restart(way, seed=7)
    for number in range(8):
        assert (disk.root / f"synced-{number}").read_bytes() == f"{number}".encode() * 50_000
    assert disk.check() == ""


def test_what_was_not_synced_is_gone(disk: LossyDisk) -> None:
    synced(disk.root / "here", b"here")
    (disk.root / "not synced").write_bytes(b"x" * 100_000)
    (disk.root / "here").rename(disk.root / "elsewhere")
    disk.cut()
    disk.restart("nothing", seed=1)
    assert sorted(each.name for each in disk.root.iterdir()) == ["here", "lost+found"]


def test_a_disk_without_power_confirms_nothing(disk: LossyDisk) -> None:
    disk.cut()
    with pytest.raises(OSError, match=r"Input/output|Read-only"):
        synced(disk.root / "late", b"late")
    disk.restart("everything", seed=1)
    assert not (disk.root / "late").exists()


def insert_until_it_fails(book: sqlite3.Connection, first: int) -> int:
    """Insert row after row, each in a transaction of its own; gives how many there must be now."""
    for number in range(first, first + 1000):
        try:
            book.execute("INSERT INTO t VALUES (?, ?)", (number, "y" * 3000))
        except sqlite3.OperationalError:
            return number
    raise AssertionError("the disk goes on without power")


@pytest.mark.parametrize("way", WAYS)
def test_a_book_in_wal_mode_keeps_every_commit_that_came_back(disk: LossyDisk, way: Way) -> None:
    done = 0
    for cut in range(3):
        book = sqlite3.connect(disk.root / "book", isolation_level=None)
        book.execute("PRAGMA journal_mode = WAL")
        book.execute("PRAGMA synchronous = FULL")
        book.execute("CREATE TABLE IF NOT EXISTS t (x INTEGER PRIMARY KEY, y TEXT)")
        disk.cut(after=37 + cut * 11)
        done = insert_until_it_fails(book, done)
        book.close()
        disk.restart(way, seed=cut)
        book = sqlite3.connect(disk.root / "book")
        assert book.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (there,) = book.execute("SELECT count(*) FROM t").fetchone()
        book.close()
        # One more, where the commit was durable and only its answer was lost.
        assert there - done in {0, 1}
        done = there
    assert done > 0


def test_files_written_past_the_page_cache_are_durable_after_their_sync_and_not_before(disk: LossyDisk) -> None:
    with mmap.mmap(-1, MIB) as page:
        page[:] = b"d" * MIB
        for name in ("synced", "not"):
            fd = os.open(disk.root / name, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
            os.pwrite(fd, page, 0)
            if name == "synced":
                os.fsync(fd)
            os.close(fd)
    disk.cut()
    disk.restart("nothing", seed=1)
    assert (disk.root / "synced").read_bytes() == b"d" * MIB
    assert not (disk.root / "not").exists()


@pytest.mark.timeout(600)
def test_a_station_whose_power_is_cut_while_it_copies_seals_and_publishes_loses_nothing(tmp_path: Path) -> None:
    if lacks := missing():
        pytest.skip(lacks)
    sizes = [70_000, 0, 9 * MIB, 300, 1_500_000, 40_000]
    files = tuple(
        PlannedFile(path=f"DCIM/100MEDIA/VID_20260105_0800{at:02}_{at:04}.MP4", size=size, seed=f"power {at}")
        for at, size in enumerate(sizes, 1)
    )
    cuts = [("nothing", 20, 1), ("some", 60, 4), ("prefix", 45, 8), ("nothing", 90, 6)]
    acts: list[Act] = [Act(deed=Deed.DOCK, entries=0, card="CAM-07")]
    acts += [
        Act(deed=Deed.POWER_CUT, entries=entries, count=count, way=way) for way, count, entries in cuts if way in WAYS
    ]
    means = Means(disk=True, clock=False)
    card = PlannedCard(name="CAM-07", files=files, faults=Faults())
    with Store(tmp_path / "store") as store:
        outcome = run_round(Plan(seed=5, means=means, cards=(card,), acts=tuple(acts)), tmp_path / "round", store)
    assert outcome.complaints == ()
    assert outcome.entries > len(files)
