"""The copying pass: what is durable at the end is what was read and digested, or nothing is."""

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edged.clock import SystemClock
from edged.errors import FullError, RecorderError, StoppedError
from edged.evidence.digests import CHUNK_BYTES, Digests
from edged.evidence.ids import RecorderId
from edged.offload.copying import ChangedError, Copied, copy, digest
from edged.offload.reading import CardReader
from edged.offload.ring import BUFFER_BYTES, Ring
from edged.vault.disk import Disk
from edged.vault.incoming import Incoming, Original, Source, digest_parked

SIZES = [
    *(0, 1, 4095, 4097, BUFFER_BYTES - 1, BUFFER_BYTES, BUFFER_BYTES + 1),
    *(CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 20 << 20),
]


def content(size_bytes: int) -> bytes:
    return random.Random(size_bytes).randbytes(size_bytes)


@dataclass
class Bench:
    """A card with one file, and a vault to copy it into."""

    folder: Path
    disk: Disk = field(default_factory=Disk)
    stop: threading.Event = field(default_factory=threading.Event)
    told: list[int] = field(default_factory=list)
    on_bytes: Callable[[int], None] = lambda _: None

    def __post_init__(self) -> None:
        self.card = self.folder / "card.mp4"
        self.incoming = Incoming(self.folder / "incoming", self.disk)
        self.ring = Ring()
        self._fds: list[int] = []

    def source(self, data: bytes) -> CardReader:
        """Put these bytes on the card and open them."""
        self.card.write_bytes(data)
        self._fds.append(os.open(self.card, os.O_RDONLY))
        return CardReader(self._fds[-1], clock=SystemClock(), stop=self.stop, still_there=self.is_there)

    def is_there(self) -> None:
        if not self.card.exists():
            raise RecorderError("The recorder is not there any more.")

    def of(self, size_bytes: int) -> Source:
        return Source(recorder=RecorderId("r"), path="card.mp4", size_bytes=size_bytes, modified_ns=1)

    def begin(self, size_bytes: int) -> Original:
        return self.incoming.begin(self.of(size_bytes))

    def copy(self, source: CardReader, draft: Original, known: tuple[bytes, ...] = ()) -> Copied:
        return copy(source, draft, self.ring, on_bytes=self._told, known=known)

    def take(self, data: bytes) -> tuple[Digests, bytes]:
        """Copy these bytes as the station does, and give what came of it."""
        source, draft = self.source(data), self.begin(len(data))
        with draft:
            found = self.copy(source, draft).digests
            draft.settle(found.size_bytes)
            draft.rename(self.folder / "kept.mp4")
        return found, (self.folder / "kept.mp4").read_bytes()

    def left(self) -> list[str]:
        return sorted(path.suffix for path in (self.folder / "incoming").iterdir())

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self.ring.__exit__(None, None, None)

    def _told(self, read_bytes: int) -> None:
        self.told.append(read_bytes)
        self.on_bytes(read_bytes)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def check(found: Digests, data: bytes) -> None:
    assert (found.size_bytes, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    starts = range(0, len(data), CHUNK_BYTES)
    assert list(found.parts) == [hashlib.sha256(data[at : at + CHUNK_BYTES]).digest() for at in starts]


@pytest.mark.parametrize("size", SIZES)
def test_copy_and_both_digests_are_those_of_the_file(bench: Bench, size: int) -> None:
    data = content(size)
    found, kept = bench.take(data)
    check(found, data)
    assert kept == data
    assert sum(bench.told) == size
    assert bench.left() == []


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_digests_of_a_file_that_is_only_sighted_are_the_same(bench: Bench, size: int) -> None:
    data = content(size)
    check(digest(bench.source(data), bench.ring, on_bytes=bench.told.append), data)
    assert sum(bench.told) == size


def test_one_ring_serves_file_after_file_of_any_length(bench: Bench) -> None:
    for size in (CHUNK_BYTES + 7, 5, 0, BUFFER_BYTES, 3 * BUFFER_BYTES + 1):
        data = content(size)
        found, kept = bench.take(data)
        check(found, data)
        assert kept == data


def test_slow_disk_is_given_every_buffer_as_it_was_read(tmp_path: Path) -> None:
    class Slow(Disk):
        """Looks at a buffer late: one that is read into too early would show."""

        def write_at(self, fd: int, buffer: memoryview, offset: int, path: Path) -> None:
            time.sleep(0.01)
            super().write_at(fd, buffer, offset, path)

    bench = Bench(tmp_path, disk=Slow())
    data = content(3 * CHUNK_BYTES + 5)
    found, kept = bench.take(data)
    bench.close()
    check(found, data)
    assert kept == data


LATE = 2 * CHUNK_BYTES // BUFFER_BYTES + 4


@pytest.mark.parametrize("failing", [0, 1, LATE])
def test_vault_that_is_full_midway_is_said_and_leaves_nothing_but_whole_chunks(tmp_path: Path, failing: int) -> None:
    class Small(Disk):
        written = 0

        def write_at(self, fd: int, buffer: memoryview, offset: int, path: Path) -> None:
            if self.written == failing:
                raise FullError("The vault is full.")
            self.written += 1
            super().write_at(fd, buffer, offset, path)

    bench = Bench(tmp_path, disk=Small())
    data = content(3 * CHUNK_BYTES)
    with pytest.raises(FullError):
        bench.copy(bench.source(data), bench.begin(len(data)))
    parked = bench.incoming.parked()
    bench.close()
    assert [each.size_bytes for each in parked] == ([2 * CHUNK_BYTES] if failing == LATE else [])
    assert all(each.part.read_bytes() == data[: each.size_bytes] for each in parked)
    assert len(bench.left()) == 2 * len(parked)


def test_stopping_ends_a_copy_at_the_next_buffer(bench: Bench) -> None:
    bench.on_bytes = lambda _: bench.stop.set()
    data = content(3 * CHUNK_BYTES)
    with pytest.raises(StoppedError):
        bench.copy(bench.source(data), bench.begin(len(data)))
    assert bench.told == [BUFFER_BYTES]
    assert bench.left() == []
    with pytest.raises(StoppedError):
        digest(bench.source(content(10)), bench.ring, on_bytes=bench.told.append)


def test_no_thread_outlives_a_copy(bench: Bench) -> None:
    before = threading.active_count()
    bench.take(content(CHUNK_BYTES))
    assert threading.active_count() == before


# ---------------------------------------------------------------------------------------------- going on with it


def interrupted(bench: Bench, data: bytes, after_bytes: int) -> None:
    """Have the recorder leave when so many bytes were read."""

    def leave(_: int) -> None:
        if sum(bench.told) >= after_bytes:
            bench.stop.set()

    bench.on_bytes = leave
    with pytest.raises(StoppedError):
        bench.copy(bench.source(data), bench.begin(len(data)))
    bench.on_bytes = lambda _: None
    bench.stop.clear()
    bench.told.clear()


def test_interrupted_copy_leaves_its_whole_chunks_and_a_note_of_them(bench: Bench) -> None:
    data = content(5 * CHUNK_BYTES)
    interrupted(bench, data, 2 * CHUNK_BYTES + BUFFER_BYTES)
    (parked,) = bench.incoming.parked(RecorderId("r"))
    assert parked.of == bench.of(len(data))
    # What was read last may not have been written any more.
    assert parked.size_bytes in {CHUNK_BYTES, 2 * CHUNK_BYTES}
    assert parked.part.read_bytes() == data[: parked.size_bytes]
    assert digest_parked(parked, stop=bench.stop).parts == parked.parts
    assert bench.incoming.parked(RecorderId("another")) == []
    bench.incoming.clear()
    assert bench.left() == [".parked", ".part"]


def test_copy_goes_on_where_it_was_interrupted_and_writes_no_chunk_twice(tmp_path: Path) -> None:
    class Counting(Disk):
        offsets: list[int] = []  # noqa: RUF012 - one disk a test

        def write_at(self, fd: int, buffer: memoryview, offset: int, path: Path) -> None:
            self.offsets.append(offset)
            super().write_at(fd, buffer, offset, path)

    bench = Bench(tmp_path, disk=Counting())
    data = content(4 * CHUNK_BYTES + 9)
    interrupted(bench, data, 3 * CHUNK_BYTES)
    (parked,) = bench.incoming.parked()
    Counting.offsets.clear()
    with bench.incoming.go_on(parked) as draft:
        found = bench.copy(bench.source(data), draft, parked.parts)
        draft.settle(found.digests.size_bytes)
        draft.rename(tmp_path / "kept")
    bench.close()
    check(found.digests, data)
    assert (tmp_path / "kept").read_bytes() == data
    assert Counting.offsets == list(range(parked.size_bytes, len(data), BUFFER_BYTES))
    assert sum(bench.told) == len(data)
    assert bench.left() == []


def test_two_cards_are_never_put_together_into_one_segment(bench: Bench) -> None:
    data = content(4 * CHUNK_BYTES)
    interrupted(bench, data, 3 * CHUNK_BYTES)
    (parked,) = bench.incoming.parked()
    forged = data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
    with pytest.raises(ChangedError) as caught:
        bench.copy(bench.source(forged), bench.incoming.go_on(parked), parked.parts)
    assert caught.value.chunk == 0
    assert bench.incoming.parked() == [parked]
    assert parked.part.read_bytes() == data[: parked.size_bytes]


def test_file_that_became_shorter_than_what_was_copied_is_another_file(bench: Bench) -> None:
    data = content(4 * CHUNK_BYTES)
    interrupted(bench, data, 3 * CHUNK_BYTES)
    (parked,) = bench.incoming.parked()
    with pytest.raises(ChangedError):
        bench.copy(bench.source(data[:CHUNK_BYTES]), bench.incoming.go_on(parked), parked.parts)
    assert bench.incoming.parked() == [parked]


def test_interrupted_again_before_the_old_end_nothing_of_the_old_is_lost(bench: Bench) -> None:
    data = content(5 * CHUNK_BYTES)
    interrupted(bench, data, 4 * CHUNK_BYTES)
    (parked,) = bench.incoming.parked()
    bench.on_bytes = lambda _: bench.stop.set()
    with pytest.raises(StoppedError):
        bench.copy(bench.source(data), bench.incoming.go_on(parked), parked.parts)
    assert bench.incoming.parked() == [parked]


@pytest.mark.parametrize("torn", ["half a digest", "another line", "no note", "short part", "strange head"])
def test_part_is_taken_for_no_more_than_its_note_and_length_say(bench: Bench, torn: str) -> None:
    data = content(5 * CHUNK_BYTES)
    interrupted(bench, data, 4 * CHUNK_BYTES)
    (parked,) = bench.incoming.parked()
    lines = parked.note.read_bytes().splitlines(keepends=True)
    parked.note.chmod(0o600)
    expected = len(parked.parts)
    match torn:
        case "half a digest":
            parked.note.write_bytes(b"".join(lines) + b"0123")
        case "another line":
            parked.note.write_bytes(b"".join(lines) + b"x" * 64 + b"\n")
        case "no note":
            parked.note.unlink()
            expected = 0
        case "short part":
            os.truncate(parked.part, CHUNK_BYTES + 1)
            expected = 1
        case _:
            parked.note.write_bytes(b"".join([b"edged-parked-2 r 1 1 p\n", *lines[1:]]))
            expected = 0
    assert [len(each.parts) for each in bench.incoming.parked()] == ([expected] if expected else [])
    bench.incoming.clear()
    assert len(bench.left()) == (2 if expected else 0)


def test_settled_part_of_a_station_that_was_killed_is_gone_on_with_by_its_own_user(bench: Bench) -> None:
    data = content(3 * CHUNK_BYTES)
    interrupted(bench, data, 2 * CHUNK_BYTES)
    (parked,) = bench.incoming.parked()
    parked.part.chmod(0o440)
    with bench.incoming.go_on(parked):
        assert parked.part.stat().st_mode & 0o200


def test_what_was_noted_outlives_whatever_goes_wrong_later(bench: Bench) -> None:
    data = content(4 * CHUNK_BYTES)
    interrupted(bench, data, 3 * CHUNK_BYTES)
    (parked,) = bench.incoming.parked()
    with pytest.raises(FullError), bench.incoming.go_on(parked) as draft:  # noqa: PT012 - what goes wrong, and when
        bench.copy(bench.source(data), draft, parked.parts)
        draft.settle(len(data))
        raise FullError("The disk is full.")
    (left,) = bench.incoming.parked()
    assert left.parts[: len(parked.parts)] == parked.parts
    with bench.incoming.go_on(left) as draft:
        found = bench.copy(bench.source(data), draft, left.parts)
        draft.settle(len(data))
        draft.rename(bench.folder / "kept")
    check(found.digests, data)
    assert (bench.folder / "kept").read_bytes() == data
    assert bench.left() == []


def test_note_that_was_torn_goes_on_with_whole_lines(bench: Bench) -> None:
    data = content(4 * CHUNK_BYTES)
    interrupted(bench, data, 2 * CHUNK_BYTES)
    (parked,) = bench.incoming.parked()
    with parked.note.open("ab") as note:
        note.write(b"abc12")
    bench.on_bytes = lambda _: bench.stop.set() if sum(bench.told) >= len(data) - BUFFER_BYTES else None
    with pytest.raises(StoppedError):
        bench.copy(bench.source(data), bench.incoming.go_on(parked), parked.parts)
    bench.stop.clear()
    (left,) = bench.incoming.parked()
    assert left.parts == digest_parked(left, stop=bench.stop).parts
    assert len(left.parts) >= len(parked.parts)


def test_note_that_cannot_be_read_just_now_loses_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(bench, content(4 * CHUNK_BYTES), 3 * CHUNK_BYTES)
    read_bytes = Path.read_bytes

    def refuses(path: Path) -> bytes:
        if path.suffix == ".parked":
            raise OSError(24, "Too many open files")
        return read_bytes(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", refuses)
        bench.incoming.clear()
        assert bench.incoming.parked() == []
    assert len(bench.incoming.parked()) == 1


def test_room_behind_the_end_of_a_file_that_was_shorter_is_given_back(bench: Bench) -> None:
    with bench.begin(100 << 20) as draft:
        bench.copy(bench.source(content(2 << 20)), draft)
        draft.settle(2 << 20)
        assert draft.temporary.stat().st_blocks * 512 <= 3 << 20
