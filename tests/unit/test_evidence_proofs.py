"""Proof files and tiles against the examples of the C2SP pages."""

import pytest

from edged.errors import MalformedError
from edged.evidence import merkle, proofs, tiles
from edged.evidence.tiles import Tile

CHECKPOINT = (
    "example.com/a\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n— example.com/a AAAAAAE=\n".encode()
)
HASHES = ["gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=", "B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA="]
PROOF = ("c2sp.org/tlog-proof@v1\nindex 73894\n" + "\n".join(HASHES) + "\n\n").encode() + CHECKPOINT
OLD = (
    b"old 20852014\n"
    b"PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
    b"jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
    b"5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
    b"/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
    b"\n"
) + CHECKPOINT


def test_proof_goes_through_its_bytes_and_back() -> None:
    index, hashes, checkpoint = proofs.parse_proof(PROOF)
    assert (index, len(hashes), checkpoint) == (73894, 2, CHECKPOINT)
    assert proofs.format_proof(index, hashes, checkpoint) == PROOF


def test_consistency_example_of_the_page_goes_through_its_bytes_and_back() -> None:
    old, hashes, checkpoint = proofs.parse_consistency(OLD)
    assert (old, len(hashes), checkpoint) == (20852014, 4, CHECKPOINT)
    assert proofs.format_consistency(old, hashes, checkpoint) == OLD


def test_proof_of_the_only_entry_has_no_hashes() -> None:
    data = proofs.format_proof(0, [], CHECKPOINT)
    assert data == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + CHECKPOINT
    assert proofs.parse_proof(data) == (0, (), CHECKPOINT)


def test_extra_data_is_passed_over() -> None:
    data = PROOF.replace(b"@v1\n", b"@v1\nextra YWdl\n")
    assert proofs.parse_proof(data) == proofs.parse_proof(PROOF)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"\n\nx",
        PROOF.partition(b"\n\n")[0] + b"\n\n",
        PROOF.partition(b"\n\n")[0],
        PROOF.replace(b"@v1", b"@v2"),
        PROOF.replace(b"index ", b"index"),
        PROOF.replace(b"index ", b"index  "),
        PROOF.replace(b"index 7", b"index 07"),
        PROOF.replace(b"index 73894", b"index -1"),
        PROOF.replace(b"index 73894", b"index " + b"7" * 9000),
        PROOF.replace(b"index 73894", "index ٧".encode()),
        PROOF.replace(b"index 73894\n", b""),
        PROOF.replace(b"PlQ=\n", b"PlR=\n"),
        PROOF.replace(b"PlQ=\n", b"PlQ\n"),
        PROOF.replace(b"PlQ=\n", b"PlQ= \n"),
        PROOF.replace(b"PlQ=\n", b"PlQ=\r\n"),
        PROOF.replace(b"@v1\n", b"@v1\nextra *\n"),
        PROOF.replace(b"@v1\n", b"@v1\nextra YWdl\nextra YWdl\n"),
        PROOF.replace(b"\n\nexample", b"\n" + HASHES[0].encode() * 64 + b"\n\nexample"),
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + (HASHES[0] + "\n").encode() * 64 + b"\n" + CHECKPOINT,
        OLD,
    ],
)
def test_proof_in_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        proofs.parse_proof(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PROOF,
        OLD.replace(b"old 2", b"old 02"),
        OLD.replace(b"old ", b"size "),
        OLD.replace(b"kaw=", b"ka=="),
        OLD[:40],
    ],
)
def test_consistency_in_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        proofs.parse_consistency(data)


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 0, 1), "tile/0/000.p/1"),
        (Tile(0, 1234067, 256), "tile/0/x001/x234/067"),
        (Tile(1, 999, 255), "tile/1/999.p/255"),
        (Tile(2, 1000, 256), "tile/2/x001/000"),
    ],
)
def test_paths_of_tiles_are_those_of_the_page(tile: Tile, path: str) -> None:
    assert tiles.tile_path(*tile) == path
    assert tiles.entries_path(tile.n, tile.width) == path.replace(f"tile/{tile.level}/", "tile/entries/")


@pytest.mark.parametrize(("n", "width"), [(-1, 256), (0, 0), (0, 257)])
def test_there_is_no_tile_of_that_kind(n: int, width: int) -> None:
    with pytest.raises(MalformedError):
        tiles.tile_path(0, n, width)


def test_log_of_70000_entries_has_the_tiles_of_the_page() -> None:
    found = tiles.tiles_for(0, 70_000)
    assert [tile for tile in found if tile.level == 0] == [
        *(Tile(0, n, 256) for n in range(273)),
        Tile(0, 273, 112),
    ]
    assert [tile for tile in found if tile.level] == [Tile(1, 0, 256), Tile(1, 1, 17), Tile(2, 0, 1)]


def test_log_of_256_entries_has_the_tiles_of_the_page() -> None:
    assert tiles.tiles_for(0, 256) == [Tile(0, 0, 256), Tile(1, 0, 1)]


@pytest.mark.parametrize("sizes", [(1, 2, 255, 256, 257, 600, 65_535, 65_536, 65_537, 70_000), (70_000, 131_072)])
def test_growing_in_steps_leaves_every_tile_of_the_last_size_published(sizes: tuple[int, ...]) -> None:
    published: set[Tile] = set()
    old = 0
    for new in sizes:
        published.update(tiles.tiles_for(old, new))
        old = new
    assert published >= set(tiles.tiles_for(0, old))
    assert tiles.tiles_for(old, old) == []


def test_small_growth_publishes_few_tiles() -> None:
    assert tiles.tiles_for(69_990, 70_000) == [Tile(0, 273, 112)]
    assert tiles.tiles_for(0, 0) == []


def test_tiles_hold_the_hashes_of_their_subtrees() -> None:
    nodes: dict[tuple[int, int], bytes] = {}
    for size in range(600):
        for level, index, node in merkle.appended_nodes(
            size, merkle.leaf_hash(b"%d" % size), lambda level, index: nodes[level, index]
        ):
            nodes[level, index] = node

    def read(level: int, index: int) -> bytes:
        return nodes[level, index]

    assert tiles.tile_bytes(Tile(0, 2, 88), read) == b"".join(merkle.leaf_hash(b"%d" % i) for i in range(512, 600))
    upper = tiles.tile_bytes(Tile(1, 0, 2), read)
    first = {(0, i): merkle.leaf_hash(b"%d" % i) for i in range(256)}
    for level in range(8):
        for i in range(0, 256 >> level, 2):
            first[level + 1, i // 2] = merkle.node_hash(first[level, i], first[level, i + 1])
    assert upper[:32] == first[8, 0]
    assert len(upper) == 64


def test_bundle_of_entries_goes_through_its_bytes_and_back() -> None:
    entries = [b"", b"a", b"x" * 65_535]
    data = tiles.bundle_entries(entries)
    assert data[:5] == b"\x00\x00\x00\x01a"
    assert tiles.parse_bundle(data) == entries
    with pytest.raises(MalformedError):
        tiles.bundle_entries([b"x" * 65_536])


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x02a", b"\x00\x01a\x00", b"\x00\x00" * 257])
def test_bundle_that_ends_within_an_entry_or_holds_too_many_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        tiles.parse_bundle(data)
