"""The `identity` row of section 7: what is verified, what contradicts, and what nobody can establish."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID, ObjectIdentifier

from edged.evidence.certificates import load_certificates
from edged.evidence.identity import Identity, check_identity
from edged.evidence.ids import StationId

T = datetime(2026, 11, 21, 8, 0, 0, 500_000, tzinfo=UTC)
DAY = timedelta(days=1)
STATION, ORIGIN = StationId("st-1"), "example.org/st-1/2026-11-0a1b"
URI = x509.UniformResourceIdentifier(f"tlog:{ORIGIN}")
Key = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Reason = x509.ReasonFlags


def usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A certificate with its key."""

    key: Key
    certificate: x509.Certificate


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a certificate is to hold."""

    subject: str
    is_authority: bool = False
    path_length: int | None = None
    constraints: bool = True
    usage: x509.KeyUsage | None = None
    names: tuple[x509.GeneralName, ...] = ()
    start: datetime = T - 10 * DAY
    end: datetime = T + 10 * DAY
    further: tuple[tuple[x509.ExtensionType, bool], ...] = ()


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) if text else x509.Name([])


def make(wish: Wish, issuer: Holder | None = None, key: Key | None = None) -> Holder:
    key = key or Ed25519PrivateKey.generate()
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(wish.subject))
        .issuer_name(issuer.certificate.subject if issuer else name(wish.subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(wish.start)
        .not_valid_after(wish.end)
    )
    if wish.constraints:
        extension = x509.BasicConstraints(ca=wish.is_authority, path_length=wish.path_length)
        builder = builder.add_extension(extension, critical=True)
    if wish.usage:
        builder = builder.add_extension(wish.usage, critical=True)
    if wish.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(wish.names), critical=False)
    for further, critical in wish.further:
        builder = builder.add_extension(further, critical=critical)
    digest = None if isinstance(signer, Ed25519PrivateKey) else hashes.SHA256()
    return Holder(key=key, certificate=builder.sign(signer, digest))


CA = Wish(subject="Root", is_authority=True, usage=usage(key_cert_sign=True))
MIDDLE = Wish(subject="Middle", is_authority=True, usage=usage(key_cert_sign=True))
LEAF = Wish(subject=STATION, usage=usage(digital_signature=True), names=(URI,))
ROOT = make(CA)
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def check(
    leaf: Holder,
    *intermediates: Holder,
    roots: tuple[Holder, ...] = (ROOT,),
    at: datetime = T,
    crls: tuple[x509.CertificateRevocationList, ...] = (),
) -> Identity:
    return check_identity(
        leaf.certificate,
        [each.certificate for each in intermediates],
        [each.certificate for each in roots],
        station=STATION,
        origin=ORIGIN,
        at=at,
        crls=crls,
    )


def revoke(
    holder: Holder,
    when: datetime,
    reason: Reason | None,
    *,
    invalid_since: datetime | None = None,
    issuer: Holder = ROOT,
    signer: Holder | None = None,
) -> x509.CertificateRevocationList:
    revoked = x509.RevokedCertificateBuilder().serial_number(holder.certificate.serial_number).revocation_date(when)
    if reason is not None:
        revoked = revoked.add_extension(x509.CRLReason(reason), critical=False)
    if invalid_since is not None:
        revoked = revoked.add_extension(x509.InvalidityDate(invalid_since.replace(tzinfo=None)), critical=False)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(when)
        .next_update(when + DAY)
        .add_revoked_certificate(revoked.build())
    )
    key = (signer or issuer).key
    return builder.sign(key, None if isinstance(key, Ed25519PrivateKey) else hashes.SHA256())


def test_direct_and_longer_chains_are_verified() -> None:
    middle = make(MIDDLE, ROOT)
    lower = make(replace(MIDDLE, subject="Lower"), middle)
    assert check(make(LEAF, ROOT)).verdict == "verified"
    found = check(make(LEAF, lower), middle, lower)
    assert found.verdict == "verified"
    assert found.root == ROOT.certificate


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_authorities_with_other_kinds_of_keys_are_followed(kind: str) -> None:
    key: Key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP384R1())
    root = make(CA, key=key)
    leaf = make(LEAF, root)
    assert check(leaf, roots=(root,)).verdict == "verified"
    crl = revoke(leaf, T - DAY, Reason.superseded, issuer=root)
    assert check(leaf, roots=(root,), crls=(crl,)).verdict == "failed"


def test_without_a_root_nothing_is_established() -> None:
    found = check(make(LEAF, ROOT), roots=())
    assert (found.verdict, found.root) == ("not-established", None)


def test_root_that_came_with_the_evidence_proves_nothing() -> None:
    assert check(make(LEAF, ROOT), ROOT, roots=(make(CA),)).verdict == "not-established"
    assert check(make(LEAF, ROOT), ROOT, roots=()).verdict == "not-established"


def test_impostor_root_of_the_same_name_is_no_path() -> None:
    impostor = make(CA)
    assert check(make(LEAF, impostor), impostor).verdict == "not-established"


def test_self_signed_leaf_given_as_its_own_root_is_no_path() -> None:
    leaf = make(LEAF)
    assert check(leaf, roots=(leaf,)).verdict == "not-established"


@pytest.mark.parametrize(
    "wish",
    [
        replace(LEAF, subject="st-2"),
        replace(LEAF, subject=""),
        replace(LEAF, names=()),
        replace(LEAF, names=(x509.UniformResourceIdentifier("tlog:example.org/st-1/2026-12-0000"),)),
        replace(LEAF, names=(x509.UniformResourceIdentifier(ORIGIN),)),
        replace(LEAF, names=(x509.DNSName(f"tlog:{ORIGIN}"),)),
        replace(LEAF, names=(URI, x509.UniformResourceIdentifier("tlog:example.org/st-1/2026-12-0000"))),
        replace(LEAF, usage=None),
        replace(LEAF, usage=x509.KeyUsage(*[False, True] + [False] * 7)),
        replace(LEAF, usage=usage(digital_signature=True, key_cert_sign=True)),
        replace(LEAF, is_authority=True),
        replace(LEAF, end=T - DAY),
        replace(LEAF, start=T + DAY),
    ],
)
def test_certificate_that_contradicts_fails(wish: Wish) -> None:
    assert check(make(wish, ROOT)).verdict == "failed"


@pytest.mark.parametrize("wish", [replace(LEAF, subject="st-2"), replace(LEAF, end=T - DAY)])
def test_certificate_that_contradicts_fails_even_without_a_root(wish: Wish) -> None:
    assert check(make(wish, ROOT), roots=()).verdict == "failed"


def test_origin_that_no_certificate_could_hold_fails() -> None:
    leaf = make(LEAF, ROOT).certificate
    found = check_identity(leaf, [], [ROOT.certificate], station=STATION, origin="采集站.example/a/b", at=T)
    assert found.verdict == "failed"


def test_hostile_name_in_a_certificate_is_quoted() -> None:
    middle = make(replace(MIDDLE, subject="Middle\n\x1b[32mverified", end=T - DAY), ROOT)
    found = check(make(LEAF, middle), middle)
    assert found.verdict == "failed"
    assert found.detail.isprintable()


def test_key_of_another_kind_fails() -> None:
    assert check(make(LEAF, ROOT, key=ec.generate_private_key(ec.SECP256R1()))).verdict == "failed"


def test_second_station_in_the_subject_fails() -> None:
    leaf = Ed25519PrivateKey.generate()
    both = [x509.NameAttribute(NameOID.COMMON_NAME, text) for text in (STATION, "st-2")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(both))
        .issuer_name(ROOT.certificate.subject)
        .public_key(leaf.public_key())
        .serial_number(7)
        .not_valid_before(T - DAY)
        .not_valid_after(T + DAY)
        .add_extension(usage(digital_signature=True), critical=True)
        .add_extension(x509.SubjectAlternativeName([URI]), critical=False)
        .sign(ROOT.key, None)
    )
    assert check(Holder(key=leaf, certificate=certificate)).verdict == "failed"


def test_validity_includes_its_first_and_last_second() -> None:
    leaf = make(replace(LEAF, start=T, end=T), ROOT)
    assert check(leaf, at=T).verdict == "verified"
    assert check(leaf, at=T + timedelta(seconds=1)).verdict == "failed"
    assert check(leaf, at=T - timedelta(seconds=1)).verdict == "failed"


@pytest.mark.parametrize(
    "wish",
    [
        replace(MIDDLE, is_authority=False),
        replace(MIDDLE, constraints=False),
        replace(MIDDLE, usage=usage(digital_signature=True)),
        replace(MIDDLE, end=T - DAY),
        replace(MIDDLE, start=T + DAY),
    ],
)
def test_chain_through_what_may_not_issue_fails(wish: Wish) -> None:
    middle = make(wish, ROOT)
    assert check(make(LEAF, middle), middle).verdict == "failed"


def test_epoch_certificate_does_not_certify_another_epoch() -> None:
    stolen = make(LEAF, ROOT)
    assert check(make(LEAF, stolen), stolen).verdict == "failed"


@pytest.mark.parametrize(
    "wish", [replace(CA, is_authority=False), replace(CA, constraints=False), replace(CA, end=T - DAY)]
)
def test_given_root_has_to_be_a_valid_authority_too(wish: Wish) -> None:
    root = make(wish)
    assert check(make(LEAF, root), roots=(root,)).verdict == "failed"


def test_path_length_counts_the_authorities_below() -> None:
    root = make(replace(CA, path_length=0))
    middle = make(MIDDLE, root)
    assert check(make(LEAF, root), roots=(root,)).verdict == "verified"
    assert check(make(LEAF, middle), middle, roots=(root,)).verdict == "failed"
    root = make(replace(CA, path_length=1))
    middle = make(replace(MIDDLE, path_length=0), root)
    lower = make(replace(MIDDLE, subject="Lower"), middle)
    assert check(make(LEAF, middle), middle, roots=(root,)).verdict == "verified"
    assert check(make(LEAF, lower), lower, middle, roots=(root,)).verdict == "failed"


def test_extension_that_is_critical_and_unknown_establishes_nothing() -> None:
    wish = replace(LEAF, further=((UNKNOWN, True),))
    assert check(make(wish, ROOT)).verdict == "not-established"
    middle = make(replace(MIDDLE, further=((UNKNOWN, True),)), ROOT)
    assert check(make(LEAF, middle), middle).verdict == "not-established"
    assert check(make(replace(LEAF, further=((UNKNOWN, False),)), ROOT)).verdict == "verified"


@pytest.mark.parametrize("critical", [True, False])
def test_name_constraints_are_never_passed_over(critical: bool) -> None:  # noqa: FBT001
    constraint = x509.NameConstraints([x509.DNSName("example.org")], None)
    middle = make(replace(MIDDLE, further=((constraint, critical),)), ROOT)
    assert check(make(LEAF, middle), middle).verdict == "not-established"


def test_one_good_chain_is_enough() -> None:
    key = Ed25519PrivateKey.generate()
    expired, good = make(replace(MIDDLE, end=T - DAY), ROOT, key), make(MIDDLE, ROOT, key)
    leaf = make(LEAF, good)
    assert check(leaf, expired, good).verdict == "verified"
    assert check(leaf, expired).verdict == "failed"


def test_loop_of_certificates_ends() -> None:
    one, two = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    a = make(replace(MIDDLE, subject="A"), key=one)
    b = make(replace(MIDDLE, subject="B"), a, two)
    a_by_b = make(replace(MIDDLE, subject="A"), b, one)
    b_by_a = make(replace(MIDDLE, subject="B"), a_by_b, two)
    assert check(make(LEAF, a), a, b, a_by_b, b_by_a).verdict == "not-established"


def test_flood_of_intermediates_is_not_searched() -> None:
    key = Ed25519PrivateKey.generate()
    flood = [make(replace(MIDDLE, subject="X"), key=key) for _ in range(40)]
    found = check(make(LEAF, flood[0]), *flood)
    assert found.verdict == "not-established"
    assert "intermediate" in found.detail


REVOCATIONS: list[tuple[Callable[[Holder], x509.CertificateRevocationList], str]] = [
    (lambda leaf: revoke(leaf, T - DAY, Reason.superseded), "failed"),
    (lambda leaf: revoke(leaf, T - DAY, None), "failed"),
    (lambda leaf: revoke(leaf, T, Reason.cessation_of_operation), "failed"),
    (lambda leaf: revoke(leaf, T - DAY, Reason.certificate_hold), "failed"),
    (lambda leaf: revoke(leaf, T + DAY, Reason.superseded), "verified"),
    (lambda leaf: revoke(leaf, T - DAY, Reason.remove_from_crl), "verified"),
    (lambda leaf: revoke(leaf, T + DAY, Reason.key_compromise, invalid_since=T - DAY), "not-established"),
    (lambda leaf: revoke(leaf, T - DAY, Reason.key_compromise, invalid_since=T), "not-established"),
    (lambda leaf: revoke(leaf, T - DAY, Reason.key_compromise, invalid_since=T + DAY), "verified"),
    (lambda leaf: revoke(leaf, T + DAY, Reason.key_compromise), "not-established"),
    (lambda leaf: revoke(leaf, T - DAY, Reason.key_compromise), "not-established"),
    (lambda leaf: revoke(leaf, T - DAY, Reason.superseded, signer=make(CA)), "verified"),
    (lambda leaf: revoke(leaf, T - DAY, Reason.superseded, issuer=make(replace(CA, subject="Other"))), "verified"),
]


@pytest.mark.parametrize(("crl", "verdict"), REVOCATIONS)
def test_revocation(crl: Callable[[Holder], x509.CertificateRevocationList], verdict: str) -> None:
    leaf = make(LEAF, ROOT)
    assert check(leaf, crls=(crl(leaf),)).verdict == verdict


def test_revocation_of_another_certificate_is_not_ours() -> None:
    crl = revoke(make(LEAF, ROOT), T - DAY, Reason.superseded)
    assert check(make(LEAF, ROOT), crls=(crl,)).verdict == "verified"


def test_theft_reported_beside_another_revocation_does_not_hide_it() -> None:
    leaf = make(LEAF, ROOT)
    theft = revoke(leaf, T + DAY, Reason.key_compromise, invalid_since=T - DAY)
    other = revoke(leaf, T - DAY, Reason.superseded)
    assert check(leaf, crls=(theft, other)).verdict == "failed"


def test_revoked_authority_takes_its_certificates_with_it() -> None:
    middle = make(MIDDLE, ROOT)
    leaf = make(LEAF, middle)
    crl = revoke(middle, T - DAY, Reason.ca_compromise)
    assert check(leaf, middle, crls=(crl,)).verdict == "failed"
    assert check(leaf, middle, crls=(revoke(leaf, T - DAY, None, issuer=middle),)).verdict == "failed"


def test_serial_of_another_issuer_in_an_indirect_list_is_not_ours() -> None:
    leaf = make(LEAF, ROOT)
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(leaf.certificate.serial_number)
        .revocation_date(T - DAY)
        .add_extension(x509.CertificateIssuer([x509.DirectoryName(name("Somebody else"))]), critical=True)
        .build()
    )
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ROOT.certificate.subject)
        .last_update(T - DAY)
        .next_update(T)
        .add_revoked_certificate(entry)
        .sign(ROOT.key, None)
    )
    assert check(leaf, crls=(crl,)).verdict == "verified"


@pytest.mark.parametrize(("digest", "verdict"), [("-sha256", "verified"), ("-sha1", "not-established")])
def test_signature_over_a_broken_hash_is_no_path(tmp_path: Path, digest: str, verdict: str) -> None:
    # cryptography does not sign with SHA-1, OpenSSL still does.
    (tmp_path / "extensions").write_text(f"keyUsage=critical,digitalSignature\nsubjectAltName=URI:tlog:{ORIGIN}\n")
    script = f"""
        openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -subj /CN=Root -days 2
        openssl genpkey -algorithm ed25519 -out leaf.key
        openssl req -new -key leaf.key -subj /CN={STATION} -out leaf.csr
        openssl x509 -req -in leaf.csr -CA root.pem -CAkey root.key -set_serial 7 -days 1 {digest} \\
            -extfile extensions -out leaf.pem
    """
    subprocess.run(["sh", "-ec", script], check=True, cwd=tmp_path, capture_output=True)
    (leaf,) = load_certificates((tmp_path / "leaf.pem").read_bytes())
    roots = load_certificates((tmp_path / "root.pem").read_bytes())
    at = leaf.not_valid_before_utc
    assert check_identity(leaf, [], roots, station=STATION, origin=ORIGIN, at=at).verdict == verdict
