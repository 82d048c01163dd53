"""Proofs as text files: C2SP `tlog-proof`, and the body of a `tlog-witness` add-checkpoint request.

Both are a few lines, a blank line, and a checkpoint verbatim. The checkpoint is given back as the bytes that
stood there: it is checked by `note`, and compared byte for byte with the one it should be.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from edged.errors import MalformedError
from edged.evidence.merkle import HASH_BYTES
from edged.evidence.text import parse_base64, parse_decimal, to_base64

_PROOF: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = "index "
_EXTRA: Final = "extra "
_OLD: Final = "old "
_MAX_HASHES: Final = 63
"""No path in a tree of fewer than 2^63 leaves is longer."""


class InclusionProof(NamedTuple):
    """That an entry is in a log."""

    seq: int
    """Index of the entry."""
    hashes: tuple[bytes, ...]
    """From the leaf's sibling up."""
    checkpoint: bytes


class ConsistencyProof(NamedTuple):
    """That a log only grew since it had `old` entries."""

    old: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes


def format_proof(index: int, hashes: Sequence[bytes], checkpoint: bytes) -> bytes:
    """Write a `tlog-proof`, without extra data."""
    return _join([_PROOF, f"{_INDEX}{index}"], hashes, checkpoint)


def parse_proof(data: bytes) -> InclusionProof:
    """Read a `tlog-proof`; extra data, which nothing authenticates, is passed over."""
    lines, checkpoint = _split(data)
    if lines.pop(0) != _PROOF:
        raise MalformedError(f"the proof does not begin with {_PROOF}")
    if lines and lines[0].startswith(_EXTRA):
        parse_base64(lines.pop(0).removeprefix(_EXTRA), "the extra data")
    index = _number(lines, _INDEX, "the index of the proof")
    return InclusionProof(index, _hashes(lines), checkpoint)


def format_consistency(old: int, hashes: Sequence[bytes], checkpoint: bytes) -> bytes:
    """Write the body of a `tlog-witness` add-checkpoint request."""
    return _join([f"{_OLD}{old}"], hashes, checkpoint)


def parse_consistency(data: bytes) -> ConsistencyProof:
    """Read the body of a `tlog-witness` add-checkpoint request."""
    lines, checkpoint = _split(data)
    old = _number(lines, _OLD, "the old size of the proof")
    return ConsistencyProof(old, _hashes(lines), checkpoint)


def _join(lines: list[str], hashes: Sequence[bytes], checkpoint: bytes) -> bytes:
    whole = [*lines, *(to_base64(each) for each in hashes), "", ""]
    return "\n".join(whole).encode("ascii") + checkpoint


def _split(data: bytes) -> tuple[list[str], bytes]:
    head, blank, checkpoint = data.partition(b"\n\n")
    if not blank or not checkpoint:
        raise MalformedError("a proof is some lines, a blank line and a checkpoint")
    try:
        return head.decode("ascii").split("\n"), checkpoint
    except UnicodeDecodeError as error:
        raise MalformedError("the proof is not ASCII") from error


def _number(lines: list[str], prefix: str, what: str) -> int:
    if not lines or not lines[0].startswith(prefix):
        raise MalformedError(f"{what} is missing")
    return parse_decimal(lines.pop(0).removeprefix(prefix), what)


def _hashes(lines: list[str]) -> tuple[bytes, ...]:
    if len(lines) > _MAX_HASHES:
        raise MalformedError(f"the proof has more than {_MAX_HASHES} hashes")
    return tuple(parse_base64(line, "a hash of the proof", length=HASH_BYTES) for line in lines)
