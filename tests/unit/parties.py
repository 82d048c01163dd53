"""Parties with certificates, for talking to each other over TLS on loopback."""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edged.clock import SystemClock

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Party:
    """Somebody with a key, and with a certificate of it from somebody."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def save(self, folder: Path, name: str, secret: KeySerializationEncryption | None = None) -> tuple[Path, Path]:
        """Write certificate and key."""
        made, private = folder / f"{name}.pem", folder / f"{name}.key"
        made.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        private.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret or NoEncryption()))
        return made, private


def issue(name: str, by: Party | None, *, host: str = "127.0.0.1", until: timedelta = HOUR) -> Party:
    """Make a party whose certificate is from `by`, or from itself as an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = SystemClock().now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * HOUR)
        .not_valid_after(now + until)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if by is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(host))])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(names, critical=False).add_extension(usage, critical=False)
    return Party(key, builder.sign(key if by is None else by.key, hashes.SHA256()))
