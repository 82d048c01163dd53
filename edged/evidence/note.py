"""Signed notes and checkpoints, as C2SP `signed-note` and `tlog-checkpoint` have them.

A note is accepted only in its exact form: one text, one blank line, signature lines and nothing else. Its
text means nothing before `verify` has said yes. Version 1 of the evidence format signs with Ed25519 (type
0x01) only; signatures of other types are kept as lines and never count here.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edged.errors import MalformedError
from edged.evidence.text import parse_base64, parse_decimal, to_base64

ED25519: Final = 0x01
"""Signature type of a log's own signature."""

COSIGNATURE: Final = 0x04
"""Signature type of a witness's timestamped Ed25519 cosignature."""

_KEY_BYTES: Final = 32
_KEY_ID_BYTES: Final = 4
_MAX_SIGNATURES: Final = 100
_MAX_BYTES: Final = 1_048_576
_DASH: Final = "\u2014 "
_FIRST_PRINTABLE: Final = " "


@dataclass(frozen=True, kw_only=True)
class VerifierKey:
    """A public key under a name, as a vkey writes it."""

    name: str
    key_id: bytes
    """Four bytes that tell keys of one name apart; no proof of anything."""
    kind: int
    """Signature type."""
    public: bytes
    """Raw public key."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One signature line, not yet verified."""

    name: str
    key_id: bytes
    signature: bytes
    """What follows the key id."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """A text and its signature lines, not yet verified."""

    text: str
    """With its last newline, without the blank line."""
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a log at one size."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Give the text that is signed."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"


def key_id(name: str, public: bytes, *, kind: int = ED25519) -> bytes:
    """Compute the key id: first four bytes of SHA-256(name || LF || type || public key)."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:_KEY_ID_BYTES]


def vkey(name: str, public: bytes, *, kind: int = ED25519) -> str:
    """Write a raw Ed25519 public key of 32 bytes as a verifier key."""
    _check_name(name)
    if len(public) != _KEY_BYTES:
        raise MalformedError(f"an Ed25519 public key has 32 bytes, not {len(public)}")
    return f"{name}+{key_id(name, public, kind=kind).hex()}+{to_base64(bytes([kind]) + public)}"


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key with a 32-byte key (Ed25519 signatures or cosignatures)."""
    parts = text.split("+", 2)
    if len(parts) != 3:  # noqa: PLR2004 - NAME+ID+KEY
        raise MalformedError("a verifier key is written NAME+ID+KEY")
    name, number, encoded = parts
    _check_name(name)
    key = parse_base64(encoded, "the verifier key", length=1 + _KEY_BYTES)
    kind, public = key[0], key[1:]
    if kind not in {ED25519, COSIGNATURE}:
        raise MalformedError(f"verifier keys of type {kind:#04x} are not known")
    expected = key_id(name, public, kind=kind)
    if number != expected.hex():
        raise MalformedError("the id in the verifier key is not the one of its key")
    return VerifierKey(name=name, key_id=expected, kind=kind, public=public)


def sign_note(text: str, name: str, private: Ed25519PrivateKey) -> bytes:
    """Sign `text`, which ends in a newline, and give the bytes of the note."""
    _check_name(name)
    _check_text(text)
    if not text.endswith("\n"):
        raise MalformedError("the text of a note ends in a newline")
    number = key_id(name, private.public_key().public_bytes_raw())
    signature = to_base64(number + private.sign(text.encode()))
    return f"{text}\n{_DASH}{name} {signature}\n".encode()


def parse_note(data: bytes) -> Note:
    """Take the bytes of a note apart; nothing is verified yet."""
    if len(data) > _MAX_BYTES:
        raise MalformedError("the note is longer than a megabyte")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("the note is not UTF-8") from error
    _check_text(whole)
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise MalformedError("a note is a text, a blank line and signature lines")
    signatures = tuple(_parse_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > _MAX_SIGNATURES:
        raise MalformedError(f"the note has more than {_MAX_SIGNATURES} signatures")
    return Note(text=text + "\n", signatures=signatures)


def verify(note: Note, key: VerifierKey) -> bool:
    """Say whether `key` signed the note: it has a signature by it, and each one that claims to be verifies."""
    if key.kind != ED25519:
        raise MalformedError("only Ed25519 signatures of a log are verified as such")
    public = Ed25519PublicKey.from_public_bytes(key.public)
    ours = [each for each in note.signatures if (each.name, each.key_id) == (key.name, key.key_id)]
    try:
        for each in ours:
            public.verify(each.signature, note.text.encode())
    except InvalidSignature:
        return False
    return bool(ours)


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint; extension lines have no place in ours (EVIDENCE.md, section 3)."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:  # noqa: PLR2004 - three lines, each ended
        raise MalformedError("a checkpoint is three lines: origin, size and root")
    origin, size, root = lines[:3]
    if not origin:
        raise MalformedError("the checkpoint has no origin")
    return Checkpoint(
        origin=origin,
        size=parse_decimal(size, "the size of the checkpoint"),
        root=parse_base64(root, "the root of the checkpoint", length=32),
    )


def _parse_signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise MalformedError("a signature line is written: dash, key name, base64")
    _check_name(name)
    data = parse_base64(encoded, "the signature")
    if len(data) <= _KEY_ID_BYTES:
        raise MalformedError("the signature is too short")
    return Signature(name=name, key_id=data[:_KEY_ID_BYTES], signature=data[_KEY_ID_BYTES:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() for character in name):
        raise MalformedError(f"{name!r} is no key name: it is empty or holds a space or a plus")
    _check_text(name)


def _check_text(text: str) -> None:
    if any(character < _FIRST_PRINTABLE and character != "\n" for character in text):
        raise MalformedError("a note holds no control characters but newlines")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedError("a note is UTF-8 and holds no lone surrogate")
