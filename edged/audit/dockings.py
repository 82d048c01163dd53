"""Whether every file of the cards is accounted for: one docking after the other, each when it has ended."""

from collections.abc import Iterator, Sequence
from typing import Final

from edged.audit.port import Originals
from edged.audit.tally import Tally
from edged.evidence import bodies
from edged.evidence.entry import Entry
from edged.evidence.ids import DockingId, EntryRef
from edged.evidence.verification import BundleFile
from edged.evidence.verification.completeness import check_completeness
from edged.evidence.verification.layout import Layout
from edged.evidence.verification.reading import Contents
from edged.evidence.verification.report import Check, verified
from edged.evidence.verification.sealed import Sealed
from edged.evidence.verification.words import Words

_BLOCK_BYTES: Final = 1 << 20
_MOST: Final = 1_000
_OF_DOCKING = (bodies.Docking, bodies.Undocking, bodies.Segment, bodies.Sighting, bodies.Wipe)
_LISTED: Final = verified("It is listed.", "已列入。")


class Dockings:
    """Takes in entries; keeps those of a docking until it has ended."""

    def __init__(self, originals: Originals) -> None:
        self.amiss: list[Words] = []
        self._originals = originals
        self._open: dict[DockingId, list[Sealed]] = {}
        self._tally = Tally()
        self._count = 0

    def take(self, entry: Entry, ref: EntryRef) -> None:
        """Take in an entry; one that ends a docking has it judged."""
        body = entry.body
        if not isinstance(body, _OF_DOCKING):
            return
        sealed = Sealed(
            place=f"{entry.epoch}/{entry.seq}",
            entry=entry,
            ref=ref,
            ending=None,
            checks={},
            time=_LISTED,
            root=None,
            not_before=None,
            not_after=None,
        )
        self._open.setdefault(body.docking, []).append(sealed)
        if isinstance(body, bodies.Undocking):
            self._judge(body.docking, self._open.pop(body.docking))

    def check(self) -> Check:
        """Give the check `completeness` over every docking that has ended."""
        return self._tally.check(
            verified(
                f"In {self._count} docking(s) every file was sealed or met before, and what was erased adds up.",
                f"{self._count} 次接入时卡上的每个文件均已固证或先前已固证，清除数量相符。",
            )
        )

    def _judge(self, docking: DockingId, sealed: Sequence[Sealed]) -> None:
        self._count += 1
        found = next(
            (each.entry.body for each in sealed if each.entry and isinstance(each.entry.body, bodies.Docking)), None
        )
        data = None if found is None else self._originals.document(found.inventory_sha256)
        path = f"data/dockings/{docking}/inventory.json"
        layout = Layout(files={}, inventories={} if data is None else {DockingId(docking): path})
        segments = [each for each in sealed if each.segment is not None]
        others = [each for each in sealed if each.segment is None]
        if data is None and not segments:
            return
        check, amiss = check_completeness(layout, Contents(_Inventory(data or b"")), segments, others)
        self._tally.add(check)
        self.amiss += amiss[: _MOST - len(self.amiss)]


class _Inventory:
    """The one file that is asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def listing(self) -> Sequence[BundleFile]:
        """Nothing is listed."""
        return ()

    def open(self, path: str) -> Iterator[bytes]:
        """Give the inventory."""
        del path
        return (self._data[at : at + _BLOCK_BYTES] for at in range(0, len(self._data), _BLOCK_BYTES))
