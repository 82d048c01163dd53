"""A disk that loses power keeps what was flushed, and of the rest only what a real one may keep."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.faults.write_cache import BLOCK, SECTOR, WAYS, NoPowerError, Way, WriteCache

BLOCKS = 16
SIZE = BLOCKS * BLOCK


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "disk", os.O_RDWR | os.O_CREAT)
    os.truncate(opened, SIZE)
    yield opened
    os.close(opened)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_flushed_survives_whatever_is_written_over_nothing_else(fd: int, way: Way) -> None:
    cache = WriteCache(fd)
    cache.write(0, b"kept" * BLOCK)
    cache.flush()
    cache.write(8 * BLOCK, b"late" * 1024)
    cache.cut()
    cache.restore(way, seed=1)
    assert cache.read(0, 4 * BLOCK) == b"kept" * BLOCK


def test_what_was_not_flushed_is_gone_in_the_worst_case_and_there_in_the_best(fd: int) -> None:
    cache = WriteCache(fd)
    cache.write(0, b"old!" * 1024)
    cache.flush()
    for way, expected in (("nothing", b"old!"), ("everything", b"new!")):
        cache.write(0, b"new!" * 1024)
        assert cache.read(0, 4) == b"new!"
        cache.cut()
        cache.restore("nothing" if way == "nothing" else "everything", seed=1)
        assert cache.read(0, BLOCK) == expected * 1024


def test_without_power_nothing_is_written_and_no_flush_is_confirmed(fd: int) -> None:
    cache = WriteCache(fd)
    cache.cut()
    with pytest.raises(NoPowerError):
        cache.write(0, b"x")
    with pytest.raises(NoPowerError):
        cache.flush()
    assert os.pread(fd, 1, 0) == b"\0"


def test_the_power_goes_at_the_operation_that_was_named(fd: int) -> None:
    cache = WriteCache(fd)
    cache.cut(after=2)
    cache.write(0, b"a")
    cache.flush()
    with pytest.raises(NoPowerError):
        cache.write(0, b"b")
    cache.restore("everything", seed=1)
    assert cache.read(0, 1) == b"a"


def test_a_prefix_is_a_prefix_and_its_last_write_is_torn_between_sectors(fd: int) -> None:
    cache = WriteCache(fd)
    torn = set()
    for seed in range(40):
        for number in range(4):
            cache.write(number * BLOCK, bytes([1 + number]) * BLOCK)
        cache.cut()
        cache.restore("prefix", seed)
        kept = [cache.read(number * BLOCK, BLOCK).count(1 + number) for number in range(4)]
        assert sorted(kept, reverse=True) == kept
        assert sum(0 < each < BLOCK for each in kept) <= 1
        assert all(each % SECTOR == 0 for each in kept)
        torn |= set(kept)
        for number in range(4):
            cache.write(number * BLOCK, bytes(BLOCK))
        cache.flush()
    assert torn - {0, BLOCK}


_OPERATION = st.one_of(
    st.tuples(st.just("write"), st.integers(0, BLOCKS - 4), st.integers(1, 4)),
    st.tuples(st.just("flush"), st.just(0), st.just(0)),
)


@given(operations=st.lists(_OPERATION, max_size=30), way=st.sampled_from(WAYS), seed=st.integers(0, 100))
def test_every_sector_is_as_it_was_at_the_last_flush_or_as_some_later_write_left_it(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int, int]], way: Way, seed: int
) -> None:
    fd = os.open(tmp_path_factory.mktemp("disk") / "disk", os.O_RDWR | os.O_CREAT)
    try:
        os.truncate(fd, SIZE)
        cache = WriteCache(fd)
        rng = random.Random(seed)
        allowed: list[set[bytes]] = [{bytes(SECTOR)} for _ in range(SIZE // SECTOR)]
        newest = [bytes(SECTOR)] * (SIZE // SECTOR)
        for what, block, count in operations:
            if what == "flush":
                cache.flush()
                allowed = [{each} for each in newest]
                continue
            data = rng.randbytes(count * BLOCK)
            cache.write(block * BLOCK, data)
            for at in range(0, len(data), SECTOR):
                sector = (block * BLOCK + at) // SECTOR
                newest[sector] = data[at : at + SECTOR]
                allowed[sector].add(newest[sector])
        cache.cut()
        cache.restore(way, seed)
        for sector, possible in enumerate(allowed):
            assert cache.read(sector * SECTOR, SECTOR) in possible
    finally:
        os.close(fd)
