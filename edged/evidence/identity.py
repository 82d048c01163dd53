"""Whether a log's key belongs to the station it names: the `identity` check of EVIDENCE.md, section 7.

Only certificates that the verifier brought along are trusted; those that came with the evidence may lead to
one and prove nothing. What contradicts is `failed`. What cannot be followed (no root, no path, an extension
that is critical and not understood here, a key whose theft is dated) is `not-established`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID, NameOID

from edged.clock import rfc3339
from edged.errors import MalformedError
from edged.evidence.certificates import SAN_PREFIX, extension_of, raw_public_key
from edged.evidence.ids import StationId
from edged.evidence.revocation import Problem, revocations
from edged.evidence.verdict import Verdict, worst

_MAX_INTERMEDIATES: Final = 6
_BROKEN_HASHES: Final = (hashes.MD5, hashes.SHA1)

_UNDERSTOOD: Final = frozenset(
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


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What was found about the holder of a key."""

    verdict: Verdict
    detail: str
    """A sentence for a person."""
    root: x509.Certificate | None
    """The given root that the chain ends in, if one does."""


Chain = tuple[x509.Certificate, ...]
"""Certificates from the epoch's to a given root, each signed by the next."""


def check_identity(  # noqa: PLR0913 - the row of section 7 has as many parts
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    *,
    station: StationId,
    origin: str,
    at: datetime,
    crls: Sequence[x509.CertificateRevocationList] = (),
) -> Identity:
    """Judge the certificate of an epoch's key at the time of signing `at`.

    `intermediates` are those that came with it. Several chains to a root are tried; one without a problem is
    enough, else the worst problem of all counts.
    """
    moment = at.replace(microsecond=0)  # as `openssl verify -attime` of section 8 counts
    own = [*_check_leaf(leaf, station, origin), *_check_validity(leaf, moment)]
    if not roots:
        return _conclude([*own, ("not-established", "no root was given to trust")], None)
    if len(intermediates) > _MAX_INTERMEDIATES:
        return _conclude([*own, ("not-established", f"more than {_MAX_INTERMEDIATES} intermediate certificates")], None)
    chains = list(_chains((leaf,), intermediates, roots))
    if not chains:
        return _conclude([*own, ("not-established", "no path leads from the certificate to a given root")], None)
    judged = [(chain, [*own, *_check_chain(chain, moment, crls)]) for chain in chains]
    for chain, problems in judged:
        if not problems:
            return _conclude([], chain[-1])
    return _conclude([problem for _, problems in judged for problem in problems], chains[0][-1])


def _conclude(problems: list[Problem], root: x509.Certificate | None) -> Identity:
    verdict = worst(found for found, _ in problems)
    details = dict.fromkeys(detail for found, detail in problems if found == verdict)
    good = f"the chain ends in the given root {_subject(root)}" if root else ""
    return Identity(verdict=verdict, detail="; ".join(details) or good, root=root)


def _check_leaf(leaf: x509.Certificate, station: StationId, origin: str) -> Iterator[Problem]:
    """Compare the certificate of an epoch's key with what section 4 says it holds."""
    try:
        raw_public_key(leaf)
    except MalformedError as error:
        yield "failed", error.message
    names = [name.value for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [station]:
        yield "failed", f"the certificate names {names!r} instead of the station {station!r}"
    alternative = extension_of(leaf, x509.SubjectAlternativeName)
    uris = alternative.get_values_for_type(x509.UniformResourceIdentifier) if alternative else []
    if alternative is None or uris != [SAN_PREFIX + origin] or len(list(alternative)) != 1:
        yield "failed", f"the certificate is not for the log {origin!r} alone"
    usage = extension_of(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature or usage.key_cert_sign:
        yield "failed", "the certificate's key usage is not digitalSignature"
    constraints = extension_of(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield "failed", "the certificate is one of an authority, not of a log"


def _chains(
    chain: Chain, intermediates: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> Iterator[Chain]:
    """Find every chain to a root whose names and signatures hold."""
    for root in roots:
        if root not in chain and _is_issued_by(chain[-1], root):
            yield (*chain, root)
    for each in intermediates:
        if each not in chain and each not in roots and _is_issued_by(chain[-1], each):
            yield from _chains((*chain, each), intermediates, roots)


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        # A signature over a broken hash shows nothing: another certificate may have the same one.
        return not isinstance(certificate.signature_hash_algorithm, _BROKEN_HASHES)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False


def _check_chain(chain: Chain, at: datetime, crls: Sequence[x509.CertificateRevocationList]) -> Iterator[Problem]:
    """Apply RFC 5280, section 6.1, as far as edged understands certificates, to a chain of good signatures."""
    below = 0
    for position, each in enumerate(chain):
        yield from _check_validity(each, at)
        subject = _subject(each)
        for extension in each.extensions:
            is_unknown = extension.critical and extension.oid not in _UNDERSTOOD
            if is_unknown or extension.oid == ExtensionOID.NAME_CONSTRAINTS:
                yield (
                    "not-established",
                    f"{subject} has an extension that is not understood: {extension.oid.dotted_string}",
                )
        if position:
            yield from _check_authority(each, subject, below)
            below += each.subject != each.issuer
    for each, issuer in pairwise(chain):
        yield from revocations(each, issuer, at, crls)


def _check_validity(certificate: x509.Certificate, at: datetime) -> Iterator[Problem]:
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        yield "failed", f"{_subject(certificate)} was not valid on {rfc3339(at)}"


def _check_authority(issuer: x509.Certificate, subject: str, below: int) -> Iterator[Problem]:
    """Check that a certificate may issue others, with `below` more of authorities under it."""
    constraints = extension_of(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        yield "failed", f"{subject} is not an authority, yet issued a certificate"
    elif constraints.path_length is not None and below > constraints.path_length:
        yield "failed", f"{subject} has more authorities under it than it may"
    usage = extension_of(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield "failed", f"{subject} may not sign certificates"


def _subject(certificate: x509.Certificate) -> str:
    """Give the name of a certificate for a sentence; whoever made it may have put anything in there."""
    return repr(certificate.subject.rfc4514_string())
