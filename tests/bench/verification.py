"""Verifying originals: edged's way over a bundle's segments, beside one `openssl dgst -sha256` of the same files."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edged.bundles.load import FolderFiles
from edged.errors import StorageError
from edged.evidence.digests import CHUNK_BYTES, Digests
from edged.evidence.verification.reading import Contents
from tests.bench import peers
from tests.bench.report import Row
from tests.bench.rounds import Contestant, rates, take_turns
from tests.bench.setting import MIB, Setting


def measure(setting: Setting) -> list[Row]:
    """Measure the rows of verification."""
    openssl = peers.find(setting, "openssl", "verification")
    if openssl is None:
        return []
    sealed = digest_all(setting)
    names = [str(path.relative_to(setting.card)) for path in setting.files]

    def both(_: int) -> None:
        found = digest_all(setting)
        if found != sealed:
            raise StorageError("The disk gave other bytes than before.")

    def chunks(_: int) -> None:
        with ThreadPoolExecutor(_cores()) as pool:
            if not all(pool.map(lambda chunk: _is_sealed_chunk(*chunk), _chunks(setting.card, names, sealed))):
                raise StorageError("The disk gave other bytes than before.")

    def dgst(_: int) -> None:
        peers.run([openssl, "dgst", "-sha256", *setting.files])

    contestants = [
        Contestant(name="edged, both digests", run=both),
        Contestant(name="openssl dgst -sha256", run=dgst),
        Contestant(name="by chunk list alone", run=chunks),
    ]
    turns = take_turns(contestants, rounds=setting.scale.rounds, cold=setting.files, tell=setting.tell)
    rate = {name: rates(each, setting.total_bytes) for name, each in turns.items()}
    peer = "openssl dgst -sha256"
    return [
        Row(
            what="verification, both digests",
            unit="MB/s",
            edged=rate["edged, both digests"],
            peer=peer,
            theirs=rate[peer],
            at_least=1.0,
        ),
        Row(
            what="verification, by chunk list alone",
            unit="MB/s",
            edged=rate["by chunk list alone"],
            peer=peer,
            theirs=rate[peer],
            at_least=0.9 * _cores(),
            lacking="edged verify has no way to do this yet; measured is a loop of the bench over the sealed digests.",
        ),
    ]


def digest_all(setting: Setting) -> dict[str, Digests]:
    """Compute both digests of all files, as `edged verify` does over a bundle's segments."""
    contents = Contents(FolderFiles(setting.card))
    with ThreadPoolExecutor(_cores()) as pool:
        return dict(contents.stream((str(path.relative_to(setting.card)) for path in setting.files), pool))


def _chunks(card: Path, names: list[str], sealed: dict[str, Digests]) -> Iterator[tuple[Path, int, bytes]]:
    for name in names:
        for number, digest in enumerate(sealed[name].parts):
            yield card / name, number, digest


def _is_sealed_chunk(path: Path, number: int, digest: bytes) -> bool:
    found, buffer = hashlib.sha256(), memoryview(bytearray(MIB))
    start = number * CHUNK_BYTES
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for position in range(start, start + CHUNK_BYTES, MIB):
            found.update(buffer[: os.preadv(fd, [buffer], position)])
    finally:
        os.close(fd)
    return found.digest() == digest


def _cores() -> int:
    return os.cpu_count() or 1
