"""`edged check`: the station's fsck. Reads everything, changes nothing, and may run beside the daemon.

Each check is named after what it shows; the invariants are those of the design, section 4:
    book         SQLite's own view of the file
    ledger       bytes, order, `prev`, every tree hash, every decided and signed head, epoch by epoch (INV-4)
    keys         private keys are their owner's alone, fit the epochs, and those of ended epochs are destroyed
    projections  rebuilt from the entries and compared (INV-4)
    vault        each sealed file is there, whole and read-only, or was retired; with `deep`, digested (INV-2, INV-3)
    wipes        nothing was erased, or retired, without an entry and proofs before it (INV-1, INV-3)
    accounting   every file of every inventory is sealed, sighted, still on its card, or named by an anomaly (INV-7);
                 the documents that entries cite are here
    terms        no classification shortened the one before it, unless a person decided so (INV-5)
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from edged.book import Book
from edged.book.facts import DockingRow, SegmentRow
from edged.book.log import Head, Log, Stored
from edged.book.rebuilding import differences
from edged.config import StationConfig
from edged.errors import EdgedError, LedgerError, MalformedError, UnreadableError
from edged.evidence import merkle
from edged.evidence.bodies import (
    Anchor,
    Anomaly,
    Body,
    Classification,
    Clearance,
    Docking,
    Export,
    Genesis,
    Replica,
    Undocking,
    Wipe,
)
from edged.evidence.canonical import decode
from edged.evidence.certificates import fingerprint, load_certificates, raw_public_key
from edged.evidence.digests import Digester, sha256_hex
from edged.evidence.entry import ZERO_REF, parse, reference
from edged.evidence.ids import DockingId, EpochId, Sha256
from edged.evidence.note import VerifierKey, parse_checkpoint, parse_note, parse_vkey, verify, vkey
from edged.keys import KeyFolder, private_problems
from edged.rules.classification import shortens
from edged.rules.retention import parse_until
from edged.station.files import KEYS, place_of
from edged.station.retirements import check_retirements, is_retired, retired_from_vault
from edged.vault.disk import Disk
from edged.vault.place import CHUNKS_FILE
from edged.vault.unsealed import Marks

_PAGE: Final = 1000
_BLOCK_BYTES: Final = 1 << 20
_WRITABLE: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH

_B = TypeVar("_B", bound=Body)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as it must be."""

    check: str
    text: str


class Checker:
    """Checks one station."""

    def __init__(self, book: Book, config: StationConfig, *, deep: bool) -> None:
        """`deep` reads every original."""
        self._book = book
        self._config = config
        self._deep = deep
        self._keys = KeyFolder(config.paths.state / KEYS)
        self._marks = Marks(config.paths.vault, Disk())

    def run(self) -> Iterator[tuple[str, list[Finding]]]:
        """Run every check, one after the other, and give its name with what it found."""
        checks = {
            "book": self._check_book,
            "ledger": self._check_ledger,
            "keys": self._check_keys,
            "projections": self._check_projections,
            "vault": self._check_vault,
            "wipes": self._check_wipes,
            "accounting": self._check_accounting,
            "terms": self._check_terms,
        }
        for name, check in checks.items():
            yield name, [Finding(check=name, text=text) for text in _to_the_end(check)]

    def _check_book(self) -> Iterator[str]:
        yield from self._book.database.problems()

    def _check_projections(self) -> Iterator[str]:
        yield from differences(self._book.database)

    # ------------------------------------------------------------------------------------------- ledger

    def _check_ledger(self) -> Iterator[str]:
        # The daemon may write meanwhile: size, entries and heads have to be of one moment.
        with self._book.database.snapshot():
            for epoch in self._book.ledger.epochs():
                log = self._book.ledger.log(epoch)
                heads = log.heads()
                yield from _check_chain(log, {head.size: head for head in heads})
                yield from self._check_notes(heads, epoch.origin)

    def _check_notes(self, heads: list[Head], origin: str) -> Iterator[str]:
        pem = self._keys.certificates_of(origin)
        if pem is None:
            yield f"The certificate of {origin} is not here."
            return
        key = parse_vkey(vkey(origin, raw_public_key(load_certificates(pem)[0])))
        for head in heads:
            if head.note is not None and not _is_signed(head, origin, key):
                yield f"The checkpoint of size {head.size} is not what was decided, or not signed by this station."

    def _check_keys(self) -> Iterator[str]:
        ledger = self._book.ledger
        for path in self._keys.private_files():
            yield from private_problems(path)
        for _, genesis in self._bodies(Genesis):
            pem = self._keys.certificates_of(genesis.origin)
            if pem is not None and genesis.certificate_sha256 != fingerprint(load_certificates(pem)[0]):
                yield f"The certificate of {genesis.origin} is not the one that its first entry names."
        signing = ledger.signing_epoch()
        if not {signing.origin, ledger.epoch.origin} & self._keys.private_origins():
            yield f"The private key of {signing.origin}, which is to be signed, is not here."

    # -------------------------------------------------------------------------------------------- vault

    def _check_vault(self) -> Iterator[str]:
        retired = retired_from_vault(self._book)
        for segment in self._segments():
            path = self._original(segment)
            if not os.path.lexists(path) and is_retired(self._book, segment.segment):
                yield from self._check_list(segment, path)
                continue
            if retired.get(segment.segment, False):
                yield f"{segment.segment} was retired from the vault, and {path} is there."
            yield from self._check_original(segment, path)
        strays = [path for path in self._files() if not self._is_sealed(path)]
        # What is marked gets its entry soon, or when its recorder is docked again; what lost its mark just now has it.
        marked = self._marks.files()
        strays = [path for path in strays if path not in marked and not self._is_sealed(path)]
        yield from (f"{path} belongs to no sealed segment." for path in strays)

    def _files(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self._config.paths.vault / "segments"):
            links = [name for name in folders if Path(folder, name).is_symlink()]
            yield from (Path(folder, name) for name in sorted([*names, *links]))

    def _is_sealed(self, path: Path) -> bool:
        segment = self._book.facts.segment(path.parent.name)
        return segment is not None and path in {(own := self._original(segment)), own.with_name(CHUNKS_FILE)}

    def _check_original(self, segment: SegmentRow, path: Path) -> Iterator[str]:
        try:
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_size != segment.bytes:
                yield f"{segment.segment}: {path} has {found.st_size} bytes where {segment.bytes} were sealed."
            elif found.st_mode & _WRITABLE:
                yield f"{segment.segment}: {path} is not read-only."
            elif self._deep and _digest(path) != segment.sha256:
                yield f"{segment.segment}: {path} is not what was sealed."
        except OSError as error:
            yield f"{segment.segment}: {error.filename or path} cannot be read: {error.strerror}."
        yield from self._check_list(segment, path)

    def _check_list(self, segment: SegmentRow, path: Path) -> Iterator[str]:
        try:
            if sha256_hex(path.with_name(CHUNKS_FILE).read_bytes()) != segment.chunks_sha256:
                yield f"{segment.segment}: its chunk list is not the sealed one."
        except OSError as error:
            yield f"{segment.segment}: {error.filename or path} cannot be read: {error.strerror}."

    # ------------------------------------------------------------------------------ wipes and accounting

    def _check_wipes(self) -> Iterator[str]:
        with self._book.database.snapshot():
            clearances = dict(self._bodies(Clearance))
            for at, wipe in self._bodies(Wipe):
                cleared = self._book.ledger.position_of(wipe.clearance)
                if cleared not in clearances or cleared >= at:
                    yield f"Entry {self._name(at)} is a wipe without a clearance before it."
                elif not _names(clearances[cleared], wipe):
                    yield f"Entry {self._name(at)} is a wipe of a file that its clearance does not name."
            heads = {
                epoch.id: [head.size for head in self._book.ledger.log(epoch).heads() if head.published]
                for epoch in self._book.ledger.epochs()
            }
            for at, clearance in clearances.items():
                yield from self._check_proofs(at, clearance, heads)
            yield from check_retirements(self._book, heads, self._name)

    def _check_proofs(
        self, cleared: int, clearance: Clearance, published: Mapping[EpochId, list[int]]
    ) -> Iterator[str]:
        """Look for the proofs of a clearance below the newest checkpoint that was published before it."""
        ledger, name = self._book.ledger, self._name(cleared)
        here = ledger.place(cleared)
        proven: dict[str, set[str]] = {}
        for proof in clearance.proofs:
            at = ledger.position_of(proof)
            if at is None or at >= cleared:
                yield f"Clearance {name} cites a proof that does not lie before it."
                continue
            place = ledger.place(at)
            # Of an earlier epoch it is not known any more what was published when; it had ended by then. Of what was
            # lost and taken in again, only the last checkpoint is here.
            sizes = [size for size in published[place.epoch] if place.epoch != here.epoch or size <= here.seq]
            if place.seq >= max(sizes, default=0) and not self._book.restoration.is_recovered(cleared):
                yield f"Clearance {name} cites entry {self._name(at)}, which was under no published checkpoint then."
            replica = self._body(at)
            if isinstance(replica, Replica):
                proven.setdefault(replica.segment, set()).add(replica.store)
        for item in clearance.items:
            stores = proven.get(item.segment, set())
            if "vault" not in stores or len(stores) < 2:  # noqa: PLR2004 - the vault and a central store
                yield f"Clearance {name} clears {item.segment} without proof of its copies in vault and store."

    def _check_accounting(self) -> Iterator[str]:
        with self._book.database.snapshot():
            excused = {(a.docking, str(a.detail.get("path", ""))) for _, a in self._bodies(Anomaly)}
            for seq, anchor in self._bodies(Anchor):
                yield from self._check_document(seq, anchor.sha256)
            for seq, export in self._bodies(Export):
                yield from self._check_document(seq, export.list_sha256)
            for seq, docking in self._bodies(Docking):
                yield from self._check_document(seq, docking.inventory_sha256)
            for seq, undocking in self._bodies(Undocking):
                docked = self._book.facts.docking(undocking.docking)
                if docked is None:
                    yield f"Entry {self._name(seq)} ends a docking that never began."
                elif docked.outcome != "interrupted":
                    yield from self._check_docking(docked, excused)

    def _check_document(self, at: int, sha256: Sha256) -> Iterator[str]:
        try:
            if sha256_hex(self._book.registers.document(sha256)) != sha256:
                yield f"The document that entry {self._name(at)} cites was altered."
        except UnreadableError:
            if not self._book.restoration.is_recovered(at):
                yield f"The document that entry {self._name(at)} cites is not here."

    def _check_docking(self, docking: DockingRow, excused: set[tuple[DockingId | None, str]]) -> Iterator[str]:
        try:
            listed = _listed(self._book.registers.document(docking.inventory_sha256))
        except UnreadableError:
            # That it is not here was told already, unless it was lost with an older book.
            return
        except EdgedError as error:
            yield f"{docking.docking}: its inventory cannot be read: {error.message}"
            return
        found = self._book.facts.found(docking.docking)
        for path in listed:
            if path not in found and (docking.docking, path) not in excused:
                yield f"{docking.docking}: {path} was on the card, and no entry says what became of it."

    def _check_terms(self) -> Iterator[str]:
        before: dict[str, str] = {}
        for seq, body in self._bodies(Classification):
            was = before.get(body.segment, "undetermined")
            if body.basis != "person" and shortens(parse_until(was), parse_until(body.retain_until)):
                yield f"Entry {self._name(seq)} shortens the term of {body.segment} from {was} to {body.retain_until}."
            before[body.segment] = body.retain_until

    def _bodies(self, kind: type[_B]) -> Iterator[tuple[int, _B]]:
        """Give the entries of a type with their positions; what cannot be read is told by the check of the ledger."""
        for position in self._book.ledger.positions_of_type(kind.TYPE):
            body = self._body(position)
            if isinstance(body, kind):
                yield position, body

    def _body(self, position: int) -> object:
        try:
            return parse(self._book.ledger.bytes_at(position)).body
        except MalformedError:
            return None

    def _name(self, position: int) -> str:
        """Give the number of an entry as people look for it: `edged ledger show` counts in each epoch."""
        place = self._book.ledger.place(position)
        return f"{place.seq}" if place.epoch == self._book.ledger.epoch.id else f"{place.seq} of {place.epoch}"

    def _segments(self) -> Iterator[SegmentRow]:
        after = 0
        while page := self._book.facts.all_segments(after=after, most=_PAGE):
            yield from page
            after = page[-1].position

    def _original(self, segment: SegmentRow) -> Path:
        return self._config.paths.vault / place_of(self._book, segment).key


def _to_the_end(check: Callable[[], Iterator[str]]) -> Iterator[str]:
    """Give what a check finds; one that cannot go on has found that."""
    try:
        yield from check()
    except EdgedError as error:
        yield f"This could not be checked to the end: {error.message}"


def _check_chain(log: Log, heads: dict[int, Head]) -> Iterator[str]:
    size, hashes, prev = log.size(), merkle.Tree(), ZERO_REF
    for first in range(0, size, _PAGE):
        for stored in log.stored_between(first, min(first + _PAGE, size)):
            yield from _check_entry(stored, hashes.size, prev)
            prev = reference(stored.data)
            for level, index, digest in hashes.append(merkle.leaf_hash(stored.data)):
                if not _is_stored(log, level, index, digest):
                    yield f"The stored tree hash {index} of level {level} is not that of the entries."
            if (head := heads.pop(hashes.size, None)) is not None and head.root != hashes.root():
                yield f"The root decided for size {head.size} is not that of the entries."
    if hashes.size != size:
        yield f"The ledger has {hashes.size} entries where the last one is number {size - 1}."
    for head in heads.values():
        yield f"A head of size {head.size} was decided, beyond the {size} entries that are here."


def _is_stored(log: Log, level: int, index: int, digest: bytes) -> bool:
    try:
        return log.tree_hash(level, index) == digest
    except LedgerError:
        return False


def _check_entry(stored: Stored, seq: int, prev: str) -> Iterator[str]:
    if stored.ref != reference(stored.data):
        yield f"Entry {stored.seq} does not lie under its own reference."
    try:
        entry = parse(stored.data)
    except MalformedError as error:
        yield f"Entry {stored.seq}: {error.message}."
        return
    if (stored.seq, entry.seq, entry.prev) != (seq, seq, prev):
        yield f"Entry {stored.seq} does not continue the chain: it says seq {entry.seq} and prev {entry.prev[:16]}…."
    if stored.type != entry.type:
        yield f"Entry {stored.seq} lies there as {stored.type}, and is {entry.type}."


def _listed(document: bytes) -> list[str]:
    """Give the paths of the files in an inventory."""
    plain = decode(document)
    items = plain.get("items") if isinstance(plain, dict) else None
    if not isinstance(items, list):
        raise MalformedError("it has no list of items.")
    return [str(item["path"]) for item in items if isinstance(item, dict) and item.get("kind") == "file"]


def _names(clearance: Clearance, wipe: Wipe) -> bool:
    named = {(item.segment, item.path) for item in clearance.items}
    return clearance.docking == wipe.docking and (wipe.segment, wipe.path) in named


def _is_signed(head: Head, origin: str, key: VerifierKey) -> bool:
    try:
        note = parse_note(head.note or b"")
        checkpoint = parse_checkpoint(note.text)
    except MalformedError:
        return False
    return (checkpoint.origin, checkpoint.size, checkpoint.root) == (origin, head.size, head.root) and verify(note, key)


def _digest(path: Path) -> str:
    digester = Digester()
    with path.open("rb") as file:
        for block in iter(partial(file.read, _BLOCK_BYTES), b""):
            digester.update(block)
    return digester.finish().sha256
