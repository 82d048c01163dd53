"""The tree against a naive RFC 6962 written straight from its definitions, and against the known CT vectors."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import LedgerError
from edged.evidence import merkle

CT_LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.integers(min_value=0, max_value=300)


def naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = naive_split(len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = naive_split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(m: int, leaves: list[bytes]) -> list[bytes]:
    def subproof(m: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
        if m == len(leaves):
            return [] if whole else [naive_root(leaves)]
        k = naive_split(len(leaves))
        if m <= k:
            return [*subproof(m, leaves[:k], whole=whole), naive_root(leaves[k:])]
        return [*subproof(m - k, leaves[k:], whole=False), naive_root(leaves[:k])]

    return subproof(m, leaves, whole=True)


class Tree:
    """A tree grown leaf by leaf through `appended_nodes`, which counts how often it is read."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.reads = 0
        for size, leaf in enumerate(leaves):
            for level, index, node in merkle.appended_nodes(size, merkle.leaf_hash(leaf), self.read):
                assert (level, index) not in self.nodes
                self.nodes[level, index] = node

    def read(self, level: int, index: int) -> bytes:
        self.reads += 1
        return self.nodes[level, index]


def leaves_of(size: int) -> list[bytes]:
    return [f"entry {i}".encode() for i in range(size)]


TREE = Tree(leaves_of(300))


def test_roots_are_those_of_the_ct_reference_tree() -> None:
    tree = Tree(CT_LEAVES)
    assert [merkle.root(size, tree.read).hex() for size in range(9)] == CT_ROOTS


@settings(deadline=None)
@given(sizes)
def test_root_is_the_defined_one(size: int) -> None:
    assert merkle.root(size, TREE.read) == naive_root(leaves_of(size))


@settings(deadline=None)
@given(st.data(), st.integers(min_value=1, max_value=300))
def test_inclusion_proof_is_the_defined_one_and_verifies(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    proof = merkle.inclusion_proof(index, size, TREE.read)
    leaf, root = merkle.leaf_hash(leaves_of(300)[index]), merkle.root(size, TREE.read)
    assert proof == naive_path(index, leaves_of(size))
    assert merkle.verify_inclusion(index, size, leaf, proof, root)


@settings(deadline=None)
@given(sizes, sizes)
def test_consistency_proof_is_the_defined_one_and_verifies(one: int, other: int) -> None:
    old, new = sorted((one, other))
    proof = merkle.consistency_proof(old, new, TREE.read)
    assert proof == ([] if old == 0 else naive_proof(old, leaves_of(new)))
    old_root, new_root = merkle.root(old, TREE.read), merkle.root(new, TREE.read)
    assert merkle.verify_consistency(old, new, proof, old_root, new_root)


def test_every_small_proof_verifies_for_its_own_index_and_size_alone() -> None:
    limit = 18
    roots = [merkle.root(size, TREE.read) for size in range(limit)]
    leaves = [merkle.leaf_hash(leaf) for leaf in leaves_of(limit)]
    for size in range(1, limit):
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, TREE.read)
            good = {
                (i, leaf)
                for i in range(size)
                for leaf in range(limit)
                if merkle.verify_inclusion(i, size, leaves[leaf], proof, roots[size])
            }
            assert good == {(index, index)}


@settings(deadline=None)
@given(st.data(), st.integers(min_value=2, max_value=300))
def test_altered_inclusion_proof_is_refused(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    proof = merkle.inclusion_proof(index, size, TREE.read)
    leaf, root = merkle.leaf_hash(leaves_of(300)[index]), merkle.root(size, TREE.read)
    at = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
    flipped = bytes([proof[at][0] ^ 1]) + proof[at][1:]
    assert not merkle.verify_inclusion(index, size, leaf, [*proof[:at], flipped, *proof[at + 1 :]], root)
    assert not merkle.verify_inclusion(index, size, leaf, proof[:-1], root)
    assert not merkle.verify_inclusion(index, size, leaf, [*proof, proof[0]], root)
    assert not merkle.verify_inclusion(index, size, leaf, [*proof[:at], proof[at][:-1]], root)
    assert not merkle.verify_inclusion(size, size, leaf, proof, root)
    assert not merkle.verify_inclusion(-1, size, leaf, proof, root)


@settings(deadline=None)
@given(st.data(), st.integers(min_value=2, max_value=300))
def test_altered_consistency_proof_is_refused(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(min_value=1, max_value=new - 1))
    proof = merkle.consistency_proof(old, new, TREE.read)
    old_root, new_root = merkle.root(old, TREE.read), merkle.root(new, TREE.read)
    at = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
    flipped = bytes([proof[at][0] ^ 1]) + proof[at][1:]
    assert not merkle.verify_consistency(old, new, [*proof[:at], flipped, *proof[at + 1 :]], old_root, new_root)
    assert not merkle.verify_consistency(old, new, proof[:-1], old_root, new_root)
    assert not merkle.verify_consistency(old, new, [*proof, proof[0]], old_root, new_root)
    assert not merkle.verify_consistency(old, new, proof, new_root, new_root)
    assert not merkle.verify_consistency(old, new, proof, old_root, old_root)
    assert not merkle.verify_consistency(old, new, [], old_root, new_root)


@settings(deadline=None)
@given(
    st.integers(min_value=-1, max_value=40),
    st.integers(min_value=-1, max_value=40),
    st.lists(st.binary(min_size=32, max_size=32), max_size=8),
)
def test_invented_proof_is_refused_without_an_exception(one: int, other: int, proof: list[bytes]) -> None:
    root = b"r" * 32
    assert not merkle.verify_inclusion(one, other, b"l" * 32, proof, root)
    assert not merkle.verify_consistency(one, other, proof, b"o" * 32, root)


def test_rewritten_history_is_not_consistent() -> None:
    honest, forged = Tree(leaves_of(13)), Tree([b"forged", *leaves_of(20)[1:]])
    for old in range(1, 13):
        proof = merkle.consistency_proof(old, 20, forged.read)
        assert not merkle.verify_consistency(
            old, 20, proof, merkle.root(old, honest.read), merkle.root(20, forged.read)
        )


def test_interior_node_does_not_pass_for_an_entry() -> None:
    left, right = (merkle.leaf_hash(leaf) for leaf in leaves_of(2))
    assert merkle.leaf_hash(left + right) != merkle.root(2, TREE.read)


def test_empty_tree_is_consistent_with_all_and_proven_by_nothing() -> None:
    root = merkle.root(5, TREE.read)
    assert merkle.verify_consistency(0, 5, [], merkle.EMPTY_ROOT, root)
    assert not merkle.verify_consistency(0, 5, [root], merkle.EMPTY_ROOT, root)
    assert not merkle.verify_consistency(0, 5, [], root, root)
    assert not merkle.verify_consistency(0, 0, [], merkle.EMPTY_ROOT, root)


def test_same_size_with_another_root_is_a_fork() -> None:
    assert not merkle.verify_consistency(5, 5, [], b"a" * 32, b"b" * 32)


def test_answers_about_a_huge_log_cost_a_few_dozen_reads() -> None:
    size = 1_000_003
    reads: list[tuple[int, int]] = []

    def read(level: int, index: int) -> bytes:
        assert (index + 1) << level <= size, "only complete subtrees exist"
        reads.append((level, index))
        return hashlib.sha256(f"{level}/{index}".encode()).digest()

    merkle.root(size, read)
    merkle.inclusion_proof(777_777, size, read)
    merkle.consistency_proof(654_321, size, read)
    merkle.appended_nodes(size, b"l" * 32, read)
    assert len(reads) < 100


@pytest.mark.parametrize(("index", "size"), [(5, 5), (-1, 5), (0, 0)])
def test_proof_of_an_entry_that_is_not_there_cannot_be_made(index: int, size: int) -> None:
    with pytest.raises(LedgerError):
        merkle.inclusion_proof(index, size, TREE.read)


@pytest.mark.parametrize(("old", "new"), [(6, 5), (-1, 5)])
def test_a_log_does_not_shrink(old: int, new: int) -> None:
    with pytest.raises(LedgerError):
        merkle.consistency_proof(old, new, TREE.read)
