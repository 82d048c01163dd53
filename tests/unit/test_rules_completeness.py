"""Whether a case is complete: tables of what is held, and what the answer lacks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from edged.evidence.ids import CaseId, DockingId, MatterId, OfficerId, RecorderId, SegmentId, StageId
from edged.evidence.verification.anomalies import NAMES
from edged.rules.cases import CaseRecord
from edged.rules.completeness import LACKING, CaseFacts, Completeness, Footage, Noted, Visit, completeness
from edged.rules.matters import Catalogue, Matters, catalogue
from edged.rules.retention import Retention

MORNING: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)
DOCKING: Final = DockingId("dk-1")
CASE: Final = CaseId("case-1")


def made_catalogue() -> Catalogue:
    def stage(name: str, recording: str) -> dict[str, Any]:
        return {
            "id": name,
            "name": {"en": name, "zh": f"环节-{name}"},
            "recording": recording,
            "retention": "kept",
            "secrecy": "none",
            "publicity": "closed",
        }

    stages = [stage("start", "as-needed"), stage("service", "none"), stage("enforcement", "full")]
    matter = {"id": "demolition", "name": {"en": "Demolition", "zh": "强拆"}, "kind": "coercion", "stage": stages}
    rule = {"id": "kept", "name": {"en": "Kept", "zh": "保存"}, "term": "permanent", "clause": "1"}
    return catalogue(
        Matters.model_validate({"matter": [matter]}, strict=False),
        Retention.model_validate({"important": "kept", "rule": [rule]}, strict=False),
    )


CATALOGUE: Final = made_catalogue()


def footage(name: str, at: float, minutes: float, **changes: Any) -> Footage:
    start = MORNING + timedelta(minutes=at)
    facts: dict[str, Any] = {
        "segment": SegmentId(f"sg-{name}"),
        "recorder": RecorderId("rec-1"),
        "docking": DOCKING,
        "path": f"{name}.MP4",
        "matter": "demolition",
        "stage": "enforcement",
        "start": start,
        "end": start + timedelta(minutes=minutes),
        "uncertainty_ms": 1_000,
        "form": "video",
        "quarantined": False,
    }
    return Footage(**facts | changes)


def record(at: float, minutes: float, stage: str = "enforcement", matter: str = "demolition") -> CaseRecord:
    start = MORNING + timedelta(minutes=at)
    return CaseRecord(
        case=CASE,
        matter=MatterId(matter),
        stage=StageId(stage),
        officer=OfficerId("110203"),
        from_=start,
        until=start + timedelta(minutes=minutes),
    )


def answer(*films: Footage, **facts: Any) -> Completeness:
    known: dict[str, Any] = {
        "case": CASE,
        "records": [record(-10, 120)],
        "footage": films,
        "noted": [],
        "visits": [Visit(docking=DOCKING, ended=True, lost=(), later=0)],
    }
    return completeness(CaseFacts(**known | facts), CATALOGUE)


def lacking(found: Completeness) -> str:
    return " ".join(words.en for words in found.lacking)


def test_a_case_whose_full_stage_is_covered_is_complete() -> None:
    found = answer(footage("A", 0, 15), footage("B", 15, 15))
    assert (found.complete, lacking(found)) == (True, "")
    assert [(each.stage.id, each.state) for each in found.stages] == [
        ("start", "not-needed"),
        ("service", "not-needed"),
        ("enforcement", "covered"),
    ]
    (line,) = found.lines
    assert [each.path for each in line.segments] == ["A.MP4", "B.MP4"]
    assert len(line.covered) == 1
    assert line.gaps == ()
    assert found.unknown, "what cannot be told is said of every case"


def test_a_full_stage_without_footage_is_lacking() -> None:
    found = answer(footage("A", 0, 15, stage="start"))
    assert not found.complete
    assert "Stage enforcement" in lacking(found)
    assert "there is no footage" in lacking(found)


@pytest.mark.parametrize(
    ("pause_seconds", "complete"), [(0, True), (1.0, True), (1.04, True), (1.1, False), (60, False)]
)
def test_a_pause_in_a_full_stage_is_a_gap(pause_seconds: float, *, complete: bool) -> None:
    found = answer(footage("A", 0, 10), footage("B", 10 + pause_seconds / 60, 10))
    assert found.complete is complete
    assert len(found.lines[0].gaps) == (not complete)


def test_a_pause_in_a_stage_that_is_recorded_as_needed_is_none() -> None:
    films = [footage("A", 0, 10), footage("B", 60, 10, stage="start"), footage("C", 70, 10, stage="start")]
    assert answer(*films).complete
    assert answer(*films[:1], footage("B", 30, 5, stage="start"), footage("C", 50, 5, stage="start")).complete


def test_another_recorder_that_went_on_fills_a_pause() -> None:
    pause = [footage("A", 0, 10), footage("B", 20, 10)]
    assert not answer(*pause).complete
    assert answer(*pause, footage("C", 5, 20, recorder=RecorderId("rec-2"))).complete


def test_two_pieces_of_work_have_no_gap_between_them() -> None:
    films = footage("A", 0, 10), footage("B", 1_440, 10)
    assert answer(*films, records=[record(-5, 20), record(1_435, 20)]).complete
    assert not answer(*films, records=[record(-5, 1_500)]).complete


@pytest.mark.parametrize(
    ("film", "words"),
    [
        (footage("A", 0, 10, form=None), "cannot be played"),
        (footage("A", 0, 10, quarantined=True), "quarantine"),
    ],
)
def test_footage_that_cannot_be_trusted_or_played_is_lacking(film: Footage, words: str) -> None:
    assert words in lacking(answer(footage("B", 0, 10), film))


def test_settings_and_logs_need_not_be_played_and_are_no_footage() -> None:
    settings = footage("DEVICE.INI", 0, 0, form="other", end=None)
    assert answer(footage("A", 0, 10), settings).complete
    assert "Stage enforcement" in lacking(answer(settings))


def test_a_file_in_quarantine_that_was_taken_whole_later_is_not_lacking() -> None:
    bad = footage("A", 0, 10, quarantined=True)
    told = [noted("partly-unreadable", segment=bad.segment), noted("recording-incomplete", segment=bad.segment)]
    assert not answer(bad, footage("A2", 0, 10), noted=told).complete
    later = replace(bad, whole_in=DockingId("dk-2"))
    found = answer(later, footage("A2", 0, 10), noted=told)
    assert found.complete, lacking(found)
    assert any("dk-2 took them whole" in each.en and "A.MP4" in each.en for each in found.unknown)
    other = noted("partly-unreadable", segment=SegmentId("sg-A2"))
    assert not answer(later, footage("A2", 0, 10), noted=[*told, other]).complete


def test_files_that_nobody_took_are_lacking_and_those_taken_later_are_not() -> None:
    lost = Visit(docking=DOCKING, ended=True, lost=("C.MP4",), later=0)
    assert "1 file(s) that the card held at dk-1 were never taken in: C.MP4." in lacking(
        answer(footage("A", 0, 10), visits=[lost])
    )
    later = answer(footage("A", 0, 10), visits=[Visit(docking=DOCKING, ended=True, lost=(), later=2)])
    assert later.complete
    assert any("2 file(s) between the docking that was cut short" in each.en for each in later.unknown)


def test_a_docking_that_still_goes_on_is_lacking() -> None:
    going_on = Visit(docking=DOCKING, ended=False, lost=(), later=0)
    assert "still goes on" in lacking(answer(footage("A", 0, 10), visits=[going_on]))


def noted(kind: str, **changes: Any) -> Noted:
    facts: dict[str, Any] = {"kind": kind, "docking": DOCKING, "segment": None}
    return Noted(**facts | changes)


@pytest.mark.parametrize(
    ("anomaly", "complete"),
    [
        (noted("counter-skips", between=("A.MP4", "Z.MP4")), False),
        (noted("counter-skips", between=("Y.MP4", "Z.MP4")), True),
        (noted("counter-skips", between=("A.MP4",), docking=DockingId("dk-9")), True),
        (noted("join-gap", segment=SegmentId("sg-A")), False),
        (noted("join-gap", segment=SegmentId("sg-Z")), True),
        (noted("missing-since-last-docking"), False),
        (noted("missing-since-last-docking", harmless=True), True),
        (noted("unreadable"), False),
        (noted("officer-not-qualified"), True),
        (noted("same-file-again", segment=SegmentId("sg-A")), True),
    ],
)
def test_what_the_station_noted_counts_where_it_touches_the_case(anomaly: Noted, *, complete: bool) -> None:
    assert answer(footage("A", 0, 10), noted=[anomaly]).complete is complete


def test_a_case_without_footage_or_matter_is_not_established() -> None:
    found = answer(records=[record(0, 10, matter="unheard-of")])
    assert "No footage" in lacking(found)
    assert any("unheard-of" in each.en for each in found.unknown)
    assert found.stages == ()


def test_photographs_are_footage_and_side_files_are_not() -> None:
    photo = footage("P", 0, 0, form="photo", stage="enforcement")
    assert answer(photo).complete
    assert not answer(footage("N", 0, 10, form="side")).complete


def test_files_without_a_time_or_a_stage_are_said_to_be_unknown() -> None:
    found = answer(footage("A", 0, 10), footage("B", 0, 1, start=None, end=None), footage("C", 3, 1, stage=None))
    said = " ".join(each.en for each in found.unknown)
    assert "B.MP4" in said
    assert "C.MP4" in said


def test_every_kind_that_makes_a_case_incomplete_has_a_name() -> None:
    assert NAMES.keys() >= LACKING
