"""What an export is asked for: which segments that means, and whether they may be handed out.

A selection is one case, one recorder, or segments by name; a span of time narrows the first two. What a person asks
for stands in the `export` entry as `Asked.selection` gives it, so that the same bundle can be made from the entry
alone.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Annotated, Any, Final, Self, TypedDict, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edged.book.facts import Facts, SegmentRow
from edged.clock import from_rfc3339
from edged.config import ExportPart, Id, explain
from edged.errors import NotAllowedError, UsageError
from edged.evidence import bodies
from edged.evidence.ids import SegmentId
from edged.media.plan import Kind

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""The derivatives that a station makes, and a bundle holds if nothing else is said."""

UNCLASSIFIED: Final = "unclassified"
"""What stands for the class of a segment whose classification names none."""

_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?P<offset>Z|[+-]\d\d:\d\d)?", re.ASCII
)
_NAMED: Final = 3


class Asked(BaseModel):
    """What an export is asked with; raises ValueError for what contradicts itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: Id | None = None
    segments: tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-f]{32}$")], ...] = ()
    recorder: Id | None = None
    since: Annotated[str | None, Field(alias="from")] = None
    until: str | None = None
    """RFC 3339, or without an offset the local time of the station. The end is not part of the span."""
    derivatives: tuple[Kind, ...] = KINDS
    inventories: bool = True
    purpose: Annotated[str, Field(min_length=1, max_length=4000)]
    override: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    """Why footage goes out whose secrecy class forbids it."""

    @model_validator(mode="after")
    def _is_one_selection(self) -> Self:
        if sum(map(bool, (self.case, self.segments, self.recorder))) != 1:
            raise ValueError("name one of case, recorder and segments")
        if (self.since is None) != (self.until is None):
            raise ValueError("give from and until together")
        if self.recorder is not None and self.since is None:
            raise ValueError("recorder only with from and until")
        if self.segments and self.since is not None:
            raise ValueError("from and until only with case or recorder")
        return self

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Asked":
        """Read a request; raises UsageError saying what is wrong with it."""
        try:
            return cls.model_validate(arguments)
        except ValidationError as error:
            raise UsageError(f"This cannot be exported: {explain(error)}") from error

    def span(self, zone: tzinfo) -> tuple[datetime, datetime] | None:
        """Give the span of time, None where none was named; raises UsageError for one that is none."""
        if self.since is None or self.until is None:
            return None
        since, until = moment(self.since, zone), moment(self.until, zone)
        if since >= until:
            raise UsageError(
                f"From {self.since} until {self.until} is no span of time.", hint="--until must be after --from."
            )
        return since, until

    def selection(self, zone: tzinfo) -> dict[str, Any]:
        """Give the object that the `export` entry holds."""
        asked: dict[str, Any] = {"derivatives": sorted(set(self.derivatives)), "inventories": self.inventories}
        if self.case:
            asked["case"] = self.case
        elif self.recorder:
            asked["recorder"] = self.recorder
        else:
            asked["segments"] = sorted(set(self.segments))
        if span := self.span(zone):
            asked["from"], asked["until"] = (each.isoformat(timespec="milliseconds") for each in span)
        return asked


def moment(text: str, zone: tzinfo) -> datetime:
    """Read a time as a person writes it, with an offset or in a zone; gives it with its offset.

    Raises UsageError for anything else, and for an hour that the clocks of the zone leave out or show twice.
    """
    try:
        read = datetime.fromisoformat(text.strip()) if _MOMENT.fullmatch(text.strip()) else None
    except ValueError:
        read = None
    if read is None:
        raise UsageError(
            f"{text!r} is no time.", hint="Write 2026-11-21T08:00:00+08:00, or 2026-11-21T08:00 local time."
        )
    if read.tzinfo is None:
        first, second = (read.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        if first != second:
            raise UsageError(f"The clocks were changed at {text}.", hint="Write the offset too, such as +08:00.")
        read = read.replace(tzinfo=timezone(first or timedelta()))
    return read


def chosen(facts: Facts, asked: Asked, zone: tzinfo) -> set[SegmentId]:
    """Give the segments that are asked for; raises UsageError where there is none."""
    span = asked.span(zone)
    if asked.case:
        rows = _within(facts, facts.segments_of_case(asked.case), span)
        if not rows:
            raise UsageError(
                f"No segment is classified to case {asked.case}{'' if span is None else ' in that time'}.",
                hint="`edged ledger show --type classification` lists what the case feed tied to cases.",
            )
        return rows
    if asked.recorder:
        known = facts.segments_of_recorder(asked.recorder)
        rows = _within(facts, known, span)
        if not rows:
            raise UsageError(
                f"Of recorder {asked.recorder} nothing of that time is here."
                if known
                else f"This station has sealed nothing of a recorder {asked.recorder}."
            )
        return rows
    for segment in asked.segments:
        if facts.segment(segment) is None:
            raise UsageError(f"This station has sealed no segment {segment}.")
    return {SegmentId(segment) for segment in asked.segments}


def _within(facts: Facts, rows: Iterable[SegmentRow], span: tuple[datetime, datetime] | None) -> set[SegmentId]:
    """Give what a span of time meets, and the side files of that."""
    rows = list(rows)
    if span is None:
        return {row.segment for row in rows}
    met = {row.segment for row in rows if _meets(facts, row, *span)}
    return met | {row.segment for row in rows if row.side_of in met}


def _meets(facts: Facts, row: SegmentRow, since: datetime, until: datetime) -> bool:
    """Say whether the claimed time of recording meets the span; what claims none counts as of its docking."""
    claimed = [from_rfc3339(each) for each in (row.started, row.ended) if each is not None]
    if not claimed:
        docking = facts.docking(row.docking)
        claimed = [from_rfc3339(row.sealed if docking is None else docking.began)]
    return min(claimed) < until and max(claimed) >= since


class Wanted(TypedDict):
    """What else than segments a bundle is made with."""

    kinds: Sequence[str]
    inventories: bool


def asked_for(export: bodies.Export) -> Wanted:
    """Read from an `export` entry what its bundle is made with; one that does not say asked for everything."""
    kinds = export.selection.get("derivatives")
    return Wanted(
        kinds=[str(kind) for kind in kinds] if isinstance(kinds, list) else KINDS,
        inventories=export.selection.get("inventories") is not False,
    )


def withheld(facts: Facts, rules: ExportPart, segments: Iterable[SegmentId]) -> dict[str, list[SegmentId]]:
    """Give, by secrecy class, the segments that the configuration says are not handed out."""
    found: dict[str, list[SegmentId]] = {}
    for segment in sorted(segments):
        row = facts.classification(segment)
        secrecy = (None if row is None else row.secrecy) or UNCLASSIFIED
        if secrecy in rules.refused:
            found.setdefault(secrecy, []).append(segment)
    return found


def permit(found: Mapping[str, list[SegmentId]], override: str | None, *, may_override: bool) -> tuple[str, ...]:
    """Give the classes that are overridden; raises NotAllowedError for what must not leave like this."""
    if override is not None and not may_override:
        raise NotAllowedError("Only an administrator may hand out what its secrecy class forbids.")
    if override is not None and not found:
        raise UsageError("Nothing in this export needs an override.", hint="Leave it out.")
    if found and override is None:
        raise NotAllowedError(
            f"This export is refused: {_told(found)} must not be handed out.",
            hint="Export the other segments by name. An administrator may decide otherwise with --override REASON, "
            "which the ledger keeps.",
        )
    return tuple(found)


def permit_again(found: Mapping[str, list[SegmentId]], export: bodies.Export) -> None:
    """Allow making the bundle of an earlier export, unless it holds what must not be handed out now.

    Raises NotAllowedError, but not for classes whose refusal an administrator overrode then.
    """
    match export.plain().get("override"):
        case {"classes": list(classes)}:
            overridden = set(map(str, classes))
        case _:
            overridden = set()
    if rest := {name: segments for name, segments in found.items() if name not in overridden}:
        raise NotAllowedError(
            f"Export {export.export} is not made again: {_told(rest)} must not be handed out now.",
            hint="An administrator may write another export with --override REASON.",
        )


def _told(found: Mapping[str, list[SegmentId]]) -> str:
    return "; ".join(
        f"{len(segments)} segment(s) of class {name} ({', '.join(segments[:_NAMED])}{' …' * (len(segments) > _NAMED)})"
        for name, segments in found.items()
    )
