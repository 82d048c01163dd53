"""What every store behind the port must do; one suite for all implementations."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from edged.clock import SystemClock
from edged.errors import MalformedError, StoppedError, StorageError, StoreError
from edged.evidence.digests import CHUNK_BYTES
from edged.stores.port import DifferentError, MissingError, Store, Upload

NewUpload = Callable[..., Upload]
MIB = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Promise:
    """In what one kind of store may differ from another."""

    verified: str
    checksums: bool
    """Whether the store says later what it holds."""
    lock_mode: str | None


PROMISES = {
    "central": Promise(verified="server-checksum", checksums=True, lock_mode="COMPLIANCE"),
    "nas": Promise(verified="read-back", checksums=False, lock_mode=None),
}


def later(days: float = 1) -> datetime:
    return SystemClock().now() + timedelta(days=days)


def whole(store: Store, object_key: str, version: str | None) -> bytes:
    return b"".join(store.read(object_key, version))


def test_a_store_that_is_set_up_passes_its_check(store: Store) -> None:
    store.check()


@pytest.mark.parametrize("size_bytes", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 20 * MIB])
def test_the_checksum_of_an_upload_is_the_predicted_one(
    store: Store, new_upload: NewUpload, parts_log: Any, size_bytes: int
) -> None:
    upload = new_upload(size_bytes)
    stored = store.upload(upload, parts_log, threading.Event())
    assert stored.key == upload.key
    assert (stored.checksum, stored.checksum_type) == (upload.composite, "COMPOSITE")
    assert stored.verified == PROMISES[store.id].verified
    assert (stored.locked_until, stored.lock_mode) == (None, None)
    found = store.stat(upload.key, stored.version)
    assert found.checksum == (upload.composite if PROMISES[store.id].checksums else None)
    assert found.size_bytes == size_bytes
    assert whole(store, upload.key, stored.version) == upload.source.read_bytes()
    assert parts_log.uploads == {}
    assert parts_log.threads == {threading.get_ident()}, "the parts log is the caller's, and of its thread"


def test_an_upload_is_locked_no_shorter_than_asked_for(store: Store, new_upload: NewUpload, parts_log: Any) -> None:
    until = datetime(2099, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    stored = store.upload(new_upload(10, until=until), parts_log, threading.Event())
    assert stored.lock_mode == PROMISES[store.id].lock_mode
    assert stored.locked_until == datetime(2099, 1, 1, 0, 0, 1, tzinfo=UTC)
    found = store.stat(stored.key, stored.version)
    assert (found.locked_until, found.lock_mode) == (stored.locked_until, stored.lock_mode)


def test_an_upload_goes_on_where_it_was_stopped(store: Store, new_upload: NewUpload, parts_log: Any) -> None:
    upload = new_upload(5 * CHUNK_BYTES + 5)
    parts_log.stop_after = 2
    with pytest.raises(StoppedError):
        store.upload(upload, parts_log, parts_log.stop)
    before = list(parts_log.sent)
    assert 2 <= len(before) < 6
    stored = store.upload(upload, parts_log, threading.Event())
    assert stored.checksum == upload.composite
    assert sorted(parts_log.sent) == [1, 2, 3, 4, 5, 6], "no part was taken twice"


def test_an_upload_that_is_stopped_before_it_begins_sends_nothing(
    store: Store, new_upload: NewUpload, parts_log: Any
) -> None:
    parts_log.stop.set()
    with pytest.raises(StoppedError):
        store.upload(new_upload(10), parts_log, parts_log.stop)
    assert parts_log.sent == []


def test_an_upload_whose_parts_log_was_lost_ends_well(store: Store, new_upload: NewUpload, parts_log: Any) -> None:
    upload = new_upload(2 * CHUNK_BYTES)
    parts_log.stop_after = 1
    with pytest.raises(StoppedError):
        store.upload(upload, parts_log, parts_log.stop)
    parts_log.uploads.clear()
    assert store.upload(upload, parts_log, threading.Event()).checksum == upload.composite


def test_an_upload_that_the_store_has_forgotten_starts_over(
    store: Store, new_upload: NewUpload, parts_log: Any
) -> None:
    upload = new_upload(CHUNK_BYTES + 1)
    parts_log.begin(upload.key, "0123456789abcdef0123456789abcdef01234567_gone")
    parts_log.uploads[upload.key][1][1] = '"00000000000000000000000000000000"'
    assert store.upload(upload, parts_log, threading.Event()).checksum == upload.composite
    assert sorted(parts_log.sent) == [1, 2]


def test_an_upload_whose_answer_was_lost_is_not_stored_twice(
    store: Store, new_upload: NewUpload, parts_log: Any
) -> None:
    first = store.upload(new_upload(CHUNK_BYTES + 1, until=later(1)), parts_log, threading.Event())
    parts_log.sent.clear()
    again = store.upload(new_upload(CHUNK_BYTES + 1, until=later(2)), parts_log, threading.Event())
    assert again.version == first.version
    assert parts_log.sent == []
    assert first.locked_until is not None
    assert again.locked_until is not None
    assert again.locked_until > first.locked_until, "and its lock is as long as was asked for now"


def test_a_lock_is_never_shortened(store: Store, new_upload: NewUpload, parts_log: Any) -> None:
    first = store.upload(new_upload(9, until=later(9)), parts_log, threading.Event())
    again = store.upload(new_upload(9, until=later(1)), parts_log, threading.Event())
    assert again == first
    assert store.stat(first.key, first.version).locked_until == first.locked_until


def test_other_bytes_under_the_same_key_become_another_version(
    store: Store, new_upload: NewUpload, parts_log: Any
) -> None:
    first = store.upload(new_upload(9), parts_log, threading.Event())
    second = store.upload(new_upload(10), parts_log, threading.Event())
    assert second.version != first.version
    assert len(whole(store, first.key, first.version)) == 9


def test_a_file_altered_after_it_was_sealed_is_refused(store: Store, new_upload: NewUpload, parts_log: Any) -> None:
    upload = new_upload(2 * CHUNK_BYTES)
    with upload.source.open("r+b") as file:
        file.seek(CHUNK_BYTES + 4)
        file.write(b"X")
    with pytest.raises(StoreError, match=r"Part 2 of .*clip\.mp4 is not what was sealed"):
        store.upload(upload, parts_log, threading.Event())
    assert set(parts_log.sent) <= {1}
    assert store.newest(upload.key) is None


def test_a_file_altered_while_it_is_uploaded_is_refused(store: Store, new_upload: NewUpload, parts_log: Any) -> None:
    upload = new_upload(5 * CHUNK_BYTES)
    parts_log.stop_after = 1
    with pytest.raises(StoppedError):
        store.upload(upload, parts_log, parts_log.stop)
    with upload.source.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"X")
    with pytest.raises(StoreError, match="is not what was sealed"):
        store.upload(upload, parts_log, threading.Event())
    assert store.newest(upload.key) is None


@pytest.mark.parametrize("size_bytes", [9, 11])
def test_a_file_of_another_length_than_sealed_is_not_sent(
    store: Store, new_upload: NewUpload, parts_log: Any, size_bytes: int
) -> None:
    upload = new_upload(10)
    upload.source.write_bytes(bytes(size_bytes))
    with pytest.raises(StoreError, match=f"has {size_bytes} bytes, but 10 were sealed"):
        store.upload(upload, parts_log, threading.Event())
    assert parts_log.uploads == {}


def test_a_file_that_is_gone_is_the_stations_own_trouble(store: Store, new_upload: NewUpload, parts_log: Any) -> None:
    upload = new_upload(10)
    upload.source.unlink()
    with pytest.raises(StorageError, match="No such file"):
        store.upload(upload, parts_log, threading.Event())


def test_digests_of_another_length_are_refused(new_upload: NewUpload) -> None:
    upload = new_upload(10)
    with pytest.raises(MalformedError, match="2 part digests do not belong to a file of 10 bytes"):
        Upload(
            key="k",
            source=upload.source,
            part_digests=upload.part_digests * 2,
            size_bytes=10,
            locked_until=None,
        )


@pytest.mark.parametrize("size_bytes", [0, CHUNK_BYTES + 1])
def test_a_version_is_confirmed_without_the_file_it_came_from(
    store: Store, new_upload: NewUpload, parts_log: Any, size_bytes: int
) -> None:
    upload = new_upload(size_bytes, until=later(1))
    stored = store.upload(upload, parts_log, threading.Event())
    upload.source.unlink()
    assert store.confirm(upload, stored.version, threading.Event()) == stored
    longer = replace(upload, locked_until=later(30))
    confirmed = store.confirm(longer, stored.version, threading.Event())
    assert (confirmed.version, confirmed.checksum) == (stored.version, stored.checksum)
    assert confirmed.locked_until is not None
    assert longer.locked_until is not None
    assert confirmed.locked_until >= longer.locked_until
    assert store.confirm(replace(upload, locked_until=None), stored.version, threading.Event()) == confirmed
    assert parts_log.uploads == {}


def test_a_version_of_other_bytes_is_confirmed_by_nobody(store: Store, new_upload: NewUpload, parts_log: Any) -> None:
    upload = new_upload(12)
    first = store.upload(upload, parts_log, threading.Event())
    second = store.put(upload.key, b"other bytes!")
    assert store.confirm(upload, first.version, threading.Event()).version == first.version
    with pytest.raises(DifferentError):
        store.confirm(upload, second.version, threading.Event())
    with pytest.raises(MissingError):
        store.confirm(upload, "7" * 32, threading.Event())
    with pytest.raises(StoreError):
        store.confirm(upload, None, threading.Event())
    assert store.newest(upload.key) == b"other bytes!", "nothing was stored"


@pytest.mark.parametrize("data", [b"", b"checkpoint\n"])
def test_a_small_object_is_verified_like_an_upload(store: Store, object_key: str, data: bytes) -> None:
    stored = store.put(object_key, data, later())
    assert stored.verified == PROMISES[store.id].verified
    assert stored.checksum_type == "FULL_OBJECT"
    assert stored.lock_mode == PROMISES[store.id].lock_mode
    assert whole(store, object_key, stored.version) == data


def test_the_newest_of_several_versions_is_given_and_each_stays(store: Store, object_key: str) -> None:
    assert store.newest(object_key) is None
    first = store.put(object_key, b"1")
    store.put(object_key, b"2")
    assert store.newest(object_key) == b"2"
    assert whole(store, object_key, first.version) == b"1"
    assert store.newest(object_key[:-1]) is None, "a key that begins another one is another key"


def test_any_range_of_a_version_can_be_read(store: Store, new_upload: NewUpload, parts_log: Any) -> None:
    upload = new_upload(CHUNK_BYTES + 100)
    stored = store.upload(upload, parts_log, threading.Event())
    data = upload.source.read_bytes()
    for start, length in [(0, 10), (0, 0), (5, None), (CHUNK_BYTES - 8, 16), (CHUNK_BYTES, 1), (1, 9_999_999)]:
        pieces = list(store.read(upload.key, stored.version, start, length))
        end = len(data) if length is None else start + length
        assert b"".join(pieces) == data[start:end], (start, length)
        assert max((len(piece) for piece in pieces), default=0) <= MIB


def test_a_range_beyond_the_end_is_refused(store: Store, object_key: str) -> None:
    stored = store.put(object_key, b"12345")
    with pytest.raises(StoreError):
        list(store.read(object_key, stored.version, 6, 1))


def test_what_is_not_there_is_missing(store: Store, object_key: str) -> None:
    stored = store.put(object_key, b"12345")
    with pytest.raises(MissingError, match="does not hold it"):
        store.stat(object_key + "x", stored.version)
    with pytest.raises(MissingError):
        list(store.read(object_key + "x", stored.version))
    with pytest.raises(MissingError):
        store.stat(object_key, "0" * 32)


def test_several_uploads_at_once(store: Store, new_upload: NewUpload, parts_log: Any, object_key: str) -> None:
    uploads = [new_upload(2 * CHUNK_BYTES, to=f"{object_key}{number}") for number in range(2)]
    results: list[str] = []
    threads = [
        threading.Thread(
            target=lambda upload=upload: results.append(store.upload(upload, parts_log, threading.Event()).checksum)
        )
        for upload in uploads
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [uploads[0].composite] * 2
