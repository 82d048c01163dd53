"""The facts about one recorder at one docking by which its continuity is judged: out of claims, book and inventories.

They are what the card held when the docking began and what the book knew before, so a docking that goes on after a
crash, with some of its files erased already, gives the same.
"""

from collections.abc import Mapping
from typing import Final, Literal

from edged.bays.claims import FileClaims
from edged.bays.profiles import Profile, RecordingHabits
from edged.book.facts import DockingRow, SegmentRow
from edged.clock import from_rfc3339
from edged.errors import UnreadableError
from edged.evidence.canonical import decode
from edged.evidence.ids import DockingId, SegmentId
from edged.media.facts import Why
from edged.rules.continuity import Copy, Facts, Gone, Habits, Recorded
from edged.station.parts import Parts

_EARLIER: Final = 1_000
"""How many of a recorder's newest segments are looked back at."""
_DIGITS: Final = 15
"""A number with more of them is none (`bays.claims`)."""


def gather(parts: Parts, docking: DockingRow, claimed: Mapping[str, FileClaims]) -> Facts:
    """Gather the facts of a docking; `claimed` are the claims of the files that lie on the card now."""
    profile = _profile(parts, docking)
    gathered = _Gathered(parts, docking, profile, claimed)
    return Facts(
        habits=_habits(profile),
        card=gathered.card(),
        earlier=gathered.earlier(),
        copies=gathered.copies(),
        gone=_gone(parts, docking),
    )


def _profile(parts: Parts, docking: DockingRow) -> Profile | None:
    known = next((each for each in parts.register().recorders if each.id == docking.recorder), None)
    return next((each for each in parts.profiles if known is not None and each.id == known.profile), None)


def _habits(profile: Profile | None) -> Habits:
    says = (None if profile is None else profile.recording) or RecordingHabits()
    return Habits(
        longest_join_ms=says.longest_join_ms,
        longest_overlap_ms=says.longest_overlap_ms,
        cut_ms=None if says.cut_seconds is None else says.cut_seconds * 1_000,
        cut_bytes=None if says.cut_mib is None else says.cut_mib << 20,
        counter=says.counter,
    )


class _Gathered:
    """The footage of one recorder at one docking."""

    def __init__(
        self, parts: Parts, docking: DockingRow, profile: Profile | None, claimed: Mapping[str, FileClaims]
    ) -> None:
        self._facts = parts.book.facts
        self._docking = docking
        self._profile = profile
        self._claimed = claimed
        self._found = self._facts.found_segments(docking.docking)
        self._dockings: dict[DockingId, DockingRow | None] = {docking.docking: docking}

    def card(self) -> list[Recorded]:
        """Give the footage on the card; the same bytes once, at the path where they were sealed if they lie there."""
        first: dict[SegmentId, str] = {}
        for path, row in sorted(self._found.items()):
            if self._is_footage(path, row) and (row.segment not in first or path == row.path):
                first[row.segment] = path
        card = [self._of_row(self._found[path], path, on_card=True) for path in first.values()]
        for path, claim in self._claimed.items():
            if path not in self._found and claim.is_media and claim.side_of is None:
                card.append(self._of_claim(path, claim))
        return card

    def earlier(self) -> list[Recorded]:
        """Give footage that was sealed before this docking and was not on the card.

        Of a recording that lies on the card with other bytes by now, what was sealed of it earlier is no other one.
        """
        here = {row.segment for row in self._found.values()}
        again = {(path, row.started) for path, row in self._found.items() if row.started is not None}
        rows = self._facts.segments_sealed_before(self._docking, most=_EARLIER)
        return [
            self._of_row(row, row.path, on_card=False)
            for row in rows
            if row.segment not in here and (row.path, row.started) not in again and self._is_footage(row.path, row)
        ]

    def copies(self) -> list[Copy]:
        """Give footage that lay at another path than it was sealed at, or again at one from which it was erased.

        Where a person kept what was handed in is no path of the recorder's: of that, what is said is only that it lies
        on the card more than once.
        """
        copies = []
        here: dict[SegmentId, str] = {}
        for path, row in sorted(self._found.items()):
            here.setdefault(row.segment, path)
        erased: dict[DockingId, dict[str, SegmentId]] = {self._docking.docking: {}}
        for path, row in self._found.items():
            if row.bytes == 0 or not self._is_footage(path, row):
                continue
            if row.docking not in erased:
                cleared = self._facts.clearances(row.docking).items()
                erased[row.docking] = {at: each.segment for at, each in cleared if each.outcome == "gone"}
            was_erased = erased[row.docking].get(path) == row.segment
            first_path = here[row.segment] if self._handed_in(row) else row.path
            if path != first_path or was_erased:
                erased_in = row.docking if was_erased else None
                copies.append(Copy(segment=row.segment, path=path, first_path=first_path, erased_in=erased_in))
        return copies

    def _is_footage(self, path: str, row: SegmentRow) -> bool:
        return self._profile is not None and self._profile.is_media(path) and row.side_of is None

    def _of_row(self, row: SegmentRow, path: str, *, on_card: bool) -> Recorded:
        number, digits, in_name = self._name(path)
        return Recorded(
            path=path,
            segment=row.segment,
            number=number,
            digits=digits,
            start=None if row.started is None else from_rfc3339(row.started),
            end=None if row.ended is None else from_rfc3339(row.ended),
            uncertainty_ms=row.uncertainty_ms,
            in_name=in_name and path == row.path,
            duration_ms=row.duration_ms,
            size_bytes=row.bytes,
            is_video=row.video is not None,
            flaw=_flaw(row),
            sealed=0 if on_card else row.recorder_seq,
            handed_in=not on_card and self._handed_in(row),
            is_new=on_card and self._is_new(row),
        )

    def _of_claim(self, path: str, claim: FileClaims) -> Recorded:
        """Give a file that could not be taken: it has its place, and nothing else is known of it."""
        number, digits, in_name = self._name(path)
        return Recorded(
            path=path,
            segment=None,
            number=number,
            digits=digits,
            start=claim.started,
            end=claim.ended,
            uncertainty_ms=claim.uncertainty_ms,
            in_name=in_name,
            duration_ms=None,
            size_bytes=0,
            is_video=False,
        )

    def _name(self, path: str) -> tuple[int | None, int, bool]:
        """Give what a name claims: number, with how many digits, and whether it says a time of day."""
        match = None if self._profile is None else self._profile.match(path)
        if match is None or match[0].side_of is not None:
            return None, 0, False
        digits = match[1].get("sequence", "")
        if not digits.isdecimal() or len(digits) > _DIGITS:
            return None, 0, "second" in match[1]
        return int(digits), len(digits), "second" in match[1]

    def _is_new(self, row: SegmentRow) -> bool:
        """Say whether nobody judged it yet: sealed in this docking or in one that was cut short, or handed in."""
        docking = self._docking_of(row)
        return (
            docking is None or docking == self._docking or docking.handed_in or docking.outcome in {None, "interrupted"}
        )

    def _handed_in(self, row: SegmentRow) -> bool:
        docking = self._docking_of(row)
        return docking is not None and docking.handed_in

    def _docking_of(self, row: SegmentRow) -> DockingRow | None:
        if row.docking not in self._dockings:
            self._dockings[row.docking] = self._facts.docking(row.docking)
        return self._dockings[row.docking]


def _flaw(row: SegmentRow) -> Literal["empty", "no-index"] | None:
    match row.unreadable:
        case Why.EMPTY.value:
            return "empty"
        case Why.NO_INDEX.value:
            return "no-index"
        case _:
            return None


def _gone(parts: Parts, docking: DockingRow) -> Gone | None:
    """Compare the inventory with that of the docking before; tell missing files that were taken from all others.

    What the station erased then is not missed, nor what it may have erased (outcome `unknown`).
    """
    facts = parts.book.facts
    last = facts.last_docking_before(docking)
    if last is None:
        return None
    wiped = {path for path, each in facts.clearances(last.docking).items() if each.outcome != "present"}
    files = {path for path, kind in _items(parts, last) if kind == "file"}
    missing = sorted(files - wiped - {path for path, _ in _items(parts, docking)})
    held = facts.found(last.docking) if missing else {}
    return Gone(
        last=last.docking,
        held=tuple(path for path in missing if path in held),
        lost=tuple(path for path in missing if path not in held),
    )


def _items(parts: Parts, docking: DockingRow) -> list[tuple[str, str]]:
    """Give paths and kinds of an inventory; nothing where it is lost."""
    try:
        document = decode(parts.book.registers.document(docking.inventory_sha256))
    except UnreadableError:
        return []
    items = document.get("items") if isinstance(document, dict) else None
    return [
        (str(item["path"]), str(item["kind"]))
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict)
    ]
