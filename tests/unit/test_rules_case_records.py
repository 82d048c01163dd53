"""Case records: what could match anything is refused, and the register gives back what it was given."""

import json
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest

from edged.evidence.ids import CaseId, MatterId, OfficerId, RecorderId, StageId
from edged.rules.cases import CaseRecord

NINE = datetime(2026, 11, 21, 9, 0, tzinfo=timezone(timedelta(hours=8)))

CASE = CaseRecord(
    case=CaseId("c-1"),
    matter=MatterId("seizure"),
    stage=StageId("start"),
    officer=OfficerId("100123"),
    recorder=RecorderId("r-1"),
    from_=NINE,
    until=NINE + timedelta(hours=1),
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"officer": None, "recorder": None}, "names an officer, a recorder, or both"),
        ({"until": NINE}, "ends after it begins"),
        ({"from_": datetime(2026, 11, 21, 9, 0)}, "have an offset"),  # noqa: DTZ001 - that is the point
    ],
)
def test_a_record_that_could_match_anything_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(CASE, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("until", [None, "permanent", date(2036, 12, 31)])
def test_a_record_survives_the_register(until: date | None) -> None:
    record = replace(
        CASE, title="案由", party_ref="p-1", case_file_until=until, as_written=(("case", "甬〔2026〕1号"),)
    )
    assert CaseRecord.from_plain(json.loads(json.dumps(record.plain()))) == record


@pytest.mark.parametrize("change", [{"case": 1}, {"from": None}, {"as_written": []}, {"from": "2026-11-21T09:00"}])
def test_a_damaged_record_of_the_register_is_noticed(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="case record"):
        CaseRecord.from_plain(CASE.plain() | change)
