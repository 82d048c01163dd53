"""The check `completeness`: what lay on the card is accounted for, file by file (INV-7, seen from outside)."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from edged.errors import MalformedError
from edged.evidence import bodies, canonical
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import DockingId
from edged.evidence.verification.layout import Layout
from edged.evidence.verification.reading import Contents
from edged.evidence.verification.report import Check, failed, not_established, together, verified
from edged.evidence.verification.sealed import Sealed
from edged.evidence.verification.words import Words, some

_MAX_INVENTORY_BYTES: Final = 32 << 20


@dataclass(kw_only=True)
class Visit:
    """What the entries here say of one docking."""

    docking: DockingId
    entries: list[bodies.Docking] = field(default_factory=list)
    ends: list[bodies.Undocking] = field(default_factory=list)
    sealed: list[bodies.Segment] = field(default_factory=list)
    accounted: set[str] = field(default_factory=set)
    """Paths sealed or sighted."""
    gone: set[str] = field(default_factory=set)
    """Paths erased with outcome `gone`."""


def check_completeness(
    layout: Layout,
    contents: Contents,
    segments: Sequence[Sealed],
    custody: Sequence[Sealed],
    taken_later: Collection[str] = (),
) -> tuple[Check, list[Words]]:
    """Account for every file of the dockings that the segments came from; what is amiss becomes findings.

    `taken_later` are paths that later dockings are known to have taken. A bundle never says so: whoever has only that
    cannot see later dockings.
    """
    visits = _visits([*segments, *custody])
    wanted = sorted({each.segment.docking for each in segments if each.segment} | set(layout.inventories))
    if not wanted:
        return not_established("There is no docking to account for.", "没有可供核对的接入记录。"), []
    problems: list[Check] = []
    amiss: list[Words] = []
    for docking in wanted:
        visit = visits.get(docking, Visit(docking=docking))
        problem, paths = _inventory(visit, layout.inventories.get(docking), contents)
        if problem is not None:
            problems.append(problem)
        else:
            amiss += _amiss(visit, paths, taken_later)
    if amiss:
        problems.append(not_established("Something is amiss: see the findings.", "有异常之处，见“发现”。"))
    return (
        together(
            problems,
            verified(
                f"In {len(wanted)} docking(s) every file was sealed or met before, and what was erased adds up.",
                f"{len(wanted)} 次接入时卡上的每个文件均已固证或先前已固证，清除数量相符。",
            ),
        ),
        amiss,
    )


def _visits(sealed: Sequence[Sealed]) -> Mapping[DockingId, Visit]:
    visits: dict[DockingId, Visit] = {}
    for each in sealed:
        body = each.entry.body if each.entry else None
        if not isinstance(body, bodies.Docking | bodies.Undocking | bodies.Segment | bodies.Sighting | bodies.Wipe):
            continue
        visit = visits.setdefault(body.docking, Visit(docking=body.docking))
        match body:
            case bodies.Docking():
                visit.entries.append(body)
            case bodies.Undocking():
                visit.ends.append(body)
            case bodies.Segment():
                visit.sealed.append(body)
                visit.accounted.add(body.path)
            case bodies.Sighting():
                visit.accounted.add(body.path)
            case bodies.Wipe() if body.outcome == "gone":
                visit.gone.add(body.path)
            case _:
                pass
    return visits


def _inventory(visit: Visit, path: str | None, contents: Contents) -> tuple[Check | None, Mapping[str, int]]:
    """Give the files of a docking's inventory with their lengths, or what keeps them from being known."""
    name = visit.docking
    if path is None:
        return not_established(f"The inventory of {name} is not here.", f"缺少 {name} 的清单。"), {}
    if len(visit.entries) != 1:
        return (
            not_established(
                f"There is not one docking entry for {name} here.", f"此处 {name} 的接入条目不是恰好一条。"
            ),
            {},
        )
    try:
        data = contents.small(path, _MAX_INVENTORY_BYTES)
    except MalformedError as error:
        return failed(f"{path} is malformed: {error}.", f"{path} 格式有误：{error}。"), {}
    if sha256_hex(data) != visit.entries[0].inventory_sha256:
        return failed(f"{path} is not the inventory that was sealed.", f"{path} 不是固证时的清单。"), {}
    try:
        return None, _files(data, visit.docking)
    except MalformedError as error:
        return not_established(f"{path} cannot be understood: {error}.", f"{path} 无法解读：{error}。"), {}


def _files(data: bytes, docking: DockingId) -> Mapping[str, int]:
    document = canonical.decode(data)
    match document:
        case {"v": 1, "docking": str(named), "items": list(items)} if named == docking:
            pass
        case _:
            raise MalformedError("it is no inventory of this docking")
    files: dict[str, int] = {}
    for item in items:
        match item:
            case {"kind": "file", "path": str(path), "bytes": int(length)}:
                files[path] = length
            case {"kind": "folder" | "other"}:
                pass
            case _:
                raise MalformedError("an item of it is neither file, folder nor other")
    return files


def _amiss(visit: Visit, files: Mapping[str, int], taken_later: Collection[str]) -> Iterator[Words]:
    """Give what does not add up in one docking."""
    name, entry = visit.docking, visit.entries[0]
    if lost := sorted(files.keys() - visit.accounted - set(taken_later)):
        yield Words(
            f"{len(lost)} file(s) of the inventory of {name} were neither sealed nor sighted: {some(lost)}.",
            f"{name} 清单中有 {len(lost)} 个文件既未固证也未见于先前固证：{some(lost)}。",
        )
    if (entry.files, entry.bytes) != (len(files), sum(files.values())):
        yield Words(
            f"The docking entry of {name} counts {entry.files} files and {entry.bytes} bytes, its inventory "
            f"{len(files)} and {sum(files.values())}.",
            f"{name} 的接入条目记 {entry.files} 个文件、{entry.bytes} 字节，"
            f"清单为 {len(files)} 个、{sum(files.values())} 字节。",
        )
    if entry.missing:
        yield Words(
            f"{entry.missing} file(s) that the recorder held at its last docking were gone at {name}, and the station "
            "had not erased them.",
            f"记录仪上次接入时的 {entry.missing} 个文件，在 {name} 时已不在卡上，且并非由采集站清除。",
        )
    left = len(files.keys() - visit.gone)
    ends = [end.remaining for end in visit.ends]
    if ends != [left]:
        said = str(ends[0]) if len(ends) == 1 else f"{len(ends)} undocking entries"
        said_zh = str(ends[0]) if len(ends) == 1 else f"{len(ends)} 条离站条目"
        yield Words(
            f"After {name}, {left} file(s) should have stayed on the card; the entries here say {said}.",
            f"{name} 之后卡上应余 {left} 个文件，而此处条目记为 {said_zh}。",
        )
    numbers = Counter(segment.recorder_seq for segment in visit.sealed)
    if numbers and (max(numbers.values()) > 1 or max(numbers) - min(numbers) + 1 != len(numbers)):
        yield Words(
            f"The numbers of the segments sealed in {name} have a gap or a repetition.",
            f"{name} 中固证片段的编号有缺漏或重复。",
        )
