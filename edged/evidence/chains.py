"""Chains of certificates, from one that somebody shows to one that the verifier brought along.

RFC 5280, section 6.1, as far as edged understands certificates. What contradicts is `failed`; what cannot be
followed (an extension that is critical and not understood, a key whose theft is dated) is `not-established`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID

from edged.clock import rfc3339
from edged.evidence.certificates import extension_of, key_bytes
from edged.evidence.revocation import Problem, revocations

MAX_INTERMEDIATES: Final = 6
"""More certificates than this beside the one in question are not tried: every order of them may be a chain."""

UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    }
)
"""Extensions that may be critical. Policies bind nothing here, where any policy will do (RFC 5280, 6.1.1)."""

_BROKEN_HASHES: Final = (hashes.MD5, hashes.SHA1)

Chain = tuple[x509.Certificate, ...]
"""Certificates from the one in question to a given root, each signed by the next."""


def chains(
    certificate: x509.Certificate, intermediates: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> list[Chain]:
    """Find every chain to a given root whose names and signatures hold; none if there are too many intermediates."""
    if len(intermediates) > MAX_INTERMEDIATES:
        return []
    return list(_longer((certificate,), intermediates, roots))


def chain_problems(
    chain: Chain,
    at: datetime,
    crls: Sequence[x509.CertificateRevocationList],
    *,
    understood: frozenset[x509.ObjectIdentifier] = UNDERSTOOD,
) -> Iterator[Problem]:
    """Give what stands against a chain of good signatures at a moment; `understood` extensions may be critical."""
    below = 0
    for position, each in enumerate(chain):
        yield from validity_problems(each, at)
        subject = subject_of(each)
        for extension in each.extensions:
            is_unknown = extension.critical and extension.oid not in understood
            if is_unknown or extension.oid == ExtensionOID.NAME_CONSTRAINTS:
                yield (
                    "not-established",
                    f"{subject} has an extension that is not understood: {extension.oid.dotted_string}",
                )
        if position:
            yield from _authority_problems(each, subject, below)
            below += each.subject != each.issuer
    for each, issuer in pairwise(chain):
        yield from revocations(each, issuer, at, crls)


def validity_problems(certificate: x509.Certificate, at: datetime) -> Iterator[Problem]:
    """Say whether a moment lies outside a certificate's term."""
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        yield "failed", f"{subject_of(certificate)} was not valid on {rfc3339(at)}"


def subject_of(certificate: x509.Certificate) -> str:
    """Give the name of a certificate for a sentence; whoever made it may have put anything in there."""
    return repr(certificate.subject.rfc4514_string())


def _longer(
    chain: Chain, intermediates: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> Iterator[Chain]:
    for root in roots:
        if root not in chain and _is_issued_by(chain[-1], root):
            yield (*chain, root)
    for each in intermediates:
        # Certificates of one name and key stand for each other: a chain has no use for a second (RFC 4158, 2.4.2).
        is_new = each not in roots and not any(_is_alike(each, other) for other in chain)
        if is_new and _is_issued_by(chain[-1], each):
            yield from _longer((*chain, each), intermediates, roots)


def _is_alike(one: x509.Certificate, other: x509.Certificate) -> bool:
    return one.subject == other.subject and key_bytes(one) == key_bytes(other)


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        # A signature over a broken hash shows nothing: another certificate may have the same one.
        return not isinstance(certificate.signature_hash_algorithm, _BROKEN_HASHES)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False


def _authority_problems(issuer: x509.Certificate, subject: str, below: int) -> Iterator[Problem]:
    """Check that a certificate may issue others, with `below` more of authorities under it."""
    constraints = extension_of(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        yield "failed", f"{subject} is not an authority, yet issued a certificate"
    elif constraints.path_length is not None and below > constraints.path_length:
        yield "failed", f"{subject} has more authorities under it than it may"
    usage = extension_of(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield "failed", f"{subject} may not sign certificates"
