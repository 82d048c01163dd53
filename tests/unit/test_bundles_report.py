"""The report of a bundle: the same bytes each time, words for everything in both languages, and nothing that runs."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edged.bundles.pages import Checked, read_account, report_html
from edged.bundles.pages.courts import METHODS, PROVISIONS, TOPICS
from edged.bundles.pages.told import TYPES, Face, actor, amount, sentences, title
from edged.evidence import bodies
from edged.evidence.ids import DockingId, SegmentId
from edged.evidence.verification import Report, Trust, Words
from edged.evidence.verification.report import BUNDLE_CHECKS, SEGMENT_CHECKS
from edged.evidence.verification.sentences import TITLES
from tests.unit.anchored_station import anchored, made_authority
from tests.unit.bundle_station import START, Case, Forgery, Station, ordinary_case
from tests.unit.test_evidence_entry import SAMPLES, parse

JPEG = b"\xff\xd8\xff\xe0 a picture"
HOSTILE = (
    "<script>document.title='run'</script>",
    '"><img src=x onerror="document.title=\'run\'">',
    "</style></title><svg onload=document.title='run'>",
    "javascript:document.title='run'",
    "' onmouseover='document.title=1",
    "&lt;b&gt; \u202egnp.exe \x1b[2J",
)


class Page(HTMLParser):
    """Notes what a page is made of."""

    EMPTY = ("meta", "input", "img")

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(data.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.sources += [value or "" for name, value in attrs if name == "src"]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "nav", "section", "div", "span", "p", "b", "code"),
    *("h1", "h2", "h3", "h4", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img"),
    *("input", "label"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "class", "scope", "src", "alt", "type", "id", "for"),
    *("checked", "aria-label"),
}


def checked(trust: Trust, *, by_station: bool = False) -> Checked:
    return Checked(by_station=by_station, moment=START, trust=trust, tool="edged 9")


def page_of(bundle: Forgery, trust: Trust) -> tuple[Report, Page]:
    report = bundle.verify(trust)
    data = report_html(report, read_account(bundle), checked(trust))
    assert data == report_html(bundle.verify(trust), read_account(bundle), checked(trust))
    return report, Page(data)


def is_harmless(page: Page) -> bool:
    fetched = [source for source in page.sources if not source.startswith("data:image/")]
    return page.open == [] and page.tags <= TAGS and page.attributes <= ATTRIBUTES and not fetched


def in_both(words: Words) -> bool:
    """Say whether a sentence is there in both languages, each in its own."""
    chinese = r"[\u4e00-\u9fff]"
    return bool(words.en) and re.search(chinese, words.zh) is not None and re.search(chinese, words.en) is None


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return ordinary_case(tmp_path_factory.mktemp("station"))


@pytest.fixture(scope="module")
def bundle(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Forgery:
    case.station.derive(case.photo, "poster", JPEG)
    seq = case.station.export([case.video, case.photo, case.empty], "ex-2")
    return case.station.bundle(seq, tmp_path_factory.mktemp("out") / "bundle", kinds=["poster"])


# -- words


def test_every_check_has_its_method_in_both_languages() -> None:
    assert set(METHODS) == set(TITLES) == {*BUNDLE_CHECKS, *SEGMENT_CHECKS}
    assert all(in_both(each.question) and in_both(each.how) for each in METHODS.values())
    for topic in TOPICS:
        assert set(topic.checks) <= set(METHODS)
        assert set(topic.said) == {"verified", "failed", "not-established"}
        assert all(map(in_both, (topic.title, *topic.said.values())))


def test_every_provision_is_told_in_both_languages_and_tied_to_checks_that_exist() -> None:
    for each in PROVISIONS:
        assert all(map(in_both, (each.source, each.asks, each.here)))
        assert set(each.checks) <= set(METHODS)
    told = " ".join(each.source.en for each in PROVISIONS)
    assert all(name in told for name in ("art. 111", "art. 93", "art. 94", "art. 16", "art. 19", "902(13)", "902(14)"))


@pytest.mark.parametrize("kind", bodies.BODIES)
def test_every_type_of_entry_is_told_in_both_languages(kind: str) -> None:
    assert in_both(TYPES[kind])
    plain = json.loads(json.dumps(SAMPLES[kind]).replace(r"\u", "u"))  # a path may be in any language
    told = list(sentences(parse(kind, plain), {}, Face(zone=UTC)))
    assert told
    assert all(map(in_both, told))


def test_a_type_of_a_later_version_is_shown_by_its_name() -> None:
    entry = parse("novelty", {"note": "x"})
    assert title(entry).en == "novelty"
    assert all(map(in_both, sentences(entry, {}, Face(zone=UTC))))


def test_a_copy_that_is_to_be_removed_is_told_from_one_that_is_gone() -> None:
    retire = SAMPLES["retire"]
    assert title(parse("retire", {**retire, "phase": "ordered"})).en == "Copy to be removed"
    assert title(parse("retire", {**retire, "phase": "done"})).en == title(parse("retire", retire)).en == "Copy removed"


def test_a_mark_at_a_path_where_the_bytes_were_met_again_is_told() -> None:
    def told(**further: object) -> list[Words]:
        return list(sentences(parse("sighting", {**SAMPLES["sighting"], **further}), {}, Face(zone=UTC)))

    assert told(important=True)[1].en == "There it is marked as important."
    assert all(map(in_both, told(important=True)[1:]))
    assert len(told()) == len(told(important=False)) == len(told(important="yes")) == 1


@pytest.mark.parametrize("name", ["edged", "user:li", "remote:li"])
def test_actors_are_told_in_both_languages(name: str) -> None:
    assert in_both(actor(name))


def test_an_override_stands_in_the_words_of_the_export() -> None:
    body = SAMPLES["export"] | {"override": {"classes": ["state-secret"], "reason": SAMPLES["export"]["purpose"]}}
    told = " ".join(words.en for words in sentences(parse("export", body), {}, Face(zone=UTC)))
    assert "An administrator overrode the refusal of: state secret." in told


@pytest.mark.parametrize(
    ("size", "told"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB (1000 B)"), (2**53, "9.0 PB (9007199254740992 B)")]
)
def test_amounts_are_told(size: int, told: str) -> None:
    assert amount(size) == told


def test_times_carry_their_offset_and_the_end_of_the_calendar_is_no_end() -> None:
    face = Face(zone=timezone(timedelta(hours=8)))
    assert face.show(datetime(2026, 11, 21, 8, 0, 0, 123456, tzinfo=UTC)) == "2026-11-21 16:00:00.123 +08:00"
    assert face.show(datetime(9999, 12, 31, 23, 0, 0, tzinfo=UTC)) == "9999-12-31 23:00:00.000 +00:00"


# -- the page


def test_the_report_page_is_whole_runs_nothing_and_fetches_nothing(bundle: Forgery) -> None:
    data = bundle.files["data/report.html"]
    assert is_harmless(Page(data))
    policy = re.search(rb'Content-Security-Policy" content="([^"]+)"', data)
    assert policy is not None
    assert policy[1].startswith(b"default-src &#x27;none&#x27;;") or policy[1].startswith(b"default-src 'none';")
    assert b"script-src" not in policy[1]
    assert b"unsafe" not in policy[1]
    for words in ("It proves nothing", "不能证明任何事情", "That is a claim", "Asked for by the court.", "edged 0."):
        assert words.encode() in data


def test_the_report_in_json_says_what_checked_and_when(bundle: Forgery, case: Case) -> None:
    report = json.loads(bundle.files["data/report.json"])
    assert report["tool"].startswith("edged ")
    assert report["checked"] == json.loads(case.station.entries[-1])["time"]


def test_the_history_of_each_original_is_told_oldest_first(bundle: Forgery, case: Case) -> None:
    account = read_account(bundle)
    kinds = [entry.type for entry in account.history(case.video)]
    assert kinds[0] == "docking"
    assert kinds[-1] == "export"
    assert [entry.type for entry in account.history(case.photo)].count("segment") == 1
    assert {"segment", "replica", "classification", "anomaly", "clearance", "wipe", "undocking", "hold"} <= set(kinds)
    # The hold of the case that the video had left concerns it no more.
    holds = [entry.body.hold for entry in account.history(case.video) if isinstance(entry.body, bodies.Hold)]
    assert holds == ["h-1"]
    assert account.docking_of(case.video) is not None


def test_a_poster_is_in_the_page_only_if_it_is_the_one_of_its_entry(bundle: Forgery, case: Case) -> None:
    _, page = page_of(bundle, case.station.trust)
    assert len(page.sources) == 1
    assert page.sources[0].startswith("data:image/jpeg;base64,")
    path = f"data/derivatives/{case.photo}/poster.jpg"
    assert page_of(bundle.copy().add(path, JPEG + b"!"), case.station.trust)[1].sources == []


def test_times_and_their_bounds_are_told(tmp_path: Path) -> None:
    made = anchored(tmp_path, made_authority(tmp_path / "authority"))
    report, page = page_of(made.bundle, made.trust())
    assert report.verdict == "verified"
    text = " ".join(page.text)
    for moment in ("17:00:00.000 +08:00", "18:00:00.000 +08:00"):
        assert f"2026-11-21 {moment}" in text
    assert "CN=TSA" in text


@pytest.mark.parametrize("is_marked", [True, False])
def test_an_original_that_was_marked_after_it_was_sealed_is_shown_as_marked(tmp_path: Path, *, is_marked: bool) -> None:
    station = Station(folder=tmp_path)
    station.genesis()
    station.dock("d-1", "r", {"a.mp4": b"a"})
    segment = station.seal("d-1", "r", "a.mp4", b"a")
    station.dock("d-2", "r", {"a_IMP.mp4": b"a"})
    further: dict[str, Any] = {"important": True} if is_marked else {}
    station.append(bodies.Sighting(segment=segment, docking=DockingId("d-2"), path="a_IMP.mp4", **further))
    bundle = station.bundle(station.export([segment]), tmp_path / "bundle")
    report, page = page_of(bundle, station.trust)
    assert not [check for check in report.segments[0].checks.values() if check.verdict == "failed"]
    assert ("marked as important on the recorder" in page.text) == is_marked


def test_damage_is_told_where_it_is(bundle: Forgery, case: Case) -> None:
    broken = bundle.copy().edit(
        f"data/segments/{case.video}/A.MP4", lambda data: data[:9_000_000] + b"!" + data[9_000_001:]
    )
    report, page = page_of(broken, case.station.trust)
    assert report.verdict == "failed"
    assert "8388608 – 16777215" in page.text
    assert "Where it differs" in page.text


def test_a_bundle_of_garbage_gets_a_page_all_the_same(bundle: Forgery) -> None:
    for path in bundle.files:
        garbage = bundle.copy().add(path, b"\xff\x00{")
        report = garbage.verify(Trust())
        assert is_harmless(Page(report_html(report, read_account(garbage), checked(Trust()))))
    empty = Forgery({})
    assert page_of(empty, Trust())[0].verdict == "failed"


# -- hostile words


def hostile(folder: Path, words: str) -> tuple[Station, SegmentId, Forgery]:
    """Give a bundle whose entries, names and reasons all say `words`."""
    station = Station(folder=folder)
    station.genesis(software=words)
    path = "x/" + words.replace("/", "_").replace("%", "_").encode("unicode_escape").decode().replace("\\", "_")
    station.dock("d", "r", {path: b"a"})
    docked = station.parsed(1).body
    assert isinstance(docked, bodies.Docking)
    recorder = docked.recorder.model_copy(update=dict.fromkeys(("vendor", "model", "serial"), words))
    station.append(docked.model_copy(update={"recorder": recorder, "bay": words}))
    segment = station.seal("d", "r", path, b"a", media=bodies.Unreadable(unreadable=words))
    station.append(bodies.Anomaly(kind=words, docking=DockingId("d"), subject=None, detail={}))
    reason = station.reason(words, words)
    subject = bodies.Subject(kind="segment", id=segment)
    station.append(bodies.Review(subject=subject, action=words, outcome={words: words}, reason=reason))
    station.append((words, {"segment": segment, words: words}))
    return station, segment, station.bundle(station.export([segment]), folder / "bundle")


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_of_entries_and_reasons_stay_words(tmp_path: Path, words: str) -> None:
    _, _, bundle = hostile(tmp_path, words)
    data = bundle.files["data/report.html"]
    page = Page(data)
    assert is_harmless(page)
    assert "\u202e" not in data.decode()
    assert "\x1b" not in data.decode()
