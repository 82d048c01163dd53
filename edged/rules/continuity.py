"""Whether what lies on a recorder's card goes on from what was there before, and within itself. PURE.

What can be established, and what cannot:
- Times in names count whole seconds, and so do two names of one recorder in the same way: of two of them the distance
  is known to less than one such step. A gap or an overlap is a finding only where even the nearest possible one is
  longer than the recorder may leave (0.04 s, GA/T 947). What is told is the interval.
- That two files should continue each other is known only where the recorder itself cut the first: it is as long, or
  as large, as the profile says that this kind makes a file. An officer who switches the camera off and on leaves no
  gap. Where a profile says neither length nor size, no gap is told.
- An overlap needs no such knowledge: a recorder records one thing at a time, so its clock was set back.
- That a recording ends early is known where its file is empty or was never finished, and where it was cut and nothing
  continues it. That one begins late is known only by a number that is missing before it (`counters`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Literal

from edged.evidence.ids import DockingId, SegmentId
from edged.rules.counters import Anew, Counter, Numbered, Skip, count

LONGEST_JOIN_MS: Final = 40
"""What segments that continue each other may leave between them (GA/T 947: 0.04 s)."""

CUT_TOLERANCE_MS: Final = 2_000
"""How far the length of a file that was cut may be from what the profile says: a cut waits for a whole picture."""

_CUT_PERCENT: Final = 95
"""A file was cut for its size if it has this much of it, in per cent: a cut comes before the limit."""


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How a kind of recorder cuts and counts what it records, as its profile says."""

    longest_join_ms: int = LONGEST_JOIN_MS
    longest_overlap_ms: int = LONGEST_JOIN_MS
    cut_ms: int | None = None
    """After how long it begins another file; None where that is not known."""
    cut_bytes: int | None = None
    """At which size it begins another file; None where that is not known."""
    counter: Counter | None = None
    """What its numbers go on over; None where that is not known."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A file of footage that lies on the card, or that was taken in before and does not."""

    path: str
    segment: SegmentId | None
    """None where it could not be taken."""
    number: int | None
    digits: int = 0
    """With how many digits the number is written."""
    start: datetime | None
    """By the recorder's clock, aware; None where nothing says it."""
    end: datetime | None
    uncertainty_ms: int
    in_name: bool
    """Whether the start stands in the name: two such are off in the same way."""
    duration_ms: int | None
    """None for photographs, and where the file does not say."""
    size_bytes: int
    is_video: bool
    flaw: Literal["empty", "no-index"] | None = None
    sealed: int = 0
    """Its number in this station's own order of sealing; 0 for what lies on the card."""
    handed_in: bool = False
    """Whether a person brought it, without its recorder."""
    is_new: bool = True
    """Whether no docking that came to its end has judged it before."""

    @property
    def moment(self) -> datetime | None:
        """Give the time by which it is put in order."""
        return self.start or self.end


@dataclass(frozen=True, kw_only=True)
class Copy:
    """The bytes of a segment at another path than before, or at one from which they had been erased."""

    segment: SegmentId
    path: str
    first_path: str
    """Where they were met first."""
    erased_in: DockingId | None
    """The docking in which the station erased them from this very path."""


@dataclass(frozen=True, kw_only=True)
class Gone:
    """Files that the last inventory held and this one does not, and that the station did not erase."""

    last: DockingId
    held: tuple[str, ...]
    """Paths of those that were taken in then: the station has their bytes."""
    lost: tuple[str, ...]
    """Paths of those that were not."""


@dataclass(frozen=True, kw_only=True)
class Join:
    """Two files that should meet, and do not: a gap, or an overlap, between these bounds."""

    kind: Literal["gap", "overlap"]
    before: Recorded
    after: Recorded
    least_ms: int
    most_ms: int

    @property
    def is_overlap(self) -> bool:
        """Whether the second begins before the first ends."""
        return self.kind == "overlap"


@dataclass(frozen=True, kw_only=True)
class Incomplete:
    """A recording that stops early."""

    file: Recorded
    why: Literal["empty", "no-index", "not-continued"]


Finding = Skip | Anew | Join | Incomplete | Copy | Gone


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one recorder at one docking."""

    habits: Habits
    card: Sequence[Recorded]
    """Footage on the card; side files and papers of the recorder's own are not among it."""
    earlier: Sequence[Recorded] = ()
    """Footage that was taken in before and is not on the card."""
    copies: Sequence[Copy] = field(default=())
    gone: Gone | None = None


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Give what does not go on as it should; the same facts give the same findings in the same order."""
    gone = () if facts.gone is None or not (facts.gone.held or facts.gone.lost) else (facts.gone,)
    counts = count(_numbered(facts.card), list(_numbered(facts.earlier)), facts.habits.counter)
    files = {file.path: file for file in facts.card}
    rows = [[files[path] for path in stretch] for stretch in counts.stretches]
    numbered = {path for stretch in counts.stretches for path in stretch}
    timed = [(file.moment, file.path) for file in facts.card if file.moment and file.path not in numbered]
    rows.append([files[path] for _, path in sorted(timed)])
    found: list[Finding] = [*gone, *counts.findings]
    for row in rows:
        found += _joins([file for file in row if file.is_video], facts.habits)
    found += [
        Incomplete(file=file, why=file.flaw) for file in sorted(facts.card, key=_path) if file.flaw and file.is_new
    ]
    return (*found, *sorted(facts.copies, key=lambda copy: (copy.path, copy.segment)))


def was_cut(file: Recorded, habits: Habits) -> bool:
    """Say whether the recorder itself ended this file to begin another."""
    by_length = (
        habits.cut_ms is not None
        and file.duration_ms is not None
        and abs(file.duration_ms - habits.cut_ms) <= CUT_TOLERANCE_MS
    )
    return by_length or (habits.cut_bytes is not None and file.size_bytes * 100 >= habits.cut_bytes * _CUT_PERCENT)


def _joins(videos: Sequence[Recorded], habits: Habits) -> Iterator[Join | Incomplete]:
    """Judge videos that follow each other, with nothing missing between them."""
    for before, after in pairwise(videos):
        between = _distance(before, after)
        if between is None:
            continue
        least, most = between
        if was_cut(before, habits) and least > habits.longest_join_ms:
            yield Join(kind="gap", before=before, after=after, least_ms=least, most_ms=most)
        elif most < -habits.longest_overlap_ms:
            yield Join(kind="overlap", before=before, after=after, least_ms=-most, most_ms=-least)
    if videos and videos[-1].is_new and was_cut(videos[-1], habits):
        yield Incomplete(file=videos[-1], why="not-continued")


def _distance(before: Recorded, after: Recorded) -> tuple[int, int] | None:
    """Give the least and the most that may lie between two files, in milliseconds; None where nobody can tell."""
    if before.start is None or after.start is None or before.duration_ms is None:
        return None
    if not (before.in_name and after.in_name):
        return None
    off = max(before.uncertainty_ms, after.uncertainty_ms)
    apart = (after.start - before.start) // timedelta(milliseconds=1) - before.duration_ms
    return apart - off, apart + off


def _numbered(files: Sequence[Recorded]) -> Iterator[Numbered]:
    for file in files:
        if file.number is not None and file.moment is not None:
            yield Numbered(
                path=file.path,
                number=file.number,
                digits=file.digits,
                moment=file.moment,
                sealed=file.sealed,
                handed_in=file.handed_in,
            )


def _path(file: Recorded) -> str:
    return file.path
