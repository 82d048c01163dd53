"""What making a bundle asks of the station's book and vault.

The book satisfies `LedgerView` through an adapter of the composition root. Entries have *numbers*, which ascend in the
order they were written, across epochs; where an entry lies in its epoch's log, it says itself. For one number every
answer is always the same: that is what makes the same export give the same bytes again.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from edged.evidence.ids import EpochId, SegmentId, Sha256, StationId


class LedgerView(Protocol):
    """A station's ledger, and the files that its entries speak of; read only."""

    @property
    def station(self) -> StationId:
        """The station."""

    def entry_bytes(self, seq: int) -> bytes:
        """Give the exact bytes of an entry; raises UnreadableError if there is none."""

    def seq_of(self, ref: str) -> int | None:
        """Give the number of the entry with this reference, None if there is none."""

    def naming(self, kind: str, id: str) -> Sequence[int]:  # noqa: A002 - the field's word
        """Give the numbers of the entries that name a `segment`, `docking`, `case` or `recorder`, ascending.

        An entry names what its body holds under the key of that kind, as its `subject`, or in its `items`.
        """

    def of_type(self, type: str) -> Sequence[int]:  # noqa: A002 - the field's word
        """Give the numbers of the entries of one type, ascending."""

    def inclusion_proof(self, seq: int, size: int) -> Sequence[bytes]:
        """Prove an entry, by its number, in the tree of the first `size` entries of its epoch (RFC 6962, 2.1.1)."""

    def checkpoint_covering(self, seq: int) -> tuple[int, bytes] | None:
        """Give size and bytes of the smallest signed checkpoint that covers an entry, None if there is none yet."""

    def last_checkpoint(self, epoch: EpochId) -> tuple[int, bytes] | None:
        """Give size and bytes of the last checkpoint of an epoch that has ended, None if it is not signed yet."""

    def checkpoint(self, epoch: EpochId, size: int) -> bytes | None:
        """Give the signed checkpoint of exactly this size, None if there is none."""

    def extension_proof(self, epoch: EpochId, old: int, new: int) -> Sequence[bytes]:
        """Prove that an epoch's log only grew from one size to another (RFC 6962, section 2.1.2)."""

    def anchors_covering(self, seq: int, upto: int) -> Sequence[int]:
        """Give the numbers of the `anchor` entries over the earliest anchored checkpoint that covers an entry.

        Only those below `upto` count; none if no checkpoint is anchored by them. Anchored is a checkpoint that an
        authority stamped, or that a quorum of the station's policy cosigned.
        """

    def cited_anchor(self, sha256: Sha256) -> tuple[bytes, bytes | None] | None:
        """Give the anchor that an entry cites as `after`, and of a cosignature its checkpoint; None if not here."""

    def document(self, sha256: Sha256) -> bytes:
        """Give what is stored beside an entry that cites it: an inventory, the list of an export.

        Raises UnreadableError if it is not there.
        """

    def reason_text(self, digest: Sha256) -> tuple[str, str] | None:
        """Give salt and text of a reason, None where the register has none or it may not be disclosed."""

    def original(self, segment: SegmentId) -> Iterator[bytes]:
        """Read an original in blocks, from the vault or from where its copy lies; raises UnreadableError.

        What comes is compared with the seal by whoever reads.
        """

    def derivative(self, segment: SegmentId, kind: str) -> Path | None:
        """Give the place of the newest derivative of a kind, None if there is none."""

    def certificates_pem(self, epoch: EpochId) -> bytes:
        """Give the certificate of an epoch's key, then those of its issuers without the root, in PEM."""

    def root_pem(self) -> bytes:
        """Give the roots' certificates in PEM: for information in the bundle, and for its own report."""

    def tsa_pem(self) -> bytes:
        """Give the roots of the time-stamping authorities in PEM, likewise; empty if there are none."""

    def policy_text(self) -> bytes:
        """Give the policy of witnesses, likewise; empty if there is none."""
