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
    facts = parts.book.facts
    if facts.distrusted_in(docking.docking):
        return False
    delay = parts.config.bays.wipe_delay
    before = rfc3339(parts.clock.now() - delay) if delay else _EVER
    return facts.lacking_proof(docking.docking, parts.store.id, sealed_before=before) > 0


def _card_file(parts: Parts, row: SealedFileRow) -> CardFile:
    return CardFile(
        path=row.path,
        segment=row.segment,
        sealed=Proof(reference=row.sealed_ref, epoch=row.sealed_epoch, seq=row.sealed_seq),
        accounted=Proof(reference=row.said_ref, epoch=row.said_epoch, seq=row.said_seq),
        quarantined=row.quarantine is not None,
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
