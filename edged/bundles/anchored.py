"""Anchors in a bundle: which checkpoints its proofs end in, what lies beside these, and what `after` cites.

All of it follows from the `anchor` entries on the export's list: an entry is proven to the smallest checkpoint that
covers it among those with such an entry, else to the newest. So an anchor that arrives later changes no bundle.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from edged.book.anchors import AnchorNotes
from edged.bundles.bag import BagWriter
from edged.bundles.port import LedgerView
from edged.errors import LedgerError, UnreadableError
from edged.evidence import bodies
from edged.evidence.entry import Entry
from edged.evidence.ids import EpochId, Sha256, split_origin
from edged.evidence.proofs import format_consistency


@dataclass(frozen=True, kw_only=True)
class End:
    """A checkpoint that proofs end in, with the anchors over it."""

    size: int
    checkpoint: bytes
    """As signed by the log alone."""
    lines: tuple[bytes, ...] = ()
    """Of witnesses."""
    tokens: Mapping[str, bytes]
    """By file name."""

    @property
    def whole(self) -> bytes:
        """The checkpoint with all that cosigned it: what proofs hold."""
        return self.checkpoint + b"".join(self.lines)


def ends_of(
    view: LedgerView, entries: Mapping[int, Entry], newest: Mapping[EpochId, tuple[int, bytes]]
) -> dict[EpochId, tuple[End, ...]]:
    """Give the checkpoints that the proofs of each epoch end in, smallest first; `newest` is the last of each."""
    over: dict[tuple[EpochId, int], list[bodies.Anchor]] = {}
    for number in sorted(entries):
        body = entries[number].body
        if isinstance(body, bodies.Anchor):
            over.setdefault((split_origin(body.origin)[2], body.size), []).append(body)
    ends: dict[EpochId, tuple[End, ...]] = {}
    for epoch, (size, checkpoint) in newest.items():
        # A book that lost entries and took them in again has lost the checkpoints that anchors were over.
        anchored = [
            _end(view, each, over[epoch, each], note)
            for at, each in sorted(over)
            if at == epoch and each < size and (note := view.checkpoint(epoch, each)) is not None
        ]
        last = _end(view, size, over.get((epoch, size), ()), checkpoint)
        ends[epoch] = (*anchored, last)
    return ends


def end_for(ends: tuple[End, ...], seq: int) -> End:
    """Give the checkpoint that an entry is proven to: the smallest that covers it."""
    sizes = [end.size for end in ends]
    return ends[bisect_right(sizes, seq)]


def write_end(bag: BagWriter, folder: str, end: End) -> None:
    """Write a checkpoint and the anchors over it into the folder of its size."""
    bag.write(f"{folder}/checkpoint", end.checkpoint)
    if end.lines:
        bag.write(f"{folder}/checkpoint.cosigned", end.whole)
    for name, token in end.tokens.items():
        bag.write(f"{folder}/{name}", token)


def joints(view: LedgerView, epoch: EpochId, ends: tuple[End, ...]) -> Iterator[tuple[str, bytes]]:
    """Give path below the log, and bytes, of the proofs that join each checkpoint to the next smaller one."""
    for smaller, larger in pairwise(ends):
        proof = view.extension_proof(epoch, smaller.size, larger.size)
        name = f"{larger.size}/from-{smaller.size}.consistency"
        yield name, format_consistency(smaller.size, proof, larger.whole)


def write_cited(bag: BagWriter, view: LedgerView, entries: Iterable[Entry]) -> None:
    """Write the anchors that entries cite as `after`; one whose bytes the book lost leaves its entry unbounded."""
    for digest in sorted({entry.after for entry in entries if entry.after is not None}):
        found = view.cited_anchor(digest)
        if found is None:
            continue
        data, checkpoint = found
        bag.write(f"data/anchors/{digest}", data)
        if checkpoint is not None:
            bag.write(f"data/anchors/{digest}.checkpoint", checkpoint)


def _end(view: LedgerView, size: int, anchors: Iterable[bodies.Anchor], checkpoint: bytes | None) -> End:
    if checkpoint is None:
        raise LedgerError(f"The book lacks the checkpoint of size {size} that anchors are over.")
    lines: list[bytes] = []
    tokens: dict[str, bytes] = {}
    for anchor in anchors:
        data = _bytes_of(view, anchor.sha256)
        if data is None:
            continue
        if anchor.kind == "cosignature":
            lines.append(data)
        else:
            tokens[AnchorNotes.of(anchor).file_name] = data
    return End(size=size, checkpoint=checkpoint, lines=tuple(lines), tokens=tokens)


def _bytes_of(view: LedgerView, sha256: Sha256) -> bytes | None:
    try:
        return view.document(sha256)
    except UnreadableError:
        # Lost with an older book: the bundle then has a finding that it is named and not here.
        return None
