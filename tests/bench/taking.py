"""One station that takes the same card again and again: edged's side of the rows about taking files off a recorder.

What is measured is `Sealer`, the part of the station that takes the files of a docking: it copies through the
vault, computes both digests, makes everything durable and appends a `segment` entry for each file. What the
station knows about the card before (inventory, `docking` entry) is made ready before the watch starts.
"""

import shutil
import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edged.bays.claims import describe
from edged.bays.inventory import Filesystem, take_inventory
from edged.bays.safe_files import Root
from edged.bays.source import Docked
from edged.clock import Clock
from edged.errors import ToolError
from edged.evidence import bodies
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import BayId, DockingId, RecorderId
from edged.media.facts import MediaFacts, Unreadable, Why
from edged.media.media import Media
from edged.station.live import Live
from edged.station.parts import Parts
from edged.station.sealing import Sealer
from tests.bench.rounds import Contestant

_BAY = BayId("bay-1")


class Unexamined(Media):
    """Gives at once what probing finds in random bytes."""

    def probe(self, file: Path, stop: threading.Event) -> MediaFacts | Unreadable:
        """Start nothing."""
        del file, stop
        return Unreadable(reason=Why.NO_MEDIA)


class StopWatch(Live):
    """The live state, which is told of every byte and every sealed file, with a watch on both."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._watch = clock
        self.read: list[tuple[int, float]] = []
        """Bytes read so far, and when."""
        self.sealed: list[float] = []
        """When each file was sealed, in order."""

    def restart(self) -> None:
        """Forget the run before."""
        self.read, self.sealed = [(0, self._watch.monotonic())], []

    def progress(self, bay: str, read_bytes: int) -> None:
        """Note when bytes were read."""
        super().progress(bay, read_bytes)
        self.read.append((self.read[-1][0] + read_bytes, self._watch.monotonic()))

    def count_file(self, bay: str) -> None:
        """Note when a file was sealed."""
        super().count_file(bay)
        self.sealed.append(self._watch.monotonic())


class Taking:
    """Takes one card as another recorder's in each round."""

    def __init__(self, name: str, parts: Parts, card: Path) -> None:
        self._live = StopWatch(parts.clock)
        self._parts = replace(parts, live=self._live)
        self._name = name
        self._card = card
        self.lags_ms: list[list[float]] = []
        """From the last byte that was read of each file to its entry, one list a run."""

    def contestant(self) -> Contestant:
        """Give it as something to be measured."""
        return Contestant(name=self._name, run=self._run, prepare=self._dock, clean=self._clean)

    def _dock(self, number: int) -> None:
        parts, recorder = self._parts, self._recorder(number)
        self._docked = Docked(
            bay=_BAY,
            root=Root.at(self._card),
            hint=recorder,
            filesystem=Filesystem(type="directory", label=None, serial=None),
        )
        self._found = take_inventory(self._docked.root, parts.stop)
        docking = DockingId(f"dk-{recorder}")
        document = self._found.document(docking, self._docked.filesystem)
        body = bodies.Docking(
            docking=docking,
            bay=_BAY,
            recorder=bodies.RecorderInfo(id=recorder, vendor="bench", model="card", serial="1", known=True),
            officer=None,
            inventory_sha256=sha256_hex(document),
            files=len(self._found.files),
            bytes=self._found.total_bytes,
            clock_offset_ms=None,
            clock_uncertainty_ms=None,
            clock_set=False,
            missing=0,
        )
        parts.book.ledger.append(body, documents=[document])
        row = parts.book.facts.docking(docking)
        if row is None:
            raise AssertionError(docking)
        self._docking = row
        self._live.set_bay(_BAY, "copying", files=row.files, bytes=row.bytes)
        self._live.restart()

    def _run(self, _: int) -> None:
        parts = self._parts
        profile = next(profile for profile in parts.profiles if profile.id == "dcim")
        claims = describe(self._found.items, profile, parts.config.station.zone)
        items = sorted(self._found.files, key=lambda item: item.path)
        with Sealer(parts, self._docked, self._docking, threading.Event()) as sealer:
            for item in items:
                if not sealer.take(item, claims[item.path]):
                    raise ToolError(f"{item.path} could not be taken.")
        sizes = [item.size_bytes or 0 for item in items]
        self.lags_ms.append([1000 * lag for lag in lags(sizes, self._live.read, self._live.sealed)])

    def _clean(self, number: int) -> None:
        self._live.clear_bay(_BAY)
        shutil.rmtree(self._parts.vault.root / "segments" / self._recorder(number), ignore_errors=True)

    def _recorder(self, number: int) -> RecorderId:
        return RecorderId(f"{self._name.replace(' ', '-')}-{number}")


def lags(sizes: Sequence[int], read: Sequence[tuple[int, float]], sealed: Sequence[float]) -> list[float]:
    """Give the seconds from each file's last byte to its sealing; files are read and sealed one after another.

    `sizes` are theirs in bytes; `read` is how many bytes had been read by when, ascending; `sealed` when each was.
    Raises ToolError where these do not tell of the same files.
    """
    if len(sealed) != len(sizes) or not read or read[-1][0] != sum(sizes):
        raise ToolError(f"{len(sizes)} files were taken, and the station counted {len(sealed)} and other bytes.")
    found, end = [], 0
    for size_bytes, moment in zip(sizes, sealed, strict=True):
        end += size_bytes
        found.append(moment - read[bisect_left(read, (end,))][1])
    return found
