"""One version of an object in a bucket: what it must be, what the server says it is, and how long it is locked.

Every question names the version: a later one of the same key is another object (EVIDENCE.md, section 9).
"""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from edged.errors import StoppedError, StoreError
from edged.evidence.digests import Digester
from edged.stores.port import DifferentError, Found, Stored
from edged.stores.s3_client import S3Settings, in_plain_words

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

_PIECE_BYTES: Final = 1_048_576

_COMPLIANCE: Final = "COMPLIANCE"


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """What a version must turn out to be."""

    key: str
    size_bytes: int
    checksum: str
    """As S3 writes it, predicted from the sealed digests."""
    checksum_type: str
    part_digests: tuple[bytes, ...]
    locked_until: datetime | None


class Versions:
    """The versions in a bucket."""

    def __init__(self, client: "S3Client", settings: S3Settings) -> None:
        self._client = client
        self._settings = settings

    def named(self, key: str, version: str | None) -> str:
        """Insist on a version; raises StoreError where the bucket names none."""
        if version is None or version == "null":
            raise StoreError(
                f"Store {self._settings.id} names no version of {key}: another could take its place unseen.",
                hint="Switch on versioning of the bucket.",
            )
        return version

    def stat(self, key: str, version: str | None) -> Found:
        """Ask for the facts of a version; raises MissingError."""
        version = self.named(key, version)
        with in_plain_words(self._settings, f"show {key} in version {version}"):
            head = self._client.head_object(
                Bucket=self._settings.bucket, Key=key, VersionId=version, ChecksumMode="ENABLED"
            )
        return found(key, head)

    def read(self, key: str, version: str | None, start: int, length: int | None) -> Iterator[bytes]:
        """Read a version, or a range of it."""
        if length == 0:
            return
        version = self.named(key, version)
        end = "" if length is None else start + length - 1
        reach: dict[str, Any] = {"Range": f"bytes={start}-{end}"} if start or length is not None else {}
        with in_plain_words(self._settings, f"give {key} in version {version}"):
            answer = self._client.get_object(Bucket=self._settings.bucket, Key=key, VersionId=version, **reach)
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(_PIECE_BYTES)

    def verify(self, sealed: Sealed, version: str, method: str, stop: threading.Event) -> Stored:
        """Show that a version is what it must be, and locked; raises StoreError that names the version."""
        held = self.stat(sealed.key, version)
        if held.size_bytes != sealed.size_bytes:
            raise self.contradiction(sealed, version, f"{held.size_bytes} bytes", f"{sealed.size_bytes} bytes")
        if held.checksum is None:
            self._read_back(sealed, version, stop)
        elif held.checksum != sealed.checksum:
            raise self.contradiction(sealed, version, f"checksum {held.checksum}", f"checksum {sealed.checksum}")
        if sealed.locked_until is not None and not _is_locked(held, sealed.locked_until):
            held = self._prolong(sealed, version, whole_second(sealed.locked_until))
        return Stored(
            key=sealed.key,
            version=version,
            checksum=sealed.checksum,
            checksum_type=sealed.checksum_type,
            verified="read-back" if held.checksum is None else "server-checksum",
            method=method,
            locked_until=held.locked_until,
            lock_mode=held.lock_mode,
        )

    def contradiction(self, sealed: Sealed, version: str, held: str, due: str) -> DifferentError:
        """Say that a version is not what was sent."""
        return DifferentError(
            f"Store {self._settings.id} holds {sealed.key} in version {version} with {held} instead of {due}.",
            hint="This version counts for nothing. The server is damaged, or somebody else wrote to it.",
        )

    def _read_back(self, sealed: Sealed, version: str, stop: threading.Event) -> None:
        digester = Digester()
        for piece in self.read(sealed.key, version, 0, None):
            if stop.is_set():
                raise StoppedError(f"Reading {sealed.key} back was stopped.")
            digester.update(piece)
        if digester.finish().part_digests != sealed.part_digests:
            raise self.contradiction(sealed, version, "other bytes", "the sealed ones")

    def _prolong(self, sealed: Sealed, version: str, until: datetime) -> Found:
        """Lock a version for longer: its upload was begun with an earlier date, or the server ignored it."""
        with in_plain_words(self._settings, f"lock {sealed.key}"):
            self._client.put_object_retention(
                Bucket=self._settings.bucket,
                Key=sealed.key,
                VersionId=version,
                Retention={"Mode": _COMPLIANCE, "RetainUntilDate": until},
            )
        held = self.stat(sealed.key, version)
        if not _is_locked(held, until):
            lock = f"lock {held.lock_mode} until {held.locked_until}"
            raise self.contradiction(sealed, version, lock, f"{_COMPLIANCE} until {until}")
        return held


def found(key: str, head: "HeadObjectOutputTypeDef") -> Found:
    """Read the answer to HEAD."""
    until = head.get("ObjectLockRetainUntilDate")
    checksum = head.get("ChecksumSHA256")
    # Some servers leave the type out; the number of parts after `-` tells it as well.
    told = "COMPOSITE" if checksum is not None and "-" in checksum else "FULL_OBJECT"
    return Found(
        key=key,
        version=head.get("VersionId"),
        size_bytes=head["ContentLength"],
        checksum=checksum,
        checksum_type=None if checksum is None else head.get("ChecksumType", told),
        locked_until=None if until is None else until.astimezone(UTC),
        lock_mode=head.get("ObjectLockMode"),
    )


def lock(until: datetime | None) -> dict[str, Any]:
    """Give the parameters of a request that locks what it stores."""
    if until is None:
        return {}
    return {"ObjectLockMode": _COMPLIANCE, "ObjectLockRetainUntilDate": whole_second(until)}


def whole_second(until: datetime) -> datetime:
    """Give the next whole second: servers keep no fractions, and a lock is never shortened."""
    return until.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=bool(until.microsecond))


def _is_locked(held: Found, until: datetime) -> bool:
    return held.lock_mode == _COMPLIANCE and held.locked_until is not None and held.locked_until >= whole_second(until)
