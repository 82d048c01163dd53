"""The re-read goes to the disk itself, or says that it proves nothing."""

import hashlib
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.errors import StoppedError, StorageError
from edged.evidence.digests import CHUNK_BYTES
from edged.vault.reread import ON_DISK, NoProofError, _open_dropped, file_system, reread, resident_pages
from tests.unit.book_station import digests
from tests.unit.mounting import in_namespace, needs_loop, needs_mount


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A folder on a real disk."""
    if file_system(tmp_path) not in ON_DISK:
        pytest.skip(f"temporary files lie on {file_system(tmp_path)} here")
    return tmp_path


@pytest.fixture
def memory() -> Iterator[Path]:
    """A file on tmpfs."""
    path = Path(f"/dev/shm/edged-test-{os.getpid()}")  # noqa: S108 - that it is in memory is the point
    if not path.parent.is_dir() or file_system(path.parent) != "tmpfs":
        pytest.skip("no tmpfs at /dev/shm")
    path.write_bytes(b"footage")
    yield path
    path.unlink()


def durable(path: Path, data: bytes) -> Path:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return path


@pytest.mark.parametrize("size", [0, 1, 511, 4096, 4097, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_what_is_read_back_has_the_digests_that_were_sealed(disk: Path, stop: threading.Event, size: int) -> None:
    data = hashlib.sha256(b"seed").digest() * (size // 32 + 1)
    found = reread(durable(disk / "a.mp4", data[:size]), stop=stop)
    assert found.digests == digests(data[:size])
    assert found.method in {f"{how} on {file_system(disk)}" for how in ("o_direct", "dropped and not resident")}


def test_reading_back_leaves_nothing_in_memory(disk: Path, stop: threading.Event) -> None:
    path = durable(disk / "a.mp4", bytes(1 << 20))
    with path.open("rb") as file:
        if not reread(path, stop=stop).method.startswith("o_direct"):
            pytest.skip("this disk takes no O_DIRECT")
        assert resident_pages(file.fileno()) == 0


def test_other_bytes_are_noticed_and_where(disk: Path, stop: threading.Event) -> None:
    data = bytes(2 * CHUNK_BYTES + 5)
    path = durable(disk / "a.mp4", data)
    with path.open("r+b") as file:
        file.seek(CHUNK_BYTES + 77)
        file.write(b"\x01")
        file.flush()
        os.fsync(file.fileno())
    sealed, found = digests(data), reread(path, stop=stop).digests
    assert found != sealed
    assert [one == other for one, other in zip(found.parts, sealed.parts, strict=True)] == [True, False, True]


@pytest.mark.root
@needs_loop
def test_block_that_rotted_under_the_page_cache_is_noticed(tmp_path: Path) -> None:
    told = in_namespace(
        f"""
        cd "{tmp_path}" && mkdir disk && truncate -s 16M disk.img
        mkfs.ext4 -q disk.img && mount -o loop disk.img disk
        """,
        """
        import os, sys
        from pathlib import Path
        from threading import Event
        from edged.vault.reread import reread
        from tests.unit.book_station import digests

        folder, data = Path(sys.argv[1]), bytes(range(256)) * 400
        with (folder / "a.mp4").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        good = reread(folder / "a.mp4", stop=Event())
        assert good.digests == digests(data)
        assert (folder / "a.mp4").read_bytes() == data  # now the page cache holds it
        image = folder.with_suffix(".img")
        at = image.read_bytes().index(data[:4096]) + 100
        with image.open("r+b") as disk:
            disk.seek(at)
            disk.write(b"rot")
        assert (folder / "a.mp4").read_bytes() == data, "the page cache shows the old bytes"
        print(good.method, reread(folder / "a.mp4", stop=Event()).digests == digests(data))
        """,
        tmp_path / "disk",
    )
    assert told == "o_direct on ext4 False"


def test_file_system_in_memory_proves_nothing(memory: Path, stop: threading.Event) -> None:
    with pytest.raises(NoProofError, match="lies on tmpfs") as caught:
        reread(memory, stop=stop)
    assert caught.value.hint
    assert not caught.value.retry


@pytest.mark.root
@needs_mount
def test_layers_over_memory_prove_nothing(tmp_path: Path) -> None:
    # tmpfs takes O_DIRECT since Linux 6.6, and overlay passes it on.
    told = in_namespace(
        f"""
        cd "{tmp_path}" && mkdir memory top && mount -t tmpfs none memory
        mkdir memory/lower memory/upper memory/work
        mount -t overlay -o lowerdir=memory/lower,upperdir=memory/upper,workdir=memory/work none top
        """,
        """
        import sys
        from pathlib import Path
        from threading import Event
        from edged.vault.reread import NoProofError, file_system, reread

        path = Path(sys.argv[1])
        path.write_bytes(bytes(100_000))
        try:
            print(file_system(path), reread(path, stop=Event()).method)
        except NoProofError:
            print(file_system(path), "no proof")
        """,
        tmp_path / "top" / "a.mp4",
    )
    assert told == "overlay no proof"


@pytest.mark.root
@needs_mount
@pytest.mark.parametrize("name", ["执法记录", "a b", "tab\there", "back\\slash", "gbk-\udcd6\udcb4"])
def test_mount_point_of_any_name_is_told_apart_from_what_lies_around_it(tmp_path: Path, name: str) -> None:
    told = in_namespace(
        f'mount -t tmpfs none "{tmp_path}"',
        """
        import os, subprocess, sys
        from pathlib import Path
        from edged.vault.reread import file_system

        folder = Path(sys.argv[1]) / sys.argv[2]
        folder.mkdir()
        subprocess.run(["mount", "-t", "proc", "none", folder], check=True)
        print(file_system(folder / "self"), file_system(folder.parent))
        """,
        tmp_path,
        name,
    )
    assert told == "proc tmpfs"


@pytest.mark.root
@needs_mount
def test_disk_that_is_hidden_under_another_is_not_taken_for_it(tmp_path: Path) -> None:
    told = in_namespace(
        f"""
        cd "{tmp_path}" && mkdir -p outer/inner
        mount -t proc none outer/inner
        mount -t tmpfs none outer
        mkdir outer/inner
        mount -t tmpfs none outer
        """,
        """
        import sys
        from pathlib import Path
        from edged.vault.reread import file_system
        folder = Path(sys.argv[1])
        (folder / "inner").mkdir()
        print(file_system(folder / "inner"), file_system(folder))
        """,
        tmp_path / "outer",
    )
    assert told == "tmpfs tmpfs"


def test_file_that_is_not_there_is_a_storage_error(disk: Path, stop: threading.Event) -> None:
    with pytest.raises(StorageError, match="cannot be read: No such file") as caught:
        reread(disk / "gone.mp4", stop=stop)
    assert not isinstance(caught.value, NoProofError)


def test_link_in_the_place_of_a_file_is_not_followed(disk: Path, stop: threading.Event) -> None:
    durable(disk / "real.mp4", b"footage")
    (disk / "a.mp4").symlink_to("real.mp4")
    with pytest.raises(StorageError, match="cannot be read"):
        reread(disk / "a.mp4", stop=stop)


def test_stopping_ends_a_reread_at_the_next_block(disk: Path, stop: threading.Event) -> None:
    path = durable(disk / "a.mp4", bytes(100))
    stop.set()
    with pytest.raises(StoppedError):
        reread(path, stop=stop)


def test_no_descriptor_is_left_open(disk: Path, stop: threading.Event, memory: Path) -> None:
    path = durable(disk / "a.mp4", bytes(100))
    before = len(list(Path("/proc/self/fd").iterdir()))
    reread(path, stop=stop)
    for wrong in (memory, disk / "gone", disk):
        with pytest.raises(StorageError):
            reread(wrong, stop=stop)
    stop.set()
    with pytest.raises(StoppedError):
        reread(path, stop=stop)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_pages_in_memory_are_counted(disk: Path) -> None:
    path = durable(disk / "a.mp4", bytes(10 * mmap.PAGESIZE + 1))
    with path.open("rb") as file:
        file.read()
        assert resident_pages(file.fileno()) == 11
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert resident_pages(file.fileno()) == 0
    with durable(disk / "empty", b"").open("rb") as file:
        assert resident_pages(file.fileno()) == 0


def test_pages_that_somebody_holds_in_memory_are_no_proof(disk: Path) -> None:
    path = durable(disk / "a.mp4", bytes(3 * mmap.PAGESIZE))
    os.close(_open_dropped(path))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as held:
        assert held[mmap.PAGESIZE] == 0
        with pytest.raises(NoProofError, match="cannot be dropped"):
            _open_dropped(path)
