"""Central storage in any S3 with Object Lock.

An upload goes through these steps, and each can be the last one before a crash:
1. an upload under way is looked up in the parts log and at the server; else the newest version of the key is
   looked at, which may be this very file from a call whose answer was lost; else a multipart upload is begun,
   its lock stated;
2. the missing parts are sent, each with the SHA-256 that was sealed for it: the server refuses any other bytes;
3. the upload is completed, and the composite checksum of the answer compared with the predicted one;
4. that version is asked for again: length, checksum and lock must be as they should, otherwise the version is
   named in a StoreError. A server that keeps no SHA-256 is read back whole instead;
5. the parts log forgets the upload.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, suppress
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from edged.errors import StoreError
from edged.evidence.digests import Digester
from edged.evidence.text import to_base64
from edged.stores.port import Found, MissingError, PartsLog, Stored, Upload
from edged.stores.s3_client import S3Settings, in_plain_words, make_client
from edged.stores.s3_multipart import Multipart
from edged.stores.s3_versions import Sealed, Versions, found, lock
from edged.stores.source import Source

__all__ = ["S3Settings", "S3Store"]

_MAX_PARTS: Final = 10_000
"""Of one upload, by the S3 protocol: 78 GiB in parts of 8 MiB."""

_SMALL_BYTES: Final = 33_554_432
"""256 entries of the greatest length, an entry bundle, have half of it."""
"""The longest object that `newest` takes."""


class S3Store:
    """A bucket as a `Store`."""

    def __init__(self, settings: S3Settings, *, threads: int = 3) -> None:
        """Nothing is sent yet; `threads` parts of each upload are under way at once. Raises ConfigError."""
        self.id = settings.id
        self._settings = settings
        self._threads = threads
        self._client = make_client(settings)
        self._versions = Versions(self._client, settings)

    def close(self) -> None:
        """Give up all connections."""
        self._client.close()

    def create_bucket(self) -> None:
        """Create the bucket with Object Lock, and so with versions; one that exists already is only checked."""
        with self._trying("create the bucket"):
            place: dict[str, Any] = {}
            if self._settings.region != "us-east-1":  # which S3 takes for granted and must not be told
                place = {"CreateBucketConfiguration": {"LocationConstraint": self._settings.region}}
            there = self._client.exceptions
            with suppress(there.BucketAlreadyOwnedByYou, there.BucketAlreadyExists):
                self._client.create_bucket(Bucket=self._settings.bucket, ObjectLockEnabledForBucket=True, **place)
        self.check()

    def check(self) -> None:
        """Show that the bucket can be reached, keeps versions and can lock them."""
        bucket = self._settings.bucket
        with self._trying("read the settings of the bucket"):
            versions = self._client.get_bucket_versioning(Bucket=bucket).get("Status")
        if versions != "Enabled":
            raise StoreError(
                f"The bucket {bucket} of store {self.id} keeps no versions: what is stored could be replaced.",
                hint="Create a bucket with Object Lock, which keeps versions too, and name it as `bucket`.",
            )
        if not self._can_lock():
            raise StoreError(
                f"The bucket {bucket} of store {self.id} has no Object Lock: what is stored could be deleted.",
                hint="Most servers allow it only for a new bucket: create one with Object Lock, and name it.",
            )

    def upload(self, upload: Upload, parts: PartsLog, stop: threading.Event) -> Stored:
        """Store a file by parts of 8 MiB."""
        if len(upload.part_digests) > _MAX_PARTS:
            raise StoreError(f"{upload.key} is longer than the {_MAX_PARTS} parts of 8 MiB that S3 allows.")
        sealed = _sealed(upload)
        version: str | None = None
        with Source(upload, stop) as source:
            multipart = Multipart(self._client, self._settings, upload, source, parts)
            under_way = multipart.resume()
            if not under_way and (version := self._already_there(sealed)) is None:
                multipart.begin()
            if version is None:
                multipart.send(self._threads, stop)
                version = self._complete(multipart, sealed, parts)
        stored = self._versions.verify(sealed, version, "s3 multipart", stop)
        parts.forget(upload.key)
        return stored

    def confirm(self, upload: Upload, version: str | None, stop: threading.Event) -> Stored:
        """Ask for size, checksum and lock of a version; one without a checksum is read back."""
        version = self._versions.named(upload.key, version)
        return self._versions.verify(_sealed(upload), version, "s3 multipart", stop)

    def put(self, key: str, data: bytes, locked_until: datetime | None = None) -> Stored:
        """Store a small object in one piece."""
        digester = Digester()
        digester.update(data)
        sealed = Sealed(
            key=key,
            size_bytes=len(data),
            checksum=to_base64(hashlib.sha256(data).digest()),
            checksum_type="FULL_OBJECT",
            part_digests=digester.finish().part_digests,
            locked_until=locked_until,
        )
        with self._trying(f"take in {key}"):
            answer = self._client.put_object(
                Bucket=self._settings.bucket,
                Key=key,
                Body=data,
                ChecksumSHA256=sealed.checksum,
                **lock(locked_until),
            )
        version = self._versions.named(key, answer.get("VersionId"))
        return self._versions.verify(sealed, version, "s3 put", threading.Event())

    def stat(self, key: str, version: str | None) -> Found:
        """Ask for the facts of a version."""
        return self._versions.stat(key, version)

    def read(self, key: str, version: str | None, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read a version, or a range of it."""
        return self._versions.read(key, version, start, length)

    def newest(self, key: str) -> bytes | None:
        """Give the newest version of a small object, None when there never was one."""
        try:
            with self._trying(f"give the newest {key}"):
                answer = self._client.get_object(Bucket=self._settings.bucket, Key=key)
                with closing(answer["Body"]) as body:
                    if answer["ContentLength"] > _SMALL_BYTES:
                        raise StoreError(f"{key} in store {self.id} is far too long for what it should be.")
                    return body.read()
        except MissingError:
            if self._ever_was(key):
                raise StoreError(
                    f"{key} was deleted in store {self.id}.",
                    hint="Its versions are still there. Find out who deleted it, then delete the marker.",
                ) from None
            return None

    def _trying(self, doing: str) -> AbstractContextManager[None]:
        return in_plain_words(self._settings, doing)

    def _can_lock(self) -> bool:
        with self._trying("read the settings of the bucket"):
            try:
                answer = self._client.get_object_lock_configuration(Bucket=self._settings.bucket)
            except ClientError as error:
                if error.response["Error"].get("Code") == "ObjectLockConfigurationNotFoundError":
                    return False
                raise
        return answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"

    def _already_there(self, sealed: Sealed) -> str | None:
        """Give the newest version of the key if the server found the sealed bytes in it."""
        try:
            with self._trying(f"show the newest {sealed.key}"):
                head = self._client.head_object(Bucket=self._settings.bucket, Key=sealed.key, ChecksumMode="ENABLED")
        except MissingError:
            return None
        newest = found(sealed.key, head)
        same = (newest.checksum, newest.size_bytes) == (sealed.checksum, sealed.size_bytes)
        return newest.version if same else None

    def _complete(self, multipart: Multipart, sealed: Sealed, parts: PartsLog) -> str:
        """Join the parts and look at the answer; an upload id that is used up is forgotten."""
        try:
            version, checksum = multipart.complete()
        except MissingError:
            # It was joined already and the answer was lost, or somebody aborted it: the next call finds out.
            parts.forget(sealed.key)
            raise
        version = self._versions.named(sealed.key, version)
        if checksum not in {None, sealed.checksum}:
            parts.forget(sealed.key)
            raise self._versions.contradiction(sealed, version, f"checksum {checksum}", f"checksum {sealed.checksum}")
        return version

    def _ever_was(self, key: str) -> bool:
        with self._trying(f"list the versions of {key}"):
            answer = self._client.list_object_versions(Bucket=self._settings.bucket, Prefix=key, MaxKeys=10)
        every = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
        return any(each["Key"] == key for each in every)


def _sealed(upload: Upload) -> Sealed:
    return Sealed(
        key=upload.key,
        size_bytes=upload.size_bytes,
        checksum=upload.composite,
        checksum_type="COMPOSITE",
        part_digests=upload.part_digests,
        locked_until=upload.locked_until,
    )
