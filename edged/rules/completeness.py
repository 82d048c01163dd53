"""Whether what is held of a case is complete: which required stages are covered, and what is missing. PURE.

The answer is `complete` only where nothing is lacking: each stage that the catalogue wants recorded in full has
footage without a gap, every file of the dockings that the footage came from was taken in and can be trusted, and the
station noted nothing that says otherwise about it. What nobody can tell from a station is said besides, always: it
makes no case incomplete, and no case complete.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, Literal

from edged.evidence.ids import CaseId, DockingId, RecorderId, SegmentId
from edged.evidence.verification.anomalies import NAMES
from edged.evidence.verification.words import Words, some
from edged.rules.cases import CaseRecord
from edged.rules.continuity import LONGEST_JOIN_MS
from edged.rules.matters import Catalogue, Matter, Recording, Stage

LACKING: Final = frozenset(
    {
        *("counter-skips", "join-gap", "recording-incomplete", "missing-since-last-docking"),
        *("unreadable", "partly-unreadable", "second-reading-differs", "not-listed", "gone-after-inventory"),
        *("changed-after-inventory", "changed-since-interruption", "vault-copy-differs"),
    }
)
"""Kinds of anomalies that say that something of the footage is missing or cannot be trusted."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A segment of the case."""

    segment: SegmentId
    recorder: RecorderId
    docking: DockingId
    path: str
    matter: str | None
    stage: str | None
    start: datetime | None
    """By the recorder's clock, aware."""
    end: datetime | None
    uncertainty_ms: int
    form: Literal["video", "audio", "photo", "side", "other"] | None
    """`other` for settings, logs and the like; None for what should be a recording, and cannot be played."""
    quarantined: bool
    whole_in: DockingId | None = None
    """The later docking that took a file in quarantine whole, unchanged by its length and time."""


@dataclass(frozen=True, kw_only=True)
class Noted:
    """An anomaly that concerns the case's segments or their dockings."""

    kind: str
    docking: DockingId | None
    segment: SegmentId | None
    between: tuple[str, ...] = ()
    """Paths that it lies between; it concerns the case only where one of them is of the case. Empty: in any case."""
    harmless: bool = False
    """Whether its detail says that the station has all that it speaks of."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A docking that footage of the case came from, or that was cut short and may have held some."""

    docking: DockingId
    ended: bool
    lost: tuple[str, ...]
    """Paths of its inventory that neither it nor a later docking of the recorder took."""
    later: int
    """How many of its files only a later docking took."""


@dataclass(frozen=True, kw_only=True)
class CaseFacts:
    """What is known of a case."""

    case: CaseId
    records: Sequence[CaseRecord]
    footage: Sequence[Footage]
    noted: Sequence[Noted]
    visits: Sequence[Visit]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A time that is covered, or one that is not."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one recorder shows, in order of recording."""

    recorder: RecorderId
    segments: tuple[Footage, ...]
    covered: tuple[Span, ...]
    gaps: tuple[Span, ...]
    """Between what is covered; the officer may have switched the camera off."""


@dataclass(frozen=True, kw_only=True)
class StageAnswer:
    """One stage of the case's matter."""

    matter: Matter
    stage: Stage
    recording: Recording
    state: Literal["covered", "gaps", "nothing", "not-needed"]
    segments: int
    gaps: tuple[Span, ...]


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """The answer."""

    case: CaseId
    lines: tuple[Line, ...]
    stages: tuple[StageAnswer, ...]
    lacking: tuple[Words, ...]
    """Why the case is not complete; empty where it is."""
    unknown: tuple[Words, ...]
    """What cannot be told from here."""

    @property
    def complete(self) -> bool:
        """Whether nothing is lacking."""
        return not self.lacking


def completeness(facts: CaseFacts, catalogue: Catalogue) -> Completeness:
    """Answer for one case."""
    stages = tuple(_stages(facts, catalogue))
    lines = tuple(_lines(facts.footage))
    lacking = [*_no_footage(facts), *_of_stages(stages), *_of_visits(facts.visits), *_of_footage(facts)]
    return Completeness(
        case=facts.case,
        lines=lines,
        stages=stages,
        lacking=(*lacking, *_of_noted(facts)),
        unknown=tuple(_unknown(facts, catalogue)),
    )


def merged(footage: Sequence[Footage]) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Give the times that video and sound cover, and those between; joins within the uncertainty are no gap."""
    timed = sorted(
        (each.start, each.end, each.uncertainty_ms)
        for each in footage
        if each.start is not None and each.end is not None and each.form in {"video", "audio"}
    )
    covered: list[Span] = []
    gaps: list[Span] = []
    for start, end, uncertainty_ms in timed:
        last = covered[-1] if covered else None
        if last is None or start - last.end > timedelta(milliseconds=LONGEST_JOIN_MS + uncertainty_ms):
            if last is not None:
                gaps.append(Span(start=last.end, end=start))
            covered.append(Span(start=start, end=end))
        else:
            covered[-1] = Span(start=last.start, end=max(last.end, end))
    return tuple(covered), tuple(gaps)


def _lines(footage: Sequence[Footage]) -> Iterator[Line]:
    def recorder(each: Footage) -> str:
        return each.recorder

    for name, group in groupby(sorted(footage, key=recorder), key=recorder):
        files = sorted(group, key=lambda each: (each.start is None, each.start or _NEVER, each.path))
        covered, gaps = merged(files)
        yield Line(recorder=RecorderId(name), segments=tuple(files), covered=covered, gaps=gaps)


def _stages(facts: CaseFacts, catalogue: Catalogue) -> Iterator[StageAnswer]:
    named = [each.matter for each in facts.records] + [each.matter for each in facts.footage if each.matter]
    matters = {matter.id: matter for name in named if (matter := catalogue.matter(name)) is not None}
    for matter in matters.values():
        for stage in matter.stages:
            footage = [each for each in facts.footage if each.matter == matter.id and each.stage == stage.id]
            windows = [
                Span(start=each.from_, end=each.until)
                for each in facts.records
                if catalogue.matter(each.matter) is matter and matter.stage(each.stage) is stage
            ]
            gaps = tuple(_within(merged(footage)[1], windows))
            state: Literal["covered", "gaps", "nothing", "not-needed"] = "covered"
            if not any(each.form not in {None, "side", "other"} for each in footage):
                state = "nothing" if stage.recording == "full" else "not-needed"
            elif stage.recording == "full" and gaps:
                state = "gaps"
            yield StageAnswer(
                matter=matter, stage=stage, recording=stage.recording, state=state, segments=len(footage), gaps=gaps
            )


def _within(gaps: Sequence[Span], windows: Sequence[Span]) -> Iterator[Span]:
    """Give the gaps that lie in one piece of work: what lies between two is no gap of either."""
    for gap in gaps:
        if not windows or any(each.start <= gap.start and gap.end <= each.end for each in windows):
            yield gap


def _no_footage(facts: CaseFacts) -> Iterator[Words]:
    if not facts.footage:
        yield Words("No footage is tied to the case.", "没有影像归入本案。")


def _of_stages(stages: Sequence[StageAnswer]) -> Iterator[Words]:
    for each in stages:
        name = each.stage.name
        if each.state == "nothing":
            yield Words(
                f"Stage {each.stage.id} ({name.en}) is to be recorded in full, and there is no footage of it.",
                f"环节 {each.stage.id}（{name.zh}）应全程录像，但没有其影像。",
            )
        if each.state == "gaps":
            times = some([f"{gap.start.isoformat()} - {gap.end.isoformat()}" for gap in each.gaps])
            yield Words(
                f"Stage {each.stage.id} ({name.en}) is to be recorded in full, and nothing shows {times}.",
                f"环节 {each.stage.id}（{name.zh}）应全程录像，但以下时间没有影像：{times}。",
            )


def _of_visits(visits: Sequence[Visit]) -> Iterator[Words]:
    for each in visits:
        if not each.ended:
            yield Words(f"{each.docking} still goes on.", f"{each.docking} 仍在进行。")
        if each.lost:
            names = some(each.lost)
            yield Words(
                f"{len(each.lost)} file(s) that the card held at {each.docking} were never taken in: {names}.",
                f"{each.docking} 时卡上有 {len(each.lost)} 个文件从未取入：{names}。",
            )


def _of_footage(facts: CaseFacts) -> Iterator[Words]:
    if doubtful := [each.path for each in facts.footage if each.quarantined and each.whole_in is None]:
        yield Words(
            f"{len(doubtful)} file(s) are in quarantine, kept but not trusted: {some(doubtful)}.",
            f"{len(doubtful)} 个文件处于隔离，保留但不予采信：{some(doubtful)}。",
        )
    if dark := [each.path for each in facts.footage if each.form is None and not each.quarantined]:
        yield Words(
            f"{len(dark)} file(s) cannot be played: {some(dark)}.",
            f"{len(dark)} 个文件无法播放：{some(dark)}。",
        )


def touches(noted: Noted, footage: Sequence[Footage]) -> bool:
    """Say whether an anomaly concerns the footage of a case."""
    if noted.segment is not None:
        return any(each.segment == noted.segment for each in footage)
    return not noted.between or any(each.path in noted.between and each.docking == noted.docking for each in footage)


def _of_noted(facts: CaseFacts) -> Iterator[Words]:
    # What was taken whole later was judged anew then.
    whole = {each.segment for each in facts.footage if each.whole_in is not None}
    for kind in sorted(LACKING):
        found = [each for each in facts.noted if each.kind == kind and each.segment not in whole]
        if count := sum(not each.harmless and touches(each, facts.footage) for each in found):
            name = NAMES[kind]
            yield Words(
                f"The station noted ({count}): {name.en} ({kind}).", f"采集站记录（{count} 次）：{name.zh}（{kind}）。"
            )


def _unknown(facts: CaseFacts, catalogue: Catalogue) -> Iterator[Words]:
    yield Words(
        "Whether the recording began and ended with the act: cameras and the case feed only claim their times.",
        "录像是否与执法行为同时开始和结束：时间仅为摄像机和案件数据所述。",
    )
    yield Words(
        "Whether footage of the case lies on recorders that were not docked here, or at other stations.",
        "未在本站接入的记录仪或其他采集站是否存有本案影像。",
    )
    if untimed := [each.path for each in facts.footage if each.start is None and each.form in {"video", "audio"}]:
        yield Words(
            f"When {len(untimed)} file(s) were recorded, which say no start: {some(untimed)}.",
            f"{len(untimed)} 个文件未载明开始时间，何时录制不明：{some(untimed)}。",
        )
    if unstaged := [each.path for each in facts.footage if each.stage is None]:
        yield Words(
            f"To which stage {len(unstaged)} file(s) belong: {some(unstaged)}.",
            f"{len(unstaged)} 个文件属于哪个环节：{some(unstaged)}。",
        )
    strange = sorted({each.matter for each in facts.records if catalogue.matter(each.matter) is None})
    if strange or not facts.records:
        told = some(strange) if strange else "-"
        yield Words(
            f"What has to be recorded: the catalogue has no matter of this case ({told}).",
            f"应当录制哪些内容：目录中没有本案事项（{told}）。",
        )
    for docking in sorted({each.whole_in for each in facts.footage if each.whole_in is not None}):
        whole = [each.path for each in facts.footage if each.whole_in == docking]
        yield Words(
            f"Why the card did not give {len(whole)} file(s) at once: {docking} took them whole, and what was read "
            f"before is kept in quarantine: {some(whole)}.",
            f"存储卡为何未能一次给出 {len(whole)} 个文件：{docking} 已完整取入，此前读出的仍隔离保留：{some(whole)}。",
        )
    if later := sum(each.later for each in facts.visits):
        yield Words(
            f"What happened to {later} file(s) between the docking that was cut short and the later one that took "
            "them.",
            f"{later} 个文件在中断的接入与其后取入之间经历了什么。",
        )
