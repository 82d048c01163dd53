"""What central storage holds of the ledger, read back and believed as far as it is proven (EVIDENCE.md, section 3).

A checkpoint counts if the log's key signed it. Entries are what they claim to be once the tree over them has the root
of such a checkpoint: that is for the book to compute, when it takes them in.
"""

from dataclasses import dataclass

from edged.errors import LedgerError, MalformedError
from edged.evidence import tiles
from edged.evidence.bodies import Close, Genesis
from edged.evidence.certificates import fingerprint, load_certificates
from edged.evidence.entry import parse
from edged.evidence.identity import check_identity
from edged.evidence.ids import StationId, split_origin
from edged.evidence.note import Checkpoint, parse_checkpoint, parse_note, parse_vkey, verify
from edged.stores.port import Store


@dataclass(frozen=True, kw_only=True)
class Published:
    """The newest checkpoint of a log."""

    checkpoint: Checkpoint
    note: bytes

    @property
    def size(self) -> int:
        """How many entries were published."""
        return self.checkpoint.size


@dataclass(frozen=True, kw_only=True)
class Successor:
    """A later epoch of this station that its book does not know."""

    published: Published
    entries: tuple[bytes, ...]
    certificates: bytes


def prefix(origin: str) -> str:
    """Give the folder of a log in the store (EVIDENCE.md, section 9)."""
    return f"ledger/{origin}"


def newest(store: Store, origin: str) -> bytes | None:
    """Give the bytes of the newest checkpoint of a log, None where none was ever published."""
    return store.newest(f"{prefix(origin)}/checkpoint")


def read_checkpoint(data: bytes, origin: str, vkey: str) -> Published:
    """Read a published checkpoint; raises LedgerError if the log's own key did not sign it."""
    try:
        note = parse_note(data)
        checkpoint = parse_checkpoint(note.text)
        signed = verify(note, parse_vkey(vkey))
    except MalformedError as error:
        raise LedgerError(f"The published checkpoint cannot be read: {error.message}; nothing is signed.") from error
    if checkpoint.origin != origin or not signed:
        raise LedgerError("The published checkpoint was not signed by this station's key; nothing is signed.")
    return Published(checkpoint=checkpoint, note=data)


def read_entries(store: Store, origin: str, first: int, size: int) -> list[bytes]:
    """Read the entries from index `first` of a log of `size` entries; raises LedgerError for what cannot be them."""
    found: list[bytes] = []
    for n in range(first // tiles.FULL, -(-size // tiles.FULL)):
        width = min(tiles.FULL, size - n * tiles.FULL)
        key = f"{prefix(origin)}/{tiles.entries_path(n, width)}"
        try:
            bundle = tiles.parse_bundle(_read(store, key))
        except MalformedError as error:
            raise LedgerError(f"The published entries in {key} cannot be read: {error.message}") from error
        if len(bundle) != width:
            raise LedgerError(f"{key} holds {len(bundle)} entries where {width} were published.")
        found += bundle[max(0, first - n * tiles.FULL) :]
    return found


def successor(store: Store, last: bytes, roots_pem: bytes) -> Successor | None:
    """Give the epoch that the last entry of another one names as the next, if it was published.

    Its key is believed if a root that this station knows certified it. Raises LedgerError for anything else.
    """
    body = parse(last).body
    if not isinstance(body, Close) or body.next is None or (data := newest(store, body.next)) is None:
        return None
    origin = body.next
    try:
        certificates = _read(store, f"{prefix(origin)}/station.pem")
        leaf, *issuers = load_certificates(certificates)
        (first, *_) = tiles.parse_bundle(_first_bundle(store, origin, data))
        genesis = parse(first)
    except (MalformedError, ValueError) as error:
        raise LedgerError(f"The published ledger of {origin} cannot be read: {error}; nothing is signed.") from error
    if not isinstance(genesis.body, Genesis) or genesis.body.certificate_sha256 != fingerprint(leaf):
        raise LedgerError(f"The published ledger of {origin} does not begin with the key it was certified for.")
    station = StationId(split_origin(origin)[1])
    identity = check_identity(
        leaf, issuers, load_certificates(roots_pem), station=station, origin=origin, at=genesis.time
    )
    if identity.verdict != "verified":
        raise LedgerError(f"The key of {origin} is not this station's: {identity.detail}; nothing is signed.")
    published = read_checkpoint(data, origin, genesis.body.public_key)
    entries = tuple(read_entries(store, origin, 0, published.size))
    return Successor(published=published, entries=entries, certificates=certificates)


def _first_bundle(store: Store, origin: str, note: bytes) -> bytes:
    size = parse_checkpoint(parse_note(note).text).size
    return _read(store, f"{prefix(origin)}/{tiles.entries_path(0, min(tiles.FULL, size))}")


def _read(store: Store, key: str) -> bytes:
    """Read the newest version of a small file: nothing names one, and what it holds is proven otherwise."""
    data = store.newest(key)
    if data is None:
        raise LedgerError(f"Store {store.id} lacks {key}, which was published there; nothing is signed.")
    return data
