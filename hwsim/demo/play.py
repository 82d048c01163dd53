"""The demo from beginning to end.

Everything started here is stopped on the way out, also after a failure or ctrl-C; `summary.json` is written
last, and only if all of it happened.
"""

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from edged.clock import SystemClock
from hwsim.cards import files_on, write_card
from hwsim.demo import scene
from hwsim.demo.account import Account, FileKey
from hwsim.demo.acts import Acts
from hwsim.demo.proofs import expect
from hwsim.demo.scene import Recorder
from hwsim.demo.screen import Screen
from hwsim.demo.stage import Stage, prepare
from hwsim.demo.station import Station
from hwsim.demo.store import DemoStore
from hwsim.script import plan
from hwsim.video import find_camera

_STATION = "demo-station"
_DOMAIN = "evidence.example"


def play(folder: Path, console: Console) -> None:
    """Play the demo in `folder`; raises an EdgedError at the first thing that does not happen."""
    clock = SystemClock()
    screen = Screen(console, clock)
    stage = prepare(folder)
    recorders = scene.recorders(clock.now())
    _film(stage, recorders, screen)
    with ExitStack() as running:
        store = running.enter_context(DemoStore(stage.store))
        screen.step(f"central storage: SeaweedFS at {store.endpoint}, bucket {store.bucket} with Object Lock")
        station = running.enter_context(Station(stage))
        _set_up(stage, station, store, recorders)
        screen.step("the station is made (`edged init`), and its daemon started (`edged run`)")
        running.enter_context(screen)
        acts = Acts(stage=stage, station=station, store=store, recorders=recorders, screen=screen, clock=clock)
        acts.empty_the_recorders()
        ledger = acts.read_the_ledger()
        files = acts.check_the_evidence(ledger)
        verdict = acts.check_the_bundle(ledger)
        station.check()
        screen.step("`edged check` finds every invariant kept")
        code = station.stop()
        expect(code == 0, f"the daemon ended with exit code {code}")
    summary = _summary(recorders, files, ledger, verdict)
    stage.summary.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    screen.step("everything is stopped; all of it happened")
    _say_where(stage, console)


def _film(stage: Stage, recorders: tuple[Recorder, ...], screen: Screen) -> None:
    """Make the cards, and keep a copy of each for the comparison afterwards."""
    camera = find_camera()
    for recorder in recorders:
        card = stage.recorders / recorder.name
        write_card(plan(recorder.order), card, camera)
        shutil.copytree(card, stage.originals / recorder.name)
        files = files_on(card)
        size = sum((card / os.fsdecode(path)).stat().st_size for path in files)
        text = f"{len(files)} files, {size / 1e6:.1f} MB, {recorder.order.segments} intact video segments"
        screen.step(f"recorder {recorder.name} (layout {recorder.profile}) comes from duty: {text}")


def _set_up(stage: Stage, station: Station, store: DemoStore, recorders: tuple[Recorder, ...]) -> None:
    station.init(_STATION, _DOMAIN)
    credentials = stage.state / "keys" / "s3.toml"
    store.write_credentials(credentials)
    values: dict[str, str | float] = {
        "station.zone": scene.ZONE,
        "bays.folder": str(stage.bays),
        "bays.wipe": "after-clearance",
        "cases.folder": str(stage.feed),
        "store.kind": "s3",
        "store.id": "central",
        "store.endpoint": store.endpoint,
        "store.bucket": store.bucket,
        "store.credentials": str(credentials),
    }
    station.configure(values, scene.register(recorders))
    station.start()


def _summary(
    recorders: tuple[Recorder, ...], files: Mapping[FileKey, Path], ledger: Account, verdict: str
) -> dict[str, object]:
    """Count by distinct recorder and path: the files from the cards' copies, the rest from the ledger."""
    return {
        "recorders": [recorder.name for recorder in recorders],
        "files_found": len(files),
        "sealed": len(ledger.sealed),
        "sighted": len(ledger.sighted),
        "quarantined": len(ledger.quarantined),
        "replicated": len(ledger.replicated),
        "wiped": len(ledger.wiped),
        "bundle": "bundle",
        "verdict": verdict,
    }


def _say_where(stage: Stage, console: Console) -> None:
    lines = {
        "bundle/": "the evidence of the case; its VERIFY.md says how anybody checks it",
        "tampered/": "the same with one bit changed",
        "trust/root.pem": "the station's root certificate: edged verify bundle --trust trust/root.pem",
        "station/": "the station's state; the originals are in station/vault",
        "originals/": "what each card held before, for comparison",
        "recorders/": "the wiped cards",
        "summary.json": "the numbers",
    }
    console.print(f"\nIn {stage.folder}:", highlight=False, soft_wrap=True)
    for name, what in lines.items():
        console.print(f"  {name:<15} {what}", highlight=False, soft_wrap=True)
