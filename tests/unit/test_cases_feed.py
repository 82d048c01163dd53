"""The case feed as people and spreadsheets write it: good rows are taken, bad ones named, nothing guessed."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.cases.feed import MAX_FEED_BYTES, FeedFile, parse
from edged.evidence.ids import is_id, to_id

ZONE = ZoneInfo("Asia/Shanghai")
CST = timezone(timedelta(hours=8))

HEAD = "case,title,party,matter,stage,officer,recorder,from,until,case_file_until"
ROW = "c-1,Sealing,p-1,seizure,start,100123,DSJ0001,2026-11-21 09:00,2026-11-21 10:00,2036-12-31"
HEAD_ZH = "案件编号;案件名称;当事人;执法事项;环节;执法人员;记录仪;开始时间;结束时间;案卷保存至"
ROW_ZH = "甬执罚〔2026〕12号;占道经营案;张某;占道经营;调查取证;100123;;2026年11月21日 9时00分;2026/11/21 10:30;永久"


def read(text: str, name: str = "cases.csv") -> FeedFile:
    return parse(name, text.encode(), ZONE)


def sentences(file: FeedFile) -> list[str]:
    return [str(problem) for problem in file.problems]


def test_a_row_becomes_a_record() -> None:
    file = read(f"{HEAD}\n{ROW}\n")
    assert file.problems == ()
    (case,) = file.cases
    assert (case.case, case.title, case.party_ref, case.matter, case.stage) == (
        "c-1",
        "Sealing",
        "p-1",
        "seizure",
        "start",
    )
    assert (case.officer, case.recorder) == ("100123", "DSJ0001")
    assert case.from_ == datetime(2026, 11, 21, 9, 0, tzinfo=CST)
    assert case.until == datetime(2026, 11, 21, 10, 0, tzinfo=CST)
    assert case.case_file_until == date(2036, 12, 31)
    assert case.as_written == ()
    assert not file.refused


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_headings_and_outside_identifiers(encoding: str) -> None:
    file = parse("案件.CSV", f"{HEAD_ZH}\r\n{ROW_ZH}\r\n".encode(encoding), ZONE)
    assert file.problems == ()
    (case,) = file.cases
    assert case.case == to_id("甬执罚〔2026〕12号")
    assert case.matter == to_id("占道经营")
    assert case.stage == to_id("调查取证")
    assert case.party_ref == to_id("张某")
    assert all(map(is_id, (case.case, case.matter, case.stage, case.party_ref)))
    assert dict(case.as_written) == {
        "case": "甬执罚〔2026〕12号",
        "matter": "占道经营",
        "stage": "调查取证",
        "party": "张某",
    }
    assert (case.recorder, case.case_file_until) == (None, "permanent")
    assert case.from_ == datetime(2026, 11, 21, 9, 0, tzinfo=CST)
    assert file.name == "案件.CSV"


def test_spreadsheet_oddities() -> None:
    text = (
        "sep=;\r\n"
        ";;;;;;;;;\r\n"
        'Case ID;"Title";Party-Ref; MATTER ;Stage;Officer;Recorder;Start;End;Case File Until;\r\n'
        '"c-1";"two\nlines, and ""quotes""; and more";;seizure;start;100123;;2026/11/21 9:00;2026/11/21 10:00;;\r\n'
        ";;;;;;;;;;\r\n"
        "c-2;;;seizure;start;100123;;2026/11/21 9:00;2026/11/21 10:00\r\n"
        "\r\n"
        ";;;;;;;;;;\r\n\r\n"
    )
    file = parse("book.csv", b"\xef\xbb\xbf" + text.encode(), ZONE)
    assert sentences(file) == []
    assert [case.case for case in file.cases] == ["c-1", "c-2"]
    assert file.cases[0].title == 'two lines, and "quotes"; and more'
    assert file.ignored == ()


def test_full_width_digits_of_an_input_method_are_the_digits_of_the_recorder() -> None:
    row = ROW.replace("100123", "１００１２３").replace("2026-11-21 09:00", "２０２６－１１－２１　０９：００")
    (case,) = read(f"{HEAD}\n{row}").cases
    assert case.officer == "100123"
    assert dict(case.as_written) == {"officer": "１００１２３"}
    assert case.from_ == datetime(2026, 11, 21, 9, 0, tzinfo=CST)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T09:00:00+08:00", datetime(2026, 11, 21, 1, 0, tzinfo=UTC)),
        ("2026-11-21T09:00:00.250Z", datetime(2026, 11, 21, 9, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-11-21 09:00:01 -0330", datetime(2026, 11, 21, 12, 30, 1, tzinfo=UTC)),
        ("2026.11.21 9:05", datetime(2026, 11, 21, 1, 5, tzinfo=UTC)),
        ("2026年11月21日9:05", datetime(2026, 11, 21, 1, 5, tzinfo=UTC)),
        ("2026年11月21日 9时05分07秒", datetime(2026, 11, 21, 1, 5, 7, tzinfo=UTC)),
    ],
)
def test_times(text: str, moment: datetime) -> None:
    row = ROW.replace("2026-11-21 09:00", text).replace("2026-11-21 10:00", "2026-11-22 20:00")
    file = read(f"{HEAD}\n{row}")
    assert sentences(file) == []
    assert file.cases[0].from_ == moment


NO_TIMES = (
    *("2026-11-21", "21.11.2026 09:00", "11/21/2026 9:00 AM", "2026-11-21 9:00 PM", "2026-13-01 09:00"),
    *("2026-02-30 09:00", "2026-11-21 24:00", "2026-11-21 09:60", "2026-11-21 0900", "2026年11月21日 9时0030"),
    *("0001-01-01 00:00", "9999-12-31 23:59", "2026-11-21 09:00+08:60", "2026-11-21 09:00+25:00", "today"),
    *("46347.375", "2026-11-21 ٠٩:٠٠"),
)


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_is_refused_with_what_is_allowed(text: str) -> None:
    file = read(f"{HEAD}\n{ROW.replace('2026-11-21 09:00', text)}\n{ROW}")
    assert len(file.cases) == 1
    (sentence,) = sentences(file)
    assert sentence.startswith("cases.csv, row 2, column from: ")
    assert "allowed: a day with a time, such as 2026-11-21T08:00:00+08:00" in sentence


def test_an_hour_that_clocks_show_twice_is_taken_whole() -> None:
    text = f"{HEAD}\n{ROW}".replace("2026-11-21 09:00", "2026-10-25 02:30").replace(
        "2026-11-21 10:00", "2026-10-25 02:30"
    )
    (case,) = parse("a.csv", text.encode(), ZoneInfo("Europe/Berlin")).cases
    assert case.until - case.from_ == timedelta(hours=1)
    assert case.from_.astimezone(UTC) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("c-1,", ",", "column case: it is empty; this column is needed in every row."),
        (",start,", ",  ,", "column stage: it is empty; this column is needed in every row."),
        (",100123,DSJ0001,", ",,,", "column officer: it is empty, and so is recorder; allowed: at least one of"),
        ("2026-11-21 10:00", "2026-11-21 09:00", "until: it is not after from ('2026-11-21 09:00'); allowed: a later"),
        ("2026-11-21 10:00", "2062-11-21 10:00", "column until: it is more than 366 days after from; allowed: at most"),
        ("2036-12-31", "2036-12-32", "column case_file_until: '2036-12-32' is no day; allowed: a day such as"),
        ("2036-12-31", "长期", "case_file_until: '长期' is no day; allowed: a day such as 2036-12-31, permanent, 永久"),
        ("c-1", "c" * 201, "column case: it has 201 characters; allowed: at most 200."),
        ("Sealing", "S" * 501, "column title: it has 501 characters; allowed: at most 500."),
        ("100123", "100\u200b123", "officer: '100\\u200b123' has characters that cannot be printed; allowed: none"),
        ("p-1,", "p-1,one,two,", "it has 12 cells under 10 headings; allowed: as many, with quotes around a cell"),
    ],
)  # fmt: skip
def test_a_bad_row_is_one_sentence_and_leaves_the_others(old: str, new: str, said: str) -> None:
    assert old in ROW
    good = ROW.replace("c-1", "c-2")
    file = read(f"{HEAD}\n{good}\n{ROW.replace(old, new)}\n{good.replace('c-2', 'c-3')}\n")
    assert [case.case for case in file.cases] == ["c-2", "c-3"]
    (sentence,) = sentences(file)
    assert sentence.startswith("cases.csv, row 3")
    assert said in sentence
    assert not file.refused


def test_row_numbers_are_those_of_the_spreadsheet() -> None:
    bad = ROW.replace("c-1,", ",")
    file = read(f"\n{HEAD}\n{ROW.replace('Sealing', chr(34) + 'a' + chr(10) + 'b' + chr(34))}\n\n{bad}\n")
    assert [problem.row for problem in file.problems] == [5]


def test_a_misspelt_heading_is_told() -> None:
    file = read(f"{HEAD},remarks,recoder\n{ROW},x,DSJ0002\n")
    assert len(file.cases) == 1
    assert file.ignored == ("'remarks'", "'recoder'")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty; allowed: a first row with the headings case, title"),
        ("\n\n,,\n", "it is empty"),
        (f"{HEAD.replace('until,', 'til,')}\n{ROW}", "it has no heading until (截止时间); allowed"),
        (f"{HEAD},案号\n{ROW},c-9", "two headings mean case; allowed: each once"),
        ("一,二,三\n1,2,3", "it has no heading case (案号), matter (事项编号)"),
        (
            "PK\x03\x04\x00\x00",
            "it is no plain text; allowed: CSV or JSON in UTF-8 or GB 18030 (save a workbook as CSV)",
        ),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text: str, said: str) -> None:
    file = read(text)
    assert file.cases == ()
    assert file.refused
    (sentence,) = sentences(file)
    assert sentence.startswith("cases.csv")
    assert said in sentence


def test_bytes_of_no_encoding_are_refused() -> None:
    (sentence,) = sentences(parse("a.csv", HEAD.encode() + b"\n\xff\xff\xff", ZONE))
    assert "its characters are neither UTF-8 nor GB 18030" in sentence


def test_utf_16_is_refused_and_not_misread() -> None:
    (sentence,) = sentences(parse("a.csv", f"{HEAD}\n{ROW}".encode("utf-16"), ZONE))
    assert "it is no plain text" in sentence


def test_rows_before_a_broken_quote_are_kept() -> None:
    file = read(f'{HEAD}\n{ROW}\nc-2,"open,{ROW}\n')
    assert [case.case for case in file.cases] == ["c-1"]
    (sentence,) = sentences(file)
    assert sentence.startswith("cases.csv, row 3: from here on it is not CSV")


def test_a_file_over_the_bound_is_refused_without_reading_it() -> None:
    file = parse("a.csv", (HEAD + "\n").encode() + b"x" * MAX_FEED_BYTES, ZONE)
    (sentence,) = sentences(file)
    assert f"it has more than {MAX_FEED_BYTES} bytes" in sentence


def test_a_flood_of_bad_rows_is_cut_off() -> None:
    file = read(f"{HEAD}\n{ROW}\n" + "x\n" * 5000)
    assert len(file.cases) == 1
    assert len(file.problems) == 1001
    assert "1000 rows before could not be used; nothing was read from here on" in sentences(file)[-1]


def test_a_heading_alone_is_a_day_without_cases() -> None:
    file = read(HEAD)
    assert (file.cases, file.problems, file.refused) == ((), (), False)


def test_the_same_row_twice_is_one_case() -> None:
    assert len(read(f"{HEAD}\n{ROW}\n{ROW}\n").cases) == 1


ITEM = dict(zip(HEAD.split(","), ROW.split(","), strict=True))
ITEM_ZH = dict(zip(HEAD_ZH.split(";"), ROW_ZH.split(";"), strict=True))


@pytest.mark.parametrize("whole", [[ITEM, ITEM_ZH], {"cases": [ITEM, ITEM_ZH], "made": "2026-11-21"}])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_json_says_the_same_as_csv(whole: object, encoding: str) -> None:
    file = parse("a.JSON", json.dumps(whole, ensure_ascii=False).encode(encoding), ZONE)
    assert sentences(file) == []
    assert file.cases == (*read(f"{HEAD}\n{ROW}").cases, *read(f"{HEAD_ZH}\n{ROW_ZH}").cases)


def test_a_whole_number_is_an_identifier_as_it_was_written() -> None:
    (case,) = read(json.dumps([ITEM | {"officer": 100123, "title": None}]), "a.json").cases
    assert (case.officer, case.title) == ("100123", None)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("7", "a.json, row 2: it is no object; allowed: an object whose keys are the headings."),
        ('{"case": 1.5}', "a.json, row 2: 'case' is no text; allowed: text, a whole number, or null."),
        ('{"case": 1e3}', "a.json, row 2: 'case' is no text; allowed: text, a whole number, or null."),
        ('{"case": true}', "a.json, row 2: 'case' is no text"),
        ('{"case": ["c"]}', "a.json, row 2: 'case' is no text"),
        ('{"case": {"id": "c"}}', "a.json, row 2: 'case' is no text"),
        ('{"case": "a", "case": "b"}', "a.json, row 2: two keys mean case; allowed: each once."),
        ('{"case": "a", "案号": "b"}', "a.json, row 2: two keys mean case; allowed: each once."),
        ("{}", "a.json, row 2, column case: it is empty; this column is needed in every row."),
        (
            json.dumps(ITEM).replace("Sealing", "\\ud800"),
            "a.json, row 2, column title: '\\\\ud800' has characters that cannot be printed",
        ),
    ],
)
def test_a_bad_item_is_one_sentence_and_leaves_the_others(item: str, said: str) -> None:
    file = read(f"[{json.dumps(ITEM)}, {item}, {json.dumps(ITEM | {'case': 'c-3'})}]", "a.json")
    assert [case.case for case in file.cases] == ["c-1", "c-3"]
    (sentence,) = sentences(file)
    assert said in sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is not JSON"),
        ("{", "it is not JSON"),
        (json.dumps(ITEM), "it holds no list of cases; allowed: a list of cases, or an object with the list `cases`"),
        ('{"cases": [], "cases": []}', "it holds no list of cases"),
        ('"cases"', "it holds no list of cases"),
        ("[" * 100_000, "it is nested too deeply"),
        ("[{}" + ",{}" * 2000 + "]", "1000 rows before could not be used"),
    ],
)
def test_json_that_is_no_feed_says_why(text: str, said: str) -> None:
    file = read(text, "a.json")
    assert file.refused
    assert said in sentences(file)[-1]


def test_a_file_name_cannot_forge_sentences() -> None:
    file = parse("a\nAll rows were taken in.csv", b"", ZONE)
    assert "\n" not in file.name
    assert all("\n" not in sentence for sentence in sentences(file))


def test_a_cell_cannot_forge_sentences() -> None:
    file = read(f"{HEAD}\n{ROW.replace('2026-11-21 09:00', chr(34) + 'x' + chr(10) + 'All is well.' + chr(34))}")
    assert all("\n" not in sentence for sentence in sentences(file))
    assert "'x All is well.' is not a time" in sentences(file)[0]


@settings(deadline=None, max_examples=300)
@given(data=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))))
@pytest.mark.parametrize("name", ["a.csv", "a.json"])
def test_no_content_makes_it_raise(name: str, data: bytes) -> None:
    for begin in ("", f"{HEAD}\n{ROW}\n", f"[{json.dumps(ITEM)},"):
        file = parse(name, begin.encode() + data, ZONE)
        assert all(is_id(case.case) for case in file.cases)
        assert all(sentence.startswith(name) and "\n" not in sentence for sentence in sentences(file))
        if begin.startswith(HEAD) and name == "a.csv" and all(problem.row is not None for problem in file.problems):
            assert file.cases[0].case == "c-1", "what follows a good row does not take it away"
