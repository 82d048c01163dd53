"""A bundle with anchors, for tests: an authority made of `openssl ts`, witnesses, and a station that used both.

The log has three checkpoints: of its first entry, whose token the later entries cite as `after`; of all that was
sealed; and of the export. Each entry is proven by the earliest that covers it, as EVIDENCE.md, section 6, asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.evidence import bodies, cosignatures, policy, timestamps
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import DockingId, SegmentId
from edged.evidence.note import parse_checkpoint, parse_note
from edged.evidence.proofs import format_consistency, format_proof
from edged.evidence.text import to_base64
from edged.evidence.verification import Trust
from hwsim.authority import Authority, Behaviour
from tests.unit.bundle_station import START, Forgery, Station

FIRST = START + timedelta(hours=1)
SEALED = START + timedelta(hours=2)
EXPORTED = START + timedelta(hours=3)
NOW = START + timedelta(days=10)
TERM = START - timedelta(days=30), START + timedelta(days=365)
"""Of the authority's certificate."""


@dataclass(frozen=True)
class Witness:
    name: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def vkey(self) -> str:
        return cosignatures.witness_vkey(self.name, self.key.public_key().public_bytes_raw())

    def line(self, note: bytes, moment: datetime) -> bytes:
        return cosignatures.cosign(parse_note(note).text, self.name, self.key, moment)


def policy_of(witnesses: Sequence[Witness], rule: str, names: str = "abcdefgh") -> policy.Policy:
    """Make a policy of witnesses called a, b, c … of which `rule` (`any`, `all`, a number) must have cosigned."""
    lines = [f"witness {name} {each.vkey}" for name, each in zip(names, witnesses, strict=False)]
    members = " ".join(names[: len(witnesses)])
    lines += ["quorum none"] if rule == "none" else [f"group them {rule} {members}", "quorum them"]
    return policy.parse("".join(f"{line}\n" for line in lines).encode())


def made_authority(folder: Path, name: str = "TSA", **options: object) -> Authority:
    term = {"not_before": TERM[0], "not_after": TERM[1]} | options
    return Authority(folder, name=name, **term).make()  # type: ignore[arg-type]


def stamped(authority: Authority, data: bytes, at: datetime, behaviour: Behaviour = "honest") -> bytes:
    return authority.stamp(timestamps.request(data, 7), at=at, behaviour=behaviour)


@dataclass
class Anchored:
    """A station whose log an authority stamped, and the bundle of its one segment."""

    station: Station
    authority: Authority
    segment: SegmentId
    first: int
    sealed: int
    exported: int
    """Sizes of the three checkpoints."""
    bundle: Forgery

    @property
    def logs(self) -> str:
        return f"data/logs/{self.station.name}/{self.station.epoch}"

    def trust(self, **changes: object) -> Trust:
        given: dict[str, object] = {"roots": (self.station.root,), "authorities": (self.authority.root,), "now": NOW}
        return Trust(**(given | changes))  # type: ignore[arg-type]

    def note(self, size: int) -> bytes:
        return self.station.heads[size]

    def token(self, size: int, name: str = "tsa") -> str:
        return f"{self.logs}/{size}/{name}.tsr"

    def entry(self, name: str = "entry.json") -> str:
        return f"data/segments/{self.segment}/{name}"

    def stamp(self, size: int, at: datetime, behaviour: Behaviour = "honest") -> bytes:
        return stamped(self.authority, self.note(size), at, behaviour)

    def prove(self, bundle: Forgery, path: str, seq: int, size: int) -> Forgery:
        """Prove an entry by the checkpoint of a size, in the form that has the most signatures."""
        note = bundle.files.get(f"{self.logs}/{size}/checkpoint.cosigned", self.note(size))
        return bundle.add(path, format_proof(seq, self.station.inclusion_proof(seq, size), note))

    def prove_all(self, bundle: Forgery) -> Forgery:
        """Prove every entry by the earliest checkpoint that covers it."""
        sizes = (self.first, self.sealed, self.exported)
        for path in [each for each in bundle.files if each.endswith(".tlog-proof")]:
            entry = bundle.files[path.replace(".tlog-proof", ".json")]
            seq = self.station.entries.index(entry)
            self.prove(bundle, path, seq, min(size for size in sizes if size > seq))
        return bundle

    def cosign(self, bundle: Forgery, size: int, *lines: bytes) -> Forgery:
        """Put witness lines to a checkpoint, and to the proofs that end in it."""
        bundle.add(f"{self.logs}/{size}/checkpoint.cosigned", self.note(size) + b"".join(lines))
        return self.prove_all(bundle)

    def replaced(self, **tokens: bytes) -> Forgery:
        """Give the bundle with other tokens: keys are `first`, `sealed`, `exported`."""
        bundle = self.bundle.copy()
        for key, data in tokens.items():
            bundle.add(self.token(getattr(self, key)), data)
        return bundle.rebag()


def anchored(folder: Path, authority: Authority, *, cite: bool = True) -> Anchored:
    """Make the station and its bundle; `cite` has entries cite the first token as `after`."""
    station = Station(folder=folder)
    station.genesis()
    first = station.sign()
    token = stamped(authority, station.heads[first], FIRST)
    station.after = sha256_hex(token) if cite else None
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a")
    station.append(bodies.Undocking(docking=DockingId("d"), outcome="kept", remaining=1))
    sealed = station.sign()
    second = stamped(authority, station.heads[sealed], SEALED)
    for size, data in ((first, token), (sealed, second)):
        station.append(anchor_entry(station, size, data, segment))
    exported = len(station.entries) + 1
    bundle = station.bundle(station.export([segment]), folder / "bundle")
    made = Anchored(station, authority, segment, first, sealed, exported, bundle)
    for old, size in ((first, sealed), (sealed, exported)):
        bundle.add(f"{made.logs}/{old}/checkpoint", station.heads[old])
        hashes = station.consistency_proof(old, size)
        bundle.add(f"{made.logs}/{size}/from-{old}.consistency", format_consistency(old, hashes, station.heads[size]))
    last = stamped(authority, station.heads[exported], EXPORTED)
    for size, data in ((first, token), (sealed, second), (exported, last)):
        bundle.add(made.token(size), data)
    if cite:
        bundle.add(f"data/anchors/{sha256_hex(token)}", token)
    made.prove_all(bundle).rebag()
    return made


def anchor_entry(station: Station, size: int, token: bytes, segment: SegmentId, **changes: object) -> bodies.Anchor:
    body = {
        "kind": "rfc3161",
        "origin": station.origin,
        "size": size,
        "root": to_base64(parse_checkpoint(parse_note(station.heads[size]).text).root),
        "sha256": sha256_hex(token),
        "by": "TSA",
        "segment": segment,  # a further key, so that the entry concerns the segment
    }
    return bodies.Anchor.model_validate(body | changes)
