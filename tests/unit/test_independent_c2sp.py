"""A C2SP library that is not ours (`tlog-scales`) reads what this project writes: notes, cosignatures, proofs, tiles.

And the other way round: what it signs, this project verifies.
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import NoteSignature, PlainEd25519Signer, Vkey, VkeySet
from tlog_scales.tlog import (
    Checkpoint,
    ConsistencyProof,
    ConsistencyProofInvalid,
    InclusionProof,
    InclusionProofInvalid,
)

from edged.evidence import cosignatures, merkle, note, tiles
from edged.evidence.proofs import parse_consistency, parse_proof
from tests.vectors.log import ORIGIN, START, WITNESSES, cosignature, key, small_bundle, witness_key

LOG_KEY = note.vkey(ORIGIN, key("station").public_key().public_bytes_raw())
LOG, FILES = small_bundle(None)
SIZE = len(LOG.entries)


def signed(data: bytes) -> Checkpoint:
    return Checkpoint.from_text(data.decode())


def test_a_checkpoint_of_ours_is_signed_and_says_what_it_says() -> None:
    checkpoint = signed(LOG.checkpoint(SIZE))
    assert (checkpoint.origin, checkpoint.size, checkpoint.root_hash) == (ORIGIN, SIZE, LOG.root(SIZE))
    checkpoint.verify(Vkey.from_string(LOG_KEY))
    assert checkpoint.serialize().encode() == LOG.checkpoint(SIZE)
    assert Vkey.from_string(LOG_KEY).serialize() == LOG_KEY


def test_an_altered_checkpoint_of_ours_is_not_signed() -> None:
    altered = LOG.checkpoint(SIZE).replace(b"\n6\n", b"\n7\n")
    with pytest.raises(InvalidSignature):
        signed(altered).verify(Vkey.from_string(LOG_KEY))


def test_a_checkpoint_of_theirs_is_read_and_verified() -> None:
    private = Ed25519PrivateKey.generate()
    made = Checkpoint.make_signed(ORIGIN, SIZE, LOG.root(SIZE), [PlainEd25519Signer(ORIGIN, private)])
    found = note.parse_note(made.serialize().encode())
    assert note.parse_checkpoint(found.text) == note.Checkpoint(origin=ORIGIN, size=SIZE, root=LOG.root(SIZE))
    assert note.verify(found, note.parse_vkey(note.vkey(ORIGIN, private.public_key().public_bytes_raw())))


def test_cosignatures_of_ours_verify_with_their_times() -> None:
    data = LOG.checkpoint(SIZE)
    lines = b"".join(cosignature(name, data, START) for name in WITNESSES)
    keys = [Vkey.from_string(witness_key(name)) for name in WITNESSES]
    checkpoint = signed(data + lines)
    found = VkeySet(*keys).verify(checkpoint.signatures, checkpoint)
    assert {vkey.name for vkey, _ in found} == set(WITNESSES)
    for vkey, signature in found:
        assert vkey.get_verifier().get_timestamp(signature.payload) == int(START.timestamp())  # type: ignore[attr-defined]


def test_a_cosignature_over_another_checkpoint_does_not_verify_with_either() -> None:
    line = cosignature(WITNESSES[0], LOG.checkpoint(SIZE - 1), START)
    (vkey,) = [Vkey.from_string(witness_key(WITNESSES[0]))]
    with pytest.raises(InvalidSignature):
        vkey.get_verifier().verify_note(
            NoteSignature.from_line(line.decode().rstrip("\n")), signed(LOG.checkpoint(SIZE))
        )


def test_a_cosignature_of_ours_keeps_its_name_id_and_time() -> None:
    line = cosignature(WITNESSES[0], LOG.checkpoint(SIZE), datetime(2030, 1, 1, tzinfo=UTC))
    theirs, ours = NoteSignature.from_line(line.decode().rstrip("\n")), cosignatures.parse_line(line)
    assert (theirs.name, theirs.key_id.to_bytes(4), theirs.payload) == (ours.name, ours.key_id, ours.signature)


def test_every_proof_of_the_small_bundle_holds() -> None:
    proofs = [path for path in FILES if path.endswith(".tlog-proof")]
    assert len(proofs) == SIZE
    for path in proofs:
        proof = parse_proof(FILES[path])
        checkpoint = signed(proof.checkpoint)
        checkpoint.verify(Vkey.from_string(LOG_KEY))
        theirs = InclusionProof(proof.seq, checkpoint.size, list(proof.hashes))
        theirs.check(merkle.leaf_hash(FILES[path.replace(".tlog-proof", ".json")]), checkpoint.root_hash)
        with pytest.raises(InclusionProofInvalid):
            theirs.check(merkle.leaf_hash(b"another"), checkpoint.root_hash)
    (joint,) = [parse_consistency(data) for path, data in FILES.items() if path.endswith(".consistency")]
    larger = signed(joint.checkpoint)
    theirs_joint = ConsistencyProof(joint.old, larger.size, list(joint.hashes))
    theirs_joint.check(LOG.root(joint.old), larger.root_hash)
    with pytest.raises(ConsistencyProofInvalid):
        theirs_joint.check(LOG.root(2), larger.root_hash)


def test_a_published_log_gives_the_same_roots_entries_and_proofs(tmp_path: Path) -> None:
    leaves = [b"entry %d" % number for number in range(700)]
    nodes: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int) -> bytes:
        return nodes[level, index]

    for number, leaf in enumerate(leaves):
        for level, index, node in merkle.appended_nodes(number, merkle.leaf_hash(leaf), read):
            nodes[level, index] = node
    size = len(leaves)
    checkpoint = note.Checkpoint(origin=ORIGIN, size=size, root=merkle.root(size, read))
    published = {"checkpoint": note.sign_note(checkpoint.text(), ORIGIN, key("station"))}
    for tile in tiles.tiles_for(0, size):
        published[tiles.tile_path(*tile)] = tiles.tile_bytes(tile, read)
        if tile.level == 0:
            part = leaves[tile.n * tiles.FULL : tile.n * tiles.FULL + tile.width]
            published[tiles.entries_path(tile.n, tile.width)] = tiles.bundle_entries(part)
    for path, data in published.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    reader = TilesReader(LocalBackend(tmp_path))
    assert reader.get_checkpoint().root_hash == reader.calculate_root_hash() == merkle.root(size, read)
    for index in (0, 1, 255, 256, 511, 512, size - 1):
        assert reader.get_entry(index) == leaves[index]
        assert reader.get_inclusion_proof(index, size).node_hashes == merkle.inclusion_proof(index, size, read)
    for old in (1, 255, 256, 300, 512, size - 1):
        assert reader.get_consistency_proof(old, size).node_hashes == merkle.consistency_proof(old, size, read)
