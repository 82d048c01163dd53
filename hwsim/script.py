"""A recorder's day: which recordings, and what is special about them, as a card to be written.

The same order gives the same card. Features never change which regular segments there are, only how they are
marked, joined, counted or made large; damaged and odd files come on top, after them.
"""

import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from edged.errors import UsageError
from hwsim.cards import Card, CardFile, Copied, Filmed, Link, Pipe, Written
from hwsim.damage import Damage
from hwsim.layouts import LAYOUTS
from hwsim.layouts.layout import Layout, Shot, Worn
from hwsim.video import LARGE_SECONDS, Format, Take

_JOINED = 3
_DAMAGE_SECONDS = 6


class Feature(StrEnum):
    """What can be special about a card."""

    IMPORTANT = "important"
    """One segment carries the officer's importance mark, where the layout has one."""

    JOINED = "joined"
    """The first three segments (of fewer than four all but one) are one recording, cut by the recorder."""

    GAP = "gap"
    """The recorder's counter leaves out a number before the last segment."""

    LARGE = "large"
    """The first segment that is not joined has more than 20 MiB."""

    DRIFT = "drift"
    """The recorder's clock is one to three minutes wrong, in names, burned-in time and file times alike."""

    EMPTY = "empty"
    """A video of no bytes."""

    TRUNCATED = "truncated"
    """An MP4 without its index, as after a battery was taken out."""

    CORRUPTED = "corrupted"
    """A video with runs of garbage in it."""

    NO_MEDIA = "no-media"
    """A file with a video's name that holds text."""

    DUPLICATE = "duplicate"
    """The first segment once more, in another folder."""

    AWKWARD = "awkward"
    """Names that software gets wrong."""

    HOSTILE = "hostile"
    """A symbolic link out of the card and a named pipe."""


AWKWARD_NAMES: tuple[bytes, ...] = (
    b"with spaces  and 'quotes' \".MP4",
    "现场录像 第一段.MP4".encode(),
    b"new\nline.MP4",
    b"not utf-8 \xff\xfe\xe9.MP4",
    b"a" * 251 + b".MP4",
    b".leading dot",
    b"-rf",
    b"percent %2E%2E%2F.MP4",
    b"trailing.",
    b"CON.MP4",
    b"entry.json",
    b"chunks.sha256",
    b"entry.tlog-proof",
    b"\x1b[31mred\x07.MP4",
)
"""Base names with spaces, other scripts, control bytes, of the longest length, and of a bundle's own files."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a card shall hold."""

    layout: str
    """A name of `LAYOUTS`."""

    worn: Worn

    start: datetime
    """When the day begins by the true clock, aware."""

    segments: int = 4
    """Regular video segments."""

    seconds: int = 15
    """Length of each."""

    seed: int = 1

    features: frozenset[Feature] = frozenset()


def plan(order: Order) -> Card:
    """Plan the card that `order` asks for; raises UsageError if it asks for what cannot be."""
    if order.layout not in LAYOUTS:
        raise UsageError(f"there is no layout {order.layout!r}", hint=f"Layouts: {', '.join(LAYOUTS)}.")
    if order.segments < 1 or order.seconds < 1:
        raise UsageError("a card needs one segment of one second or more")
    return _Day(order).card()


def clock_error(order: Order) -> timedelta:
    """Say by how much the clock of the recorder is wrong that records what `order` asks for."""
    return _clock_error(order, _chance(order))


def _chance(order: Order) -> random.Random:
    return random.Random(f"{order.seed} {order.worn.device}")


def _clock_error(order: Order, chance: random.Random) -> timedelta:
    drift = timedelta(seconds=chance.choice((-1, 1)) * chance.randint(60, 180))
    return drift if Feature.DRIFT in order.features else timedelta()


@dataclass
class _Day:
    """The recorder while its card is being planned: its clock, its counter and what it wrote so far."""

    order: Order
    shots: list[Shot] = field(default_factory=list)
    recordings: int = 0
    counter: int = 0

    def __post_init__(self) -> None:
        self.rng = _chance(self.order)
        started = self.order.start + _clock_error(self.order, self.rng)
        self.clock = started.astimezone(self.order.worn.zone).replace(microsecond=0)

    def card(self) -> Card:
        """Record the whole day."""
        features, worn, layout = self.order.features, self.order.worn, LAYOUTS[self.order.layout]
        self._regular(layout)
        for wanted in layout.extras:
            self._record(wanted, 0 if wanted is Format.JPG else 4)
        if Feature.IMPORTANT in features:
            marked = self.rng.randrange(self.order.segments)
            self.shots[marked] = replace(self.shots[marked], important=True)
        self._odd()
        shots = tuple(self.shots)
        files = [CardFile(path=layout.path(worn, s), content=s.content, modified=s.ended) for s in shots]
        files += layout.beside(worn, shots, self.order.seed)
        return Card(files=(*files, *_strange(files[0], shots[-1].ended, features)))

    def _regular(self, layout: Layout) -> None:
        left, features = self.order.segments, self.order.features
        if Feature.JOINED in features and left > 1:
            cuts = min(_JOINED, left - 1)
            self._record(Format.MP4, self.order.seconds, cuts=cuts)
            left -= cuts
        for number in range(left):
            if number == left - 1 and Feature.GAP in features:
                self.counter += 1
            large = number == 0 and Feature.LARGE in features
            seconds = max(self.order.seconds, LARGE_SECONDS) if large else self.order.seconds
            self._record(Format.MP4 if large else layout.format(self.recordings), seconds, large=large)

    def _odd(self) -> None:
        features = self.order.features
        for feature, damage in (
            (Feature.TRUNCATED, Damage.TRUNCATED),
            (Feature.CORRUPTED, Damage.CORRUPTED),
        ):
            if feature in features:
                self._record(Format.MP4, _DAMAGE_SECONDS, damage=damage)
        if Feature.EMPTY in features:
            self._count(Format.MP4, 0, Written(data=b""))
        if Feature.NO_MEDIA in features:
            text = f"{self.order.worn.device}: write test, no video follows\n" * 400
            self._count(Format.MP4, 0, Written(data=text.encode()))

    def _record(
        self,
        wanted: Format,
        seconds: int,
        *,
        cuts: int = 1,
        large: bool = False,
        damage: Damage | None = None,
    ) -> None:
        """Press the record button once."""
        self.recordings += 1
        take = Take(
            format=wanted,
            began=self.clock,
            seconds=max(1, seconds),
            cuts=cuts,
            caption=f"{self.order.worn.device} {self.order.worn.officer}",
            seed=self.rng.randrange(1 << 30),
            large=large,
        )
        for cut in range(cuts):
            self._count(wanted, seconds, Filmed(take=take, cut=cut, damage=damage))
        self.clock += timedelta(seconds=self.rng.randint(20, 180))

    def _count(self, wanted: Format, seconds: int, content: Filmed | Written) -> None:
        """Write one file: the next number, and the clock goes on."""
        self.counter += 1
        shot = Shot(number=self.counter, began=self.clock, seconds=seconds, format=wanted, content=content)
        self.shots.append(shot)
        self.clock = shot.ended if seconds else self.clock + timedelta(seconds=5)


def _strange(first: CardFile, last: datetime, features: frozenset[Feature]) -> list[CardFile]:
    """Give what a recorder would not write by itself."""
    files = []
    home, _, name = first.path.rpartition(b"/")
    if Feature.DUPLICATE in features:
        files.append(CardFile(path=b"COPY/" + name, content=Copied(of=first.path), modified=first.modified))
    if Feature.AWKWARD in features:
        files += [
            CardFile(
                path=home + b"/" + awkward,
                content=Written(data=b"named awkwardly: " + awkward + b"\n"),
                modified=last,
            )
            for awkward in AWKWARD_NAMES
        ]
    if Feature.HOSTILE in features:
        files += [
            CardFile(path=home + b"/LINK.MP4", content=Link(target=b"/etc/passwd"), modified=last),
            CardFile(path=b"OUT", content=Link(target=b".."), modified=last),
            CardFile(path=home + b"/PIPE.MP4", content=Pipe(), modified=last),
        ]
    return files
