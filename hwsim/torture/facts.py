"""What is there after a round, read without the code that wrote it: book, vault, cards, central storage.

Nothing here asks edged: entries are rows of SQLite and JSON, the vault is a walk, the store is boto3.
"""

import hashlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.torture.plan import Plan

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of the ledger."""

    position: int
    epoch: int
    seq: int
    ref: str
    raw: bytes
    plain: Mapping[str, Any]

    @property
    def type(self) -> str:
        """Its type."""
        return str(self.plain["type"])

    @property
    def body(self) -> Mapping[str, Any]:
        """What it says."""
        body: Mapping[str, Any] = self.plain["body"]
        return body

    @property
    def time(self) -> datetime:
        """The station's claim of when it was written."""
        return datetime.fromisoformat(str(self.plain["time"]))


@dataclass(frozen=True, kw_only=True)
class Published:
    """One version of the checkpoint in central storage."""

    note: bytes
    at: datetime
    """When the store took it, by the store's clock, in whole seconds or finer."""

    @property
    def size(self) -> int:
        """How many entries it is over."""
        return int(self.note.split(b"\n")[1])


@dataclass(frozen=True, kw_only=True)
class Original:
    """A file in the vault."""

    path: Path
    sha256: str
    mode: int
    links: int


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the invariants are about."""

    plan: Plan
    entries: tuple[Entry, ...]
    documents: Mapping[str, bytes]
    """By their SHA-256."""
    originals: Mapping[str, Original]
    """By segment."""
    strays: tuple[str, ...]
    """What else is in the vault and should not be."""
    left: Mapping[str, Mapping[str, bytes]]
    """By card: the regular files that are on it, below all faults."""
    published: Mapping[str, tuple[Published, ...]]
    """By origin: every version of the checkpoint, oldest first."""
    origins: Mapping[int, str]
    """By number of the epoch."""
    replicas: Mapping[tuple[str, str], str]
    """SHA-256 of what the store gives for each key and version that a `replica` names."""

    def of(self, *types: str) -> Iterator[Entry]:
        """Give the entries of some types, in order."""
        return (each for each in self.entries if each.type in types)


def gather(  # noqa: PLR0913 - all the places there are
    plan: Plan, *, state: Path, vault: Path, cards: Mapping[str, Path], client: "S3Client", bucket: str
) -> Facts:
    """Read everything, of a station whose daemon does not run."""
    with closing(sqlite3.connect(f"file:{state}/book.sqlite?mode=ro", uri=True)) as book:
        rows = book.execute("SELECT position, epoch, seq, ref, bytes FROM entry ORDER BY position").fetchall()
        documents = {str(digest): bytes(data) for digest, data in book.execute("SELECT sha256, bytes FROM document")}
        origins = {int(number): str(origin) for number, origin in book.execute("SELECT number, origin FROM epoch")}
    entries = tuple(
        Entry(position=row[0], epoch=row[1], seq=row[2], ref=row[3], raw=bytes(row[4]), plain=json.loads(row[4]))
        for row in rows
    )
    originals, strays = walk(vault)
    return Facts(
        plan=plan,
        entries=entries,
        documents=documents,
        originals=originals,
        strays=strays,
        left={name: _card(root) for name, root in cards.items()},
        published={origin: _checkpoints(client, bucket, origin) for origin in origins.values()},
        origins=origins,
        replicas=_replicas(client, bucket, entries),
    )


def walk(vault: Path) -> tuple[dict[str, Original], tuple[str, ...]]:
    """Find the originals of a vault, by segment, and what else is there: paths of strays."""
    originals: dict[str, Original] = {}
    strays = []
    for folder, _, names in os.walk(vault / "segments"):
        for name in names:
            path = Path(folder, name)
            status = path.lstat()
            if name == "chunks.sha256":
                continue
            if not stat.S_ISREG(status.st_mode) or path.parent.name in originals:
                strays.append(str(path.relative_to(vault)))
                continue
            originals[path.parent.name] = Original(
                path=path,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                mode=stat.S_IMODE(status.st_mode),
                links=status.st_nlink,
            )
    # What an interrupted copy left may stay to be gone on with, but then a note says what it is of; and the mark of an
    # original that had no entry when the daemon was killed stays until the next start.
    strays += [
        str(path.relative_to(vault))
        for path in (vault / "incoming").iterdir()
        if path.suffix != ".parked"
        and not path.with_suffix(".parked").exists()
        and not (path.suffix == ".unsealed" and _marked(path) in originals)
    ]
    return originals, tuple(strays)


def _marked(mark: Path) -> str:
    """Give the segment that a mark names."""
    try:
        return str(json.loads(mark.read_bytes())["where"]["segment"])
    except (ValueError, KeyError):
        return ""


def _card(root: Path) -> dict[str, bytes]:
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if stat.S_ISREG(path.lstat().st_mode):
                found[str(path.relative_to(root))] = path.read_bytes()
    return found


def _checkpoints(client: "S3Client", bucket: str, origin: str) -> tuple[Published, ...]:
    key = f"ledger/{origin}/checkpoint"
    pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key)
    found = [
        Published(
            note=client.get_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])["Body"].read(),
            at=version["LastModified"],
        )
        for page in pages
        for version in page.get("Versions", [])
        if version["Key"] == key
    ]
    return tuple(sorted(found, key=lambda each: (each.at, each.size)))


def _replicas(client: "S3Client", bucket: str, entries: tuple[Entry, ...]) -> dict[tuple[str, str], str]:
    found = {}
    for entry in entries:
        body = entry.body
        if entry.type == "replica" and body["store"] != "vault":
            data = client.get_object(Bucket=bucket, Key=body["key"], VersionId=body["version"])["Body"].read()
            found[body["key"], body["version"]] = hashlib.sha256(data).hexdigest()
    return found
