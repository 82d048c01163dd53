"""A recorder's own counter: which numbers it left out, as far as a station can know. PURE.

Files are put in the order in which they were recorded by their numbers, not by their times: a clock that was set back
then leaves out nothing. A number counts as left out only if no file with it lies on the card and none that came after
its neighbour was taken in at this station before. A counter that passes its last number (9999 and then 1) or begins
anew leaves out nothing either. What was taken in elsewhere in between is not known here, so a finding says no more
than that this station does not know the numbers. What a person handed in makes its number known, and no other missed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby, pairwise
from typing import Final, Literal

Counter = Literal["recorder", "day", "none"]
"""What a counter goes on over: the recorder's whole life, one day, or nothing (the digits are no counter)."""

_BEGINNINGS: Final = frozenset({0, 1})


@dataclass(frozen=True, kw_only=True)
class Numbered:
    """A file of a recorder with the number that its name claims."""

    path: str
    number: int
    digits: int
    """How many digits the number is written with: it passes from all nines to 0 or 1."""
    moment: datetime
    """When it was recorded, by the recorder's clock, aware."""
    sealed: int
    """Its number in this station's own order of sealing; 0 for what lies on the card now."""
    handed_in: bool = False
    """Whether a person brought it, without its recorder."""


@dataclass(frozen=True, kw_only=True)
class Skip:
    """Numbers of which this station knows no file."""

    first: int
    last: int
    count: int
    before: str | None
    """Path of the file that was recorded before them; None where they are the first of a count."""
    after: str
    """Path of the file that was recorded after them."""


@dataclass(frozen=True, kw_only=True)
class Anew:
    """The counter began anew although it should go on."""

    number: int
    last: int
    """The number that was reached before."""
    after: str
    """Path of the file that it began anew with."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What the numbers on a card say."""

    findings: tuple[Skip | Anew, ...]
    stretches: tuple[tuple[str, ...], ...]
    """Paths in the order of their numbers, cut wherever a number is missing on the card."""


def count(card: Iterable[Numbered], earlier: Sequence[Numbered], counter: Counter | None) -> Counts:
    """Judge the numbers of the files on a card.

    `earlier` are files of the same recorder that were taken in before and are not on the card. `counter` is None
    where the profile does not say: then the numbers may begin anew at any time, without a word.
    """
    if counter == "none":
        return Counts(findings=(), stretches=())
    files = sorted(card, key=_in_time)
    if counter == "day":
        days = [list(group) for _, group in groupby(files, key=_day)]
        counts = [_Count.of_numbers(files) for files in days]
        findings: list[Skip | Anew] = [finding for each in counts for finding in _of_day(each, earlier)]
    else:
        counts = _counts(files)
        findings = list(_of_recorder(counts, earlier, tell_anew=counter == "recorder"))
    return Counts(findings=tuple(findings), stretches=tuple(map(tuple, _stretches(counts))))


def _stretches(counts: Sequence["_Count"]) -> list[list[str]]:
    """Give the paths of each stretch; one that begins a count goes on from the count before, as at midnight."""
    found: list[list[str]] = []
    for each in counts:
        first, *others = each.stretches()
        if found and each.files[min(each.files)].number in _BEGINNINGS:
            found[-1] += first
        else:
            found.append(list(first))
        found += map(list, others)
    return found


class _Count:
    """Files whose numbers go on from one another; numbers past the last one go on counting up here."""

    def __init__(self, file: Numbered) -> None:
        self.base: int = 10**file.digits
        self.files = {file.number: file}
        self.newest = file.number

    @classmethod
    def of_numbers(cls, files: Sequence[Numbered]) -> "_Count":
        count = cls(files[0])
        count.files = {file.number: file for file in reversed(files)}
        return count

    @property
    def moment(self) -> datetime:
        return min(file.moment for file in self.files.values())

    def place(self, number: int) -> int:
        """Give where a number goes on nearest to the newest one."""
        half = self.base // 2
        return self.newest + (number - self.newest + half) % self.base - half

    def takes(self, file: Numbered) -> bool:
        """Take a file in if it goes on from those here."""
        at = self.place(file.number)
        begins = file.number in _BEGINNINGS and self.before(at) not in self.files
        if 10**file.digits != self.base or begins or at in self.files or at < min(self.files):
            return False
        self.files[at], self.newest = file, at
        return True

    def before(self, at: int) -> int:
        """Give the place before one; 0 is left out by some recorders."""
        return at - 2 if (at - 1) % self.base == 0 and at - 1 not in self.files else at - 1

    def goes_on_with(self, other: "_Count") -> bool:
        """Say whether the first number there follows the last one here: then only the clock was set back."""
        return self.base == other.base and other.before(min(other.files)) == max(self.files)

    def places(self) -> list[int]:
        return sorted(self.files)

    def stretches(self) -> Iterator[tuple[str, ...]]:
        places = self.places()
        cuts = [index for index, at in enumerate(places) if index and self.before(at) != places[index - 1]]
        for start, end in pairwise([0, *cuts, len(places)]):
            yield tuple(self.files[at].path for at in places[start:end])

    def left_out(self, low: int, high: int, known: Iterable[int]) -> Iterator[tuple[int, int, int]]:
        """Give the numbers from `low` to `high` that are not known: first, last, how many."""
        for above, below in pairwise([low - 1, *sorted({at for at in known if low <= at <= high}), high + 1]):
            first = above + 1 + ((above + 1) % self.base == 0)
            last = below - 1 - ((below - 1) % self.base == 0)
            if first <= last:
                zeros = last // self.base - (first - 1) // self.base
                yield first % self.base, last % self.base, last - first + 1 - zeros


def _counts(files: Sequence[Numbered]) -> list[_Count]:
    """Cut files in the order of their times wherever the counter began anew."""
    counts: list[_Count] = []
    for file in files:
        if not counts or not counts[-1].takes(file):
            counts.append(_Count(file))
    merged: list[_Count] = []
    for each in counts:
        if merged and each.goes_on_with(merged[-1]):
            merged[-1].files |= each.files
        else:
            merged.append(each)
    return merged


def _of_recorder(counts: Sequence[_Count], earlier: Sequence[Numbered], *, tell_anew: bool) -> Iterator[Skip | Anew]:
    reached: Numbered | None = None
    for each in counts:
        before = reached or _last(earlier, each.moment)
        since = 0 if before is None or reached is not None else before.sealed
        if before is not None:
            newer = [file for file in earlier if since and _is_between(file, before, each)]
            yield from _between(before, each, newer, tell_anew=tell_anew)
        for low, high in pairwise(each.places()):
            one, two = each.files[low], each.files[high]
            span = sorted((one.moment, two.moment))
            known = [
                low + (file.number - low) % each.base
                for file in earlier
                if span[0] <= file.moment <= span[1] or (since and file.sealed > since)
            ]
            for first, last, many in each.left_out(low + 1, high - 1, known):
                yield Skip(first=first, last=last, count=many, before=one.path, after=two.path)
        reached = each.files[max(each.files)]


def _between(before: Numbered, count: _Count, since: Sequence[Numbered], *, tell_anew: bool) -> Iterator[Skip | Anew]:
    """Judge what lies between the number that was reached before and the first one of a count."""
    start = min(count.files)
    first = count.files[start]
    ahead = (first.number - before.number) % count.base
    # What follows `before` in this very count is no beginning, even if it is written as 0 or 1.
    follows = ahead == 1 or (ahead == 2 and (first.number - 1) % count.base == 0)  # noqa: PLR2004 - 0 is left out
    if follows or before.digits != first.digits:
        return
    if first.number in _BEGINNINGS or ahead == 0 or ahead > count.base // 2:
        if tell_anew:
            yield Anew(number=first.number, last=before.number, after=first.path)
        low, told = 1, None
    else:
        low, told = start - ahead + 1, before.path
    known = [start - (first.number - file.number) % count.base for file in since]
    for lowest, highest, many in count.left_out(low, start - 1, known):
        yield Skip(first=lowest, last=highest, count=many, before=told, after=first.path)


def _of_day(count: _Count, earlier: Sequence[Numbered]) -> Iterator[Skip]:
    """Judge one day's numbers, which begin with 0 or 1."""
    day = _day(next(iter(count.files.values())))
    known = [file.number for file in earlier if _day(file) == day]
    for low, high in pairwise([0, *(at for at in count.places() if at > 0)]):
        two = count.files[high]
        before = count.files[low].path if low in count.files else None
        for first, last, many in count.left_out(low + 1, high - 1, known):
            yield Skip(first=first, last=last, count=many, before=before, after=two.path)


def _is_between(file: Numbered, before: Numbered, count: _Count) -> bool:
    return file.sealed > before.sealed or (file.handed_in and before.moment <= file.moment <= count.moment)


def _last(earlier: Sequence[Numbered], moment: datetime) -> Numbered | None:
    """Give the file that the recorder was known to have recorded last before a moment."""
    return max(
        (file for file in earlier if file.moment <= moment and not file.handed_in),
        key=lambda file: (file.moment, file.sealed),
        default=None,
    )


def _in_time(file: Numbered) -> tuple[datetime, int, str]:
    return file.moment, file.number, file.path


def _day(file: Numbered) -> date:
    return file.moment.date()
