"""What is particular to a folder: keys that lead astray, a NAS that goes away, two stations at once, and its limits."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edged.clock import SystemClock
from edged.errors import EdgedError, StoppedError, StorageError, StoreError, UnavailableError
from edged.evidence.digests import CHUNK_BYTES
from edged.evidence.ids import StoreId
from edged.stores.directory import DirectorySettings, DirectoryStore
from edged.stores.port import MissingError, Upload
from edged.stores.share import INCOMING, MARKER
from edged.stores.share_files import ShareDisk
from tests.unit.mounting import in_namespace, needs_loop, needs_mount

NewUpload = Callable[..., Upload]
NewShare = Callable[[], DirectorySettings]

KEY = "ledger/evidence.example/st-07/checkpoint"


@pytest.fixture
def share(new_share: NewShare) -> DirectorySettings:
    return new_share()


@pytest.fixture
def nas(share: DirectorySettings) -> DirectoryStore:
    return DirectoryStore(share)


class Scripted(ShareDisk):
    """A disk that fails once at a chosen operation, by its name or by its number."""

    def __init__(self, fault: BaseException, *, at: str | int) -> None:
        self.done: list[str] = []
        self._fault: BaseException | None = fault
        self._at = at

    def _step(self, name: str) -> None:
        self.done.append(name)
        if self._fault is not None and self._at in {name, len(self.done)}:
            fault, self._fault = self._fault, None
            raise fault

    def create(self, path: Path) -> int:
        self._step("create")
        return super().create(path)

    def write(self, fd: int, buffer: memoryview, path: Path) -> None:
        self._step("write")
        super().write(fd, buffer, path)

    def sync(self, fd: int, path: Path) -> None:
        self._step("sync")
        super().sync(fd, path)

    def sync_folder(self, folder: Path) -> None:
        self._step("sync_folder")
        super().sync_folder(folder)

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename")
        super().rename(source, target)

    def make_folders(self, folder: Path) -> None:
        self._step("make_folders")
        super().make_folders(folder)

    def point(self, name: Path, version: Path, *, temporary: Path) -> None:
        self._step("point")
        super().point(name, version, temporary=temporary)

    def note_lock(self, path: Path, until: datetime) -> datetime | None:
        self._step("note_lock")
        return super().note_lock(path, until)


class PowerCutError(BaseException):
    """Nothing that runs in the process sees it coming."""


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def whole(store: DirectoryStore, key: str, version: str | None) -> bytes:
    return b"".join(store.read(key, version))


# What lies in the folder


def test_a_file_lies_under_its_plain_name_and_nobody_is_to_write_it(
    nas: DirectoryStore, share: DirectorySettings, new_upload: NewUpload, parts_log: Any
) -> None:
    upload = new_upload(10)
    stored = nas.upload(upload, parts_log, threading.Event())
    assert (stored.version, stored.lock_mode) == ("1", None)
    assert files(share.folder) == {MARKER, upload.key}
    assert (share.folder / upload.key).read_bytes() == upload.source.read_bytes()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in share.folder.rglob("*")]
    assert not any(mode & 0o027 for mode in modes), "nobody else reads it, and nobody but the daemon makes files here"
    assert not any(stat.S_IMODE((share.folder / name).stat().st_mode) & 0o222 for name in files(share.folder))


def test_each_version_stays_and_the_plain_name_is_the_newest(nas: DirectoryStore, share: DirectorySettings) -> None:
    stored = [nas.put(KEY, f"size {size}\n".encode()) for size in range(40)]
    assert [each.version for each in stored] == [str(number) for number in range(1, 41)]
    assert (share.folder / KEY).read_bytes() == nas.newest(KEY) == b"size 39\n"
    assert [whole(nas, KEY, each.version) for each in stored] == [f"size {size}\n".encode() for size in range(40)]
    assert not list((share.folder / INCOMING).iterdir())


def test_the_same_bytes_again_make_no_further_version(nas: DirectoryStore) -> None:
    assert [nas.put(KEY, data).version for data in (b"1", b"1", b"2", b"2", b"1")] == ["1", "1", "2", "2", "3"]
    assert nas.newest(KEY) == b"1"


def test_two_stations_that_store_to_one_key_at_once_lose_nothing(share: DirectorySettings) -> None:
    start, stored = threading.Barrier(4), {}

    def store(station: int) -> None:
        nas = DirectoryStore(share)
        start.wait()
        for number in range(10):
            data = f"{station} {number}".encode()
            stored[data] = nas.put("segments/one/entry.json", data).version

    threads = [threading.Thread(target=store, args=(station,)) for station in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nas = DirectoryStore(share)
    assert sorted(int(version or 0) for version in stored.values()) == list(range(1, 41))
    assert {whole(nas, "segments/one/entry.json", version) for version in stored.values()} == set(stored)


# Names that lead astray

HOSTILE = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    ".",
    "a/./b",
    "a//b",
    "a/",
    "a\0b",
    "a\nb",
    "a\x1b[31m",
    "gbk-\udcd6\udcb4",
    "a~",
    "a~/1",
    f"{KEY}~/1",
    MARKER,
    f"{INCOMING}/x",
    "n" * 256,
    f"{'n' * 256}/x",
    "执" * 100,
    "/".join(["folder"] * 200),
]


@pytest.mark.parametrize("key", HOSTILE)
def test_a_key_that_leads_astray_is_refused_before_anything_is_touched(
    nas: DirectoryStore, share: DirectorySettings, new_upload: NewUpload, parts_log: Any, key: str
) -> None:
    upload, around = new_upload(1, to=key), files(share.folder.parent)
    with pytest.raises(StoreError, match="is no key"):
        nas.put(key, b"1")
    with pytest.raises(StoreError, match="is no key"):
        nas.upload(upload, parts_log, threading.Event())
    with pytest.raises(StoreError, match="is no key"):
        nas.newest(key)
    with pytest.raises(MissingError):
        nas.stat(key, "1")
    with pytest.raises(MissingError):
        list(nas.read(key, "1"))
    assert files(share.folder.parent) == around


@pytest.mark.parametrize("key", ["案件/2026-001/执法视频.mp4", "catalog/station=st 7/a+b.gz", "-rf", "a" * 254])
def test_a_key_that_is_only_unusual_is_stored(nas: DirectoryStore, key: str) -> None:
    assert whole(nas, key, nas.put(key, b"1").version) == b"1"


@pytest.mark.parametrize(
    "version", ["0", "-1", "01", "1 ", "", "..", "../clip", "1/../1", "\u0661", "1e0", "9" * 30, f"../../{MARKER}"]
)
def test_a_version_that_leads_astray_is_missing(nas: DirectoryStore, version: str) -> None:
    nas.put("a", b"1")
    nas.put("a", b"2")
    with pytest.raises(MissingError, match="does not hold it"):
        nas.stat("a", version)


def test_a_version_must_be_named(nas: DirectoryStore) -> None:
    nas.put("a", b"1")
    with pytest.raises(StoreError, match="must be said"):
        nas.stat("a", None)


def test_a_parts_log_that_leads_astray_is_not_followed(
    nas: DirectoryStore, tmp_path: Path, new_upload: NewUpload, parts_log: Any
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    upload = new_upload(10)
    for name in (str(victim), f"../../{victim.name}", "..", f"../{MARKER}"):
        parts_log.begin(upload.key, name)
        parts_log.uploads[upload.key][1][1] = "etag"
        nas.upload(upload, parts_log, threading.Event())
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_file_is_neither_read_nor_replaced(
    nas: DirectoryStore, share: DirectorySettings, tmp_path: Path, kind: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"1")
    planted = share.folder / "planted"
    match kind:
        case "link":
            planted.symlink_to(secret)
        case "fifo":
            os.mkfifo(planted)
        case "folder":
            planted.mkdir()
    with pytest.raises(StoreError, match="is no file"):
        nas.put("planted", b"1")
    with pytest.raises(MissingError):
        nas.stat("planted", "1")
    with pytest.raises(StoreError, match="is no file"):
        nas.newest("planted")
    assert secret.read_bytes() == b"1"


def test_a_checkpoint_that_was_deleted_does_not_pass_for_one_that_never_was(
    nas: DirectoryStore, share: DirectorySettings
) -> None:
    nas.put(KEY, b"size 1")
    nas.put(KEY, b"size 2")
    (share.folder / KEY).unlink()
    with pytest.raises(StoreError, match="was deleted"):
        nas.newest(KEY)


def test_what_is_far_too_long_for_a_checkpoint_is_not_taken_for_one(nas: DirectoryStore) -> None:
    nas.put(KEY, bytes(33_554_433))
    with pytest.raises(StoreError, match="far too long"):
        nas.newest(KEY)


# The NAS is gone, or is not the one


def test_an_empty_mount_point_is_not_taken_for_the_nas(
    nas: DirectoryStore, share: DirectorySettings, new_upload: NewUpload, parts_log: Any
) -> None:
    stored = nas.put(KEY, b"size 1")
    away = share.folder.rename(share.folder.with_name(f"{share.folder.name}-elsewhere"))
    share.folder.mkdir()
    for attempt in (
        lambda: nas.put(KEY, b"size 2"),
        lambda: nas.upload(new_upload(10), parts_log, threading.Event()),
        lambda: nas.newest(KEY),
        lambda: nas.stat(KEY, stored.version),
        lambda: list(nas.read(KEY, stored.version)),
        nas.check,
    ):
        with pytest.raises(UnavailableError, match="nothing is mounted there"):
            attempt()
    assert not list(share.folder.iterdir()), "nothing was written to the station's own disk"
    share.folder.rmdir()
    with pytest.raises(UnavailableError, match="no such folder"):
        nas.newest(KEY)
    away.rename(share.folder)
    assert nas.newest(KEY) == b"size 1"


def test_a_nas_that_is_swapped_under_an_operation_gets_all_of_it_or_nothing(share: DirectorySettings) -> None:
    class Swap(ShareDisk):
        def sync(self, fd: int, path: Path) -> None:
            super().sync(fd, path)
            share.folder.rename(share.folder.with_name(f"{share.folder.name}-away"))
            share.folder.mkdir()

    DirectoryStore(share, disk=Swap()).put(KEY, b"size 1")
    assert not list(share.folder.iterdir())
    assert (share.folder.with_name(f"{share.folder.name}-away") / KEY).read_bytes() == b"size 1"


def test_the_folder_of_another_store_is_refused(share: DirectorySettings) -> None:
    with pytest.raises(StoreError, match="another store"):
        DirectoryStore(replace(share, id=StoreId("other"))).put("a", b"1")
    with pytest.raises(StoreError, match="another store"):
        DirectoryStore(replace(share, id=StoreId("other"))).set_up()


@pytest.mark.parametrize("data", [b"", b"{}", b'{"v":1,"store":"nas"', b'{"store":"nas","v":2}', b"\xff" * 99])
def test_a_marker_that_says_something_else_is_refused(
    nas: DirectoryStore, share: DirectorySettings, data: bytes
) -> None:
    (share.folder / MARKER).chmod(0o640)
    (share.folder / MARKER).write_bytes(data)
    with pytest.raises(StoreError, match=MARKER):
        nas.put("a", b"1")


def test_a_folder_where_others_may_write_is_refused(nas: DirectoryStore, share: DirectorySettings) -> None:
    share.folder.chmod(0o775)
    with pytest.raises(StoreError, match="others than its owner may write"):
        nas.check()


def test_setting_up_twice_is_no_harm(nas: DirectoryStore, share: DirectorySettings) -> None:
    nas.set_up()
    assert files(share.folder) == {MARKER}
    with pytest.raises(UnavailableError, match="no such folder"):
        DirectoryStore(replace(share, folder=share.folder / "none")).set_up()


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        (errno.ESTALE, UnavailableError, "is gone or does not answer"),
        (errno.EIO, UnavailableError, "is gone or does not answer"),
        (errno.ETIMEDOUT, UnavailableError, "is gone or does not answer"),
        (errno.ENOTCONN, UnavailableError, "is gone or does not answer"),
        (errno.ENOSPC, UnavailableError, "is full"),
        (errno.EDQUOT, UnavailableError, "is full"),
        (errno.EROFS, StoreError, "does not allow to take in"),
        (errno.EACCES, StoreError, "does not allow to take in"),
        (errno.EMLINK, StoreError, "cannot do all that it takes"),
        (errno.ENOENT, StoreError, "failed to take in"),
    ],
)
@pytest.mark.parametrize("at", ["create", "write", "sync", "note_lock", "make_folders", "rename", "sync_folder"])
def test_what_the_file_system_refuses_is_said_in_plain_words_and_mended_later(  # noqa: PLR0917 - fixtures
    share: DirectorySettings,
    new_upload: NewUpload,
    parts_log: Any,
    code: int,
    kind: type[EdgedError],
    sentence: str,
    at: str,
) -> None:
    upload = new_upload(10, until=SystemClock().now() + timedelta(days=1))
    nas = DirectoryStore(share, disk=Scripted(OSError(code, os.strerror(code)), at=at))
    with pytest.raises(kind, match=sentence) as caught:
        nas.upload(upload, parts_log, threading.Event())
    assert not isinstance(caught.value, StorageError), "it is not the station's own disk that refuses"
    assert str(share.folder) in caught.value.message
    assert "/proc/" not in caught.value.message
    stored = nas.upload(upload, parts_log, threading.Event())
    assert (stored.checksum, stored.version) == (upload.composite, "1")


@pytest.mark.root
@needs_loop
def test_a_nas_that_is_unmounted_full_or_read_only(tmp_path: Path) -> None:
    told = in_namespace(
        f"""
        cd "{tmp_path}" && mkdir nas && truncate -s 32M nas.img
        mkfs.ext4 -q -m 0 nas.img && mount -o loop nas.img nas
        """,
        """
        import subprocess, sys, threading
        from pathlib import Path
        from edged.book import Book
        from edged.errors import EdgedError, UnavailableError
        from edged.evidence.ids import StoreId
        from edged.stores.directory import DirectorySettings, DirectoryStore
        from edged.stores.port import Upload
        from tests.unit.book_station import digests, new_book

        folder = Path(sys.argv[1])
        nas = DirectoryStore(DirectorySettings(id=StoreId("nas"), folder=folder))
        nas.set_up()
        parts = new_book(folder.with_name("state")).work

        def upload(size):
            source = folder.with_name(f"{size}.mp4")
            source.write_bytes(bytes(range(256)) * (size // 256))
            sealed = digests(source.read_bytes())
            return Upload(key=f"segments/{size}.mp4", source=source, part_digests=sealed.part_digests,
                          size_bytes=sealed.size_bytes, locked_until=None)

        def store(it):
            try:
                return nas.upload(it, parts, threading.Event()).method
            except EdgedError as error:
                return f"{type(error).__name__}: {error.message.partition(str(folder))[2]}"

        print(store(upload(12 << 20)))
        print(store(upload(40 << 20)))
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        print(store(upload(1 << 10)))
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        print(store(upload(1 << 10)))
        subprocess.run(["umount", folder], check=True)
        print(store(upload(2 << 10))[:30])
        print(list(folder.iterdir()))
        """,
        tmp_path / "nas",
    )
    assert told.splitlines() == [
        "o_direct on ext4",
        "UnavailableError:  is full and cannot take in segments/41943040.mp4; nothing that it holds was touched.",
        "StoreError:  does not allow to take in segments/1024.mp4: it is read-only.",
        "o_direct on ext4",
        "UnavailableError:  has no edge",
        "[]",
    ]


@pytest.mark.root
@needs_mount
def test_a_folder_in_memory_is_refused_when_it_is_set_up(tmp_path: Path) -> None:
    told = in_namespace(
        f'mount -t tmpfs -o mode=0755 none "{tmp_path}"',
        """
        import sys
        from pathlib import Path
        from edged.errors import StoreError
        from edged.evidence.ids import StoreId
        from edged.stores.directory import DirectorySettings, DirectoryStore

        folder = Path(sys.argv[1])
        try:
            DirectoryStore(DirectorySettings(id=StoreId("nas"), folder=folder)).set_up()
        except StoreError as error:
            print(error.message.partition(str(folder))[2])
        """,
        tmp_path,
    )
    assert told == "lies on a file system where reading a file back proves nothing."


def test_a_file_system_that_keeps_no_permissions_is_refused(share: DirectorySettings) -> None:
    class Lax(ShareDisk):
        def sync(self, fd: int, path: Path) -> None:
            os.fchmod(fd, 0o755)  # as SMB mounted with `file_mode` does
            super().sync(fd, path)

    with pytest.raises(StoreError, match="keeps no permissions: a file made read-only has the mode 0755"):
        DirectoryStore(share, disk=Lax()).check()
    assert files(share.folder) == {MARKER}


def test_a_file_system_without_hard_links_is_refused(share: DirectorySettings) -> None:
    no_links = Scripted(OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP)), at="rename")
    with pytest.raises(StoreError, match="cannot do all that it takes") as caught:
        DirectoryStore(share, disk=no_links).check()
    assert "hard links" in caught.value.hint


# Interrupted anywhere


STEPS = 17
"""At least as many as an upload takes."""


@pytest.mark.parametrize("before", [None, 4])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_an_upload_cut_short_at_any_step_ends_in_one_whole_version(
    share: DirectorySettings, new_upload: NewUpload, parts_log: Any, step: int, before: int | None
) -> None:
    upload = new_upload(CHUNK_BYTES + 5, until=datetime(2099, 1, 1, tzinfo=UTC))
    nas = DirectoryStore(share)
    if before is not None:
        nas.upload(replace(new_upload(before), source=_copy(share, before)), parts_log, threading.Event())
        upload = new_upload(CHUNK_BYTES + 5, until=datetime(2099, 1, 1, tzinfo=UTC))
    disk = Scripted(PowerCutError(), at=step)
    with suppress(PowerCutError):
        DirectoryStore(share, disk=disk).upload(upload, parts_log, threading.Event())
        assert step > len(disk.done), "the cut was met"
    assert len(disk.done) <= STEPS
    held = share.folder / upload.key
    if held.exists():
        assert held.stat().st_size in {before, CHUNK_BYTES + 5}, "nothing in between was ever seen"
    stored = nas.upload(upload, parts_log, threading.Event())
    assert stored.version == ("1" if before is None else "2")
    assert whole(nas, upload.key, stored.version) == upload.source.read_bytes() == held.read_bytes()
    assert nas.stat(upload.key, stored.version).locked_until == upload.locked_until
    if before is not None:
        assert len(whole(nas, upload.key, "1")) == before
    with pytest.raises(MissingError):
        nas.stat(upload.key, "2" if before is None else "3")


def _copy(share: DirectorySettings, size_bytes: int) -> Path:
    source = share.folder.with_name(f"{share.folder.name}.mp4")
    source.write_bytes(bytes(size_bytes))
    return source


def test_what_was_in_flight_at_a_crash_is_not_taken_for_written(
    nas: DirectoryStore, share: DirectorySettings, new_upload: NewUpload, parts_log: Any
) -> None:
    upload = new_upload(3 * CHUNK_BYTES)
    parts_log.stop_after = 2
    with pytest.raises(StoppedError):
        nas.upload(upload, parts_log, parts_log.stop)
    (left,) = (share.folder / INCOMING).iterdir()
    with left.open("r+b") as file:
        file.seek(CHUNK_BYTES + 7)
        file.write(bytes(4096))
    stored = nas.upload(upload, parts_log, threading.Event())
    assert whole(nas, upload.key, stored.version) == upload.source.read_bytes()
    assert parts_log.sent == [1, 2, 2, 3]


def test_a_version_that_got_its_name_just_before_a_crash_is_not_written_again(
    share: DirectorySettings, new_upload: NewUpload, parts_log: Any
) -> None:
    class Cut(ShareDisk):
        def rename(self, source: Path, target: Path) -> None:
            os.link(source, target)
            raise PowerCutError

    upload = new_upload(2 * CHUNK_BYTES)
    with pytest.raises(PowerCutError):
        DirectoryStore(share, disk=Cut()).upload(upload, parts_log, threading.Event())
    nas = DirectoryStore(share)
    assert nas.put(upload.key, b"of another station").version == "2"
    del parts_log.uploads[upload.key][1][2]
    with pytest.raises(PowerCutError):
        DirectoryStore(share, disk=Scripted(PowerCutError(), at="write")).upload(upload, parts_log, threading.Event())
    assert whole(nas, upload.key, "1") == upload.source.read_bytes()
    assert nas.upload(upload, parts_log, threading.Event()).version == "3"
    assert whole(nas, upload.key, "1") == whole(nas, upload.key, "3") == upload.source.read_bytes()


def test_bytes_that_come_back_otherwise_are_never_given_a_name(
    share: DirectorySettings, new_upload: NewUpload, parts_log: Any
) -> None:
    class Rotting(ShareDisk):
        def sync(self, fd: int, path: Path) -> None:
            os.pwrite(fd, b"rot", 1000)
            super().sync(fd, path)

    upload = new_upload(CHUNK_BYTES)
    nas = DirectoryStore(share, disk=Rotting())
    with pytest.raises(StoreError, match="gives back other bytes"):
        nas.upload(upload, parts_log, threading.Event())
    with pytest.raises(StoreError, match="gives back other bytes"):
        nas.put("small", bytes(2000))
    assert files(share.folder) == {MARKER}
    assert parts_log.uploads == {}


def test_a_stop_is_heard_in_the_middle_of_a_slow_part(
    share: DirectorySettings, new_upload: NewUpload, parts_log: Any
) -> None:
    class Slow(ShareDisk):
        def write(self, fd: int, buffer: memoryview, path: Path) -> None:
            parts_log.stop.wait(0.1)
            super().write(fd, buffer, path)
            if os.fstat(fd).st_size > CHUNK_BYTES // 2:
                parts_log.stop.set()

    clock = SystemClock()
    begun = clock.monotonic()
    with pytest.raises(StoppedError):
        DirectoryStore(share, disk=Slow()).upload(new_upload(CHUNK_BYTES), parts_log, parts_log.stop)
    assert clock.monotonic() - begun < 2
    assert parts_log.sent == []


def test_what_crashes_left_is_removed_when_it_is_nobodys_any_more(
    nas: DirectoryStore, share: DirectorySettings, new_upload: NewUpload, parts_log: Any
) -> None:
    old, young = share.folder / INCOMING / ("0" * 32), share.folder / INCOMING / ("1" * 32)
    old.touch()
    young.touch()
    week = SystemClock().now() - timedelta(days=8)
    os.utime(old, (week.timestamp(), week.timestamp()))
    nas.upload(new_upload(10), parts_log, threading.Event())
    assert list((share.folder / INCOMING).iterdir()) == [young]


# Locks, which are notes here


def test_the_note_of_a_lock_survives_reading_and_is_not_made_by_it(
    nas: DirectoryStore, share: DirectorySettings
) -> None:
    until = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    locked, free = nas.put("locked", b"1", until), nas.put("free", b"1")
    for name in ("locked", "free"):
        assert (share.folder / name).read_bytes() == b"1"
    assert nas.stat("locked", locked.version).locked_until == until
    assert nas.stat("free", free.version).locked_until is None


def test_a_lock_is_noted_for_each_version_alone(nas: DirectoryStore) -> None:
    until = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    first, second = nas.put(KEY, b"1", until), nas.put(KEY, b"2")
    assert nas.stat(KEY, first.version).locked_until == until
    assert nas.stat(KEY, second.version).locked_until is None


def test_a_file_system_that_does_not_keep_the_note_is_refused(share: DirectorySettings) -> None:
    class Clamping(ShareDisk):
        def note_lock(self, path: Path, until: datetime) -> datetime | None:
            return super().note_lock(path, min(until, datetime(2038, 1, 19, tzinfo=UTC)))

    nas = DirectoryStore(share, disk=Clamping())
    with pytest.raises(StoreError, match="cannot note that a file is locked until 2099"):
        nas.put("a", b"1", datetime(2099, 1, 1, tzinfo=UTC))
    with pytest.raises(StoreError, match="2100"):
        nas.check()
    assert files(share.folder) == {MARKER}
