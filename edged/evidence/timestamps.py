"""Time stamps by authorities (RFC 3161): asking for one, and what a token is worth (EVIDENCE.md, section 5).

A token counts for a verifier only if its signer's certificate leads to a root that the verifier brought along; of
anybody else's nothing is said. Of a given authority's token all must hold: it is granted, it is over the data, its
one signature verifies under the certificate that it names, that certificate is for time stamping and nothing else,
and its chain is valid and not revoked at the time that it states. Whatever of that does not hold is `failed`.

The chain must hold a second time: at the moment of verification, or when a verified renewal stamped the token.
After an authority's term its key may be in any hands, and could back-date. So where the chain does not hold then,
nothing is established, and nothing failed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from edged.errors import MalformedError
from edged.evidence.certificates import extension_of
from edged.evidence.chains import UNDERSTOOD, Chain, chain_problems, chains, subject_of
from edged.evidence.cms import DIGESTS, SHA256, Algorithm, Message, digest_of, identifier_of, objections, open_response
from edged.evidence.revocation import Problem
from edged.evidence.verdict import Verdict, worst

_UNDERSTOOD: Final = UNDERSTOOD | {ExtensionOID.EXTENDED_KEY_USAGE}
_USES: Final = frozenset({ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
_SEVERITY: Final = {"verified": 0, "not-established": 1, "failed": 2}
_MOST_SECONDS: Final = 86_400
"""More of an accuracy than a day is not read."""


@asn1.sequence
class Imprint:
    """A digest, and the function it is by."""

    algorithm: Algorithm
    digest: bytes


@asn1.sequence
class _HashFunction:
    identifier: ObjectIdentifier
    parameters: asn1.Null


@asn1.sequence
class _OwnImprint:
    algorithm: _HashFunction
    digest: bytes


@asn1.sequence
class _Request:
    version: int
    imprint: _OwnImprint
    nonce: int
    certificates: Annotated[bool, asn1.Default(value=False)]


@asn1.sequence
class Accuracy:
    """By how much a time may be wrong."""

    seconds: int | None
    millis: Annotated[int | None, asn1.Implicit(0)]
    micros: Annotated[int | None, asn1.Implicit(1)]


@asn1.sequence
class Extension:
    """A further statement of an authority."""

    kind: ObjectIdentifier
    critical: Annotated[bool, asn1.Default(value=False)]
    value: bytes


@asn1.sequence
class TstInfo:
    """What an authority states (RFC 3161, section 2.4.2)."""

    version: int
    policy: ObjectIdentifier
    imprint: Imprint
    serial: int
    moment: asn1.GeneralizedTime
    accuracy: Accuracy | None
    ordering: Annotated[bool, asn1.Default(value=False)]
    nonce: int | None
    authority: Annotated[list[asn1.TLV] | None, asn1.Implicit(0)]
    extensions: Annotated[list[Extension] | None, asn1.Implicit(1)]


@dataclass(frozen=True, kw_only=True)
class Token:
    """A time stamp that holds."""

    moment: datetime
    """What was stamped existed then (genTime, UTC)."""
    accuracy: timedelta
    """By how much, to either side, the authority may be wrong by its own account; zero where it does not say."""
    authority: str
    """Common name of the authority."""
    expires: datetime
    """Until then its chain is valid: it is to be renewed before."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a token of a given authority is worth."""

    verdict: Verdict
    detail: str
    """What stands against it, for a person; empty where nothing does."""
    authority: str
    """Common name of the authority that it claims."""
    token: Token | None
    """None unless verified."""


def request(data: bytes, nonce: int) -> bytes:
    """Make a TimeStampReq over `data`: SHA-256 imprint, certificates wanted inside.

    `nonce` is a positive random number of up to 64 bits; `verify` compares it with the answer's.
    """
    algorithm = _HashFunction(identifier=ObjectIdentifier(SHA256), parameters=asn1.Null())
    imprint = _OwnImprint(algorithm=algorithm, digest=digest_of(SHA256, data))
    return asn1.encode_der(_Request(version=1, imprint=imprint, nonce=nonce, certificates=True))


def verify(
    response: bytes,
    data: bytes,
    roots: Sequence[x509.Certificate],
    *,
    nonce: int | None = None,
    crls: Sequence[x509.CertificateRevocationList] = (),
) -> Token:
    """Verify a response that just arrived from an authority under the roots configured for it.

    `nonce` is that of the request, which shows that the answer is not an old one; so the authority's own time is now,
    whatever the station's clock says. Raises MalformedError, saying what is wrong, unless all holds.
    """
    judged = judge(response, data, roots, until=datetime.min.replace(tzinfo=UTC), crls=crls)
    if judged is None:
        raise MalformedError("the token's certificate leads to none of the roots given for the authority")
    if judged.token is None:
        raise MalformedError(judged.detail)
    if nonce is not None and _read(open_response(response)).nonce != nonce:
        raise MalformedError("the answer is to another request: its nonce is not the one sent")
    return judged.token


def judge(
    response: bytes,
    data: bytes | None,
    roots: Sequence[x509.Certificate],
    *,
    until: datetime | None,
    crls: Sequence[x509.CertificateRevocationList] = (),
) -> Judgement | None:
    """Judge a token over `data`; None where it is of no authority under `roots`.

    `until` is the second moment at which the chain must hold: now, or the time of a verified renewal; None where it
    is not known. Where `data` is None, what was stamped is not asked: a token bounds what cites it from below
    whatever it is over. Raises MalformedError for bytes that are no token, or do not say whose.
    """
    message = open_response(response)
    found = chains(message.signer, message.others, roots)
    if not found:
        return None
    authority = _authority(message.signer)
    problems = [*objections(message), *_unfit(message.signer)]
    try:
        info = _read(message)
    except MalformedError as error:
        return _conclude(authority, [*problems, ("failed", error.message)])
    problems += _of_statement(info, data)
    moment = info.moment.as_datetime()
    chain, of_chain = min(
        ((each, _of_chain(each, moment, until, crls)) for each in found),
        key=lambda judged: _SEVERITY[worst(verdict for verdict, _ in judged[1])],
    )
    problems += of_chain
    token = Token(
        moment=moment,
        accuracy=_span(info.accuracy),
        authority=authority,
        expires=min(each.not_valid_after_utc for each in chain),
    )
    return _conclude(authority, problems, token)


def judge_series(
    series: Sequence[bytes],
    data: bytes | None,
    roots: Sequence[x509.Certificate],
    *,
    now: datetime | None,
    crls: Sequence[x509.CertificateRevocationList] = (),
) -> tuple[Judgement | None, ...]:
    """Judge a token over `data` and its renewals, each of which stamps the bytes of the one before; the token is first.

    A renewal holds up the one before it if it is verified itself; if it is of a given authority and invalid, all
    before it are invalid too. None stands for what is of nobody given, or no token at all.
    """
    found: list[Judgement | None] = []
    until, invalid = now, ""
    for number, response in reversed(list(enumerate(series))):
        try:
            judged = judge(response, series[number - 1] if number else data, roots, until=until, crls=crls)
        except MalformedError:
            judged = None
        until = now if judged is None or judged.token is None else judged.token.moment
        if judged is not None and judged.verdict != "failed" and invalid:
            judged = Judgement(verdict="failed", detail=invalid, authority=judged.authority, token=None)
        elif judged is not None and judged.verdict == "failed":
            invalid = f"its renewal: {judged.detail}"
        found.append(judged)
    return tuple(reversed(found))


def is_token(response: bytes) -> bool:
    """Say whether these bytes can be read as a token that says whose it is."""
    try:
        open_response(response)
    except MalformedError:
        return False
    return True


def _conclude(authority: str, problems: Sequence[Problem], token: Token | None = None) -> Judgement:
    verdict = worst(found for found, _ in problems)
    details = dict.fromkeys(detail for found, detail in problems if found == verdict)
    holds = token if verdict == "verified" else None
    return Judgement(verdict=verdict, detail="; ".join(details), authority=authority, token=holds)


def _read(message: Message) -> TstInfo:
    try:
        return asn1.decode_der(TstInfo, message.content)
    except ValueError as error:
        raise MalformedError("its time stamp is not written as RFC 3161 says") from error


def _unfit(signer: x509.Certificate) -> Iterator[Problem]:
    """Check that a certificate is for time stamping alone, critically so (RFC 3161, section 2.3)."""
    try:
        extended = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        yield "failed", "its signer's certificate is not for time stamping"
        return
    if not extended.critical or list(extended.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        yield "failed", "its signer's certificate is not for time stamping alone"
    usage = extension_of(signer, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        yield "failed", "its signer's certificate is not for signatures"


def _of_statement(info: TstInfo, data: bytes | None) -> Iterator[Problem]:
    """Compare what a token states with what it should be over."""
    if info.version != 1:
        yield "failed", f"it is of version {info.version}"
    if any(each.critical for each in info.extensions or ()):
        yield "not-established", "it has an extension that is critical and not understood"
    try:
        identifier = identifier_of(info.imprint.algorithm)
    except ValueError:
        identifier = ""
    if identifier not in DIGESTS:
        yield "failed", "it is over something else than a SHA-256, SHA-384 or SHA-512 digest"
    elif data is not None and digest_of(identifier, data) != info.imprint.digest:
        yield "failed", "it is over other bytes than these"


def _of_chain(
    chain: Chain, moment: datetime, until: datetime | None, crls: Sequence[x509.CertificateRevocationList]
) -> list[Problem]:
    stamped = moment.replace(microsecond=0)  # as `openssl ts -verify -attime` of section 8 counts
    problems = [*chain_problems(chain, stamped, crls, understood=_UNDERSTOOD), *_of_issuers(chain)]
    if until is None:
        problems.append(("not-established", "whether its authority is still valid is not known"))
    elif until > moment:  # clocks that differ a little put the present before the token
        later = chain_problems(chain, until.replace(microsecond=0), crls, understood=_UNDERSTOOD)
        problems += [("not-established", f"{detail}, and no renewal holds") for _, detail in later]
    return problems


def _of_issuers(chain: Chain) -> Iterator[Problem]:
    """Find authorities that say of themselves that they certify other uses than time stamping."""
    for each in chain[1:]:
        uses = extension_of(each, x509.ExtendedKeyUsage)
        if uses is not None and _USES.isdisjoint(uses):
            yield "not-established", f"{subject_of(each)} is not an authority for time stamping"


def _authority(signer: x509.Certificate) -> str:
    names = [str(each.value) for each in signer.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return names[0] if names else signer.subject.rfc4514_string()


def _span(accuracy: Accuracy | None) -> timedelta:
    if accuracy is None:
        return timedelta()
    seconds, millis, micros = (max(part or 0, 0) for part in (accuracy.seconds, accuracy.millis, accuracy.micros))
    return timedelta(seconds=min(seconds, _MOST_SECONDS), milliseconds=millis % 1000, microseconds=micros % 1000)
