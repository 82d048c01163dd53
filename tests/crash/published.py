"""The ledger as a stranger sees it: entries, tree and checkpoints computed and compared without edged's own code."""

import base64
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edged.stores.s3 import S3Settings
from edged.stores.s3_client import make_client
from tests.crash.station import Station


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Give the Merkle tree hash of RFC 6962, section 2.1, as it is written there."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


def versions(store: S3Settings, key: str) -> list[bytes]:
    """Give everything that ever stood at a key of the store, newest first."""
    client = make_client(store)
    try:
        pages = client.get_paginator("list_object_versions").paginate(Bucket=store.bucket, Prefix=key)
        found = [each for page in pages for each in page.get("Versions", ()) if each["Key"] == key]
        found.sort(key=lambda each: not each["IsLatest"])
        return [
            client.get_object(Bucket=store.bucket, Key=key, VersionId=each["VersionId"])["Body"].read()
            for each in found
        ]
    finally:
        client.close()


def the_ledger_is_one(station: Station) -> int:
    """Fail unless the book holds one chain and every checkpoint ever published is of it; gives the published size.

    Sequence numbers, `prev` and the recorders' chains have no gap; each checkpoint is signed by the station and its
    root is that of the entries below it, so no two differ for one size; the newest is the largest.
    """
    assert station.store is not None
    with closing(sqlite3.connect(f"file:{station.state}/book.sqlite?mode=ro", uri=True)) as book:
        leaves = [row[0] for row in book.execute("SELECT bytes FROM entry ORDER BY position")]
        (origin,) = book.execute("SELECT origin FROM epoch").fetchone()
        heads = dict(book.execute("SELECT size, root FROM head").fetchall())
    entries = [json.loads(leaf) for leaf in leaves]
    references = [hashlib.sha256(leaf).hexdigest() for leaf in leaves]
    assert [entry["seq"] for entry in entries] == list(range(len(entries)))
    assert [entry["prev"] for entry in entries] == ["0" * 64, *references[:-1]]
    for recorder in {entry["body"]["recorder"] for entry in entries if entry["type"] == "segment"}:
        chain = [
            (reference, entry["body"])
            for reference, entry in zip(references, entries, strict=True)
            if entry["type"] == "segment" and entry["body"]["recorder"] == recorder
        ]
        assert [body["recorder_seq"] for _, body in chain] == list(range(1, len(chain) + 1))
        assert chain[0][1]["recorder_prev"] is None
        assert all(later["recorder_prev"] == reference for (reference, _), (_, later) in pairwise(chain))
    published = versions(station.store, f"ledger/{origin}/checkpoint")
    sizes = []
    for note in published:
        text, _, signature = note.partition(b"\n\n")
        name, size, root = text.decode().split("\n")
        assert name == origin
        assert base64.b64decode(root) == root_of(leaves[: int(size)]) == heads[int(size)]
        raw = base64.b64decode(signature.split()[-1])
        _key(station).verify(raw[4:], text + b"\n")
        sizes.append(int(size))
    assert all(root == root_of(leaves[:size]) for size, root in heads.items())
    assert sizes[0] == max(sizes)
    return sizes[0]


def _key(station: Station) -> Ed25519PublicKey:
    certificate = x509.load_pem_x509_certificate((station.state / "keys" / "station.pem").read_bytes())
    key = certificate.public_key()
    assert isinstance(key, Ed25519PublicKey)
    return key
