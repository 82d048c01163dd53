"""What making a bundle asks of the station's book and vault.

The book satisfies `LedgerView` through an adapter of the composition root. Every answer is about one epoch, and for
one sequence number it is always the same: that is what makes the same export give the same bytes again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edged.evidence.ids import EpochId, SegmentId, Sha256, StationId


class LedgerView(Protocol):
    """A station's ledger, and the files that its entries speak of; read only."""

    @property
    def station(self) -> StationId:
        """The station."""

    @property
    def epoch(self) -> EpochId:
        """The epoch that every sequence number below belongs to."""

    def entry_bytes(self, seq: int) -> bytes:
        """Give the exact bytes of an entry; raises UnreadableError if there is none."""

    def seq_of(self, ref: str) -> int | None:
        """Give the number of the entry with this reference, None if this epoch has none."""

    def naming(self, kind: str, id: str) -> Sequence[int]:  # noqa: A002 - the field's word
        """Give the numbers of the entries that name a `segment`, `docking`, `case` or `recorder`, ascending.

        An entry names what its body holds under the key of that kind, as its `subject`, or in its `items`.
        """

    def of_type(self, type: str) -> Sequence[int]:  # noqa: A002 - the field's word
        """Give the numbers of the entries of one type, ascending."""

    def inclusion_proof(self, seq: int, size: int) -> Sequence[bytes]:
        """Prove entry `seq` in the tree of the first `size` entries (RFC 6962, section 2.1.1)."""

    def checkpoint_covering(self, seq: int) -> tuple[int, bytes] | None:
        """Give size and bytes of the smallest signed checkpoint that covers entry `seq`, None if there is none yet."""

    def document(self, sha256: Sha256) -> bytes:
        """Give what is stored beside an entry that cites it: an inventory, the list of an export.

        Raises UnreadableError if it is not there.
        """

    def reason_text(self, digest: Sha256) -> tuple[str, str] | None:
        """Give salt and text of a reason, None where the register has none or it may not be disclosed."""

    def original(self, segment: SegmentId) -> Path:
        """Give the place of an original in the vault; raises UnreadableError if the vault has none."""

    def derivative(self, segment: SegmentId, kind: str) -> Path | None:
        """Give the place of the newest derivative of a kind, None if there is none."""

    def certificates_pem(self) -> bytes:
        """Give the certificate of the epoch's key, then those of its issuers without the root, in PEM."""

    def root_pem(self) -> bytes:
        """Give the root's certificate in PEM: for information in the bundle, and for its own report."""
