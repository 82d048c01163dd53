"""Everything that reads bytes which somebody else wrote, each with an example to start from.

A parser answers, or raises MalformedError or UnreadableError; anything else is a fault, and so is taking long or much
memory. hypothesis goes through them in every run of the tests, libFuzzer for as long as one likes: `make fuzz`.
"""

import json
import os
import warnings
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from edged.bundles.zips import ZipFiles
from edged.cases import feed
from edged.control import protocol as control
from edged.errors import MalformedError, UnreadableError
from edged.evidence import (
    canonical,
    cms,
    cosignatures,
    digests,
    entry,
    ids,
    note,
    policy,
    proofs,
    text,
    tiles,
    timestamps,
)
from edged.evidence.certificates import certify_epoch, load_certificates, load_crls, make_root, to_pem
from edged.evidence.identity import check_identity
from edged.evidence.ids import StationId
from edged.evidence.verification import bag, selection
from edged.mountd import protocol as mounting

NOTE: Final = (
    "example.org/a/b\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.org/a/b AAAAAAE=\n".encode()
)
PROOF: Final = b"c2sp.org/tlog-proof@v1\nindex 1\ngSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n\n" + NOTE
ENTRY: Final = (
    b'{"actor":"edged","body":{"docking":"d","path":"a%25","segment":"sg-0123456789abcdef0123456789abcdef"},"clock":"synchronised","epoch":"2026-11-0a1b",'
    b'"prev":"' + b"0" * 64 + b'","seq":0,"station":"s","time":"2026-11-21T08:00:00.123Z","type":"sighting","v":1}'
)
EXPORT: Final = canonical.encode({"v": 1, "export": "e", "segments": ["sg-" + "0" * 32], "entries": ["0" * 64]})
WITNESS_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(32))
WITNESS: Final = cosignatures.witness_vkey("example.org/w", WITNESS_KEY.public_key().public_bytes_raw())
POLICY: Final = f"# of two\nwitness w {WITNESS}\ngroup g any w\nquorum g\n".encode()
FEED: Final = (
    b"case,title,party,matter,stage,officer,recorder,from,until,case_file_until\n"
    b"c-1,Sealing,p-1,seizure,start,100123,DSJ0001,2026-11-21 09:00,2026-11-21 10:00,2036-12-31\n"
)
FEED_JSON: Final = json.dumps(
    [{"case": "c-1", "officer": "100123", "from": "2026-11-21T09:00", "until": "2026-11-21T10:00+08:00"}]
).encode()
_TIME: Final = Path(__file__).parents[1] / "vectors" / "time"
TOKEN, TSA, OVER = ((_TIME / name).read_bytes() for name in ("token.tsr", "tsa.pem", "checkpoint"))

NOW, LATER = datetime(2026, 11, 21, tzinfo=UTC), datetime(2036, 11, 21, tzinfo=UTC)
COSIGNATURE: Final = cosignatures.cosign("example.org/a/b\n", "example.org/w", WITNESS_KEY, NOW)
STATION, ORIGIN = StationId("s"), "a.b/s/e"
ROOT_KEY, ROOT = make_root(STATION, NOW, LATER)
LEAF: Final = certify_epoch(
    ROOT_KEY,
    ROOT,
    station=STATION,
    origin=ORIGIN,
    public_key=Ed25519PrivateKey.generate().public_key(),
    not_before=NOW,
    not_after=LATER,
)
CRL: Final = (
    x509.CertificateRevocationListBuilder()
    .issuer_name(ROOT.subject)
    .last_update(NOW)
    .next_update(LATER)
    .add_revoked_certificate(
        x509.RevokedCertificateBuilder()
        .serial_number(LEAF.serial_number)
        .revocation_date(NOW)
        .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        .add_extension(x509.InvalidityDate(NOW.replace(tzinfo=None)), critical=False)
        .build()
    )
    .sign(ROOT_KEY, None)
)


def _zip() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("top/bagit.txt"), b"x")
        archive.writestr(zipfile.ZipInfo("top/data/a"), b"yz")
    return out.getvalue()


def _open_zip(data: bytes) -> object:
    descriptor = os.memfd_create("fuzz")
    try:
        os.write(descriptor, data)
        files = ZipFiles(Path(f"/proc/self/fd/{descriptor}"))
        return [(each.path, sum(map(len, files.open(each.path)))) for each in files.listing()]
    finally:
        os.close(descriptor)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def judge_leaf(data: bytes) -> object:
    """Read a certificate as a station's, and ask who it is."""
    leaf, *others = load_certificates(data)
    return check_identity(leaf, others, [ROOT], station=STATION, origin=ORIGIN, at=NOW, crls=[CRL])


def _judge_crl(data: bytes) -> object:
    return check_identity(LEAF, [], [ROOT], station=STATION, origin=ORIGIN, at=NOW, crls=load_crls(data))


def _judge_token(data: bytes) -> object:
    return timestamps.judge(data, OVER, load_certificates(TSA), until=LATER, crls=[CRL])


PARSERS: Final[dict[str, tuple[Callable[[bytes], object], bytes]]] = {
    "canonical": (canonical.decode, ENTRY),
    "entry": (entry.parse, ENTRY),
    "note": (note.parse_note, NOTE),
    "checkpoint": (lambda data: note.parse_checkpoint(_text(data)), NOTE.partition(b"\n\n")[0] + b"\n"),
    "vkey": (
        lambda data: note.parse_vkey(_text(data)),
        b"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ),
    "cosignature": (cosignatures.parse_line, COSIGNATURE),
    "policy": (policy.parse, POLICY),
    "proof": (proofs.parse_proof, PROOF),
    "consistency": (proofs.parse_consistency, PROOF.replace(b"c2sp.org/tlog-proof@v1\nindex", b"old")),
    "bundle": (tiles.parse_bundle, b"\x00\x01a\x00\x00"),
    "chunks": (digests.parse_chunk_list, b"a" * 64 + b"\n"),
    "path": (lambda data: ids.unescape_path(_text(data)), b"a/%25b"),
    "origin": (lambda data: ids.split_origin(_text(data)), b"a.b/c/2026-11-0a1b"),
    "decimal": (lambda data: text.parse_decimal(_text(data), "it"), b"1234"),
    "base64": (lambda data: text.parse_base64(_text(data), "it"), b"AAAAAA=="),
    "certificates": (load_certificates, to_pem([ROOT])),
    "leaf": (judge_leaf, to_pem([LEAF])),
    "crls": (_judge_crl, CRL.public_bytes(Encoding.PEM)),
    "cms": (cms.open_response, TOKEN),
    "token": (_judge_token, TOKEN),
    "manifest": (bag._parse, b"0" * 64 + b"  data/export.json\n"),
    "export list": (selection.parse_export_list, EXPORT),
    "zip": (_open_zip, _zip()),
    "case feed": (lambda data: feed.parse("cases.csv", data, ZoneInfo("Asia/Shanghai")), FEED),
    "case feed json": (lambda data: feed.parse("cases.json", data, ZoneInfo("Asia/Shanghai")), FEED_JSON),
    "control request": (control.read_request, b'{"do":"status","all":true}\n'),
    "mount request": (mounting.read_request, b'{"do":"mount","device":"8:17","medium":3}\n'),
}


def parses(parse: Callable[[bytes], object], data: bytes) -> bool:
    """Say whether `data` is accepted; any error but those that say what is wrong with it is a fault."""
    with warnings.catch_warnings():
        # cryptography warns of certificates that it reads although they are slightly wrong.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            parse(data)
        except (MalformedError, UnreadableError):
            return False
    return True
