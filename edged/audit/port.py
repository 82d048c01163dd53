"""What verification asks of a station or a store: its logs, and what lies there of originals.

An implementation only reads. It raises nothing but `edged.errors`; what it gives is believed by nobody.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from edged.errors import UnreadableError
from edged.evidence import bodies
from edged.evidence.ids import EpochId, SegmentId, Sha256, StationId, StoreId
from edged.evidence.verification import BundleFiles

ENTRIES = 256
"""Entries of a bundle of entries, hashes of a tile (C2SP `tlog-tiles`)."""


class AbsentError(UnreadableError):
    """What was asked for does not lie there."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copy of a segment, where the ledger says that it lies."""

    segment: bodies.Segment
    key: str
    version: str | None
    """The only version that counts; None where there are none."""

    @property
    def folder(self) -> str:
        """What the original and all that lies beside it have in common."""
        return self.key.rpartition("/")[0]


@dataclass(frozen=True, kw_only=True)
class Lying:
    """Something that lies where originals and derivatives do."""

    key: str
    version: str | None
    """As `Copy.version`; empty where it can be no copy that the ledger names."""
    kind: Literal["original", "beside", "derivative", "stray"]
    segment: SegmentId | None = None
    derivative: str = ""
    """Kind of a derivative."""


class LogSource(Protocol):
    """The log of one epoch."""

    origin: str
    station: StationId
    epoch: EpochId
    size: int
    """How many entries it is said to hold. Beyond the newest checkpoint nothing is signed."""
    newest: bytes | None
    """The newest signed checkpoint, None where there is none."""
    files: BundleFiles
    """Its certificates and anchored checkpoints, under the names that they have in a bundle."""

    def entries(self, n: int, width: int) -> list[bytes]:
        """Give `width` entries from number `n * ENTRIES` on; raises AbsentError, MalformedError."""

    def tile(self, level: int, n: int, width: int) -> bytes | None:
        """Give the hashes of a tile, None where it is not here."""

    def older(self) -> Iterator[bytes]:
        """Give every other signed checkpoint that is held of this log, in no order."""


class Originals(Protocol):
    """The originals of a station or a store; `read` and `chunk_list` are called from several threads at once."""

    store: StoreId | None
    """A copy is where the `replica` entries of this store say; None where each `segment` entry has its place."""

    def settle(self, stores: Collection[str]) -> None:
        """Learn which stores the ledger names; raises UsageError where it is not clear which one this is."""

    def place(self, segment: bodies.Segment) -> Copy:
        """Give the place of a segment, where `store` is None; raises AbsentError."""

    def read(self, copy: Copy) -> Iterator[bytes]:
        """Give the bytes of a copy; raises AbsentError with the first of them."""

    def chunk_list(self, copy: Copy) -> bytes | None:
        """Give the chunk list that lies beside a copy, None where there is none."""

    def document(self, sha256: Sha256) -> bytes | None:
        """Give an inventory; None where it is not here."""

    @property
    def has_documents(self) -> bool:
        """Say whether inventories are kept here at all."""

    def lying(self) -> Iterator[Lying]:
        """Give everything that lies there."""

    def read_lying(self, lying: Lying) -> Iterator[bytes]:
        """Give the bytes of something that lies there."""


class Target(Protocol):
    """What is verified."""

    name: str
    """As the verifier named it."""
    originals: Originals | None

    def logs(self) -> Sequence[LogSource]:
        """Give every log, in no order; raises UnreadableError where there is none."""


class Progress(Protocol):
    """Who is told how far it is; from several threads."""

    def begin(self, what: str, total: int) -> None:
        """Begin a stretch of so many entries."""

    def advance(self, entries: int) -> None:
        """So many entries more are done."""

    def read(self, size_bytes: int) -> None:
        """So many bytes of originals more were read."""
