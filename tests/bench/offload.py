"""Taking files off a recorder: edged's own way of it, beside programs that only copy.

What is measured is `Sealer`, the part of the station that takes the files of a docking: it copies through the
vault, computes both digests, makes everything durable and appends a `segment` entry for each file. The budget
names these; the station also probes each file in the sandbox meanwhile, so there is a row with that, too.
"""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

from edged.bays.claims import describe
from edged.bays.inventory import Filesystem, take_inventory
from edged.bays.safe_files import Root
from edged.bays.source import Docked
from edged.clock import Clock, SystemClock
from edged.errors import ToolError
from edged.evidence import bodies
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import BayId, DockingId, RecorderId
from edged.media.facts import MediaFacts, Unreadable, Why
from edged.media.media import Media
from edged.media.sandbox import Sandbox
from edged.station.assembly import build
from edged.station.live import Live
from edged.station.parts import Parts
from edged.station.sealing import Sealer
from tests.bench import peers
from tests.bench.report import Row
from tests.bench.rounds import Contestant, Turn, rates, take_turns
from tests.bench.setting import Setting
from tests.bench.station import make_station

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
        self.last_byte = 0.0
        self.last_sealed = 0.0

    def progress(self, bay: str, read_bytes: int) -> None:
        """Note when bytes were read."""
        super().progress(bay, read_bytes)
        self.last_byte = self._watch.monotonic()

    def count_file(self, bay: str) -> None:
        """Note when a file was sealed."""
        super().count_file(bay)
        self.last_sealed = self._watch.monotonic()


class Offload:
    """One station that takes the same card again and again, each time as another recorder's."""

    def __init__(self, name: str, parts: Parts, card: Path) -> None:
        self._live = StopWatch(parts.clock)
        self._parts = replace(parts, live=self._live)
        self._name = name
        self._card = card
        self.lags_ms: list[float] = []
        """From the last byte read off the card to its last file sealed, one a run."""

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

    def _run(self, _: int) -> None:
        parts = self._parts
        profile = next(profile for profile in parts.profiles if profile.id == "dcim")
        claims = describe(self._found.items, profile, parts.config.station.zone)
        with Sealer(parts, self._docked, self._docking, threading.Event()) as sealer:
            for item in sorted(self._found.files, key=lambda item: item.path):
                if not sealer.take(item, claims[item.path]):
                    raise ToolError(f"{item.path} could not be taken.")
        self.lags_ms.append(1000 * (self._live.last_sealed - self._live.last_byte))

    def _clean(self, number: int) -> None:
        self._live.clear_bay(_BAY)
        shutil.rmtree(self._parts.vault.root / "segments" / self._recorder(number), ignore_errors=True)

    def _recorder(self, number: int) -> RecorderId:
        return RecorderId(f"{self._name.replace(' ', '-')}-{number}")


def measure(setting: Setting) -> list[Row]:
    """Measure the rows of offloading."""
    clock = SystemClock()
    station = make_station(setting.folder / "offload", clock)
    parts = build(station.config, clock)
    try:
        sealing = Offload("edged", replace(parts, media=Unexamined(Sandbox(clock))), setting.card)
        probing = Offload("edged probing", parts, setting.card)
        others = _others(setting, setting.folder / "copy")
        turns = take_turns(
            [sealing.contestant(), *others, probing.contestant()],
            rounds=setting.scale.rounds,
            cold=setting.files,
            tell=setting.tell,
        )
    finally:
        parts.book.close()
    return _rows(turns, setting.total_bytes, sealing.lags_ms, probing.lags_ms)


def _others(setting: Setting, target: Path) -> list[Contestant]:
    def remove(_: int) -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.with_suffix(".fio").unlink(missing_ok=True)

    def copy(_: int) -> None:
        peers.cp(setting.card, target)

    found = [Contestant(name="cp && sync", run=copy, clean=remove)]
    if rclone := peers.find(setting, "rclone", "offload beside rclone"):

        def rclone_copy(_: int) -> None:
            peers.rclone_copy(rclone, setting.card, target)

        found.append(Contestant(name="rclone copy && sync", run=rclone_copy, clean=remove))
    if fio := peers.find(setting, "fio", "offload beside the bare disk"):

        def fio_copy(_: int) -> float:
            return peers.fio_copy(fio, setting.recordings, target.with_suffix(".fio"))

        found.append(Contestant(name="fio", run=fio_copy, clean=remove))
    return found


def _rows(
    turns: dict[str, list[Turn]], size_bytes: int, lags_ms: list[float], probing_lags_ms: list[float]
) -> list[Row]:
    rate = {name: rates(each, size_bytes) for name, each in turns.items()}
    budgets = {"cp && sync": 1.0, "rclone copy && sync": 1.5, "fio": 0.8}
    rows = [
        Row(what="offload", unit="MB/s", edged=rate["edged"], peer=peer, theirs=rate[peer], at_least=budget)
        for peer, budget in budgets.items()
        if peer in rate
    ]
    rows.append(
        Row(
            what="offload, each file probed",
            unit="MB/s",
            edged=rate["edged probing"],
            peer="cp && sync",
            theirs=rate["cp && sync"],
            note="as the station does it, ffprobe in the sandbox beside the copying; the budget is about the row above",
        )
    )
    rows.append(Row(what="last byte to sealed", unit="ms", edged=lags_ms))
    rows.append(Row(what="last byte to sealed, each file probed", unit="ms", edged=probing_lags_ms, at_most=200))
    return rows
