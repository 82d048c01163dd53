"""What revocation lists say of a certificate at the time of a signature (EVIDENCE.md, sections 4 and 7).

A list counts if the certificate's issuer signed it, however old it is; one that does not name a certificate
says nothing for it. A stolen key is told apart from every other reason: what a thief signed and what the
station signed before look alike, so nothing is established from the theft on, and nothing at all when the
list does not date it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from edged.clock import rfc3339
from edged.evidence.certificates import extension_of
from edged.evidence.verdict import Verdict

Problem = tuple[Verdict, str]
"""What stands against a certificate, with a sentence for a person."""


def revocations(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    at: datetime,
    crls: Sequence[x509.CertificateRevocationList],
) -> Iterator[Problem]:
    """Give what the lists of `issuer` hold against `certificate` at the time of signing `at`."""
    for crl in crls:
        if crl.issuer == certificate.issuer and _is_signed_by(crl, issuer):
            for revoked in _entries(crl, certificate.serial_number):
                yield from _judge(revoked, repr(certificate.subject.rfc4514_string()), at)


def _judge(revoked: x509.RevokedCertificate, subject: str, at: datetime) -> Iterator[Problem]:
    coded = extension_of(revoked, x509.CRLReason)
    reason = coded.reason if coded else x509.ReasonFlags.unspecified
    if reason == x509.ReasonFlags.key_compromise:
        dated = extension_of(revoked, x509.InvalidityDate)
        if dated is None:
            yield "not-established", f"the key of {subject} was stolen, and nobody says since when"
        elif dated.invalidity_date_utc <= at:
            since = rfc3339(dated.invalidity_date_utc)
            yield "not-established", f"the key of {subject} was in other hands since {since}"
    elif reason != x509.ReasonFlags.remove_from_crl and revoked.revocation_date_utc <= at:
        since = rfc3339(revoked.revocation_date_utc)
        yield "failed", f"{subject} was revoked on {since} ({reason.value})"


def _entries(crl: x509.CertificateRevocationList, serial: int) -> Iterator[x509.RevokedCertificate]:
    """Find a serial number among those of the list's own issuer; an indirect list holds others' too."""
    is_own = True
    for revoked in crl:
        other = extension_of(revoked, x509.CertificateIssuer)
        if other is not None:
            is_own = crl.issuer in other.get_values_for_type(x509.DirectoryName)
        if is_own and revoked.serial_number == serial:
            yield revoked


def _is_signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # TypeError is caught
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
