"""Certificates of epoch keys: what section 4 says they hold, and what OpenSSL makes of them by hand."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from edged.errors import MalformedError
from edged.evidence import certificates
from edged.evidence.certificates import certify_epoch, make_root
from edged.evidence.identity import check_identity
from edged.evidence.ids import StationId
from edged.evidence.note import sign_note

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=3650)
STATION, ORIGIN = StationId("st-1"), "example.org/st-1/2026-11-0a1b"


def certified(
    root_key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey, root: x509.Certificate
) -> tuple[Ed25519PrivateKey, x509.Certificate]:
    key = Ed25519PrivateKey.generate()
    certificate = certify_epoch(
        root_key,
        root,
        station=STATION,
        origin=ORIGIN,
        public_key=key.public_key(),
        not_before=NOW,
        not_after=NOW + timedelta(days=365),
    )
    return key, certificate


def agency_root() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """An authority that names its key by an id of its own, as some do."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Agency")])
    _, other = make_root(STATION, NOW, LATER)
    usage = other.extensions.get_extension_for_class(x509.KeyUsage).value
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier(b"agency key 1"), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def test_epoch_certificate_holds_what_the_page_says_and_no_more() -> None:
    root_key, root = make_root(STATION, NOW, LATER)
    key, certificate = certified(root_key, root)
    assert root.subject.rfc4514_string() == "O=self-made by st-1"
    assert certificate.subject.rfc4514_string() == "CN=st-1"
    assert certificates.raw_public_key(certificate) == key.public_key().public_bytes_raw()
    names = certificates.extension_of(certificate, x509.SubjectAlternativeName)
    assert names is not None
    assert list(names) == [x509.UniformResourceIdentifier(f"tlog:{ORIGIN}")]
    constraints = certificates.extension_of(certificate, x509.BasicConstraints)
    assert constraints == x509.BasicConstraints(ca=False, path_length=None)
    usage = certificates.extension_of(certificate, x509.KeyUsage)
    assert usage is not None
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert root.not_valid_before_utc <= NOW <= root.not_valid_after_utc


@pytest.mark.parametrize("is_self_made", [True, False])
def test_commands_of_the_page_agree(tmp_path: Path, is_self_made: bool) -> None:  # noqa: FBT001
    root_key, root = make_root(STATION, NOW, LATER) if is_self_made else agency_root()
    key, certificate = certified(root_key, root)
    text = f"{ORIGIN}\n1\n{'A' * 43}=\n"
    (tmp_path / "root.pem").write_bytes(certificates.to_pem([root]))
    (tmp_path / "station.pem").write_bytes(certificates.to_pem([certificate]))
    (tmp_path / "checkpoint").write_bytes(sign_note(text, ORIGIN, key))
    at = str(int((NOW + timedelta(hours=1)).timestamp()))
    chain: list[str | Path] = ["-no-CApath", "-no-CAstore", "-CAfile", tmp_path / "root.pem"]
    station = tmp_path / "station.pem"
    openssl("verify", "-x509_strict", *chain, "-untrusted", station, "-attime", at, station)
    shown = openssl("x509", "-in", station, "-noout", "-subject", "-ext", "subjectAltName")
    assert "CN = st-1" in shown or "CN=st-1" in shown
    assert f"URI:tlog:{ORIGIN}" in shown
    (tmp_path / "pub.pem").write_text(openssl("x509", "-in", station, "-noout", "-pubkey"))
    script = """
        awk 'NF==0{exit}{print}' checkpoint > body
        awk 'NF==0{s=1;next} s{print $3; exit}' checkpoint | base64 -d | tail -c +5 > sig
        openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in body -sigfile sig
    """
    subprocess.run(["sh", "-ec", script], check=True, cwd=tmp_path, capture_output=True)
    found = check_identity(certificate, [], [root], station=STATION, origin=ORIGIN, at=NOW)
    assert (found.verdict, found.root) == ("verified", root)


def test_certificates_go_through_pem_and_back() -> None:
    root_key, root = make_root(STATION, NOW, LATER)
    _, certificate = certified(root_key, root)
    assert certificates.load_certificates(certificates.to_pem([certificate, root])) == (certificate, root)
    assert len(certificates.fingerprint(root)) == 64


def test_revocation_lists_are_read_in_both_encodings() -> None:
    root_key, root = make_root(STATION, NOW, LATER)
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(root.subject)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=30))
        .sign(root_key, None)
    )
    pem, der = (crl.public_bytes(form) for form in (serialization.Encoding.PEM, serialization.Encoding.DER))
    assert certificates.load_crls(pem + b"\n# another\n" + pem) == (crl, crl)
    assert certificates.load_crls(der) == (crl,)


@pytest.mark.parametrize(
    "data", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_file_without_a_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        certificates.load_certificates(data)
    with pytest.raises(MalformedError):
        certificates.load_crls(data)


def test_key_of_another_kind_is_no_key_of_a_log() -> None:
    _, root = agency_root()
    with pytest.raises(MalformedError):
        certificates.raw_public_key(root)
