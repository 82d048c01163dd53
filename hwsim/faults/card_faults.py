"""What is wrong with a card: plain data, and what it does to one read of a file."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Final


class BadSpotError(OSError):
    """The first byte that is asked for cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """Bytes [start, end) of a file answer with EIO: as often as they are asked for, or only the first `times`."""

    path: str
    start: int
    end: int
    times: int | None = None


@dataclass(frozen=True, kw_only=True)
class Rotten:
    """Bytes [start, end) of a file are others at each read."""

    path: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Stalling:
    """A read that reaches byte `at` of a file hangs for so long, once."""

    path: str
    at: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """The card is pulled out as soon as byte `at` of a file is read."""

    path: str
    at: int


Fault = Unreadable | Rotten | Stalling | Pulled
_KINDS: Final[dict[str, type[Fault]]] = {
    "unreadable": Unreadable,
    "rotten": Rotten,
    "stalling": Stalling,
    "pulled": Pulled,
}


@dataclass(frozen=True, kw_only=True)
class Faults:
    """All that is wrong with one card. Paths are relative to its root, decoded as `os.fsdecode` does."""

    faults: tuple[Fault, ...] = ()
    bytes_per_second: int | None = None
    """The port's speed; None for no limit."""

    def plain(self) -> dict[str, Any]:
        """Give it as JSON holds it."""
        names = {kind: name for name, kind in _KINDS.items()}
        faults = [{"kind": names[type(each)], **asdict(each)} for each in self.faults]
        return {"faults": faults, "bytes_per_second": self.bytes_per_second}


def from_plain(plain: dict[str, Any]) -> Faults:
    """Read what `Faults.plain` gave."""
    faults = tuple(
        _KINDS[each["kind"]](**{key: value for key, value in each.items() if key != "kind"}) for each in plain["faults"]
    )
    return Faults(faults=faults, bytes_per_second=plain["bytes_per_second"])


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What becomes of one read."""

    size: int
    """How many bytes of it can be read."""
    rotten: tuple[Rotten, ...] = ()
    pulled: bool = False
    stalls_seconds: float = 0.0


class Sick:
    """One card's faults and how often each has struck; not safe for several threads."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._left = list(faults.faults)
        self._reads = 0

    def meet(self, path: str, offset: int, size: int) -> Verdict:
        """Decide about a read of [offset, offset + size); raises BadSpotError if its first byte cannot be read."""
        here = [each for each in self._left if each.path == path]
        verdict = Verdict(size=size)
        for each in here:
            match each:
                case Pulled(at=at) if offset <= at < offset + size:
                    self._left.remove(each)
                    return Verdict(size=0, pulled=True)
                case Stalling(at=at, seconds=seconds) if offset <= at < offset + size:
                    self._left.remove(each)
                    verdict = replace(verdict, stalls_seconds=seconds)
                case _:
                    pass
        for each in here:
            if isinstance(each, Unreadable) and offset < each.end and each.start < offset + verdict.size:
                if offset < each.start:
                    # As with a disk: what comes before the bad spot is given, and the next read fails.
                    verdict = replace(verdict, size=each.start - offset)
                else:
                    self._strike(each)
                    raise BadSpotError
        rotten = tuple(each for each in here if isinstance(each, Rotten))
        return replace(verdict, rotten=rotten)

    def rot(self, data: bytes, offset: int, rotten: tuple[Rotten, ...]) -> bytes:
        """Change bytes of a read at `offset` where they are rotten, each time otherwise."""
        changed = bytearray(data)
        for each in rotten:
            start, end = max(each.start, offset), min(each.end, offset + len(data))
            if start >= end:
                continue
            self._reads += 1
            # Never zero, so each byte is another one than was written; and two reads in a row agree nowhere.
            for at in range(start, end):
                changed[at - offset] ^= 1 + (self._reads + at) % 255
        return bytes(changed)

    def _strike(self, fault: Unreadable) -> None:
        if fault.times is not None:
            self._left[self._left.index(fault)] = replace(fault, times=fault.times - 1)
            self._left = [each for each in self._left if not (isinstance(each, Unreadable) and each.times == 0)]
