"""Taking large files off a recorder: edged's own way of it, beside programs that only copy.

The budget names copying, digests, fsync and sealing (`taking`); the station also probes each file in the sandbox
meanwhile, so there is a row with that, too.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from edged.clock import SystemClock
from edged.media.sandbox import Sandbox
from edged.station.assembly import build
from tests.bench import peers
from tests.bench.report import Row
from tests.bench.rounds import Contestant, Turn, cpu_per_gigabyte, middle, rates, take_turns
from tests.bench.setting import Setting
from tests.bench.station import make_station
from tests.bench.taking import Taking, Unexamined

_CP = "cp && sync"
_MHL = "cp && ascmhl && sync"
_BUDGETS = {_CP: 1.0, "rsync -a && sync": None, "rclone copy && sync": 1.5, _MHL: None, "fio": 0.8}
"""What DESIGN.md asks for as a multiple of a peer's rate, if it does."""
_NOTES = {
    _MHL: "xxh64, the default of ascmhl, from the page cache; its c4 (SHA-512) takes a second a GB more",
    "fio": "what the disk reads and writes at once",
}
_PROBING = "as the station does it, ffprobe in the sandbox beside the copying; the budget is about the rows above"
_LAG = "from the last byte read of a file to its entry in the book, waiting for those before it included"


def measure(setting: Setting) -> list[Row]:
    """Measure the rows of offloading."""
    clock = SystemClock()
    station = make_station(setting.folder / "offload", clock)
    parts = build(station.config, clock)
    try:
        sealing = Taking("edged", replace(parts, media=Unexamined(Sandbox(clock))), setting.card)
        probing = Taking("edged probing", parts, setting.card)
        others = _others(setting, setting.folder / "copy")
        turns = take_turns(
            [sealing.contestant(), *others, probing.contestant()],
            rounds=setting.scale.rounds,
            cold=setting.files,
            tell=setting.tell,
        )
    finally:
        parts.book.close()
    rows = _rates(turns, setting.total_bytes) + _cpu_times(turns, setting.total_bytes)
    return rows + _lags("last byte to sealed", sealing, note=_LAG) + _lags("last byte to sealed, probed", probing)


def _others(setting: Setting, target: Path) -> list[Contestant]:
    card = setting.card

    def remove(_: int) -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.with_suffix(".fio").unlink(missing_ok=True)

    found = [Contestant(name=_CP, run=lambda _: peers.cp(card, target), clean=remove)]
    if rsync := peers.find(setting, "rsync", "offload beside rsync"):
        run = peers.runner(peers.rsync, rsync, card, target)
        found.append(Contestant(name="rsync -a && sync", run=run, clean=remove))
    if rclone := peers.find(setting, "rclone", "offload beside rclone"):
        run = peers.runner(peers.rclone_copy, rclone, card, target)
        found.append(Contestant(name="rclone copy && sync", run=run, clean=remove))
    if ascmhl := peers.find(setting, "ascmhl", "offload beside ASC MHL", install="pipx install ascmhl"):
        run = peers.runner(peers.cp_and_mhl, ascmhl, card, target)
        found.append(Contestant(name=_MHL, run=run, clean=remove))
    if fio := peers.find(setting, "fio", "offload beside the bare disk"):

        def fio_copy(_: int) -> float:
            return peers.fio_copy(fio, setting.recordings, target.with_suffix(".fio"))

        found.append(Contestant(name="fio", run=fio_copy, clean=remove))
    return found


def _rates(turns: dict[str, list[Turn]], size_bytes: int) -> list[Row]:
    rate = {name: rates(each, size_bytes) for name, each in turns.items()}
    rows = [
        Row(
            what="offload",
            unit="MB/s",
            edged=rate["edged"],
            peer=peer,
            theirs=rate[peer],
            at_least=budget,
            note=_NOTES.get(peer, ""),
        )
        for peer, budget in _BUDGETS.items()
        if peer in rate
    ]
    probed = Row(
        what="offload, each file probed",
        unit="MB/s",
        edged=rate["edged probing"],
        peer=_CP,
        theirs=rate[_CP],
        note=_PROBING,
    )
    return [*rows, probed]


def _cpu_times(turns: dict[str, list[Turn]], size_bytes: int) -> list[Row]:
    """Give what each takes of the processor; fio's is not that of copying."""
    cpu = {name: cpu_per_gigabyte(each, size_bytes) for name, each in turns.items()}
    rows = [
        Row(what="offload, CPU time", unit="CPU s/GB", edged=cpu["edged"], peer=peer, theirs=cpu[peer])
        for peer in _BUDGETS
        if peer in cpu and peer != "fio"
    ]
    what = "offload, each file probed, CPU time"
    return [*rows, Row(what=what, unit="CPU s/GB", edged=cpu["edged probing"], peer=_CP, theirs=cpu[_CP])]


def _lags(what: str, taking: Taking, *, note: str = "") -> list[Row]:
    """Give the time to the entry of a file in the middle, and of the slowest one, which is what the budget bounds."""
    return [
        Row(what=f"{what}: median file", unit="ms", edged=[middle(each) for each in taking.lags_ms]),
        Row(what=f"{what}: slowest file", unit="ms", edged=list(map(max, taking.lags_ms)), at_most=200, note=note),
    ]
