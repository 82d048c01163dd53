"""Certificates of epoch keys, made and read (EVIDENCE.md, section 4).

A root certifies each epoch's Ed25519 key: CN = station, one SAN URI `tlog:ORIGIN`, CA:FALSE, digitalSignature.
What a certificate is worth is decided in `identity`, against roots that the verifier brings along.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

from edged.errors import MalformedError
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import Sha256, StationId

SAN_PREFIX: Final = "tlog:"
"""What the one SAN URI of an epoch's certificate begins with; the log's origin follows."""

_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_E = TypeVar("_E", bound=x509.ExtensionType)
_CRL_MARK: Final = b"-----BEGIN X509 CRL-----"


def make_root(
    station: StationId, not_before: datetime, not_after: datetime
) -> tuple[Ed25519PrivateKey, x509.Certificate]:
    """Make the station's own root and its key: subject O = `self-made by STATION`, binding to no authority.

    The key belongs off the station: whoever holds it can certify anything.
    """
    private = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"self-made by {station}")])
    builder = _builder(name, name, private.public_key(), not_before, not_after)
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .sign(private, None)
    )
    return private, certificate


def certify_epoch(  # noqa: PLR0913 - each is a field of the certificate
    root_key: CertificateIssuerPrivateKeyTypes,
    root: x509.Certificate,
    *,
    station: StationId,
    origin: str,
    public_key: Ed25519PublicKey,
    not_before: datetime,
    not_after: datetime,
) -> x509.Certificate:
    """Certify an epoch's key under `root`, or under another certificate of an authority."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station)])
    return (
        _builder(name, root.subject, public_key, not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SAN_PREFIX + origin)]),
            critical=False,
        )
        .add_extension(_cite(root_key, root), critical=False)
        .sign(root_key, None if isinstance(root_key, Ed25519PrivateKey) else hashes.SHA256())
    )


def fingerprint(certificate: x509.Certificate) -> Sha256:
    """Give the SHA-256 of the DER bytes."""
    return sha256_hex(certificate.public_bytes(serialization.Encoding.DER))


def raw_public_key(certificate: x509.Certificate) -> bytes:
    """Give the 32 bytes of the key of a log; version 1 of the evidence format signs with Ed25519 only."""
    try:
        key = certificate.public_key()
    except _UNREADABLE as error:
        raise MalformedError("the certificate holds a key that cannot be read") from error
    if not isinstance(key, Ed25519PublicKey):
        raise MalformedError("the certificate holds a key that is not Ed25519")
    return key.public_bytes_raw()


def key_bytes(certificate: x509.Certificate) -> bytes:
    """Give the public key as DER SubjectPublicKeyInfo; of a key that cannot be read, the whole certificate."""
    try:
        return certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except _UNREADABLE:
        return certificate.public_bytes(serialization.Encoding.DER)


def extension_of(holder: x509.Certificate | x509.RevokedCertificate, kind: type[_E]) -> _E | None:
    """Give an extension of a certificate or of an entry of a revocation list, None if it has none."""
    try:
        return holder.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def to_pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """Write certificates one after the other, as `station.pem` holds them."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def load_certificates(data: bytes) -> tuple[x509.Certificate, ...]:
    """Read the certificates of a PEM file, at least one; whatever `identity` looks at in them is readable."""
    try:
        return tuple(_readable(each) for each in x509.load_pem_x509_certificates(data))
    except _UNREADABLE as error:
        raise MalformedError(f"the certificate cannot be read: {error}") from error


def load_der_certificate(data: bytes) -> x509.Certificate:
    """Read one certificate in DER; whatever `chains` looks at in it is readable."""
    try:
        return _readable(x509.load_der_x509_certificate(data))
    except _UNREADABLE as error:
        raise MalformedError(f"the certificate cannot be read: {error}") from error


def load_crls(data: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """Read revocation lists: any number in PEM, or one in DER."""
    if _CRL_MARK in data:
        pieces = [_CRL_MARK + piece for piece in data.split(_CRL_MARK)[1:]]
        return tuple(_load_crl(x509.load_pem_x509_crl, piece) for piece in pieces)
    return (_load_crl(x509.load_der_x509_crl, data),)


def _readable(certificate: x509.Certificate) -> x509.Certificate:
    """Read the parts of a certificate now, so that none raises later."""
    _ = certificate.subject, certificate.issuer, certificate.extensions
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return certificate


def _load_crl(load: Callable[[bytes], x509.CertificateRevocationList], data: bytes) -> x509.CertificateRevocationList:
    try:
        crl = load(data)
        _ = crl.issuer
        for each in crl:
            _ = each.revocation_date_utc, each.extensions
    except _UNREADABLE as error:
        raise MalformedError(f"the revocation list cannot be read: {error}") from error
    return crl


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: Ed25519PublicKey,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _cite(key: CertificateIssuerPrivateKeyTypes, issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Cite the issuer's key by the id it gives itself: OpenSSL passes over an issuer cited otherwise."""
    own = extension_of(issuer, x509.SubjectKeyIdentifier)
    if own is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
