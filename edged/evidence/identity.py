"""Whether a log's key belongs to the station it names: the `identity` check of EVIDENCE.md, section 7.

Only certificates that the verifier brought along are trusted; those that came with the evidence may lead to
one and prove nothing. What contradicts is `failed`. What cannot be followed (no root, no path, an extension
that is critical and not understood here, a key whose theft is dated) is `not-established`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from edged.errors import MalformedError
from edged.evidence.certificates import SAN_PREFIX, extension_of, raw_public_key
from edged.evidence.chains import MAX_INTERMEDIATES, chain_problems, chains, subject_of, validity_problems
from edged.evidence.ids import StationId
from edged.evidence.revocation import Problem
from edged.evidence.verdict import Verdict, worst


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What was found about the holder of a key."""

    verdict: Verdict
    detail: str
    """A sentence for a person."""
    root: x509.Certificate | None
    """The given root that the chain ends in, if one does."""


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
    own = [*_check_leaf(leaf, station, origin), *validity_problems(leaf, moment)]
    if not roots:
        return _conclude([*own, ("not-established", "no root was given to trust")], None)
    if len(intermediates) > MAX_INTERMEDIATES:
        return _conclude([*own, ("not-established", f"more than {MAX_INTERMEDIATES} intermediate certificates")], None)
    found = chains(leaf, intermediates, roots)
    if not found:
        return _conclude([*own, ("not-established", "no path leads from the certificate to a given root")], None)
    judged = [(chain, [*own, *chain_problems(chain, moment, crls)]) for chain in found]
    for chain, problems in judged:
        if not problems:
            return _conclude([], chain[-1])
    return _conclude([problem for _, problems in judged for problem in problems], found[0][-1])


def _conclude(problems: list[Problem], root: x509.Certificate | None) -> Identity:
    verdict = worst(found for found, _ in problems)
    details = dict.fromkeys(detail for found, detail in problems if found == verdict)
    good = f"the chain ends in the given root {subject_of(root)}" if root else ""
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
