"""What happens in one round: cards, what is wrong with them, and misfortunes in their order; all of it from a seed.

The same seed on a machine of the same means gives the same plan, byte for byte. At which instruction a misfortune meets
the daemon is the machine's affair, so a failure may take several tries to come again.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Final

from hwsim.faults.card_faults import Fault, Faults, Pulled, Rotten, Stalling, Unreadable
from hwsim.faults.write_cache import WAYS, Way

OFFICER: Final = "138001"
RECORDERS: Final = {"BC00001": "gat947", "BC00002": "gat947", "CAM-07": "dcim", "SC20451": "sidecar"}
"""Each recorder of the station, and its profile."""

_KIB: Final = 1 << 10
_MIB: Final = 1 << 20
_PAGE: Final = 4096
_DAY: Final = 86_400
_STEPS_SECONDS: Final = (-2 * _DAY, -3600, -90, -2, 2, 90, 3600, 2 * _DAY)


class Deed(Enum):
    """What is done to the station, and what may be done to it once only a round."""

    DOCK = "dock"
    YANK = "yank"
    KILL = "kill"
    STOP = "stop"
    POWER_CUT = "power-cut"
    STORE_DOWN = "store-down"
    STORE_SLOW = "store-slow"
    STORE_CUT = "store-cut"
    STORE_KILL = "store-kill"
    FILL = "fill"
    CLOCK = "clock"
    MOUNTER_KILL = "mounter-kill"


@dataclass(frozen=True, kw_only=True)
class Means:
    """What the machine allows, by which plans differ."""

    disk: bool
    """A disk of one's own: power cuts, and a vault that fills up."""
    clock: bool
    """A clock that can be stepped for the daemon alone."""
    kernel: bool = False
    """Recorders are USB disks of this machine: exFAT, behind the real mounter. Nothing is wrong with cards then."""


@dataclass(frozen=True, kw_only=True)
class PlannedFile:
    """A file as the recorder wrote it."""

    path: str
    """Relative to the card's root, decoded as `os.fsdecode` does."""
    size: int
    seed: str

    @cached_property
    def content(self) -> bytes:
        """Its bytes."""
        return random.Random(self.seed).randbytes(self.size)


@dataclass(frozen=True, kw_only=True)
class PlannedCard:
    """A card, named as its recorder."""

    name: str
    files: tuple[PlannedFile, ...]
    faults: Faults
    links: tuple[str, ...] = ()
    """Names of symbolic links to a file of the station: a hostile card."""

    @property
    def lies(self) -> frozenset[str]:
        """The paths of files that never can be read as they were written."""
        return frozenset(
            each.path
            for each in self.faults.faults
            if isinstance(each, Rotten) or (isinstance(each, Unreadable) and each.times is None)
        )


@dataclass(frozen=True, kw_only=True)
class Act:
    """One misfortune, or the docking of a card."""

    deed: Deed
    entries: int
    """It happens when the ledger has grown by so many entries, or rests."""
    card: str = ""
    seconds: float = 0.0
    """How long it lasts; of CLOCK by how much the clock is stepped."""
    count: int = 0
    """Operations of the disk, or bytes towards the store, after which it strikes; of FILL the bytes that are left."""
    way: Way = "nothing"
    """What a power cut leaves."""

    def __str__(self) -> str:
        match self.deed:
            case Deed.DOCK | Deed.YANK:
                return f"{self.deed.value} {self.card}"
            case Deed.POWER_CUT:
                return f"{self.deed.value} after {self.count} ({self.way} stays)"
            case Deed.CLOCK:
                return f"{self.deed.value} {self.seconds:+.0f} s"
            case Deed.FILL:
                return f"{self.deed.value} to {self.count // _MIB} MiB"
            case _:
                return str(self.deed.value)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One round."""

    seed: int
    means: Means
    cards: tuple[PlannedCard, ...]
    acts: tuple[Act, ...]

    def told(self) -> list[str]:
        """Say what happens, in order: what is wrong with cards, and the acts."""
        wrong = [f"{card.name}: {_told(fault)}" for card in self.cards for fault in card.faults.faults]
        wrong += [
            f"{card.name}: {card.faults.bytes_per_second // _KIB} KiB/s"
            for card in self.cards
            if card.faults.bytes_per_second
        ]
        return wrong + [str(act) for act in self.acts]


def make_plan(seed: int, means: Means) -> Plan:
    """Make the plan of a seed."""
    rng = random.Random(f"torture {seed}")
    names = rng.sample(sorted(RECORDERS), rng.randint(2, len(RECORDERS)))
    cards = tuple(_card(name, rng, seed) for name in names)
    if means.kernel:
        cards = tuple(_on_exfat(card) for card in cards)
    misfortunes = [_misfortune(rng, means, names) for _ in range(rng.randint(3, 7))]
    # The first card is docked first, so that there is something to be disturbed; the others come in between.
    acts = misfortunes
    for name in names[1:]:
        acts.insert(rng.randrange(len(acts) + 1), Act(deed=Deed.DOCK, entries=rng.randrange(6), card=name))
    acts.insert(0, Act(deed=Deed.DOCK, entries=0, card=names[0]))
    return Plan(seed=seed, means=means, cards=cards, acts=tuple(acts))


def _card(name: str, rng: random.Random, seed: int) -> PlannedCard:
    paths = _PATHS[RECORDERS[name]]
    files = []
    for number in range(1, rng.randint(4, 14)):
        size = rng.choice((0, rng.randrange(1, 200 * _KIB), rng.randrange(1, 200 * _KIB), rng.randrange(1, 4 * _MIB)))
        if rng.random() < 0.1:  # noqa: PLR2004 - a file of several parts
            size = rng.randrange(8 * _MIB, 20 * _MIB)
        files.append(PlannedFile(path=paths(name, number, rng), size=size, seed=f"{seed} {name} {number}"))
    if rng.random() < 0.5:  # noqa: PLR2004 - the same bytes under another name
        files.append(replace(rng.choice(files), path="COPY/\udcff.MP4"))
    faults = _faults(files, rng)
    if RECORDERS[name] == "sidecar":
        files.insert(0, PlannedFile(path="DEVICE.INI", size=0, seed=""))
    links = ("LINK.MP4",) if rng.random() < 0.2 else ()  # noqa: PLR2004 - seldom
    return PlannedCard(name=name, files=tuple(files), faults=faults, links=links)


def _on_exfat(card: PlannedCard) -> PlannedCard:
    """Leave out what exFAT cannot hold, and what is not played with it."""
    files = tuple(replace(file, path=file.path.replace("\udcff", "SAME")) for file in card.files)
    return replace(card, files=files, links=(), faults=Faults())


def _faults(files: list[PlannedFile], rng: random.Random) -> Faults:
    """Choose what is wrong with a card; about every second one has nothing."""
    large = [file for file in files if file.size > 4 * _PAGE]
    found: list[Fault] = []
    speed = None
    for _ in range(rng.choice((0, 0, 1, 1, 2)) if large else 0):
        file = rng.choice(large)
        start = rng.randrange(file.size - _PAGE)
        end = rng.randrange(start + 1, min(start + 8 * _PAGE, file.size) + 1)
        match rng.choice(("bad", "hiccup", "rot", "stall", "pull", "pull", "slow")):
            case "bad":
                found.append(Unreadable(path=file.path, start=start, end=end))
            case "hiccup":
                found.append(Unreadable(path=file.path, start=start, end=end, times=rng.randint(1, 2)))
            case "rot":
                found.append(Rotten(path=file.path, start=start, end=end))
            case "stall":
                found.append(Stalling(path=file.path, at=start, seconds=round(rng.uniform(0.2, 3), 1)))
            case "pull":
                found.append(Pulled(path=file.path, at=start))
            case _:
                speed = rng.randrange(400 * _KIB, 8 * _MIB)
    return Faults(faults=tuple(found), bytes_per_second=speed)


def _misfortune(rng: random.Random, means: Means, names: list[str]) -> Act:
    deeds = [Deed.YANK, Deed.KILL, Deed.KILL, Deed.KILL, Deed.STOP]
    deeds += [Deed.STORE_DOWN, Deed.STORE_SLOW, Deed.STORE_CUT, Deed.STORE_KILL]
    deeds += [Deed.POWER_CUT, Deed.POWER_CUT, Deed.POWER_CUT, Deed.FILL] if means.disk else []
    deeds += [Deed.CLOCK] if means.clock else []
    deeds += [Deed.MOUNTER_KILL, Deed.MOUNTER_KILL, Deed.YANK] if means.kernel else []
    deed = rng.choice(deeds)
    count = 0
    if deed is Deed.POWER_CUT:
        count = rng.randrange(1, 200)
    elif deed is Deed.STORE_CUT:
        count = rng.randrange(1, 3 * _MIB)
    elif deed is Deed.FILL:
        count = rng.choice((0, 0, 2 * _MIB, 12 * _MIB))
    return Act(
        deed=deed,
        entries=rng.choice((0, 0, 1, 2, rng.randrange(3, 12), rng.randrange(3, 30))),
        card=rng.choice(names) if deed is Deed.YANK else "",
        seconds=float(rng.choice(_STEPS_SECONDS)) if deed is Deed.CLOCK else round(rng.uniform(0.1, 3), 2),
        count=count,
        way=rng.choice(WAYS),
    )


def _gat947(name: str, number: int, rng: random.Random) -> str:
    mark = "_IMP" if rng.random() < 0.2 else ""  # noqa: PLR2004 - as officers do
    return f"20260105/{name}_{OFFICER}_2026010508{number:02}00_{number:04}{mark}.MP4"


def _dcim(name: str, number: int, rng: random.Random) -> str:
    del name, rng
    return f"DCIM/100MEDIA/VID_20260105_08{number:02}00_{number:04}.MP4"


def _sidecar(name: str, number: int, rng: random.Random) -> str:
    del name
    if number % 3 == 0:
        return f"GPS/20260105/08{number - 1:02}00_{number - 1:05}.NMEA"
    return f"VIDEO/20260105/08{number:02}00_{number:05}{'L' if rng.random() < 0.2 else ''}.MP4"  # noqa: PLR2004


_PATHS: Final[dict[str, Callable[[str, int, random.Random], str]]] = {
    "gat947": _gat947,
    "dcim": _dcim,
    "sidecar": _sidecar,
}


def _told(fault: Fault) -> str:
    match fault:
        case Unreadable(path=path, start=start, end=end, times=times):
            return f"{path!a} unreadable [{start}, {end})" + ("" if times is None else f" {times} times")
        case Rotten(path=path, start=start, end=end):
            return f"{path!a} rots [{start}, {end})"
        case Stalling(path=path, at=at, seconds=seconds):
            return f"{path!a} stalls at {at} for {seconds} s"
        case Pulled(path=path, at=at):
            return f"pulled out at byte {at} of {path!a}"
