"""The demo from beginning to end.

Everything started here is stopped on the way out, also after a failure or ctrl-C; `summary.json` is written
last, and only if all of it happened.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from edged.clock import SystemClock
from hwsim.broker import Mosquitto
from hwsim.cards import files_on, write_card
from hwsim.demo import scene
from hwsim.demo.account import Account, FileKey
from hwsim.demo.acts import Acts
from hwsim.demo.hardware import KernelSlots
from hwsim.demo.outside import Outside
from hwsim.demo.proofs import expect
from hwsim.demo.scene import Recorder
from hwsim.demo.screen import Screen
from hwsim.demo.slots import FolderSlots, Slots
from hwsim.demo.stage import Stage, prepare
from hwsim.demo.station import Station
from hwsim.demo.store import DemoStore
from hwsim.kernel.images import can_hold
from hwsim.observer import Observer
from hwsim.script import clock_error, plan
from hwsim.video import find_camera

_STATION = "demo-station"
_DOMAIN = "evidence.example"


def play(folder: Path, console: Console, *, in_kernel: bool = False) -> None:
    """Play the demo in `folder`, `in_kernel` with recorders as USB disks of this machine.

    Raises an EdgedError at the first thing that does not happen.
    """
    clock = SystemClock()
    screen = Screen(console, clock)
    stage = prepare(folder)
    recorders = scene.recorders(clock.now())
    _film(stage, recorders, screen, may_be_called=can_hold if in_kernel else lambda _: True)
    with ExitStack() as running:
        store = running.enter_context(DemoStore(stage.store))
        screen.step(f"central storage: SeaweedFS at {store.endpoint}, bucket {store.bucket} with Object Lock")
        broker = running.enter_context(Mosquitto(stage.broker))
        observer = running.enter_context(Observer(broker, stage.heard))
        screen.step(f"supervision: Mosquitto at {broker.host}:{broker.port}, and `mosquitto_sub` listening there")
        outside = running.enter_context(Outside(stage))
        hardware = None
        if in_kernel:
            hardware = running.enter_context(KernelSlots(stage, [recorder.name for recorder in recorders]))
        slots: Slots = hardware or FolderSlots(
            stage, clock, {recorder.name: clock_error(recorder.order) for recorder in recorders}
        )
        station = running.enter_context(Station(stage, None if hardware is None else hardware.user))
        _set_up(stage, station, {**slots.settings(), **_settings(stage, store, broker)}, recorders)
        store.write_credentials(stage.state / "keys" / "s3.toml")
        outside.witness(station.key())
        station.add(outside.tables())
        screen.step(f"the station is made (`edged init`); its bays are {slots.kind}")
        screen.step("a time-stamping authority (`openssl ts`) and two witnesses (`edged witness run`) know its ledger")
        if hardware is not None:
            hardware.configure()
            hardware.start(station.udev_rules())
            screen.step("udev knows the bays (`edged bays --udev-rules`); the mounter runs as root (`edged mountd`)")
        station.start()
        screen.step("its daemon is started (`edged run`)")
        if hardware is not None:
            expect(set(station.capabilities()) == {"0"}, f"the daemon has capabilities: {station.capabilities()}")
            screen.note(f"it runs as the user {hardware.user.name} and has no capability")
        running.enter_context(screen)
        acts = Acts(
            stage=stage,
            station=station,
            store=store,
            broker=broker,
            observer=observer,
            slots=slots,
            recorders=recorders,
            screen=screen,
            clock=clock,
        )
        acts.empty_the_recorders()
        ledger = acts.read_the_ledger()
        files = acts.check_the_evidence(ledger)
        verdict = acts.check_the_bundle(ledger)
        station.check()
        screen.step("`edged check` finds every invariant kept")
        entries = acts.hear_the_rest()
        code = station.stop()
        expect(code == 0, f"the daemon ended with exit code {code}")
        told = acts.check_what_was_heard(entries)
    summary = _summary(recorders, files, ledger, told, verdict)
    stage.summary.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    screen.step("everything is stopped; all of it happened")
    _say_where(stage, console)


def _film(
    stage: Stage, recorders: tuple[Recorder, ...], screen: Screen, may_be_called: Callable[[bytes], bool]
) -> None:
    """Make the cards, with files of names that their file system allows, and keep a copy of each to compare."""
    camera = find_camera()
    for recorder in recorders:
        card = stage.recorders / recorder.name
        write_card(plan(recorder.order), card, camera)
        for path in files_on(card):
            if not may_be_called(path.rpartition(b"/")[2]):
                (card / os.fsdecode(path)).unlink()
        shutil.copytree(card, stage.originals / recorder.name)
        files = files_on(card)
        size = sum((card / os.fsdecode(path)).stat().st_size for path in files)
        text = f"{len(files)} files, {size / 1e6:.1f} MB, {recorder.order.segments} intact video segments"
        screen.step(f"recorder {recorder.name} (layout {recorder.profile}) comes from duty: {text}")


def _set_up(
    stage: Stage, station: Station, settings: Mapping[str, str | float], recorders: tuple[Recorder, ...]
) -> None:
    """Make the station and write its configuration."""
    station.init(_STATION, _DOMAIN)
    own: dict[str, str | float] = {
        "station.zone": scene.ZONE,
        "bays.wipe": "after-clearance",
        "cases.folder": str(stage.feed),
    }
    station.configure({**own, **settings}, scene.register(recorders))


def _settings(stage: Stage, store: DemoStore, broker: Mosquitto) -> Mapping[str, str | float]:
    """Give the keys by which the station finds storage and broker."""
    return {
        "store.kind": "s3",
        "store.id": "central",
        "store.endpoint": store.endpoint,
        "store.bucket": store.bucket,
        "store.credentials": str(stage.state / "keys" / "s3.toml"),
        "anchors.policy": str(stage.policy),
        "supervision.host": broker.host,
        "supervision.port": broker.port,
        "supervision.tls": False,
    }


def _summary(
    recorders: tuple[Recorder, ...], files: Mapping[FileKey, Path], ledger: Account, told: int, verdict: str
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
        "events_told": told,
        "bundle": "bundle",
        "verdict": verdict,
    }


def _say_where(stage: Stage, console: Console) -> None:
    lines = {
        "bundle/": "the evidence of the case; its VERIFY.md says how anybody checks it",
        "tampered/": "the same with one bit changed",
        "trust/": "what a verifier brings along: root.pem of the station, tsa.pem of the authority, policy.txt",
        "station/": "the station's state; the originals are in station/vault",
        "originals/": "what each card held before, for comparison",
        "recorders/": "the wiped cards",
        "mqtt.log": "all that the broker was told, as mosquitto_sub printed it",
        "summary.json": "the numbers",
    }
    console.print(f"\nIn {stage.folder}:", highlight=False, soft_wrap=True)
    for name, what in lines.items():
        console.print(f"  {name:<15} {what}", highlight=False, soft_wrap=True)
