"""The station's ledger and files as the making of a bundle asks for them."""

import os
from collections.abc import Iterator
from pathlib import Path

from edged.book import Book
from edged.bundles.load import read_blocks
from edged.config import StationConfig
from edged.errors import UnreadableError
from edged.evidence.ids import EpochId, SegmentId, Sha256, StationId
from edged.keys import KeyFolder
from edged.station.anchoring import is_anchored, read_policy, read_policy_text, read_tsa_pem
from edged.station.files import KEYS, derivative_path, place_of
from edged.station.retired import RetiredOriginals
from edged.station.retirements import is_retired


class StationView:
    """Answers `bundles.port.LedgerView` from book and vault; nothing is written through it."""

    def __init__(self, book: Book, config: StationConfig, *, credentials: Path | None = None) -> None:
        """`credentials` are for originals that the vault holds no more, instead of those of the configuration."""
        self._retired = RetiredOriginals(book, config, credentials=credentials)
        self._book = book
        self._config = config
        self._keys = KeyFolder(config.paths.state / KEYS)
        self._policy = read_policy(config.anchors)
        self._known: dict[tuple[str, int, int], list[int] | None] = {}

    def close(self) -> None:
        """Let go of central storage, if it was asked."""
        self._retired.close()

    @property
    def station(self) -> StationId:
        """The station."""
        return self._book.ledger.station

    def entry_bytes(self, seq: int) -> bytes:
        """Give the exact bytes of an entry; its number is its position in the book."""
        return self._book.ledger.bytes_at(seq)

    def seq_of(self, ref: str) -> int | None:
        """Give the number of the entry with this reference."""
        return self._book.ledger.position_of(ref)

    def naming(self, kind: str, id: str) -> list[int]:  # noqa: A002 - the field's word
        """Give the numbers of the entries that name something."""
        return self._book.ledger.positions_naming(kind, id)

    def of_type(self, type: str) -> list[int]:  # noqa: A002 - the field's word
        """Give the numbers of the entries of one type."""
        return self._book.ledger.positions_of_type(type)

    def inclusion_proof(self, seq: int, size: int) -> list[bytes]:
        """Prove an entry in its epoch's log."""
        place = self._book.ledger.place(seq)
        return self._book.ledger.log_of(place.epoch).inclusion_proof(place.seq, size)

    def checkpoint_covering(self, seq: int) -> tuple[int, bytes] | None:
        """Give the smallest signed checkpoint that covers an entry."""
        place = self._book.ledger.place(seq)
        return self._book.ledger.log_of(place.epoch).checkpoint_covering(place.seq)

    def last_checkpoint(self, epoch: EpochId) -> tuple[int, bytes] | None:
        """Give the last checkpoint of an epoch that has ended."""
        log = self._book.ledger.log_of(epoch)
        return log.checkpoint_covering(log.size() - 1)

    def checkpoint(self, epoch: EpochId, size: int) -> bytes | None:
        """Give a signed checkpoint."""
        found = self._book.anchors.signed(self._origin(epoch), size)
        return None if found is None else found.note

    def extension_proof(self, epoch: EpochId, old: int, new: int) -> list[bytes]:
        """Prove that an epoch's log only grew."""
        return self._book.ledger.consistency_proof(self._book.ledger.log_of(epoch).number, old, new)

    def anchors_covering(self, seq: int, upto: int) -> list[int]:
        """Give the numbers of the `anchor` entries over the earliest anchored checkpoint that covers an entry."""
        place = self._book.ledger.place(seq)
        origin = self._origin(place.epoch)
        for size in self._book.anchors.anchored_sizes(origin, covering=place.seq, before=upto):
            if (found := self._anchors(origin, size, upto)) is not None:
                return found
        return []

    def cited_anchor(self, sha256: Sha256) -> tuple[bytes, bytes | None] | None:
        """Give the anchor that an entry cites, and of a cosignature its checkpoint."""
        found = self._book.anchors.by_digest(sha256)
        if found is None:
            return None
        over = self._book.anchors.signed(found.origin, found.size) if found.kind == "cosignature" else None
        return found.data, None if over is None else over.note

    def document(self, sha256: Sha256) -> bytes:
        """Give an inventory or an export's list."""
        return self._book.registers.document(sha256)

    def reason_text(self, digest: Sha256) -> tuple[str, str] | None:
        """Give salt and text of a reason."""
        return self._book.registers.reason(digest)

    def original(self, segment: SegmentId) -> Iterator[bytes]:
        """Read an original from the vault, or from central storage where it was retired; raises UnreadableError."""
        row = self._book.facts.segment(segment)
        if row is None:
            raise UnreadableError(f"The book knows no segment {segment}.")
        path = self._config.paths.vault / place_of(self._book, row).key
        if not os.path.lexists(path) and is_retired(self._book, segment):
            return self._retired.read(segment)
        return read_blocks(path)

    def derivative(self, segment: SegmentId, kind: str) -> Path | None:
        """Give the place of a derivative."""
        return derivative_path(self._config.paths.state, segment, kind)

    def certificates_pem(self, epoch: EpochId) -> bytes:
        """Give an epoch's certificates without the root; raises UnreadableError if they are not here."""
        origins = [each.origin for each in self._book.ledger.epochs() if each.id == epoch]
        found = self._keys.certificates_of(origins[0]) if origins else None
        if found is None:
            raise UnreadableError(f"The certificate of epoch {epoch} is not here.", hint="Run `edged check`.")
        return found

    def root_pem(self) -> bytes:
        """Give the roots' certificates."""
        return self._keys.roots_pem()

    def tsa_pem(self) -> bytes:
        """Give the roots of the time-stamping authorities."""
        return read_tsa_pem(self._config.anchors)

    def policy_text(self) -> bytes:
        """Give the policy of witnesses."""
        return read_policy_text(self._config.anchors)

    def _origin(self, epoch: EpochId) -> str:
        return next((each.origin for each in self._book.ledger.epochs() if each.id == epoch), "")

    def _anchors(self, origin: str, size: int, upto: int) -> list[int] | None:
        """Give the numbers of the `anchor` entries over a checkpoint, None unless they are enough."""
        key = (origin, size, upto)
        if key not in self._known:
            over = self._book.anchors.signed(origin, size)
            found = self._book.anchors.at(origin, size, before=upto)
            is_enough = over is not None and is_anchored(found, over.note, self._policy)
            self._known[key] = [each.position for each in found] if is_enough else None
        return self._known[key]
