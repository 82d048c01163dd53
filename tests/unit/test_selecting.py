"""What an export may be asked for, which segments that means, and what is not handed out."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest

from edged.book import Book
from edged.config import ExportPart
from edged.errors import NotAllowedError, UnavailableError, UsageError
from edged.evidence import bodies
from edged.evidence.entry import parse
from edged.evidence.ids import CaseId, RecorderId, SegmentId
from edged.rules.matters import Secrecy
from edged.station.assembly import build
from edged.station.exporting import export
from edged.station.parts import Parts
from edged.station.selecting import (
    UNCLASSIFIED,
    Asked,
    asked_for,
    chosen,
    moment,
    permit,
    permit_again,
    withheld,
)
from tests.unit.book_station import Ticking, classified, docked, open_book, sealed, sg
from tests.unit.calling import Caller
from tests.unit.made_station import Made, make_used, reopened

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
DAY = {"from": "2026-11-21T06:00", "until": "2026-11-21T09:00"}
OTHER = RecorderId("rec-0002")


def recorded(start: str | None, end: str | None) -> bodies.Recorded:
    claim = {"start": start, "end": end, "zone": "Asia/Shanghai", "source": "filename", "uncertainty_ms": 1000}
    return bodies.Recorded.model_validate(claim)


FOOTAGE = {
    "early": ("2026-11-21T07:00:00+08:00", "2026-11-21T07:30:00+08:00"),
    "late": ("2026-11-21T07:30:00+08:00", "2026-11-21T08:00:00+08:00"),
    "utc": ("2026-11-20T23:10:00Z", "2026-11-20T23:20:00Z"),
    "photo": ("2026-11-21T07:15:00+08:00", None),
    "unclaimed": (None, None),
}
"""Claimed times of a recorder's files; the docking was at 16:00 in Shanghai."""


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    book = open_book(tmp_path_factory.mktemp("book"))
    body, document = docked({name: name.encode() for name in FOOTAGE})
    book.ledger.append(body, documents=[document])
    for name, (start, end) in FOOTAGE.items():
        book.ledger.append(sealed(name, name.encode(), recorded=recorded(start, end)))
        book.ledger.append(classified(sg(name.encode()), case=CaseId("case-1")))
    late = "2026-11-21T07:30:00+08:00"
    book.ledger.append(sealed("track", b"track", recorded=recorded(late, None), side_of=sg(b"late")))
    book.ledger.append(sealed("other", b"other", recorder=OTHER, recorded=recorded(late, None)))
    yield book
    book.close()


def names(book: Book, **arguments: Any) -> set[str]:
    asked = Asked.of({"purpose": "test", **arguments})
    found = chosen(book.facts, asked, SHANGHAI)
    rows = [book.facts.segment(segment) for segment in found]
    return {row.path for row in rows if row is not None}


def of_recorder(book: Book, since: str, until: str) -> set[str]:
    return names(book, recorder="rec-0001", **{"from": since, "until": until})


# -- selections


def test_a_recorder_and_a_time_choose_what_was_recorded_then(book: Book) -> None:
    assert of_recorder(book, "2026-11-21T07:00", "2026-11-21T07:10") == {"early"}
    assert of_recorder(book, "2026-11-21T07:12", "2026-11-21T07:18") == {"early", "utc", "photo"}
    assert of_recorder(book, "2026-11-20T23:12:00Z", "2026-11-20T23:18:00Z") == {"early", "utc", "photo"}


def test_the_end_of_a_span_is_not_part_of_it_and_its_start_is(book: Book) -> None:
    with pytest.raises(UsageError, match="nothing of that time"):
        of_recorder(book, "2026-11-21T06:00", "2026-11-21T07:00")
    assert "photo" in of_recorder(book, "2026-11-21T07:15:00", "2026-11-21T07:15:01")
    assert "photo" not in of_recorder(book, "2026-11-21T07:14", "2026-11-21T07:15")


def test_side_files_come_with_what_they_belong_to(book: Book) -> None:
    assert of_recorder(book, "2026-11-21T07:50", "2026-11-21T07:55") == {"late", "track"}


def test_what_claims_no_time_counts_as_of_its_docking(book: Book) -> None:
    assert of_recorder(book, "2026-11-21T15:59", "2026-11-21T16:01") == {"unclaimed"}


def test_a_time_narrows_a_case(book: Book) -> None:
    assert names(book, case="case-1") == set(FOOTAGE)
    assert names(book, case="case-1", **{"from": "2026-11-21T07:40", "until": "2026-11-21T07:50"}) == {"late"}
    with pytest.raises(UsageError, match="classified to case case-1 in that time"):
        names(book, case="case-1", **{"from": "2020-01-01T00:00", "until": "2020-01-02T00:00"})


def test_recorders_do_not_mix_and_unknown_ones_are_named(book: Book) -> None:
    assert names(book, recorder=OTHER, **DAY) == {"other"}
    with pytest.raises(UsageError, match="nothing of a recorder nobody"):
        names(book, recorder="nobody", **DAY)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"case": "c", "recorder": "r", **DAY},
        {"case": "c", "segments": [sg(b"a")]},
        {"segments": [sg(b"a")], **DAY},
        {"segments": ["sg-nothing"]},
        {"recorder": "r"},
        {"recorder": "r", "from": DAY["from"]},
        {"case": "c", "until": DAY["until"]},
        {"case": "c", "derivatives": ["redacted"]},
        {"case": "c", "override": ""},
        {"case": "c", "purpose": ""},
        {"case": "c", "colour": "red"},
        {"case": "../c"},
    ],
)
def test_what_is_no_selection_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="cannot be exported"):
        Asked.of({"purpose": "test", **wrong})


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-21T08:00:00+08:00", "2026-11-21T08:00:00+08:00"),
        ("2026-11-21T00:00:00.5Z", "2026-11-21T00:00:00.500000+00:00"),
        ("2026-11-21 08:00", "2026-11-21T08:00:00+08:00"),
        (" 2026-11-21T08:00:01 ", "2026-11-21T08:00:01+08:00"),
    ],
)
def test_times_are_read_with_an_offset_or_as_local_time(text: str, meant: str) -> None:
    assert moment(text, SHANGHAI).isoformat() == meant


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-21", "20261121T080000", "2026-W47-6", "2026-13-01T00:00", "08:00", "now", "２０26-11-21T08:00"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        moment(text, SHANGHAI)


@pytest.mark.parametrize("text", ["2026-10-25T02:30", "2026-03-29T02:30"])
def test_an_hour_that_clocks_show_twice_or_not_at_all_asks_for_its_offset(text: str) -> None:
    with pytest.raises(UsageError, match="clocks were changed"):
        moment(text, BERLIN)
    assert moment(f"{text}+01:00", BERLIN).utcoffset() is not None


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    asked = Asked.of({"purpose": "x", "case": "c", "from": DAY["until"], "until": DAY["from"]})
    with pytest.raises(UsageError, match="no span") as caught:
        asked.span(SHANGHAI)
    assert caught.value.hint == "--until must be after --from."


def test_the_entry_says_exactly_what_was_asked_for() -> None:
    asked = Asked.of({"purpose": "x", "recorder": "r", "derivatives": [], "inventories": False, **DAY})
    assert asked.selection(SHANGHAI) == {
        "recorder": "r",
        "from": "2026-11-21T06:00:00.000+08:00",
        "until": "2026-11-21T09:00:00.000+08:00",
        "derivatives": [],
        "inventories": False,
    }


# -- secrecy


def test_the_classes_of_the_configuration_are_those_of_the_catalogue() -> None:
    allowed = get_args(get_args(ExportPart.model_fields["refused"].annotation)[0])
    assert allowed == (*get_args(Secrecy), UNCLASSIFIED)
    assert ExportPart().refused == ("work-secret", "state-secret")


def test_what_the_configuration_withholds_is_found_by_its_class_in_force(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    body, document = docked({"a": b"a", "b": b"b", "c": b"c"})
    book.ledger.append(body, documents=[document])
    for name in "abc":
        book.ledger.append(sealed(name, name.encode()))
    a, b, c = (sg(name.encode()) for name in "abc")
    book.ledger.append(classified(a, secrecy="state-secret"))
    first = book.ledger.append(classified(b, secrecy="state-secret"))[0]
    book.ledger.append(classified(b, secrecy="privacy", supersedes=first.ref))
    facts = book.facts
    assert withheld(facts, ExportPart(), [a, b, c]) == {"state-secret": [a]}
    assert withheld(facts, ExportPart(refused=("unclassified", "privacy")), [a, b, c]) == {
        "privacy": [b],
        "unclassified": [c],
    }
    assert withheld(facts, ExportPart(refused=()), [a, b, c]) == {}
    book.close()


SECRET = {"state-secret": [SegmentId("sg-1"), SegmentId("sg-2")]}


def test_secret_footage_is_refused_with_class_and_segments() -> None:
    with pytest.raises(NotAllowedError, match=r"2 segment\(s\) of class state-secret \(sg-1, sg-2\)") as caught:
        permit(SECRET, None, may_override=True)
    assert caught.value.exit_code == 77


def test_only_an_administrator_overrides_and_only_where_there_is_something_to_override() -> None:
    assert permit(SECRET, "court order", may_override=True) == ("state-secret",)
    assert permit({}, None, may_override=False) == ()
    for found in (SECRET, {}):
        with pytest.raises(NotAllowedError, match="administrator"):
            permit(found, "court order", may_override=False)
    with pytest.raises(UsageError, match="Nothing in this export needs"):
        permit({}, "court order", may_override=True)


def exported(**more: Any) -> bodies.Export:
    reason = {"code": "x", "text": "0" * 64}
    body = {"export": "ex-1", "selection": {"case": "c"}, "purpose": reason, "list_sha256": "0" * 64}
    return bodies.Export.model_validate(body | more)


def test_an_earlier_export_is_not_made_again_of_what_became_secret_since() -> None:
    permit_again({}, exported())
    with pytest.raises(NotAllowedError, match="ex-1 is not made again"):
        permit_again(SECRET, exported())
    permit_again(SECRET, exported(override={"classes": ["state-secret"], "reason": {}}))
    with pytest.raises(NotAllowedError):
        permit_again(SECRET, exported(override={"classes": ["work-secret"], "reason": {}}))


def test_an_export_of_an_earlier_version_asked_for_everything() -> None:
    assert asked_for(exported()) == {"kinds": ("poster", "proxy"), "inventories": True}
    selection = {"case": "c", "derivatives": ["poster"], "inventories": False}
    assert asked_for(exported(selection=selection)) == {"kinds": ["poster"], "inventories": False}


# -- the entry


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Callable[..., Parts]]:
    """A station with footage, whose parts are built; it stops at once, so that nobody waits for a signature."""
    made = make_used(tmp_path)
    made.close()
    opened: list[Parts] = []

    def open_parts(**settings: str) -> Parts:
        path = made.config_folder / "station.toml"
        path.write_text(path.read_text() + "".join(f"\n[{table}]\n{text}\n" for table, text in settings.items()))
        opened.append(build(made.config_folder, Ticking()))
        opened[0].stop.set()
        return opened[0]

    yield open_parts
    for parts in opened:
        parts.book.close()


def ask(parts: Parts, *, may_override: bool = True, **arguments: Any) -> bodies.Export:
    """Ask for an export, and give what its entry says."""
    with pytest.raises(UnavailableError, match="is written down"):
        export(parts, {"purpose": "test", **arguments}, "user:li", may_override=may_override)
    entry = parse(parts.book.ledger.bytes_at(parts.book.ledger.last_position()))
    assert entry.actor == "user:li"
    assert isinstance(entry.body, bodies.Export)
    return entry.body


def test_an_export_by_recorder_is_an_entry_and_its_bundle_holds_what_was_asked(
    station: Callable[..., Parts], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = station()
    body = ask(parts, recorder="rec-0001", derivatives=[], inventories=False, **DAY)
    assert body.selection["recorder"] == "rec-0001"
    parts.book.close()
    made = reopened(tmp_path)
    made.publish()
    made.close()
    said = Caller(capsys)("bundle", "--export", body.export, tmp_path / "out", config=tmp_path / "etc")
    assert (said.code, said.err) == (0, "")
    assert len(list((tmp_path / "out/data/segments").iterdir())) == 3
    assert not (tmp_path / "out/data/dockings").exists()


def test_withheld_footage_leaves_no_entry_and_an_override_stands_in_one(station: Callable[..., Parts]) -> None:
    parts = station(export='refused = ["unclassified"]')
    size = parts.book.ledger.last_position()
    for more, may_override in (({}, True), ({"override": "because"}, False)):
        with pytest.raises(NotAllowedError):
            export(parts, {"purpose": "p", "case": "case-1", **more}, "user:li", may_override=may_override)
    assert parts.book.ledger.last_position() == size
    body = ask(parts, case="case-1", override="Ordered by the court.")
    told = body.plain()["override"]
    assert isinstance(told, dict)
    assert told["classes"] == ["unclassified"]
    assert told["reason"]["code"] == "override"
    assert "Ordered" not in json.dumps(body.plain())
    said = parts.book.registers.reason(told["reason"]["text"])
    assert said is not None
    assert said[1] == "Ordered by the court."


def test_an_override_that_nothing_needs_leaves_no_entry(station: Callable[..., Parts]) -> None:
    parts = station()
    size = parts.book.ledger.last_position()
    with pytest.raises(UsageError, match="Nothing in this export"):
        export(parts, {"purpose": "p", "case": "case-1", "override": "x"}, "user:li", may_override=True)
    assert parts.book.ledger.last_position() == size


# -- the command


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made = make_used(tmp_path_factory.mktemp("used"))
    made.export()
    made.publish()
    yield made
    made.close()


@pytest.mark.parametrize(
    "asked",
    [
        ["--export", "ex-20261121-00000001", "--derivative", "none"],
        ["--export", "ex-20261121-00000001", "--no-inventories"],
        ["--export", "ex-20261121-00000001", "--override", "x"],
        ["--case", "case-1", "--derivative", "redacted"],
        ["--case", "case-1", "--derivative", "none", "--derivative", "poster"],
        ["--from", "2026-11-21T08:00", "--until", "2026-11-21T09:00"],
        ["--recorder", "rec-0001", "--case", "case-1"],
    ],
)
def test_a_command_that_contradicts_itself_is_wrong_usage(
    used: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[str]
) -> None:
    assert Caller(capsys)("bundle", tmp_path / "out", *asked, config=used.config_folder).code == 64
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_of_what_became_secret_is_not_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = make_used(tmp_path)
    made.export()
    made.publish()
    rows = made.book.facts.segments_of_case("case-1")
    made.book.ledger.append(classified(rows[0].segment, case=CaseId("case-1"), secrecy="state-secret"))
    made.close()
    asked = ("bundle", "--export", "ex-20261121-00000001", tmp_path / "out")
    said = Caller(capsys)(*asked, config=made.config_folder)
    assert (said.code, "of class state-secret" in said.err) == (77, True)
    assert not (tmp_path / "out").exists()
