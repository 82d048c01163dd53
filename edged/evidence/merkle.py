"""The Merkle tree of RFC 6962 with SHA-256: growing it, proving in it, and checking proofs.

A tree is known only through the hashes of its complete subtrees, read one by one: nothing here holds more
than a path of it, and every answer costs a number of reads logarithmic in the size of the tree.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from edged.errors import LedgerError

HashReader = Callable[[int, int], bytes]
"""Gives the hash of a complete subtree: of the leaves from `index << level` up to `(index + 1) << level`."""

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of the tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Hash the bytes of an entry into a leaf (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into the one above them (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def appended_nodes(size: int, leaf: bytes, read: HashReader) -> list[tuple[int, int, bytes]]:
    """Give (level, index, hash) of each complete subtree that appending one leaf to `size` others completes.

    `leaf` is the leaf's hash, and the first of them. `read` is asked only for subtrees complete before.
    """
    level, index, here = 0, size, leaf
    nodes = [(level, index, here)]
    while index & 1:
        here = node_hash(read(level, index - 1), here)
        level, index = level + 1, index >> 1
        nodes.append((level, index, here))
    return nodes


def root(size: int, read: HashReader) -> bytes:
    """Give the root of the tree of the first `size` leaves."""
    return _subtree(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """Give the path of leaf `index` in the tree of `size` leaves, from the leaf up (RFC 6962, section 2.1.1)."""
    if not 0 <= index < size:
        raise LedgerError(f"entry {index} is not among the first {size} of the ledger")
    start, end = 0, size
    path = []
    while end - start > 1:
        middle = start + _left_size(end - start)
        if index < middle:
            path.append(_subtree(middle, end, read))
            end = middle
        else:
            path.append(_subtree(start, middle, read))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, read: HashReader) -> list[bytes]:
    """Prove that the tree of `old` leaves is the beginning of that of `new` (RFC 6962, section 2.1.2).

    The proof is empty for equal sizes, and for an old size of 0, as `tlog-witness` wants it.
    """
    if not 0 <= old <= new:
        raise LedgerError(f"a ledger of {new} entries does not begin with {old} entries")
    if old in {0, new}:
        return []
    start, end, old_is_complete = 0, new, True
    path = []
    while old < end:
        middle = start + _left_size(end - start)
        if old <= middle:
            path.append(_subtree(middle, end, read))
            end = middle
        else:
            path.append(_subtree(start, middle, read))
            start, old_is_complete = middle, False
    if not old_is_complete:
        path.append(_subtree(start, end, read))
    return path[::-1]


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether `proof` leads from the hash `leaf` at `index` to `root` (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    sides = _sides(index, size - 1)
    here = leaf
    for sibling, is_left in zip(proof, sides, strict=False):
        here = node_hash(sibling, here) if is_left else node_hash(here, sibling)
    return len(proof) == len(sides) and here == root


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Say whether `proof` shows that the old tree is the beginning of the new (RFC 9162, section 2.1.4.2).

    An old size of 0 is consistent with everything and proven by nothing, as `tlog-witness` has it.
    """
    if not 0 <= old <= new or not _are_hashes(old_root, new_root, *proof):
        return False
    if old in {0, new}:
        is_same = old_root == new_root if old == new else old_root == EMPTY_ROOT
        return is_same and not proof
    # The proof begins at the largest complete subtree that ends the old tree; where that is the whole old tree,
    # its root is known and left out.
    level = (old & -old).bit_length() - 1
    first, *path = [old_root, *proof] if old == 1 << level else proof or [b""]
    sides = _sides((old - 1) >> level, (new - 1) >> level)
    old_here = new_here = first
    for sibling, is_left in zip(path, sides, strict=False):
        if is_left:
            old_here, new_here = node_hash(sibling, old_here), node_hash(sibling, new_here)
        else:
            new_here = node_hash(new_here, sibling)
    return len(path) == len(sides) and old_here == old_root and new_here == new_root


def _sides(node: int, last: int) -> list[bool]:
    """Say for each step up from `node` whether the hash to join stands on its left, `last` being the last node."""
    sides = []
    while last:
        is_left = bool(node & 1) or node == last
        sides.append(is_left)
        while is_left and node and not node & 1:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    return sides


def _subtree(start: int, end: int, read: HashReader) -> bytes:
    """Give MTH(D[start:end]) where `start` is a multiple of the largest power of two within the range."""
    pieces = []
    while start < end:
        level = (end - start).bit_length() - 1
        pieces.append(read(level, start >> level))
        start += 1 << level
    here = pieces.pop()
    while pieces:
        here = node_hash(pieces.pop(), here)
    return here


def _left_size(size: int) -> int:
    """Give the largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _are_hashes(*hashes: bytes) -> bool:
    return all(len(each) == HASH_BYTES for each in hashes)


class Tree:
    """A Merkle tree that only keeps its right edge."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: dict[int, bytes] = {}

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Take in the hash of a leaf, and give the subtrees that it completes."""
        nodes = appended_nodes(self.size, leaf, lambda level, _: self._edge[level])
        self._edge |= {level: digest for level, _, digest in nodes}
        self.size += 1
        return nodes

    def root(self) -> bytes:
        """Give the root of what was taken in."""
        return root(self.size, lambda level, _: self._edge[level])

    def branch(self) -> "Tree":
        """Give another tree that goes on from here."""
        other = Tree()
        other.size, other._edge = self.size, dict(self._edge)
        return other
