"""Gathers the facts that clearance is decided by, for one docking, from the book."""

from edged.book.facts import DockingRow, ReplicaRow, SealedFileRow
from edged.clock import from_rfc3339, rfc3339
from edged.evidence.ids import StoreId
from edged.evidence.text import to_base64
from edged.rules.clearance import CardFile, Clearance, ClearanceFacts, Copy, Proof, clearance
from edged.station.parts import Parts

_EVER = "9999"
"""Behind any time."""


def decide(parts: Parts, docking: DockingRow, *, unsealed: int) -> Clearance:
    """Decide which files of a docking may be erased now, by all that the book knows at this moment.

    `unsealed` counts the files of the card that could not be taken.
    """
    return clearance(
        ClearanceFacts(
            docking=docking.docking,
            open=docking.outcome is None,
            wipe="never" if parts.config.bays.wipe == "never" else "after-clearance",
            wipe_delay=parts.config.bays.wipe_delay,
            now=parts.clock.now(),
            unsealed=unsealed,
            distrusted=parts.book.facts.distrusted_in(docking.docking),
            stores=frozenset() if parts.store is None else frozenset({parts.store.id}),
            published=parts.book.ledger.published_sizes(),
            files=tuple(_card_file(parts, row) for row in parts.book.facts.sealed_files(docking.docking)),
        )
    )


def lacks_proof(parts: Parts, docking: DockingRow, *, unsealed: int) -> bool:
    """Say whether waiting can bring clearance for files that do not have it yet.

    It cannot come without a store, nor for any file while others could not be taken or are not trusted. A quick look
    at the projections, made at every step of the ledger; `decide` alone says what may be erased.
    """
    if unsealed or parts.store is None or parts.config.bays.wipe == "never":
        return False
    if parts.book.facts.distrusted_in(docking.docking):
        return False
    return _lacking(parts, docking, parts.store.id) > 0


def lacks_rereads_only(parts: Parts, docking: DockingRow) -> bool:
    """Say whether each proof that still lacks is a re-read of the vault's copy that failed, and failed again."""
    failed = failed_rereads(parts, docking)
    return failed > 0 and parts.store is not None and failed == _lacking(parts, docking, parts.store.id)


def failed_rereads(parts: Parts, docking: DockingRow) -> int:
    """Count the files of a docking whose copy in the vault could not be read back more than once in a row."""
    if not parts.unread:
        return 0
    return sum(parts.unread.get(row.segment, 0) > 1 for row in parts.book.facts.found(docking.docking).values())


def _lacking(parts: Parts, docking: DockingRow, store: StoreId) -> int:
    delay = parts.config.bays.wipe_delay
    before = rfc3339(parts.clock.now() - delay) if delay else _EVER
    return parts.book.facts.lacking_proof(docking.docking, store, sealed_before=before)


def _card_file(parts: Parts, row: SealedFileRow) -> CardFile:
    return CardFile(
        path=row.path,
        segment=row.segment,
        sealed=Proof(reference=row.sealed_ref, epoch=row.sealed_epoch, seq=row.sealed_seq),
        accounted=Proof(reference=row.said_ref, epoch=row.said_epoch, seq=row.said_seq),
        quarantined=bool(row.distrusted),
        sealed_at=from_rfc3339(row.sealed_at),
        copies=tuple(_copy(parts, row, replica) for replica in parts.book.facts.replicas(row.segment)),
    )


def _copy(parts: Parts, row: SealedFileRow, replica: ReplicaRow) -> Copy:
    return Copy(
        segment=row.segment,
        store=replica.store,
        proof=Proof(reference=replica.ref, epoch=replica.epoch, seq=replica.seq),
        verified=replica.verified,
        method=replica.method,
        matches=replica.checksum in _expected(parts, row, replica),
    )


def _expected(parts: Parts, row: SealedFileRow, replica: ReplicaRow) -> set[str]:
    """Give the checksums that the sealed digests predict for a copy, by the type the store says it is."""
    if replica.store == StoreId("vault"):
        return {row.sha256}
    if replica.checksum_type != "COMPOSITE":
        return {to_base64(bytes.fromhex(row.sha256))}
    sealed = parts.book.facts.segment(row.segment)
    if sealed is None:
        return set()
    return {parts.sealed_digests(sealed).composite}
