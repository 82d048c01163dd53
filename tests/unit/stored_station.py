"""A station whose own jobs filled a real store: what `edged verify` and `edged ledger audit` are pointed at."""

import re
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.audit.check import Checked, check_target
from edged.audit.port import Target
from edged.audit.stations import StationTarget, open_book
from edged.audit.stores import StoredOriginals, StoreTarget
from edged.book.anchors import AnchorNotes
from edged.cli.progress import Silent
from edged.clock import SystemClock, rfc3339
from edged.evidence import bodies, timestamps
from edged.evidence.certificates import load_certificates
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import DockingId, SegmentId, StoreId
from edged.evidence.note import parse_checkpoint, parse_note
from edged.evidence.text import to_base64
from edged.evidence.verification import SegmentReport, Trust
from edged.station.assembly import build
from edged.station.creation import NewStation, create
from edged.station.jobs.anchor_copies import AnchorCopiesJob
from edged.station.jobs.publish import PublishJob
from edged.station.jobs.replicate import ReplicateJob
from edged.station.parts import Parts
from edged.stores.directory import DirectorySettings, DirectoryStore
from edged.stores.port import Store
from edged.stores.reader import Reader
from edged.stores.s3 import S3Settings
from edged.vault.place import place
from hwsim.authority import Authority
from tests.unit.anchored_station import Witness
from tests.unit.book_station import STATION, docked, sealed, undocked
from tests.unit.kept import keep_original

NEVER = threading.Event()
FILES = {"20261121/a.mp4": b"first footage", "20261121/b.mp4": b"second" * 3_000_000, "20261121/c.mp4": b""}
"""The second one is of three chunks."""


@dataclass
class Stored:
    """The station."""

    folder: Path
    parts: Parts
    docked: int = 0
    segments: dict[str, bodies.Segment] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        assert self.parts.store is not None
        return self.parts.store

    @property
    def config(self) -> Path:
        return self.folder / "etc"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def origin(self) -> str:
        return self.parts.book.ledger.epoch.origin

    @property
    def root(self) -> Path:
        return self.state / "keys" / "root.pem"

    def trust(self, **changes: object) -> Trust:
        given: dict[str, object] = {
            "roots": load_certificates(self.root.read_bytes()),
            "now": SystemClock().now() + timedelta(minutes=1),
        }
        return Trust(**(given | changes))  # type: ignore[arg-type]

    def take_in(self, files: dict[str, bytes]) -> None:
        """Have a recorder docked whose files are sealed, and left on it."""
        self.docked += 1
        docking, book = DockingId(f"dk-20261121-{self.docked:08d}"), self.parts.book
        body, document = docked(files, docking)
        book.ledger.append(body, documents=[document])
        for path, data in files.items():
            segment = sealed(path, data, docking=docking)
            if segment.recorded.start is not None:
                times = {"end": "2026-11-21T07:10:00.000+08:00"}
                segment = segment.model_copy(update={"recorded": segment.recorded.model_copy(update=times)})
            where = place(
                recorder=segment.recorder, segment=segment.segment, path=path, day="2026-11-21T07:00:00.000+08:00"
            )
            keep_original(self.parts.vault, where, data)
            book.ledger.append(segment)
            self.segments[path] = segment
        book.ledger.append(undocked(docking, "kept", len(files)))

    def publish(self) -> int:
        """Copy what is not in the store yet, sign, publish; gives the published size."""
        replicate = ReplicateJob(self.parts, self.store, at_once=1, horizon=timedelta(days=30))
        while replicate.step(NEVER):
            pass
        job = PublishJob(self.parts, self.store)
        while job.step(NEVER):
            pass
        return self.parts.book.ledger.published_size()

    def checkpoint(self, size: int | None = None) -> bytes:
        """Give a signed checkpoint; without a size, the newest."""
        ledger = self.parts.book.ledger
        found = self.parts.book.anchors.signed(self.origin, size or ledger.signed_size())
        assert found is not None
        return found.note

    def stamp(self, authority: Authority, at: datetime | None = None) -> None:
        """Have the newest checkpoint stamped, and the token kept and published."""
        token = authority.stamp(timestamps.request(self.checkpoint(), 7), at=at or SystemClock().now())
        self._keep(token, "rfc3161", "tsa")

    def cosign(self, witness: Witness) -> bytes:
        """Have the newest checkpoint cosigned, likewise; gives it with the line."""
        note = self.checkpoint()
        line = witness.line(note, SystemClock().now())
        self._keep(line, "cosignature", witness.name.replace("/", "-"))
        return note + line

    def _keep(self, data: bytes, kind: str, name: str) -> None:
        checkpoint = parse_checkpoint(parse_note(self.checkpoint()).text)
        now = rfc3339(SystemClock().now())
        body = bodies.Anchor.model_validate(
            {
                "kind": kind,
                "origin": self.origin,
                "size": checkpoint.size,
                "root": to_base64(checkpoint.root),
                "sha256": sha256_hex(data),
                "by": name,
                **AnchorNotes(name=name, moment=now).plain(),
            }
        )
        self.parts.book.ledger.append(body, documents=[data])
        copies = AnchorCopiesJob(self.parts, self.store)
        while copies.step(NEVER):
            pass

    def original(self, path: str) -> Path:
        """Give the place of an original in the vault."""
        row = self.parts.book.facts.segment(self.segments[path].segment)
        assert row is not None
        return self.parts.vault.original(self.parts.place_of(row))

    def replica(self, path: str) -> bodies.Replica:
        """Give what the ledger says of the copy in the store."""
        (row,) = [each for each in self.parts.book.facts.replicas(self.segments[path].segment) if each.store != "vault"]
        return bodies.Replica(
            segment=self.segments[path].segment,
            store=StoreId(row.store),
            key=row.key,
            version=row.version,
            checksum=row.checksum,
            checksum_type=row.checksum_type,
            verified=row.verified,
            method=row.method,
            locked_until=None,
            lock_mode=None,
            stored=None,
        )

    def close(self) -> None:
        self.parts.book.close()
        self.store.close()


def make_stored(folder: Path, settings: S3Settings | DirectorySettings) -> Stored:
    """Make a station that stores into a bucket, or into a folder that is set up here."""
    folder.mkdir(parents=True, exist_ok=True)
    new = NewStation(
        station=STATION,
        domain="evidence.example",
        zone="Asia/Shanghai",
        config=folder / "etc",
        state=folder / "state",
        root_key=folder / "root.key",
    )
    create(new, SystemClock())
    if isinstance(settings, DirectorySettings):
        DirectoryStore(settings).set_up()
        table = f'[store]\nkind = "directory"\nid = "{settings.id}"\nfolder = "{settings.folder}"\n'
    else:
        access = folder / "s3.toml"
        access.write_text(f'access_key = "{settings.access_key}"\nsecret_key = "{settings.secret_key}"\n')
        table = (
            f'[store]\nkind = "s3"\nid = "{settings.id}"\nendpoint = "{settings.endpoint}"\n'
            f'bucket = "{settings.bucket}"\nregion = "{settings.region}"\ncredentials = "{access}"\n'
        )
    path = new.config / "station.toml"
    text = re.sub(r"(?m)^publish_seconds.*$", "", path.read_text())
    path.write_text(text.replace("[ledger]\n", "[ledger]\npublish_seconds = 0.1\n") + "\n" + table)
    return Stored(folder=folder, parts=build(new.config, SystemClock()))


def private_key(stored: Stored) -> Ed25519PrivateKey:
    """Give what a thief of the epoch's key has."""
    (path,) = (stored.state / "keys").glob("*.key")
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def checked(target: Target, trust: Trust) -> tuple[Checked, dict[SegmentId, SegmentReport]]:
    """Check a target; gives every segment's report too."""
    every: list[SegmentReport] = []
    found = check_target(target, trust, progress=Silent(), on_segment=every.append)
    return found, {each.segment: each for each in every}


def check_store(
    reader: Reader, trust: Trust, *, store: str | None = None
) -> tuple[Checked, dict[SegmentId, SegmentReport]]:
    originals = StoredOriginals(reader, None if store is None else StoreId(store))
    return checked(StoreTarget(reader, "store", originals), trust)


def check_log(reader: Reader, trust: Trust) -> Checked:
    return checked(StoreTarget(reader, "store", None), trust)[0]


def check_station(stored: Stored, trust: Trust) -> tuple[Checked, dict[SegmentId, SegmentReport]]:
    book = open_book(stored.state)
    try:
        target = StationTarget(
            book, state=stored.state, vault=stored.parts.config.paths.vault, name="station", with_originals=True
        )
        return checked(target, trust)
    finally:
        book.close()
