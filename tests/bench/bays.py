"""Sixteen bays at once: the unmodified daemon with as many cards docked in the same moment, beside as many `cp`.

Each round has a station of its own, without central storage, so that a docking ends with its files sealed; a card
that is docked alone before, right after the start, shows how soon the first byte is read. The daemon does all that
it does at a station: it probes each file in the sandbox, and reads each copy back from the disk, while it copies.
When which bay was through is what the times of its entries say.
"""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Final

from edged.book import Book
from edged.clock import SystemClock, from_rfc3339
from edged.errors import ToolError
from hwsim.bays import dock, yank
from hwsim.demo.settings import with_values
from tests.bench import peers
from tests.bench.daemon import running
from tests.bench.report import Row
from tests.bench.rounds import Contestant, cpu_per_gigabyte, middle, rates, take_turns
from tests.bench.setting import MIB, Setting, write_random
from tests.bench.station import STATION, BenchStation, make_station
from tests.bench.watching import Peak, cpu_seconds, first_read

BAYS: Final = 16
"""The budget of memory names so many."""
_FILES: Final = 8
_ALONE: Final = "CAM-00"
_ALONE_BYTES: Final = 4 * MIB
_SETTLE_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 180.0
"""For the next file to be sealed."""
_LOOK_SECONDS: Final = 0.02

_NOTES: Final = {
    "rate": "the whole daemon, which also probes each file and reads each copy back; from docking to the last entry",
    "memory": "Pss of the daemon and of all below it, looked at five times a second, the most of each round",
    "arrival": f"of one card, right after the start; {_SETTLE_SECONDS} s of it is how long a folder must have rested",
}


class Bays:
    """Sixteen equal cards, and what a station makes of them."""

    def __init__(self, setting: Setting) -> None:
        self._folder = setting.folder / "bays"
        self._clock = SystemClock()
        self.names = [f"CAM-{number:02}" for number in range(1, BAYS + 1)]
        for name in self.names:
            setting.tell(f"Making the cards of {BAYS} bays: {name}")
            _make_card(self.card(name), [setting.scale.card_bytes // _FILES] * _FILES)
        _make_card(self.card(_ALONE), [_ALONE_BYTES])
        self.files = sorted(path for name in self.names for path in self.card(name).rglob("*.MP4"))
        self.size_bytes = sum(path.stat().st_size for path in self.files)
        self.arrivals: list[float] = []
        """Seconds from the docking of one card to its first byte read, one a round."""
        self.peaks_mib: list[float] = []
        self.cpu: list[float] = []
        """CPU seconds a GB."""
        self.spreads: list[float] = []
        """How many times as long as the first bay the last one took."""

    def card(self, name: str) -> Path:
        """Give the folder of a card that is in no bay."""
        return self._folder / "shelf" / name

    def contestant(self) -> Contestant:
        """Give the daemon as something to be measured."""
        return Contestant(name="edged", run=self._run, prepare=self._start, clean=self._stop)

    def _start(self, _: int) -> None:
        """Start the daemon of a new station, and have it take one card alone."""
        made = self._folder / "station"
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, made, ignore_errors=True)
            self._station = make_station(made, self._clock)
            _configure(self._station, [_ALONE, *self.names])
            self._pid = undo.enter_context(running(self._station, self._folder / "log"))
            book = Book(self._station.state, station=STATION, clock=self._clock, read_only=True)
            self._book = undo.enter_context(closing(book))
            self._dock_alone()
            self._undo = undo.pop_all()

    def _dock_alone(self) -> None:
        """Dock one card, and note when its first byte is read."""
        with first_read(_folders(self.card(_ALONE))) as watch:
            begun = self._clock.monotonic()
            self._dock(_ALONE)
            self.arrivals.append(watch.wait(_PATIENCE_SECONDS) - begun)
        self._await_segments(1)

    def _run(self, _: int) -> float:
        """Dock all cards; gives the seconds until the last file was sealed."""
        used, begun, at = cpu_seconds(self._pid), self._clock.monotonic(), self._clock.now()
        with Peak(self._pid) as peak:
            for name in self.names:
                self._dock(name)
            self._await_segments(1 + len(self.files))
            seconds = self._clock.monotonic() - begun
        self.peaks_mib.append(peak.bytes / MIB)
        self.cpu.append((cpu_seconds(self._pid) - used) / (self.size_bytes / 1e9))
        took = [(end - at).total_seconds() for end in self._ends().values()]
        self.spreads.append(max(took) / min(took))
        return seconds

    def _stop(self, _: int) -> None:
        """Put the cards back, and remove the station."""
        for card in list((self._station.state / "bays").iterdir()):
            yank(card, self.card(card.name))
        self._undo.close()

    def _dock(self, name: str) -> None:
        bay = self._station.state / "bays" / name
        dock(self.card(name), bay)

    def _await_segments(self, number: int) -> None:
        pause, sealed, since = threading.Event(), -1, 0.0
        while (now_sealed := len(self._book.ledger.positions_of_type("segment"))) < number:
            if now_sealed > sealed:
                sealed, since = now_sealed, self._clock.monotonic()
            if self._clock.monotonic() > since + _PATIENCE_SECONDS:
                said = (self._folder / "log").read_text("utf-8", "replace").strip().splitlines() or ["nothing"]
                raise ToolError(f"The daemon does not seal what is docked; it said: {said[-1]}")
            pause.wait(_LOOK_SECONDS)

    def _ends(self) -> dict[str, datetime]:
        """Give when the last file of each recorder was sealed."""
        ends = {}
        for position in self._book.ledger.positions_of_type("segment"):
            entry = json.loads(self._book.ledger.bytes_at(position))
            ends[entry["body"]["recorder"]] = from_rfc3339(entry["time"])
        return {recorder: end for recorder, end in ends.items() if recorder != _ALONE}


def measure(setting: Setting) -> list[Row]:
    """Measure the rows of many bays."""
    bays = Bays(setting)
    copies = Copies(bays, setting.folder / "bays" / "copies")
    peer = f"{BAYS} × cp && sync"
    others = Contestant(name=peer, run=copies.run, clean=copies.clean)
    try:
        turns = take_turns([bays.contestant(), others], rounds=setting.scale.rounds, cold=bays.files, tell=setting.tell)
    finally:
        shutil.rmtree(setting.folder / "bays")
    rate = {name: rates(each, bays.size_bytes) for name, each in turns.items()}
    cpu = cpu_per_gigabyte(turns[peer], bays.size_bytes)
    fair = f"the last bay's time to its last entry, as a multiple of the first one's; of {peer}: {copies.spread:.2f}"
    many = f"{BAYS} bays at once"
    return [
        Row(what=many, unit="MB/s", edged=rate["edged"], peer=peer, theirs=rate[peer], note=_NOTES["rate"]),
        Row(what=f"{many}, CPU time", unit="CPU s/GB", edged=bays.cpu, peer=peer, theirs=cpu),
        Row(what=f"{many}, slowest after fastest", unit="times", edged=bays.spreads, note=fair),
        Row(what=f"memory with {BAYS} bays busy", unit="MiB", edged=bays.peaks_mib, at_most=300, note=_NOTES["memory"]),
        Row(what="arrival to first byte read", unit="s", edged=bays.arrivals, at_most=0.5, note=_NOTES["arrival"]),
    ]


class Copies:
    """As many `cp && sync` at once."""

    def __init__(self, bays: Bays, folder: Path) -> None:
        self._bays = bays
        self._folder = folder
        self._spreads: list[float] = []

    @property
    def spread(self) -> float:
        """How many times as long as the first the last one took."""
        return middle(self._spreads)

    def run(self, _: int) -> None:
        """Copy all cards."""
        clock = SystemClock()
        begun = clock.monotonic()

        def copy(name: str) -> float:
            peers.cp(self._bays.card(name), self._folder / name)
            return clock.monotonic() - begun

        self._folder.mkdir()
        with ThreadPoolExecutor(BAYS) as pool:
            took = list(pool.map(copy, self._bays.names))
        self._spreads.append(max(took) / min(took))

    def clean(self, _: int) -> None:
        """Remove the copies."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _make_card(card: Path, sizes: list[int]) -> None:
    folder = card / "DCIM" / "100MEDIA"
    folder.mkdir(parents=True)
    for number, size_bytes in enumerate(sizes, start=1):
        write_random(folder / f"VID_20261121_{number:06d}_{number:04d}.MP4", size_bytes)


def _folders(card: Path) -> Iterator[Path]:
    return (Path(folder) for folder, _, _ in os.walk(card))


def _configure(station: BenchStation, recorders: list[str]) -> None:
    values: dict[str, str | float] = {
        "bays.at_once": BAYS,
        "bays.settle_seconds": _SETTLE_SECONDS,
        "bays.wipe": "never",
    }
    file = station.config / "station.toml"
    file.write_text(with_values(file.read_text("utf-8"), values), "utf-8")
    lines = [f'[[recorder]]\nid = "{name}"\nprofile = "dcim"\nserial = "{name}"\n' for name in recorders]
    (station.config / "register.toml").write_text("\n".join(lines), "utf-8")
