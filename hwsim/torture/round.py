"""One round: a new station, its cards, the plan's acts, healing, rest, checks. Nothing stays running or mounted."""

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edged.clock import SystemClock
from edged.errors import EdgedError, ToolError
from edged.stores.s3 import S3Settings
from hwsim.faults.card_faults import Faults, Rotten, Unreadable
from hwsim.faults.disk import LossyDisk
from hwsim.proxy import Fault, Proxy
from hwsim.torture.clock import SteppedClock
from hwsim.torture.facts import Facts, gather
from hwsim.torture.file_checks import content_of, file_complaints
from hwsim.torture.ledger_checks import ledger_complaints
from hwsim.torture.plan import Act, Deed, Plan
from hwsim.torture.ports import PortRecorders
from hwsim.torture.recorders import FolderRecorders, Recorders
from hwsim.torture.rest import at_rest
from hwsim.torture.station import Places, Station
from hwsim.torture.store import Store
from hwsim.torture.waiting import wait_for

_DISK_BYTES: Final = 256 << 20
_NEXT_SECONDS: Final = 1.5
"""How long an act waits for the entries it is to come after, at most."""
_REST_SECONDS: Final = 180.0
_CUT_SECONDS: Final = 3.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a round came to."""

    plan: Plan
    complaints: tuple[str, ...]
    """What does not hold; none if all is well."""
    entries: int
    seconds: float


def run_round(plan: Plan, folder: Path, store: Store) -> Outcome:
    """Run one round in a folder of its own, which is made; what is wrong comes out as complaints."""
    clock = SystemClock()
    since = clock.monotonic()
    folder.mkdir(parents=True)
    entries = 0
    with ExitStack() as held:
        round_ = Round(plan, folder, store, held)
        try:
            round_.play()
            entries = round_.station.entries()
            found = round_.complaints()
        except EdgedError as error:
            found = (f"INV-10: {error.message}",)
    return Outcome(plan=plan, complaints=found, entries=entries, seconds=clock.monotonic() - since)


def complaints(facts: Facts) -> list[str]:
    """Say what of the invariants does not hold, without asking edged."""
    return [*ledger_complaints(facts), *file_complaints(facts)]


class Round:
    """What a round is played with, for as long as `held` is open."""

    def __init__(self, plan: Plan, folder: Path, store: Store, held: ExitStack) -> None:
        self._plan = plan
        self._store = store
        names = tuple(card.name for card in plan.cards)
        recorders: Recorders = (
            PortRecorders(folder / "recorders", names) if plan.means.kernel else FolderRecorders(folder / "recorders")
        )
        self._recorders = held.enter_context(recorders)
        self._disk = held.enter_context(LossyDisk(folder / "disk", size_bytes=_DISK_BYTES)) if plan.means.disk else None
        self._proxy = held.enter_context(Proxy(("127.0.0.1", store.port)))
        self._clock = SteppedClock(folder / "clock")
        self._bucket = store.new_bucket()
        places = Places(
            folder=folder,
            disk=folder / "station" if self._disk is None else self._disk.root,
        )
        settings = replace(self._settings, endpoint=f"http://127.0.0.1:{self._proxy.port}")
        self.station = Station(places, settings, self._clock, self._recorders.user)
        held.callback(self.station.close)

    @property
    def _settings(self) -> S3Settings:
        return self._store.settings(self._bucket)

    def play(self) -> None:
        """Play the plan to its end; raises EdgedError if the daemon or the hardware does what it must not."""
        for card in self._plan.cards:
            files = {file.path: content_of(card, file) for file in card.files}
            self._recorders.make(card.name, files, card.links, card.faults)
        bays = self._recorders.settings()
        self.station.make(dict(bays) | {"bays": dict(bays["bays"]) | {"wipe": "after-clearance"}})
        self._recorders.begin(self.station.config)
        self.station.give()
        self.station.start()
        self.station.answer()
        for act in self._plan.acts:
            self._await_moment(act)
            _DOES[act.deed](self, act)
        self._heal()
        rested = wait_for(self._rests, _REST_SECONDS, pause_seconds=0.2)
        if not rested:
            raise ToolError(f"the station does not come to rest: {self._why()}")
        if code := self.station.stop():
            raise ToolError(f"the daemon ended with exit code {code}: {self.station.last_words()}")

    def facts(self) -> Facts:
        """Read all there is, at a station at rest whose daemon was stopped."""
        return gather(
            self._plan,
            state=self.station.state,
            vault=self.station.vault,
            cards=self._recorders.cards(),
            client=self._store.client(),
            bucket=self._bucket,
        )

    def complaints(self) -> tuple[str, ...]:
        """Check everything, at a station at rest whose daemon was stopped."""
        found = complaints(self.facts())
        code, said = self.station.check()
        if code:
            found.append(f"edged check --deep ends with {code}: {said}")
        return tuple(found)

    # ------------------------------------------------------------------------------------------ moments

    def _await_moment(self, act: Act) -> None:
        """Wait until the ledger has grown as much as the act says, or does not grow that far in time."""
        due = self.station.entries() + act.entries
        wait_for(lambda: self.station.entries() >= due, _NEXT_SECONDS if act.entries else 0.0, pause_seconds=0.02)

    def _rests(self) -> bool:
        if self.station.ended():
            self.station.answer()
        docked = {card.name for card in self._plan.cards}
        return at_rest(self.station.answer(), self.station.state, docked)

    def _why(self) -> str:
        status = self.station.answer()
        bays = [f"{bay['bay']} {bay['phase']}: {bay['text']}" for bay in status["bays"]]
        alarms = [f"{alarm['source']}: {alarm['text']}" for alarm in status["alarms"]]
        ledger: dict[str, Any] = status["ledger"]
        return "; ".join([f"{ledger['published']} of {ledger['size']} entries published", *bays, *alarms])

    def _heal(self) -> None:
        """End all misfortunes but those of cards that lie for good, and dock what is not docked."""
        self._clock.step(0)
        self._store.start()
        self._proxy.delay(0)
        self._proxy.script()
        # A connection that stalls would do so for a minute.
        self._proxy.down()
        self._proxy.up()
        self._free()
        for card in self._plan.cards:
            lasting = [
                each for each in card.faults.faults if isinstance(each, Rotten | Unreadable) and each.path in card.lies
            ]
            self._recorders.heal(card.name, Faults(faults=tuple(lasting)))
            self._dock(card.name)

    # --------------------------------------------------------------------------------------------- acts

    def _dock(self, card: str) -> None:
        if not self._recorders.is_docked(card):
            self._recorders.dock(card)

    def _free(self) -> None:
        (self.station.disk / "ballast").unlink(missing_ok=True)

    def do_dock(self, act: Act) -> None:
        """Put a card into its bay."""
        self._dock(act.card)

    def do_yank(self, act: Act) -> None:
        """Pull a card out of its bay, busy or not, and put it in again a moment later."""
        if self._recorders.is_docked(act.card):
            self._recorders.pull(act.card)
            threading.Event().wait(act.seconds)
            self._dock(act.card)

    def do_kill(self, act: Act) -> None:
        """Kill the daemon as -9 does, and start it."""
        del act
        self.station.kill()
        self.station.start()

    def do_stop(self, act: Act) -> None:
        """Stop the daemon in order, and start it."""
        del act
        self.station.answer()
        if code := self.station.stop():
            raise ToolError(f"the daemon ended with exit code {code}: {self.station.last_words()}")
        self.station.start()

    def do_power_cut(self, act: Act) -> None:
        """Take the power away in the middle of writing, and start the machine again."""
        disk = self._disk
        if disk is None:
            raise ToolError("this plan takes a disk of its own")
        disk.cut(after=act.count)
        wait_for(lambda: not disk.has_power, _CUT_SECONDS)
        disk.cut()
        self.station.kill()
        disk.restart(act.way, self._plan.seed)
        self._free()
        self.station.start()

    def do_store_down(self, act: Act) -> None:
        """Have nobody reach the store for a while."""
        self._proxy.down()
        threading.Event().wait(act.seconds)
        self._proxy.up()

    def do_store_slow(self, act: Act) -> None:
        """Delay all that goes to and from the store, until all heals."""
        self._proxy.delay(act.seconds / 30)

    def do_store_cut(self, act: Act) -> None:
        """Reset, cut and stall connections to the store at bytes to come."""
        self._proxy.script(
            Fault(after_bytes=act.count, how="reset"),
            Fault(after_bytes=act.count // 3, how="close"),
            Fault(after_bytes=act.count // 2, how="reset"),
        )

    def do_store_kill(self, act: Act) -> None:
        """Kill the server of the store, and start it a moment later."""
        self._store.kill()
        threading.Event().wait(act.seconds)
        self._store.start()

    def do_fill(self, act: Act) -> None:
        """Fill the station's disk but for so many bytes; it is freed when all heals, or the power is cut."""
        with suppress(OSError), (self.station.disk / "ballast").open("wb") as ballast:
            room = os.statvfs(self.station.disk)
            os.posix_fallocate(ballast.fileno(), 0, max(1, room.f_bavail * room.f_frsize - act.count))

    def do_clock(self, act: Act) -> None:
        """Step the station's clock; it is right again when all heals."""
        self._clock.step(act.seconds)

    def do_mounter_kill(self, act: Act) -> None:
        """Kill what mounts cards as -9 does, and start it."""
        del act
        self._recorders.kill_mounter()


_DOES: Final[dict[Deed, Callable[[Round, Act], None]]] = {
    Deed.DOCK: Round.do_dock,
    Deed.YANK: Round.do_yank,
    Deed.KILL: Round.do_kill,
    Deed.STOP: Round.do_stop,
    Deed.POWER_CUT: Round.do_power_cut,
    Deed.STORE_DOWN: Round.do_store_down,
    Deed.STORE_SLOW: Round.do_store_slow,
    Deed.STORE_CUT: Round.do_store_cut,
    Deed.STORE_KILL: Round.do_store_kill,
    Deed.FILL: Round.do_fill,
    Deed.CLOCK: Round.do_clock,
    Deed.MOUNTER_KILL: Round.do_mounter_kill,
}
