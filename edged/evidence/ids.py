"""Names of things, and names of files: every identifier that enters evidence goes through here.

Nothing from outside becomes an id, a path or a file name unchecked. Rules and patterns are those of
EVIDENCE.md: ids (principles), segment ids (section 1), paths (section 2), epochs (section 4), NAME (section 6).
"""

import hashlib
import re
from typing import Final, NewType

from edged.errors import MalformedError

StationId = NewType("StationId", str)
EpochId = NewType("EpochId", str)
RecorderId = NewType("RecorderId", str)
DockingId = NewType("DockingId", str)
SegmentId = NewType("SegmentId", str)
CaseId = NewType("CaseId", str)
OfficerId = NewType("OfficerId", str)
BayId = NewType("BayId", str)
StoreId = NewType("StoreId", str)
MatterId = NewType("MatterId", str)
StageId = NewType("StageId", str)
RuleId = NewType("RuleId", str)
ExportId = NewType("ExportId", str)

Sha256 = NewType("Sha256", str)
"""A SHA-256 digest as 64 lower-case hex digits."""
Sm3 = NewType("Sm3", str)
"""An SM3 digest as 64 lower-case hex digits."""

EntryRef = NewType("EntryRef", str)
"""A reference to an entry: the SHA-256 of its bytes as 64 lower-case hex digits."""

HANDED_IN: Final = "intake-"
"""How the place begins that a docking names instead of a bay when a person handed in files.

No bay is called so. Queries of the book compare it too.
"""

ID_PATTERN: Final = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"
EPOCH_PATTERN: Final = r"[0-9]{4}-(?:0[1-9]|1[0-2])-[0-9a-f]{4}"
SEGMENT_PATTERN: Final = r"sg-[0-9a-f]{32}"
_ID: Final = re.compile(ID_PATTERN)
_NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9._-]")
_ID_LENGTH: Final = 64
_DOMAIN: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")

_ESCAPED: Final = re.compile(r"[\x00-\x1f\x7f%\udc80-\udcff]")

_OWN_NAMES: Final = frozenset({"chunks.sha256", "entry.json", "entry.tlog-proof"})
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}
)
_NAME_LENGTH: Final = 100


def is_id(text: str) -> bool:
    """Say whether `text` is an id as it stands."""
    return _ID.fullmatch(text) is not None


def is_handed_in(bay: str) -> bool:
    """Say whether the place of a docking is no bay, but files that a person handed in."""
    return bay.startswith(HANDED_IN)


def is_epoch(text: str) -> bool:
    """Say whether `text` is written as an epoch: `YYYY-MM-` and four hex digits (EVIDENCE.md, section 4)."""
    return re.fullmatch(EPOCH_PATTERN, text) is not None


def is_segment_id(text: str) -> bool:
    """Say whether `text` is written as `segment_id` writes it."""
    return re.fullmatch(SEGMENT_PATTERN, text) is not None


def to_id(text: str) -> str:
    """Map an outside identifier to a valid id; the register holds the original.

    A valid id stays as it is. Anything else keeps its harmless characters and gets the first 8 hex digits of
    its SHA-256, so that two identifiers that differ only in what was replaced stay two.
    """
    if is_id(text):
        return text
    mark = "-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    kept = _NOT_IN_ID.sub("_", text)[: _ID_LENGTH - len(mark)]
    return re.sub(r"^[.-]", "_", kept or "_") + mark


def bay_called(name: str) -> BayId:
    """Give the id of a bay that is named so outside: never one that stands for what a person handed in."""
    bay = to_id(name)
    return BayId(to_id(f"bay/{bay}") if is_handed_in(bay) else bay)


def is_sha256(text: str) -> bool:
    """Say whether `text` is 64 lower-case hex digits."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def segment_id(recorder: RecorderId, sha256: Sha256) -> SegmentId:
    """Give the id of the segment with this content from this recorder (EVIDENCE.md, section 1)."""
    if not is_sha256(sha256):
        raise MalformedError(f"{sha256!r} is no SHA-256 in lower-case hex")
    digest = hashlib.sha256(recorder.encode() + b"\x00" + bytes.fromhex(sha256))
    return SegmentId("sg-" + digest.hexdigest()[:32])


def origin_of(domain: str, station: StationId, epoch: EpochId) -> str:
    """Give the origin `DOMAIN/STATION/EPOCH` of a log; the domain is a DNS name in ASCII."""
    origin = f"{domain}/{station}/{epoch}"
    if split_origin(origin) != (domain, station, epoch):
        raise MalformedError(f"{origin!r} is no origin DOMAIN/STATION/EPOCH")
    return origin


def split_origin(origin: str) -> tuple[str, StationId, EpochId]:
    """Take the origin of a log apart into domain, station and epoch."""
    parts = origin.split("/")
    if len(parts) == 3:  # noqa: PLR2004 - DOMAIN/STATION/EPOCH
        domain, station, epoch = parts
        if _DOMAIN.fullmatch(domain) and is_id(station) and is_epoch(epoch):
            return domain, StationId(station), EpochId(epoch)
    raise MalformedError(f"{origin!r} is no origin DOMAIN/STATION/EPOCH")


def escape_path(raw: bytes) -> str:
    """Write a path, `/`-separated and relative to the card's root, as it stands in entries.

    Each byte outside valid UTF-8, each control byte (0x00-0x1F, 0x7F) and `%` itself become `%XX`; U+0080 to
    U+009F are not bytes of that kind and stay.
    """
    text = raw.decode("utf-8", "surrogateescape")
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", text)


def unescape_path(path: str) -> bytes:
    """Give the bytes that `escape_path` wrote; refuses any text that `escape_path` would not have written."""
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedError(f"the path {path!r} is no Unicode text") from error
    raw = re.sub(rb"%([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode("ascii")), encoded)
    if escape_path(raw) != path:
        raise MalformedError(f"the path {path!r} is not escaped as section 2 of the evidence format says")
    return raw


def bundle_name(path: str) -> str:
    """Derive NAME, the file name of an original in vault, store and bundle, from its escaped path.

    The steps and their order are those of EVIDENCE.md, section 6. Names are compared without regard to case,
    because the bundle must survive file systems that do not keep `Entry.json` and `entry.json` apart. Where an
    extension alone fills the 100 characters, the first 100 stay.
    """
    name = _NOT_IN_ID.sub("_", path.rpartition("/")[2]) or "_"
    lower = name.lower()
    if name[0] in ".-" or lower in _OWN_NAMES or lower.partition(".")[0] in _DEVICES:
        name = "_" + name
    name = re.sub(r"\.$", "_", name)
    if len(name) <= _NAME_LENGTH:
        return name
    extension = name[name.rindex(".") :] if "." in name else ""
    if len(extension) >= _NAME_LENGTH:
        return re.sub(r"\.$", "_", name[:_NAME_LENGTH])
    return name[: _NAME_LENGTH - len(extension)] + extension
