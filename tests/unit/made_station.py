"""A station as `edged init` makes it, with one docking gone through it: real keys, book, vault and signatures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edged import keys
from edged.book import Book
from edged.bundles.contents import plan_export
from edged.config import StationConfig, read_station
from edged.evidence import bodies
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import EntryRef, ExportId, SegmentId
from edged.evidence.note import Checkpoint
from edged.station.creation import NewStation, create
from edged.station.files import KEYS, place_of
from edged.station.view import StationView
from edged.vault.disk import Disk
from edged.vault.place import place
from edged.vault.vault import Vault
from tests.unit.book_station import (
    CENTRAL,
    DOCKING,
    STATION,
    VAULT,
    Ticking,
    classified,
    cleared,
    copied,
    docked,
    sealed,
    sg,
    sighted,
    undocked,
    wiped,
)
from tests.unit.kept import keep_original

FILES = {"20261121/a.mp4": b"first footage", "20261121/b.mp4": b"second footage" * 700_000, "20261121/c.mp4": b""}
AGAIN = "20261121/again.mp4"
"""The bytes of the first file under another name: sighted."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A station's folders, its opened book, and the numbers of some of its entries."""

    config_folder: Path
    config: StationConfig
    book: Book
    vault: Vault

    def close(self) -> None:
        self.book.close()

    def original(self, path: str) -> Path:
        """Give where the vault holds a file of the card."""
        row = self.book.facts.segment(self.book.facts.found(DOCKING)[path].segment)
        assert row is not None
        return self.vault.original(place_of(self.book, row))

    def publish(self) -> int:
        """Sign the ledger as it is and take it for published; gives its size."""
        ledger = self.book.ledger
        head, origin = ledger.decide_head(), ledger.epoch.origin
        text = Checkpoint(origin=origin, size=head.size, root=head.root).text()
        ledger.keep_note(head, keys.load(self.config.paths.state / KEYS).sign(text, origin))
        ledger.mark_published(head.size)
        return head.size

    def seal(self, path: str, data: bytes) -> bodies.Segment:
        """Put a file into the vault and its entry into the ledger."""
        body = sealed(path, data)
        day = body.recorded.start
        assert day is not None
        where = place(recorder=body.recorder, segment=body.segment, path=path, day=day)
        keep_original(self.vault, where, data)
        self.book.ledger.append(body)
        return body

    def copy(self, segment: SegmentId) -> list[EntryRef]:
        """Say that vault and store hold a segment."""
        return [self.book.ledger.append(copied(segment, store))[0].ref for store in (VAULT, CENTRAL)]

    def erase(self, files: Mapping[str, bytes], proofs: list[EntryRef]) -> None:
        """Say that files were cleared and erased."""
        clearance = self.book.ledger.append(cleared([(sg(data), path) for path, data in files.items()], proofs))[0].ref
        for path, data in files.items():
            self.book.ledger.append(wiped(path, data, clearance))

    def export(self, name: str = "ex-20261121-00000001") -> int:
        """Write the export of all segments; gives its position in the book."""
        ledger, registers = self.book.ledger, self.book.registers
        segments = sorted(row.segment for row in self.book.facts.all_segments(after=0, most=100))
        view = StationView(self.book, self.config)
        listed = plan_export(view, export=ExportId(name), segments=segments, upto_seq=ledger.last_position() + 1)
        body = bodies.Export(
            export=ExportId(name),
            selection={"segments": [str(segment) for segment in segments]},
            purpose=registers.add_reason(code="export", text="for the case"),
            list_sha256=sha256_hex(listed),
        )
        ledger.append(body, documents=[listed])
        return ledger.last_position()


def make(folder: Path) -> Made:
    """Make a station without anything in it."""
    folder.mkdir(parents=True, exist_ok=True)
    config_folder = folder / "etc"
    new = NewStation(
        station=STATION,
        domain="evidence.example",
        zone="Asia/Shanghai",
        config=config_folder,
        state=folder / "state",
        root_key=folder / "root.key",
    )
    create(new, Ticking())
    return reopened(folder)


def reopened(folder: Path) -> Made:
    """Open a station that lies in a folder."""
    config_folder = folder / "etc"
    config = read_station(config_folder)
    book = Book(config.paths.state, station=STATION, clock=Ticking())
    return Made(
        config_folder=config_folder,
        config=config,
        book=book,
        vault=Vault(config.paths.vault, Disk()),
    )


def make_used(folder: Path) -> Made:
    """Make a station that took one recorder in, secured its files, and erased them."""
    made = make(folder)
    body, document = docked({**FILES, AGAIN: FILES["20261121/a.mp4"]})
    made.book.ledger.append(body, documents=[document])
    segments = [made.seal(path, data) for path, data in FILES.items()]
    made.book.ledger.append(sighted(AGAIN, segments[0].segment))
    proofs = [proof for segment in segments for proof in made.copy(segment.segment)]
    made.book.ledger.append(classified(segments[0].segment, case="case-1"))
    made.publish()
    made.erase({**FILES, AGAIN: FILES["20261121/a.mp4"]}, proofs)
    made.book.ledger.append(undocked())
    made.publish()
    return made


def writable(path: Path) -> Path:
    """Let a test change a file of the vault."""
    path.chmod(0o640)
    return path
