"""What each file of a bundle is, by its name alone: the layout of EVIDENCE.md, section 6.

Only regular files whose whole path is one of the page's have a part to play; every other name is set aside for
the check `bag` to object to. Two kinds are looked into all the same: whatever lies beside a segment's entry is
compared with the original it stands for, and a derivative of an unknown kind with the entries.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, get_args

from edged.errors import UnreadableError
from edged.evidence import bodies
from edged.evidence.ids import (
    EPOCH_PATTERN,
    ID_PATTERN,
    SEGMENT_PATTERN,
    DockingId,
    EpochId,
    SegmentId,
    StationId,
)
from edged.evidence.verification.port import MAX_FILES, BundleFile

LogId = tuple[StationId, EpochId]

MAX_ENTRIES_BYTES: Final = 128 << 20
"""Entries and proofs of a bundle together; they are held in memory while they are compared."""

BAGIT: Final = "bagit.txt"
MANIFEST: Final = "manifest-sha256.txt"
TAG_MANIFEST: Final = "tagmanifest-sha256.txt"
EXPORT: Final = "data/export.json"
TEXTS: Final = "data/texts.json"

_NUMBER: Final = r"(?:0|[1-9][0-9]{0,17})"
_LOG: Final = rf"(?P<station>{ID_PATTERN})/(?P<epoch>{EPOCH_PATTERN})"
_SIZE: Final = rf"data/logs/{_LOG}/(?P<size>{_NUMBER})"
_SEGMENT: Final = rf"(?P<segment>{SEGMENT_PATTERN})"

_PLAIN: Final = frozenset(
    {
        BAGIT,
        "bag-info.txt",
        MANIFEST,
        TAG_MANIFEST,
        "VERIFY.md",
        "VERIFY.zh.md",
        "verify.html",
        EXPORT,
        TEXTS,
        "data/trust/root.pem",
        "data/trust/tsa.pem",
        "data/trust/policy.txt",
        "data/report.json",
        "data/report.html",
    }
)

_PARTS: Final = {
    kind: re.compile(pattern)
    for kind, pattern in {
        "segment entry": rf"data/segments/{_SEGMENT}/entry\.json",
        "segment proof": rf"data/segments/{_SEGMENT}/entry\.tlog-proof",
        "chunk list": rf"data/segments/{_SEGMENT}/chunks\.sha256",
        "original": rf"data/segments/{_SEGMENT}/(?P<name>[^/]+)",
        "custody entry": rf"data/custody/{_LOG}/(?P<seq>{_NUMBER})\.json",
        "custody proof": rf"data/custody/{_LOG}/(?P<seq>{_NUMBER})\.tlog-proof",
        "station": rf"data/logs/{_LOG}/station\.pem",
        "checkpoint": rf"{_SIZE}/checkpoint",
        "cosigned": rf"{_SIZE}/checkpoint\.cosigned",
        "token": rf"{_SIZE}/(?P<token>[A-Za-z0-9_][A-Za-z0-9_-]{{0,63}})(?:\.(?P<renewal>[1-9][0-9]{{0,5}}))?\.tsr",
        "consistency": rf"{_SIZE}/from-(?P<old>{_NUMBER})\.consistency",
        "anchor": r"data/anchors/[0-9a-f]{64}(?:\.checkpoint)?",
        "derivative": rf"data/derivatives/{_SEGMENT}/(?P<kind>[a-z]+)\.[A-Za-z0-9]{{1,10}}",
        "inventory": rf"data/dockings/(?P<docking>{ID_PATTERN})/inventory\.json",
    }.items()
}


_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_KINDS: Final = frozenset(get_args(bodies.Derivative.model_fields["kind"].annotation))


@dataclass(kw_only=True, slots=True)
class SegmentFiles:
    """The files of one segment, by path; None where one is not here."""

    segment: SegmentId
    entry: str | None = None
    proof: str | None = None
    chunk_list: str | None = None
    originals: list[str] = field(default_factory=list)
    """All that lies there besides; exactly one is right."""


@dataclass(kw_only=True, slots=True)
class CustodyFiles:
    """The files of one custody entry."""

    log: LogId
    seq: int
    entry: str | None = None
    proof: str | None = None

    @property
    def place(self) -> str:
        """Where the entry lies, or would lie."""
        return f"data/custody/{self.log[0]}/{self.log[1]}/{self.seq}.json"


@dataclass(kw_only=True, slots=True)
class SizeFiles:
    """What is here of a log at one size."""

    checkpoint: str | None = None
    cosigned: str | None = None
    joined_from: dict[int, str] = field(default_factory=dict)
    """Consistency proofs by the smaller size."""
    tokens: dict[str, dict[int, str]] = field(default_factory=dict)
    """By NAME: the token itself at 0, its renewals from 1."""


@dataclass(kw_only=True, slots=True)
class LogFiles:
    """What is here of one log."""

    station: str | None = None
    sizes: dict[int, SizeFiles] = field(default_factory=dict)


@dataclass(kw_only=True)
class Layout:
    """Every file of a bundle in its place."""

    files: Mapping[str, BundleFile]
    """All regular files, known or not."""
    strangers: list[str] = field(default_factory=list)
    """Names that section 6 does not know, and folders without a file."""
    not_regular: list[str] = field(default_factory=list)
    segments: dict[SegmentId, SegmentFiles] = field(default_factory=dict)
    custody: dict[tuple[LogId, int], CustodyFiles] = field(default_factory=dict)
    logs: dict[LogId, LogFiles] = field(default_factory=dict)
    derivatives: list[tuple[SegmentId, str, str]] = field(default_factory=list)
    """Segment, kind and path."""
    inventories: dict[DockingId, str] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)


def arrange(listing: Sequence[BundleFile]) -> Layout:
    """Put every listed name in its place.

    Raises UnreadableError for a bundle of more files or entries than a verifier holds in memory.
    """
    if len(listing) > MAX_FILES:
        raise UnreadableError(f"The bundle has more than {MAX_FILES} files.")
    layout = Layout(files={file.path: file for file in listing if file.kind == "file"})
    layout.not_regular = sorted(file.path for file in listing if file.kind == "other")
    paths = sorted(layout.files)
    layout.strangers = [file.path for file in listing if file.kind == "folder" and not holds(paths, file.path)]
    entries_bytes = 0
    for path in paths:
        if path in _PLAIN:
            continue
        kind = _place(layout, path)
        if kind is None or _is_misnamed(kind, path):
            layout.strangers.append(path)
        elif kind.endswith(("entry", "proof")):
            entries_bytes += layout.files[path].size_bytes
    if entries_bytes > MAX_ENTRIES_BYTES:
        raise UnreadableError(f"The entries of the bundle exceed {MAX_ENTRIES_BYTES >> 20} MiB.")
    return layout


def holds(paths: Sequence[str], folder: str) -> bool:
    """Say whether any of the sorted paths lies below a folder.

    Asked so, and not of the set of all folders, because a hostile name of thousands of parts would fill memory.
    """
    at = bisect_left(paths, folder + "/")
    return at < len(paths) and paths[at].startswith(folder + "/")


def _is_misnamed(kind: str, path: str) -> bool:
    """Say whether a file lies where one of its kind does, under a name that none can have."""
    name = path.rpartition("/")[2]
    match kind:
        case "original":
            return _NAME.fullmatch(name) is None
        case "derivative":
            return name.partition(".")[0] not in _KINDS
        case _:
            return False


def _place(layout: Layout, path: str) -> str | None:
    """Put one file in its place and give what it is, or None where section 6 has no such name."""
    found = next(((kind, match) for kind, pattern in _PARTS.items() if (match := pattern.fullmatch(path))), None)
    if found is None:
        return None
    kind, match = found
    part = match.groupdict()
    if kind in {"segment entry", "segment proof", "chunk list", "original"}:
        _place_of_segment(layout, kind, SegmentId(part["segment"]), path)
    elif kind in {"custody entry", "custody proof"}:
        log, seq = (StationId(part["station"]), EpochId(part["epoch"])), int(part["seq"])
        custody = layout.custody.setdefault((log, seq), CustodyFiles(log=log, seq=seq))
        if kind == "custody entry":
            custody.entry = path
        else:
            custody.proof = path
    elif "station" in part:
        _place_of_log(layout, kind, part, path)
    elif kind == "derivative":
        layout.derivatives.append((SegmentId(part["segment"]), part["kind"], path))
    elif kind == "inventory":
        layout.inventories[DockingId(part["docking"])] = path
    else:
        layout.anchors.append(path)
    return kind


def _place_of_segment(layout: Layout, kind: str, segment: SegmentId, path: str) -> None:
    files = layout.segments.setdefault(segment, SegmentFiles(segment=segment))
    match kind:
        case "segment entry":
            files.entry = path
        case "segment proof":
            files.proof = path
        case "chunk list":
            files.chunk_list = path
        case _:
            files.originals.append(path)


def _place_of_log(layout: Layout, kind: str, part: Mapping[str, str], path: str) -> None:
    log = layout.logs.setdefault((StationId(part["station"]), EpochId(part["epoch"])), LogFiles())
    if kind == "station":
        log.station = path
        return
    size = log.sizes.setdefault(int(part["size"]), SizeFiles())
    match kind:
        case "checkpoint":
            size.checkpoint = path
        case "cosigned":
            size.cosigned = path
        case "consistency":
            size.joined_from[int(part["old"])] = path
        case _:
            size.tokens.setdefault(part["token"], {})[int(part["renewal"] or 0)] = path
            layout.tokens.append(path)
