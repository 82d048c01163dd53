"""The code on a receipt: a checkpoint and an entry under it, on paper, where nobody can rewrite them.

    edged-receipt:1 ORIGIN SIZE ROOT SIGNATURE SEQ REFERENCE

One line of ASCII, its parts joined by single spaces: ORIGIN, SIZE and ROOT are the three lines of a checkpoint,
SIGNATURE is the base64 behind the name in the log's own signature line of that `signed-note`, SEQ and REFERENCE name
an entry below SIZE (the one that ended the docking). So the exact bytes of the signed checkpoint follow from it, and
what the station signed can be shown to anybody, whatever became of its ledger.
"""

from dataclasses import dataclass
from typing import Final

from edged.errors import MalformedError
from edged.evidence.ids import EntryRef, is_sha256, split_origin
from edged.evidence.note import Checkpoint, parse_checkpoint, parse_note
from edged.evidence.text import parse_base64, parse_decimal, to_base64

MARK: Final = "edged-receipt:1"
"""What every code begins with."""
_PARTS: Final = 7
LONGEST: Final = 600
"""Characters of a code; the longest origin leaves most of them unused."""


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What the code on a receipt says."""

    checkpoint: Checkpoint
    signature: bytes
    """Key id and signature, as the signature line of a note holds them."""
    seq: int
    """Number of the entry in the checkpoint's log."""
    ref: EntryRef

    def note(self) -> bytes:
        """Give the bytes of the signed checkpoint."""
        origin = self.checkpoint.origin
        return f"{self.checkpoint.text()}\n\u2014 {origin} {to_base64(self.signature)}\n".encode()


def receipt(note: bytes, seq: int, ref: EntryRef) -> Receipt:
    """Make the receipt of an entry from a checkpoint that covers it; raises MalformedError if it does not.

    The checkpoint is one as signed by the log alone.
    """
    parsed = parse_note(note)
    checkpoint = parse_checkpoint(parsed.text)
    ours = [each for each in parsed.signatures if each.name == checkpoint.origin]
    if len(ours) != 1 or seq >= checkpoint.size:
        raise MalformedError("a receipt takes a checkpoint signed by its log, and an entry below its size")
    return Receipt(checkpoint=checkpoint, signature=ours[0].key_id + ours[0].signature, seq=seq, ref=ref)


def format_receipt(paper: Receipt) -> str:
    """Write the code."""
    at = paper.checkpoint
    parts = (at.origin, at.size, to_base64(at.root), to_base64(paper.signature), paper.seq, paper.ref)
    return " ".join((MARK, *map(str, parts)))


def parse_receipt(text: str) -> Receipt:
    """Read a code in its one spelling; raises MalformedError. That it says the truth is for the ledger to show."""
    if len(text) > LONGEST or not text.isascii():
        raise MalformedError("the code of a receipt is one short line of ASCII")
    parts = text.split(" ")
    if parts[0] != MARK or len(parts) != _PARTS:
        raise MalformedError(f"the code of a receipt is {MARK} and six parts, joined by single spaces")
    _, origin, size, root, signature, seq, ref = parts
    split_origin(origin)
    if not is_sha256(ref):
        raise MalformedError("the entry's reference on the receipt is no SHA-256 in lower-case hex")
    found = Receipt(
        checkpoint=Checkpoint(
            origin=origin,
            size=parse_decimal(size, "the size on the receipt"),
            root=parse_base64(root, "the root on the receipt", length=32),
        ),
        signature=parse_base64(signature, "the signature on the receipt", length=68),
        seq=parse_decimal(seq, "the entry's number on the receipt"),
        ref=EntryRef(ref),
    )
    if found.seq >= found.checkpoint.size:
        raise MalformedError("the receipt names an entry that its checkpoint does not cover")
    return found
