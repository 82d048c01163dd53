"""`edged run`: starts the parts, gives each arriving recorder a thread, and stops everything in order.

Shutdown order: no new arrivals; every wait ended; each worker at the end of its step; the book closed. A kill at
any instruction instead is safe too (INV-10): what is due is derived from the book at the next start.
"""

import logging
import threading

from edged.bays.source import Docked, Source
from edged.errors import EdgedError
from edged.station.absent import AbsentJob
from edged.station.assembly import build_jobs
from edged.station.docking import Intake
from edged.station.parts import Parts
from edged.station.ports import Refusals, open_source
from edged.station.reporting import build_supervisor
from edged.station.worker import Pauses, Worker, guarded

_log = logging.getLogger(__name__)

_JOIN_SECONDS = 20.0


class Bay(threading.Thread):
    """One recorder in one bay, from arrival to departure."""

    def __init__(
        self,
        parts: Parts,
        source: Source,
        docked: Docked,
        before: threading.Thread | None,
        *,
        found_at_start: bool,
    ) -> None:
        """`before` is the thread of the recorder that was in this bay before, perhaps still ending its docking.

        `found_at_start`: the recorder was there before the station was started.
        """
        super().__init__(name=f"bay {docked.bay}", daemon=True)
        self.gone = threading.Event()
        self._before = before
        self._parts = parts
        self._docked = docked
        self._intake = Intake(parts, source, docked, self.gone, found_at_start=found_at_start)

    def run(self) -> None:
        """Take the recorder in, trying again for as long as it is there."""
        bay, live, pauses = self._docked.bay, self._parts.live, Pauses()
        if self._before is not None:
            self._before.join()
        while not self.gone.is_set():
            room = self._parts.room.returns()
            wait = guarded(self._step, source=f"bay {bay}", live=live, pauses=pauses)
            if not pauses.failures:
                break
            live.set_bay(bay, "waiting", text="It cannot go on just now, and tries again by itself; see the alarms.")
            self._parts.room.wait_for_return(room, self.gone, wait)
        self.gone.wait()
        if not self._parts.stop.is_set():
            # A daemon that stops leaves dockings open, to be continued.
            guarded(self._leave, source=f"bay {bay}", live=live, pauses=pauses)
            live.calm(f"bay {bay}")
        live.clear_bay(bay)

    def _step(self) -> float:
        self._wait_for_room()
        if not self.gone.is_set():
            self._intake.run()
        return 0.0

    def _wait_for_room(self) -> None:
        """Begin no docking while the station does not accept; one that is open goes on as far as it can."""
        parts, bay = self._parts, self._docked.bay
        if parts.room.accepting():
            return
        last = parts.book.facts.last_docking_in(bay)
        if last is None or last.outcome is not None:
            parts.live.set_bay(bay, "waiting", text="The station has no room; it goes on by itself when there is some.")
            parts.room.wait_until_accepting(self.gone)

    def _leave(self) -> float:
        self._intake.leave()
        return 0.0


class Daemon:
    """A running station."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._bays: dict[str, Bay] = {}
        self._leaving: dict[str, Bay] = {}
        self._lock = threading.Lock()
        self._used: set[str] = set()
        """Bays that had a recorder since the start."""
        self._began = parts.clock.monotonic()
        refusals = Refusals(parts, self._has_recorder)
        self._source = open_source(parts, self._arrived, self._departed, refusals)
        self._supervisor = build_supervisor(parts)
        absent = AbsentJob(parts, self._has_recorder)
        jobs = [*build_jobs(parts), refusals, absent, *([] if self._supervisor is None else [self._supervisor])]
        self._workers = [Worker(job, live=parts.live, pulse=parts.pulse, stop=parts.stop) for job in jobs]

    def start(self) -> None:
        """Start every worker and the bays; raises EdgedError if the bays cannot be watched."""
        self._check_tools()
        self._source.start()
        for worker in self._workers:
            worker.start()
        _log.info("station %s is running", self._parts.config.station.id)

    def stop(self) -> None:
        """Stop everything; what was under way is taken up at the next start."""
        _log.info("station %s is stopping", self._parts.config.station.id)
        self._parts.stop.set()
        self._source.stop()
        with self._lock:
            bays = list(self._bays.values())
        for bay in bays:
            bay.gone.set()
        self._parts.pulse.beat()
        for thread in [*bays, *self._workers]:
            thread.join(_JOIN_SECONDS)
        self._parts.claims.wait_for_handed_in(_JOIN_SECONDS)
        self._source.close()
        if self._supervisor is not None:
            self._supervisor.close()
        if self._parts.store is not None:
            self._parts.store.close()
        self._parts.book.close()
        _log.info("stopped")

    def check(self) -> str:
        """Say in a few words what the station does; raises EdgedError if a part of it is dead."""
        ended = [worker.name for worker in self._workers if not worker.is_alive()]
        if ended:
            raise EdgedError(f"The worker {ended[0]} has ended.")
        entries = self._parts.book.ledger.size()
        live = self._parts.live
        alarms = ", ".join(alarm.source for alarm in live.alarms())
        return f"{len(live.bays())} recorders docked, {entries} entries in the ledger; alarms: {alarms or 'none'}"

    def _has_recorder(self, bay: str) -> bool:
        with self._lock:
            return bay in self._bays

    def _arrived(self, docked: Docked) -> None:
        with self._lock:
            came = docked.plugged
            bay = Bay(
                self._parts,
                self._source,
                docked,
                self._leaving.pop(docked.bay, None),
                found_at_start=docked.bay not in self._used and (came is None or came.earliest < self._began),
            )
            self._used.add(docked.bay)
            self._bays[docked.bay] = bay
        _log.info("bay %s: something was docked", docked.bay)
        bay.start()

    def _departed(self, docked: Docked) -> None:
        with self._lock:
            bay = self._bays.pop(docked.bay, None)
            if bay is not None:
                self._leaving[docked.bay] = bay
        _log.info("bay %s: the recorder left", docked.bay)
        if bay is not None:
            bay.gone.set()
            self._parts.pulse.beat()

    def _check_tools(self) -> None:
        """Say at the start what will be missing later; nothing of it keeps the station from taking footage in."""
        live = self._parts.live
        try:
            self._parts.media.check(self._parts.stop)
        except EdgedError as error:
            live.alarm("media", f"{error.message}; footage is taken in, but not probed or made watchable", error.hint)
            _log.warning("media: %s %s", error.message, error.hint)
        if self._parts.store is None:
            text = "No central storage is configured: nothing is signed, and no recorder is erased."
            live.alarm("store", text, "Fill in [store] in station.toml.")
            _log.warning("store: %s", text)
