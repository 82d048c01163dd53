"""The signed message inside a time-stamp response: RFC 3161 in CMS (RFC 5652), taken apart and its signature checked.

Bytes are read as strict DER into the structures below, by PyCA's parser; what is hashed is always the stored bytes.
Two leniencies, both of OpenSSL too, because authorities need them: the certificates of a token come in any order,
and so do the attributes that are signed. SHA-1 shows nothing here, except where ESSCertID (RFC 2634) names a
certificate by it.

`open_response` says whose a token claims to be. Everything else that is wrong with it is an objection: whoever
trusts that authority must learn that the token is not one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ObjectIdentifier

from edged.errors import MalformedError
from edged.evidence.certificates import load_der_certificate
from edged.evidence.revocation import Problem

_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_PSS: Final = "1.2.840.113549.1.1.10"

SHA256: Final = "2.16.840.1.101.3.4.2.1"
DIGESTS: Final = {
    SHA256: hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
"""The hash functions of EVIDENCE.md, section 5, by object identifier."""

_OF_SIGNATURES: Final = {
    "1.2.840.113549.1.1.11": hashes.SHA256(),
    "1.2.840.113549.1.1.12": hashes.SHA384(),
    "1.2.840.113549.1.1.13": hashes.SHA512(),
    "1.2.840.10045.4.3.2": hashes.SHA256(),
    "1.2.840.10045.4.3.3": hashes.SHA384(),
    "1.2.840.10045.4.3.4": hashes.SHA512(),
}
"""What RSA (PKCS #1 v1.5) and ECDSA identifiers with a hash in them hash with; others take the digest's."""

_SET: Final = b"\x31"
_SEQUENCE: Final = b"\x30"
_OCTETS: Final = b"\x04"
_ATTRIBUTES: Final = b"\xa0"
_KEY_IDENTIFIER: Final = b"\x80"
_MAX_CERTIFICATES: Final = 16
_SHORT: Final = 0x80

Algorithm = list[asn1.TLV]
"""An AlgorithmIdentifier: the object identifier, then parameters or nothing."""


@asn1.sequence
class _Status:
    status: int
    text: list[str] | None
    failure: asn1.BitString | None


@asn1.sequence
class _Content:
    kind: ObjectIdentifier
    content: Annotated[asn1.TLV, asn1.Explicit(0)]


@asn1.sequence
class _Response:
    status: _Status
    token: _Content | None


@asn1.sequence
class _Encapsulated:
    kind: ObjectIdentifier
    content: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class _SignedData:
    version: int
    digests: asn1.SetOf[asn1.TLV]
    encapsulated: _Encapsulated
    certificates: Annotated[list[asn1.TLV] | None, asn1.Implicit(0)]
    crls: Annotated[list[asn1.TLV] | None, asn1.Implicit(1)]
    signers: Annotated[asn1.SetOf[asn1.TLV], asn1.Size(1, 1)]


@asn1.sequence
class _Signer:
    version: int
    identifier: asn1.TLV
    digest: Algorithm
    attributes: asn1.TLV
    algorithm: Algorithm
    signature: bytes
    unsigned: Annotated[list[asn1.TLV] | None, asn1.Implicit(1)]


@asn1.sequence
class _Attribute:
    kind: ObjectIdentifier
    values: Annotated[asn1.SetOf[asn1.TLV], asn1.Size(1, 1)]


@asn1.sequence
class _Items:
    items: list[asn1.TLV]


@asn1.sequence
class _SigningCertificate:
    certificates: list[list[asn1.TLV]]
    policies: list[asn1.TLV] | None


@asn1.sequence
class _Pss:
    digest: Annotated[Algorithm | None, asn1.Explicit(0)]
    mask: Annotated[Algorithm | None, asn1.Explicit(1)]
    salt: Annotated[int, asn1.Explicit(2), asn1.Default(20)]


@dataclass(frozen=True, kw_only=True)
class Message:
    """A time-stamp response that can be taken apart; nothing of it is verified."""

    status: int
    """PKIStatus: 0 and 1 are the ones that grant a token."""
    kind: str
    """Type of the content."""
    content: bytes
    """The TSTInfo, as signed."""
    signer: x509.Certificate
    """The certificate that the signer's identifier and ESSCertID name, else the one that the identifier names."""
    others: tuple[x509.Certificate, ...]
    """What else is inside: intermediates, perhaps the root."""
    attributes: bytes
    """The signed attributes as the SET OF that is signed."""
    digest: Algorithm
    algorithm: Algorithm
    signature: bytes


def open_response(data: bytes) -> Message:
    """Take a response apart; raises MalformedError if it is none, or does not hold its signer's certificate."""
    try:
        response = asn1.decode_der(_Response, data)
        if response.token is None:
            raise MalformedError(f"the authority refused (status {response.status.status})")
        if response.token.kind.dotted_string != _SIGNED_DATA:
            raise MalformedError("the token is not signed data")
        signed = response.token.content.parse(_SignedData)
        signer = signed.signers.as_list()[0].parse(_Signer)
        if signer.attributes.tag_bytes != _ATTRIBUTES:
            raise MalformedError("the token signs no attributes")
    except ValueError as error:
        raise MalformedError("it is no time-stamp response in DER") from error
    encoded = [_whole(each) for each in signed.certificates or () if each.tag_bytes == _SEQUENCE]
    if len(encoded) > _MAX_CERTIFICATES:
        raise MalformedError(f"the token holds more than {_MAX_CERTIFICATES} certificates")
    attributes = _SET + _whole(signer.attributes)[1:]
    certificates = _readable(encoded)
    chosen = _choose(certificates, signer.identifier, attributes)
    return Message(
        status=response.status.status,
        kind=signed.encapsulated.kind.dotted_string,
        content=signed.encapsulated.content,
        signer=chosen,
        others=tuple(each for each in certificates if each != chosen),
        attributes=attributes,
        digest=signer.digest,
        algorithm=signer.algorithm,
        signature=signer.signature,
    )


def objections(message: Message) -> Iterator[Problem]:
    """Give what stands against the message under its signer's own key."""
    if message.status not in {0, 1}:
        yield "failed", f"its status {message.status} grants nothing"
    if message.kind != _TST_INFO:
        yield "failed", "what it signs is no time stamp"
    try:
        attributes = _attributes(message.attributes)
        digest = identifier_of(message.digest)
        if digest not in DIGESTS:
            yield "failed", "it hashes with something else than SHA-256, SHA-384 or SHA-512"
        elif attributes[_MESSAGE_DIGEST].parse(bytes) != digest_of(digest, message.content):
            yield "failed", "its time stamp is not the one that was signed"
        if attributes[_CONTENT_TYPE].parse(ObjectIdentifier).dotted_string != message.kind:
            yield "failed", "its type of content is not the one that was signed"
        if not _names(attributes, message.signer):
            yield "failed", "it does not name its signer's certificate"
        _verify(message)
    except UnsupportedAlgorithm:
        yield "not-established", "it is signed in a way that is not understood here"
    except (InvalidSignature, TypeError):
        yield "failed", "its signature does not verify"
    except (ValueError, LookupError, OverflowError):
        yield "failed", "its signed attributes, or how they are signed, cannot be understood"


def digest_of(identifier: str, data: bytes) -> bytes:
    """Hash with one of `DIGESTS`."""
    return hashlib.new(DIGESTS[identifier].name, data).digest()


def identifier_of(algorithm: Algorithm) -> str:
    """Give the object identifier of an algorithm; raises ValueError if there is none."""
    if not algorithm:
        raise ValueError("an algorithm without identifier")
    identifier: ObjectIdentifier = algorithm[0].parse(ObjectIdentifier)
    return identifier.dotted_string


def _verify(message: Message) -> None:
    key = message.signer.public_key()
    identifier = identifier_of(message.algorithm)
    digest = _OF_SIGNATURES.get(identifier) or DIGESTS[identifier_of(message.digest)]
    match key:
        case rsa.RSAPublicKey() if identifier == _PSS:
            scheme, digest = _pss(message.algorithm[1].parse(_Pss))
            key.verify(message.signature, message.attributes, scheme, digest)
        case rsa.RSAPublicKey():
            key.verify(message.signature, message.attributes, padding.PKCS1v15(), digest)
        case ec.EllipticCurvePublicKey():
            key.verify(message.signature, message.attributes, ec.ECDSA(digest))
        case _:
            raise UnsupportedAlgorithm(f"signatures of {type(key).__name__} are not verified")


def _pss(parameters: _Pss) -> tuple[padding.PSS, hashes.HashAlgorithm]:
    """Read the parameters of RSASSA-PSS (RFC 4055, section 3.1); their default hash is SHA-1, so none is left out."""
    if parameters.digest is None or parameters.mask is None:
        raise ValueError("RSASSA-PSS with SHA-1")
    digest = DIGESTS[identifier_of(parameters.digest)]
    mask = DIGESTS[identifier_of(_items(_whole(parameters.mask[1])))]
    return padding.PSS(mgf=padding.MGF1(mask), salt_length=parameters.salt), digest


def _attributes(encoded: bytes) -> dict[str, asn1.TLV]:
    """Read the signed attributes; each may stand there once, with one value (RFC 5652, section 11)."""
    found: dict[str, asn1.TLV] = {}
    for each in _items(_SEQUENCE + encoded[1:]):
        attribute = each.parse(_Attribute)
        if attribute.kind.dotted_string in found:
            raise ValueError("an attribute that stands there twice")
        found[attribute.kind.dotted_string] = attribute.values.as_list()[0]
    return found


def _names(attributes: dict[str, asn1.TLV], certificate: x509.Certificate) -> bool:
    """Say whether ESSCertIDv2 (RFC 5035), or ESSCertID (RFC 2634), names a certificate, and neither another."""
    said = [
        (kind, attributes[kind].parse(_SigningCertificate).certificates)
        for kind in (_SIGNING_CERTIFICATE, _SIGNING_CERTIFICATE_V2)
        if kind in attributes
    ]
    # The first is the signer's. Others would narrow the chain (RFC 2634, section 5.4), which ends in a given root.
    return bool(said) and all(bool(named) and _is_named(named[0], kind, certificate) for kind, named in said)


def _is_named(identifier: Sequence[asn1.TLV], kind: str, certificate: x509.Certificate) -> bool:
    parts = list(identifier)
    if kind == _SIGNING_CERTIFICATE:
        digest: hashes.HashAlgorithm = hashes.SHA1()  # noqa: S303 - it names; the signature is over the attribute
    elif parts and parts[0].tag_bytes == _SEQUENCE:
        digest = DIGESTS[identifier_of(_items(_whole(parts.pop(0))))]
    else:
        digest = DIGESTS[SHA256]
    return bool(parts) and parts[0].tag_bytes == _OCTETS and bytes(parts[0].data) == certificate.fingerprint(digest)


def _choose(certificates: Sequence[x509.Certificate], identifier: asn1.TLV, attributes: bytes) -> x509.Certificate:
    """Find the signer's certificate."""
    found = [each for each in certificates if _is_identified(each, identifier)]
    if not found:
        raise MalformedError("the token does not hold its signer's certificate")
    for each in found:
        try:
            if _names(_attributes(attributes), each):
                return each
        except (ValueError, LookupError):
            break  # `objections` says so
    return found[0]


def _is_identified(certificate: x509.Certificate, identifier: asn1.TLV) -> bool:
    """Compare a certificate with a SignerIdentifier: issuer and serial number, or key identifier."""
    if identifier.tag_bytes == _KEY_IDENTIFIER:
        try:
            own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            return False
        return own.digest == bytes(identifier.data)
    try:
        issuer, serial = _items(_whole(identifier))
        return (_whole(issuer), serial.parse(int)) == (certificate.issuer.public_bytes(), certificate.serial_number)
    except ValueError:
        return False


def _readable(encoded: Sequence[bytes]) -> list[x509.Certificate]:
    """Read the certificates that can be read; of the others none is the signer's."""
    found = []
    for each in encoded:
        try:
            found.append(load_der_certificate(each))
        except MalformedError:
            continue
    return list(dict.fromkeys(found))


def _items(sequence: bytes) -> list[asn1.TLV]:
    """Read the values of a SEQUENCE whose kinds vary."""
    return asn1.decode_der(_Items, _with_header(_SEQUENCE, sequence)).items


def _whole(value: asn1.TLV) -> bytes:
    """Give the bytes of a value with its tag and length."""
    return _with_header(value.tag_bytes, bytes(value.data))


def _with_header(tag: bytes, content: bytes) -> bytes:
    size = len(content)
    if size < _SHORT:
        return tag + bytes([size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return tag + bytes([_SHORT | len(length)]) + length + content
