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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC

from edged.bays import claims, inventory, wipe
from edged.bays.recognise import Recognised, recognise
from edged.bays.register import Register
from edged.bays.source import Docked, Source
from edged.book.facts import DockingRow
from edged.errors import FullError, RefusedRecorderError, StoppedError
from edged.evidence import bodies
from edged.evidence.ids import DockingId, RecorderId, to_id
from edged.offload.again import bytes_again
from edged.station.beginning import Arrival, HandedIn, begin, files_of, part_of
from edged.station.continuity import continuity
from edged.station.live import Phase
from edged.station.parts import Parts
from edged.station.releasing import Release, end_absent, is_open, settle_wipes
from edged.station.sealing import Sealer
from edged.station.taking import StillWrittenError
from edged.vault import incoming

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 10.0
"""How long after a recorder came the one with its number may take to leave its bay: it may be the same one, moved."""
_PATIENT_TRIES = 60
"""How often a file that was handed in may still be being written."""


class Intake:
    """Takes one docked recorder through its docking.

    `run` may be called again after it failed: it takes up what the book says is done.
    """

    def __init__(  # noqa: PLR0913 - what a docking is taken in from
        self,
        parts: Parts,
        source: Source | None,
        docked: Docked,
        gone: threading.Event,
        handed: HandedIn | None = None,
        *,
        found_at_start: bool = False,
    ) -> None:
        """`gone` is set when the recorder leaves, or the station stops; what has no source is never erased.

        `found_at_start`: the card was in the bay already when the station was started.
        """
        self._handed = handed
        self._found_at_start = found_at_start
        self._parts = parts
        self._source = source
        self._docked = docked
        self._gone = gone
        self._recorder: RecorderId | None = None
        self._listed: tuple[DockingId, inventory.Inventory] | None = None
        """The docking that began here, and what it found."""
        self._read: dict[str, tuple[int, int]] = {}
        """What was read whole since the card came, by path: length and time of last change."""

    def leave(self) -> None:
        """End what is still open after the recorder left, and let go of it."""
        parts, bay = self._parts, self._docked.bay
        if self._recorder is None:
            return
        try:
            last = parts.book.facts.last_docking_in(bay)
            if last is not None and last.recorder == self._recorder:
                end_absent(parts, last)
        finally:
            # What cannot be ended now is ended later (`Absent`); the recorder may be docked elsewhere already.
            parts.claims.give_back(bay)

    def run(self) -> None:
        """Run the docking to its end; a refusal is reported and is an end too.

        Raises EdgedError for what may pass (full vault, a card that cannot be read now), StoppedError.
        """
        while True:
            self._show("listing", text="Reading what is on the recorder.")
            try:
                found = self._list()
                recognised = self._recognise(found) if self._handed is None else self._handed.recognised
            except RefusedRecorderError as error:
                if self._handed is not None:
                    raise
                self._refuse(error)
                return
            if self._claim(recognised.recorder.id):
                break
        self._dock(recognised, found)

    def _claim(self, recorder: RecorderId) -> bool:
        """Claim the recorder; False if another bay was waited for, and the card has to be looked at again.

        Raises RefusedRecorderError for something handed in whose recorder is in a bay, StoppedError.
        """
        claims, bay = self._parts.claims, self._docked.bay
        other = claims.take(recorder, bay, self._gone)
        if other is None:
            self._recorder = recorder
            return True
        if other.lets_go and not (self._handed and not other.gone.is_set()):
            what = "Something of this recorder is being taken in by hand"
            if other.gone.is_set():
                what = f"Bay {other.bay} still ends what it began with this recorder"
            self._show("waiting", text=f"{what}; it goes on here by itself after that.")
            claims.wait(recorder, other, self._gone)
        elif not claims.wait(recorder, other, self._gone, _PATIENCE_SECONDS):
            error = RefusedRecorderError(
                f"Recorder {recorder} is in another bay already; one of the two bears the wrong number.",
                hint="Look at both recorders by hand. This one is taken in by itself when the other one leaves.",
            )
            if self._handed is not None:
                raise error
            self._refuse(error)
            claims.wait(recorder, other, self._gone)
        return False

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
            known = self._emptied(register, found)
            if known is None:
                raise
            return known

    def _emptied(self, register: Register, found: inventory.Inventory) -> Recognised | None:
        """Recognise the card that was erased to its last file, before the station was started again or just now.

        It says nothing any more, but nobody saw it come; the newest docking in this bay had all of its files cleared,
        did not end with the recorder leaving, and its inventory names this very file system.
        """
        if self._recorder is None and not self._found_at_start:
            return None
        book, recorders = self._parts.book, {recorder.id: recorder for recorder in register.recorders}
        docking = book.facts.last_docking_in(self._docked.bay)
        # A device that was to be taken out may be another by now: a top folder's number is no proof of which it is.
        is_certain = self._docked.device is None or self._docked.filesystem.serial is not None
        if docking is not None and (docking.outcome is None or (docking.outcome == "cleared" and is_certain)):
            listed = book.registers.document(docking.inventory_sha256)
            cleared = book.facts.clearances(docking.docking)
            recorder = recorders.get(docking.recorder)
            profile = next((each for each in self._parts.profiles if recorder and each.id == recorder.profile), None)
            if (
                recorder is not None
                and profile is not None
                and all(profile.keeps(item.path) for item in found.files)
                and part_of(listed, "filesystem") == asdict(self._filesystem)
                and all(item["path"] in cleared or profile.keeps(str(item["path"])) for item in files_of(listed))
            ):
                return Recognised(recorder=recorder, profile=profile, officer=docking.officer, zone=None)
        return None

    @property
    def _filesystem(self) -> inventory.Filesystem:
        """The card's file system; one without a number of its own is told from others by its top folder."""
        root, known = self._docked.root, self._docked.filesystem
        return replace(known, serial=known.serial or f"{root.device:x}-{root.inode:x}")

    def _dock(self, recognised: Recognised, found: inventory.Inventory) -> None:
        docking = self._continued(recognised, found)
        if docking is None:
            docking = self._begin(recognised, found)
        elif self._listed is not None and self._listed[0] == docking.docking:
            # The card never left: what changed on it since is held against its inventory.
            found = self._listed[1]
        self._listed = docking.docking, found
        self._show("waiting", recorder=docking.recorder, officer=docking.officer, docking=docking.docking)
        left = self._take(docking, recognised, found)
        if findings := continuity(self._parts, docking, self._claims(recognised, found)):
            self._parts.book.ledger.append(*findings)
        if self._source is None:
            end = bodies.Undocking(docking=docking.docking, outcome="kept", remaining=len(found.files))
            self._parts.book.ledger.append(end)
            return
        unchanged = self._read if self._source.keeps_read_only else {}
        release = Release(self._parts, self._source, self._docked, docking, recognised.profile, self._gone, unchanged)
        end = release.run(unsealed=left)
        self._parts.book.ledger.append(end)
        _log.info("docking %s of %s ends: %s, %d files left", end.docking, docking.recorder, end.outcome, end.remaining)
        if end.outcome == "cleared":
            empty = f"Empty but for {_files(end.remaining)} of its own." if end.remaining else "Empty."
            self._show("done", text=f"{empty} The recorder can be taken out.", attention=False)
        else:
            why = release.why_kept(unsealed=left)
            text = f"The recorder can be taken out. {_files(end.remaining, 'was', 'were')} left on it: {why}"
            self._show("kept", text=text, attention=release.is_unexpected(unsealed=left))

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
            for item in files_of(parts.book.registers.document(last.inventory_sha256))
            if item["path"] not in cleared or wipe.look_up(self._docked.root, str(item["path"])) != "gone"
        }
        same = expected == {(f.path, f.size_bytes, f.modified) for f in found.files}
        if self._listed is not None and self._listed[0] == last.docking:
            same = {path for path, _, _ in expected} == {file.path for file in found.files}
        if last.bay == self._docked.bay and same:
            with parts.claims.ending:
                # Nobody ends it from here on: there is a recorder in its bay.
                if not is_open(parts, last):
                    return None
            settle_wipes(parts, last, self._docked)
            _log.info("docking %s of %s is continued", last.docking, last.recorder)
            return last
        if last.bay == self._docked.bay:
            settle_wipes(parts, last, self._docked)
        end_absent(parts, last, looked_up=last.bay == self._docked.bay)
        return None

    def _begin(self, recognised: Recognised, found: inventory.Inventory) -> DockingRow:
        parts = self._parts
        for other in parts.book.facts.open_dockings():
            # Another recorder was here when the station stopped, and left without anybody seeing it.
            if other.bay == self._docked.bay:
                end_absent(parts, other)
        parts.turns.forget(self._docked.bay)
        arrival = Arrival(
            docked=self._docked,
            recognised=recognised,
            found=found,
            filesystem=self._filesystem,
            handed=self._handed,
        )
        return begin(parts, arrival)

    def _take(self, docking: DockingRow, recognised: Recognised, found: inventory.Inventory) -> int:
        """Seal or sight every file that this docking has not accounted for yet; gives how many could not be.

        Raises FullError when all that fits into the vault was taken.
        """
        parts = self._parts
        claimed = self._claims(recognised, found)
        accounted = parts.book.facts.found(docking.docking)
        todo = [item for item in found.files if item.path not in accounted]
        todo.sort(key=lambda item: _turn(claimed[item.path]))
        left_bytes = sum(item.size_bytes or 0 for item in todo)
        how = parts.config.offload.second_read
        self._show(
            "copying",
            text="Do not take the recorder out.",
            files=docking.files,
            bytes=docking.bytes,
            files_done=len(accounted),
            bytes_done=max(0, docking.bytes - left_bytes),
            bytes_further=sum(bytes_again(item.size_bytes or 0, how) for item in todo),
            bytes_further_done=0,
        )
        with Sealer(parts, self._docked, docking, self._gone, self._forget) as sealer:
            try:
                unread = self._take_all(sealer, todo, claimed)
                self._seal_left(sealer, recognised, found)
            finally:
                self._read |= sealer.read
        # A folder that could not be listed may hold files that nobody took.
        return unread + sum(trouble.what != "vanished" for trouble in found.troubles)

    def _take_all(
        self, sealer: Sealer, todo: Sequence[inventory.Item], claimed: Mapping[str, claims.FileClaims]
    ) -> int:
        """Take files, those that are still written once they rest; gives how many cannot be read.

        Raises FullError when all that fits was taken.
        """
        full: FullError | None = None
        too_large: set[str] = set()
        unread = tries = 0
        while todo:
            growing: dict[str, inventory.Item] = {}
            beside = []
            for item in todo:
                # A side file names what it belongs to, which is sealed before it.
                main = claimed[item.path].side_of
                if main in too_large:
                    continue
                if main in growing:
                    beside.append(item)
                    continue
                try:
                    unread += not sealer.take(item, claimed[item.path])
                except StillWrittenError:
                    if self._handed is not None and tries >= _PATIENT_TRIES:
                        raise
                    growing[item.path] = item
                except FullError as error:
                    # The next one may be smaller; and a length that only a damaged card claims must not hold it up.
                    full = error
                    too_large.add(item.path)
            todo, tries = [*growing.values(), *beside], tries + 1
            if todo:
                self._wait_for_rest(len(growing))
        if full is not None:
            raise full
        return unread

    def _claims(self, recognised: Recognised, found: inventory.Inventory) -> dict[str, claims.FileClaims]:
        zone = recognised.zone or self._parts.config.station.zone
        return claims.describe(found.items, recognised.profile, zone)

    def _wait_for_rest(self, files: int) -> None:
        """Leave files that are still being written alone for a while."""
        written = f"{_files(files, 'is', 'are')} still being written on it."
        self._show("copying", text=f"Do not take the recorder out. {written}")
        if self._gone.wait(self._parts.config.bays.settle_seconds):
            raise StoppedError("The recorder left, or the station stops.")

    def _seal_left(self, sealer: Sealer, recognised: Recognised, found: inventory.Inventory) -> None:
        """Seal what an interrupted docking left, without an entry, of files that the card does not hold any more."""
        if self._handed is not None or found.troubles:
            return
        vault, recorder = self._parts.vault, recognised.recorder.id
        present = {item.path for item in found.items}
        for parked in vault.incoming.parked(recorder):
            if parked.of.path not in present:
                sealer.seal_parked(parked, self._claims_of(recognised, parked.of, parked.size_bytes))
        for left in vault.unsealed.left(recorder):
            gone = left.of.path not in present
            # What is there, but was not read, is not known to be another one.
            if gone or left.of.path in sealer.read:
                sealer.seal_unsealed(left, self._claims_of(recognised, left.of, left.of.size_bytes), gone=gone)

    def _claims_of(self, recognised: Recognised, of: incoming.Source, size_bytes: int) -> claims.FileClaims:
        """Give what the name of a file says that is not listed."""
        item = inventory.Item(path=of.path, kind="file", size_bytes=size_bytes, modified_ns=of.modified_ns)
        zone = recognised.zone or self._parts.config.station.zone
        return claims.describe([item], recognised.profile, zone)[of.path]

    def _forget(self) -> None:
        if self._source is not None:
            self._source.forget(self._docked)

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


def _files(number: int, one: str = "", more: str = "") -> str:
    """Write a number of files, and the word that goes with it."""
    return f"1 file {one}".rstrip() if number == 1 else f"{number} files {more}".rstrip()
