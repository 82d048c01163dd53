"""What the demo claims, checked from outside: files, store and cards are looked at, not what the station says of them.

Each check raises ExpectationError with the first thing that is not as it should be. Digests are computed here
from the originals; nothing of the station's code is used.
"""

import base64
import filecmp
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from edged.clock import Clock
from edged.errors import EdgedError
from hwsim.cards import files_on
from hwsim.demo.account import Account, Body, FileKey, escaped

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PART_BYTES = 8 * 1024 * 1024
_LARGE_BYTES = 20 * 1024 * 1024


class ExpectationError(EdgedError):
    """Something that the demo promises did not happen."""

    exit_code = 1


def originals(folder: Path) -> Mapping[FileKey, Path]:
    """Give every file below `folder/NAME` by recorder and path."""
    return {
        (card.name, escaped(path)): card / os.fsdecode(path)
        for card in sorted(folder.iterdir())
        for path in files_on(card)
    }


def expect(condition: object, otherwise: str) -> None:
    """Raise ExpectationError saying `otherwise` unless `condition` holds."""
    if not condition:
        raise ExpectationError(otherwise)


def check_account(files: Mapping[FileKey, Path], account: Account) -> None:
    """Every file of every card, and nothing else, is accounted for, replicated and wiped (INV-7)."""
    for what, keys in (
        ("accounted for", set(account.files)),
        ("in central storage", account.replicated),
        ("wiped", account.wiped),
    ):
        missing, surplus = set(files) - keys, keys - set(files)
        expect(not missing, f"{len(missing)} files are not {what}, such as {min(missing, default=None)}")
        expect(not surplus, f"{len(surplus)} files are {what} that no card held: {min(surplus, default=None)}")


def check_variety(account: Account) -> None:
    """Expect that what was special about the files was noticed by the station."""
    bodies = list(account.segments.values())
    reasons = [body["media"]["unreadable"] for body in bodies if "unreadable" in body["media"]]
    for what, found in (
        ("is marked as important", any(body["important"] for body in bodies)),
        ("has more than 20 MiB", any(body["bytes"] > _LARGE_BYTES for body in bodies)),
        ("is empty", any(body["bytes"] == 0 for body in bodies)),
        ("is called cut off before its index", any("moov" in reason for reason in reasons)),
        ("is said to be no media", any("known format" in reason for reason in reasons)),
        ("stands beside a video", any(body["side_of"] for body in bodies)),
        ("is a video that can be read", any(body["media"].get("video") for body in bodies)),
    ):
        expect(found, f"no segment {what}, though a card held such a file")


def check_vault(files: Mapping[FileKey, Path], account: Account, vault: Path) -> int:
    """Every original lies in the vault byte for byte; gives the bytes compared."""
    folders = {folder.name: folder for folder in vault.glob("segments/*/*/*/*/*")}
    compared = 0
    for key, original in files.items():
        segment = account.files[key]
        expect(segment in folders, f"{segment} ({key[1]}) has no folder in the vault")
        kept = [path for path in folders[segment].iterdir() if path.name != "chunks.sha256"]
        expect(len(kept) == 1, f"the vault's folder of {segment} holds {len(kept)} originals")
        same = filecmp.cmp(original, kept[0], shallow=False)
        expect(same, f"{kept[0]} is not what recorder {key[0]} held as {key[1]}")
        compared += original.stat().st_size
    return compared


def check_store(files: Mapping[FileKey, Path], account: Account, s3: "S3Client", bucket: str, clock: Clock) -> int:
    """Every original lies in the store under lock, with the checksum that its bytes predict.

    Deleting the version is tried with the station's own credentials and must be refused; gives the number of
    versions. Raises ExpectationError also if the store cannot be asked.
    """
    held = {account.files[key]: path for key, path in files.items()}
    try:
        for segment, original in held.items():
            (replica, *_) = account.replicas[segment]
            _check_replica(original, replica, s3, bucket, clock)
    except (ClientError, BotoCoreError) as error:
        raise ExpectationError(f"the store cannot show what it holds: {error}") from error
    return len(held)


def _check_replica(original: Path, replica: Body, s3: "S3Client", bucket: str, clock: Clock) -> None:
    key, version = replica["key"], replica["version"]
    try:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        expect(code in {"AccessDenied", "InvalidRequest"}, f"deleting {key} failed with {code}, not for its lock")
    else:
        raise ExpectationError(f"the store let a locked version of {key} be deleted")
    lock = s3.get_object_retention(Bucket=bucket, Key=key, VersionId=version)["Retention"]
    expect(lock["Mode"] == "COMPLIANCE", f"{key} is locked in mode {lock['Mode']}")
    expect(lock["RetainUntilDate"] > clock.now(), f"the lock of {key} has lapsed")
    predicted = composite(original)
    there = s3.head_object(Bucket=bucket, Key=key, VersionId=version, ChecksumMode="ENABLED")
    for who, checksum in (("ledger", replica["checksum"]), ("store", there.get("ChecksumSHA256"))):
        expect(checksum == predicted, f"the {who} says {checksum} of {key}, its bytes say {predicted}")
    body = s3.get_object(Bucket=bucket, Key=key, VersionId=version)["Body"]
    with original.open("rb") as ours:
        for part in body.iter_chunks(_PART_BYTES):
            expect(part == ours.read(len(part)), f"the store's {key} differs from the original")
        expect(not ours.read(1), f"the store's {key} is shorter than the original")


def check_cards(held: Mapping[str, Sequence[bytes]]) -> int:
    """No card holds a file any more; gives the number of cards."""
    for recorder, left in held.items():
        expect(not left, f"{len(left)} files are still on {recorder}, such as {left[:1]}")
    return len(held)


def composite(file: Path) -> str:
    """Predict the S3 composite checksum of a file by 8 MiB parts (EVIDENCE.md, section 1)."""
    digests = [hashlib.sha256(part).digest() for part in _parts(file)]
    whole = hashlib.sha256(b"".join(digests)).digest()
    return f"{base64.b64encode(whole).decode()}-{len(digests)}"


def _parts(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        part = source.read(_PART_BYTES)
        yield part  # an empty file is one empty part
        while len(part) == _PART_BYTES and (part := source.read(_PART_BYTES)):
            yield part
