"""The station's ledger and files as the making of a bundle asks for them."""

from pathlib import Path

from edged import keys
from edged.book import Book
from edged.config import StationConfig
from edged.errors import UnreadableError
from edged.evidence.ids import EpochId, SegmentId, Sha256, StationId
from edged.station.files import KEYS, derivative_path, place_of


class StationView:
    """Answers `bundles.port.LedgerView` from book and vault; nothing is written through it."""

    def __init__(self, book: Book, config: StationConfig) -> None:
        self._book = book
        self._config = config

    @property
    def station(self) -> StationId:
        """The station."""
        return self._book.ledger.station

    @property
    def epoch(self) -> EpochId:
        """The open epoch."""
        return self._book.ledger.epoch.id

    def entry_bytes(self, seq: int) -> bytes:
        """Give the exact bytes of an entry."""
        return self._book.ledger.entry_bytes(seq)

    def seq_of(self, ref: str) -> int | None:
        """Give the number of the entry with this reference."""
        return self._book.ledger.seq_of(ref)

    def naming(self, kind: str, id: str) -> list[int]:  # noqa: A002 - the field's word
        """Give the numbers of the entries that name something."""
        return self._book.ledger.naming(kind, id)

    def of_type(self, type: str) -> list[int]:  # noqa: A002 - the field's word
        """Give the numbers of the entries of one type."""
        return self._book.ledger.of_type(type)

    def inclusion_proof(self, seq: int, size: int) -> list[bytes]:
        """Prove an entry."""
        return self._book.ledger.inclusion_proof(seq, size)

    def checkpoint_covering(self, seq: int) -> tuple[int, bytes] | None:
        """Give the smallest signed checkpoint that covers an entry."""
        return self._book.ledger.checkpoint_covering(seq)

    def document(self, sha256: Sha256) -> bytes:
        """Give an inventory or an export's list."""
        return self._book.registers.document(sha256)

    def reason_text(self, digest: Sha256) -> tuple[str, str] | None:
        """Give salt and text of a reason."""
        return self._book.registers.reason(digest)

    def original(self, segment: SegmentId) -> Path:
        """Give the place of an original; raises UnreadableError if the book knows no such segment."""
        row = self._book.facts.segment(segment)
        if row is None:
            raise UnreadableError(f"The book knows no segment {segment}.")
        return self._config.paths.vault / place_of(self._book, row).key

    def derivative(self, segment: SegmentId, kind: str) -> Path | None:
        """Give the place of a derivative."""
        return derivative_path(self._config.paths.state, segment, kind)

    def certificates_pem(self) -> bytes:
        """Give the epoch's certificates without the root."""
        return keys.load_certificates(self._config.paths.state / KEYS)[0]

    def root_pem(self) -> bytes:
        """Give the root's certificate."""
        return keys.load_certificates(self._config.paths.state / KEYS)[1]
