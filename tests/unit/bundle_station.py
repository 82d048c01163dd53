"""A small station in memory for tests of verification and bundles: real keys, real entries, real proofs.

`Station` is the ledger and vault that a bundle is made from; `Forgery` is a bundle in memory that a test attacks,
with or without putting its lists of files right afterwards.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.bundles.contents import plan_export
from edged.bundles.load import FolderFiles, read_blocks
from edged.bundles.make import make_bundle
from edged.errors import UnreadableError
from edged.evidence import bodies, canonical, merkle
from edged.evidence.certificates import certify_epoch, fingerprint, load_certificates, make_root, to_pem
from edged.evidence.digests import Digester, Digests, sha256_hex
from edged.evidence.entry import ZERO_REF, Entry, encode, parse, reference
from edged.evidence.ids import (
    DockingId,
    EntryRef,
    EpochId,
    ExportId,
    MatterId,
    RecorderId,
    RuleId,
    SegmentId,
    Sha256,
    StationId,
    StoreId,
    bundle_name,
    segment_id,
)
from edged.evidence.note import Checkpoint, sign_note, vkey
from edged.evidence.verification import BundleFile, Report, Trust, verify

START = datetime(2026, 11, 21, 8, 0, 0, 123000, tzinfo=UTC)
CHUNK = 8_388_608
STATION = StationId("st-07")
EPOCH = EpochId("2026-11-ab12")
SALT = "0123456789abcdef0123456789abcdef"


def digest(data: bytes) -> Digests:
    digester = Digester()
    digester.update(data)
    return digester.finish()


@dataclass(kw_only=True)
class Station:
    """A ledger and vault; every entry is one second after the one before."""

    folder: Path
    name: StationId = STATION
    epoch: EpochId = EPOCH
    domain: str = "evidence.example"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    root_key: Ed25519PrivateKey = field(init=False)
    root: x509.Certificate = field(init=False)
    certificate: x509.Certificate = field(init=False)
    entries: list[bytes] = field(default_factory=list)
    names: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    types: dict[str, list[int]] = field(default_factory=dict)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)
    heads: dict[int, bytes] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    texts: dict[str, tuple[str, str]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    last_of: dict[str, tuple[int, EntryRef]] = field(default_factory=dict)
    replicas: dict[str, list[EntryRef]] = field(default_factory=dict)
    after: Sha256 | None = None
    """The anchor that entries cite from now on."""

    def __post_init__(self) -> None:
        self.root_key, self.root = make_root(self.name, START - timedelta(days=1), START + timedelta(days=9000))
        self.certify(self.origin)

    @property
    def station(self) -> StationId:
        return self.name

    @property
    def origin(self) -> str:
        return f"{self.domain}/{self.name}/{self.epoch}"

    def certify(self, origin: str, *, not_after: datetime = START + timedelta(days=900)) -> None:
        self.certificate = certify_epoch(
            self.root_key,
            self.root,
            station=self.name,
            origin=origin,
            public_key=self.key.public_key(),
            not_before=START - timedelta(days=1),
            not_after=not_after,
        )

    # -- writing

    def append(
        self, body: bodies.Body | tuple[str, dict[str, object]], actor: str = "edged", prev: EntryRef | None = None
    ) -> EntryRef:
        seq = len(self.entries)
        kind, inner = (body.TYPE, body) if isinstance(body, bodies.Body) else body
        entry = Entry(
            type=kind,
            station=self.name,
            epoch=self.epoch,
            seq=seq,
            prev=prev or (reference(self.entries[-1]) if self.entries else ZERO_REF),
            time=START + timedelta(seconds=seq),
            clock="synchronised",
            actor=actor,
            after=self.after,
            body=inner,
        )
        return self.append_bytes(encode(entry), kind, inner)

    def append_bytes(self, data: bytes, kind: str, body: bodies.Body | Mapping[str, object]) -> EntryRef:
        seq = len(self.entries)
        self.entries.append(data)
        for level, index, node in merkle.appended_nodes(seq, merkle.leaf_hash(data), self._node):
            self.nodes[level, index] = node
        self.types.setdefault(kind, []).append(seq)
        for named in set(_names(body)):
            self.names.setdefault(named, []).append(seq)
        return reference(data)

    def sign(self) -> int:
        size = len(self.entries)
        self.heads[size] = self.note(size)
        return size

    def note(self, size: int, *, root: bytes | None = None, key: Ed25519PrivateKey | None = None) -> bytes:
        checkpoint = Checkpoint(origin=self.origin, size=size, root=root or merkle.root(size, self._node))
        return sign_note(checkpoint.text(), self.origin, key or self.key)

    def reason(self, code: str, text: str) -> bodies.Reason:
        digest_of = sha256_hex((SALT + text).encode())
        self.texts[digest_of] = SALT, text
        return bodies.Reason(code=code, text=digest_of)

    def genesis(self, **changes: Any) -> EntryRef:
        body = bodies.Genesis(
            origin=self.origin,
            public_key=vkey(self.origin, self.key.public_key().public_bytes_raw()),
            certificate_sha256=fingerprint(self.certificate),
            previous=None,
            software="edged 0.1.0",
            reason=self.reason("first", "A station begins."),
        )
        return self.append(body.model_copy(update=changes))

    def dock(self, docking: str, recorder: str, card: Mapping[str, bytes], **changes: Any) -> None:
        items = [{"path": "DCIM", "kind": "folder", "bytes": 0, "modified": "-", "created": "-"}]
        items += [
            {"path": path, "kind": "file", "bytes": len(data), "modified": "2026-11-21T07:00:00+08:00", "created": "-"}
            for path, data in card.items()
        ]
        about = {"type": "exfat", "label": "BWC", "serial": "1234-5678"}
        inventory = canonical.encode({"v": 1, "docking": docking, "filesystem": about, "items": items})
        body = bodies.Docking(
            docking=DockingId(docking),
            bay="bay-1",
            recorder=bodies.RecorderInfo(id=RecorderId(recorder), vendor="V", model="M", serial=recorder, known=True),
            officer=None,
            inventory_sha256=sha256_hex(inventory),
            files=len(card),
            bytes=sum(len(data) for data in card.values()),
            clock_offset_ms=250,
            clock_uncertainty_ms=100,
            clock_set=False,
            missing=0,
        ).model_copy(update=changes)
        self.documents[body.inventory_sha256] = inventory
        self.append(body)

    def seal(self, docking: str, recorder: str, path: str, data: bytes, **changes: Any) -> SegmentId:
        found = digest(data)
        segment = segment_id(RecorderId(recorder), found.sha256)
        number, before = self.last_of.get(recorder, (0, None))
        minute = number
        body = bodies.Segment(
            segment=segment,
            docking=DockingId(docking),
            path=path,
            bytes=found.size_bytes,
            sha256=found.sha256,
            chunks=bodies.Chunks(count=found.chunk_count, sha256=found.chunks_sha256),
            recorder=RecorderId(recorder),
            recorder_seq=number + 1,
            recorder_prev=before,
            officer=None,
            recorded=bodies.Recorded(
                start=f"2026-11-21T07:{minute:02d}:00+08:00",
                end=f"2026-11-21T07:{minute:02d}:51+08:00",
                zone="Asia/Shanghai",
                source="filename",
                uncertainty_ms=1000,
            ),
            media=bodies.Media(container="mp4", video="h264", audio="aac", duration_ms=51_000),
            important=False,
            side_of=None,
            quarantine=None,
        ).model_copy(update=changes)
        self.last_of[recorder] = number + 1, self.append(body)
        self.files[segment] = self.folder / f"{self.epoch}-{segment}"
        self.files[segment].write_bytes(data)
        self.replicas[segment] = [self._replica(segment, "vault"), self._replica(segment, "central")]
        return segment

    def clear_and_wipe(self, docking: str, paths: Mapping[str, SegmentId], remaining: int) -> None:
        items = tuple(bodies.SegmentPath(segment=segment, path=path) for path, segment in paths.items())
        proofs = tuple(ref for segment in paths.values() for ref in self.replicas[segment])
        clearance = self.append(bodies.Clearance(docking=DockingId(docking), items=items, proofs=proofs))
        for path, segment in paths.items():
            sealed = self.sealed(segment)
            self.append(
                bodies.Wipe(
                    docking=DockingId(docking),
                    segment=segment,
                    path=path,
                    sha256=sealed.sha256,
                    clearance=clearance,
                    outcome="gone",
                )
            )
        self.append(
            bodies.Undocking(
                docking=DockingId(docking), outcome="kept" if remaining else "cleared", remaining=remaining
            )
        )

    def sealed(self, segment: SegmentId) -> bodies.Segment:
        for seq in self.names["segment", segment]:
            body = self.parsed(seq).body
            if isinstance(body, bodies.Segment):
                return body
        raise LookupError(segment)

    def classify(self, segment: SegmentId, case: Any, supersedes: EntryRef | None = None) -> EntryRef:
        return self.append(
            bodies.Classification(
                segment=segment,
                case=case,
                matter=MatterId("traffic") if case else None,
                stage=None,
                secrecy=None,
                publicity=None,
                rule=RuleId("r-permanent"),
                clause="art. 13",
                policy=sha256_hex(b"policy"),
                retain_until="permanent" if case else "undetermined",
                basis="feed",
                confidence=90,
                supersedes=supersedes,
            )
        )

    def derive(self, segment: SegmentId, kind: Any, data: bytes) -> None:
        self.files[f"{segment} {kind}"] = self.folder / f"{self.epoch}-{segment}.{kind}.jpg"
        self.files[f"{segment} {kind}"].write_bytes(data)
        self.append(
            bodies.Derivative(
                segment=segment,
                parent_sha256=self.sealed(segment).sha256,
                kind=kind,
                sha256=sha256_hex(data),
                bytes=len(data),
                tool="ffmpeg 5.1",
                arguments=["-frames:v", "1"],
            )
        )

    def export(self, segments: Sequence[SegmentId], name: str = "ex-1", *, listed: bytes | None = None) -> int:
        """Write an export entry and sign; `listed` replaces the list it should cite."""
        seq = len(self.entries)
        listing = listed or plan_export(self, export=ExportId(name), segments=segments, upto_seq=seq)
        self.documents[sha256_hex(listing)] = listing
        self.append(
            bodies.Export(
                export=ExportId(name),
                selection={"segments": list(segments)},
                purpose=self.reason("court", "Asked for by the court."),
                list_sha256=sha256_hex(listing),
            ),
            actor="user:li",
        )
        self.sign()
        return seq

    def bundle(self, export_seq: int, out: Path, **options: Any) -> "Forgery":
        make_bundle(self, export_seq, out, **options)
        return Forgery.of(out)

    @property
    def trust(self) -> Trust:
        return Trust(roots=(self.root,))

    # -- what LedgerView asks

    def entry_bytes(self, seq: int) -> bytes:
        return self.entries[seq]

    def seq_of(self, ref: str) -> int | None:
        return next((seq for seq, data in enumerate(self.entries) if reference(data) == ref), None)

    def naming(self, kind: str, id: str) -> Sequence[int]:  # noqa: A002
        return self.names.get((kind, id), [])

    def of_type(self, type: str) -> Sequence[int]:  # noqa: A002
        return self.types.get(type, [])

    def inclusion_proof(self, seq: int, size: int) -> list[bytes]:
        return merkle.inclusion_proof(seq, size, self._node)

    def consistency_proof(self, old: int, new: int) -> list[bytes]:
        return merkle.consistency_proof(old, new, self._node)

    def checkpoint_covering(self, seq: int) -> tuple[int, bytes] | None:
        return next(((size, self.heads[size]) for size in sorted(self.heads) if size > seq), None)

    def last_checkpoint(self, epoch: EpochId) -> tuple[int, bytes] | None:  # noqa: ARG002 - it has one epoch
        return None

    def checkpoint(self, epoch: EpochId, size: int) -> bytes | None:  # noqa: ARG002 - it has one epoch
        return self.heads.get(size)

    def extension_proof(self, epoch: EpochId, old: int, new: int) -> list[bytes]:  # noqa: ARG002 - it has one epoch
        return self.consistency_proof(old, new)

    def anchors_covering(self, seq: int, upto: int) -> list[int]:  # noqa: ARG002 - nobody anchored it
        return []

    def cited_anchor(self, sha256: Sha256) -> None:  # noqa: ARG002 - nobody anchored it
        return None

    def tsa_pem(self) -> bytes:
        return b""

    def policy_text(self) -> bytes:
        return b""

    def document(self, sha256: Sha256) -> bytes:
        if sha256 not in self.documents:
            raise UnreadableError(f"There is no document {sha256}.")
        return self.documents[sha256]

    def reason_text(self, digest: Sha256) -> tuple[str, str] | None:
        return self.texts.get(digest)

    def original(self, segment: SegmentId) -> Iterator[bytes]:
        return read_blocks(self.files[segment])

    def derivative(self, segment: SegmentId, kind: str) -> Path | None:
        return self.files.get(f"{segment} {kind}")

    def certificates_pem(self, epoch: EpochId | None = None) -> bytes:  # noqa: ARG002 - it has one epoch
        return to_pem([self.certificate])

    def root_pem(self) -> bytes:
        return to_pem([self.root])

    # -- inside

    def parsed(self, seq: int) -> Entry:
        return parse(self.entries[seq])

    def _node(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]

    def _replica(self, segment: SegmentId, store: str) -> EntryRef:
        return self.append(
            bodies.Replica(
                segment=segment,
                store=StoreId(store),
                key=f"segments/{segment}",
                version=None if store == "vault" else "v1",
                checksum="-",
                checksum_type="COMPOSITE",
                verified="read-back",
                method="O_DIRECT",
                locked_until=None,
                lock_mode=None,
                stored=None,
            )
        )


def _names(body: bodies.Body | Mapping[str, object]) -> Iterator[tuple[str, str]]:
    plain: Mapping[str, Any] = body.plain() if isinstance(body, bodies.Body) else body
    for kind in ("segment", "docking", "case"):
        if isinstance(plain.get(kind), str):
            yield kind, plain[kind]
    if isinstance(body, bodies.Segment):
        yield "recorder", body.recorder
    if isinstance(body, bodies.Docking):
        yield "recorder", body.recorder.id
    if isinstance(body, bodies.Clearance):
        yield from (("segment", item.segment) for item in body.items)
    subject = plain.get("subject")
    if isinstance(subject, dict):
        yield subject["kind"], subject["id"]


@dataclass
class Forgery:
    """The files of a bundle in memory, to be changed."""

    files: dict[str, bytes]
    others: dict[str, str] = field(default_factory=dict)
    """Names that are no regular files, with their kind."""

    @classmethod
    def of(cls, folder: Path) -> "Forgery":
        source = FolderFiles(folder)
        return cls({each.path: b"".join(source.open(each.path)) for each in source.listing() if each.kind == "file"})

    def copy(self) -> "Forgery":
        return Forgery(dict(self.files), dict(self.others))

    def listing(self) -> Sequence[BundleFile]:
        found = [BundleFile(path=path, kind="file", size_bytes=len(data)) for path, data in self.files.items()]
        return found + [BundleFile(path=path, kind=kind, size_bytes=0) for path, kind in self.others.items()]  # type: ignore[arg-type]

    def open(self, path: str) -> Iterator[bytes]:
        data = memoryview(self.files[path])
        return (bytes(data[at : at + (1 << 20)]) for at in range(0, len(data), 1 << 20))

    def edit(self, path: str, change: Callable[[bytes], bytes]) -> "Forgery":
        changed = change(self.files[path])
        assert changed != self.files[path], f"{path} is not changed at all"
        self.files[path] = changed
        return self

    def replace(self, path: str, old: str, new: str) -> "Forgery":
        return self.edit(path, lambda data: data.replace(old.encode(), new.encode()))

    def add(self, path: str, data: bytes) -> "Forgery":
        self.files[path] = data
        return self

    def drop(self, *paths: str) -> "Forgery":
        for path in paths:
            del self.files[path]
        return self

    def move(self, old: str, new: str) -> "Forgery":
        self.files[new] = self.files.pop(old)
        return self

    def rebag(self) -> "Forgery":
        """Put the lists of files right, as any forger would."""
        lists = {"manifest-sha256.txt", "tagmanifest-sha256.txt"}
        for name, wanted in (("manifest-sha256.txt", True), ("tagmanifest-sha256.txt", False)):
            self.files[name] = b"".join(
                f"{sha256_hex(self.files[path])}  {path}\n".encode()
                for path in sorted(self.files)
                if path.startswith("data/") == wanted and path not in lists - {"manifest-sha256.txt"}
            )
        return self

    def verify(self, trust: Trust) -> Report:
        return verify(self, trust)

    def find(self, text: str) -> str:
        """Give the path of the one custody entry that holds `text`."""
        found = [
            path for path, data in self.files.items() if path.startswith("data/custody/") and text.encode() in data
        ]
        assert len([path for path in found if path.endswith(".json")]) == 1, found
        return next(path for path in found if path.endswith(".json"))


def failing(report: Report) -> set[str]:
    """Give the names of the checks that failed, of the bundle and of any segment."""
    return {name for name, check in report.checks.items() if check.verdict == "failed"} | {
        name for segment in report.segments for name, check in segment.checks.items() if check.verdict == "failed"
    }


def open_questions(report: Report) -> set[str]:
    """Give the names of the checks that established nothing."""
    return {name for name, check in report.checks.items() if check.verdict == "not-established"} | {
        name
        for segment in report.segments
        for name, check in segment.checks.items()
        if check.verdict == "not-established"
    }


VIDEO = b"".join(number.to_bytes(8, "big") * 8192 for number in range(2 * CHUNK // 65_536)) + b"tail of the video"
"""Two whole chunks, no two 64 KiB alike, and a short third."""


@dataclass(frozen=True)
class Case:
    """The station of most tests, with what they need to know about it."""

    station: Station
    video: SegmentId
    photo: SegmentId
    empty: SegmentId
    other: SegmentId
    export_seq: int


def ordinary_case(folder: Path) -> Case:
    """Two recorders, three dockings, a sighting, a classification taken back, a hold, derivatives, wipes, an export."""
    station = Station(folder=folder)
    station.genesis()
    card = {"DCIM/A.MP4": VIDEO, "DCIM/B.JPG": b"photo", "DCIM/C.MP4": b"", "DCIM/../odd name.txt": b"unrelated"}
    station.dock("dock-1", "rec-1", card)
    video = station.seal("dock-1", "rec-1", "DCIM/A.MP4", VIDEO)
    photo = station.seal("dock-1", "rec-1", "DCIM/B.JPG", b"photo", side_of=video)
    empty = station.seal("dock-1", "rec-1", "DCIM/C.MP4", b"", media=bodies.Unreadable(unreadable="empty file"))
    odd = station.seal("dock-1", "rec-1", "DCIM/../odd name.txt", b"unrelated")
    station.append(bodies.Anomaly(kind="clock-stepped", docking=DockingId("dock-1"), subject=None, detail={"ms": 1500}))
    first = station.classify(video, "case-9")
    station.clear_and_wipe("dock-1", {"DCIM/A.MP4": video, "DCIM/B.JPG": photo, "DCIM/C.MP4": empty}, 1)
    station.dock("dock-2", "rec-1", {"DCIM/../odd name.txt": b"unrelated"})
    station.append(bodies.Sighting(segment=odd, docking=DockingId("dock-2"), path="DCIM/../odd name.txt"))
    station.append(bodies.Undocking(docking=DockingId("dock-2"), outcome="interrupted", remaining=1))
    station.dock("dock-3", "rec-2", {"x.mp4": b"other camera"})
    other = station.seal("dock-3", "rec-2", "x.mp4", b"other camera")
    station.append(bodies.Undocking(docking=DockingId("dock-3"), outcome="kept", remaining=1))
    station.classify(video, "case-1", supersedes=first)
    station.classify(other, "case-2")
    case_1, case_9 = bodies.Subject(kind="case", id="case-1"), bodies.Subject(kind="case", id="case-9")
    reason = station.reason("request", "Investigation <opened>.")
    station.append(bodies.Hold(hold="h-1", subject=case_1, action="placed", reason=reason, reference=None))
    station.append(bodies.Hold(hold="h-2", subject=case_9, action="placed", reason=reason, reference=None))
    station.derive(video, "poster", b"a picture")
    station.append(("novelty", {"segment": video, "note": "a type of a later version"}))
    station.append(("unrelated", {"about": "nothing here"}))
    export_seq = station.export([video, photo, empty])
    return Case(station=station, video=video, photo=photo, empty=empty, other=other, export_seq=export_seq)


__all__ = [
    "CHUNK",
    "SALT",
    "START",
    "VIDEO",
    "Case",
    "Forgery",
    "Station",
    "bundle_name",
    "digest",
    "failing",
    "load_certificates",
    "open_questions",
    "ordinary_case",
]
