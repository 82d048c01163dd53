"""Room on the station's disks: a reserve that is never used up, and an intake that waits for room (INV-6).

Guarantees: no copy begins that would leave less than the reserve free, however many bays begin at once, because what
was promised to one counts for the others; below the reserve, or while not even one more recording fits beside it, the
station *accepts* nothing new; it accepts again by itself when there is room, with some to spare, so that it does not
say so and take it back in turn. The same holds for the disk of the book: every file that is taken in makes it grow.
Nothing is ever deleted here to make room. What the reserve is for is to end what was begun: entries, indexes, notes.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.amounts import amount
from edged.clock import Clock
from edged.config import PathsPart
from edged.errors import FullError, StorageError
from edged.station.worker import Pulse
from edged.vault.disk import Disk

RECORDING_BYTES: Final = 4 << 30
"""What one file of a recorder may need: FAT32 holds no larger one, and recorders cut theirs below it. A card that
claims more gets no more attention than that: its own bay waits, and no other."""

SPARE: Final = 8
"""Behind the reserve, one part in so many of it must be free before the station accepts again."""

_LOOK_SECONDS: Final = 30.0
"""How often who waits for room looks up when nothing wakes it."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder of the station's that needs room."""

    name: str
    """As `[paths]` calls it."""
    folder: Path
    device: int
    """Of its file system: `vault` and `state` may share one."""


class Room:
    """The free space of one station; used by all of its threads."""

    def __init__(
        self,
        paths: PathsPart,
        disk: Disk,
        clock: Clock,
        pulse: Pulse,
        *,
        device_of: Callable[[Path], int] = lambda folder: folder.stat().st_dev,
    ) -> None:
        """Both folders must be there. `pulse` beats when it is different whether the station accepts."""
        self._disk = disk
        self._clock = clock
        self._pulse = pulse
        self._vault, self._state = (
            Place(name=name, folder=folder, device=device_of(folder))
            for name, folder in (("vault", paths.vault), ("state", paths.state))
        )
        self._reserve_bytes = paths.reserve_mib << 20
        self._lock = threading.Lock()
        self._promised_bytes = 0
        self._wanted_bytes = 0
        """Of the vault, beside its reserve: for the smallest copy that was refused since there was room."""
        self._accepting = True
        self._returns = 0
        """How often there was room again."""
        self.look()

    def accepting(self) -> bool:
        """Say whether a recorder that is docked now is taken in."""
        return self._accepting

    def look(self) -> bool:
        """Measure, and say whether the station accepts; raises StorageError if a disk does not answer."""
        with self._lock:
            is_news = self._measure()
        if is_news:
            self._pulse.beat()
        return self._accepting

    @contextmanager
    def reserve(self, size_bytes: int) -> Iterator[None]:
        """Promise room in the vault, for as long as this is held: until the file has taken it on the disk.

        Raises FullError where it does not fit beside the reserve and what others were promised, or where the book's
        own disk is below its reserve.
        """
        try:
            with self._lock:
                self._insist(self._state, 0)
                self._insist(self._vault, size_bytes)
                self._promised_bytes += size_bytes
        except FullError:
            self._refused(size_bytes)
            raise
        try:
            yield
        finally:
            with self._lock:
                self._promised_bytes -= size_bytes

    def insist_on_spare(self, size_bytes: int) -> None:
        """Raise FullError unless something that can wait, such as a derivative, fits well beside all of this.

        It is promised nothing: intake comes first.
        """
        with self._lock:
            self._insist(self._state, size_bytes + self._spare_bytes, "it is made when there is room")

    def returns(self) -> int:
        """Give a number that is another one each time that room came back."""
        return self._returns

    def wait_until_accepting(self, stop: threading.Event) -> None:
        """Wait until the station accepts, or until `stop`; whoever sets that also gives a beat."""
        self._wait(stop, math.inf, lambda: self._accepting)

    def wait_for_return(self, seen: int, stop: threading.Event, seconds: float) -> None:
        """Wait until room came back since `returns` gave `seen`; at most so many seconds, or until `stop`, likewise."""
        self._wait(stop, seconds, lambda: self._returns != seen)

    def insist(self) -> None:
        """Raise FullError while the station does not accept."""
        if not self._accepting:
            raise FullError(self.short(), hint="Wait until there is room, and ask again.")

    def short(self) -> str:
        """Say in one sentence what is wrong while the station does not accept."""
        with self._lock:
            short = [place for place in self._places() if self._is_short(place)] or [self._vault]
        where = " and of ".join(f"{place.folder} (paths.{place.name})" for place in short)
        return (
            f"The disk of {where} has no room beside its reserve of {amount(self._reserve_bytes)}: "
            "no recorder is accepted, and nothing is deleted."
        )

    def plain(self) -> list[dict[str, object]]:
        """Give what is free on each file system, as plain values; null where a disk does not answer."""
        return [
            {
                "name": place.name,
                "folder": str(place.folder),
                "free_bytes": self._free_or_none(place),
                "reserve_bytes": self._reserve_bytes,
            }
            for place in self._places()
        ]

    @property
    def _spare_bytes(self) -> int:
        return self._reserve_bytes // SPARE

    def _places(self) -> tuple[Place, ...]:
        """Give the folders, each file system once."""
        return (self._vault,) if self._vault.device == self._state.device else (self._vault, self._state)

    def _free_or_none(self, place: Place) -> int | None:
        try:
            return self._disk.free_bytes(place.folder)
        except StorageError:
            return None

    def _refused(self, size_bytes: int) -> None:
        with self._lock:
            wanted = min(size_bytes, RECORDING_BYTES)
            self._wanted_bytes = min(self._wanted_bytes or wanted, wanted)
            is_news = self._measure()
        if is_news:
            self._pulse.beat()

    def _measure(self) -> bool:
        """Decide whether the station accepts; says whether that is another answer than before."""
        accepting = not any(self._is_short(place) for place in self._places())
        is_news, self._accepting = accepting != self._accepting, accepting
        if accepting:
            self._wanted_bytes = 0
            self._returns += is_news
        return is_news

    def _is_short(self, place: Place) -> bool:
        needed = self._wanted_bytes if place.device == self._vault.device else 0
        if not self._accepting:
            needed = max(needed, self._spare_bytes)
        return self._disk.free_bytes(place.folder) < self._reserve_bytes + needed

    def _insist(self, place: Place, size_bytes: int, then: str = "intake waits and nothing is deleted") -> None:
        free_bytes = self._disk.free_bytes(place.folder)
        if place.device == self._vault.device:
            free_bytes -= self._promised_bytes
        if free_bytes - size_bytes < self._reserve_bytes:
            raise FullError(
                f"The disk of {place.folder} has {amount(max(0, free_bytes))} free, which leaves no "
                f"{amount(size_bytes)} beside its reserve of {amount(self._reserve_bytes)}; {then}.",
                hint="Free space on it, or give it a larger disk; it goes on by itself.",
            )

    def _wait(self, stop: threading.Event, seconds: float, is_over: Callable[[], bool]) -> None:
        begun = self._clock.monotonic()
        wake = self._pulse.subscribe()
        try:
            while not (stop.is_set() or is_over()):
                left = begun + seconds - self._clock.monotonic()
                if left <= 0:
                    return
                wake.wait(min(left, _LOOK_SECONDS))
                wake.clear()
        finally:
            self._pulse.unsubscribe(wake)
