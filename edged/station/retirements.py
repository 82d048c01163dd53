"""What the ledger says of originals that left the vault: read from the entries alone.

An original leaves by two entries `retire`: one before it is removed (phase `ordered`), which cites the copy that stays,
and one that it is gone (phase `done`), written when a published checkpoint covers the first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from edged.book import Book
from edged.errors import MalformedError
from edged.evidence.bodies import Replica, Retire
from edged.evidence.entry import parse
from edged.evidence.ids import EpochId, SegmentId

_VAULT: Final = "vault"


def retired_from_vault(book: Book) -> dict[SegmentId, bool]:
    """Give the segments whose original was removed, or is about to be, and whether an entry says that it is gone."""
    found = {body.segment: _is_done(body) for _, body in _retirements(book)}
    # A newer `replica` of the vault is a copy that came back.
    return {
        segment: is_gone
        for segment, is_gone in found.items()
        if all(row.store != _VAULT for row in book.facts.replicas(segment))
    }


def is_retired(book: Book, segment: SegmentId) -> bool:
    """Say whether the newest entry about the vault's copy of a segment says that it was removed, or is about to be."""
    for position in reversed(book.ledger.positions_naming("segment", segment)):
        body = _body(book, position)
        if isinstance(body, Retire | Replica) and body.store == _VAULT:
            return isinstance(body, Retire)
    return False


def check_retirements(
    book: Book, published: Mapping[EpochId, Sequence[int]], name: Callable[[int], str]
) -> Iterator[str]:
    """Look whether each removal had an order that cites a copy elsewhere, and that was published before it.

    `published` has the sizes of the published checkpoints of each epoch; `name` says how people call an entry.
    """
    ordered: dict[SegmentId, int] = {}
    for at, body in _retirements(book):
        if not any(_is_copy(book, proof, at, body.segment) for proof in body.proofs):
            yield f"Entry {name(at)} removes {body.segment} from the vault, and cites no copy of it elsewhere."
        if not _is_done(body):
            ordered[body.segment] = at
        elif (order := ordered.pop(body.segment, None)) is None:
            yield f"Entry {name(at)} says that {body.segment} is gone from the vault, and none before it ordered that."
        elif not _was_published(book, order, at, published):
            yield f"{body.segment} left the vault by entry {name(order)}, which was under no published checkpoint then."


def _retirements(book: Book) -> Iterator[tuple[int, Retire]]:
    for position in book.ledger.positions_of_type(Retire.TYPE):
        body = _body(book, position)
        if isinstance(body, Retire) and body.store == _VAULT:
            yield position, body


def _is_done(body: Retire) -> bool:
    return (body.model_extra or {}).get("phase") == "done"


def _is_copy(book: Book, proof: str, before: int, segment: SegmentId) -> bool:
    at = book.ledger.position_of(proof)
    body = None if at is None or at >= before else _body(book, at)
    return isinstance(body, Replica) and body.segment == segment and body.store != _VAULT


def _was_published(book: Book, order: int, at: int, published: Mapping[EpochId, Sequence[int]]) -> bool:
    """Say whether a checkpoint covered the order when `at` was written; of an epoch that had ended, any one will do."""
    if book.restoration.is_recovered(at):
        return True
    place, here = book.ledger.place(order), book.ledger.place(at)
    sizes = [size for size in published.get(place.epoch, ()) if place.epoch != here.epoch or size <= here.seq]
    return place.seq < max(sizes, default=0)


def _body(book: Book, position: int) -> object:
    """Give what an entry says; what cannot be read is told by the check of the ledger."""
    try:
        return parse(book.ledger.bytes_at(position)).body
    except MalformedError:
        return None
