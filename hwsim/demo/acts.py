"""The acts of the demo between a running station and the last verdict; each raises if its promise is not kept."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from edged.clock import Clock
from edged.errors import UnavailableError
from hwsim.broker import Mosquitto
from hwsim.demo import outside, proofs, scene, telling, verdicts
from hwsim.demo.account import Account, FileKey, account
from hwsim.demo.proofs import expect
from hwsim.demo.scene import Recorder
from hwsim.demo.screen import Bay, Screen, Status, status_of
from hwsim.demo.slots import Slots
from hwsim.demo.stage import Stage
from hwsim.demo.station import Station
from hwsim.demo.store import DemoStore
from hwsim.observer import Message, Observer
from hwsim.script import clock_error

_PATIENCE_SECONDS = 120.0
_LOOK_SECONDS = 0.25
_REST_SECONDS = 4.0
"""How long the ledger has to rest before the station counts as done."""

_MIDDLE = 8
"""The pulled recorder has more files than this; while one is read the two before it may still be being sealed."""
_OUT_SECONDS = 2.0
"""For how long the pulled recorder stays out once that was seen."""


class Acts:
    """The acts, to be called in the order in which they stand."""

    def __init__(  # noqa: PLR0913 - the parts of the stage
        self,
        *,
        stage: Stage,
        station: Station,
        store: DemoStore,
        broker: Mosquitto,
        observer: Observer,
        slots: Slots,
        recorders: tuple[Recorder, ...],
        screen: Screen,
        clock: Clock,
    ) -> None:
        self._stage = stage
        self._station = station
        self._store = store
        self._broker = broker
        self._observer = observer
        self._slots = slots
        self._recorders = recorders
        self._screen = screen
        self._clock = clock
        self._never = threading.Event()

    def empty_the_recorders(self) -> None:
        """Dock all recorders, pull one in the middle, and wait until all are cleared, wiped and taken out."""
        self._wait("the daemon answers", lambda _: True)
        self._screen.step("the daemon answers: recorders can be docked")
        for recorder in self._recorders:
            if recorder.name != scene.PULLED:
                self._slots.dock(recorder.name)
                self._screen.step(f"{recorder.name} is docked")
        self._pull_one()
        self._drop_the_case_file()
        names = {self._slots.bay(recorder.name) for recorder in self._recorders}
        self._wait("every recorder is wiped", lambda bays: {b.name for b in bays if b.phase == "done"} == names)
        told = self._observer.wait_for(lambda heard: telling.removable(heard) == names, self._clock, _PATIENCE_SECONDS)
        expect(told is not None, "the broker was not told that the recorders can be taken out")
        for recorder in self._recorders:
            self._slots.pull(recorder.name)
        self._wait("the bays are free", lambda bays: not bays)
        self._screen.step("all recorders are cleared and wiped, and lie on the shelf again")

    def read_the_ledger(self) -> Account:
        """Wait until the station has nothing left to do, and read what its ledger says happened."""
        self._screen.step("the station makes posters and proxies, and publishes its ledger")
        ledger = self._settled()
        outcomes = Counter(ledger.outcomes)
        expect(outcomes[scene.PULLED, "interrupted"] == 1, f"{scene.PULLED} was not interrupted once: {outcomes}")
        for recorder in self._recorders:
            expect(outcomes[recorder.name, "cleared"] == 1, f"{recorder.name} was not cleared once: {outcomes}")
        early = ledger.sealed_in(ledger.interrupted[0])
        found = ledger.dockings[ledger.interrupted[0]]["files"]
        expect(0 < early < found, f"{early} of {found} files were sealed when {scene.PULLED} was pulled out")
        self._screen.note(f"{early} of {found} files of {scene.PULLED} were sealed when it was pulled out")
        self._check_clocks(ledger)
        self._screen.step(f"what was sealed is bounded in time by {', '.join(sorted(ledger.anchored_by))}")
        return ledger

    def _check_clocks(self, ledger: Account) -> None:
        """See that what the station says of the recorders' clocks is true, where they could be compared."""
        errors = {recorder.name: clock_error(recorder.order) for recorder in self._recorders}
        for docking in ledger.dockings.values():
            name, off, blur = docking["recorder"]["id"], docking["clock_offset_ms"], docking["clock_uncertainty_ms"]
            if off is None:
                continue
            truly = errors[name] / timedelta(milliseconds=1)
            expect(abs(off - truly) <= blur, f"the clock of {name} was {truly:.0f} ms off, not {off} ± {blur}")
            found = f"{off / 1000:+.1f} s off the station's, to within {blur / 1000:.1f} s"
            self._screen.step(f"the clock of {name} was {found}: it logs when it is connected")

    def _settled(self) -> Account:
        """Wait until the ledger is published as far as it goes, grows no more, and all footage is watchable."""
        end = self._clock.monotonic() + _PATIENCE_SECONDS
        ledger, grown, size = None, self._clock.monotonic(), -1
        while self._clock.monotonic() < end:
            status = self._look()
            if status is None or (status.entries, status.published) != (size, size):
                size, grown = -1 if status is None else status.entries, self._clock.monotonic()
            elif self._clock.monotonic() - grown > _REST_SECONDS:
                ledger = account(self._station.ledger())
                if not ledger.unwatchable and len(ledger.anchored_by) == outside.COUNT:
                    return ledger
            self._never.wait(_LOOK_SECONDS)
        left = "the ledger still grows"
        if ledger is not None:
            left = f"not watchable: {sorted(ledger.unwatchable)}; anchored by: {sorted(ledger.anchored_by)}"
        raise proofs.ExpectationError(f"after {_PATIENCE_SECONDS:.0f} s the station is not done: {left}")

    def check_the_evidence(self, ledger: Account) -> Mapping[FileKey, Path]:
        """Compare what the cards held with ledger, vault, store and cards; gives the original files."""
        files = proofs.originals(self._stage.originals)
        proofs.check_account(files, ledger)
        proofs.check_variety(ledger)
        self._screen.step(f"the ledger accounts for each of the {len(files)} files that the cards held")
        size = proofs.check_vault(files, ledger, self._stage.state / "vault")
        self._screen.step(f"every original lies in the vault, byte for byte ({size / 1e6:.1f} MB compared)")
        count = proofs.check_store(files, ledger, self._store.client(), self._store.bucket, self._clock)
        self._screen.step(f"{count} objects in the store: locked, checksums as predicted, deleting refused")
        cards = proofs.check_cards({each.name: self._slots.files_on(each.name) for each in self._recorders})
        self._screen.step(f"{cards} cards are empty")
        return files

    def check_the_bundle(self, ledger: Account) -> str:
        """Make the bundle of the case, verify it, tamper with a copy; gives the verdict on the untouched one."""
        stage = self._stage
        segments = {segment for segment, case in ledger.cases.items() if case == scene.CASE}
        expect(segments, f"no segment was tied to case {scene.CASE}")
        self._station.bundle(scene.CASE, stage.bundle)
        self._screen.step(f"bundle of case {scene.CASE} made: {len(segments)} segments")
        code, report = self._station.verify(stage.bundle, with_anchors=False)
        verdicts.check_untouched(code, report, segments, time="not-established")
        self._screen.step(f"by the root alone: {report['verdict']}, for `time` only; nobody outside bounds it")
        code, report = self._station.verify(stage.bundle)
        verdicts.check_untouched(code, report, segments)
        verdict: str = report["verdict"]
        self._screen.step(f"with the authority's root and the policy of witnesses brought along: {verdict}")
        held = (stage.bundle / "data" / "trust" / "policy.txt").read_bytes()
        expect(held == stage.policy.read_bytes(), "the bundle holds another policy than the station was given")
        tampering = verdicts.tamper(stage.bundle, stage.tampered)
        code, report = self._station.verify(stage.tampered)
        damage = verdicts.check_tampered(code, report, tampering)
        where = f"chunk {damage['chunk']}, bytes {damage['from_byte']} to {damage['to_byte'] - 1}"
        self._screen.step(f"one bit changed in a copy of {tampering.name}: {report['verdict']}")
        self._screen.note(f"{where}, recorded from {damage['from_time']} to {damage['to_time']}")
        return verdict

    def hear_the_rest(self) -> Sequence[bytes]:
        """Wait until the observer has heard as many events as the ledger has entries; gives the ledger."""
        ledger = [line.encode() for line in self._station.ledger()]

        def is_all(heard: Sequence[Message]) -> bool:
            return len(set(telling.events(heard))) >= len(ledger)

        heard = self._observer.wait_for(is_all, self._clock, _PATIENCE_SECONDS)
        expect(heard is not None, f"not every entry was told within {_PATIENCE_SECONDS:.0f} s: see {self._stage.heard}")
        return ledger

    def check_what_was_heard(self, ledger: Sequence[bytes]) -> int:
        """Compare what the observer heard with the ledger, and tell the story of a docking; gives the events."""
        heard = self._observer.wait_for(telling.is_over, self._clock, _PATIENCE_SECONDS)
        expect(heard is not None, "the broker was not told that the station stops")
        told = telling.check_told(heard or [], ledger)
        telling.check_nothing_left(heard or [])
        again = f", {told.repeated} of them twice" if told.repeated else ""
        self._screen.step(f"the broker was told each of the {told.events} entries of the ledger, in order{again}")
        self._screen.note(
            f"what `mosquitto_sub -t 'edged/#' -v` printed of {scene.PULLED}'s second docking, shortened:"
        )
        for line in telling.story(heard or [], scene.PULLED):
            self._screen.note(line)
        return told.events

    def _pull_one(self) -> None:
        """Dock a recorder, pull it in the middle of being read, and dock it again; the broker is away meanwhile."""
        bay = self._slots.bay(scene.PULLED)
        begun: set[str] = set()

        def is_in_the_middle(name: str) -> bool:
            begun.add(name)
            return len(begun) >= _MIDDLE

        with self._slots.dock_and_watch(scene.PULLED) as watch:
            self._screen.step(f"{scene.PULLED} is docked")
            reading = None
            end = self._clock.monotonic() + _PATIENCE_SECONDS
            while reading is None and self._clock.monotonic() < end:
                self._look()
                reading = watch.wait(is_in_the_middle, self._clock, 0.02)
            expect(reading, f"the station did not begin to read {_MIDDLE} files within {_PATIENCE_SECONDS:.0f} s")
            self._slots.pull(scene.PULLED)
        self._screen.step(f"{scene.PULLED} is pulled out while {reading!a} is being read")
        self._broker.stop()
        size = self._size()
        self._screen.step("the MQTT broker is stopped; all else goes on")
        self._wait("the station sees it gone", lambda bays: all(seen.name != bay for seen in bays))
        missed = self._size() - size
        expect(missed > 0, "nothing happened while the broker was away")
        self._broker.start()
        self._screen.step(f"the MQTT broker is started again; {missed} entries were made meanwhile")
        self._never.wait(_OUT_SECONDS)
        expect(self._slots.files_on(scene.PULLED), f"{scene.PULLED} was erased though it was pulled out")
        self._slots.dock(scene.PULLED)
        self._screen.step(f"{scene.PULLED} is docked again")

    def _drop_the_case_file(self) -> None:
        """Put the case file into the feed folder in one piece, as a rename does."""
        ready = self._stage.folder / "cases.csv.part"
        ready.write_text(scene.case_feed(self._recorders, self._clock.now()), "utf-8")
        ready.rename(self._stage.feed / "cases.csv")
        self._screen.step(f"case file dropped: it ties two officers' footage to case {scene.CASE}")

    def _wait(self, what: str, until: Callable[[Sequence[Bay]], bool]) -> None:
        """Look at the station and show it until something is so; raises ExpectationError when it takes too long."""
        end = self._clock.monotonic() + _PATIENCE_SECONDS
        status: Status | None = None
        while self._clock.monotonic() < end:
            status = self._look()
            if status is not None and until(status.bays):
                return
            self._never.wait(_LOOK_SECONDS)
        raise proofs.ExpectationError(f"after {_PATIENCE_SECONDS:.0f} s it is not so that {what}: {status}")

    def _size(self) -> int:
        """Give the number of the ledger's entries."""
        return status_of(self._station.status()).entries

    def _look(self) -> Status | None:
        """Show what the station is doing now; gives None while the daemon does not answer yet."""
        self._station.check_alive()
        try:
            status = status_of(self._station.status())
        except UnavailableError:
            return None
        self._screen.show(status)
        return status
