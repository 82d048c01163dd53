"""Digests: what `sha256sum` and `split` print, and what a store will compute."""

import base64
import hashlib
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import MalformedError
from edged.evidence.digests import CHUNK_BYTES, Digester, parse_chunk_list, sha256_hex

BIG = bytes(range(256)) * (CHUNK_BYTES // 128) + b"tail"


def test_chunk_list_is_what_split_and_sha256sum_print(tmp_path: Path) -> None:
    file = tmp_path / "original"
    file.write_bytes(BIG)
    digester = Digester()
    digester.update(BIG)
    found = digester.finish()
    printed = subprocess.run(
        ["split", "-b", "8M", "--filter=sha256sum | cut -c1-64", str(file)], check=True, capture_output=True
    )
    whole = subprocess.run(["sha256sum", str(file)], check=True, capture_output=True)
    assert found.chunk_list == printed.stdout
    assert found.sha256 == whole.stdout.decode()[:64]
    assert found.chunk_count == 3
    assert found.size_bytes == len(BIG)
    assert found.chunks_sha256 == hashlib.sha256(printed.stdout).hexdigest()


def test_empty_file_has_no_chunk_but_one_empty_part() -> None:
    found = Digester().finish()
    nothing = hashlib.sha256(b"").digest()
    assert (found.size_bytes, found.chunk_count, found.chunk_list) == (0, 0, b"")
    assert found.sha256 == nothing.hex()
    assert found.part_digests == (nothing,)
    assert found.composite == base64.b64encode(hashlib.sha256(nothing).digest()).decode() + "-1"


def test_composite_is_that_of_the_parts() -> None:
    digester = Digester()
    digester.update(BIG)
    parts = [hashlib.sha256(BIG[at : at + CHUNK_BYTES]).digest() for at in range(0, len(BIG), CHUNK_BYTES)]
    expected = base64.b64encode(hashlib.sha256(b"".join(parts)).digest()).decode() + "-3"
    assert digester.finish().composite == expected
    assert digester.finish().part_digests == tuple(parts)


def test_file_of_exactly_one_chunk_has_one() -> None:
    digester = Digester()
    digester.update(BIG[:CHUNK_BYTES])
    assert digester.finish().parts == (hashlib.sha256(BIG[:CHUNK_BYTES]).digest(),)
    digester.update(b"x")
    assert digester.finish().chunk_count == 2


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=2 * CHUNK_BYTES), max_size=4))
def test_lengths_of_buffers_do_not_matter(cuts: list[int]) -> None:
    whole = Digester()
    whole.update(BIG)
    with ThreadPoolExecutor(1) as helper:
        pieces = Digester(helper=helper)
        edges = [0, *sorted(cuts), len(BIG)]
        buffer = bytearray()
        for start, end in pairwise(edges):
            buffer[:] = BIG[start:end]
            pieces.update(buffer)
        assert pieces.finish() == whole.finish()


def test_a_buffer_of_wider_items_counts_in_bytes() -> None:
    digester = Digester()
    digester.update(memoryview(b"abcdefgh").cast("I"))
    assert digester.finish().size_bytes == 8
    assert digester.finish().sha256 == sha256_hex(b"abcdefgh")


def test_chunk_list_is_read_back() -> None:
    digester = Digester()
    digester.update(BIG)
    assert parse_chunk_list(digester.finish().chunk_list) == digester.finish().parts
    assert parse_chunk_list(b"") == ()


@pytest.mark.parametrize(
    "data", [b"\n", b"a" * 64, b"A" * 64 + b"\n", b"a" * 64 + b"\r\n", b"a" * 64 + b"\n\n", b"a" * 63 + b"\n", b"\xff"]
)
def test_chunk_list_in_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_chunk_list(data)
