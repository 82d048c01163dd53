"""A second verifier of evidence bundles, written from the format's page alone.

It shares no code with the software that makes bundles, and was written without reading it: where the two disagree,
one of them, or the page, is wrong. It needs Python 3.11 or later, the package `cryptography`, and for time-stamp
tokens the command `openssl` (3.0 or later), nothing else.

    python verifier.py BUNDLE-FOLDER [--trust ROOT.pem]... [--tsa TSA.pem]... [--policy FILE] [--crl FILE]... [--json]

What it does: every check of section 7 of the page (evidence format, version 1) for a bundle that is a folder:
`bag`, `selection`, `consistency`, `custody`, `derivatives`, `chain`, `completeness`, and for each segment `bytes`,
`entry`, `inclusion`, `signature`, `identity` and `time`. It exits 0 verified, 1 failed, 2 not-established, 64 wrong
usage, 66 the target cannot be read.

What it leaves out: a zipped bundle must be unpacked first.

Where the page leaves room, it is read as follows.
- An entry that is not valid says nothing: what would be compared with it is not established. Its proof still ends
  in a note, and `signature` is about that note alone.
- Values that the page does not call "or null" are null where there is nothing to name (`maybe` in the schema: a case
  that is not known, the version in a store that has none, the sound of a picture).
- `consistency` also compares the checkpoint in each proof with the one of its size, and `prev` with the entry before,
  where both are here and in the log.
- A certificate that contradicts its log is `failed` even where no root was given. A stolen key that the list does not
  date is `not-established`.
- `completeness` is about the dockings of the segments, and about every docking whose inventory is here.
- The names that `_` is put before are those of a segment's folder, in any case of letters.
- A folder that holds no file has no place in the layout.
- Whose a token is, its certificates say: a token that holds none leading to a given authority is of nobody given.
- A revocation after genTime is like an expired term: without a renewal, nothing is established.
- `time` needs an anchor over the note that the proof ends in; T counts those over larger, joined sizes too. An invalid
  one over any of these fails it.
- Cosignatures count whole seconds, so `after` is later than the covering anchor only beyond a second, and beyond what
  the authorities state as their accuracy.
- A cosignature that `after` cites bounds an entry only if the policy is satisfied with it alone.
"""

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

VERIFIED = "verified"
FAILED = "failed"
UNKNOWN = "not-established"
CHUNK = 8 * 1024 * 1024
LONGEST_ENTRY = 65_535
INTEGER_LIMIT = 2**53
LONGEST_NAME = 100
LONGEST_CHAIN = 8
NO_ENTRY = "0" * 64
LOG_SIGNATURE = b"\x01"


class MalformedError(Exception):
    """Something is not in the form that the page, or the document it names, asks for."""


# --- Results


@dataclass(frozen=True)
class Result:
    verdict: str
    detail: str = ""


@dataclass
class Tally:
    """What speaks against a check: contradictions, and things that are missing."""

    wrong: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def expect(self, condition: object, otherwise: str) -> None:
        if not condition:
            self.wrong.append(otherwise)

    def need(self, condition: object, otherwise: str) -> None:
        if not condition:
            self.missing.append(otherwise)

    def take(self, result: Result, where: str) -> None:
        if result.verdict != VERIFIED:
            (self.wrong if result.verdict == FAILED else self.missing).append(f"{where}: {result.detail}")

    def result(self) -> Result:
        if self.wrong:
            return Result(FAILED, "; ".join(self.wrong))
        if self.missing:
            return Result(UNKNOWN, "; ".join(self.missing))
        return Result(VERIFIED)


def worst(results: Iterable[Result]) -> str:
    verdicts = {result.verdict for result in results}
    return next((verdict for verdict in (FAILED, UNKNOWN) if verdict in verdicts), VERIFIED)


# --- JSON: I-JSON (RFC 7493) in the canonical form of RFC 8785, whole numbers only ----------------------

SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("a key occurs twice")
    return found


def refuse_number(text: str) -> NoReturn:
    raise MalformedError(f"{text} is no whole number")


def whole_number(text: str) -> int:
    if len(text) > len(str(INTEGER_LIMIT)) + 1 or abs(int(text)) >= INTEGER_LIMIT:
        raise MalformedError("a number is too large")
    return int(text)


def parse_json(data: bytes) -> object:
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=without_duplicates,
            parse_int=whole_number,
            parse_float=refuse_number,
            parse_constant=refuse_number,
        )
    except (ValueError, RecursionError) as problem:
        raise MalformedError(f"not JSON: {problem}") from problem


def canonical_string(text: str) -> str:
    return '"' + "".join(SHORT_ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text) + '"'


def canonical_text(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return canonical_string(value)
        case list():
            return "[" + ",".join(canonical_text(item) for item in value) + "]"
        case dict():
            keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
            return "{" + ",".join(f"{canonical_string(key)}:{canonical_text(value[key])}" for key in keys) + "}"
        case _:
            raise MalformedError("a value that JSON does not know")


def check_canonical(data: bytes, value: object) -> None:
    try:
        same = canonical_text(value).encode("utf-8") == data
    except (UnicodeEncodeError, RecursionError) as problem:
        raise MalformedError("a lone surrogate, or too deep") from problem
    if not same:
        raise MalformedError("not in canonical form (RFC 8785)")


def canonical_object(data: bytes) -> dict[str, object]:
    value = parse_json(data)
    check_canonical(data, value)
    return as_object(value)


def as_object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise MalformedError("not an object")
    return value


def mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[object]:
    return value if isinstance(value, list) else []


# --- Schema of entries (section 2)

ID = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"
EPOCH = r"[0-9]{4}-(?:0[1-9]|1[0-2])-[0-9a-f]{4}"
SEGMENT_ID = r"sg-[0-9a-f]{32}"
HEX = r"[0-9a-f]{64}"
NUMBER = r"(?:0|[1-9][0-9]*)"
BASE64_HASH = r"[A-Za-z0-9+/]{43}="
ORIGIN = rf"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?/{ID}/{EPOCH}"
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
CLAIM = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{CLOCK}(?:\.[0-9]+)?(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})"

Rule = Callable[[object], bool]


def pattern(expression: str) -> Rule:
    compiled = re.compile(expression)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def one_of(*words: str) -> Rule:
    return lambda value: isinstance(value, str) and value in words


def either(*rules: Rule) -> Rule:
    return lambda value: any(rule(value) for rule in rules)


def integer(least: int | None = None, most: int | None = None) -> Rule:
    return lambda value: (
        isinstance(value, int)
        and not isinstance(value, bool)
        and (least is None or value >= least)
        and (most is None or value <= most)
    )


def list_of(rule: Rule) -> Rule:
    return lambda value: isinstance(value, list) and all(rule(item) for item in value)


def text(value: object) -> bool:
    return isinstance(value, str)


def flag(value: object) -> bool:
    return isinstance(value, bool)


def anything(_value: object) -> bool:
    return True


def maybe(rule: Rule) -> Rule:
    return lambda value: value is None or rule(value)


def faults(value: object, rules: Mapping[str, Rule], at: str) -> Iterator[str]:
    """What is wrong with an object: a rule's key that ends in `?` may be absent, and further keys are valid."""
    if not isinstance(value, dict):
        yield f"{at} is no object"
        return
    for marked, rule in rules.items():
        key = marked.removesuffix("?")
        if key in value:
            if not rule(value[key]):
                yield f"{at}.{key} is not as the schema says"
        elif not marked.endswith("?"):
            yield f"{at}.{key} is not there"


def record(**rules: Rule) -> Rule:
    return lambda value: not any(faults(value, rules, ""))


def existing(parser: Callable[[str], object], form: Rule) -> Rule:
    def rule(value: object) -> bool:
        try:
            return form(value) and parser(str(value)) is not None
        except ValueError:
            return False

    return rule


def range_of_bytes(value: object) -> bool:
    match value:
        case [int(start), int(end)]:
            return 0 <= start < end
        case _:
            return False


def card_path(value: object) -> bool:
    """Relative, `/`-separated, every byte that is no valid UTF-8, a control byte or `%` as `%XX`, and no other."""
    if not isinstance(value, str) or not value or value.startswith("/"):
        return False
    raw = re.sub(rb"%([0-9A-F]{2})", lambda hit: bytes([int(hit[1], 16)]), value.encode("utf-8", "surrogatepass"))
    characters = raw.decode("utf-8", "surrogateescape")
    return value == "".join(escaped(character) for character in characters)


def escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"%{ord(character) - 0xDC00:02X}"
    return f"%{ord(character):02X}" if character < " " or character in "%\x7f" else character


def vkey(value: object) -> bool:
    """Name, key id and key of a verifier key (signed-note), Ed25519 only."""
    try:
        name, key_id, encoded = str(value).split("+", 2)
        public = base64.b64decode(encoded, validate=True)
    except ValueError:
        return False
    return len(public) == 33 and public[:1] == LOG_SIGNATURE and key_id == note_key_id(name, public[1:]).hex()


identifier = pattern(ID)
segment_id = pattern(SEGMENT_ID)
digest = pattern(HEX)
references = list_of(digest)
count = integer(0)
reason = record(code=text, text=digest)
subject = either(
    record(kind=one_of("segment"), id=segment_id),
    record(kind=one_of("case", "recorder", "officer", "docking"), id=identifier),
)
time_with_offset = existing(datetime.fromisoformat, pattern(CLAIM))
claim = maybe(time_with_offset)
recorded = record(
    start=claim, end=claim, zone=text, source=one_of("filename", "container", "mtime"), uncertainty_ms=integer(0)
)

ENVELOPE: dict[str, Rule] = {
    "v": integer(1, 1),
    "type": text,
    "station": identifier,
    "epoch": pattern(EPOCH),
    "seq": count,
    "prev": digest,
    "time": existing(datetime.fromisoformat, pattern(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{CLOCK}\.[0-9]{{3}}Z")),
    "clock": one_of("synchronised", "unsynchronised"),
    "actor": pattern(rf"edged|(?:user|remote):{ID}"),
    "after?": digest,
    "body": lambda value: isinstance(value, dict),
}

BODIES: dict[str, dict[str, Rule]] = {
    "genesis": {
        "origin": pattern(ORIGIN),
        "public_key": vkey,
        "certificate_sha256": digest,
        "previous": maybe(record(origin=pattern(ORIGIN), size=count, root=pattern(BASE64_HASH))),
        "software": text,
        "reason": reason,
    },
    "docking": {
        "docking": identifier,
        "bay": text,
        "recorder": record(id=identifier, vendor=text, model=text, serial=text, known=flag),
        "officer": maybe(identifier),
        "inventory_sha256": digest,
        "files": count,
        "bytes": count,
        "clock_offset_ms": maybe(integer()),
        "clock_uncertainty_ms": maybe(count),
        "clock_set": flag,
        "missing": count,
    },
    "segment": {
        "segment": segment_id,
        "docking": identifier,
        "path": card_path,
        "bytes": count,
        "sha256": digest,
        "sm3?": digest,
        "chunks": record(size=integer(CHUNK, CHUNK), count=count, sha256=digest),
        "recorder": identifier,
        "recorder_seq": integer(1),
        "recorder_prev": maybe(digest),
        "officer": maybe(identifier),
        "recorded": recorded,
        "media": either(
            record(container=text, video=anything, audio=anything, duration_ms=maybe(count)), record(unreadable=text)
        ),
        "important": flag,
        "side_of": maybe(segment_id),
        "quarantine": maybe(record(code=text, unreadable=list_of(range_of_bytes), second_sha256=maybe(digest))),
    },
    "sighting": {"segment": segment_id, "docking": identifier, "path": card_path},
    "undocking": {
        "docking": identifier,
        "outcome": one_of("cleared", "interrupted", "kept"),
        "remaining": count,
    },
    "clearance": {
        "docking": identifier,
        "items": list_of(record(segment=segment_id, path=card_path)),
        "proofs": references,
    },
    "wipe": {
        "docking": identifier,
        "segment": segment_id,
        "path": card_path,
        "sha256": digest,
        "clearance": digest,
        "outcome": one_of("gone", "present", "unknown"),
    },
    "anomaly": {
        "kind": text,
        "docking": maybe(identifier),
        "subject": maybe(subject),
        "detail": lambda value: isinstance(value, dict),
    },
    "classification": {
        "segment": segment_id,
        "case": maybe(identifier),
        "matter": maybe(text),
        "stage": maybe(text),
        "secrecy": maybe(text),
        "publicity": maybe(text),
        "rule": maybe(text),
        "clause": maybe(text),
        "policy": digest,
        "retain_until": either(
            one_of("permanent", "undetermined"),
            existing(date.fromisoformat, pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}")),
        ),
        "basis": one_of("rule", "feed", "person"),
        "confidence": integer(0, 100),
        "supersedes": maybe(digest),
        "reason?": reason,
    },
    "correction": {
        "segment": segment_id,
        "officer?": identifier,
        "recorder?": identifier,
        "recorded?": lambda value: isinstance(value, dict),
        "reason": reason,
    },
    "hold": {
        "hold": identifier,
        "subject": subject,
        "action": one_of("placed", "lifted"),
        "reason": reason,
        "reference": anything,
    },
    "derivative": {
        "segment": segment_id,
        "parent_sha256": digest,
        "kind": one_of("proxy", "poster", "filmstrip", "framehash", "redacted"),
        "sha256": digest,
        "bytes": count,
        "tool": text,
        "arguments": anything,
    },
    "replica": {
        "segment": segment_id,
        "store": identifier,
        "key": text,
        "version": maybe(text),
        "checksum": text,
        "checksum_type": text,
        "verified": one_of("server-checksum", "read-back"),
        "method": text,
        "locked_until": maybe(time_with_offset),
        "lock_mode": maybe(text),
        "stored": maybe(record(sha256=digest, chunks=anything)),
    },
    "retire": {"segment": segment_id, "store": identifier, "proofs": references},
    "disposal": {
        "segment": segment_id,
        "sha256": digest,
        "rule": text,
        "clause": text,
        "approvals": anything,
        "stores": anything,
        "phase": one_of("ordered", "done"),
    },
    "policy": {
        "kind": text,
        "sha256": digest,
        "previous": maybe(digest),
        "phase": one_of("candidate", "active", "refused"),
        "approvals": anything,
    },
    "export": {
        "export": identifier,
        "selection": lambda value: isinstance(value, dict),
        "purpose": reason,
        "list_sha256": digest,
    },
    "review": {"subject": subject, "action": anything, "outcome": anything, "reason": reason},
    "disclosure": {"subject": subject, "action": anything, "outcome": anything, "reason": reason},
    "anchor": {
        "kind": one_of("rfc3161", "cosignature"),
        "origin": pattern(ORIGIN),
        "size": count,
        "root": pattern(BASE64_HASH),
        "sha256": digest,
        "by": text,
    },
    "close": {"reason": reason, "next": maybe(pattern(ORIGIN))},
}


def segment_id_of(recorder: str, sha256: str) -> str:
    raw = recorder.encode("utf-8", "surrogatepass") + b"\0" + bytes.fromhex(sha256)
    return "sg-" + hashlib.sha256(raw).hexdigest()[:32]


def schema_faults(entry: dict[str, object]) -> list[str]:
    found = list(faults(entry, ENVELOPE, "entry"))
    found += [f"the envelope knows no key {key}" for key in entry if key not in ENVELOPE and key != "after"]
    if not found:
        found += faults(entry["body"], BODIES.get(str(entry["type"]), {}), str(entry["type"]))
    return found


# --- NAME (section 6)

PAGE_NAMES = {"chunks.sha256", "entry.json", "entry.tlog-proof"}
DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[1-9]|LPT[1-9])(?:\..*)?", re.IGNORECASE)


def file_name_for(path: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path.rsplit("/", 1)[-1]) or "_"
    if name.startswith((".", "-")) or name.lower() in PAGE_NAMES or DEVICE.fullmatch(name):
        name = "_" + name
    if name.endswith("."):
        name = name[:-1] + "_"
    if len(name) > LONGEST_NAME:
        stem, dot, extension = name.rpartition(".")
        kept = LONGEST_NAME - len(dot + extension)
        name = stem[:kept] + dot + extension if dot and kept > 0 else name[:LONGEST_NAME]
    return name


def possible_file_name(name: str) -> bool:
    return (
        re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name) is not None
        and not name.endswith(".")
        and name.lower() not in PAGE_NAMES
        and DEVICE.fullmatch(name) is None
    )


# --- Merkle trees (RFC 6962, 2.1)


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def included(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    if index >= size:
        return False
    node, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root


def consistent(old: tuple[int, bytes], new: tuple[int, bytes], path: list[bytes]) -> bool:
    if old[0] in {0, new[0]}:
        return not path and (old[0] == 0 or old[1] == new[1])
    if old[0] > new[0] or not path:
        return False
    steps = [old[1], *path] if old[0] & (old[0] - 1) == 0 else path
    node, last = old[0] - 1, new[0] - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, step)
        node, last = node >> 1, last >> 1
    return last == 0 and before == old[1] and after == new[1]


# --- Notes, checkpoints, proofs (C2SP)


def note_key_id(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass") + b"\n" + LOG_SIGNATURE + key).digest()[:4]


def decode_base64(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise MalformedError("not base64") from problem
    if base64.b64encode(raw).decode() != encoded:
        raise MalformedError("not base64 in its one canonical form")
    return raw


def decode_hash(encoded: str) -> bytes:
    raw = decode_base64(encoded)
    if len(raw) != hashlib.sha256().digest_size:
        raise MalformedError("not a SHA-256 hash")
    return raw


def decode_number(digits: str) -> int:
    if not re.fullmatch(NUMBER, digits) or len(digits) > len(str(INTEGER_LIMIT)):
        raise MalformedError(f"{digits[:40]!r} is no number")
    return int(digits)


@dataclass(frozen=True)
class Checkpoint:
    """A signed note whose body is a tree head: three lines, no extension lines."""

    data: bytes
    body: bytes
    origin: str
    size: int
    root: bytes
    signatures: list[tuple[str, bytes]]

    @classmethod
    def parse(cls, data: bytes) -> "Checkpoint":
        try:
            note = data.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise MalformedError("the note is not UTF-8") from problem
        if any(c < " " and c != "\n" for c in note):
            raise MalformedError("the note contains control characters")
        body, blank, lines = note.rpartition("\n\n")
        parts = body.split("\n")
        if not blank or not lines.endswith("\n") or len(parts) != 3 or not all(parts):
            raise MalformedError("not a checkpoint of three lines")
        signatures = [cls.signature(line) for line in lines[:-1].split("\n")]
        head = (parts[0], decode_number(parts[1]), decode_hash(parts[2]))
        return cls(data, (body + "\n").encode(), *head, signatures)

    @staticmethod
    def signature(line: str) -> tuple[str, bytes]:
        found = re.fullmatch(r"\u2014 ([^\s+]+) (\S+)", line)
        if not found:
            raise MalformedError("not a signature line")
        raw = decode_base64(found[2])
        if len(raw) <= 4:
            raise MalformedError("a signature line is too short")
        return found[1], raw

    def problem_under(self, key: bytes) -> str:
        """Why the log's signature does not verify, or nothing."""
        key_id = note_key_id(self.origin, key)
        known = [raw[4:] for name, raw in self.signatures if name == self.origin and raw[:4] == key_id]
        if not known:
            return "no signature of the log's key"
        try:
            for signature in known:
                Ed25519PublicKey.from_public_bytes(key).verify(signature, self.body)
        except InvalidSignature:
            return "the log's signature is wrong"
        return ""


def hash_lines(head: str, first: str) -> tuple[int, list[bytes]]:
    lines = head.split("\n")
    word, space, number = lines[0].partition(" ")
    if word != first or not space:
        raise MalformedError(f"no {first} line")
    return decode_number(number), [decode_hash(line) for line in lines[1:]]


def split_proof(data: bytes) -> tuple[str, bytes]:
    head, blank, note = data.partition(b"\n\n")
    if not blank:
        raise MalformedError("no blank line before the checkpoint")
    try:
        return head.decode("ascii"), note
    except UnicodeDecodeError as problem:
        raise MalformedError("not ASCII") from problem


@dataclass(frozen=True)
class Proof:
    """C2SP tlog-proof: where an entry is in the tree of a checkpoint."""

    index: int
    path: list[bytes]
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, data: bytes) -> "Proof":
        head, note = split_proof(data)
        first, newline, rest = head.partition("\n")
        if first != "c2sp.org/tlog-proof@v1" or not newline:
            raise MalformedError("not a tlog-proof")
        if rest.startswith("extra "):
            extra, _, rest = rest.partition("\n")
            decode_base64(extra.removeprefix("extra "))
        return cls(*hash_lines(rest, "index"), Checkpoint.parse(note))


# --- Certificates (section 4, identity of section 7)

UNDERSTOOD = (
    x509.AuthorityKeyIdentifier,
    x509.BasicConstraints,
    x509.CertificatePolicies,
    x509.CRLDistributionPoints,
    x509.KeyUsage,
    x509.SubjectAlternativeName,
    x509.SubjectKeyIdentifier,
)


@dataclass(frozen=True)
class Trust:
    """What the verifier brings along."""

    roots: list[x509.Certificate]
    revocations: list[x509.CertificateRevocationList]
    authorities: list[x509.Certificate] = field(default_factory=list)
    policy: "Policy | None" = None
    now: datetime | None = None


def key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def key_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def constraints(certificate: x509.Certificate) -> x509.BasicConstraints:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return x509.BasicConstraints(ca=False, path_length=None)


def names_uri(certificate: x509.Certificate, uri: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return list(names.get_values_for_type(x509.UniformResourceIdentifier)) == [uri]


def issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def paths_to_roots(
    path: list[x509.Certificate], pool: list[x509.Certificate], roots: list[x509.Certificate]
) -> Iterator[list[x509.Certificate]]:
    for root in roots:
        if issued(path[-1], root):
            yield [*path, root]
    if len(path) < LONGEST_CHAIN:
        for issuer in pool:
            if issuer not in path and issuer not in roots and issued(path[-1], issuer):
                yield from paths_to_roots([*path, issuer], pool, roots)


def station_problems(certificate: x509.Certificate, station: str, origin: str) -> Iterator[str]:
    names = [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [station]:
        yield f"the certificate's CN is {names}, not {station}"
    if not names_uri(certificate, f"tlog:{origin}"):
        yield f"the certificate's SAN is not tlog:{origin}"
    usage = key_usage(certificate)
    if usage is None or not usage.digital_signature:
        yield "the certificate's key is not for digital signatures"
    if constraints(certificate).ca:
        yield "the certificate is that of an authority"


def issuer_problems(issuer: x509.Certificate, below: int) -> Iterator[str]:
    limits, usage = constraints(issuer), key_usage(issuer)
    if not limits.ca or (usage is not None and not usage.key_cert_sign):
        yield f"{issuer.subject.rfc4514_string()} is no authority"
    if limits.path_length is not None and below > limits.path_length:
        yield f"{issuer.subject.rfc4514_string()} may not have an authority below it"


def validity_problems(certificate: x509.Certificate, at: datetime) -> Iterator[str]:
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        yield f"{certificate.subject.rfc4514_string()} is not valid at {at.isoformat()}"


def strange_extensions(
    certificate: x509.Certificate, understood: tuple[type[x509.ExtensionType], ...] = UNDERSTOOD
) -> Iterator[str]:
    for item in certificate.extensions:
        if isinstance(item.value, x509.NameConstraints) or (item.critical and not isinstance(item.value, understood)):
            name = certificate.subject.rfc4514_string()
            yield f"{name} has an extension that is not understood here: {item.oid.dotted_string}"


def signed_by(revoked: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return revoked.issuer == issuer.subject and revoked.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False


def judge_revocation(
    certificate: x509.Certificate, revoked: x509.CertificateRevocationList, at: datetime, tally: Tally
) -> None:
    entry = revoked.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is None:
        return
    what = f"{certificate.subject.rfc4514_string()} is revoked"
    said = [item.value for item in entry.extensions]
    reasons = {value.reason for value in said if isinstance(value, x509.CRLReason)}
    if x509.ReasonFlags.key_compromise in reasons:
        stolen = [value.invalidity_date_utc for value in said if isinstance(value, x509.InvalidityDate)]
        tally.need(stolen and min(stolen) > at, f"{what}: its key was in other hands")
    elif x509.ReasonFlags.remove_from_crl not in reasons:
        tally.expect(entry.revocation_date_utc > at, f"{what} since {entry.revocation_date_utc.isoformat()}")


def judge_path(
    path: list[x509.Certificate],
    trust: Trust,
    at: datetime,
    understood: tuple[type[x509.ExtensionType], ...] = UNDERSTOOD,
) -> Tally:
    tally = Tally()
    for certificate in path:
        tally.wrong += validity_problems(certificate, at)
        tally.missing += strange_extensions(certificate, understood)
    for below, issuer in enumerate(path[1:]):
        tally.wrong += issuer_problems(issuer, below)
    for certificate, issuer in pairwise(path):
        for revoked in trust.revocations:
            if signed_by(revoked, issuer):
                judge_revocation(certificate, revoked, at, tally)
    return tally


def identity(
    certificates: list[x509.Certificate], station: str, origin: str, at: datetime, trust: Trust
) -> tuple[Result, x509.Certificate | None]:
    try:
        own = [*station_problems(certificates[0], station, origin), *validity_problems(certificates[0], at)]
        if own:
            return Result(FAILED, "; ".join(own)), None
        judged: list[tuple[Result, x509.Certificate | None]] = [
            (judge_path(path, trust, at).result(), path[-1])
            for path in paths_to_roots(certificates[:1], certificates[1:], trust.roots)
        ]
    except (ValueError, x509.DuplicateExtension) as problem:
        return Result(FAILED, f"a certificate cannot be read: {problem}"), None
    if not judged:
        return Result(UNKNOWN, "no path to a root that was given" if trust.roots else "no root was given"), None
    best, root = min(judged, key=lambda found: (VERIFIED, UNKNOWN, FAILED).index(found[0].verdict))
    return best, root if best.verdict == VERIFIED else None


# --- Anchors in time (section 5)

SECOND = timedelta(seconds=1)
COSIGNATURE = b"\x04"
PRINTED_TIME = re.compile(r"^Time stamp: (\w{3}) +(\d+) (\d\d:\d\d:\d\d)(\.\d+)? (\d{4}) GMT$", re.MULTILINE)
PRINTED_ACCURACY = re.compile(r"^Accuracy: (\S+) seconds, (\S+) millis, (\S+) micros$", re.MULTILINE)
PRINTED_BYTES = re.compile(r"^    [0-9a-f]{4} - ([0-9a-f -]{47})", re.MULTILINE)


@dataclass(frozen=True)
class Anchor:
    """What one token or quorum says, under what the verifier gave."""

    result: Result
    moment: datetime | None = None
    accuracy: timedelta = timedelta()

    def order(self) -> float:
        return self.moment.timestamp() if self.moment else 0


def openssl(folder: Path, *arguments: str) -> str | None:
    """What `openssl` prints, or nothing if it refuses."""
    done = subprocess.run(
        ["openssl", *arguments],
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def printed_accuracy(printed: str) -> timedelta:
    found = PRINTED_ACCURACY.search(printed)
    seconds, millis, micros = (
        (0 if part == "unspecified" else int(part, 0) for part in found.groups()) if found else (0,) * 3
    )
    return timedelta(seconds=seconds, milliseconds=millis, microseconds=micros)


class Tokens:
    """RFC 3161 tokens, taken apart and verified by `openssl`; chains and revocation are judged here."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust
        self.known: dict[tuple[bytes, bytes | None, datetime | None], Anchor | None] = {}

    def judge(self, token: bytes, data: bytes | None, until: datetime | None) -> Anchor | None:
        """Nothing, if it is of no authority that was given, or does not say whose it is."""
        key = (token, data, until)
        if key not in self.known:
            with tempfile.TemporaryDirectory() as scratch:
                self.known[key] = self._judge(Path(scratch), token, data, until) if self.trust.authorities else None
        return self.known[key]

    def series(self, tokens: list[bytes], data: bytes | None) -> Anchor | None:
        """A token and its renewals, each over the bytes of the one before."""
        until, wrong = self.trust.now, ""
        for before, renewal in reversed(list(pairwise(tokens))):
            judged = self.judge(renewal, before, until)
            until = self.trust.now
            if judged and judged.result.verdict == VERIFIED:
                until = judged.moment
            elif judged and judged.result.verdict == FAILED:
                wrong = judged.result.detail
        first = self.judge(tokens[0], data, until)
        if first and wrong and first.result.verdict != FAILED:
            return Anchor(Result(FAILED, f"its renewal: {wrong}"))
        return first

    def _judge(self, folder: Path, token: bytes, data: bytes | None, until: datetime | None) -> Anchor | None:
        (folder / "token").write_bytes(token)
        roots = b"".join(root.public_bytes(Encoding.PEM) for root in self.trust.authorities)
        (folder / "roots").write_bytes(roots)
        printed = openssl(folder, "ts", "-reply", "-in", "token", "-text")
        found = PRINTED_TIME.search(printed or "")
        inside = openssl(folder, "ts", "-reply", "-in", "token", "-token_out", "-out", "bare")
        listed = openssl(folder, "pkcs7", "-inform", "DER", "-in", "bare", "-print_certs")
        if printed is None or inside is None or not listed or not found:
            return None
        paths = self._paths(read_certificates(listed.encode()))
        if not paths:
            return None
        day, fraction = f"{found[1]} {found[2]} {found[5]} {found[3]}", float(found[4] or 0)
        made = datetime.strptime(day, "%b %d %Y %H:%M:%S").replace(tzinfo=UTC)
        if data is None:
            imprint = "".join(PRINTED_BYTES.findall(printed)).replace(" ", "").replace("-", "")
            over = ("-digest", imprint)
        else:
            (folder / "data").write_bytes(data)
            over = ("-data", "data")
        at = ("-attime", str(int(made.timestamp())))
        said = openssl(folder, "ts", "-verify", *over, "-in", "token", "-CAfile", "roots", *at)
        if said is None:
            return Anchor(Result(FAILED, "openssl does not verify the token"))
        results = [self._judge_path(path, made, until) for path in paths]
        best = min(results, key=lambda result: (VERIFIED, UNKNOWN, FAILED).index(result.verdict))
        return Anchor(best, made + timedelta(seconds=fraction), printed_accuracy(printed))

    def _paths(self, inside: list[x509.Certificate]) -> list[list[x509.Certificate]]:
        """The paths from the certificates that issued none of the others."""
        last = [each for each in inside if not any(issued(other, each) for other in inside)]
        return [path for each in last for path in paths_to_roots([each], inside, self.trust.authorities)]

    def _judge_path(self, path: list[x509.Certificate], made: datetime, until: datetime | None) -> Result:
        understood = (*UNDERSTOOD, x509.ExtendedKeyUsage)
        tally = judge_path(path, self.trust, made, understood)
        if until is None:
            tally.missing.append("the present is not known")
        elif until > made:
            later = judge_path(path, self.trust, until.replace(microsecond=0), understood)
            tally.missing += [f"later: {problem}" for problem in later.wrong + later.missing]
        return tally.result()


@dataclass
class Policy:
    """A C2SP tlog-policy: witnesses, groups of them, and which must have cosigned."""

    witnesses: dict[str, tuple[str, bytes, bytes]] = field(default_factory=dict)
    groups: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    quorum: str = ""

    @classmethod
    def parse(cls, data: bytes) -> "Policy":
        policy = cls()
        for line in data.decode("utf-8", "surrogateescape").splitlines():
            match line.split():
                case ["witness", name, key, *_]:
                    keyname, key_id, encoded = key.split("+", 2)
                    raw = base64.b64decode(encoded, validate=True)
                    right = hashlib.sha256(keyname.encode() + b"\n" + raw).digest()[:4]
                    if raw[:1] != COSIGNATURE or key_id != right.hex():
                        raise ValueError(f"{name} has no key for cosignatures")
                    policy.witnesses[name] = (keyname, right, raw[1:])
                case ["group", name, needed, *members]:
                    policy.groups[name] = (needed, members)
                case ["quorum", name]:
                    policy.quorum = name
                case [] | ["log", *_]:
                    pass
                case [word, *_] if not word.startswith("#"):
                    raise ValueError(f"no line of a policy: {line}")
        return policy

    def time_of(self, name: str, times: Mapping[str, datetime]) -> datetime | None:
        """When a witness, or enough of a group, had cosigned."""
        if name not in self.groups:
            return times.get(name)
        needed, members = self.groups[name]
        reached = sorted(time for member in members if (time := self.time_of(member, times)))
        count = {"any": 1, "all": len(members)}.get(needed) or int(needed)
        return reached[count - 1] if len(reached) >= count else None

    def judge(self, body: bytes, signatures: list[tuple[str, bytes]]) -> Anchor | None:
        """What cosignatures over a checkpoint say; nothing, if there is nothing to say."""
        times: dict[str, datetime] = {}
        for name, (keyname, key_id, key) in self.witnesses.items():
            for raw in [raw[4:] for signer, raw in signatures if (signer, raw[:4]) == (keyname, key_id)]:
                seconds = int.from_bytes(raw[:8], "big")
                message = f"cosignature/v1\ntime {seconds}\n".encode() + body
                try:
                    Ed25519PublicKey.from_public_bytes(key).verify(raw[8:], message)
                    moment_of = datetime.fromtimestamp(seconds, UTC)
                except (InvalidSignature, ValueError, OverflowError, OSError):
                    return Anchor(Result(FAILED, f"the cosignature by {keyname} is not valid"))
                if len(raw) != 72 or not seconds:
                    return Anchor(Result(FAILED, f"the cosignature by {keyname} is none"))
                times[name] = min(moment_of, times.get(name, moment_of))
        reached = self.time_of(self.quorum, times)
        return Anchor(Result(VERIFIED), reached) if reached else None


# --- The folder (section 6)

LAYOUT = [
    re.compile(expression)
    for expression in (
        r"bagit\.txt|bag-info\.txt|manifest-sha256\.txt|tagmanifest-sha256\.txt",
        r"VERIFY\.md|VERIFY\.zh\.md|verify\.html",
        r"data/(?:export|texts|report)\.json|data/report\.html",
        rf"data/logs/{ID}/{EPOCH}/station\.pem",
        rf"data/logs/{ID}/{EPOCH}/{NUMBER}/checkpoint(?:\.cosigned)?",
        rf"data/logs/{ID}/{EPOCH}/{NUMBER}/[A-Za-z0-9_-]+(?:\.[1-9][0-9]*)?\.tsr",
        rf"data/logs/{ID}/{EPOCH}/{NUMBER}/from-{NUMBER}\.consistency",
        rf"data/anchors/{HEX}(?:\.checkpoint)?",
        r"data/trust/(?:root\.pem|tsa\.pem|policy\.txt)",
        rf"data/segments/{SEGMENT_ID}/(?:chunks\.sha256|entry\.json|entry\.tlog-proof)",
        rf"data/custody/{ID}/{EPOCH}/{NUMBER}\.(?:json|tlog-proof)",
        rf"data/derivatives/{SEGMENT_ID}/(?:proxy|poster|filmstrip|framehash|redacted)\.[A-Za-z0-9]+",
        rf"data/dockings/{ID}/inventory\.json",
    )
]
SEGMENT_FILE = re.compile(rf"data/segments/{SEGMENT_ID}/([^/]+)")
MANIFEST_LINE = re.compile(r"([0-9A-Fa-f]{64})[ \t]+(\S.*)")
BAG_DECLARATION = re.compile(rb"BagIt-Version: 1\.0\r?\nTag-File-Character-Encoding: UTF-8(?:\r?\n)?")


def in_layout(path: str) -> bool:
    own = SEGMENT_FILE.fullmatch(path)
    return any(form.fullmatch(path) for form in LAYOUT) or (own is not None and possible_file_name(own[1]))


class Folder:
    """The files of a bundle; links and other irregular things are seen, never followed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sizes: dict[str, int] = {}
        self.folders: list[str] = []
        self.irregular: list[str] = []
        waiting = [""]
        while waiting:
            waiting += [folder + "/" for folder in self._list(waiting.pop())]
        self.names = sorted(self.sizes)

    def _list(self, inside: str) -> list[str]:
        inner = []
        with os.scandir(self.root / inside) as found:
            for item in found:
                path = inside + item.name
                if item.is_dir(follow_symlinks=False):
                    inner.append(path)
                elif item.is_file(follow_symlinks=False):
                    self.sizes[path] = item.stat(follow_symlinks=False).st_size
                else:
                    self.irregular.append(path)
        self.folders += inner
        return inner

    def read(self, path: str) -> bytes | None:
        return (self.root / path).read_bytes() if path in self.sizes else None

    def matching(self, expression: str) -> Iterator[re.Match[str]]:
        form = re.compile(expression)
        return (hit for name in self.names if (hit := form.fullmatch(name)))

    def chunks(self, path: str) -> Iterator[bytes]:
        with (self.root / path).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def sha256(self, path: str) -> str:
        whole = hashlib.sha256()
        for chunk in self.chunks(path):
            whole.update(chunk)
        return whole.hexdigest()


def read_manifest(data: bytes, tally: Tally, name: str) -> dict[str, str]:
    listed: dict[str, str] = {}
    try:
        lines = data.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        tally.wrong.append(f"{name} is not UTF-8")
        return listed
    for line in lines[:-1] if lines[-1] == "" else lines:
        found = MANIFEST_LINE.fullmatch(line)
        if not found:
            tally.wrong.append(f"{name} has a line that is none of a manifest")
            continue
        path = re.sub(r"%(0[AaDd]|25)", lambda hit: chr(int(hit[1], 16)), found[2])
        tally.expect(path not in listed, f"{name} lists {path} twice")
        listed[path] = found[1].lower()
    return listed


def check_manifest(folder: Folder, name: str, present: set[str], tally: Tally) -> None:
    data = folder.read(name)
    if data is None:
        tally.wrong.append(f"{name} is not here")
        return
    listed = read_manifest(data, tally, name)
    tally.wrong += [f"{path} is listed but not here" for path in sorted(listed.keys() - present)]
    tally.wrong += [f"{path} is here but not listed" for path in sorted(present - listed.keys())]
    tally.wrong += [
        f"{path} is not what {name} says"
        for path in sorted(present & listed.keys())
        if folder.sha256(path) != listed[path]
    ]


def check_bag(folder: Folder) -> Result:
    tally = Tally()
    tally.expect(BAG_DECLARATION.fullmatch(folder.read("bagit.txt") or b""), "bagit.txt is not that of BagIt 1.0")
    tally.wrong += [f"{path} is no regular file" for path in folder.irregular]
    tally.wrong += [f"{path} is outside the layout" for path in folder.names if not in_layout(path)]
    above = {path[: slash.start()] for path in folder.names for slash in re.finditer("/", path)}
    tally.wrong += [f"{path}/ is an empty folder" for path in folder.folders if path not in above]
    payload = {path for path in folder.names if path.startswith("data/")}
    check_manifest(folder, "manifest-sha256.txt", payload, tally)
    tags = set(folder.names) - payload - {"tagmanifest-sha256.txt"}
    check_manifest(folder, "tagmanifest-sha256.txt", tags, tally)
    for file in folder.matching(rf"data/anchors/({HEX})"):
        tally.expect(folder.sha256(file[0]) == file[1], f"{file[0]} is not what its name says")
    for name, files in Counter(own.rpartition("/")[0] for own in folder.names if is_original(own)).items():
        tally.expect(files == 1, f"{name} has more than one file")
    return tally.result()


def is_original(path: str) -> bool:
    own = SEGMENT_FILE.fullmatch(path)
    return own is not None and own[1] not in PAGE_NAMES


# --- What is in it


@dataclass
class Statement:
    """An entry and its proof, as far as they can be read."""

    stem: str
    data: bytes | None
    value: dict[str, object]
    problems: list[str]
    proof: Proof | None
    proof_problem: Result

    @classmethod
    def load(cls, folder: Folder, stem: str) -> "Statement":
        data = folder.read(f"{stem}.json")
        value, problems = ({}, ["the entry is not here"]) if data is None else read_entry(data)
        raw = folder.read(f"{stem}.tlog-proof")
        if raw is None:
            return cls(stem, data, value, problems, None, Result(UNKNOWN, "no proof"))
        try:
            proof = Proof.parse(raw)
        except MalformedError as problem:
            return cls(stem, data, value, problems, None, Result(FAILED, f"the proof cannot be read: {problem}"))
        return cls(stem, data, value, problems, proof, Result(VERIFIED))

    @cached_property
    def reference(self) -> str:
        return hashlib.sha256(self.data or b"").hexdigest()

    @property
    def note(self) -> Checkpoint | None:
        return self.proof.checkpoint if self.proof else None

    @property
    def type(self) -> str:
        return str(self.value.get("type"))

    @property
    def body(self) -> dict[str, object]:
        return mapping(self.value.get("body"))

    @property
    def station(self) -> str:
        return str(self.value.get("station"))

    @property
    def epoch(self) -> str:
        return str(self.value.get("epoch"))

    @property
    def seq(self) -> int:
        seq = self.value.get("seq")
        return seq if isinstance(seq, int) else -1

    @property
    def time(self) -> datetime | None:
        return moment(self.value.get("time"))

    def number(self, key: str) -> int:
        value = self.body.get(key)
        return value if isinstance(value, int) else -1


def moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else None


def read_entry(data: bytes) -> tuple[dict[str, object], list[str]]:
    """What an entry says, and what is wrong with it: one that is not valid says nothing."""
    try:
        value = as_object(parse_json(data))
    except MalformedError as problem:
        return {}, [str(problem)]
    problems = schema_faults(value)
    try:
        check_canonical(data, value)
    except MalformedError as problem:
        problems.append(str(problem))
    if len(data) > LONGEST_ENTRY:
        problems.append("longer than an entry may be")
    return ({} if problems else value), problems


@dataclass
class Log:
    """What a bundle holds of the log of one station and epoch."""

    station: str
    epoch: str
    pem: bytes | None
    certificates: list[x509.Certificate] = field(default_factory=list)
    sizes: set[int] = field(default_factory=set)
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    cosigned: dict[int, bytes] = field(default_factory=dict)
    joins: dict[int, dict[int, bytes]] = field(default_factory=lambda: defaultdict(dict))
    tokens: dict[int, dict[str, dict[int, bytes]]] = field(default_factory=lambda: defaultdict(dict))

    def heads(self) -> dict[int, Checkpoint]:
        """The checkpoints that can be read, smallest first."""
        found = {}
        for size, data in sorted(self.checkpoints.items()):
            try:
                found[size] = Checkpoint.parse(data)
            except MalformedError:
                continue
        return found

    def above(self, note: Checkpoint) -> Iterator[int]:
        """The size of a note that lies here, and the larger ones that are proven to extend it."""
        heads = self.heads()
        if note.size not in heads or note.data not in {self.checkpoints[note.size], self.cosigned.get(note.size)}:
            return
        yield note.size
        for before, size in pairwise([each for each in heads if each >= note.size]):
            try:
                head, end = split_proof(self.joins[size][before])
                old, path = hash_lines(head, "old")
            except (KeyError, MalformedError):
                return
            ends = (before, heads[before].root), (size, heads[size].root)
            same = end in {self.checkpoints[size], self.cosigned.get(size)}
            if old != before or not same or not consistent(*ends, path):
                return
            yield size

    def witness_lines(self, size: int) -> tuple[bytes, list[tuple[str, bytes]]] | None:
        """Body and cosignatures of a checkpoint, if what lies here extends it by witnesses alone."""
        try:
            base, note = Checkpoint.parse(self.checkpoints[size]), Checkpoint.parse(self.cosigned[size])
        except (KeyError, MalformedError):
            return None
        more = note.signatures[len(base.signatures) :]
        right = note.data.startswith(base.data) and more and all(name != note.origin for name, _ in more)
        return (note.body, more) if right else None

    @property
    def name(self) -> str:
        return f"{self.station}/{self.epoch}"

    @property
    def key(self) -> bytes | None:
        if not self.certificates:
            return None
        try:
            key = self.certificates[0].public_key()
        except (ValueError, UnsupportedAlgorithm):
            return None
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw) if isinstance(key, Ed25519PublicKey) else None

    def signature_of(self, note: Checkpoint) -> Result:
        if self.pem is None:
            return Result(UNKNOWN, "station.pem is not here")
        if self.key is None:
            return Result(FAILED, "station.pem holds no Ed25519 certificate")
        problem = note.problem_under(self.key)
        return Result(FAILED, problem) if problem else Result(VERIFIED)


def load_logs(folder: Folder) -> dict[tuple[str, str], Log]:
    logs: dict[tuple[str, str], Log] = {}
    for hit in folder.matching(rf"data/logs/({ID})/({EPOCH})/(?:({NUMBER})/)?([^/]+)"):
        station, epoch, size, name = hit.groups()
        log = logs.setdefault((station, epoch), Log(station, epoch, None))
        data = folder.read(hit[0]) or b""
        join = re.fullmatch(rf"from-({NUMBER})\.consistency", name)
        if size is not None:
            log.sizes.add(int(size))
        if size is None and name == "station.pem":
            log.pem = data
            log.certificates = read_certificates(data)
        elif size is not None and name == "checkpoint":
            log.checkpoints[int(size)] = data
        elif size is not None and name == "checkpoint.cosigned":
            log.cosigned[int(size)] = data
        elif size is not None and join:
            log.joins[int(size)][int(join[1])] = data
        elif size is not None and name.endswith(".tsr"):
            stem, _, number = name.removesuffix(".tsr").partition(".")
            log.tokens[int(size)].setdefault(stem, {})[int(number or 0)] = data
    return logs


def read_certificates(data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        return []


class Bundle:
    """Everything of the folder that the checks speak about."""

    def __init__(self, folder: Folder, trust: Trust) -> None:
        self.folder = folder
        self.trust = trust
        self.logs = load_logs(folder)
        names = {hit[1] for hit in folder.matching(rf"data/segments/({SEGMENT_ID})/[^/]+")}
        self.segments = {name: Statement.load(folder, f"data/segments/{name}/entry") for name in sorted(names)}
        stems = {hit[1] for hit in folder.matching(rf"(data/custody/{ID}/{EPOCH}/{NUMBER})\.(?:json|tlog-proof)")}
        self.custody = [Statement.load(folder, stem) for stem in sorted(stems)]
        self.tokens = Tokens(trust)
        self.over: dict[tuple[str, int], list[Anchor]] = {}
        self.cited: dict[str, list[Anchor]] = defaultdict(list)
        for log in self.logs.values():
            for size in log.heads():
                self.over[log.name, size] = list(self._anchors_over(log, size))
        self._cite_loose()
        self.judged = {statement.stem: self._judge(statement) for statement in self.statements}

    @property
    def statements(self) -> list[Statement]:
        return [*self.segments.values(), *self.custody]

    def of_type(self, kind: str) -> list[Statement]:
        return [statement for statement in self.statements if statement.type == kind]

    def _anchors_over(self, log: Log, size: int) -> Iterator[Anchor]:
        for numbered in log.tokens[size].values():
            series: list[bytes] = []
            while len(series) in numbered:
                series.append(numbered[len(series)])
            for at, token in enumerate(series):
                judged = self.tokens.series(series[at:], series[at - 1] if at else log.checkpoints[size])
                if judged:
                    self.cited[hashlib.sha256(token).hexdigest()].append(judged)
                if judged and not at:
                    yield judged
        lines = log.witness_lines(size)
        policy = self.trust.policy
        if policy and lines:
            quorum = policy.judge(*lines)
            if quorum:
                yield quorum
            for name, raw in lines[1]:
                line = f"\u2014 {name} {base64.b64encode(raw).decode()}\n".encode()
                single = policy.judge(lines[0], [(name, raw)])
                if single:
                    self.cited[hashlib.sha256(line).hexdigest()].append(single)

    def _cite_loose(self) -> None:
        """The anchors under `anchors/`: tokens, and cosignatures with their checkpoint."""
        for hit in self.folder.matching(rf"data/anchors/({HEX})"):
            data, beside = self.folder.read(hit[0]) or b"", self.folder.read(f"{hit[0]}.checkpoint")
            if hashlib.sha256(data).hexdigest() != hit[1]:
                continue
            judged = None
            if not data.startswith("\u2014".encode()):
                judged = self.tokens.series([data], beside)
            elif self.trust.policy and beside is not None:
                try:
                    name, raw = Checkpoint.signature(data.decode()[:-1])
                    judged = self.trust.policy.judge(Checkpoint.parse(beside).body, [(name, raw)])
                except (MalformedError, UnicodeDecodeError):
                    continue
            if judged:
                self.cited[hit[1]].append(judged)

    def anchors_of(self, note: Checkpoint | None) -> tuple[list[Anchor], list[Anchor]]:
        """Those over a note, and those over it or over what is proven to extend it."""
        if note is None:
            return [], []
        _, station, epoch = ("//" + note.origin).rsplit("/", 2)
        log = self.logs.get((station, epoch))
        sizes = list(log.above(note)) if log and re.fullmatch(ORIGIN, note.origin) else []
        over = {size: self.over[f"{station}/{epoch}", size] for size in sizes}
        return over.get(note.size, []), [anchor for found in over.values() for anchor in found]

    def time_of(self, statement: Statement) -> tuple[Result, datetime | None, datetime | None]:
        """The check `time`, and the bounds in time below and above."""
        own, covering = self.anchors_of(statement.note)
        cited = self.cited.get(str(statement.value.get("after")), [])
        holding = [each for each in covering if each.result.verdict == VERIFIED and each.moment]
        bounding = [each for each in cited if each.result.verdict == VERIFIED and each.moment]
        above = min(holding, key=Anchor.order, default=None)
        below = max(bounding, key=Anchor.order, default=None)
        tally = Tally()
        tally.wrong += [each.result.detail for each in [*covering, *cited] if each.result.verdict == FAILED]
        if above and below and above.moment and below.moment:
            apart = (below.moment - below.accuracy) - (above.moment + above.accuracy)
            tally.expect(apart <= SECOND, "`after` is later than the covering anchor")
        tally.need(any(each in holding for each in own), "no anchor that was given covers it")
        return tally.result(), below.moment if below else None, above.moment if above else None

    def log_of(self, statement: Statement) -> Log | None:
        """The log that an entry says it is of; if it says nothing, that of the checkpoint its proof ends in."""
        if statement.value:
            return self.logs.get((statement.station, statement.epoch))
        if statement.note is None:
            return None
        _, station, epoch = ("//" + statement.note.origin).rsplit("/", 2)
        return self.logs.get((station, epoch))

    def _judge(self, statement: Statement) -> dict[str, Result]:
        return {
            "entry": self._entry(statement),
            "inclusion": self._inclusion(statement),
            "signature": self._signature(statement),
            "identity": self.identity_of(statement)[0],
        }

    def _entry(self, statement: Statement) -> Result:
        if statement.data is None:
            return Result(UNKNOWN, "the entry is not here")
        if statement.problems:
            return Result(FAILED, "; ".join(statement.problems))
        tally = Tally()
        own = statement.stem.split("/")
        if own[1] == "segments":
            tally.expect(statement.type == "segment", "the entry is not that of a segment")
            tally.expect(statement.body.get("segment") == own[2], "the folder's name is not the entry's segment")
        else:
            place = [statement.station, statement.epoch, str(statement.seq)]
            tally.expect(own[2:] == place, "the file's place is not that of the entry")
        if statement.type == "segment":
            right = segment_id_of(str(statement.body["recorder"]), str(statement.body["sha256"]))
            tally.expect(statement.body["segment"] == right, "the segment's id is not that of its recorder and digest")
        if statement.proof:
            tally.expect(statement.proof.index == statement.seq, "seq is not the index of the proof")
        if statement.note:
            tail = f"/{statement.station}/{statement.epoch}"
            tally.expect(statement.note.origin.endswith(tail), "station and epoch are not those of the origin")
            tally.expect(re.fullmatch(ORIGIN, statement.note.origin), "the origin is not DOMAIN/STATION/EPOCH")
        return tally.result()

    def _inclusion(self, statement: Statement) -> Result:
        proof = statement.proof
        if statement.data is None:
            return Result(UNKNOWN, "the entry is not here")
        if proof is None:
            return statement.proof_problem
        note = proof.checkpoint
        if not included(leaf_hash(statement.data), proof.index, note.size, proof.path, note.root):
            return Result(FAILED, "the proof does not lead to the checkpoint's root")
        return Result(VERIFIED)

    def _signature(self, statement: Statement) -> Result:
        note = statement.note
        if note is None:
            return Result(UNKNOWN, "no proof, or none that can be read")
        log = self.log_of(statement)
        return log.signature_of(note) if log else Result(UNKNOWN, "station.pem is not here")

    def identity_of(self, statement: Statement) -> tuple[Result, x509.Certificate | None]:
        note = statement.note
        log = self.log_of(statement)
        if note is None or log is None or not log.certificates or statement.time is None:
            return Result(UNKNOWN, "no checkpoint, no station.pem, or no time"), None
        signed = (self.time_of(statement)[2] or statement.time).replace(microsecond=0)
        return identity(log.certificates, statement.station, note.origin, signed, self.trust)


# --- Checks of the bundle (section 7)


def check_custody(bundle: Bundle) -> Result:
    tally = Tally()
    for statement in bundle.custody:
        for name, result in bundle.judged[statement.stem].items():
            tally.take(result, f"{statement.stem.removeprefix('data/')} {name}")
    return tally.result()


def check_selection(bundle: Bundle) -> Result:
    tally = Tally()
    check_texts(bundle, tally)
    exports = [statement for statement in bundle.custody if statement.type == "export"]
    data = bundle.folder.read("data/export.json")
    tally.need(exports, "no export entry")
    tally.need(data is not None, "export.json is not here")
    if exports and data is not None:
        cited = hashlib.sha256(data).hexdigest()
        citing = [statement for statement in exports if statement.body.get("list_sha256") == cited]
        tally.expect(len(citing) == 1, f"{len(citing)} export entries cite export.json")
        for statement in citing[:1]:
            check_export(bundle, statement, data, tally)
    return tally.result()


def check_export(bundle: Bundle, export: Statement, data: bytes, tally: Tally) -> None:
    for name, result in bundle.judged[export.stem].items():
        tally.take(result, f"the export entry, {name}")
    tally.need(
        all(segment.station == export.station for segment in bundle.segments.values() if segment.value),
        "the export entry is by another station than a segment's",
    )
    try:
        listed = canonical_object(data)
    except MalformedError as problem:
        tally.wrong.append(f"export.json: {problem}")
        return
    tally.expect(listed.keys() == {"v", "export", "segments", "entries"}, "export.json has other keys")
    tally.expect(integer(1, 1)(listed.get("v")), "export.json is not of version 1")
    tally.expect(listed.get("export") == export.body.get("export"), "export.json is of another export")
    here = {each.reference for each in bundle.statements if each.data is not None} - {export.reference}
    tally.expect(listed.get("segments") == sorted(bundle.segments), "the segments here are not those listed")
    tally.expect(listed.get("entries") == sorted(here), "the entries here are not those listed")


def check_texts(bundle: Bundle, tally: Tally) -> None:
    data = bundle.folder.read("data/texts.json")
    if data is None:
        return
    try:
        texts = canonical_object(data)
    except MalformedError as problem:
        tally.wrong.append(f"texts.json: {problem}")
        return
    cited = {digest for statement in bundle.statements for digest in reasons_in(statement.body)}
    for key, value in texts.items():
        tally.expect(text_hashes_to(value, key), f"a text of texts.json does not hash to {key}")
        tally.expect(key in cited, f"no entry here cites the text {key}")


def reasons_in(value: object) -> Iterator[str]:
    """The digests of reasons, wherever they stand: further keys and unknown types are valid, and may cite one."""
    if record(code=text, text=pattern(HEX))(value):
        yield str(mapping(value)["text"])
    for inner in [*mapping(value).values(), *sequence(value)]:
        yield from reasons_in(inner)


def text_hashes_to(value: object, key: str) -> bool:
    match value:
        case {"salt": str(salt), "text": str(words), **rest}:
            raw = (salt + words).encode("utf-8", "surrogatepass")
            salted = re.fullmatch(r"[0-9a-f]{32}", salt) is not None
            return not rest and salted and hashlib.sha256(raw).hexdigest() == key
        case _:
            return False


def check_consistency(bundle: Bundle) -> Result:
    tally = Tally()
    heads: dict[tuple[str, int], bytes] = {}
    for log in bundle.logs.values():
        check_log(log, heads, tally)
    for statement in bundle.statements:
        if statement.note and statement.value:
            check_ending(bundle.log_of(statement), statement, statement.note, tally)
    check_order(bundle, tally)
    check_genesis(bundle, heads, tally)
    check_anchors(bundle, heads, tally)
    check_closes(bundle, heads, tally)
    check_joining(bundle, tally)
    return tally.result()


def check_ending(log: Log | None, statement: Statement, note: Checkpoint, tally: Tally) -> None:
    """The checkpoint in a proof is, byte for byte, that of its size."""
    stored = None if log is None else log.checkpoints.get(note.size)
    if log is None or stored is None:
        tally.missing.append(f"{statement.stem}: the checkpoint of size {note.size} that its proof ends in is not here")
    else:
        same = note.data in {stored, log.cosigned.get(note.size)}
        tally.expect(same, f"{statement.stem}: its proof ends in another checkpoint of size {note.size}")


def check_order(bundle: Bundle, tally: Tally) -> None:
    """`prev` of an entry cites the entry before it, where both are here and in the log."""
    proven = [each for each in bundle.statements if bundle.judged[each.stem]["inclusion"].verdict == VERIFIED]
    here = {(each.station, each.epoch, each.seq): each for each in proven if each.value}
    for (station, epoch, seq), statement in here.items():
        before = here.get((station, epoch, seq - 1))
        prev = statement.value.get("prev")
        right = before is None or prev == before.reference if seq else prev == NO_ENTRY
        tally.expect(right, f"{statement.stem}: prev is not the entry before it")


def check_log(log: Log, heads: dict[tuple[str, int], bytes], tally: Tally) -> None:
    parsed: dict[int, Checkpoint] = {}
    tally.need(log.pem is not None, f"{log.name}: station.pem is not here")
    tally.expect(log.pem is None or log.key, f"{log.name}: station.pem holds no Ed25519 certificate")
    for size in sorted(log.sizes - log.checkpoints.keys()):
        tally.missing.append(f"{log.name}: the checkpoint of size {size} is not here")
    for size, data in sorted(log.checkpoints.items()):
        where = f"{log.name}/{size}"
        try:
            note = Checkpoint.parse(data)
        except MalformedError as problem:
            tally.wrong.append(f"{where}/checkpoint: {problem}")
            continue
        parsed[size] = note
        heads[note.origin, size] = note.root
        tally.take(log.signature_of(note), f"{where}/checkpoint")
        tally.expect([name for name, _ in note.signatures] == [note.origin], f"{where}: not signed by the log alone")
        tally.expect(note.size == size, f"{where}: the checkpoint is of size {note.size}")
        tally.expect(note.origin.endswith(f"/{log.name}"), f"{where}: the checkpoint is of {note.origin}")
    tally.expect(len({note.origin for note in parsed.values()}) <= 1, f"{log.name}: two origins")
    check_cosigned(log, tally)
    check_joins(log, parsed, tally)


def check_cosigned(log: Log, tally: Tally) -> None:
    for size, data in log.cosigned.items():
        where = f"{log.name}/{size}/checkpoint.cosigned"
        base = log.checkpoints.get(size)
        if base is None:
            continue
        try:
            note = Checkpoint.parse(data)
        except MalformedError as problem:
            tally.wrong.append(f"{where}: {problem}")
            continue
        witnesses = note.signatures[1:]
        tally.expect(data.startswith(base) and witnesses, f"{where} does not extend checkpoint")
        tally.expect(all(name != note.origin for name, _ in witnesses), f"{where}: a line of the log itself")


def check_joins(log: Log, parsed: dict[int, Checkpoint], tally: Tally) -> None:
    sizes = sorted(log.checkpoints)
    for before, size in pairwise(sizes):
        tally.need(before in log.joins[size], f"{log.name}: {before} and {size} are not joined")
    neighbours = set(pairwise(sorted(log.sizes)))
    for size, joins in log.joins.items():
        for before, data in joins.items():
            where = f"{log.name}: from {before} to {size}"
            try:
                head, note = split_proof(data)
                old, path = hash_lines(head, "old")
            except MalformedError as problem:
                tally.wrong.append(f"{where}: {problem}")
                continue
            tally.expect(old == before, f"{where}: the proof is from {old}")
            if before in log.sizes and (before, size) not in neighbours:
                tally.wrong.append(f"{where}: this is not the next smaller size")
            elif {before, size} <= parsed.keys():
                ends = (before, parsed[before].root), (size, parsed[size].root)
                tally.expect(consistent(*ends, path), f"{where}: not consistent")
                same = note in {parsed[size].data, log.cosigned.get(size)}
                tally.expect(same, f"{where}: the proof's checkpoint is another")
            else:
                tally.missing.append(f"{where}: one of them is not here, or cannot be read")


def check_genesis(bundle: Bundle, heads: dict[tuple[str, int], bytes], tally: Tally) -> None:
    known = set()
    for statement in bundle.of_type("genesis"):
        known.add((statement.station, statement.epoch))
        log = bundle.logs.get((statement.station, statement.epoch))
        tally.expect(statement.seq == 0, f"{statement.stem}: a genesis that is not the first entry")
        if statement.note:
            tally.expect(statement.body.get("origin") == statement.note.origin, f"{statement.stem}: another origin")
        if log and log.certificates:
            tally.expect(names_key(statement, log), f"{log.name}: genesis names another key than station.pem")
        check_previous(statement, heads, tally)
    for station, epoch in sorted(bundle.logs.keys() - known):
        tally.missing.append(f"{station}/{epoch}: its genesis is not here")


def names_key(genesis: Statement, log: Log) -> bool:
    body, key = genesis.body, log.key
    if key is None:
        return False
    origin = str(body.get("origin"))
    encoded = base64.b64encode(LOG_SIGNATURE + key).decode()
    certificate = hashlib.sha256(log.certificates[0].public_bytes(Encoding.DER)).hexdigest()
    return (
        body.get("public_key") == f"{origin}+{note_key_id(origin, key).hex()}+{encoded}"
        and body.get("certificate_sha256") == certificate
    )


def agrees(cited: dict[str, object], heads: dict[tuple[str, int], bytes]) -> bool:
    size = cited.get("size")
    root = heads.get((str(cited.get("origin")), size)) if isinstance(size, int) else None
    return root is None or cited.get("root") == base64.b64encode(root).decode()


def check_previous(genesis: Statement, heads: dict[tuple[str, int], bytes], tally: Tally) -> None:
    previous = mapping(genesis.body.get("previous"))
    tally.expect(agrees(previous, heads), f"{genesis.stem}: previous is not the checkpoint here")
    size = previous.get("size")
    for origin, above in heads:
        if origin == previous.get("origin") and isinstance(size, int):
            tally.expect(above <= size, f"{origin}: a checkpoint above what the next epoch calls its last")


def check_anchors(bundle: Bundle, heads: dict[tuple[str, int], bytes], tally: Tally) -> None:
    for statement in bundle.of_type("anchor"):
        tally.expect(agrees(statement.body, heads), f"{statement.stem}: the anchor is not over the checkpoint here")


def check_closes(bundle: Bundle, heads: dict[tuple[str, int], bytes], tally: Tally) -> None:
    for close in bundle.of_type("close"):
        place = (close.station, close.epoch)
        later = [other for other in bundle.statements if (other.station, other.epoch) == place]
        tally.expect(all(other.seq <= close.seq for other in later), f"{close.stem}: an entry above a close")
        above = [size for origin, size in heads if origin.endswith(f"/{place[0]}/{place[1]}")]
        tally.expect(all(size <= close.seq + 1 for size in above), f"{close.stem}: a checkpoint above a close")


def check_joining(bundle: Bundle, tally: Tally) -> None:
    """What an epoch cites as its beginning is the very end of the one before."""
    for genesis in bundle.of_type("genesis"):
        previous, own = mapping(genesis.body.get("previous")), str(genesis.body.get("origin"))
        origin, size = str(previous.get("origin")), previous.get("size")
        for entry in bundle.statements:
            if isinstance(size, int) and origin.endswith(f"/{entry.station}/{entry.epoch}") and entry.value:
                tally.expect(entry.seq < size, f"{entry.stem}: above what {own} calls the end")
        for close in bundle.of_type("close"):
            is_before = origin.endswith(f"/{close.station}/{close.epoch}")
            following = close.body.get("next")
            if is_before:
                tally.expect(size == close.seq + 1, f"{close.stem}: {own} cites another end")
                tally.expect(following in (None, own), f"{close.stem}: {own} is not what follows")
            tally.expect(is_before or following != own, f"{close.stem}: {own} does not cite it")


def check_derivatives(bundle: Bundle) -> Result:
    tally = Tally()
    entries = [statement for statement in bundle.custody if statement.type == "derivative"]
    sealed = {str(entry.body.get("segment")): entry.body.get("sha256") for entry in bundle.of_type("segment")}
    for file in bundle.folder.matching(rf"data/derivatives/({SEGMENT_ID})/([a-z]+)\.[A-Za-z0-9]+"):
        path, segment, kind = file[0], file[1], file[2]
        size, sha256 = bundle.folder.sizes[path], bundle.folder.sha256(path)
        own = [entry.body for entry in entries if entry.body.get("segment") == segment]
        fitting = [
            body
            for body in own
            if body.get("kind") == kind and body.get("sha256") == sha256 and body.get("bytes") == size
        ]
        tally.expect(fitting, f"{path} has no entry that it matches")
        if segment not in sealed:
            tally.missing.append(f"the parent of {path} is not here")
        elif fitting:
            parents = {body.get("parent_sha256") for body in fitting}
            tally.expect(sealed[segment] in parents, f"{path} is of another parent")
    return tally.result()


def check_chain(bundle: Bundle) -> Result:
    tally = Tally()
    recorders: dict[tuple[str, str], dict[int, Statement]] = defaultdict(dict)
    for statement in bundle.of_type("segment"):
        links = recorders[statement.station, str(statement.body.get("recorder"))]
        seq = statement.number("recorder_seq")
        tally.expect(
            seq not in links or links[seq].reference == statement.reference,
            f"{statement.stem}: recorder_seq {seq} a second time",
        )
        links[seq] = statement
    known = {statement.reference for links in recorders.values() for statement in links.values()}
    for (station, recorder), links in recorders.items():
        check_links(links, known, f"{recorder} at {station}", tally)
    return tally.result()


def check_links(links: dict[int, Statement], known: set[str], where: str, tally: Tally) -> None:
    for seq, statement in sorted(links.items()):
        before = statement.body.get("recorder_prev")
        tally.expect((seq == 1) == (before is None), f"{where}: recorder_prev of {seq} contradicts it")
        if seq > 1:
            neighbour = links.get(seq - 1)
            tally.need(neighbour, f"{where}: {seq - 1} is not here")
            right = before == neighbour.reference if neighbour else before not in known
            tally.expect(right, f"{where}: recorder_prev of {seq} is another entry")


def check_completeness(bundle: Bundle, findings: list[str]) -> Result:
    tally = Tally()
    dockings = {str(statement.body.get("docking")): statement for statement in bundle.of_type("docking")}
    wanted = {str(each.body.get("docking")) for each in bundle.segments.values() if each.type == "segment"}
    wanted |= {file[1] for file in bundle.folder.matching(rf"data/dockings/({ID})/inventory\.json")}
    tally.need(wanted, "nothing to check")
    for name in sorted(wanted):
        docking = dockings.get(name)
        data = bundle.folder.read(f"data/dockings/{name}/inventory.json")
        if data is None or docking is None:
            tally.missing.append(f"the inventory or the entry of {name} is not here")
        elif hashlib.sha256(data).hexdigest() != docking.body.get("inventory_sha256"):
            tally.wrong.append(f"the inventory of {name} is not the sealed one")
        else:
            amiss = list(check_docking(bundle, name, docking, data))
            findings += amiss
            tally.missing += amiss
    return tally.result()


def check_docking(bundle: Bundle, name: str, docking: Statement, data: bytes) -> Iterator[str]:
    try:
        inventory = canonical_object(data)
    except MalformedError as problem:
        yield f"the inventory of {name} cannot be read: {problem}"
        return
    if inventory.get("v") != 1 or inventory.get("docking") != name:
        yield f"the inventory of {name} is of another docking or version"
    items = [mapping(item) for item in sequence(inventory.get("items"))]
    files = {str(item.get("path")): item.get("bytes") for item in items if item.get("kind") == "file"}

    def during(kind: str) -> list[dict[str, object]]:
        return [each.body for each in bundle.of_type(kind) if each.body.get("docking") == name]

    accounted = {body.get("path") for body in during("segment") + during("sighting")}
    yield from (f"{path} of {name} is neither sealed nor sighted" for path in files if path not in accounted)
    held = sum(length for length in files.values() if isinstance(length, int))
    if (docking.body.get("files"), docking.body.get("bytes")) != (len(files), held):
        yield f"the inventory of {name} lists {len(files)} files of {held} bytes, its entry says otherwise"
    if docking.body.get("missing"):
        yield f"{docking.body['missing']} files were gone at {name} that no wipe accounts for"
    left = len(files.keys() - {body.get("path") for body in during("wipe") if body.get("outcome") == "gone"})
    if [body.get("remaining") for body in during("undocking")] != [left]:
        yield f"{left} files should be left after {name}; the undocking entries here do not say so"
    counters = sorted(number for body in during("segment") if isinstance(number := body.get("recorder_seq"), int))
    if any(after != before + 1 for before, after in pairwise(counters)):
        yield f"the counters of {name} have a gap"


# --- Checks of a segment (section 7)


@dataclass
class Original:
    """The file of a segment beside what its entry says of it."""

    result: Result
    name: str | None
    damage: list[dict[str, object]] = field(default_factory=list)


def check_bytes(bundle: Bundle, segment: str) -> Original:
    folder, statement = bundle.folder, bundle.segments[segment]
    inside = f"data/segments/{segment}/"
    here = [name for name in folder.names if name.startswith(inside) and is_original(name)]
    if not here:
        return Original(Result(UNKNOWN, "the file is not here"), None)
    body = statement.body
    if statement.type != "segment":
        return Original(Result(UNKNOWN, "no valid entry says what the file was"), here[0].removeprefix(inside))
    name = file_name_for(str(body["path"]))
    path = inside + name if inside + name in here else here[0]
    tally = Tally()
    tally.expect(path == inside + name, f"the file's name is not {name}")
    own, whole, third = [], hashlib.sha256(), sm3() if "sm3" in body else None
    for chunk in folder.chunks(path):
        own.append(hashlib.sha256(chunk).hexdigest())
        whole.update(chunk)
        if third is not None:
            third.update(chunk)
    tally.expect(folder.sizes[path] == body["bytes"], f"{folder.sizes[path]} bytes, not {body['bytes']}")
    tally.expect(whole.hexdigest() == body["sha256"], "the digest of the whole file differs")
    tally.expect(third is None or third.hexdigest() == body["sm3"], "the SM3 of the whole file differs")
    tally.need(third is not None or "sm3" not in body, "there is no SM3 here to check by")
    listed = check_chunks(folder.read(inside + "chunks.sha256"), mapping(body["chunks"]), own, tally)
    damage = [] if listed is None else damaged(listed, own, folder.sizes[path], body)
    tally.wrong += [f"chunk {item['chunk']}: bytes {item['from_byte']} to {item['to_byte']}" for item in damage]
    return Original(tally.result(), path.removeprefix(inside), damage)


def sm3() -> "hashlib._Hash | None":
    """SM3 (GB/T 32905), where this Python's OpenSSL has it."""
    try:
        return hashlib.new("sm3")
    except ValueError:
        return None


def check_chunks(data: bytes | None, sealed: dict[str, object], own: list[str], tally: Tally) -> list[str] | None:
    """Compare the chunks; return the sealed list of them if it is here."""
    again = "".join(f"{chunk}\n" for chunk in own).encode()
    tally.expect(hashlib.sha256(again).hexdigest() == sealed["sha256"], "the digests of the chunks differ")
    tally.expect(len(own) == sealed["count"], "the number of chunks differs")
    if data is None:
        return None
    right = hashlib.sha256(data).hexdigest() == sealed["sha256"]
    tally.expect(right, "chunks.sha256 is not the sealed list")
    return data.decode("ascii", "replace").splitlines() if right else None


def damaged(listed: list[str], own: list[str], size: int, body: dict[str, object]) -> list[dict[str, object]]:
    sealed = int(str(body["bytes"]))
    claimed = mapping(body["recorded"])
    start, end = moment(claimed.get("start")), moment(claimed.get("end"))

    def time_at(byte: int) -> str | None:
        if start is None or end is None or end < start or byte > sealed or sealed == 0:
            return None
        return (start + (end - start) * byte // sealed).isoformat(timespec="milliseconds")

    found: list[dict[str, object]] = []
    for number in range(max(len(listed), len(own))):
        if listed[number : number + 1] != own[number : number + 1]:
            first = number * CHUNK
            last = min(first + CHUNK, max(sealed, size))
            times = {"from_time": time_at(first), "to_time": time_at(last)}
            found.append({"chunk": number, "from_byte": first, "to_byte": last, **times})
    return found


def judge_segment(bundle: Bundle, segment: str) -> dict[str, object]:
    statement = bundle.segments[segment]
    original = check_bytes(bundle, segment)
    checks = {"bytes": original.result, **bundle.judged[statement.stem]}
    checks["time"], below, above = bundle.time_of(statement)
    _, root = bundle.identity_of(statement)
    shown = root and {
        "subject": root.subject.rfc4514_string(),
        "sha256": hashlib.sha256(root.public_bytes(Encoding.DER)).hexdigest(),
    }
    return {
        "segment": segment,
        "name": original.name,
        "verdict": worst(checks.values()),
        "checks": {name: vars(result) for name, result in checks.items()},
        "root": shown,
        "not_before": in_utc(below),
        "not_after": in_utc(above),
        "damage": original.damage,
    }


def in_utc(at: datetime | None) -> str | None:
    return at and at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- The verdict

NOT_PROVEN = [
    "Nothing is shown about what happened before a file was read from the card.",
    "Nothing that was written after the export is shown.",
    "Erasing on flash memory removes names, not every trace of what they named.",
    "A self-made root binds the station to no authority.",
]


def gather_findings(bundle: Bundle) -> Iterator[str]:
    for statement in bundle.statements:
        where, body = statement.stem.removeprefix("data/"), statement.body
        if statement.value.get("clock") == "unsynchronised":
            yield f"{where}: the station's clock was not synchronised"
        if body.get("quarantine") is not None:
            yield f"{where}: the file is in quarantine"
        if statement.type == "anomaly":
            yield f"{where}: anomaly {body.get('kind')}"
    yield from missing_tokens(bundle)
    yield from late_proofs(bundle)
    own = {key_of(root) for root in bundle.trust.roots}
    yield from (
        f"{root.subject.rfc4514_string()} shares its key with a root of stations"
        for root in bundle.trust.authorities
        if key_of(root) in own
    )


def missing_tokens(bundle: Bundle) -> Iterator[str]:
    folder = bundle.folder
    here = {folder.sha256(hit[0]) for hit in folder.matching(r"data/(?:logs/.*\.tsr|anchors/.*)")}
    for log in bundle.logs.values():
        for data in log.cosigned.values():
            here.update(hashlib.sha256(line + b"\n").hexdigest() for line in data.split(b"\n"))
    for statement in bundle.of_type("anchor"):
        if statement.body.get("sha256") not in here:
            yield f"{statement.stem.removeprefix('data/')}: the anchor that it names is not here"


def late_proofs(bundle: Bundle) -> Iterator[str]:
    """Proofs that do not end in the earliest anchored checkpoint that covers the entry, else in the newest."""
    for log in bundle.logs.values():
        folder = f"data/logs/{log.name}"
        tokens = {int(hit[1]) for hit in bundle.folder.matching(rf"{re.escape(folder)}/({NUMBER})/[^/]+\.tsr")}
        anchored = sorted(tokens | log.cosigned.keys())
        for statement in bundle.statements:
            if statement.note and statement.note.origin.endswith(f"/{log.name}") and log.checkpoints:
                due = next((size for size in anchored if size > statement.seq), max(log.checkpoints))
                if statement.note.size != due:
                    yield f"{statement.stem.removeprefix('data/')}: its proof is to {statement.note.size}, not {due}"


def verify(target: Path, trust: Trust) -> dict[str, object]:
    bundle = Bundle(Folder(target), trust)
    findings: list[str] = []
    checks = {
        "bag": check_bag(bundle.folder),
        "selection": check_selection(bundle),
        "consistency": check_consistency(bundle),
        "custody": check_custody(bundle),
        "derivatives": check_derivatives(bundle),
        "chain": check_chain(bundle),
        "completeness": check_completeness(bundle, findings),
    }
    segments = [judge_segment(bundle, name) for name in bundle.segments]
    findings += gather_findings(bundle)
    told = "was checked with the lists given" if trust.revocations else "was not checked"
    return {
        "verdict": overall(checks, [str(segment["verdict"]) for segment in segments]),
        "checks": {name: vars(result) for name, result in checks.items()},
        "segments": segments,
        "findings": findings,
        "not_proven": [*NOT_PROVEN, f"Revocation {told}."],
    }


def overall(checks: dict[str, Result], segments: list[str]) -> str:
    verdicts = [result.verdict for result in checks.values()]
    if FAILED in verdicts + segments:
        return FAILED
    needed = [checks[name].verdict for name in ("bag", "selection", "consistency", "custody", "derivatives")]
    return VERIFIED if segments and set(needed + segments) == {VERIFIED} else UNKNOWN


# --- Command line


class Arguments(argparse.ArgumentParser):
    """Wrong usage exits 64."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(64, f"{message}\n")


def load_trust(roots: list[Path], lists: list[Path], authorities: list[Path], policies: list[Path]) -> Trust:
    def certificates(paths: list[Path]) -> list[x509.Certificate]:
        return [found for path in paths for found in x509.load_pem_x509_certificates(path.read_bytes())]

    revocations = [found for path in lists for found in load_crls(path.read_bytes())]
    policy = Policy.parse(policies[-1].read_bytes()) if policies else None
    return Trust(certificates(roots), revocations, certificates(authorities), policy, datetime.now(UTC))


def load_crls(data: bytes) -> list[x509.CertificateRevocationList]:
    mark = b"-----BEGIN X509 CRL-----"
    if mark not in data:
        return [x509.load_der_x509_crl(data)]
    return [x509.load_pem_x509_crl(mark + part) for part in data.split(mark)[1:]]


def main(arguments: list[str] | None = None) -> int:
    parser = Arguments(description="Check a bundle of evidence.")
    parser.add_argument("target", type=Path)
    for option in ("--trust", "--tsa", "--policy", "--crl"):
        parser.add_argument(option, type=Path, action="append", default=[])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    try:
        trust = load_trust(given.trust, given.crl, given.tsa, given.policy)
    except (OSError, ValueError) as problem:
        parser.error(str(problem))
    try:
        report = verify(given.target, trust)
    except OSError as problem:
        sys.stderr.write(f"{given.target} cannot be read: {problem}\n")
        return 66
    shown = json.dumps(report, indent=2) if given.json else "\n".join(lines_of(report))
    sys.stdout.buffer.write(shown.encode("utf-8", "backslashreplace") + b"\n")
    return {VERIFIED: 0, FAILED: 1}.get(str(report["verdict"]), 2)


def lines_of(report: dict[str, object]) -> Iterator[str]:
    yield str(report["verdict"])
    yield from check_lines(mapping(report["checks"]), "")
    for segment in map(mapping, sequence(report["segments"])):
        yield f"{segment['segment']} {segment['name']}: {segment['verdict']}"
        yield from check_lines(mapping(segment["checks"]), "  ")
    yield from (f"found: {finding}" for finding in sequence(report["findings"]))
    yield from (f"not proven: {sentence}" for sentence in sequence(report["not_proven"]))


def check_lines(checks: dict[str, object], indent: str) -> Iterator[str]:
    for name, result in checks.items():
        told = mapping(result)
        yield f"{indent}{name}: {told['verdict']}" + (f" ({told['detail']})" if told["detail"] else "")


if __name__ == "__main__":
    sys.exit(main())
