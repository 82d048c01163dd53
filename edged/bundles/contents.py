"""What goes into a bundle: the entries that concern its segments (EVIDENCE.md, section 6), and the list of them.

The list is decided while the `export` entry is written, from the entries before it, and never again: making the
bundle later follows the list.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from edged.bundles.port import LedgerView
from edged.errors import UsageError
from edged.evidence import bodies
from edged.evidence.entry import Entry, parse, reference
from edged.evidence.ids import EntryRef, ExportId, SegmentId
from edged.evidence.verification.selection import ExportList


def plan_export(view: LedgerView, *, export: ExportId, segments: Sequence[SegmentId], upto_seq: int) -> bytes:
    """Give the bytes of `export.json` for an export whose entry is going to have the number `upto_seq`, or a later one.

    The caller stores them beside that entry, which cites their SHA-256. Raises UsageError for a segment that the
    ledger does not know.
    """
    seqs = concerning(view, segments, upto_seq)
    listed = ExportList(
        export=export,
        segments=tuple(segments),
        entries=tuple(EntryRef(reference(view.entry_bytes(seq))) for seq in seqs),
    )
    return listed.encode()


def concerning(view: LedgerView, segments: Sequence[SegmentId], upto_seq: int) -> list[int]:
    """Give the numbers, below `upto_seq` and ascending, of every entry that concerns the segments, theirs included."""
    book = _Book(view, upto_seq)
    chosen: set[int] = set()
    dockings = set()
    for segment in dict.fromkeys(segments):
        about = book.naming("segment", segment)
        chosen.update(about)
        dockings.add(_sealing(book, segment, about).docking)
        for case, since, until in _cases(book, segment, about, upto_seq):
            chosen.update(seq for seq in book.naming("case", case) if since <= seq < until)
    for docking in dockings:
        # These are also the recorder's anomalies in that docking: each of them names it.
        chosen.update(book.naming("docking", docking))
    cited = [ref for seq in chosen for ref in _cited(book.entry(seq))]
    chosen.update(seq for ref in cited if (seq := view.seq_of(ref)) is not None and seq < upto_seq)
    chosen.update(_of_epochs(book, min(chosen, default=upto_seq)))
    return sorted(chosen | {each for seq in chosen for each in view.anchors_covering(seq, upto_seq)})


def _of_epochs(book: "_Book", oldest: int) -> Iterator[int]:
    """Give how the epoch of the oldest entry began, and all beginnings and ends of epochs since, so that they join."""
    begun = book.of_type("genesis")
    first = max((seq for seq in begun if seq <= oldest), default=0)
    yield from (seq for seq in [*begun, *book.of_type("close")] if seq >= first)


class _Book:
    """The ledger as it stood before an entry; each entry is read once."""

    def __init__(self, view: LedgerView, upto_seq: int) -> None:
        self._view = view
        self._upto_seq = upto_seq
        self._entries: dict[int, Entry] = {}

    def naming(self, kind: str, name: str) -> list[int]:
        return self._before(self._view.naming(kind, name))

    def of_type(self, name: str) -> list[int]:
        return self._before(self._view.of_type(name))

    def entry(self, seq: int) -> Entry:
        if seq not in self._entries:
            self._entries[seq] = parse(self._view.entry_bytes(seq))
        return self._entries[seq]

    def _before(self, seqs: Iterable[int]) -> list[int]:
        return sorted(seq for seq in seqs if seq < self._upto_seq)


def _sealing(book: _Book, segment: SegmentId, about: Sequence[int]) -> bodies.Segment:
    for seq in about:
        body = book.entry(seq).body
        if isinstance(body, bodies.Segment) and body.segment == segment:
            return body
    raise UsageError(f"This station has sealed no segment {segment}.")


def _cases(book: _Book, segment: SegmentId, about: Sequence[int], upto_seq: int) -> Iterator[tuple[str, int, int]]:
    """Give the cases a segment belonged to, each from the entry that classified it so to the one that did otherwise.

    What became of a case after a segment was moved out of it is no longer that segment's concern.
    """
    found = []
    for seq in about:
        body = book.entry(seq).body
        if isinstance(body, bodies.Classification) and body.segment == segment:
            found.append((seq, body.case))
    for (since, case), (until, _) in pairwise([*found, (upto_seq, None)]):
        if case is not None:
            yield case, since, until


def _cited(entry: Entry) -> Iterator[EntryRef]:
    """Give what an entry cites; only one step is followed, and never `prev` or `recorder_prev`."""
    match entry.body:
        case bodies.Wipe():
            yield entry.body.clearance
        case bodies.Classification() if entry.body.supersedes is not None:
            yield entry.body.supersedes
        case bodies.Clearance() | bodies.Retire():
            yield from entry.body.proofs
        case _:
            pass
