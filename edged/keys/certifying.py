"""How the key of an epoch gets its certificate: the request to an authority, and what has to come back (PKCS#10).

Nothing here touches a file. The private key of a self-made root is used by whoever holds it, and never by the daemon.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from edged.errors import MalformedError, UsageError
from edged.evidence.certificates import (
    SAN_PREFIX,
    certify_epoch,
    extension_of,
    fingerprint,
    load_certificates,
    raw_public_key,
    to_pem,
)
from edged.evidence.chains import chains, subject_of
from edged.evidence.identity import check_identity
from edged.evidence.ids import StationId

EPOCH_LIFE = timedelta(days=5 * 365)
"""How long a certificate under a self-made root is valid; the change-over comes well before."""
SLACK = timedelta(minutes=5)
"""Certificates begin this much earlier, for verifiers whose clocks are behind."""


def make_request(key: Ed25519PrivateKey, *, station: StationId, origin: str) -> bytes:
    """Give the request for a certificate of an epoch's key, in PEM: what EVIDENCE.md, section 4, has it hold."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station)])
    log = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SAN_PREFIX + origin)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .add_extension(log, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, None)
        .public_bytes(Encoding.PEM)
    )


def request_of(pem: bytes) -> tuple[str, Ed25519PublicKey]:
    """Give the origin and the key that a request is for; raises MalformedError."""
    try:
        request = x509.load_pem_x509_csr(pem)
        key, names = request.public_key(), request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
        raise MalformedError(f"the certificate request cannot be read: {error}") from error
    if not isinstance(key, Ed25519PublicKey) or len(uris) != 1 or not uris[0].startswith(SAN_PREFIX):
        raise MalformedError("the certificate request is not for one log's Ed25519 key")
    return uris[0].removeprefix(SAN_PREFIX), key


def certify(root_key_pem: bytes, roots_pem: bytes, request: bytes, *, station: StationId, now: datetime) -> bytes:
    """Certify the key of a request by a root's private key; gives the certificate in PEM.

    Raises UsageError if the key is none of the given roots', MalformedError for a request that cannot be read.
    """
    try:
        root_key = load_pem_private_key(root_key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"The root's private key cannot be read: {error}.") from error
    public = root_key.public_key()
    root = next((each for each in load_certificates(roots_pem) if each.public_key() == public), None)
    if root is None or not isinstance(root_key, Ed25519PrivateKey | RSAPrivateKey | EllipticCurvePrivateKey):
        raise UsageError("That is not the private key of a root that this station knows.", hint="See `edged key show`.")
    origin, key = request_of(request)
    certificate = certify_epoch(
        root_key,
        root,
        station=station,
        origin=origin,
        public_key=key,
        not_before=now - SLACK,
        not_after=min(now + EPOCH_LIFE, root.not_valid_after_utc),
    )
    return certificate.public_bytes(Encoding.PEM)


def check_answer(  # noqa: PLR0913 - each is one thing that the certificate must fit
    answer: bytes,
    roots: Sequence[x509.Certificate],
    *,
    public: bytes,
    station: StationId,
    origin: str,
    now: datetime,
) -> tuple[bytes, x509.Certificate]:
    """Check what came back for a key: gives certificate and issuers without the root in PEM, and the root.

    `answer` holds the certificate of the key and its issuers, in any order, with or without the root. Raises
    UsageError with what does not fit.
    """
    try:
        given = load_certificates(answer)
    except MalformedError as error:
        raise UsageError(f"This is not what an authority sends back: {error.message}.") from error
    mine = [each for each in given if _key_of(each) == public]
    if len(mine) != 1:
        raise UsageError(
            "None of these certificates is of the key that waits for one."
            if not mine
            else "Several of these certificates are of the key that waits for one.",
            hint="`edged key request` shows the request again.",
        )
    leaf, others = mine[0], [each for each in given if each is not mine[0]]
    if (constraints := extension_of(leaf, x509.BasicConstraints)) is None or constraints.ca:
        raise UsageError("The certificate does not say that it is none of an authority (CA:FALSE).")
    issuers = [each for each in others if each not in roots]
    identity = check_identity(leaf, issuers, roots, station=station, origin=origin, at=now)
    if identity.verdict != "verified" or identity.root is None:
        strangers = [each for each in others if each.subject == each.issuer and each not in roots]
        hint = "Give the root with --root, from a place that you trust."
        if strangers:
            hint += f" What came back ends in {subject_of(strangers[0])}, SHA-256 {fingerprint(strangers[0])}."
        raise UsageError(f"The certificate cannot be used: {identity.detail}.", hint=hint)
    chain = next(each for each in chains(leaf, issuers, roots) if each[-1] == identity.root)
    return to_pem(chain[:-1]), identity.root


def _key_of(certificate: x509.Certificate) -> bytes | None:
    try:
        return raw_public_key(certificate)
    except MalformedError:
        return None
