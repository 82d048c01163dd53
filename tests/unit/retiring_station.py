"""A station whose recorders were erased, in the days to come: what tests of retiring share."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from edged.clock import ClockState, SystemClock
from edged.errors import StoreError
from edged.evidence import bodies
from edged.evidence.entry import parse
from edged.evidence.ids import DockingId, SegmentId, StoreId
from edged.station.checking import Checker
from edged.station.jobs.publish import PublishJob
from edged.station.jobs.retire import RetireJob
from edged.station.parts import Parts
from edged.stores.directory import DirectorySettings
from edged.stores.port import Store, Upload
from edged.stores.port import Stored as Held
from edged.stores.s3 import S3Settings
from tests.crash.inside import ScriptedStore
from tests.unit.book_station import cleared, copied, docked, sighted, undocked, wiped
from tests.unit.stored_station import NEVER, Stored, make_stored

FILES: Final = {"20261121/a.mp4": b"first footage", "20261121/b.mp4": b"second footage " * 600_000}
A, B = FILES
TERM: Final = timedelta(days=7)
DAYS: Final = 10
"""Later than this all of it is old, and its locks still run."""


@dataclass
class Shifted:
    """The machine's clock, so many days ahead."""

    days: float = DAYS
    synchronised: ClockState = "synchronised"
    seconds: float = 0.0

    def now(self) -> datetime:
        return SystemClock().now() + timedelta(days=self.days)

    def monotonic(self) -> float:
        return self.seconds

    def state(self) -> ClockState:
        return self.synchronised


class Fickle(ScriptedStore):
    """A store that does something else first when it is to confirm a copy."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.asked = 0
        self.changes: dict[str, Any] = {}
        self.first: Any = None

    def confirm(self, upload: Upload, version: str | None, stop: threading.Event) -> Held:
        self.asked += 1
        if self.first is not None:
            self.first()
        return replace(super().confirm(upload, version, stop), **self.changes)


@dataclass
class Retiring:
    """The station, and the job that is tested, in a run of its own at each `job`."""

    stored: Stored
    clock: Shifted = field(default_factory=Shifted)

    def __post_init__(self) -> None:
        self.store = Fickle(self.stored.store)
        self.config = self.stored.parts.config

    @property
    def parts(self) -> Parts:
        return replace(self.stored.parts, clock=self.clock, store=self.store, config=self.config)

    def configure(self, part: str, **changes: Any) -> None:
        """Change what the configuration says."""
        changed = getattr(self.config, part).model_copy(update=changes)
        self.config = self.config.model_copy(update={part: changed})

    def job(self) -> RetireJob:
        return RetireJob(self.parts, self.store, after=TERM)

    def work(self, job: RetireJob | None = None) -> None:
        """Work until nothing is due; raises what a step raises."""
        job = job or self.job()
        while job.step(NEVER):
            pass

    def fail(self) -> StoreError:
        """Work until the store's fault stops it, and give that."""
        try:
            self.work()
        except StoreError as error:
            return error
        raise AssertionError("nothing failed")

    def publish(self) -> None:
        job = PublishJob(self.stored.parts, self.stored.store)
        while job.step(NEVER):
            pass

    def retire(self) -> None:
        """Retire all that may be, to the end."""
        job = self.job()
        self.work(job)
        self.publish()
        self.work(job)
        self.publish()

    def is_there(self, path: str) -> bool:
        return self.stored.original(path).exists()

    def phases(self, path: str) -> list[str]:
        """Give what the ledger says of a removal."""
        return [str((body.model_extra or {})["phase"]) for body in self.retirements() if body.segment == self.id(path)]

    def retirements(self) -> Iterator[bodies.Retire]:
        ledger = self.stored.parts.book.ledger
        for position in ledger.positions_of_type("retire"):
            body = self.body(position)
            assert isinstance(body, bodies.Retire)
            yield body

    def anomalies(self) -> list[tuple[str, object]]:
        book = self.stored.parts.book
        found = [self.body(position) for position in book.ledger.positions_of_type("anomaly")]
        return [(body.kind, body.detail.get("what")) for body in found if isinstance(body, bodies.Anomaly)]

    def body(self, position: int) -> object:
        return parse(self.stored.parts.book.ledger.bytes_at(position)).body

    def id(self, path: str) -> SegmentId:
        return self.stored.segments[path].segment

    def dock_again(self, name: str, *, bay: str = "bay-1", ends: bool = False) -> DockingId:
        """Have the recorder come once more with the first file on it, and perhaps leave again."""
        book, docking = self.stored.parts.book, DockingId(name)
        body, document = docked({A: FILES[A]}, docking)
        book.ledger.append(body.model_copy(update={"bay": bay}), documents=[document])
        book.ledger.append(sighted(A, self.id(A), docking))
        if ends:
            book.ledger.append(undocked(docking, "kept", 1))
        return docking

    def problems(self) -> list[str]:
        """Give what `edged check --deep` finds."""
        parts = self.stored.parts
        return [found.text for _, each in Checker(parts.book, parts.config, deep=True).run() for found in each]


def make_retiring(folder: Path, settings: S3Settings | DirectorySettings) -> Retiring:
    """Make a station of whose recorder every file was erased, with everything published."""
    stored = make_stored(folder, settings)
    stored.take_in(FILES)
    stored.publish()
    book, docking = stored.parts.book, DockingId("dk-20261121-00000001")
    proofs = [
        book.ledger.append(copied(each.segment, StoreId("vault"), checksum=each.sha256))[0].ref
        for each in stored.segments.values()
    ]
    proofs += [
        row.ref
        for each in stored.segments.values()
        for row in book.facts.replicas(each.segment)
        if row.store != "vault"
    ]
    stored.publish()
    items = [(each.segment, path) for path, each in stored.segments.items()]
    clearance = book.ledger.append(cleared(items, proofs, docking))[0].ref
    for path, data in FILES.items():
        book.ledger.append(wiped(path, data, clearance, docking=docking))
    stored.publish()
    return Retiring(stored)
