"""The proof that files may be erased from a recorder: INV-1 of DESIGN.md as one function over facts.

A file is cleared if, and only if, every one of these holds; each that does not is a reason to keep it:
1. the docking is open, the station is set to erase, and nothing on the card is left unsealed or in quarantine:
   erasing writes to the card, and nothing is written to a card that holds bytes which are nowhere else, or that does
   not give the same bytes twice;
2. the file is sealed, and this docking's own entry about its path says that these are the same bytes;
3. it was sealed as long ago as the station is set to leave files on recorders;
4. the vault's copy was read back past the page cache and matched;
5. every configured store has a copy with a matching server-computed checksum or read-back, and there is at
   least one store;
6. all of these entries lie under the published checkpoint of their epoch.

What is not known counts as not so. Facts about another segment, or an entry from an epoch nobody published, prove
nothing here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from edged.evidence.ids import DockingId, EntryRef, EpochId, SegmentId, StoreId

WipePolicy: TypeAlias = Literal["after-clearance", "never"]
Verified: TypeAlias = Literal["server-checksum", "read-back"]

VAULT: Final = StoreId("vault")
"""The station's own copy; it is not central storage, whatever is configured."""

PAST_CACHE: Final = ("o_direct on ", "dropped and not resident on ")
"""How a `method` begins that shows a read-back to come from the disk itself, not from the page cache."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """An entry of the ledger that says so."""

    reference: EntryRef
    epoch: EpochId
    seq: int


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A `replica` entry: a copy of a segment that was verified."""

    segment: SegmentId
    store: StoreId
    proof: Proof
    verified: Verified
    method: str
    """How, as the entry says it; for the vault it has to begin as one of `PAST_CACHE`."""
    matches: bool
    """Whether length and checksum are those that the segment's own digests predict."""


@dataclass(frozen=True, kw_only=True)
class CardFile:
    """One regular file on the card, with what the ledger holds about it."""

    path: str
    segment: SegmentId | None
    """`None`: these bytes were never sealed."""
    sealed: Proof | None
    """The `segment` entry."""
    accounted: Proof | None
    """This docking's own entry about this path: the same `segment` entry, or a `sighting`."""
    quarantined: bool
    copies: tuple[Copy, ...]
    sealed_at: datetime
    """By the station's clock. Aware."""


@dataclass(frozen=True, kw_only=True)
class ClearanceFacts:
    """All that is known about a docking when its clearance is asked for."""

    docking: DockingId
    open: bool
    """Whether the recorder is still in its bay, as the ledger knows it."""
    wipe: WipePolicy
    wipe_delay: timedelta
    """How long a file stays on its recorder after it was sealed."""
    now: datetime
    """Aware."""
    unsealed: int
    """How many files on the card are neither sealed nor sighted yet."""
    distrusted: int
    """How many of its files gave different bytes at each reading, or not all of them, in this docking."""
    stores: frozenset[StoreId]
    """The central stores that are configured: each has to hold a copy."""
    published: Mapping[EpochId, int]
    """Size of the newest published checkpoint of each epoch."""
    files: tuple[CardFile, ...]


@dataclass(frozen=True, kw_only=True)
class Cleared:
    """May be erased."""

    proofs: tuple[EntryRef, ...]
    """The `replica` entries that a `clearance` entry cites, sorted, each once."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Must not be erased."""

    reasons: tuple[str, ...]
    """Each a plain sentence; at least one."""


Verdict: TypeAlias = Cleared | Kept


@dataclass(frozen=True, kw_only=True)
class FileClearance:
    """The verdict on one file."""

    path: str
    segment: SegmentId | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Clearance:
    """The verdicts on a docking's files, and on the docking as a whole."""

    files: tuple[FileClearance, ...]
    docking: Verdict
    """Cleared if every file is: the recorder can be given back empty. An empty card needs no proof."""


def clearance(facts: ClearanceFacts) -> Clearance:
    """Decide which files of a docking may be erased."""
    general = tuple(_against_all(facts))
    files = []
    for file in facts.files:
        reasons = (*general, *_against(file, facts))
        verdict: Verdict = Kept(reasons=reasons) if reasons else Cleared(proofs=_proofs([file], facts))
        files.append(FileClearance(path=file.path, segment=file.segment, verdict=verdict))
    kept = sum(isinstance(file.verdict, Kept) for file in files)
    if kept and not general:
        general = (f"{kept} of {len(files)} files on the card are not cleared.",)
    whole: Verdict = Kept(reasons=general) if general else Cleared(proofs=_proofs(facts.files, facts))
    return Clearance(files=tuple(files), docking=whole)


def _against_all(facts: ClearanceFacts) -> Iterator[str]:
    if not facts.open:
        yield "The recorder is not docked any more."
    if facts.wipe != "after-clearance":
        yield "The station is set never to erase recorders."
    if facts.unsealed != 0:
        yield f"{facts.unsealed} of the files on the card are not sealed yet."
    if distrusted := max(facts.distrusted, sum(file.quarantined for file in facts.files)):
        yield f"{distrusted} of the files on the card are in quarantine: their bytes are kept, but not trusted."
    if not facts.stores - {VAULT}:
        yield "No central store is configured."


def _against(file: CardFile, facts: ClearanceFacts) -> Iterator[str]:
    if file.segment is None or file.sealed is None:
        yield "It is not sealed."
        return
    if facts.wipe_delay and (due := file.sealed_at + facts.wipe_delay) > facts.now:
        yield f"It stays on the recorder until {due:%Y-%m-%d %H:%M} UTC."
    yield from _unpublished("Its seal", file.sealed, facts)
    if file.accounted is None:
        yield "No entry of this docking says that this path holds the sealed bytes."
    else:
        yield from _unpublished("This docking's entry about it", file.accounted, facts)
    yield from _against_copies(file, facts)


def _against_copies(file: CardFile, facts: ClearanceFacts) -> Iterator[str]:
    vault = _copy(file, VAULT)
    if vault is None:
        yield "Its copy in the vault was not re-read yet."
    else:
        if not vault.matches:
            yield "Its copy in the vault does not match its digests."
        if vault.verified != "read-back" or not vault.method.startswith(PAST_CACHE):
            yield "Its copy in the vault was not shown to be read from the disk itself, past the page cache."
        yield from _unpublished("The entry about its copy in the vault", vault.proof, facts)
    for store in sorted(facts.stores - {VAULT}):
        copy = _copy(file, store)
        if copy is None:
            yield f"Store {store} has no verified copy yet."
            continue
        if not copy.matches:
            yield f"The copy in store {store} does not match its digests."
        if copy.verified not in ("server-checksum", "read-back"):
            yield f"The copy in store {store} was verified in a way that proves nothing."
        yield from _unpublished(f"The entry about its copy in store {store}", copy.proof, facts)


def _copy(file: CardFile, store: StoreId) -> Copy | None:
    """Find the newest copy of this very segment in `store`; a copy of other bytes proves nothing about these."""
    return next((copy for copy in reversed(file.copies) if copy.store == store and copy.segment == file.segment), None)


def _unpublished(what: str, proof: Proof, facts: ClearanceFacts) -> Iterator[str]:
    if not 0 <= proof.seq < facts.published.get(proof.epoch, 0):
        yield f"{what} is not under a published checkpoint yet."


def _proofs(files: tuple[CardFile, ...] | list[CardFile], facts: ClearanceFacts) -> tuple[EntryRef, ...]:
    stores = sorted({VAULT, *facts.stores})
    found = [_copy(file, store) for file in files for store in stores]
    return tuple(sorted({copy.proof.reference for copy in found if copy is not None}))
