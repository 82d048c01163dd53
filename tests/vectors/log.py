"""The small log, its certificates and its bundle, of which the test vectors are made; keys are from fixed seeds.

Nothing here is secret: the seeds are in this file. No root, witness or station of the vectors may ever be trusted.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from edged.clock import rfc3339
from edged.evidence import canonical, cosignatures, merkle
from edged.evidence.certificates import fingerprint, to_pem
from edged.evidence.digests import Digester, sha256_hex
from edged.evidence.ids import RecorderId, bundle_name, segment_id
from edged.evidence.note import Checkpoint, parse_note, sign_note, vkey
from edged.evidence.proofs import format_consistency, format_proof
from edged.evidence.text import to_base64

START = datetime(2026, 11, 21, 8, 0, 0, 123000, tzinfo=UTC)
STAMPED = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
"""What the token says."""
STATION, EPOCH, DOMAIN = "st-07", "2026-11-ab12", "evidence.example"
ORIGIN = f"{DOMAIN}/{STATION}/{EPOCH}"
PATH = "DCIM/100/视频 1.MP4"
FILM = b"Not a film, but these bytes stand for one.\n"
SALT = "0123456789abcdef0123456789abcdef"
EXPORT = "ex-1"


def seed(name: str) -> bytes:
    """Give the 32 bytes from which the key of a name is made."""
    return hashlib.sha256(b"edged test vectors: " + name.encode()).digest()


def key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed(name))


WITNESSES = ("witness.example/w1", "witness.example/w2")


def _certificate(serial: int, subject: x509.Name, holder: str, *, origin: str | None) -> x509.Certificate:
    """Make a certificate by the root: of the root itself, or of the key of a log."""
    root = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"self-made by {STATION}")])
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    authority = origin is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(root)
        .public_key(key(holder).public_key())
        .serial_number(serial)
        .not_valid_before(START.replace(microsecond=0) - timedelta(days=1))
        .not_valid_after(START.replace(microsecond=0) + timedelta(days=3650 if authority else 400))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage),
            critical=True,
        )
    )
    if origin is not None:
        uri = x509.UniformResourceIdentifier(f"tlog:{origin}")
        builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=False)
    return builder.sign(key("root"), None)


ROOT = _certificate(
    1, x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"self-made by {STATION}")]), "root", origin=None
)
LEAF = _certificate(2, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, STATION)]), "station", origin=ORIGIN)


def revocation(reason: x509.ReasonFlags, since: datetime) -> bytes:
    """Give the root's revocation list in PEM, with the station's certificate on it."""
    moment = since.replace(microsecond=0, tzinfo=None)
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(LEAF.serial_number)
        .revocation_date(moment)
        .add_extension(x509.CRLReason(reason), critical=False)
        .add_extension(x509.InvalidityDate(moment), critical=False)
    )
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ROOT.subject)
        .last_update(moment)
        .next_update(moment + timedelta(days=30))
        .add_revoked_certificate(entry.build())
    )
    return crl.sign(key("root"), None).public_bytes(Encoding.PEM)


class Log:
    """Entries, nodes of the tree, signed checkpoints."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self._nodes: dict[tuple[int, int], bytes] = {}

    def append(self, kind: str, body: Mapping[str, object], *, actor: str = "edged", after: str | None = None) -> str:
        """Write an entry and give its reference."""
        seq = len(self.entries)
        entry: dict[str, object] = {
            "v": 1,
            "type": kind,
            "station": STATION,
            "epoch": EPOCH,
            "seq": seq,
            "prev": hashlib.sha256(self.entries[-1]).hexdigest() if seq else "0" * 64,
            "time": rfc3339(START + timedelta(seconds=seq)),
            "clock": "synchronised",
            "actor": actor,
            "body": dict(body),
        }
        data = canonical.encode(entry if after is None else {**entry, "after": after})
        for level, index, node in merkle.appended_nodes(seq, merkle.leaf_hash(data), self.node):
            self._nodes[level, index] = node
        self.entries.append(data)
        return sha256_hex(data)

    def node(self, level: int, index: int) -> bytes:
        return self._nodes[level, index]

    def root(self, size: int) -> bytes:
        return merkle.root(size, self.node)

    def checkpoint(self, size: int) -> bytes:
        """Give the signed checkpoint of a size."""
        return sign_note(Checkpoint(origin=ORIGIN, size=size, root=self.root(size)).text(), ORIGIN, key("station"))

    def proof(self, seq: int, size: int, note: bytes) -> bytes:
        return format_proof(seq, merkle.inclusion_proof(seq, size, self.node), note)

    def extension(self, old: int, new: int, note: bytes) -> bytes:
        return format_consistency(old, merkle.consistency_proof(old, new, self.node), note)


def cosignature(name: str, note: bytes, moment: datetime) -> bytes:
    return cosignatures.cosign(parse_note(note).text, name, key(name), moment)


def witness_key(name: str) -> str:
    return cosignatures.witness_vkey(name, key(name).public_key().public_bytes_raw())


def reason(code: str, text: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Give a reason as an entry has it, and as `texts.json` has its words."""
    digest = sha256_hex((SALT + text).encode())
    return {"code": code, "text": digest}, {digest: {"salt": SALT, "text": text}}


def small_bundle(token: bytes | None) -> tuple[Log, dict[str, bytes]]:
    """Write the log of one docking with one file, and give the bundle of its export; `token` is over its last size."""
    log, files = Log(), dict[str, bytes]()
    begun, texts = reason("first", "A station begins.")
    key_of_log = key("station").public_key().public_bytes_raw()
    log.append(
        "genesis",
        {
            "origin": ORIGIN,
            "public_key": vkey(ORIGIN, key_of_log),
            "certificate_sha256": fingerprint(LEAF),
            "previous": None,
            "software": "test vectors",
            "reason": begun,
        },
    )
    first = log.checkpoint(1)
    line = cosignature(WITNESSES[0], first, START + timedelta(minutes=1))
    after = sha256_hex(line)
    item = {"path": PATH, "kind": "file", "bytes": len(FILM), "modified": "2026-11-21T06:00:42Z", "created": None}
    inventory = canonical.encode(
        {
            "v": 1,
            "docking": "dock-1",
            "filesystem": {"type": "exfat", "label": "BWC", "serial": "1234-5678"},
            "items": [item],
        }
    )
    recorder = {"id": "rec-1", "vendor": "V", "model": "M", "serial": "0001", "known": True}
    log.append(
        "docking",
        {
            "docking": "dock-1",
            "bay": "bay-1",
            "recorder": recorder,
            "officer": "138001",
            "inventory_sha256": sha256_hex(inventory),
            "files": 1,
            "bytes": len(FILM),
            "clock_offset_ms": None,
            "clock_uncertainty_ms": None,
            "clock_set": False,
            "missing": 0,
        },
        after=after,
    )
    digester = Digester()
    digester.update(FILM)
    found = digester.finish()
    segment = segment_id(RecorderId("rec-1"), found.sha256)
    start, end = "2026-11-21T14:00:00+08:00", "2026-11-21T14:00:42+08:00"
    log.append(
        "segment",
        {
            "segment": segment,
            "docking": "dock-1",
            "path": PATH,
            "bytes": found.size_bytes,
            "sha256": found.sha256,
            "sm3": hashlib.new("sm3", FILM).hexdigest(),
            "chunks": {"size": 8388608, "count": found.chunk_count, "sha256": found.chunks_sha256},
            "recorder": "rec-1",
            "recorder_seq": 1,
            "recorder_prev": None,
            "officer": "138001",
            "recorded": {
                "start": start,
                "end": end,
                "zone": "Asia/Shanghai",
                "source": "filename",
                "uncertainty_ms": 1000,
            },
            "media": {"unreadable": "no film at all"},
            "important": False,
            "side_of": None,
            "quarantine": None,
        },
        after=after,
    )
    log.append("undocking", {"docking": "dock-1", "outcome": "kept", "remaining": 1}, after=after)
    log.append(
        "anchor",
        {
            "kind": "cosignature",
            "origin": ORIGIN,
            "size": 1,
            "root": to_base64(log.root(1)),
            "sha256": after,
            "by": WITNESSES[0],
            "segment": segment,
        },
        after=after,
    )
    listed = canonical.encode(
        {"v": 1, "export": EXPORT, "segments": [segment], "entries": sorted(map(sha256_hex, log.entries))}
    )
    asked, more = reason("court", "Asked for by the court.")
    log.append(
        "export",
        {
            "export": EXPORT,
            "selection": {"segments": [segment]},
            "purpose": asked,
            "list_sha256": sha256_hex(listed),
        },
        actor="user:li",
        after=after,
    )
    size = len(log.entries)
    last = log.checkpoint(size)
    cosigned = [cosignature(name, last, STAMPED + timedelta(minutes=number)) for number, name in enumerate(WITNESSES)]
    notes = {1: first + line, size: last + b"".join(cosigned)}
    logs = f"data/logs/{STATION}/{EPOCH}"
    files |= {
        "bag-info.txt": f"External-Identifier: {EXPORT}\nSource-Organization: {STATION}\n".encode(),
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "data/export.json": listed,
        "data/texts.json": canonical.encode(texts | more),
        f"data/anchors/{after}": line,
        f"data/anchors/{after}.checkpoint": first,
        "data/dockings/dock-1/inventory.json": inventory,
        f"data/segments/{segment}/{bundle_name(PATH)}": FILM,
        f"data/segments/{segment}/chunks.sha256": found.chunk_list,
        f"{logs}/station.pem": to_pem([LEAF]),
        f"{logs}/{size}/from-1.consistency": log.extension(1, size, notes[size]),
    }
    for each, note in ((1, first), (size, last)):
        files |= {f"{logs}/{each}/checkpoint": note, f"{logs}/{each}/checkpoint.cosigned": notes[each]}
    if token is not None:
        files[f"{logs}/{size}/tsa.tsr"] = token
    for seq, data in enumerate(log.entries):
        place = f"data/custody/{STATION}/{EPOCH}/{seq}"
        if b'"type":"segment"' in data:
            place = f"data/segments/{segment}/entry"
        files[f"{place}.json"] = data
        covering = 1 if seq == 0 else size
        files[f"{place}.tlog-proof"] = log.proof(seq, covering, notes[covering])
    return log, listed_files(files)


def listed_files(files: dict[str, bytes]) -> dict[str, bytes]:
    """Give the files with the two lists of them that make a folder a bag."""

    def manifest(names: list[str]) -> bytes:
        return b"".join(f"{sha256_hex(files[name])}  {name}\n".encode() for name in sorted(names))

    files["manifest-sha256.txt"] = manifest([name for name in files if name.startswith("data/")])
    files["tagmanifest-sha256.txt"] = manifest([name for name in files if not name.startswith("data/")])
    return files
