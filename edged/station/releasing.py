"""From sealed to released: waits for the proofs of a docking's files, erases what is cleared, and ends the docking.

The only place of edged that erases anything from a recorder. Order (INV-1, INV-3): `clearance` is durable in the
ledger; then each file it names is compared with what was sealed (read again, unless its card stayed mounted read-only
since it was read), and erased if it is that; then what became of it
is looked up on the card and written as its `wipe`.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial

from edged.bays import inventory, safe_files, wipe
from edged.bays.profiles import Profile
from edged.bays.source import Docked, Source
from edged.book.facts import DockingRow, SegmentRow
from edged.errors import LedgerError, RecorderError, RefusedRecorderError, StoppedError, UnavailableError
from edged.evidence import bodies
from edged.evidence.ids import EntryRef
from edged.rules.clearance import Cleared, FileClearance
from edged.station.clearing import decide, failed_rereads, lacks_proof, lacks_rereads_only
from edged.station.live import Phase
from edged.station.parts import Parts

_LOOK_SECONDS = 30.0
"""How often a waiting docking looks again when nothing wakes it."""
_REST_SECONDS = 0.3
"""How long it rests between two looks while the ledger grows fast."""
_SECURING = "Every file is sealed; the copies are being secured, then the recorder is erased."
_AWAY = (
    "Every file is safe at the station, but central storage does not answer, or the ledger cannot be published there. "
    "The recorder may stay and is erased later, or be taken out with its files on it and docked again another day."
)
_UNREAD = (
    "Every file is sealed, but the station cannot read its own copies back: see the alarm re-read. The recorder may "
    "stay and is erased when it can, or be taken out with its files on it and docked again another day."
)
_ITEMS_AN_ENTRY = 100
_BYTES_AN_ENTRY = 48_000
"""Bounds of a `clearance`: an entry has at most 65 535 bytes, and a path may be escaped to three times its length."""


class Release:
    """The end of one docking.

    Erasing begins when every file is cleared that still can be: a recorder is written to once, not file by file.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a docking is
        self,
        parts: Parts,
        source: Source,
        docked: Docked,
        docking: DockingRow,
        profile: Profile,
        gone: threading.Event,
        unchanged: Mapping[str, tuple[int, int]],
    ) -> None:
        """`unchanged`: length and time of last change, by path, of what was read since nobody could change the card."""
        self._unchanged = unchanged
        self._parts = parts
        self._source = source
        self._docked = docked
        self._docking = docking
        self._profile = profile
        self._gone = gone
        self._wiped = 0
        self._tidied = False
        self._not_writable: RefusedRecorderError | None = None
        self._not_erased: wipe.NotErasedError | None = None

    def run(self, *, unsealed: int) -> bodies.Undocking:
        """Wait, erase, and give the entry that ends the docking; `unsealed` files of it could not be taken.

        Raises RecorderError when the recorder leaves, StoppedError.
        """
        wake = self._parts.pulse.subscribe()
        try:
            while True:
                wake.clear()
                waits = lacks_proof(self._parts, self._docking, unsealed=unsealed)
                ready = [] if waits else self._ready(unsealed)
                # A restored backup, too, holds proofs: nothing is erased before the store confirms this ledger.
                if waits or (ready and not self._parts.confirmed.is_set()):
                    self._show_securing()
                    self._wait(wake)
                elif ready:
                    self._erase_all(ready)
                else:
                    break
                if self._is_read_only:
                    break
        finally:
            self._parts.pulse.unsubscribe(wake)
        return self._end()

    def is_unexpected(self, *, unsealed: int) -> bool:
        """Say whether somebody should look at a recorder on which files were left: nobody has set it so."""
        if self._parts.store is None or self._parts.config.bays.wipe == "never":
            return False
        distrusted = self._parts.book.facts.distrusted_in(self._docking.docking)
        refuses = self._not_writable or self._not_erased
        return bool(unsealed or distrusted or refuses or not self._parts.config.bays.wipe_delay)

    @property
    def _is_read_only(self) -> bool:
        return self._not_writable is not None or (self._not_erased is not None and self._not_erased.read_only)

    def why_kept(self, *, unsealed: int) -> str:
        """Say in one sentence why files were left on the recorder."""
        bays, facts = self._parts.config.bays, self._parts.book.facts
        if bays.wipe == "never":
            return "the station is set never to erase recorders."
        if self._parts.store is None:
            return "no central storage is configured."
        refuses = self._not_writable or self._not_erased
        if refuses is not None:
            return f"{refuses.message} {refuses.hint}".strip()
        if unsealed:
            return f"{unsealed} of them could not be read, and nothing is erased while some are not sealed."
        return self._why_not_cleared(facts.distrusted_in(self._docking.docking), bays.wipe)

    def _why_not_cleared(self, distrusted: int, policy: str) -> str:
        if distrusted:
            return f"{distrusted} of them are in quarantine: the card does not give the same bytes twice, or not all."
        if policy != "after-clearance":
            return f"the station is set to erase files {policy.removeprefix('after ')} after they were sealed."
        facts = self._parts.book.facts
        if any(facts.retired(row.segment, "vault") for row in facts.found(self._docking.docking).values()):
            return (
                "originals of some have left the vault since they were sealed, and nothing is erased on an old proof."
            )
        return "they are not what was sealed, or not proven safe; `edged ledger show --type anomaly` says which."

    def _ready(self, unsealed: int) -> list[FileClearance]:
        done = self._parts.book.facts.clearances(self._docking.docking)
        return [
            file
            for file in decide(self._parts, self._docking, unsealed=unsealed).files
            if isinstance(file.verdict, Cleared)
            and not self._profile.keeps(file.path)
            and (file.path not in done or done[file.path].outcome is None)
        ]

    def _erase_all(self, ready: list[FileClearance]) -> None:
        parts = self._parts
        text = "Every file is safe; the recorder is being erased. Do not take it out."
        again = sum(self._sealed(file).bytes for file in ready if file.path not in self._unchanged)
        self._show("wiping", text=text, attention=False, bytes_further=again, bytes_further_done=0)
        verdicts = {file.path: file for file in ready}
        with ExitStack() as held:
            try:
                root = held.enter_context(self._source.writable(self._docked))
            except RefusedRecorderError as error:
                self._refuse_to_write(error)
                return
            for paths in _batches(wipe.wipe_order(verdicts, self._profile)):
                files = [(path, self._sealed(verdicts[path])) for path in paths]
                proofs = {proof for path in paths for proof in _proofs(verdicts[path])}
                body = bodies.Clearance(
                    docking=self._docking.docking,
                    items=tuple(bodies.SegmentPath(segment=sealed.segment, path=path) for path, sealed in files),
                    proofs=tuple(sorted(proofs)),
                )
                reference = parts.book.ledger.append(body)[0].ref
                for path, sealed in files:
                    self._erase(root, path, sealed, reference)
                if self._is_read_only:
                    return
            self._tidy(root)

    def _tidy(self, root: safe_files.Root) -> None:
        wipe.tidy(root, self._profile, self._gone)
        self._tidied = True

    def _tidy_after_crash(self) -> None:
        """Remove the folders that an erasing left empty which a crash ended before it came to that."""
        if self._tidied or self._is_read_only or not self._parts.book.facts.clearances(self._docking.docking):
            return
        try:
            with self._source.writable(self._docked) as root:
                self._tidy(root)
        except RefusedRecorderError as error:
            self._refuse_to_write(error)

    def _refuse_to_write(self, error: RefusedRecorderError) -> None:
        """Leave the card as it is: its file system must not be written to."""
        self._not_writable = error
        self._parts.book.ledger.append(
            bodies.Anomaly(
                kind="not-writable",
                docking=self._docking.docking,
                subject=bodies.Subject(kind="docking", id=self._docking.docking),
                detail={"why": error.message},
            )
        )

    def _erase(self, root: safe_files.Root, path: str, sealed: SegmentRow, clearance: EntryRef) -> None:
        anomalies = []
        try:
            # One anomaly says that nothing can be erased any more; each cleared file is looked up all the same.
            outcome = (
                wipe.look_up(root, path)
                if self._is_read_only
                else wipe.erase(
                    root,
                    path,
                    sealed.sha256,
                    self._gone,
                    unchanged=self._unchanged.get(path),
                    on_bytes=partial(self._parts.live.further, self._docked.bay),
                )
            )
        except RecorderError as error:
            # A recorder that left ends the docking; a file of it that changed, or cannot be read again, stays there.
            root.check()
            changed = isinstance(error, wipe.DifferentError | safe_files.NotAFileError)
            kind = "changed-before-wipe" if changed else "unreadable-before-wipe"
            if isinstance(error, wipe.NotErasedError):
                kind = "not-erased"
            outcome = wipe.look_up(root, path)
            if outcome != "gone":
                self._not_erased = error if isinstance(error, wipe.NotErasedError) else self._not_erased
                anomalies.append(
                    bodies.Anomaly(
                        kind=kind,
                        docking=self._docking.docking,
                        subject=bodies.Subject(kind="segment", id=sealed.segment),
                        detail={"path": path, "what": error.message},
                    )
                )
        entry = wiped(self._docking, path, sealed, clearance, outcome)
        self._parts.book.ledger.append(entry, *anomalies)
        self._wiped += outcome == "gone"
        self._show("wiping", wiped=self._wiped)

    def _sealed(self, file: FileClearance) -> SegmentRow:
        row = self._parts.book.facts.segment(file.segment or "")
        if row is None:
            raise LedgerError(f"{file.path} was cleared, but the book knows no segment of it.")
        return row

    def _end(self) -> bodies.Undocking:
        self._tidy_after_crash()
        left = inventory.take_inventory(self._docked.root, self._gone)
        empty = all(self._profile.keeps(file.path) for file in left.files) and not left.troubles
        return bodies.Undocking(
            docking=self._docking.docking, outcome="cleared" if empty else "kept", remaining=len(left.files)
        )

    def _show_securing(self) -> None:
        progress = self._parts.book.facts.docking_progress(self._docking.docking)
        self._wiped = progress["wiped"]
        failed = failed_rereads(self._parts, self._docking)
        is_stuck = progress["reread"] + failed == progress["accounted"] and self._is_store_away
        if failed and progress["replicated"] == progress["accounted"]:
            is_stuck |= lacks_rereads_only(self._parts, self._docking)
        text = _SECURING
        if is_stuck:
            text = _UNREAD if failed else _AWAY
        self._show(
            "safe" if is_stuck else "securing",
            text=text,
            attention=is_stuck and failed > 0,
            reread=progress["reread"],
            replicated=progress["replicated"],
            wiped=progress["wiped"],
        )

    @property
    def _is_store_away(self) -> bool:
        """Whether nothing at all can be secured there now; that one segment fails keeps no other waiting."""
        live = self._parts.live
        return live.has_failed("upload", UnavailableError) or live.has_alarm("publish")

    def _wait(self, wake: threading.Event) -> None:
        """Wait for news; whoever sets `gone` also gives a beat."""
        if not self._gone.is_set():
            wake.wait(_LOOK_SECONDS)
        if self._gone.wait(_REST_SECONDS):
            raise StoppedError("The recorder left, or the station stops.")

    def _show(self, phase: Phase, **changes: object) -> None:
        self._parts.live.set_bay(self._docked.bay, phase, **changes)


def settle_wipes(parts: Parts, docking: DockingRow, docked: Docked | None) -> None:
    """Say what became of files that were cleared when something came between: looked up, or unknown without a card.

    A file that is still there is left to the docking that goes on.
    """
    for path, cleared in parts.book.facts.clearances(docking.docking).items():
        sealed = parts.book.facts.segment(cleared.segment)
        if cleared.outcome is not None or sealed is None:
            continue
        outcome: wipe.Outcome = "unknown" if docked is None else wipe.look_up(docked.root, path)
        if outcome != "present":
            parts.book.ledger.append(wiped(docking, path, sealed, cleared.ref, outcome))


def is_open(parts: Parts, docking: DockingRow) -> bool:
    """Say whether a docking has no end by now."""
    now = parts.book.facts.docking(docking.docking)
    return now is not None and now.outcome is None


def end_absent(
    parts: Parts, docking: DockingRow, *, looked_up: bool = False, absent: Callable[[], bool] = lambda: True
) -> None:
    """End a docking whose recorder left before its time, unless somebody else has done so, or it is back (`absent`).

    What is on its card follows from what was erased, which is unknown of what nobody `looked_up`.
    """
    with parts.claims.ending:
        if not is_open(parts, docking) or not absent():
            return
        if not looked_up:
            settle_wipes(parts, docking, None)
        gone = sum(each.outcome == "gone" for each in parts.book.facts.clearances(docking.docking).values())
        parts.book.ledger.append(
            bodies.Undocking(docking=docking.docking, outcome="interrupted", remaining=docking.files - gone)
        )


def wiped(
    docking: DockingRow, path: str, sealed: SegmentRow, clearance: EntryRef, outcome: wipe.Outcome
) -> bodies.Wipe:
    """Give the entry that says what became of a cleared file."""
    return bodies.Wipe(
        docking=docking.docking,
        segment=sealed.segment,
        path=path,
        sha256=sealed.sha256,
        clearance=clearance,
        outcome=outcome,
    )


def _proofs(file: FileClearance) -> tuple[EntryRef, ...]:
    return file.verdict.proofs if isinstance(file.verdict, Cleared) else ()


def _batches(paths: Iterable[str]) -> Iterator[list[str]]:
    """Cut cleared paths into as many entries as their size asks for."""
    batch: list[str] = []
    size_bytes = 0
    for path in paths:
        length = len(path.encode()) + 300
        if batch and (len(batch) == _ITEMS_AN_ENTRY or size_bytes + length > _BYTES_AN_ENTRY):
            yield batch
            batch, size_bytes = [], 0
        batch.append(path)
        size_bytes += length
    if batch:
        yield batch
