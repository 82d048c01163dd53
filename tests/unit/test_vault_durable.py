"""The recipe for durable files, and the disk it is made of: in this order, and nothing is left when a step fails."""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edged.errors import FullError, StorageError
from edged.evidence.digests import Digests
from edged.evidence.ids import RecorderId, SegmentId
from edged.vault.disk import Disk
from edged.vault.durable import Draft, keep
from edged.vault.place import CHUNKS_FILE, Place, place
from edged.vault.vault import Vault
from tests.unit.kept import keep_original

DATA = b"footage" * 1000
_CLOSED = 1_000_000
"""A descriptor that nobody opened."""
WHERE = place(
    recorder=RecorderId("rec-0001"),
    segment=SegmentId("sg-0123"),
    path="20261121/a.mp4",
    day="2026-11-21T07:00:00.000+08:00",
)


@dataclass
class Scripted(Disk):
    """The real disk, written down, that refuses at one step."""

    root: Path
    fail_at: int | None = None
    error: StorageError = field(default_factory=lambda: StorageError("The disk refuses."))
    steps: list[str] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)
    watch: Callable[[], None] = lambda: None

    def _step(self, name: str, path: Path) -> None:
        if len(self.steps) == self.fail_at:
            self.steps.append(f"{name} fails")
            raise self.error
        shown = "NAME" if path.suffix == ".part" else str(path.relative_to(self.root))
        self.steps.append(f"{name} {shown}")
        self.watch()

    def create(self, path: Path) -> int:
        self._step("create", path)
        return super().create(path)

    def write(self, fd: int, buffer: memoryview, path: Path) -> None:
        self._step("write", path)
        super().write(fd, buffer, path)

    def write_at(self, fd: int, buffer: memoryview, offset: int, path: Path) -> None:
        self._step("write", path)
        super().write_at(fd, buffer, offset, path)

    def sync(self, fd: int, path: Path) -> None:
        self._step("sync", path)
        self.modes["at sync"] = stat.S_IMODE(os.fstat(fd).st_mode)
        super().sync(fd, path)

    def sync_folder(self, folder: Path) -> None:
        self._step("sync folder", folder)
        super().sync_folder(folder)

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename to", target)
        super().rename(source, target)


@pytest.fixture
def disk(tmp_path: Path) -> Scripted:
    return Scripted(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---------------------------------------------------------------------------------------------------- the recipe


def test_file_is_whole_read_only_and_durable_before_it_has_its_name(tmp_path: Path, disk: Scripted) -> None:
    target = tmp_path / "a" / "final"
    seen = []
    disk.watch = lambda: seen.append(target.exists())
    keep(disk, target, [b"one", b"two"], temporary=tmp_path / "x.part")
    assert disk.steps == [
        "create NAME",
        "write NAME",
        "write NAME",
        "sync NAME",
        "sync folder .",
        "rename to a/final",
        "sync folder a",
    ]
    assert seen == [False] * 6 + [True]
    assert disk.modes["at sync"] == 0o440
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"onetwo", 0o440)
    assert files(tmp_path) == {"a/final": b"onetwo"}


def test_every_step_that_fails_before_the_rename_leaves_nothing(tmp_path: Path) -> None:
    keep(probe := Scripted(tmp_path), tmp_path / "p" / "final", [DATA, DATA], temporary=tmp_path / "x.part")
    rename = probe.steps.index("rename to p/final")
    for step in range(rename + 1):
        folder = tmp_path / str(step)
        folder.mkdir()
        disk = Scripted(folder, fail_at=step, error=FullError("The disk is full."))
        with pytest.raises(FullError):
            keep(disk, folder / "p" / "final", [DATA, DATA], temporary=folder / "x.part")
        assert disk.steps[-1].endswith("fails")
        assert files(folder) == {}


def test_file_that_cannot_be_made_durable_under_its_name_is_an_error_and_whole(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    disk = Scripted(tmp_path, fail_at=4)
    with pytest.raises(StorageError):
        keep(disk, tmp_path / "p" / "final", [DATA], temporary=tmp_path / "x.part")
    assert disk.steps[-2:] == ["rename to p/final", "sync folder fails"]
    assert files(tmp_path) == {"p/final": DATA}


@pytest.mark.parametrize("size", [0, len(DATA) - 1, len(DATA) + 1])
def test_file_of_another_length_than_meant_gets_no_name(tmp_path: Path, disk: Scripted, size: int) -> None:
    with Draft(disk, tmp_path / "x.part") as draft:
        draft.write(DATA)
        with pytest.raises(StorageError, match="were meant"):
            draft.settle(size)
        with pytest.raises(StorageError, match="not settled"):
            draft.rename(tmp_path / "final")
    assert files(tmp_path) == {}


def test_file_that_somebody_else_lengthened_gets_no_name(tmp_path: Path, disk: Scripted) -> None:
    with Draft(disk, tmp_path / "x.part") as draft:
        draft.write(DATA)
        with (tmp_path / "x.part").open("ab") as stranger:
            stranger.write(b"more")
        with pytest.raises(StorageError, match="were meant"):
            draft.settle(len(DATA))
    assert files(tmp_path) == {}


def test_settled_file_is_not_written_again(tmp_path: Path, disk: Scripted) -> None:
    with Draft(disk, tmp_path / "x.part") as draft:
        draft.settle(0)
        with pytest.raises(StorageError, match="finished"):
            draft.write(b"more")
        with pytest.raises(StorageError, match="finished"):
            draft.settle(0)


def test_draft_that_is_left_by_any_exception_leaves_nothing(tmp_path: Path, disk: Scripted) -> None:
    with pytest.raises(KeyboardInterrupt), Draft(disk, tmp_path / "x.part") as draft:
        _write_and_interrupt(draft)
    assert files(tmp_path) == {}


def _write_and_interrupt(draft: Draft) -> None:
    draft.write(DATA)
    raise KeyboardInterrupt


def test_discarding_twice_and_after_the_rename_harms_nothing(tmp_path: Path, disk: Scripted) -> None:
    draft = Draft(disk, tmp_path / "x.part")
    draft.write(DATA)
    draft.settle(len(DATA))
    draft.rename(tmp_path / "final")
    draft.discard()
    draft.discard()
    assert files(tmp_path) == {"final": DATA}


def test_temporary_name_that_is_taken_is_refused(tmp_path: Path, disk: Scripted) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "x.part").symlink_to("precious")
    (tmp_path / "y.part").write_bytes(b"another's")
    for name in ("x.part", "y.part"):
        with pytest.raises(StorageError, match="File exists"):
            Draft(disk, tmp_path / name)
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("buffer", [b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4]])
def test_buffers_of_every_kind_are_taken(tmp_path: Path, disk: Scripted, buffer: bytes) -> None:
    with Draft(disk, tmp_path / "x.part") as draft:
        draft.write(buffer)
        draft.settle(3)
        draft.rename(tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == b"abc"


# ------------------------------------------------------------------------------------------------------ the disk


def test_full_disk_is_a_full_error() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(FullError, match="nothing was lost"):
        Disk().write(fd, memoryview(b"x"), Path("/vault"))
    os.close(fd)


def test_every_other_refusal_is_a_storage_error(tmp_path: Path) -> None:
    disk, gone = Disk(), tmp_path / "gone"
    (tmp_path / "file").touch()
    acts: list[Callable[[], object]] = [
        lambda: disk.create(gone / "file"),
        lambda: disk.write(_CLOSED, memoryview(b"x"), gone),
        lambda: disk.sync(_CLOSED, gone),
        lambda: disk.sync_folder(gone),
        lambda: disk.sync_folder(tmp_path / "file"),
        lambda: disk.rename(gone, tmp_path / "x"),
        lambda: disk.remove(tmp_path),
        lambda: disk.make_folders(tmp_path / "file" / "folder"),
        lambda: disk.free_bytes(gone),
    ]
    for act in acts:
        with pytest.raises(StorageError) as caught:
            act()
        assert not isinstance(caught.value, FullError)
        assert caught.value.retry


def test_quota_that_is_used_up_is_a_full_disk(tmp_path: Path) -> None:
    from edged.vault.disk import _wrapped  # noqa: PLC0415 - what the kernel says cannot be had here without a quota

    for number in (errno.EDQUOT, errno.ENOSPC):
        with pytest.raises(FullError), _wrapped(tmp_path):
            raise OSError(number, "full")


def test_folders_are_made_durable_from_the_top(tmp_path: Path, disk: Scripted) -> None:
    disk.make_folders(tmp_path / "a" / "b" / "c")
    assert disk.steps == ["sync folder .", "sync folder a", "sync folder a/b"]
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) & 0o027 == 0
    disk.steps.clear()
    disk.make_folders(tmp_path / "a" / "b" / "c")
    assert disk.steps == []


def test_folder_that_could_not_be_made_durable_is_made_again(tmp_path: Path) -> None:
    disk = Scripted(tmp_path, fail_at=1)
    with pytest.raises(StorageError):
        disk.make_folders(tmp_path / "a" / "b")
    disk.steps.clear()
    disk.fail_at = None
    disk.make_folders(tmp_path / "a" / "b")
    assert disk.steps == ["sync folder a"]


def test_free_bytes_are_those_an_unprivileged_process_may_use(tmp_path: Path) -> None:
    found = os.statvfs(tmp_path)
    assert abs(Disk().free_bytes(tmp_path) - found.f_bavail * found.f_frsize) < 1 << 30


# ----------------------------------------------------------------------------------------------------- the vault


@pytest.fixture
def vault(tmp_path: Path, disk: Scripted) -> Vault:
    vault = Vault(tmp_path, disk)
    disk.steps.clear()
    return vault


def seal(vault: Vault, data: bytes = DATA) -> Digests:
    return keep_original(vault, WHERE, data)


def test_original_lies_beside_its_chunk_list_under_the_key_its_entry_gives(tmp_path: Path, vault: Vault) -> None:
    found = seal(vault)
    folder = "segments/rec-0001/2026/11/21/sg-0123"
    lying = {name: data for name, data in files(tmp_path).items() if not name.startswith("incoming/")}
    assert lying == {f"{folder}/a.mp4": DATA, f"{folder}/{CHUNKS_FILE}": found.chunk_list}
    assert vault.original(WHERE) == tmp_path / WHERE.key
    assert vault.chunk_list(WHERE) == found.chunk_list
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / folder).iterdir()}
    assert modes == {0o440}


def test_original_never_lies_there_without_its_chunk_list(tmp_path: Path, vault: Vault, disk: Scripted) -> None:
    original, chunks = tmp_path / WHERE.key, tmp_path / WHERE.folder / CHUNKS_FILE
    disk.watch = lambda: pytest.fail("alone") if original.exists() and not chunks.exists() else None
    seal(vault)
    renames = [step.rpartition("/")[2] for step in disk.steps if step.startswith("rename")]
    assert renames == [CHUNKS_FILE, "a.mp4"]


def test_every_step_that_fails_leaves_no_original_and_the_next_try_succeeds(tmp_path: Path) -> None:
    probe = Scripted(tmp_path)
    seal(Vault(tmp_path, probe))
    begun = next(number for number, step in enumerate(probe.steps) if step.startswith("create"))
    for step in range(begun, len(probe.steps) - 1):
        root = tmp_path / str(step)
        root.mkdir()
        disk = Scripted(root, fail_at=step)
        vault = Vault(root, disk)
        with pytest.raises(StorageError):
            seal(vault)
        assert not vault.original(WHERE).exists()
        assert list((root / "incoming").iterdir()) == []
        seal(vault)
        assert vault.original(WHERE).read_bytes() == DATA


def test_segment_that_was_kept_without_its_entry_is_kept_again(tmp_path: Path, vault: Vault) -> None:
    seal(vault)
    seal(vault)
    assert vault.original(WHERE).read_bytes() == DATA
    assert {path.suffix for path in (tmp_path / "incoming").iterdir()} == {".unsealed"}


def test_empty_segment_has_an_empty_chunk_list(vault: Vault) -> None:
    seal(vault, b"")
    assert (vault.original(WHERE).read_bytes(), vault.chunk_list(WHERE)) == (b"", b"")


def test_what_an_interrupted_copy_left_is_removed_at_the_start(tmp_path: Path, vault: Vault) -> None:
    seal(vault)
    (tmp_path / "incoming" / "0123.part").write_bytes(b"half")
    vault.incoming.clear()
    vault.unsealed.clear(lambda _: WHERE)
    assert list((tmp_path / "incoming").iterdir()) == []
    assert vault.original(WHERE).read_bytes() == DATA


def test_chunk_list_that_is_not_there_is_unreadable(vault: Vault) -> None:
    with pytest.raises(Exception, match="cannot be read: No such file"):
        vault.chunk_list(WHERE)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("20261121/A100001_110203_20261121070000_0001.MP4", "A100001_110203_20261121070000_0001.MP4"),
        ("../../../etc/passwd", "passwd"),
        ("folder/..", "_._"),
        ("%2E%2E%2Fx", "_2E_2E_2Fx"),
        ("视频.mp4", "__.mp4"),
        ("chunks.sha256", "_chunks.sha256"),
        ("entry.json", "_entry.json"),
        ("-rf", "_-rf"),
        ("a b;c", "a_b_c"),
    ],
)
def test_name_of_an_original_is_never_a_way_out(path: str, name: str) -> None:
    where = place(recorder=RecorderId("r"), segment=SegmentId("s"), path=path, day="2026-11-21T07:00:00Z")
    assert Path(where.key).parent == Path(where.folder)
    assert where.name == name


@pytest.mark.parametrize(
    ("day", "folder"),
    [
        ("2026-11-21T00:30:00.000+08:00", "2026/11/21"),
        ("2026-11-20T23:30:00.000-08:00", "2026/11/20"),
        ("2026-01-02T03:04:05.678Z", "2026/01/02"),
    ],
)
def test_day_is_that_of_the_claim_in_its_own_zone(day: str, folder: str) -> None:
    where = place(recorder=RecorderId("r"), segment=SegmentId("s"), path="a", day=day)
    assert where == Place(recorder=RecorderId("r"), day=where.day, segment=SegmentId("s"), name="a")
    assert where.folder == f"segments/r/{folder}/s"


def test_time_without_an_offset_files_nothing() -> None:
    with pytest.raises(ValueError, match="no offset"):
        place(recorder=RecorderId("r"), segment=SegmentId("s"), path="a", day="2026-11-21T00:30:00")
