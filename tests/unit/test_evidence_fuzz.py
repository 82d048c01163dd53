"""Every parser of the room against damaged bytes: an answer or `MalformedError`, nothing else."""

import base64
import warnings
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import MalformedError
from edged.evidence import canonical, digests, entry, ids, note, proofs, text, tiles
from edged.evidence.certificates import certify_epoch, load_certificates, load_crls, make_root, to_pem
from edged.evidence.identity import check_identity
from edged.evidence.ids import StationId

NOTE = "example.org/a/b\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.org/a/b AAAAAAE=\n".encode()
PROOF = b"c2sp.org/tlog-proof@v1\nindex 1\ngSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n\n" + NOTE
ENTRY = (
    b'{"actor":"edged","body":{"docking":"d","path":"a%25","segment":"sg-0123456789abcdef0123456789abcdef"},"clock":"synchronised","epoch":"2026-11-0a1b",'
    b'"prev":"' + b"0" * 64 + b'","seq":0,"station":"s","time":"2026-11-21T08:00:00.123Z","type":"sighting","v":1}'
)
NOW, LATER = datetime(2026, 11, 21, tzinfo=UTC), datetime(2036, 11, 21, tzinfo=UTC)
STATION, ORIGIN = StationId("s"), "a.b/s/e"
ROOT_KEY, ROOT = make_root(STATION, NOW, LATER)
LEAF = certify_epoch(
    ROOT_KEY,
    ROOT,
    station=STATION,
    origin=ORIGIN,
    public_key=Ed25519PrivateKey.generate().public_key(),
    not_before=NOW,
    not_after=LATER,
)
CRL = (
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
PARSERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "canonical": (canonical.decode, ENTRY),
    "entry": (entry.parse, ENTRY),
    "note": (note.parse_note, NOTE),
    "checkpoint": (
        lambda data: note.parse_checkpoint(data.decode("utf-8", "surrogateescape")),
        NOTE.partition(b"\n\n")[0] + b"\n",
    ),
    "vkey": (
        lambda data: note.parse_vkey(data.decode("utf-8", "surrogateescape")),
        b"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ),
    "proof": (proofs.parse_proof, PROOF),
    "consistency": (proofs.parse_consistency, PROOF.replace(b"c2sp.org/tlog-proof@v1\nindex", b"old")),
    "bundle": (tiles.parse_bundle, b"\x00\x01a\x00\x00"),
    "chunks": (digests.parse_chunk_list, b"a" * 64 + b"\n"),
    "path": (lambda data: ids.unescape_path(data.decode("utf-8", "surrogateescape")), b"a/%25b"),
    "origin": (lambda data: ids.split_origin(data.decode("utf-8", "surrogateescape")), b"a.b/c/2026-11-0a1b"),
    "decimal": (lambda data: text.parse_decimal(data.decode("utf-8", "surrogateescape"), "it"), b"1234"),
    "base64": (lambda data: text.parse_base64(data.decode("utf-8", "surrogateescape"), "it"), b"AAAAAA=="),
    "certificates": (load_certificates, to_pem([ROOT])),
    "crls": (load_crls, CRL.public_bytes(Encoding.PEM)),
}


def parses(parse: Callable[[bytes], object], data: bytes) -> bool:
    """Say whether `data` is accepted; anything but MalformedError is an error of the test."""
    with warnings.catch_warnings():
        # cryptography warns of certificates that it reads although they are slightly wrong.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            parse(data)
        except MalformedError:
            return False
    return True


@pytest.mark.parametrize("kind", sorted(PARSERS))
@settings(deadline=None, max_examples=60)
@given(data=st.binary())
def test_arbitrary_bytes(kind: str, data: bytes) -> None:
    parses(PARSERS[kind][0], data)


@pytest.mark.parametrize("kind", sorted(PARSERS))
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damaged_bytes(kind: str, data: st.DataObject) -> None:
    parse, good = PARSERS[kind]
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 8)))
    put = data.draw(
        st.sampled_from([b"", b"\x00", b"\n", b"9" * 5000, "٣".encode(), b"\xff", b"="]) | st.binary(max_size=4)
    )
    parses(parse, good[:start] + put + good[end:])


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2000), st.integers(0, 255), st.booleans())
def test_damaged_certificate_is_refused_or_judged(at: int, value: int, is_root: bool) -> None:  # noqa: FBT001
    der = bytearray((ROOT if is_root else LEAF).public_bytes(Encoding.DER))
    der[at % len(der)] = value
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(bytes(der)) + b"-----END CERTIFICATE-----\n"

    def judge(data: bytes) -> None:
        (damaged,) = load_certificates(data)
        leaf, root = (LEAF, damaged) if is_root else (damaged, ROOT)
        check_identity(leaf, [damaged], [root], station=STATION, origin=ORIGIN, at=NOW, crls=[CRL])

    parses(judge, pem)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2000), st.integers(0, 255))
def test_damaged_revocation_list_is_refused_or_judged(at: int, value: int) -> None:
    der = bytearray(CRL.public_bytes(Encoding.DER))
    der[at % len(der)] = value

    def judge(data: bytes) -> None:
        check_identity(LEAF, [], [ROOT], station=STATION, origin=ORIGIN, at=NOW, crls=load_crls(data))

    parses(judge, bytes(der))


@pytest.mark.parametrize("kind", sorted(PARSERS))
def test_the_undamaged_bytes_are_accepted(kind: str) -> None:
    assert parses(*PARSERS[kind])
