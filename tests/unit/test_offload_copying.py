"""The copying pass: what is durable at the end is what was read and digested, or nothing is."""

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edged.errors import FullError, RecorderError, StoppedError
from edged.evidence.digests import CHUNK_BYTES, Digests
from edged.offload.copying import copy, digest
from edged.vault.disk import Disk
from edged.vault.durable import Draft

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 20 << 20]


def content(size_bytes: int) -> bytes:
    return random.Random(size_bytes).randbytes(size_bytes)


def nothing(_: int) -> None:
    pass


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "vault.part"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[bytes], int]]:
    """Open a file with these bytes."""
    fds = []

    def opened(data: bytes) -> int:
        (tmp_path / "card.mp4").write_bytes(data)
        fds.append(os.open(tmp_path / "card.mp4", os.O_RDONLY))
        return fds[-1]

    yield opened
    for fd in fds:
        os.close(fd)


def leaving(source: int, folder: Path) -> Callable[[int], None]:
    """Make the source unreadable after the first chunk: its descriptor becomes that of a folder."""

    def leave(_: int) -> None:
        other = os.open(folder, os.O_RDONLY)
        os.dup2(other, source)
        os.close(other)

    return leave


def check(found: Digests, data: bytes) -> None:
    assert (found.size_bytes, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    starts = range(0, len(data), CHUNK_BYTES)
    assert list(found.parts) == [hashlib.sha256(data[at : at + CHUNK_BYTES]).digest() for at in starts]


def copied(source: int, target: Path, stop: threading.Event, on_bytes: Callable[[int], None] = nothing) -> Digests:
    """Copy as the sealer does: whatever is raised, the draft is discarded."""
    with Draft(Disk(), target) as draft:
        found = copy(source, draft, on_bytes=on_bytes, stop=stop)
        draft.rename(target.with_suffix(".mp4"))
    return found


@pytest.mark.parametrize("size", SIZES)
def test_copy_and_both_digests_are_those_of_the_file(
    opened: Callable[[bytes], int], target: Path, stop: threading.Event, size: int
) -> None:
    data, told = content(size), list[int]()
    found = copied(opened(data), target, stop, told.append)
    check(found, data)
    assert target.with_suffix(".mp4").read_bytes() == data
    assert sum(told) == size
    assert all(0 < each <= CHUNK_BYTES for each in told)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_digests_of_a_file_that_is_only_sighted_are_the_same(
    opened: Callable[[bytes], int], stop: threading.Event, size: int
) -> None:
    data, told = content(size), list[int]()
    check(digest(opened(data), on_bytes=told.append, stop=stop), data)
    assert sum(told) == size


def test_source_that_gives_a_few_bytes_at_a_time_is_copied_whole(target: Path, stop: threading.Event) -> None:
    data = content(CHUNK_BYTES + 100_000)
    source, sink = os.pipe()

    def pour() -> None:
        with os.fdopen(sink, "wb", buffering=0) as pipe:
            for at in range(0, len(data), 50_001):
                pipe.write(data[at : at + 50_001])

    thread = threading.Thread(target=pour)
    thread.start()
    check(copied(source, target, stop), data)
    thread.join()
    os.close(source)
    assert target.with_suffix(".mp4").read_bytes() == data


def test_slow_disk_is_given_every_chunk_as_it_was_read(
    opened: Callable[[bytes], int], target: Path, stop: threading.Event
) -> None:
    class Slow(Disk):
        """Looks at a buffer late: one that is read into too early would show."""

        def write(self, fd: int, buffer: memoryview, path: Path) -> None:
            time.sleep(0.05)
            super().write(fd, buffer, path)

    data = content(4 * CHUNK_BYTES + 5)
    with Draft(Slow(), target) as draft:
        check(copy(opened(data), draft, on_bytes=nothing, stop=stop), data)
        assert target.read_bytes() == data


def test_recorder_that_stops_giving_bytes_leaves_nothing(
    opened: Callable[[bytes], int], target: Path, stop: threading.Event, tmp_path: Path
) -> None:
    source = opened(content(3 * CHUNK_BYTES))
    with pytest.raises(RecorderError, match="stopped giving bytes"):
        copied(source, target, stop, leaving(source, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["card.mp4"]


def test_recorder_that_stops_giving_bytes_gives_no_digest(
    opened: Callable[[bytes], int], stop: threading.Event, tmp_path: Path
) -> None:
    source = opened(content(3 * CHUNK_BYTES))
    with pytest.raises(RecorderError):
        digest(source, on_bytes=leaving(source, tmp_path), stop=stop)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_vault_that_is_full_midway_is_said_and_leaves_nothing(
    opened: Callable[[bytes], int], target: Path, stop: threading.Event, tmp_path: Path, failing: int
) -> None:
    class Small(Disk):
        written = 0

        def write(self, fd: int, buffer: memoryview, path: Path) -> None:
            if self.written == failing:
                raise FullError("The vault is full.")
            self.written += 1
            super().write(fd, buffer, path)

    source = opened(content(3 * CHUNK_BYTES))
    with pytest.raises(FullError), Draft(Small(), target) as draft:
        copy(source, draft, on_bytes=nothing, stop=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["card.mp4"]


def test_stopping_ends_a_copy_at_the_next_chunk(
    opened: Callable[[bytes], int], target: Path, stop: threading.Event, tmp_path: Path
) -> None:
    told = list[int]()

    def on_bytes(read_bytes: int) -> None:
        told.append(read_bytes)
        stop.set()

    source = opened(content(3 * CHUNK_BYTES))
    with pytest.raises(StoppedError):
        copied(source, target, stop, on_bytes)
    assert told == [1 << 20]
    assert [path.name for path in tmp_path.iterdir()] == ["card.mp4"]
    with pytest.raises(StoppedError):
        digest(opened(content(10)), on_bytes=nothing, stop=stop)


def test_no_thread_outlives_a_copy(opened: Callable[[bytes], int], target: Path, stop: threading.Event) -> None:
    before = threading.active_count()
    copied(opened(content(100)), target, stop)
    assert threading.active_count() == before


def test_file_that_grows_while_it_is_copied_is_sealed_as_it_was_read(
    opened: Callable[[bytes], int], target: Path, stop: threading.Event, tmp_path: Path
) -> None:
    data, more = content(CHUNK_BYTES), b"and more"

    def grow(_: int) -> None:
        if (tmp_path / "card.mp4").stat().st_size == len(data):
            with (tmp_path / "card.mp4").open("ab") as card:
                card.write(more)

    check(copied(opened(data), target, stop, grow), data + more)
    assert target.with_suffix(".mp4").read_bytes() == data + more


def test_file_that_shrinks_while_it_is_copied_is_sealed_as_it_was_read(
    opened: Callable[[bytes], int], target: Path, stop: threading.Event, tmp_path: Path
) -> None:
    data = content(3 * CHUNK_BYTES)
    found = copied(opened(data), target, stop, lambda _: os.truncate(tmp_path / "card.mp4", CHUNK_BYTES))
    check(found, data[:CHUNK_BYTES])
    assert target.with_suffix(".mp4").read_bytes() == data[:CHUNK_BYTES]
