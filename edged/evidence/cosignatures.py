"""Cosignatures of witnesses: C2SP `tlog-cosignature`, Ed25519 (signature type 0x04).

A cosignature says that the witness saw a log in this state at this time, and never saw anything that contradicts it.
What it signs are two lines of its own before the whole text of the checkpoint, so it fits no other log, size, root
or time. A *line* is the bytes from the dash through the newline: what an `anchor` entry cites by digest.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edged.clock import from_ms
from edged.errors import MalformedError
from edged.evidence.note import COSIGNATURE, Signature, VerifierKey, key_id, parse_note, vkey
from edged.evidence.text import to_base64

_DASH: Final = "\u2014 "
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_FIRST: Final = 1
_LAST: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def witness_vkey(name: str, public: bytes) -> str:
    """Write a witness's raw Ed25519 public key of 32 bytes as a verifier key."""
    return vkey(name, public, kind=COSIGNATURE)


def cosign(text: str, name: str, private: Ed25519PrivateKey, moment: datetime) -> bytes:
    """Cosign the text of a checkpoint, which ends in a newline, as seen at `moment`; gives the line.

    Whoever calls this has checked the log's signature and consistency with all it cosigned before, and has made the
    new state durable (`tlog-witness`).
    """
    seconds = int(moment.timestamp())
    if not _FIRST <= seconds <= _LAST:
        raise MalformedError("a cosignature cannot be of this time")
    number = key_id(name, private.public_key().public_bytes_raw(), kind=COSIGNATURE)
    signature = private.sign(_message(text, seconds))
    encoded = to_base64(number + seconds.to_bytes(_TIME_BYTES, "big") + signature)
    return f"{_DASH}{name} {encoded}\n".encode()


def lines(note: bytes) -> tuple[bytes, ...]:
    """Give the signature lines of a note as they stand there; raises MalformedError if it is no note."""
    count = len(parse_note(note).signatures)
    return tuple(note.splitlines(keepends=True)[-count:])


def parse_line(line: bytes) -> Signature:
    """Read one signature line, from the dash through the newline."""
    if not line.startswith(_DASH.encode()) or line.count(b"\n") != 1:
        raise MalformedError("a signature line runs from a dash through one newline")
    (signature,) = parse_note(b"-\n\n" + line).signatures
    return signature


def is_by(line: bytes, key: VerifierKey) -> bool:
    """Say whether a line claims to be by a witness: it has the name and the id of its key."""
    try:
        signature = parse_line(line)
    except MalformedError:
        return False
    return (signature.name, signature.key_id) == (key.name, key.key_id)


def verify(line: bytes, text: str, key: VerifierKey) -> datetime:
    """Give the time at which a witness cosigned the text of a checkpoint.

    Raises MalformedError for a line by another key, a signature that does not verify, and a time that is none.
    """
    if not is_by(line, key) or key.kind != COSIGNATURE:
        raise MalformedError(f"the line is no cosignature by {key.name}")
    signature = parse_line(line).signature
    if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES:
        raise MalformedError(f"the cosignature by {key.name} has {len(signature)} bytes")
    seconds = int.from_bytes(signature[:_TIME_BYTES], "big")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature[_TIME_BYTES:], _message(text, seconds))
    except InvalidSignature as error:
        raise MalformedError(f"the cosignature by {key.name} is not over this checkpoint") from error
    # Zero is how other types of cosignature say that no time is meant.
    if not _FIRST <= seconds <= _LAST:
        raise MalformedError(f"the cosignature by {key.name} is of no time")
    return from_ms(seconds * 1000)


def earliest(cosignatures: Sequence[bytes], text: str, key: VerifierKey) -> datetime | None:
    """Give the earliest time at which a witness cosigned, among several lines; None if no line is by it.

    Raises MalformedError if any line that claims to be by it is not: a note with such a line is rejected whole
    (`signed-note`).
    """
    return min((verify(line, text, key) for line in cosignatures if is_by(line, key)), default=None)


def _message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
