"""A second verifier of evidence bundles, written from the format's page alone.

It shares no code with the software that makes bundles, and was written without reading it: where the two disagree,
one of them, or the page, is wrong. It needs Python 3.11 or later and the package `cryptography`, nothing else.

    python verifier.py BUNDLE-FOLDER [--trust ROOT.pem]... [--crl FILE] [--json]

What it does: every check of section 7 of the page (evidence format, version 1) for a bundle that is a folder:
`bag`, `selection`, `consistency`, `custody`, `derivatives`, `chain`, `completeness`, and for each segment `bytes`,
`entry`, `inclusion`, `signature`, `identity` and `time`.

What it leaves out: time-stamp tokens and cosignatures are not evaluated, so `time` is never better than
not-established and the time of signing is always the entry's own claim (`--tsa` and `--policy` are accepted and
ignored); a zipped bundle must be unpacked first.

It exits 0 verified, 1 failed, 2 not-established, 64 wrong usage, 66 the target cannot be read.
"""

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
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


# --- Results -----------------------------------------------------------------------------------------------------


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


# --- JSON: I-JSON (RFC 7493) in the canonical form of RFC 8785, whole numbers only ----------------------------------

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


# --- Schema of entries (section 2) ---------------------------------------------------------------------------------

ID = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"
EPOCH = r"[0-9]{4}-[0-9]{2}-[0-9a-f]{4}"
SEGMENT_ID = r"sg-[0-9a-f]{32}"
HEX = r"[0-9a-f]{64}"
NUMBER = r"(?:0|[1-9][0-9]*)"
BASE64_HASH = r"[A-Za-z0-9+/]{43}="
ORIGIN = rf"[^\s+/]+/{ID}/{EPOCH}"
CLAIM = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"

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


def null(value: object) -> bool:
    return value is None


def text(value: object) -> bool:
    return isinstance(value, str)


def flag(value: object) -> bool:
    return isinstance(value, bool)


def anything(value: object) -> bool:
    return value is not None


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
    if not isinstance(value, str) or any(part in {"", ".", ".."} for part in value.split("/")):
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
claim = either(null, existing(datetime.fromisoformat, pattern(CLAIM)))
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
    "time": existing(
        datetime.fromisoformat, pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
    ),
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
        "previous": either(null, record(origin=pattern(ORIGIN), size=count, root=pattern(BASE64_HASH))),
        "software": anything,
        "reason": reason,
    },
    "docking": {
        "docking": identifier,
        "bay": text,
        "recorder": record(id=identifier, vendor=text, model=text, serial=text, known=anything),
        "officer": either(null, identifier),
        "inventory_sha256": digest,
        "files": count,
        "bytes": count,
        "clock_offset_ms": either(null, integer()),
        "clock_uncertainty_ms": either(null, count),
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
        "recorder_prev": either(null, digest),
        "officer": identifier,
        "recorded": recorded,
        "media": either(
            record(container=anything, video=anything, audio=anything, duration_ms=integer(0)), record(unreadable=text)
        ),
        "important": flag,
        "side_of": either(null, segment_id),
        "quarantine": either(
            null, record(code=text, unreadable=list_of(range_of_bytes), second_sha256=digest)
        ),
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
        "docking": either(null, identifier),
        "subject": subject,
        "detail": lambda value: isinstance(value, dict),
    },
    "classification": {
        "segment": segment_id,
        "case": identifier,
        "matter": text,
        "stage": text,
        "secrecy": text,
        "publicity": text,
        "rule": text,
        "clause": text,
        "policy": digest,
        "retain_until": either(
            one_of("permanent", "undetermined"),
            existing(date.fromisoformat, pattern("[0-9]{4}-[0-9]{2}-[0-9]{2}")),
        ),
        "basis": one_of("rule", "feed", "person"),
        "confidence": integer(0, 100),
        "supersedes": digest,
        "reason?": reason,
    },
    "correction": {
        "segment": segment_id,
        "officer?": identifier,
        "recorder?": identifier,
        "recorded?": anything,
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
        "tool": anything,
        "arguments": anything,
    },
    "replica": {
        "segment": segment_id,
        "store": identifier,
        "key": anything,
        "version": anything,
        "checksum": anything,
        "checksum_type": anything,
        "verified": one_of("server-checksum", "read-back"),
        "method": anything,
        "locked_until": anything,
        "lock_mode": anything,
        "stored": record(sha256=digest, chunks=anything),
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
        "previous": anything,
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
    "close": {"reason": reason, "next": either(null, pattern(ORIGIN))},
}


def segment_id_of(recorder: str, sha256: str) -> str:
    raw = recorder.encode("utf-8", "surrogatepass") + b"\0" + bytes.fromhex(sha256)
    return "sg-" + hashlib.sha256(raw).hexdigest()[:32]


def schema_faults(entry: dict[str, object]) -> list[str]:
    found = list(faults(entry, ENVELOPE, "entry"))
    found += [f"the envelope knows no key {key}" for key in entry if key not in ENVELOPE and key != "after"]
    if not found:
        found += faults(entry["body"], BODIES.get(str(entry["type"]), {}), str(entry["type"]))
        if (entry["seq"] == 0) != (entry["prev"] == NO_ENTRY):
            found.append("prev is 64 zeros for seq 0, and only there")
    if not found and entry["type"] == "segment":
        body = as_object(entry["body"])
        if body["segment"] != segment_id_of(str(body["recorder"]), str(body["sha256"])):
            found.append("the segment's id is not that of its recorder and digest")
        if (body["recorder_seq"] == 1) != (body["recorder_prev"] is None):
            found.append("recorder_prev is null for recorder_seq 1, and only there")
    return found


# --- NAME (section 6) ------------------------------------------------------------------------------------------------

PAGE_NAMES = {"chunks.sha256", "entry.json", "entry.tlog-proof"}
DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\..*)?", re.IGNORECASE)


def file_name_for(path: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path.rsplit("/", 1)[-1])
    if name.startswith((".", "-")) or name.lower() in PAGE_NAMES or DEVICE.fullmatch(name):
        name = "_" + name
    if name.endswith("."):
        name = name[:-1] + "_"
    if len(name) > LONGEST_NAME:
        stem, dot, extension = name.rpartition(".")
        name = stem[: LONGEST_NAME - len(dot + extension)] + dot + extension if dot else name[:LONGEST_NAME]
    return name


def possible_file_name(name: str) -> bool:
    return (
        re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name) is not None
        and not name.endswith(".")
        and name.lower() not in PAGE_NAMES
        and DEVICE.fullmatch(name) is None
    )


# --- Merkle trees (RFC 6962, 2.1) --------------------------------------------------------------------------------------


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


# --- Notes, checkpoints, proofs (C2SP) -----------------------------------------------------------------------------------


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


# --- Certificates (section 4, identity of section 7) ------------------------------------------------------------------------

HANDLED_EXTENSIONS = (x509.BasicConstraints, x509.KeyUsage, x509.SubjectAlternativeName, x509.ExtendedKeyUsage)


def extension[T](certificate: x509.Certificate, kind: type[T]) -> T | None: ...
