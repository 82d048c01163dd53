"""The port to central storage, and what each implementation behind it guarantees.

An implementation
- stores whole objects under keys and **never replaces bytes**: what stands at a key and version stays what it
  was; storing to the same key again makes another version;
- says `Stored` only for bytes that the storage side itself has shown to be the sealed ones, either by a
  checksum that the server computed over what it received, or by reading all of it back. What was sent is no
  evidence of what is held;
- never shortens a lock, and never reports one that it has not read back from the storage side;
- is taken up where it stood: an upload that was interrupted anywhere (process killed, network gone, an answer
  lost) is simply called again, sends what is missing, and ends in one further version at most;
- can be used from several threads at once;
- raises nothing but `edged.errors`: `UnavailableError` for what passes by itself (network, overload),
  `StoreError` for what was refused or contradicts what was sent, `MissingError` for what is not there,
  `StorageError` when the file to upload cannot be read, `StoppedError` when `stop` was set. A failed call has
  stored nothing under a version that anybody was told of.

`tests/contract/test_store_contract.py` holds each implementation to this.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, Protocol

from edged.errors import MalformedError, StoreError
from edged.evidence.digests import CHUNK_BYTES, composite_of
from edged.evidence.ids import StoreId

PART_BYTES: Final = CHUNK_BYTES
"""Length of each part of an upload but the last: that of a chunk, so that sealed digests serve as checksums."""

Verified = Literal["server-checksum", "read-back"]
"""How the storage side was shown to hold the sealed bytes (EVIDENCE.md, section 2, `replica`)."""


class MissingError(StoreError):
    """The store holds nothing at this key and version."""


class DifferentError(StoreError):
    """The store holds something else than was sealed, or holds it unlocked."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file on its way into storage."""

    key: str
    """Where it shall stand, `/`-separated (EVIDENCE.md, section 9)."""

    source: Path
    """The file; it is opened for reading only, and read part by part while it is sent."""

    part_digests: tuple[bytes, ...]
    """The sealed SHA-256 of each part, raw: `Digests.part_digests`. They are never computed again here, so
    that the server's check of what it receives is a check against the seal."""

    size_bytes: int
    """The sealed length of the file."""

    locked_until: datetime | None
    """Until when nobody may delete the version; None for no lock. Aware."""

    def __post_init__(self) -> None:
        if len(self.part_digests) != max(1, -(-self.size_bytes // PART_BYTES)):
            raise MalformedError(
                f"{len(self.part_digests)} part digests do not belong to a file of {self.size_bytes} bytes"
            )

    @property
    def composite(self) -> str:
        """The composite checksum that a server must compute for this file."""
        return composite_of(self.part_digests)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What the store was shown to hold: the facts of a `replica` entry."""

    key: str
    version: str | None
    """The version every later read must name; None in a store that keeps one version only."""
    checksum: str
    """As S3 writes it: base64 of the SHA-256, for a composite one `-` and the number of parts after it."""
    checksum_type: str
    """`COMPOSITE` (over the digests of the parts) or `FULL_OBJECT`."""
    verified: Verified
    method: str
    """The way it was verified, in a word or two for the reader of the ledger."""
    locked_until: datetime | None
    """Until when the version is locked, as the store says; not before the time that was asked for."""
    lock_mode: str | None
    """`COMPLIANCE`: nobody can lift it; None without a lock."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the store says today about one version. A statement of the store, not a verification."""

    key: str
    version: str | None
    size_bytes: int
    checksum: str | None
    """None when the store keeps no SHA-256 of this version."""
    checksum_type: str | None
    locked_until: datetime | None
    lock_mode: str | None


class PartsLog(Protocol):
    """The notes of uploads under way, kept by the caller: a work table whose loss costs time only.

    Called from the thread that called `Store.upload`, never from another.
    """

    def load(self, key: str) -> tuple[str, dict[int, str]] | None:
        """Give the upload id and the parts that the store has taken (number from 1, to ETag), if any."""

    def begin(self, key: str, upload_id: str) -> None:
        """Note a new upload to `key`; parts of an earlier one are forgotten."""

    def done(self, key: str, part: int, etag: str) -> None:
        """Note that the store has taken a part and found the sealed digest in it."""

    def forget(self, key: str) -> None:
        """Forget the upload to `key`: it is complete, or gone from the store."""


class Store(Protocol):
    """Central or dedicated storage."""

    id: StoreId

    def check(self) -> None:
        """Show that the store can be reached, holds the place to store in, keeps versions, and can lock.

        Raises UnavailableError or StoreError; each thing that is wrong has a sentence and a hint of its own.
        """

    def upload(self, upload: Upload, parts: PartsLog, stop: threading.Event) -> Stored:
        """Store a file of any length, by parts; returns when it was shown to be there, whole and locked.

        Bytes that differ from `part_digests` are refused by the server, never corrected. Where the store
        already holds these very bytes as the newest version of the key (an earlier call whose answer was
        lost), that version is verified and returned, its lock prolonged where it is too short.

        With `stop` set the call ends in StoppedError at once, within a part; only an answer that the server
        still owes is waited for, for the time of one network timeout.
        """

    def confirm(self, upload: Upload, version: str | None, stop: threading.Event) -> Stored:
        """Show afresh that a version holds the sealed bytes, and have it locked until `locked_until` at least.

        What a store says of its bytes by a checksum of its own is asked; where it keeps none, all of it is read
        back, past the memory of this machine. Nothing is stored, and `source` is not opened: it may be gone.
        Raises MissingError, DifferentError, StoppedError.
        """

    def put(self, key: str, data: bytes, locked_until: datetime | None = None) -> Stored:
        """Store a small object in one piece, verified like an upload."""

    def stat(self, key: str, version: str | None) -> Found:
        """Ask what the store says about a version; raises MissingError when it is not there."""

    def read(self, key: str, version: str | None, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Read a version from byte `start` on, to its end or `length` bytes, in pieces of at most 1 MiB.

        Nothing is asked of the store before the first piece is taken, so errors come from there. An end that
        comes too early is UnavailableError; `start` beyond the end is StoreError. The caller compares digests.
        """

    def newest(self, key: str) -> bytes | None:
        """Give the newest version of a small object, None when there never was one.

        For the published ledger only: everything else is read by version. An object that was deleted
        raises StoreError, as it must not pass for one that never was: a ledger would fork over it.
        """

    def close(self) -> None:
        """Give up all connections; the store is not used any more afterwards."""
