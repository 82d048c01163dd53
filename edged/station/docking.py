"""One docking, from the arrival of a recorder to its release: the way of its files.

    recognise ─▶ inventory ─▶ `docking` ─▶ for each file: copy, seal ─▶ wait for the proofs ─▶ `clearance`
    ─▶ erase each cleared file, `wipe` ─▶ `undocking`

Important files come first, then the oldest. Everything else that happens to a sealed segment (re-read, upload,
classification, derivatives) is done by the jobs while this goes on, and never waits for it or makes it wait. A
docking that was cut short by a crash is continued if the same card is found with the same files; otherwise it is
ended as interrupted, and what was cleared but not confirmed as erased is looked up.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC

from pydantic import JsonValue

from edged.bays import claims, inventory, wipe
from edged.bays.recognise import Recognised, recognise
from edged.bays.register import Register
from edged.bays.source import Docked, Source
from edged.book.facts import DockingRow
from edged.clock import random_hex
from edged.errors import FullError, LedgerError, RefusedRecorderError, StoppedError
from edged.evidence import bodies
from edged.evidence.canonical import decode
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import DockingId, OfficerId, RecorderId, to_id
from edged.station.live import Phase
from edged.station.parts import Parts
from edged.station.releasing import Release, end_interrupted, settle_wipes
from edged.station.sealing import Sealer
from edged.station.vendor import Ran

_log = logging.getLogger(__name__)

_TURN_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class HandedIn:
    """What a person says of a card or a file that was handed in."""

    recognised: Recognised
    reason: str
    actor: str
    only: bytes | None
    """Raw name of the one file that is meant; None for all there is."""


class Intake:
    """Takes one docked recorder through its docking.

    `run` may be called again after it failed: it takes up what the book says is done.
    """

    def __init__(
        self,
        parts: Parts,
        source: Source | None,
        docked: Docked,
        gone: threading.Event,
        handed: HandedIn | None = None,
    ) -> None:
        """`gone` is set when the recorder leaves, or the station stops; what has no source is never erased."""
        self._handed = handed
        self._parts = parts
        self._source = source
        self._docked = docked
        self._gone = gone
        self._recorder: RecorderId | None = None

    def leave(self) -> None:
        """End what is still open after the recorder left, and let go of it."""
        parts, bay = self._parts, self._docked.bay
        if self._recorder is None:
            return
        last = parts.book.facts.last_docking_in(bay)
        if last is not None and last.outcome is None and last.recorder == self._recorder:
            settle_wipes(parts, last, None)
            end_interrupted(parts, last)
        parts.claims.give_back(self._recorder, bay)

    def run(self) -> None:
        """Run the docking to its end; a refusal is reported and is an end too.

        Raises EdgedError for what may pass (full vault, a card that cannot be read now), StoppedError.
        """
        parts = self._parts
        self._show("listing", text="Reading what is on the recorder.")
        try:
            found = self._list()
            recognised = self._recognise(found) if self._handed is None else self._handed.recognised
            parts.claims.take(recognised.recorder.id, self._docked.bay)
        except RefusedRecorderError as error:
            if self._handed is not None:
                raise
            self._refuse(error)
            return
        self._recorder = recognised.recorder.id
        self._dock(recognised, found)

    def _list(self) -> inventory.Inventory:
        if self._handed is None or self._handed.only is None:
            return inventory.take_inventory(self._docked.root, self._gone)
        return inventory.list_one(self._docked.root, self._handed.only)

    def _recognise(self, found: inventory.Inventory) -> Recognised:
        """Recognise the recorder by its card; raises RefusedRecorderError, RecorderError."""
        register = self._parts.register()
        try:
            return recognise(self._docked, found.items, self._parts.profiles, register)
        except RefusedRecorderError:
            known = None if found.files else self._emptied(register)
            if known is None:
                raise
            return known

    def _emptied(self, register: Register) -> Recognised | None:
        """Recognise the card that was erased to its last file before the station was started again.

        It says nothing any more, but the newest docking in this bay had all of its files cleared, did not end with the
        recorder leaving, and its inventory names this very file system.
        """
        book, recorders = self._parts.book, {recorder.id: recorder for recorder in register.recorders}
        docking = book.facts.last_docking_in(self._docked.bay)
        if docking is not None and docking.outcome in {None, "cleared"}:
            listed = book.registers.document(docking.inventory_sha256)
            cleared = book.facts.clearances(docking.docking)
            if (
                docking.recorder in recorders
                and _part(listed, "filesystem") == asdict(self._filesystem)
                and all(item["path"] in cleared for item in _files(listed))
            ):
                recorder = recorders[docking.recorder]
                profile = next(each for each in self._parts.profiles if each.id == recorder.profile)
                return Recognised(recorder=recorder, profile=profile, officer=docking.officer, zone=None)
        return None

    @property
    def _filesystem(self) -> inventory.Filesystem:
        """The card's file system; one without a number of its own is told from others by its top folder."""
        root, known = self._docked.root, self._docked.filesystem
        return replace(known, serial=known.serial or f"{root.device:x}-{root.inode:x}")

    def _dock(self, recognised: Recognised, found: inventory.Inventory) -> None:
        docking = self._continued(recognised, found) or self._begin(recognised, found)
        self._show("waiting", recorder=docking.recorder, officer=docking.officer, docking=docking.docking)
        with self._turn_to_read():
            left = self._take(docking, recognised, found)
        if self._source is None:
            end = bodies.Undocking(docking=docking.docking, outcome="kept", remaining=len(found.files))
            self._parts.book.ledger.append(end)
            return
        release = Release(self._parts, self._source, self._docked, docking, recognised.profile, self._gone)
        end = release.run(unsealed=left)
        self._parts.book.ledger.append(end)
        _log.info("docking %s of %s ends: %s, %d files left", end.docking, docking.recorder, end.outcome, end.remaining)
        if end.outcome == "cleared":
            self._show("done", text="Empty. The recorder can be taken out.")
        else:
            why = release.why_kept(unsealed=left)
            self._show("kept", text=f"The recorder can be taken out. {end.remaining} files were left on it: {why}")

    def _continued(self, recognised: Recognised, found: inventory.Inventory) -> DockingRow | None:
        """Find this recorder's open docking, if its card still holds what it held, less what was erased.

        An open docking that cannot be continued is ended here.
        """
        parts = self._parts
        last = parts.book.facts.last_docking(recognised.recorder.id)
        if last is None or last.outcome is not None:
            return None
        cleared = parts.book.facts.clearances(last.docking)
        expected = {
            (item["path"], item["bytes"], item["modified"])
            for item in _files(parts.book.registers.document(last.inventory_sha256))
            if item["path"] not in cleared or wipe.look_up(self._docked.root, str(item["path"])) != "gone"
        }
        if last.bay == self._docked.bay and expected == {(f.path, f.size_bytes, f.modified) for f in found.files}:
            settle_wipes(parts, last, self._docked)
            _log.info("docking %s of %s is continued", last.docking, last.recorder)
            return last
        settle_wipes(parts, last, self._docked if last.bay == self._docked.bay else None)
        end_interrupted(parts, last)
        return None

    def _begin(self, recognised: Recognised, found: inventory.Inventory) -> DockingRow:
        parts, recorder = self._parts, recognised.recorder
        for other in parts.book.facts.open_dockings():
            # Another recorder was here when the station stopped, and left without anybody seeing it.
            if other.bay == self._docked.bay:
                settle_wipes(parts, other, None)
                end_interrupted(parts, other)
        docking = DockingId(f"dk-{parts.clock.now():%Y%m%d}-{random_hex(8)}")
        commands = self._run_commands(recognised)
        document = found.document(docking, self._filesystem)
        body = bodies.Docking(
            docking=docking,
            bay=self._docked.bay,
            recorder=bodies.RecorderInfo(
                id=recorder.id, vendor=recognised.vendor, model=recognised.model, serial=recorder.serial, known=True
            ),
            officer=recognised.officer,
            inventory_sha256=sha256_hex(document),
            files=len(found.files),
            bytes=found.total_bytes,
            clock_offset_ms=None,
            clock_uncertainty_ms=None,
            clock_set=any(ran.purpose == "clock" and ran.outcome == "done" for ran in commands),
            missing=0 if self._handed is not None else self._missing(recorder.id, found),
            **self._further(commands),
        )
        odd = [_odd(docking, item) for item in found.items if item.kind == "other"]
        odd += [_trouble(docking, trouble) for trouble in found.troubles]
        odd += self._unqualified(docking, recognised.officer)
        odd += [_failed(docking, recorder.id, ran) for ran in commands if ran.outcome != "done"]
        actor = "edged" if self._handed is None else self._handed.actor
        parts.book.ledger.append(body, *odd, documents=[document], actor=actor)
        _log.info("docking %s of %s begins: %d files, %d bytes", docking, recorder.id, body.files, body.bytes)
        row = parts.book.facts.docking(docking)
        if row is None:
            raise LedgerError(f"The book does not know docking {docking}, which was just written.")
        return row

    def _run_commands(self, recognised: Recognised) -> tuple[Ran, ...]:
        """Run what the profile wants before anything is read; nothing for what was handed in."""
        if self._handed is not None:
            return ()
        vendor = self._parts.vendor
        return (*vendor.take_unlocked(self._docked.bay), *vendor.set_clock(recognised.profile, self._docked))

    def _further(self, commands: Sequence[Ran]) -> dict[str, JsonValue]:
        """Give further keys of the `docking`: what udev says of the device, what was run, why it was handed in."""
        further: dict[str, JsonValue] = {}
        if self._handed is not None:
            reason = self._parts.book.registers.add_reason(code="intake", text=self._handed.reason)
            further["reason"] = reason.model_dump(mode="json")
        if self._docked.device is not None:
            further["device"] = asdict(self._docked.device)
        if commands:
            further["commands"] = [dict(ran.plain()) for ran in commands]
        return further

    def _unqualified(self, docking: DockingId, officer: OfficerId | None) -> list[bodies.Anomaly]:
        """Flag footage by somebody unknown or not qualified today; it is taken in like any other (MISSION.md, R11)."""
        if officer is None:
            return []
        known = self._parts.register().officer(officer)
        if known is not None and known.qualified_on(self._parts.clock.now().astimezone(self._parts.zone).date()):
            return []
        subject = bodies.Subject(kind="officer", id=officer)
        if known is None:
            return [bodies.Anomaly(kind="officer-not-registered", docking=docking, subject=subject, detail={})]
        return [bodies.Anomaly(kind="officer-not-qualified", docking=docking, subject=subject, detail={})]

    def _missing(self, recorder: str, found: inventory.Inventory) -> int:
        """Count the files of the last inventory that are gone without a wipe of ours (EVIDENCE.md, `docking`)."""
        book = self._parts.book
        last = book.facts.last_docking(recorder)
        if last is None:
            return 0
        # A wipe whose outcome is unknown may have erased its file, so that one is not missed.
        wiped = {path for path, each in book.facts.clearances(last.docking).items() if each.outcome != "present"}
        listed = {str(item["path"]) for item in _files(book.registers.document(last.inventory_sha256))}
        return len(listed - wiped - {item.path for item in found.files})

    def _take(self, docking: DockingRow, recognised: Recognised, found: inventory.Inventory) -> int:
        """Seal or sight every file that this docking has not accounted for yet; gives how many could not be.

        Raises FullError when all that fits into the vault was taken.
        """
        parts = self._parts
        zone = recognised.zone or parts.config.station.zone
        claimed = claims.describe(found.items, recognised.profile, zone)
        accounted = parts.book.facts.found(docking.docking)
        todo = [item for item in found.files if item.path not in accounted]
        todo.sort(key=lambda item: _turn(claimed[item.path]))
        self._show(
            "copying",
            text="Do not take the recorder out.",
            files=docking.files,
            bytes=docking.bytes,
            files_done=len(accounted),
            bytes_done=docking.bytes - sum(item.size_bytes or 0 for item in todo),
        )
        full: FullError | None = None
        taken = []
        with Sealer(parts, self._docked, docking, self._gone) as sealer:
            for item in todo:
                try:
                    taken.append(sealer.take(item, claimed[item.path]))
                except FullError as error:
                    # The next one may be smaller; and a length that only a damaged card claims must not hold it up.
                    full = error
        if full is not None:
            raise full
        # A folder that could not be listed may hold files that nobody took.
        return taken.count(False) + sum(trouble.what != "vanished" for trouble in found.troubles)

    @contextmanager
    def _turn_to_read(self) -> Iterator[None]:
        """Wait until few enough other recorders are being read; waiting for proofs afterwards takes nobody's turn."""
        turns = self._parts.turns
        while not turns.acquire(timeout=_TURN_SECONDS):
            self._show("waiting", text="Waiting for its turn; other recorders are being read.")
            if self._gone.is_set():
                raise StoppedError("The recorder left before its turn, or the station stops.")
        try:
            yield
        finally:
            turns.release()

    def _refuse(self, error: RefusedRecorderError) -> None:
        """Report a recorder that is not taken in; nothing on it is touched."""
        self._parts.book.ledger.append(
            bodies.Anomaly(
                kind="recorder-refused",
                docking=None,
                subject=bodies.Subject(kind="recorder", id=to_id(self._docked.hint)),
                detail={"bay": self._docked.bay, "why": error.message},
            )
        )
        _log.warning("%s %s", error.message, error.hint)
        self._show("refused", text=f"{error.message} {error.hint}".strip())

    def _show(self, phase: Phase, **changes: object) -> None:
        self._parts.live.set_bay(self._docked.bay, phase, **changes)


def _turn(claim: claims.FileClaims) -> tuple[bool, bool, bool, str]:
    """Order of copying: side files after what they belong to; important first; then oldest first by their names."""
    moment = claim.started or claim.ended
    return (
        claim.side_of is not None,
        not claim.important,
        claim.started is None,
        moment.astimezone(UTC).isoformat() if moment else "",
    )


def _files(document: bytes) -> list[dict[str, object]]:
    """Give the files of an inventory document."""
    items = _part(document, "items")
    if not isinstance(items, list):
        return []
    return [dict(item) for item in items if isinstance(item, dict) and item["kind"] == "file"]


def _part(document: bytes, key: str) -> object:
    plain = decode(document)
    return plain.get(key) if isinstance(plain, dict) else None


def _odd(docking: DockingId, item: inventory.Item) -> bodies.Anomaly:
    return bodies.Anomaly(
        kind="not-a-file",
        docking=docking,
        subject=bodies.Subject(kind="docking", id=docking),
        detail={"path": item.path},
    )


def _failed(docking: DockingId, recorder: RecorderId, ran: Ran) -> bodies.Anomaly:
    kind = "clock-command-failed"
    if ran.purpose == "unlock":
        kind = "unlock-command-failed"
    return bodies.Anomaly(
        kind=kind,
        docking=docking,
        subject=bodies.Subject(kind="recorder", id=recorder),
        detail=dict(ran.plain()),
    )


def _trouble(docking: DockingId, trouble: inventory.Trouble) -> bodies.Anomaly:
    return bodies.Anomaly(
        kind="not-listed",
        docking=docking,
        subject=bodies.Subject(kind="docking", id=docking),
        detail={"path": trouble.path, "what": trouble.what},
    )
