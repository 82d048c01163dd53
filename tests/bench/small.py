"""Ten thousand small files: photographs and logs of 2 to 64 KiB on one card, where every step a file costs counts."""

import os
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

from edged.clock import SystemClock
from edged.media.sandbox import Sandbox
from edged.station.assembly import build
from tests.bench import peers
from tests.bench.report import Row
from tests.bench.rounds import Contestant, Turn, middle, take_turns
from tests.bench.setting import Setting, let_rest
from tests.bench.station import make_station
from tests.bench.taking import Taking, Unexamined

_LEAST_BYTES: Final = 2 << 10
_MOST_BYTES: Final = 64 << 10
_A_FOLDER: Final = 1000
_SEED: Final = 20_261_121
_CP: Final = "cp && sync"
_KINDS: Final = ("JPG", "LOG")
"""In turn: what a profile takes for media, and what it does not."""


def measure(setting: Setting) -> list[Row]:
    """Measure the rows of small files."""
    folder, clock, scale = setting.folder / "small", SystemClock(), setting.scale
    setting.tell(f"Making {scale.small_files} small files")
    files = _make_card(folder / "card", scale.small_files)
    some = _make_card(folder / "some", scale.small_probed)
    parts = build(make_station(folder / "station", clock).config, clock)
    try:
        sealing = Taking("edged", replace(parts, media=Unexamined(Sandbox(clock))), folder / "card")
        probing = Taking("edged probing", parts, folder / "some")
        contestants = [sealing.contestant(), *_others(setting, folder / "card", folder / "copy")]
        turns = take_turns(contestants, rounds=scale.rounds, cold=files, tell=setting.tell)
        probed = take_turns([probing.contestant()], rounds=scale.rounds, cold=some, tell=setting.tell)
    finally:
        parts.book.close()
        shutil.rmtree(folder)
    rate = {name: _rates(each, len(files)) for name, each in turns.items()}
    what = f"{len(files)} small files"
    note = f"of {len(some)} files, half of them photographs and half logs; ffprobe in the sandbox beside the copying"
    return [
        *(
            Row(what=what, unit="files/s", edged=rate["edged"], peer=peer, theirs=theirs)
            for peer, theirs in rate.items()
            if peer != "edged"
        ),
        Row(
            what="small files, each probed",
            unit="files/s",
            edged=_rates(probed["edged probing"], len(some)),
            peer=_CP,
            theirs=rate[_CP],
            note=note,
        ),
        Row(
            what="small files, last byte to sealed: median file", unit="ms", edged=[middle(e) for e in sealing.lags_ms]
        ),
    ]


def _others(setting: Setting, card: Path, target: Path) -> list[Contestant]:
    def remove(_: int) -> None:
        shutil.rmtree(target, ignore_errors=True)

    found = [Contestant(name=_CP, run=lambda _: peers.cp(card, target), clean=remove)]
    for name, copy in (("rsync -a", peers.rsync), ("rclone copy", peers.rclone_copy)):
        tool = name.split()[0]
        if path := peers.find(setting, tool, f"small files beside {tool}"):
            found.append(Contestant(name=f"{name} && sync", run=peers.runner(copy, path, card, target), clean=remove))
    return found


def _make_card(card: Path, number: int) -> list[Path]:
    chosen, files = random.Random(_SEED), []
    for each in range(number):
        folder = card / "DCIM" / f"{100 + each // _A_FOLDER}MEDIA"
        folder.mkdir(parents=True, exist_ok=True)
        minute, second = divmod(each % _A_FOLDER, 60)
        path = folder / f"IMG_20261121_08{minute:02}{second:02}_{each % _A_FOLDER:04}.{_KINDS[each % len(_KINDS)]}"
        path.write_bytes(os.urandom(chosen.randint(_LEAST_BYTES, _MOST_BYTES)))
        let_rest(path)
        files.append(path)
    return files


def _rates(turns: list[Turn], files: int) -> list[float]:
    return [files / turn.seconds for turn in turns]
