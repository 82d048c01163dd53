"""INV-4, INV-5, INV-9: the ledger as anybody can check it with a hash function and a public key."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hwsim.torture.facts import Entry, Facts, Published

_ONCE: Final = {
    "docking": ("docking",),
    "undocking": ("docking",),
    "segment": ("segment",),
    "sighting": ("docking", "path"),
    "replica": ("segment", "store"),
}
"""What is said of a thing once, ever."""


def ledger_complaints(facts: Facts) -> Iterator[str]:
    """Say what is wrong with the ledger."""
    yield from _chain(facts)
    yield from _heads(facts)
    for kind, keys in _ONCE.items():
        said = Counter(tuple(entry.body[key] for key in keys) for entry in facts.of(kind))
        for what, times in said.items():
            if times > 1:
                yield f"INV-4: {kind} {'/'.join(map(str, what))} was said {times} times"
    for entry in facts.of("disposal", "retire"):
        yield f"INV-5: entry {entry.position} disposes of {entry.body['segment']}"
    for entry in facts.entries:
        if entry.plain["actor"] != "edged":
            yield f"INV-9: entry {entry.position} is by {entry.plain['actor']}, but nobody did anything"


def merkle_root(leaves: list[bytes]) -> bytes:
    """Give the root of a tree (RFC 6962, 2.1)."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + merkle_root(leaves[:middle]) + merkle_root(leaves[middle:])).digest()


def _chain(facts: Facts) -> Iterator[str]:
    """Each entry names the one before it, and its reference is its hash."""
    if len(facts.origins) != 1:
        yield f"INV-10: there are {len(facts.origins)} epochs, so something durable was lost"
    last: Entry | None = None
    for entry in facts.entries:
        if hashlib.sha256(entry.raw).hexdigest() != entry.ref:
            yield f"INV-4: entry {entry.position} does not hash to its reference"
        begins = last is None or last.epoch != entry.epoch
        before = "0" * 64 if last is None or begins else last.ref
        if entry.plain["prev"] != before or entry.plain["seq"] != (0 if last is None or begins else last.seq + 1):
            yield f"INV-4: entry {entry.position} does not follow the one before it"
        last = entry


def _heads(facts: Facts) -> Iterator[str]:
    """Every checkpoint that was ever published is over a beginning of this ledger, and signed by its key."""
    for number, origin in facts.origins.items():
        leaves = [entry.raw for entry in facts.entries if entry.epoch == number]
        genesis = next(entry for entry in facts.entries if entry.epoch == number and entry.type == "genesis")
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(genesis.body["public_key"].split("+", 2)[2])[1:])
        published = facts.published[origin]
        if not published:
            yield f"INV-4: nothing of {origin} was published"
        for each in published:
            yield from _head(each, origin, leaves, key)
        if published and max(each.size for each in published) != len(leaves):
            yield f"INV-10: {len(leaves)} entries, but only {max(each.size for each in published)} were published"


def _head(published: Published, origin: str, leaves: list[bytes], key: Ed25519PublicKey) -> Iterator[str]:
    text, _, signatures = published.note.partition(b"\n\n")
    name, size, root = text.split(b"\n")[:3]
    if name.decode() != origin or not 0 < int(size) <= len(leaves):
        yield f"INV-4: a checkpoint over {size.decode()} entries was published; there are {len(leaves)}"
        return
    if base64.b64decode(root) != merkle_root(leaves[: int(size)]):
        yield f"INV-4: the checkpoint over {int(size)} entries is of another ledger"
    try:
        key.verify(base64.b64decode(signatures.split(b"\n")[0].split(b" ")[2])[4:], text + b"\n")
    except InvalidSignature:
        yield f"INV-4: the checkpoint over {int(size)} entries is not signed by the key of the epoch"
