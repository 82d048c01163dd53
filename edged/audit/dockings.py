"""Whether every file of the cards is accounted for: one docking after the other, each when it has ended.

A docking that was cut short leaves files that nobody took then. It waits for later dockings of the same recorder: where
these took every one of those files (the same path, length and time of last change), nothing is lost, and it is said
in words. A bundle cannot say so (EVIDENCE.md, section 7); this is about a station, whose whole ledger is here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edged.audit.port import Originals
from edged.audit.tally import Tally
from edged.errors import MalformedError
from edged.evidence import bodies, canonical
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
_Stamp = tuple[object, object]
"""Length of a file and its time of last change, as an inventory has them."""

_OF_DOCKING = (bodies.Docking, bodies.Undocking, bodies.Segment, bodies.Sighting, bodies.Wipe)
_LISTED: Final = verified("It is listed.", "已列入。")


@dataclass(kw_only=True)
class _CutShort:
    """A docking that left files, and what is to be said of it if later dockings took them all, and if not."""

    docking: DockingId
    files: int
    left: dict[str, _Stamp]
    """What no later docking has taken yet, by path."""
    lost: tuple[Check, list[Words]]
    taken: tuple[Check, list[Words]]


class Dockings:
    """Takes in entries; keeps those of a docking until it has ended."""

    def __init__(self, originals: Originals) -> None:
        self._amiss: list[Words] = []
        self._cut_short: dict[str, list[_CutShort]] = {}
        """By recorder."""
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

    @property
    def amiss(self) -> Sequence[Words]:
        """What does not add up."""
        lost = [words for each in self._waiting() for words in each.lost[1]]
        return (*self._amiss, *lost)[:_MOST]

    def check(self) -> Check:
        """Give the check `completeness` over every docking that has ended."""
        tally = Tally()
        tally.take(self._tally)
        tally.add_all(each.lost[0] for each in self._waiting())
        return tally.check(
            verified(
                f"In {self._count} docking(s) every file was sealed or met before, and what was erased adds up.",
                f"{self._count} 次接入时卡上的每个文件均已固证或先前已固证，清除数量相符。",
            )
        )

    def _waiting(self) -> Iterator[_CutShort]:
        for each in self._cut_short.values():
            yield from each

    def _judge(self, docking: DockingId, sealed: Sequence[Sealed]) -> None:
        self._count += 1
        found = next(
            (each.entry.body for each in sealed if each.entry and isinstance(each.entry.body, bodies.Docking)), None
        )
        data = None if found is None else self._originals.document(found.inventory_sha256)
        if data is None and not any(each.segment is not None for each in sealed):
            return
        listed = {} if data is None else _listed(data)
        accounted = {path for each in sealed if (path := _accounted(each)) is not None}
        if found is not None:
            self._settle(found.recorder.id, docking, {path: listed[path] for path in accounted & listed.keys()})
        result = _completeness(docking, data, sealed)
        left = {path: stamp for path, stamp in listed.items() if path not in accounted}
        if found is not None and left and _outcome(sealed) == "interrupted":
            waiting = _CutShort(
                docking=docking,
                files=len(left),
                left=left,
                lost=result,
                taken=_completeness(docking, data, sealed, taken_later=left),
            )
            self._cut_short.setdefault(found.recorder.id, []).append(waiting)
        else:
            self._add(result)

    def _settle(self, recorder: str, docking: DockingId, taken: Mapping[str, _Stamp]) -> None:
        """Take off earlier dockings of a recorder what this one took; one that lacks nothing any more is added."""
        waiting = self._cut_short.pop(recorder, [])
        for each in waiting:
            each.left = {path: stamp for path, stamp in each.left.items() if taken.get(path) != stamp}
            if each.left:
                self._cut_short.setdefault(recorder, []).append(each)
                continue
            self._add(each.taken)
            self._amiss.append(
                Words(
                    f"{each.docking} was cut short; the {each.files} file(s) that it left on the card were all taken "
                    f"in later, the last of them at {docking}. Nothing of them is lost.",
                    f"{each.docking} 中途中断；当时留在卡上的 {each.files} 个文件后来均已取入，最后一次为 {docking}，"
                    "没有丢失。",
                )
            )

    def _add(self, result: tuple[Check, list[Words]]) -> None:
        check, amiss = result
        self._tally.add(check)
        self._amiss += amiss[: _MOST - len(self._amiss)]


def _completeness(
    docking: DockingId, data: bytes | None, sealed: Sequence[Sealed], taken_later: Collection[str] = ()
) -> tuple[Check, list[Words]]:
    path = f"data/dockings/{docking}/inventory.json"
    layout = Layout(files={}, inventories={} if data is None else {DockingId(docking): path})
    segments = [each for each in sealed if each.segment is not None]
    others = [each for each in sealed if each.segment is None]
    return check_completeness(layout, Contents(_Inventory(data or b"")), segments, others, taken_later)


def _accounted(sealed: Sealed) -> str | None:
    """Give the path that an entry accounts for."""
    body = sealed.entry.body if sealed.entry else None
    return body.path if isinstance(body, bodies.Segment | bodies.Sighting) else None


def _outcome(sealed: Sequence[Sealed]) -> str | None:
    ends = [each.entry.body for each in sealed if each.entry and isinstance(each.entry.body, bodies.Undocking)]
    return ends[-1].outcome if ends else None


def _listed(data: bytes) -> dict[str, _Stamp]:
    """Give the files of an inventory; none where it cannot be read, which the check says."""
    try:
        document = canonical.decode(data)
    except MalformedError:
        return {}
    items = document.get("items") if isinstance(document, dict) else None
    files: dict[str, _Stamp] = {}
    for item in items if isinstance(items, list) else ():
        match item:
            case {"kind": "file", "path": str(path), "bytes": size_bytes, "modified": modified}:
                files[path] = size_bytes, modified
            case _:
                pass
    return files


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
