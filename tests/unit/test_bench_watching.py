"""What the bench sees of processes and files, and what it makes of a station's own counting."""

import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edged.errors import ToolError
from tests.bench import peers
from tests.bench.report import Row
from tests.bench.setting import FULL, MIB, QUICK, Setting
from tests.bench.taking import lags
from tests.bench.watching import (
    Peak,
    below,
    cpu_seconds,
    family,
    family_memory_bytes,
    first_read,
    memory_bytes,
    tells_of_file,
)

ACCESS = 0x1
ACCESS_OF_FOLDER = 0x4000_0001
HOLDER = "held = bytearray(b'x' * int({bytes})); print(flush=True); input()"


def event(mask: int, name: bytes = b"") -> bytes:
    """Give an event as inotify(7) does, its name padded with zeros."""
    padded = name + bytes(-len(name) % 16)
    return struct.pack("iIII", 1, mask, 0, len(padded)) + padded


def test_lag_of_each_file_counts_from_the_buffer_that_held_its_last_byte() -> None:
    read = [(0, 0.0), (100, 1.0), (150, 2.0), (300, 3.0)]
    assert lags([120, 30, 150], read, [2.5, 4.0, 7.0]) == [0.5, 2.0, 4.0]


def test_empty_file_has_its_last_byte_with_the_file_before() -> None:
    assert lags([0, 10, 0], [(0, 1.0), (10, 2.0)], [1.5, 2.5, 4.0]) == [0.5, 0.5, 2.0]


@pytest.mark.parametrize(
    ("read", "sealed"),
    [([(0, 0.0), (10, 1.0)], [2.0]), ([(0, 0.0), (9, 1.0)], [2.0, 3.0]), ([], [2.0, 3.0])],
    ids=["one file too few", "one byte too few", "nothing was read"],
)
def test_lags_of_other_files_than_were_taken_are_refused(read: list[tuple[int, float]], sealed: list[float]) -> None:
    with pytest.raises(ToolError):
        lags([4, 6], read, sealed)


def test_listing_a_folder_is_not_reading_a_file() -> None:
    listing = event(ACCESS_OF_FOLDER) + event(ACCESS_OF_FOLDER, b"DCIM")
    assert not tells_of_file(b"")
    assert not tells_of_file(listing)
    assert tells_of_file(listing + event(ACCESS, b"VID_20261121_000001_0001.MP4"))


def test_first_read_is_seen_when_a_file_below_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"x")
    with first_read(iter([tmp_path])) as watch:
        assert [path.name for path in tmp_path.iterdir()] == ["a"]
        with pytest.raises(ToolError):
            watch.wait(0.05)
        file.read_bytes()
        assert watch.wait(5.0) > 0


def test_first_read_of_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError), first_read(iter([tmp_path / "gone"])):
        pass


def test_family_is_all_that_lie_below_and_nobody_else() -> None:
    assert below(10, {10: 1, 11: 10, 12: 11, 20: 1, 21: 20}) == {10, 11, 12}
    assert below(10, {}) == {10}


def test_memory_of_a_child_counts_and_is_gone_with_it() -> None:
    code = HOLDER.format(bytes=64 * MIB)
    command = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        with Peak(parent.pid) as peak:
            for _ in range(200):
                if peak.bytes < 64 * MIB:
                    threading.Event().wait(0.05)
        assert 64 * MIB <= peak.bytes < 256 * MIB
        assert len(family(parent.pid)) == 2
        assert memory_bytes(parent.pid) < 64 * MIB
        parent.communicate(b"\n")
    assert memory_bytes(parent.pid) == 0
    assert cpu_seconds(os.getpid()) > 0


def test_child_that_still_uses_the_memory_of_its_parent_is_not_counted_twice() -> None:
    code = f"import os; held = bytearray(b'x' * {64 * MIB}); os.fork() and print(flush=True); os.read(0, 1)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert len(family(parent.pid)) == 2
        assert family_memory_bytes(parent.pid) == pytest.approx(memory_bytes(parent.pid), rel=0.1)
        parent.communicate(b"\n\n")


def test_peer_that_is_missing_is_left_out_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    setting = Setting(scale=QUICK, folder=tmp_path, card=tmp_path, files=(), tell=lambda _: None)
    assert peers.find(setting, "ascmhl", "offload beside ASC MHL", install="pipx install ascmhl") is None
    assert peers.find(setting, "rsync", "offload beside rsync") is None
    assert setting.left_out == [
        "offload beside ASC MHL: ascmhl is not installed; pipx install ascmhl",
        "offload beside rsync: rsync is not installed; sudo apt-get install rsync",
    ]


@pytest.mark.parametrize("count", [3, 150], ids=["few files", "many files"])
def test_peers_copy_everything(tmp_path: Path, count: int) -> None:
    source = tmp_path / "card"
    (source / "DCIM").mkdir(parents=True)
    for number in range(count):
        (source / "DCIM" / f"{number}").write_bytes(b"%d" % number)
    peers.cp(source, tmp_path / "copy")
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy" / "DCIM").iterdir()} == {
        f"{number}": b"%d" % number for number in range(count)
    }


def test_budget_of_a_row_is_of_the_ratio_to_its_peer() -> None:
    row = Row(what="offload", unit="MB/s", edged=[300, 100, 200], peer="cp", theirs=[400, 400], at_least=0.5)
    assert row.value == 0.5
    assert row.met is True
    assert Row(what="memory", unit="MiB", edged=[301.0], at_most=300).met is False
    assert Row(what="spread", unit="times", edged=[1.1]).met is None


def test_quick_bench_takes_less_room_than_the_full_one() -> None:
    assert 2 * QUICK.needed_bytes < FULL.needed_bytes
    assert FULL.small_files == 10_000
