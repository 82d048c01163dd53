"""`edged check`: the station's fsck. Reads everything, changes nothing, and may run beside the daemon.

Each check is named after what it shows; the invariants are those of the design, section 4:
    book         SQLite's own view of the file
    ledger       bytes, order, `prev`, every tree hash, every decided and signed head (INV-4)
    projections  rebuilt from the entries and compared (INV-4)
    vault        each sealed file is there, whole and read-only; with `deep`, read and digested (INV-2, INV-3)
    wipes        nothing was erased without clearance and proofs before it (INV-1, INV-3)
    accounting   every file of every inventory is sealed, sighted, still on its card, or named by an anomaly (INV-7)
    terms        no classification shortened the one before it, unless a person decided so (INV-5)
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cryptography import x509

from edged import keys
from edged.book import Book
from edged.book.facts import DockingRow, SegmentRow
from edged.book.ledger import Head
from edged.book.rebuilding import differences
from edged.config import StationConfig
from edged.errors import EdgedError, MalformedError
from edged.evidence import merkle
from edged.evidence.bodies import Classification
from edged.evidence.canonical import decode
from edged.evidence.certificates import raw_public_key
from edged.evidence.digests import Digester, sha256_hex
from edged.evidence.entry import ZERO_REF, parse, reference
from edged.evidence.note import VerifierKey, parse_checkpoint, parse_note, parse_vkey, verify, vkey
from edged.rules.classification import shortens
from edged.rules.retention import parse_until
from edged.station.files import KEYS, place_of
from edged.vault.vault import CHUNKS_FILE

_PAGE = 1000
_BLOCK_BYTES = 1 << 20
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as it must be."""

    check: str
    text: str


class Checker:
    """Checks one station."""

    def __init__(self, book: Book, config: StationConfig, *, deep: bool) -> None:
        self._book = book
        self._config = config
        self._deep = deep

    def run(self) -> Iterator[tuple[str, list[Finding]]]:
        """Run every check, one after the other, and give its name with what it found."""
        checks = {
            "book": self._check_book,
            "ledger": self._check_ledger,
            "projections": self._check_projections,
            "vault": self._check_vault,
            "wipes": self._check_wipes,
            "accounting": self._check_accounting,
            "terms": self._check_terms,
        }
        for name, check in checks.items():
            yield name, [Finding(check=name, text=text) for text in check()]

    def _check_book(self) -> Iterator[str]:
        yield from self._book.database.problems()

    def _check_projections(self) -> Iterator[str]:
        yield from differences(self._book.database)

    # ------------------------------------------------------------------------------------------- ledger

    def _check_ledger(self) -> Iterator[str]:
        ledger = self._book.ledger
        origin, size = ledger.epoch.origin, ledger.size()
        heads = {head.size: head for head in ledger.heads()}
        hashes = _Tree()
        prev = ZERO_REF
        for first in range(0, size, _PAGE):
            for data in ledger.entries_between(first, min(first + _PAGE, size)):
                yield from self._check_entry(hashes.size, data, prev)
                prev = reference(data)
                for level, index, digest in hashes.append(merkle.leaf_hash(data)):
                    if ledger.tree_hash(level, index) != digest:
                        yield f"The stored tree hash {index} of level {level} is not that of the entries."
                if (head := heads.pop(hashes.size, None)) is not None and head.root != hashes.root():
                    yield f"The root decided for size {head.size} is not that of the entries."
        if hashes.size != size:
            yield f"The ledger has {hashes.size} entries where the last one is number {size - 1}."
        for head in heads.values():
            yield f"A head of size {head.size} was decided, beyond the {size} entries that are here."
        yield from self._check_notes(ledger.heads(), origin)

    def _check_entry(self, seq: int, data: bytes, prev: str) -> Iterator[str]:
        try:
            entry = parse(data)
        except MalformedError as error:
            yield f"Entry {seq}: {error.message}."
            return
        if (entry.seq, entry.prev) != (seq, prev):
            yield f"Entry {seq} does not continue the chain: it says seq {entry.seq} and prev {entry.prev[:16]}…."

    def _check_notes(self, heads: list[Head], origin: str) -> Iterator[str]:
        pem, _ = keys.load_certificates(self._config.paths.state / KEYS)
        key = parse_vkey(vkey(origin, raw_public_key(x509.load_pem_x509_certificate(pem))))
        for head in heads:
            if head.note is not None and not _is_signed(head, origin, key):
                yield f"The checkpoint of size {head.size} is not what was decided, or not signed by this station."

    # -------------------------------------------------------------------------------------------- vault

    def _check_vault(self) -> Iterator[str]:
        known: set[Path] = set()
        for segment in self._segments():
            path = self._original(segment)
            known.add(path)
            yield from self._check_original(segment, path)
        for path in sorted((self._config.paths.vault / "segments").glob("*/*/*/*/*/*")):
            # A file between its rename and its entry belongs to a daemon that is running now, or was killed there:
            # the recorder still holds it, and the next docking seals it.
            if path.name != CHUNKS_FILE and path not in known and not self._is_fresh(path):
                yield f"{path} belongs to no sealed segment."

    def _is_fresh(self, path: Path) -> bool:
        return self._book.facts.segment(path.parent.name) is not None

    def _check_original(self, segment: SegmentRow, path: Path) -> Iterator[str]:
        try:
            found = path.lstat()
            listed = (path.parent / CHUNKS_FILE).read_bytes()
        except OSError as error:
            yield f"{segment.segment}: {error.filename} cannot be read: {error.strerror}."
            return
        if not stat.S_ISREG(found.st_mode) or found.st_size != segment.bytes:
            yield f"{segment.segment}: {path} has {found.st_size} bytes where {segment.bytes} were sealed."
        elif found.st_mode & _WRITABLE:
            yield f"{segment.segment}: {path} is not read-only."
        elif self._deep and _digest(path) != segment.sha256:
            yield f"{segment.segment}: {path} is not what was sealed."
        if sha256_hex(listed) != segment.chunks_sha256:
            yield f"{segment.segment}: its chunk list is not the sealed one."

    # ------------------------------------------------------------------------------ wipes and accounting

    def _check_wipes(self) -> Iterator[str]:
        ledger = self._book.ledger
        for seq in ledger.of_type("wipe"):
            body = parse(ledger.entry_bytes(seq)).body
            cleared = ledger.seq_of(getattr(body, "clearance", ""))
            if cleared is None or cleared >= seq:
                yield f"Entry {seq} is a wipe without a clearance before it."
                continue
            clearance = parse(ledger.entry_bytes(cleared)).body
            items = {(item.segment, item.path) for item in getattr(clearance, "items", ())}
            if (getattr(body, "segment", ""), getattr(body, "path", "")) not in items:
                yield f"Entry {seq} is a wipe of a file that its clearance does not name."
        for seq in ledger.of_type("clearance"):
            yield from self._check_proofs(seq)

    def _check_proofs(self, seq: int) -> Iterator[str]:
        ledger = self._book.ledger
        body = parse(ledger.entry_bytes(seq)).body
        proven: dict[str, set[str]] = {}
        for proof in getattr(body, "proofs", ()):
            at = ledger.seq_of(proof)
            if at is None or at >= seq:
                yield f"Clearance {seq} cites a proof that does not lie before it."
                continue
            replica = parse(ledger.entry_bytes(at)).body
            proven.setdefault(getattr(replica, "segment", ""), set()).add(getattr(replica, "store", ""))
        for item in getattr(body, "items", ()):
            stores = proven.get(item.segment, set())
            if "vault" not in stores or len(stores) < 2:  # noqa: PLR2004 - the vault and a central store
                yield f"Clearance {seq} clears {item.segment} without proof of its copies in vault and store."

    def _check_accounting(self) -> Iterator[str]:
        excused = self._anomalous_paths()
        for seq in self._book.ledger.of_type("undocking"):
            body = parse(self._book.ledger.entry_bytes(seq)).body
            docking = self._book.facts.docking(getattr(body, "docking", ""))
            if docking is None:
                yield f"Entry {seq} ends a docking that never began."
            elif docking.outcome != "interrupted":
                yield from self._check_docking(docking, excused)

    def _check_docking(self, docking: DockingRow, excused: set[tuple[str, str]]) -> Iterator[str]:
        try:
            plain = decode(self._book.registers.document(docking.inventory_sha256))
        except EdgedError as error:
            yield f"{docking.docking}: its inventory cannot be read: {error.message}"
            return
        found = self._book.facts.found(docking.docking)
        items = plain["items"] if isinstance(plain, dict) else []
        for item in items if isinstance(items, list) else []:
            path = str(item["path"]) if isinstance(item, dict) and item["kind"] == "file" else None
            if path is not None and path not in found and (docking.docking, path) not in excused:
                yield f"{docking.docking}: {path} was on the card, and no entry says what became of it."

    def _anomalous_paths(self) -> set[tuple[str, str]]:
        ledger = self._book.ledger
        said = (parse(ledger.entry_bytes(seq)).body for seq in ledger.of_type("anomaly"))
        return {(getattr(a, "docking", None) or "", str(getattr(a, "detail", {}).get("path", ""))) for a in said}

    def _check_terms(self) -> Iterator[str]:
        ledger = self._book.ledger
        before: dict[str, str] = {}
        for seq in ledger.of_type("classification"):
            body = parse(ledger.entry_bytes(seq)).body
            if not isinstance(body, Classification):
                continue
            was = before.get(body.segment, "undetermined")
            if body.basis != "person" and shortens(parse_until(was), parse_until(body.retain_until)):
                yield f"Entry {seq} shortens the term of {body.segment} from {was} to {body.retain_until}."
            before[body.segment] = body.retain_until

    def _segments(self) -> Iterator[SegmentRow]:
        after = 0
        while page := self._book.facts.all_segments(after=after, most=_PAGE):
            yield from page
            after = page[-1].position

    def _original(self, segment: SegmentRow) -> Path:
        return self._config.paths.vault / place_of(self._book, segment).key


class _Tree:
    """A Merkle tree that only keeps its right edge."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: dict[int, bytes] = {}

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Take in a leaf, and give the subtrees that it completes."""
        nodes = merkle.appended_nodes(self.size, leaf, lambda level, _: self._edge[level])
        self._edge |= {level: digest for level, _, digest in nodes}
        self.size += 1
        return nodes

    def root(self) -> bytes:
        return merkle.root(self.size, lambda level, _: self._edge[level])


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
