"""Which case a segment belongs to: matching what a recorder claims with what the case feed says.

Guarantee: a segment is tied to a case only if exactly one case can be meant. A clock that is not known well
enough, or a second case that could be meant as well, ties it to none (DESIGN.md, INV-5): footage under the wrong
case would be disposed of on time, footage under none is kept and listed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from edged.evidence.ids import CaseId, MatterId, OfficerId, RecorderId, SegmentId, StageId
from edged.rules.retention import CaseFileUntil


@dataclass(frozen=True, kw_only=True)
class CaseRecord:
    """One row of a case feed: who worked on which case, at which stage, from when until when."""

    case: CaseId
    title: str | None = None
    party_ref: str | None = None
    """Id of the party; footage is also kept together per party (MISSION.md, R4)."""
    matter: MatterId
    """Id of a matter, or a name of it as `to_id` maps it."""
    stage: StageId
    """Id of a stage, or a name of it as `to_id` maps it."""
    officer: OfficerId | None = None
    recorder: RecorderId | None = None
    from_: datetime
    until: datetime
    case_file_until: CaseFileUntil | None = None
    """How long the written case file is kept, where that is known already."""
    as_written: tuple[tuple[str, str], ...] = ()
    """(field, text) of each outside identifier that had to be mapped to an id."""

    def __post_init__(self) -> None:
        """Refuse what no segment could be matched with; raises ValueError."""
        if self.officer is None and self.recorder is None:
            raise ValueError("a case record names an officer, a recorder, or both")
        if self.from_.utcoffset() is None or self.until.utcoffset() is None:
            raise ValueError("times of a case record have an offset")
        if self.from_ >= self.until:
            raise ValueError("a case record ends after it begins")

    def plain(self) -> dict[str, object]:
        """Give the record as plain JSON values, for the register."""
        kept = self.case_file_until
        return {
            "case": self.case,
            "title": self.title,
            "party_ref": self.party_ref,
            "matter": self.matter,
            "stage": self.stage,
            "officer": self.officer,
            "recorder": self.recorder,
            "from": self.from_.isoformat(),
            "until": self.until.isoformat(),
            "case_file_until": kept.isoformat() if isinstance(kept, date) else kept,
            "as_written": dict(self.as_written),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, object]) -> "CaseRecord":
        """Read back what `plain` gave; raises ValueError or KeyError for anything else."""
        kept = _text(plain["case_file_until"])
        written = plain["as_written"]
        if not isinstance(written, dict):
            raise ValueError("as_written of a case record is no object")  # noqa: TRY004 - as promised above
        officer, recorder = _text(plain["officer"]), _text(plain["recorder"])
        return cls(
            case=CaseId(_required(plain["case"])),
            title=_text(plain["title"]),
            party_ref=_text(plain["party_ref"]),
            matter=MatterId(_required(plain["matter"])),
            stage=StageId(_required(plain["stage"])),
            officer=None if officer is None else OfficerId(officer),
            recorder=None if recorder is None else RecorderId(recorder),
            from_=datetime.fromisoformat(_required(plain["from"])),
            until=datetime.fromisoformat(_required(plain["until"])),
            case_file_until=(
                None if kept is None else "permanent" if kept == "permanent" else date.fromisoformat(kept)
            ),
            as_written=tuple((_required(field), _required(text)) for field, text in written.items()),
        )


@dataclass(frozen=True, kw_only=True)
class SegmentClaims:
    """What is claimed about a segment: by its recorder, and by the station that sealed it."""

    segment: SegmentId
    recorder: RecorderId
    officer: OfficerId | None
    start: datetime | None
    """Start of recording, aware; `None` where nothing says it."""
    end: datetime | None
    uncertainty_ms: int
    """How far either may be off, to both sides."""
    important: bool
    sealed_on: date
    """The station's day when it was sealed."""
    main: "SegmentClaims | None" = None
    """For a side file: the segment it belongs to, which it follows."""

    def recorded_on(self) -> date | None:
        """Give the last day on which it may have been recorded, as the recorder counted days."""
        moment = self.end or self.start
        if moment is None:
            return None
        try:
            return (moment + timedelta(milliseconds=self.uncertainty_ms)).date()
        except OverflowError:
            return date.max


Fit = Literal["sure", "possible"]


@dataclass(frozen=True, kw_only=True)
class Match:
    """A case record that a segment fits."""

    record: CaseRecord
    fit: Fit
    """`possible` if the two overlap in time only somewhere within the uncertainty of the recorder's clock."""
    both: bool
    """Whether officer and recorder both agree, not one of them alone."""
    inside: bool
    """Whether the segment lies within the record's time for sure, not only reaches into it."""


def matches(claims: SegmentClaims, records: Iterable[CaseRecord]) -> tuple[Match, ...]:
    """Find every record that the segment fits, surely or possibly.

    Raises ValueError for claims that cannot be true: an end before the start, an uncertainty below zero.
    """
    begin, end = claims.start or claims.end, claims.end or claims.start
    if begin is None or end is None:
        return ()
    if end < begin:
        raise ValueError("its recording ends before it starts")
    if claims.uncertainty_ms < 0:
        raise ValueError("the uncertainty of its time is below zero")
    off = timedelta(milliseconds=claims.uncertainty_ms)
    found = []
    for record in records:
        both = _who(claims, record)
        if both is None or not _overlap(begin, end, record, off):
            continue
        found.append(
            Match(
                record=record,
                fit="sure" if _overlap(begin, end, record, -off) else "possible",
                both=both,
                inside=begin - record.from_ >= off and record.until - end >= off,
            )
        )
    return tuple(found)


def _who(claims: SegmentClaims, record: CaseRecord) -> bool | None:
    """Say whether officer and recorder both agree (True), one alone (False), or the record is another's (None)."""
    if record.recorder is not None and record.recorder != claims.recorder:
        return None
    if record.officer is None:
        return False
    if claims.officer is None:
        # Footage of an unknown officer is tied by its recorder, or not at all.
        return None if record.recorder is None else False
    if record.officer != claims.officer:
        return None
    return record.recorder is not None


def _overlap(begin: datetime, end: datetime, record: CaseRecord, slack: timedelta) -> bool:
    """Say whether a segment meets a record's time when it is stretched by `slack`, or moved by as much.

    A segment of no length (a photo) meets both ends of the record's time; others must share some of it. Python
    compares aware times across zones, and a difference never leaves the calendar as a sum could.
    """
    before, after = record.until - begin, end - record.from_
    if begin == end:
        return before >= -slack and after >= -slack
    return before > -slack and after > -slack


def _text(value: object) -> str | None:
    return None if value is None else _required(value)


def _required(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} in a case record is no text")  # noqa: TRY004 - callers expect one error
    return value
