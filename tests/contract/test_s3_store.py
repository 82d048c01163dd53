"""What is particular to S3: its locks, and servers that say too little or the wrong thing."""

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from edged.clock import SystemClock
from edged.errors import StoppedError, StoreError, UnavailableError
from edged.evidence.digests import CHUNK_BYTES
from edged.stores.port import Upload
from edged.stores.s3 import S3Store

NewUpload = Callable[..., Upload]


def hook(store: S3Store, event: str, handler: Callable[..., Any]) -> None:
    """Script a fault into what the client sends or is answered."""
    store._client.meta.events.register(event, handler)


# Locks


def test_a_locked_version_cannot_be_deleted_nor_its_lock_shortened(
    s3: S3Store, new_upload: NewUpload, parts_log: Any
) -> None:
    until = SystemClock().now() + timedelta(days=2)
    stored = s3.upload(new_upload(10, until=until), parts_log, threading.Event())
    assert stored.version is not None
    bucket = s3._settings.bucket
    with pytest.raises(ClientError, match="AccessDenied"):
        s3._client.delete_object(Bucket=bucket, Key=stored.key, VersionId=stored.version)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3._client.delete_object(
            Bucket=bucket, Key=stored.key, VersionId=stored.version, BypassGovernanceRetention=True
        )
    with pytest.raises(ClientError, match="AccessDenied"):
        s3._client.put_object_retention(
            Bucket=bucket,
            Key=stored.key,
            VersionId=stored.version,
            Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until - timedelta(days=1)},
        )
    assert s3.stat(stored.key, stored.version).locked_until == stored.locked_until


def test_a_lock_that_the_server_ignored_is_put_on_afterwards(
    s3: S3Store, new_upload: NewUpload, parts_log: Any
) -> None:
    def forget_lock(params: dict[str, Any], **_: Any) -> None:
        del params["ObjectLockMode"], params["ObjectLockRetainUntilDate"]

    hook(s3, "provide-client-params.s3.CreateMultipartUpload", forget_lock)
    until = SystemClock().now() + timedelta(days=2)
    stored = s3.upload(new_upload(10, until=until), parts_log, threading.Event())
    assert stored.lock_mode == "COMPLIANCE"
    assert stored.locked_until is not None
    assert stored.locked_until >= until


def test_a_checkpoint_that_was_deleted_does_not_pass_for_one_that_never_was(s3: S3Store) -> None:
    s3.put("ledger/checkpoint", b"size 9")
    s3._client.delete_object(Bucket=s3._settings.bucket, Key="ledger/checkpoint")
    with pytest.raises(StoreError, match="was deleted"):
        s3.newest("ledger/checkpoint")


# What is sent


def test_a_resumed_upload_sends_only_the_missing_parts(s3: S3Store, new_upload: NewUpload, parts_log: Any) -> None:
    upload = new_upload(5 * CHUNK_BYTES)
    parts_log.stop_after = 2
    with pytest.raises(StoppedError):
        s3.upload(upload, parts_log, parts_log.stop)
    taken = set(parts_log.sent)
    sent: list[int] = []
    hook(s3, "provide-client-params.s3.UploadPart", lambda params, **_: sent.append(params["PartNumber"]))
    s3.upload(upload, parts_log, threading.Event())
    assert sorted(sent) == sorted({1, 2, 3, 4, 5} - taken)


def test_a_part_that_the_server_holds_otherwise_than_noted_is_sent_again(
    s3: S3Store, new_upload: NewUpload, parts_log: Any
) -> None:
    upload = new_upload(2 * CHUNK_BYTES)
    parts_log.stop_after = 1
    with pytest.raises(StoppedError):
        s3.upload(upload, parts_log, parts_log.stop)
    first = parts_log.sent[0]
    parts_log.uploads[upload.key][1][first] = '"11111111111111111111111111111111"'
    assert s3.upload(upload, parts_log, threading.Event()).checksum == upload.composite
    assert parts_log.sent.count(first) == 2


def test_the_sealed_digests_are_sent_and_none_is_computed_on_the_way(
    s3: S3Store, new_upload: NewUpload, parts_log: Any
) -> None:
    payloads: list[str] = []
    hook(s3, "before-send.s3.UploadPart", lambda request, **_: payloads.append(_payload(request)))
    s3.upload(new_upload(CHUNK_BYTES + 1), parts_log, threading.Event())
    assert payloads == ["UNSIGNED-PAYLOAD"] * 2


def _payload(request: Any) -> str:
    signed = request.headers["Authorization"].decode()
    assert "x-amz-checksum-sha256" in signed, "the signature binds the digest, and the digest binds the body"
    return str(request.headers["X-Amz-Content-SHA256"].decode())


def test_bytes_damaged_on_the_way_are_told_from_a_damaged_file(
    s3: S3Store, new_upload: NewUpload, parts_log: Any
) -> None:
    def damage(params: dict[str, Any], **_: Any) -> None:
        params["Body"] = b"X" * params["ContentLength"]

    hook(s3, "provide-client-params.s3.UploadPart", damage)
    with pytest.raises(StoreError, match="received other bytes than were sealed"):
        s3.upload(new_upload(10), parts_log, threading.Event())


# What is answered


def test_an_upload_whose_last_answer_was_lost_is_found_by_the_next_call(
    s3: S3Store, new_upload: NewUpload, parts_log: Any
) -> None:
    def lose(**_: Any) -> None:
        s3._client.meta.events.unregister("after-call.s3.CompleteMultipartUpload", lose)
        raise ConnectionClosedError(endpoint_url="http://store")

    hook(s3, "after-call.s3.CompleteMultipartUpload", lose)
    upload = new_upload(10)
    with pytest.raises(UnavailableError):
        s3.upload(upload, parts_log, threading.Event())
    parts_log.sent.clear()
    stored = s3.upload(upload, parts_log, threading.Event())
    assert parts_log.sent == []
    versions = s3._client.list_object_versions(Bucket=s3._settings.bucket, Prefix=upload.key)["Versions"]
    assert [version["VersionId"] for version in versions] == [stored.version]


@pytest.mark.parametrize(
    "lie",
    [
        ("CompleteMultipartUpload", {"ChecksumSHA256": "AAAA-1"}, "with checksum AAAA-1 instead of"),
        ("HeadObject", {"ChecksumSHA256": "AAAA-1"}, "with checksum AAAA-1 instead of"),
        ("HeadObject", {"ContentLength": 9}, "with 9 bytes instead of 10 bytes"),
        ("HeadObject", {"ObjectLockMode": "GOVERNANCE"}, "with lock GOVERNANCE until"),
    ],
)
def test_an_answer_that_contradicts_the_seal_is_refused_and_names_the_version(
    s3: S3Store, new_upload: NewUpload, parts_log: Any, lie: tuple[str, dict[str, Any], str]
) -> None:
    operation, false, sentence = lie
    hook(s3, f"after-call.s3.{operation}", lambda parsed, **_: parsed.update(false))
    upload = new_upload(10, until=SystemClock().now() + timedelta(days=1))
    with pytest.raises(StoreError) as caught:
        s3.upload(upload, parts_log, threading.Event())
    version = re.search("in version ([0-9a-f]{32}) with", caught.value.message)
    assert sentence in caught.value.message
    assert version is not None
    assert len(b"".join(s3.read(upload.key, version[1]))) == 10


def test_a_server_that_keeps_no_checksum_is_read_back(s3: S3Store, new_upload: NewUpload, parts_log: Any) -> None:
    for operation in ("CompleteMultipartUpload", "HeadObject"):
        hook(s3, f"after-call.s3.{operation}", lambda parsed, **_: parsed.pop("ChecksumSHA256", None))
    upload = new_upload(CHUNK_BYTES + 1)
    stored = s3.upload(upload, parts_log, threading.Event())
    assert (stored.verified, stored.checksum) == ("read-back", upload.composite)
    assert s3.stat(upload.key, stored.version).checksum is None, "nothing is claimed that was not asked for"
    assert s3.put("small", b"123").verified == "read-back"


def test_a_server_that_keeps_no_checksum_and_holds_other_bytes_is_refused(
    s3: S3Store, new_upload: NewUpload, parts_log: Any
) -> None:
    other = s3.put("other", b"0123456789")

    def swap(params: dict[str, Any], **_: Any) -> None:
        params.update(Key="other", VersionId=other.version)

    hook(s3, "after-call.s3.HeadObject", lambda parsed, **_: parsed.pop("ChecksumSHA256", None))
    hook(s3, "provide-client-params.s3.GetObject", swap)
    with pytest.raises(StoreError, match="with other bytes instead of the sealed ones"):
        s3.upload(new_upload(10), parts_log, threading.Event())
