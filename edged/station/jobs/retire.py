"""Retires originals from the vault after a configured time: local copies go, those in central storage stay (`retire`).

Order (INV-3), each step safe to be the last before a crash:
1. what is old enough, trusted, and not wanted here any more: no docking is open that refers to it, no recorder is known
   to hold it still, its configured derivatives are made;
2. the copy that the newest `replica` entry names is confirmed *afresh*: it is there in that very version, of the sealed
   length and checksum (read back where the store keeps none), and its lock runs, where the store can lock;
3. the entry `retire` (phase `ordered`) cites that `replica`, in a transaction that asks for 1 again;
4. once a published checkpoint covers it, the file is removed. Its chunk list stays: uploads, locks and verification go
   by it. A run that finds the order of an earlier one confirms the copy once more before it removes anything;
5. it is looked up that the file is gone, and a second `retire` (phase `done`) says so.

What the store does not confirm is an anomaly, said once, and an alarm; nothing is removed. Nor is anything by a clock
that is not synchronised: a wrong one would make everything old in an instant.
"""

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Final, Literal

from pydantic import JsonValue

from edged.book.facts import ReplicaRow, RetiringRow, SegmentRow
from edged.clock import from_rfc3339, rfc3339
from edged.config import StorePart
from edged.errors import StorageError, StoreError, UnavailableError
from edged.evidence import bodies
from edged.evidence.entry import parse
from edged.evidence.ids import SegmentId, StoreId
from edged.station.jobs.relock import held_upload
from edged.station.later import Later
from edged.station.parts import Parts
from edged.stores.port import DifferentError, MissingError, Store, Stored

_log = logging.getLogger(__name__)

VAULT: Final = StoreId("vault")
_BATCH: Final = 64
_ROUND_SECONDS: Final = 3600.0
_SOON: Final = timedelta(days=1)
"""A lock that ends sooner than this does not count as one."""


class RetireJob:
    """Looks once an hour for originals whose time in the vault is over, and removes them in between."""

    name = "retire"

    def __init__(self, parts: Parts, store: Store, *, after: timedelta) -> None:
        self._parts = parts
        self._store = store
        self._after = after
        self._locks = isinstance(parts.config.store, StorePart)
        self._later = Later(parts.clock)
        self._confirmed: set[SegmentId] = set()
        """What this run itself confirmed before it ordered the removal."""
        self._old: Iterator[list[SegmentRow]] | None = None
        self._next_round = 0.0

    @property
    def idle_seconds(self) -> float:
        """How long nothing is due, unless something is published."""
        return self._later.pause_seconds(max(1.0, self._next_round - self._parts.clock.monotonic()))

    @property
    def put_off(self) -> int:
        """How many segments failed and wait."""
        return self._later.put_off

    def step(self, stop: threading.Event) -> bool:
        """Remove what was ordered and is published, or order more; raises UnavailableError by a clock that is wrong."""
        parts = self._parts
        if not parts.confirmed.is_set():
            # A restored backup, too, has orders: none is carried out before the store knows this ledger.
            return False
        ordered = self._later.ready(self._ordered())
        if ordered:
            self._later.each(ordered, lambda segment: self._remove(segment, stop))
            return True
        page = self._next_page()
        if page is None:
            return False
        if parts.clock.state() != "synchronised":
            self._old = None
            raise UnavailableError(
                "The station's clock is not synchronised: nothing is retired by it.",
                hint="Let it follow a time server.",
            )
        try:
            self._later.each(self._later.ready(page), lambda segment: self._order(segment, stop))
        except UnavailableError:
            self._old = None
            raise
        return True

    # ------------------------------------------------------------------------------------------ ordering

    def _next_page(self) -> list[SegmentRow] | None:
        """Give the next originals that are old enough; None when this round is over, or the next not due."""
        if self._old is None:
            if self._parts.clock.monotonic() < self._next_round:
                return None
            self._old = self._pages()
        page = next(self._old, None)
        if page is None:
            self._old = None
            self._next_round = self._parts.clock.monotonic() + _ROUND_SECONDS
        return page

    def _pages(self) -> Iterator[list[SegmentRow]]:
        facts, after = self._parts.book.facts, 0
        before = rfc3339(self._parts.clock.now() - self._after)
        while page := facts.not_retired(VAULT, before=before, after=after, most=_BATCH):
            after = page[-1].position
            yield page

    def _order(self, segment: SegmentRow, stop: threading.Event) -> None:
        replica = self._retirable(segment)
        if replica is None:
            return
        self._confirm(segment, replica, stop)
        with self._parts.book.database.write():
            # Meanwhile a recorder may have come that holds it, or the copy may have got another entry.
            if self._retirable(segment) != replica:
                return
            self._parts.book.ledger.append(retired(segment.segment, replica, phase="ordered"))
        self._confirmed.add(segment.segment)

    def _retirable(self, segment: SegmentRow) -> ReplicaRow | None:
        """Give the entry about the copy that stays, if the vault's own may go now."""
        parts = self._parts
        copies = {row.store: row for row in parts.book.facts.replicas(segment.segment)}
        replica = copies.get(self._store.id)
        if replica is None or VAULT not in copies or self._is_over(replica):
            return None
        kinds = parts.config.media.derivatives if segment.container is not None else ()
        made = {each.kind for each in parts.book.facts.derivatives(segment.segment)}
        work = parts.book.work
        if any(kind not in made and not work.is_settled(segment.segment, f"derive {kind}") for kind in kinds):
            return None
        return None if self._is_wanted(segment.segment) else replica

    def _is_over(self, replica: ReplicaRow) -> bool:
        """Say whether its lock was let lapse because its term is over: what is left of it waits for its disposal."""
        if not self._locks:
            return False
        return replica.locked_until is None or from_rfc3339(replica.locked_until) <= self._parts.clock.now()

    def _is_wanted(self, segment: SegmentId) -> bool:
        """Say whether a docking that goes on refers to a segment, or a recorder may still hold it, at any path.

        Without the vault's copy such a recorder could not be cleared any more. A file that was handed in, or one of a
        station that erases nothing, is never cleared.
        """
        parts = self._parts
        dockings: set[str] = set()
        held: set[str] = set()
        """Paths at which the recorder had it when it was last looked through, less those that were erased."""
        for position in parts.book.ledger.positions_naming("segment", segment):
            body = parse(parts.book.ledger.bytes_at(position)).body
            if isinstance(body, bodies.Segment | bodies.Sighting):
                docking = parts.book.facts.docking(body.docking)
                if docking is None or docking.outcome is None:
                    return True
                if docking.handed_in:
                    continue
                # One that was cut short did not see all of the card: what the one before it saw may still be there.
                if docking.docking not in dockings and docking.outcome != "interrupted":
                    held.clear()
                dockings.add(docking.docking)
                held.add(body.path)
            elif isinstance(body, bodies.Wipe) and body.outcome == "gone" and body.docking in dockings:
                held.discard(body.path)
        return bool(held) and parts.config.bays.wipe != "never"

    # ---------------------------------------------------------------------------------- asking the store

    def _confirm(self, segment: SegmentRow, replica: ReplicaRow, stop: threading.Event) -> None:
        """Have the store show the very version, and its lock; where it does not, an anomaly says so, once.

        Raises StoreError then, and UnavailableError or StoppedError where nothing is known.
        """
        upload = held_upload(self._parts, segment, replica, None)
        try:
            stored = self._store.confirm(upload, replica.version, stop)
        except MissingError:
            what = "missing"
        except DifferentError:
            what = "different"
        else:
            if not self._locks or self._is_locked(stored):
                return
            what = "not-locked"
        self._report(segment, replica, what)
        raise StoreError(
            f"Store {self._store.id} does not confirm the copy of {segment.segment} ({what}): "
            "its original stays in the vault.",
            hint="Find out what happened to the store; the anomaly in `edged ledger show` names the version.",
        )

    def _is_locked(self, stored: Stored) -> bool:
        until = stored.locked_until
        return stored.lock_mode is not None and until is not None and until > self._parts.clock.now() + _SOON

    def _report(self, segment: SegmentRow, replica: ReplicaRow, what: str) -> None:
        book, kind = self._parts.book, "replica-not-confirmed"
        detail: dict[str, JsonValue] = {"store": replica.store, "key": replica.key, "version": replica.version}
        detail["what"] = what
        said = [parse(data).body for data in book.facts.anomalies_about(segment.segment, kind)]
        if not any(isinstance(body, bodies.Anomaly) and body.detail == detail for body in said):
            subject = bodies.Subject(kind="segment", id=segment.segment)
            book.ledger.append(bodies.Anomaly(kind=kind, docking=None, subject=subject, detail=detail))

    # ------------------------------------------------------------------------------------------ removing

    def _ordered(self) -> list[RetiringRow]:
        """Give what is ordered under a published checkpoint, and not said to be gone."""
        published = self._parts.book.ledger.published_sizes()
        found = self._parts.book.facts.retiring(VAULT, after=0, most=_BATCH + self._later.put_off)
        return [row for row in found if row.ordered_seq < published.get(row.ordered_epoch, 0)]

    def _remove(self, segment: RetiringRow, stop: threading.Event) -> None:
        parts = self._parts
        original = parts.vault.original(parts.place_of(segment))
        # The chunk list beside it shows that this is the vault, and not the mount point of one that is not there.
        parts.sealed_digests(segment)
        replica = next((row for row in parts.book.facts.replicas(segment.segment) if row.store == self._store.id), None)
        if replica is None:
            raise StorageError(
                f"{segment.segment} was ordered to be retired, but the ledger names no copy in {self._store.id}.",
                hint="Its original stays where it is. Was the store changed in station.toml?",
            )
        if original.exists() and segment.segment not in self._confirmed:
            self._confirm(segment, replica, stop)
        parts.disk.remove(original)
        parts.disk.sync_folder(original.parent)
        if original.exists():
            raise StorageError(f"{original} was removed, and is still there.")
        self._confirmed.discard(segment.segment)
        parts.book.ledger.append(retired(segment.segment, replica, phase="done"))
        _log.info("%s was retired from the vault; store %s holds it", segment.segment, self._store.id)


def retired(segment: SegmentId, replica: ReplicaRow, *, phase: Literal["ordered", "done"]) -> bodies.Retire:
    """Give the entry; `phase` is a further key, as `disposal` has it."""
    body = {"segment": segment, "store": VAULT, "proofs": (replica.ref,), "phase": phase}
    return bodies.Retire.model_validate(body)
