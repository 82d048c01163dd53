"""When a new classification may replace one in force: to fill in or to lengthen, and never otherwise."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.evidence.ids import CaseId, EntryRef, MatterId, RuleId, SegmentId, Sha256, StageId
from edged.rules.classification import Basis, ClassificationFact, Contradiction, Decision, supersede

NEW = Decision(
    segment=SegmentId("sg-1"),
    case=CaseId("c-1"),
    matter=MatterId("seizure"),
    stage=StageId("start"),
    secrecy="privacy",
    publicity="closed",
    rule=RuleId("short"),
    clause="第十三条第一款",
    policy=Sha256("ab" * 32),
    retain_until="2027-05-21",
    basis="feed",
    confidence=100,
    why="The case feed has case c-1.",
)
NOTHING = replace(
    NEW, case=None, matter=None, stage=None, secrecy=None, publicity=None, rule=None, clause=None,
    retain_until="undetermined", basis="rule", confidence=0, why="No case.",
)  # fmt: skip


def in_force(decision: Decision, basis: Basis | None = None) -> ClassificationFact:
    return ClassificationFact(
        reference=EntryRef("cd" * 32),
        case=decision.case,
        matter=decision.matter,
        stage=decision.stage,
        secrecy=decision.secrecy,
        publicity=decision.publicity,
        retain_until=decision.retain_until,
        basis=basis or decision.basis,
    )


def clash(old: ClassificationFact, new: Decision) -> tuple[str, ...]:
    answer = supersede(old, new)
    assert isinstance(answer, Contradiction)
    assert answer.stands == old.reference
    assert answer.segment == new.segment
    return answer.keys


def test_the_first_answer_is_recorded_even_if_it_is_undetermined() -> None:
    assert supersede(None, NEW) is NEW
    assert supersede(None, NOTHING) is NOTHING


def test_the_same_answer_again_is_not_recorded() -> None:
    assert supersede(in_force(NEW), NEW) is None
    assert supersede(in_force(NOTHING), NOTHING) is None
    later_policy = replace(NEW, policy=Sha256("ef" * 32), clause="第十三条", confidence=80)
    assert supersede(in_force(NEW), later_policy) is None


def test_undetermined_is_filled_in() -> None:
    assert supersede(in_force(NOTHING), NEW) is NEW
    without_stage = replace(NEW, stage=None, secrecy=None, publicity=None, retain_until="undetermined")
    assert supersede(in_force(without_stage), NEW) is NEW
    assert supersede(in_force(NOTHING), without_stage) is without_stage


@pytest.mark.parametrize("until", ["2027-05-22", "2099-01-01", "permanent"])
def test_a_term_is_lengthened(until: str) -> None:
    longer = replace(NEW, retain_until=until)
    assert supersede(in_force(NEW), longer) is longer


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("2027-05-21", "2027-05-20"),
        ("permanent", "2099-01-01"),
        ("permanent", "undetermined"),
        ("2027-05-21", "undetermined"),
    ],
)
def test_a_term_is_never_shortened_nor_made_undetermined(was: str, now: str) -> None:
    assert clash(in_force(replace(NEW, retain_until=was)), replace(NEW, retain_until=now)) == ("retain_until",)


def test_a_term_cannot_be_shortened_by_way_of_undetermined() -> None:
    stands = in_force(NEW)
    for until in ("undetermined", "2026-12-01"):
        assert isinstance(supersede(stands, replace(NEW, retain_until=until)), Contradiction)


@pytest.mark.parametrize("until", ["2027-05-21", "permanent"])
def test_footage_does_not_move_between_cases_by_itself(until: str) -> None:
    assert clash(in_force(NEW), replace(NEW, case=CaseId("c-2"), retain_until=until)) == ("case",)


def test_footage_does_not_leave_its_case_by_itself() -> None:
    keys = clash(in_force(NEW), NOTHING)
    assert keys == ("case", "matter", "stage", "secrecy", "publicity", "retain_until")


@pytest.mark.parametrize("change", [{"secrecy": "none"}, {"publicity": "public"}, {"stage": "service"}])
def test_what_was_settled_is_not_changed_by_itself(change: dict[str, str]) -> None:
    changed = replace(NEW, retain_until="permanent", **change)  # type: ignore[arg-type]
    assert clash(in_force(NEW), changed) == tuple(change)


def test_what_a_person_decided_is_changed_by_persons_alone() -> None:
    person = in_force(NEW, "person")
    assert supersede(person, NEW) is None
    assert supersede(person, NOTHING) is None, "a person needs no case in the feed"
    assert clash(person, replace(NEW, retain_until="permanent")) == ("retain_until",)
    assert clash(in_force(NOTHING, "person"), NEW)[0] == "case"
    answer = supersede(person, replace(NEW, case=CaseId("c-2")))
    assert isinstance(answer, Contradiction)
    assert answer.why == "A person settled case otherwise than this: The case feed has case c-1."


UNTIL = st.sampled_from(["undetermined", "permanent", "2027-01-01", "2028-01-01", "2029-01-01"])
DECISIONS = st.builds(
    lambda case, stage, until: replace(NEW, case=case, stage=stage, retain_until=until),
    st.sampled_from([None, CaseId("c-1"), CaseId("c-2")]),
    st.sampled_from([None, StageId("start"), StageId("service")]),
    UNTIL,
)
STRENGTH = {"2027-01-01": 1, "2028-01-01": 2, "2029-01-01": 3, "permanent": 4}


@settings(deadline=None, max_examples=300)
@given(answers=st.lists(DECISIONS, min_size=1, max_size=8))
def test_whatever_the_feed_says_in_any_order_nothing_is_shortened_or_moved(answers: list[Decision]) -> None:
    stands: ClassificationFact | None = None
    for answer in answers:
        given_back = supersede(stands, answer)
        if not isinstance(given_back, Decision):
            continue
        if stands is not None:
            assert stands.case in (None, given_back.case)
            assert stands.stage in (None, given_back.stage)
            assert STRENGTH.get(given_back.retain_until, 0) >= STRENGTH.get(stands.retain_until, 0)
        stands = in_force(given_back)
