"""Cards that lie: bytes that cannot be read, that can be read the second time, and that differ at each reading."""

import errno
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from edged.clock import SystemClock
from edged.errors import RecorderError, StoppedError
from edged.evidence.digests import CHUNK_BYTES, Digester, Digests
from edged.offload import again, reading
from edged.offload.again import Different, Second, read_again
from edged.offload.reading import CardReader
from edged.offload.ring import BUFFER_BYTES

SIZE = 3 * BUFFER_BYTES + 5000


class Quick(SystemClock):
    """A clock of which a minute passes at each look."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self.seconds = 0.0
        self.step = step

    def monotonic(self) -> float:
        self.seconds += self.step
        return self.seconds


class Dying:
    """A file of which some bytes cannot be read, at all or for a few tries."""

    def __init__(self, path: Path, data: bytes, bad: Sequence[range]) -> None:
        path.write_bytes(data)
        self.fd = os.open(path, os.O_RDONLY)
        self.data = data
        self.bad = list(bad)
        self.heals_after: int | None = None
        self.reads: list[tuple[int, int]] = []
        self.failed = 0
        self.on_fail: Callable[[], None] = lambda: None

    def preadv(self, fd: int, buffers: list[memoryview], offset: int) -> int:
        assert fd == self.fd
        length = min(len(buffers[0]), len(self.data) - offset)
        self.reads.append((offset, offset + length))
        if any(bad.start < offset + length and offset < bad.stop for bad in self.bad):
            self.failed += 1
            self.on_fail()
            if self.heals_after is None or self.failed <= self.heals_after:
                raise OSError(errno.EIO, "Input/output error")
        buffers[0][:length] = self.data[offset : offset + length]
        return max(0, length)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Dying]]:
    made = []
    monkeypatch.setattr(reading, "_PAUSES_SECONDS", (0.0, 0.0, 0.0))

    def make(bad: Sequence[range], size: int = SIZE) -> Dying:
        card = Dying(tmp_path / "card", random.Random(1).randbytes(size), bad)
        monkeypatch.setattr(os, "preadv", card.preadv)
        made.append(card)
        return card

    yield make
    monkeypatch.undo()
    for card in made:
        os.close(card.fd)


def reader(card: Dying, step: float = 0.0, there: Callable[[], None] = lambda: None) -> CardReader:
    return CardReader(card.fd, clock=Quick(step), stop=threading.Event(), still_there=there)


def read(source: CardReader) -> bytes:
    found, buffer = b"", memoryview(bytearray(BUFFER_BYTES))
    while length := source.fill(buffer, len(found)):
        found += bytes(buffer[:length])
        if length < BUFFER_BYTES:
            break
    return found


def test_error_that_passes_is_tried_again_and_leaves_no_trace(make: Callable[..., Dying]) -> None:
    card = make([range(5000, 5001)])
    card.heals_after = 3
    source = reader(card)
    assert read(source) == card.data
    assert source.unreadable == ()


@pytest.mark.parametrize(
    "bad",
    [
        [range(1)],
        [range(5000, 5001)],
        [range(4095, 4097)],
        [range(BUFFER_BYTES - 1, BUFFER_BYTES + 1)],
        [range(SIZE - 1, SIZE)],
        [range(10_000, 30_000), range(2 * BUFFER_BYTES + 9000, 2 * BUFFER_BYTES + 9001)],
    ],
)
def test_every_byte_that_can_be_read_is_taken_and_the_others_are_named(
    make: Callable[..., Dying], bad: list[range]
) -> None:
    card = make(bad)
    source = reader(card)
    found = read(source)
    assert len(found) == SIZE
    expected = bytearray(card.data)
    named: set[int] = set()
    for start, end in source.unreadable:
        expected[start:end] = bytes(end - start)
        named |= set(range(start, end))
        # No more than the page around a bad byte is given up.
        assert start % 4096 == 0
        assert end % 4096 == 0 or end == SIZE
    assert found == expected
    lost = {at for each in bad for at in each}
    assert lost <= named
    assert all(any(abs(at - each) < 4096 for each in lost) for at in (min(named), max(named)))
    assert list(source.unreadable) == sorted(source.unreadable)


def test_card_in_shreds_gives_no_more_ranges_than_an_entry_holds(make: Callable[..., Dying]) -> None:
    card = make([range(at, at + 1) for at in range(0, 16 << 20, 8192)], size=16 << 20)
    source = reader(card)
    found = read(source)
    assert len(source.unreadable) == 1000
    for at in range(0, 16 << 20, 8192):
        assert any(start <= at < end for start, end in source.unreadable)
    # What is only widened over is still what the card gave.
    assert found[4096:8192] == card.data[4096:8192]


def test_dying_card_does_not_keep_a_bay_for_days(make: Callable[..., Dying]) -> None:
    card = make([range(8 << 20)], size=8 << 20)
    source = reader(card, step=60.0)
    assert read(source) == bytes(8 << 20)
    assert source.unreadable == ((0, 8 << 20),)
    # Once the time for it is up, a buffer is tried a few times and given up as a whole.
    assert len(card.reads) < 60


def test_recorder_that_left_is_no_damaged_file(make: Callable[..., Dying]) -> None:
    card = make([range(SIZE)])

    def gone() -> None:
        raise RecorderError("The recorder is not there any more.")

    with pytest.raises(RecorderError, match="not there"):
        read(reader(card, there=gone))


def test_recorder_that_leaves_while_its_damage_is_searched_is_no_damaged_file(make: Callable[..., Dying]) -> None:
    card = make([range(5000, 5001)])
    source = reader(card)
    read(source)
    assert source.unreadable
    source.confirm()
    card.bad = [range(SIZE)]
    with pytest.raises(RecorderError, match="stopped giving bytes"):
        source.confirm()


def test_stop_ends_the_search(make: Callable[..., Dying]) -> None:
    card = make([range(SIZE)])
    stop = threading.Event()
    card.on_fail = stop.set
    source = CardReader(card.fd, clock=Quick(0), stop=stop, still_there=lambda: None)
    with pytest.raises(StoppedError):
        read(source)
    assert len(card.reads) == 1


# ----------------------------------------------------------------------------------------------- a second reading


FILM = 5 * CHUNK_BYTES + 77


def digests(data: bytes) -> Digests:
    digester = Digester()
    digester.update(data)
    return digester.finish()


def second(path: Path, first: Digests, how: Second, rot: Callable[[], None] = lambda: None) -> Different | None:
    """Read a file the second time; `rot` is what happens to it when its cache is dropped."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return read_again(fd, first, how, forget=rot, stop=threading.Event(), chance=random.Random(1))
    finally:
        os.close(fd)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film"
    path.write_bytes(random.Random(2).randbytes(FILM))
    return path


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("how", ["off", "sampled", "full"])
def test_card_that_gives_the_same_twice_is_believed(film: Path, how: Second) -> None:
    assert second(film, digests(film.read_bytes()), how) is None


def test_full_reading_finds_one_bit_anywhere_and_says_where(film: Path) -> None:
    first = digests(film.read_bytes())
    flip(film, 3 * CHUNK_BYTES + 5)
    found = second(film, first, "full")
    assert found is not None
    assert found.second_sha256 == digests(film.read_bytes()).sha256 != first.sha256
    assert found.ranges == ((3 * CHUNK_BYTES, 4 * CHUNK_BYTES),)
    assert second(film, first, "off") is None


@pytest.mark.parametrize("at", [0, FILM - 1])
def test_sample_always_holds_the_first_and_the_last_chunk(film: Path, at: int) -> None:
    first = digests(film.read_bytes())
    flip(film, at)
    found = second(film, first, "sampled")
    assert found is not None
    assert found.second_sha256 == digests(film.read_bytes()).sha256


def test_rot_that_differs_at_each_read_is_not_forgiven_when_the_third_reading_agrees(film: Path) -> None:
    first = digests(film.read_bytes())
    flips = iter(range(2))

    def rot() -> None:
        # Before the sample one bit turns, and before all is read it turns back.
        if next(flips, None) is not None:
            flip(film, 10)

    found = second(film, first, "sampled", rot)
    assert found is not None
    assert found.second_sha256 == first.sha256
    assert found.ranges == ((0, CHUNK_BYTES),)


def test_file_that_is_shorter_or_unreadable_the_second_time_is_different(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digests(film.read_bytes())
    os.truncate(film, 2 * CHUNK_BYTES)
    found = second(film, first, "full")
    assert found is not None
    assert found.ranges == tuple((at * CHUNK_BYTES, min((at + 1) * CHUNK_BYTES, FILM)) for at in range(2, 6))

    def fails(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(again, "read_at", fails)
    found = second(film, first, "full")
    assert found is not None
    assert found.second_sha256 is None
    assert len(found.ranges) == 6


def test_file_whose_first_page_cannot_be_read_is_still_a_file_that_can_be(make: Callable[..., Dying]) -> None:
    source = reader(make([range(1)]))
    read(source)
    source.confirm()


def test_as_many_ranges_are_named_as_an_entry_has_room_for(make: Callable[..., Dying]) -> None:
    card = make([range(at, at + 1) for at in range(0, 2 << 20, 8192)], size=2 << 20)
    source = CardReader(card.fd, clock=Quick(0), stop=threading.Event(), still_there=lambda: None, most_ranges=3)
    read(source)
    assert len(source.unreadable) == 3
    assert len(source.anew().unreadable) == 0
