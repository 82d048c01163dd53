"""Tying segments to cases: exactly one, or none; and every doubt keeps."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.config import parse_toml
from edged.evidence.bodies import Classification
from edged.evidence.ids import CaseId, EntryRef, MatterId, OfficerId, RecorderId, SegmentId, Sha256, StageId, to_id
from edged.rules.cases import CaseRecord, SegmentClaims, matches
from edged.rules.classification import Decision, classify
from edged.rules.matters import Catalogue, Matters, catalogue
from edged.rules.retention import Retention

POLICY = Sha256("ab" * 32)
NINE = datetime(2026, 11, 21, 9, 0, tzinfo=timezone(timedelta(hours=8)))

RETENTION = """
important = "IMPORTANT"
[[rule]]
id = "for-ever"
name = { en = "For ever", zh = "永久" }
term = "permanent"
clause = "第十三条第二款"
[[rule]]
id = "long"
name = { en = "Long", zh = "长" }
term = "P3Y"
clause = "三年"
[[rule]]
id = "short"
name = { en = "Short", zh = "短" }
term = "P6M"
clause = "第十三条第一款"
[[rule]]
id = "case-file"
name = { en = "Case file", zh = "案卷" }
term = "same-as-case-file"
clause = "同案卷"
"""

STAGE = """
[[matter.stage]]
id = "ID"
name = { en = "EN", zh = "ZH" }
recording = "full"
retention = "RULE"
secrecy = "privacy"
publicity = "closed"
"""


def make_catalogue(important: str = "for-ever") -> Catalogue:
    stages = (("start", "启动", "short"), ("service", "送达", "case-file"), ("enforcement", "执行", "for-ever"))
    text = "".join(
        f'[[matter]]\nid = "{matter}"\nname = {{ en = "{matter} act", zh = "{chinese}" }}\nkind = "other"\n'
        + "".join(
            STAGE.replace("ID", stage).replace("EN", stage.title()).replace("ZH", zh).replace("RULE", rule)
            for stage, zh, rule in stages
        )
        for matter, chinese in (("seizure", "查封、扣押"), ("trade", "占道经营"))
    )
    rules = parse_toml(RETENTION.replace("IMPORTANT", important), Retention)
    return catalogue(parse_toml(text, Matters), rules)


CATALOGUE = make_catalogue()

CASE = CaseRecord(
    case=CaseId("c-1"),
    matter=MatterId("seizure"),
    stage=StageId("start"),
    officer=OfficerId("100123"),
    recorder=RecorderId("r-1"),
    from_=NINE,
    until=NINE + timedelta(hours=1),
)
OTHER = replace(CASE, case=CaseId("c-2"))

CLAIMS = SegmentClaims(
    segment=SegmentId("sg-" + "1" * 32),
    recorder=RecorderId("r-1"),
    officer=OfficerId("100123"),
    start=NINE + timedelta(minutes=10),
    end=NINE + timedelta(minutes=20),
    uncertainty_ms=1000,
    important=False,
    sealed_on=date(2026, 11, 21),
)


def decide(claims: SegmentClaims = CLAIMS, *cases: CaseRecord, by: Catalogue = CATALOGUE) -> Decision:
    return classify(claims, cases, by, POLICY)


def undetermined(decision: Decision) -> bool:
    return (decision.case, decision.matter, decision.stage, decision.secrecy, decision.publicity) == (None,) * 5 and (
        decision.retain_until,
        decision.rule,
        decision.clause,
        decision.confidence,
        decision.basis,
    ) == ("undetermined", None, None, 0, "rule")


def at(minute: float, length: float = 10.0) -> SegmentClaims:
    start = NINE + timedelta(minutes=minute)
    return replace(CLAIMS, start=start, end=start + timedelta(minutes=length))


def test_one_case_classifies_by_the_feed() -> None:
    decision = decide(CLAIMS, CASE, replace(OTHER, officer=OfficerId("999")))
    assert decision.case == "c-1"
    assert (decision.matter, decision.stage, decision.rule) == ("seizure", "start", "short")
    assert (decision.secrecy, decision.publicity) == ("privacy", "closed")
    assert decision.clause == "第十三条第一款"
    assert decision.retain_until == "2027-05-21"
    assert (decision.basis, decision.confidence, decision.policy) == ("feed", 100, POLICY)
    assert decision.why == ("The case feed has case c-1 by its officer and recorder then, at stage start of seizure.")


def test_a_decision_is_the_body_of_a_classification() -> None:
    previous = EntryRef("cd" * 32)
    for decision in (decide(CLAIMS, CASE), decide(CLAIMS)):
        body = decision.body(previous)
        assert isinstance(body, Classification)
        assert (body.case, body.retain_until, body.supersedes) == (decision.case, decision.retain_until, previous)
    assert decide().body(None).supersedes is None


def test_no_case_is_undetermined() -> None:
    assert undetermined(decide(CLAIMS))
    assert undetermined(decide(at(70), CASE))
    assert undetermined(decide(replace(CLAIMS, officer=OfficerId("999")), CASE))
    assert undetermined(decide(replace(CLAIMS, recorder=RecorderId("r-9")), CASE))


def test_several_cases_are_undetermined_and_named() -> None:
    decision = decide(CLAIMS, CASE, OTHER)
    assert undetermined(decision)
    assert decision.why == "It fits several cases: c-1, c-2."


def test_a_segment_across_two_cases_belongs_to_neither() -> None:
    later = replace(OTHER, from_=CASE.until, until=CASE.until + timedelta(hours=1))
    assert decide(at(40), CASE, later).case == "c-1"
    assert undetermined(decide(at(55), CASE, later))
    assert decide(at(61), CASE, later).case == "c-2"


def test_a_clock_that_may_be_off_into_the_next_case_ties_to_neither() -> None:
    later = replace(OTHER, from_=CASE.until, until=CASE.until + timedelta(hours=1))
    near = at(49)  # ends a minute before the other case begins
    assert decide(near, CASE, later).case == "c-1"
    assert undetermined(decide(replace(near, uncertainty_ms=61_000), CASE, later))


def test_a_case_that_fits_only_if_the_clock_is_off_does_not_count() -> None:
    before = at(-11)  # ends a minute before the case begins
    assert undetermined(decide(before, CASE))
    decision = decide(replace(before, uncertainty_ms=61_000), CASE)
    assert undetermined(decision)
    assert decision.why == "It fits case c-1 only if the recorder's time is off, which may be by 61000 ms."


def test_a_segment_that_could_lie_outside_if_the_clock_is_off_does_not_count() -> None:
    inside = at(1, 2)
    assert decide(inside, CASE).case == "c-1"
    assert undetermined(decide(replace(inside, uncertainty_ms=3 * 60_000), CASE))


def test_uncertainty_beyond_any_calendar_is_undetermined() -> None:
    assert undetermined(decide(replace(CLAIMS, uncertainty_ms=2**53 - 1), CASE))


@pytest.mark.parametrize("bounds", [(None, None), (NINE + timedelta(minutes=9), NINE + timedelta(minutes=8))])
def test_unknown_or_impossible_times_are_undetermined(bounds: tuple[datetime | None, datetime | None]) -> None:
    assert undetermined(decide(replace(CLAIMS, start=bounds[0], end=bounds[1]), CASE))


def test_a_negative_uncertainty_is_undetermined() -> None:
    assert undetermined(decide(replace(CLAIMS, uncertainty_ms=-1), CASE))


def test_one_known_time_is_a_moment() -> None:
    assert decide(replace(CLAIMS, end=None), CASE).case == "c-1"
    assert decide(replace(CLAIMS, start=None), CASE).case == "c-1"
    photo = replace(CLAIMS, start=NINE, end=NINE, uncertainty_ms=0)
    assert decide(photo, CASE).case == "c-1"
    earlier = replace(OTHER, from_=NINE - timedelta(hours=1), until=NINE)
    assert undetermined(decide(photo, CASE, earlier))


def test_times_of_different_zones_are_the_same_moments() -> None:
    utc = replace(CASE, from_=CASE.from_.astimezone(UTC), until=CASE.until.astimezone(UTC))
    assert decide(CLAIMS, utc).case == "c-1"
    wrong = replace(CASE, from_=CASE.from_.replace(tzinfo=UTC), until=CASE.until.replace(tzinfo=UTC))
    assert undetermined(decide(CLAIMS, wrong))


def test_footage_of_an_unknown_officer_is_tied_by_its_recorder_alone() -> None:
    nobody = replace(CLAIMS, officer=None)
    decision = decide(nobody, CASE)
    assert (decision.case, decision.confidence) == ("c-1", 80)
    assert undetermined(decide(nobody, replace(CASE, recorder=None)))


def test_confidence_says_what_the_tie_rests_on() -> None:
    assert decide(CLAIMS, replace(CASE, officer=None)).confidence == 80
    assert decide(CLAIMS, replace(CASE, recorder=None)).confidence == 80
    assert decide(at(-5), CASE).confidence == 80
    assert decide(at(-5), replace(CASE, recorder=None)).confidence == 60
    assert decide(at(0), CASE).confidence == 80, "a second earlier it began outside"
    assert decide(replace(at(0), uncertainty_ms=0), CASE).confidence == 100
    assert decide(at(50), CASE).confidence == 80, "a second later it ended outside"
    assert decide(CLAIMS, replace(CASE, stage=StageId("other"))).confidence == 70


def test_the_feed_may_name_matter_and_stage_in_either_language() -> None:
    chinese = replace(CASE, matter=MatterId(to_id("查封、扣押")), stage=StageId(to_id("执行")))
    decision = decide(CLAIMS, chinese)
    assert (decision.matter, decision.stage, decision.retain_until) == ("seizure", "enforcement", "permanent")


def test_two_spellings_of_one_stage_do_not_contradict() -> None:
    decision = decide(CLAIMS, CASE, replace(CASE, matter=MatterId(to_id("查封、扣押")), stage=StageId("Start")))
    assert (decision.matter, decision.stage) == ("seizure", "start")


@pytest.mark.parametrize(
    ("change", "matter", "why"),
    [
        ({"matter": MatterId("mistyped")}, None, "but the catalogue has no such matter: mistyped"),
        ({"stage": StageId("mistyped")}, "seizure", "but the catalogue has no such stage: mistyped"),
    ],
)
def test_what_the_catalogue_does_not_have_is_undetermined_within_the_case(
    change: dict[str, MatterId | StageId], matter: str | None, why: str
) -> None:
    decision = decide(CLAIMS, replace(CASE, **change))  # type: ignore[arg-type]
    assert (decision.case, decision.matter, decision.stage) == ("c-1", matter, None)
    assert (decision.rule, decision.clause, decision.retain_until) == (None, None, "undetermined")
    assert (decision.secrecy, decision.publicity) == (None, None)
    assert why in decision.why


def test_several_stages_of_one_case_keep_the_case_and_no_term() -> None:
    decision = decide(CLAIMS, CASE, replace(CASE, stage=StageId("enforcement")))
    assert (decision.case, decision.matter, decision.stage) == ("c-1", "seizure", None)
    assert decision.retain_until == "undetermined"
    assert "more than one stage: enforcement, start" in decision.why


def test_several_matters_of_one_case_keep_the_case_and_no_term() -> None:
    decision = decide(CLAIMS, CASE, replace(CASE, matter=MatterId("trade")))
    assert (decision.case, decision.matter, decision.retain_until) == ("c-1", None, "undetermined")


def test_a_stage_that_fits_only_if_the_clock_is_off_still_puts_the_term_in_doubt() -> None:
    later = replace(CASE, stage=StageId("enforcement"), from_=CASE.until, until=CASE.until + timedelta(hours=1))
    near = replace(at(49), uncertainty_ms=61_000)
    decision = decide(near, CASE, later)
    assert (decision.case, decision.stage, decision.retain_until) == ("c-1", None, "undetermined")


def test_as_long_as_the_case_file_takes_the_longest_that_any_row_says() -> None:
    service = replace(CASE, stage=StageId("service"))
    assert decide(CLAIMS, service).retain_until == "undetermined"
    assert decide(CLAIMS, service).rule == "case-file"
    until = replace(service, case_file_until=date(2036, 12, 31))
    assert decide(CLAIMS, service, until).retain_until == "2036-12-31"
    later = replace(service, case_file_until=date(2046, 12, 31))
    assert decide(CLAIMS, until, later).retain_until == "2046-12-31"
    for_ever = replace(service, case_file_until="permanent")
    assert decide(CLAIMS, later, for_ever).retain_until == "permanent"


def test_a_case_file_that_ended_before_its_footage_came_is_undetermined() -> None:
    gone = replace(CASE, stage=StageId("service"), case_file_until=date(2020, 1, 1))
    assert decide(CLAIMS, gone).retain_until == "undetermined"


MARKED = replace(CLAIMS, important=True)


def test_marked_footage_is_kept_by_the_longer_rule() -> None:
    decision = decide(MARKED, CASE)
    assert (decision.case, decision.rule, decision.retain_until) == ("c-1", "for-ever", "permanent")
    assert decision.clause == "第十三条第二款"
    longer = decide(MARKED, CASE, by=make_catalogue("long"))
    assert (longer.rule, longer.retain_until) == ("long", "2029-11-21")


def test_a_mark_never_shortens() -> None:
    permanent = replace(CASE, stage=StageId("enforcement"))
    decision = decide(MARKED, permanent, by=make_catalogue("short"))
    assert (decision.rule, decision.retain_until) == ("for-ever", "permanent")
    unknown = decide(MARKED, replace(CASE, stage=StageId("service")), by=make_catalogue("short"))
    assert (unknown.rule, unknown.retain_until) == ("case-file", "undetermined")


def test_marked_footage_without_a_case_is_kept_for_ever_if_the_rule_says_so() -> None:
    decision = decide(MARKED)
    assert (decision.case, decision.rule, decision.retain_until) == (None, "for-ever", "permanent")
    assert (decision.basis, decision.confidence) == ("rule", 0)


def test_a_mark_does_not_make_untagged_footage_disposable() -> None:
    for rule in ("short", "long", "case-file"):
        assert undetermined(decide(MARKED, by=make_catalogue(rule)))


def test_a_side_file_follows_its_main_segment() -> None:
    side = replace(CLAIMS, segment=SegmentId("sg-2"), officer=None, start=None, end=None, uncertainty_ms=0, main=MARKED)
    decision = decide(side, CASE)
    assert (decision.segment, decision.case, decision.retain_until) == ("sg-2", "c-1", "permanent")
    unmarked = decide(replace(side, main=CLAIMS), CASE)
    assert (unmarked.case, unmarked.retain_until) == ("c-1", "2027-05-21")
    stray = replace(side, start=NINE + timedelta(days=40), end=NINE + timedelta(days=40), main=CLAIMS)
    assert decide(stray, CASE).retain_until == "2027-07-01", "whichever of the two is later"
    early = replace(side, start=NINE - timedelta(days=40), end=None, sealed_on=date(2026, 11, 1), main=CLAIMS)
    assert decide(early, CASE).retain_until == "2027-05-21", "whichever of the two is later"


def test_uncertainty_of_the_clock_lengthens_a_term_across_midnight() -> None:
    late = replace(
        CLAIMS, start=NINE.replace(hour=23), end=NINE.replace(hour=23, minute=59), sealed_on=date(2026, 1, 1)
    )
    window = replace(CASE, from_=NINE, until=NINE + timedelta(days=1))
    assert decide(replace(late, uncertainty_ms=59_000), window).retain_until == "2027-05-21"
    assert decide(replace(late, uncertainty_ms=60_000), window).retain_until == "2027-05-22"


MINUTES = st.integers(-90, 150)


@st.composite
def records(draw: st.DrawFn) -> CaseRecord:
    begin = draw(MINUTES)
    return replace(
        CASE,
        case=CaseId(draw(st.sampled_from(["c-1", "c-2", "c-3"]))),
        stage=StageId(draw(st.sampled_from(["start", "service", "enforcement", "mistyped"]))),
        officer=draw(st.sampled_from([OfficerId("100123"), OfficerId("999")])),
        recorder=draw(st.sampled_from([None, RecorderId("r-1"), RecorderId("r-9")])),
        from_=NINE + timedelta(minutes=begin),
        until=NINE + timedelta(minutes=begin + draw(st.integers(1, 90))),
    )


@settings(deadline=None, max_examples=300)
@given(cases=st.lists(records(), max_size=5), start=MINUTES, length=st.integers(0, 60), off=st.integers(0, 3_600_000))
def test_a_disposable_term_needs_exactly_one_case_wherever_the_clock_truly_stood(
    cases: list[CaseRecord], start: int, length: int, off: int
) -> None:
    claims = replace(at(start, length), uncertainty_ms=off)
    decision = decide(claims, *cases)
    assert decision.segment == claims.segment
    assert decide(claims, *reversed(cases)) == decision, "the order of the feed decides nothing"
    if decision.case is None:
        assert undetermined(decision)
        return
    for shift in (-off, 0, off):
        assert claims.start is not None
        assert claims.end is not None
        step = timedelta(milliseconds=shift)
        there = replace(claims, start=claims.start + step, end=claims.end + step, uncertainty_ms=0)
        assert {match.record.case for match in matches(there, cases)} == {decision.case}
        if decision.retain_until != "undetermined":
            assert decide(there, *cases).stage == decision.stage
