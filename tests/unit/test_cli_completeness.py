"""`edged completeness`, and where else a person meets what the station noted: the ledger's lines, a bundle's report."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.bundles.load import open_target
from edged.bundles.pages import read_account
from edged.bundles.pages.told import Face, sentences
from edged.cli.status import _show_noted, _show_room
from edged.evidence import bodies
from edged.evidence.ids import DockingId, SegmentId, Sha256
from edged.evidence.verification.anomalies import NAMES, meaning
from edged.station.case_completeness import case_completeness, media_by_profile
from tests.unit.book_station import DOCKING, RECORDER, classified, docked, sealed, sg, undocked
from tests.unit.calling import Caller
from tests.unit.made_station import FILES, Made, make, make_used
from tests.unit.test_rules_completeness import CATALOGUE

CASE, MATTER = "LZ-1", "forced-demolition"
FILM = bodies.Media(container="mp4", video="h264 640x360", audio=None, duration_ms=60_000)


@pytest.fixture
def edged(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    made = make(tmp_path)
    yield made
    made.close()


def film(path: str, minute: int, *, stage: str = "enforcement") -> list[bodies.Body]:
    """Seal a minute of video of the case."""
    recorded = bodies.Recorded(
        start=f"2026-11-21T07:{minute:02}:00.000+08:00",
        end=f"2026-11-21T07:{minute + 1:02}:00.000+08:00",
        zone="Asia/Shanghai",
        source="filename",
        uncertainty_ms=1000,
    )
    data = path.encode()
    return [
        sealed(path, data, recorded=recorded, media=FILM),
        classified(sg(data), case=CASE, matter=MATTER, stage=stage),
    ]


def docking(made: Made, *paths: str) -> None:
    body, document = docked({path: path.encode() for path in paths})
    made.book.ledger.append(body, documents=[document])


def full_stages(edged: Caller, made: Made) -> list[str]:
    """Give the stages of the matter that the shipped catalogue wants in full."""
    plain = json.loads(edged("completeness", CASE, "--json", config=made.config_folder).out)
    return [each["stage"] for each in plain["stages"] if each["recording"] == "full"]


def skipped(made: Made, before: str, after: str) -> None:
    detail = {"first": 3, "last": 3, "count": 1, "before": before, "after": after}
    made.book.ledger.append(
        bodies.Anomaly(
            kind="counter-skips",
            docking=DOCKING,
            subject=bodies.Subject(kind="recorder", id=RECORDER),
            detail=detail,
        )
    )


def test_a_complete_case_exits_0(edged: Caller, made: Made) -> None:
    docking(made, "A.MP4")
    made.book.ledger.append(*film("A.MP4", 0))
    stages = full_stages(edged, made)
    assert "enforcement" in stages
    for minute, stage in enumerate(set(stages) - {"enforcement"}, 10):
        made.book.ledger.append(*film(f"{stage}.MP4", minute, stage=stage))
    made.book.ledger.append(undocked(remaining=0))
    said = edged("completeness", CASE, config=made.config_folder)
    assert said.code == 0, said.out
    assert f"Case {CASE}: complete." in said.out
    assert "What cannot be told from here:" in said.out


def test_a_case_that_lacks_something_exits_2_and_says_what(edged: Caller, made: Made) -> None:
    docking(made, "A.MP4", "B.MP4", "LOST.MP4")
    made.book.ledger.append(*film("A.MP4", 0), *film("B.MP4", 5))
    skipped(made, "A.MP4", "B.MP4")
    made.book.ledger.append(undocked(outcome="interrupted", remaining=3))
    said = edged("completeness", CASE, config=made.config_folder)
    assert said.code == 2
    assert "nothing shows 2026-11-21T07:01:00+08:00 - 2026-11-21T07:05:00+08:00" in said.out
    assert "1 file(s) that the card held at" in said.out
    assert (
        "the recorder's counter leaves out numbers: this station knows no file with the number 3, between" in said.out
    )
    plain = json.loads(edged("completeness", CASE, "--json", config=made.config_folder).out)
    assert plain["complete"] is False
    (recorder,) = plain["recorders"]
    assert [each["path"] for each in recorder["segments"]] == ["A.MP4", "B.MP4"]
    assert recorder["gaps"] == [{"start": "2026-11-21T07:01:00+08:00", "end": "2026-11-21T07:05:00+08:00"}]
    assert [each["kind"] for each in plain["noted"]] == ["counter-skips"]
    assert "编号" in plain["noted"][0]["zh"]


def test_what_a_later_docking_took_is_not_lost(edged: Caller, made: Made) -> None:
    docking(made, "A.MP4", "LATER.MP4")
    made.book.ledger.append(*film("A.MP4", 0), undocked(outcome="interrupted", remaining=2))
    lost = json.loads(edged("completeness", CASE, "--json", config=made.config_folder).out)["lacking"]
    assert any("LATER.MP4" in each["en"] for each in lost)
    again = DockingId("dk-20261122-00000001")
    body, document = docked({"A.MP4": b"A.MP4", "LATER.MP4": b"LATER.MP4"}, again)
    made.book.ledger.append(body, documents=[document])
    made.book.ledger.append(sealed("LATER.MP4", b"LATER.MP4", docking=again), undocked(again, "kept", 2))
    plain = json.loads(edged("completeness", CASE, "--json", config=made.config_folder).out)
    assert not any("LATER.MP4" in each["en"] for each in plain["lacking"])
    assert any("1 file(s) between the docking that was cut short" in each["en"] for each in plain["unknown"])


AGAIN = DockingId("dk-20261122-00000001")


def in_quarantine(made: Made, code: str, read: bytes, path: str = "BAD.MP4") -> None:
    """Have a docking that does not trust what it read of one of two files, and could not read a third."""
    body, document = docked({"A.MP4": b"A.MP4", path: b"B" * len(read), "NONE.MP4": b"NONE"})
    second = Sha256("0" * 64) if code == "second-reading-differs" else None
    unreadable = ((0, 1),) if code == "partly-unreadable" else ()
    quarantine = bodies.Quarantine(code=code, unreadable=unreadable, second_sha256=second)
    made.book.ledger.append(body, documents=[document])
    made.book.ledger.append(
        *film("A.MP4", 0),
        sealed(path, read, media=FILM, quarantine=quarantine),
        classified(sg(read), case=CASE, matter=MATTER, stage="enforcement"),
        about(code, bodies.Subject(kind="segment", id=sg(read)), path),
        about("unreadable", bodies.Subject(kind="docking", id=DOCKING), "NONE.MP4"),
        undocked(outcome="kept", remaining=3),
    )


def about(kind: str, subject: bodies.Subject, path: str) -> bodies.Anomaly:
    return bodies.Anomaly(kind=kind, docking=DOCKING, subject=subject, detail={"path": path})


def docked_again(made: Made, files: dict[str, bytes], *found: bodies.Body) -> dict[str, str]:
    """Dock the recorder again, and give what the case lacks and what is unknown of it, in one text each."""
    body, document = docked(files, AGAIN)
    made.book.ledger.append(body, documents=[document])
    made.book.ledger.append(*found, undocked(AGAIN, "kept", len(files)))
    answer = case_completeness(made.book, CATALOGUE, CASE, media_by_profile(made.config_folder)).completeness
    return {"lacking": "|".join(map(str, answer.lacking)), "unknown": "|".join(map(str, answer.unknown))}


@pytest.mark.parametrize("code", ["partly-unreadable", "second-reading-differs"])
def test_what_a_later_docking_took_whole_is_not_lacking(made: Made, code: str) -> None:
    in_quarantine(made, code, b"0BB")
    whole = sealed("BAD.MP4", b"BBB", docking=AGAIN), sealed("NONE.MP4", b"NONE", docking=AGAIN)
    said = docked_again(made, {"BAD.MP4": b"BBB", "NONE.MP4": b"NONE"}, *whole)
    assert "quarantine" not in said["lacking"]
    assert code not in said["lacking"]
    assert "(unreadable)" not in said["lacking"]
    assert f"{AGAIN} took them whole" in said["unknown"]
    assert "BAD.MP4" in said["unknown"]


def test_a_second_reading_that_agrees_later_makes_it_whole(made: Made) -> None:
    in_quarantine(made, "second-reading-differs", b"BBB")
    again = bodies.Sighting.model_validate(
        {"segment": sg(b"BBB"), "docking": AGAIN, "path": "BAD.MP4", "second_reading": "agrees"}
    )
    assert "quarantine" not in docked_again(made, {"BAD.MP4": b"BBB"}, again)["lacking"]


@pytest.mark.parametrize("attack", ["changed", "shorter", "quarantined", "not-taken", "sighted", "interruption"])
def test_what_was_not_taken_whole_stays_lacking(made: Made, attack: str) -> None:
    in_quarantine(made, "changed-since-interruption" if attack == "interruption" else "partly-unreadable", b"0BB")
    quarantine = bodies.Quarantine(code="partly-unreadable", unreadable=((1, 2),), second_sha256=None)
    whole = sealed("BAD.MP4", b"BBB", docking=AGAIN)
    listed, found = {
        "changed": (b"BBBB", sealed("BAD.MP4", b"BBBB", docking=AGAIN)),
        "shorter": (b"BBB", sealed("BAD.MP4", b"BB", docking=AGAIN)),
        "quarantined": (b"BBB", sealed("BAD.MP4", b"B0B", docking=AGAIN, quarantine=quarantine)),
        "not-taken": (b"BBB", sealed("OTHER.MP4", b"BBB", docking=AGAIN)),
        "sighted": (b"BBB", bodies.Sighting(segment=sg(b"0BB"), docking=AGAIN, path="BAD.MP4")),
        "interruption": (b"BBB", whole),
    }[attack]
    said = docked_again(made, {"BAD.MP4": listed}, found)
    assert "1 file(s) are in quarantine, kept but not trusted: BAD.MP4." in said["lacking"]
    assert "took them whole" not in said["unknown"]


def test_settings_logs_and_side_files_need_not_be_played(edged: Caller, made: Made) -> None:
    register = made.config_folder / "register.toml"
    entry = f'[[recorder]]\nid = "{RECORDER}"\nprofile = "sidecar"\nserial = "SC1"\n'
    register.write_text(register.read_text("utf-8") + entry, "utf-8")
    card = {
        "VIDEO/1.MP4": b"VIDEO/1.MP4",
        "DEVICE.INI": b"ini",
        "LOG/1.LOG": b"log",
        "GPS/1.NMEA": b"gps",
        "B.AVI": b"avi",
    }
    body, document = docked(card)
    made.book.ledger.append(body, documents=[document])
    film_, classify = film("VIDEO/1.MP4", 0)
    dark = bodies.Unreadable(unreadable="the content is not sound or picture in a known format")
    made.book.ledger.append(film_, classify)
    for path in ("DEVICE.INI", "LOG/1.LOG", "GPS/1.NMEA", "B.AVI"):
        side = sg(card["VIDEO/1.MP4"]) if path.startswith("GPS") else None
        made.book.ledger.append(
            sealed(path, card[path], media=dark, side_of=side),
            classified(sg(card[path]), case=CASE, matter=MATTER, stage="enforcement"),
        )
    made.book.ledger.append(undocked(remaining=0))
    plain = json.loads(edged("completeness", CASE, "--json", config=made.config_folder).out)
    assert not any("cannot be played" in each["en"] for each in plain["lacking"])
    (recorder,) = plain["recorders"]
    assert {each["path"]: each["form"] for each in recorder["segments"]} == {
        "VIDEO/1.MP4": "video",
        "GPS/1.NMEA": "side",
        **dict.fromkeys(("DEVICE.INI", "LOG/1.LOG", "B.AVI"), "other"),
    }
    # Of a recorder without a profile, the usual names count.
    register.write_text(register.read_text("utf-8").replace(entry, ""), "utf-8")
    plain = json.loads(edged("completeness", CASE, "--json", config=made.config_folder).out)
    (dark_,) = [each["en"] for each in plain["lacking"] if "cannot be played" in each["en"]]
    assert dark_ == "1 file(s) cannot be played: B.AVI."


def test_a_docking_that_was_cut_short_before_it_sealed_anything_counts_by_its_list(edged: Caller, made: Made) -> None:
    """The card is pulled at once, a file is deleted from it, and it is docked again."""
    docking(made, "A.MP4", "DELETED.MP4")
    made.book.ledger.append(undocked(outcome="interrupted", remaining=2))
    again = DockingId("dk-20261122-00000001")
    body, document = docked({"A.MP4": b"A.MP4"}, again)
    made.book.ledger.append(body, documents=[document])
    seal, classify = film("A.MP4", 0)
    assert isinstance(seal, bodies.Segment)
    made.book.ledger.append(seal.model_copy(update={"docking": again}), classify, undocked(again, "kept", 1))
    lacking = json.loads(edged("completeness", CASE, "--json", config=made.config_folder).out)["lacking"]
    assert any(str(DOCKING) in each["en"] and "DELETED.MP4" in each["en"] for each in lacking)


def test_a_last_docking_that_was_cut_short_counts_within_a_day_of_the_case(edged: Caller, made: Made) -> None:
    docking(made, "A.MP4")
    made.book.ledger.append(*film("A.MP4", 0), undocked(outcome="kept", remaining=1))
    again = DockingId("dk-20261122-00000001")
    body, document = docked({"B.MP4": b"B.MP4"}, again)
    made.book.ledger.append(body, documents=[document])
    made.book.ledger.append(undocked(again, "interrupted", 1))
    lacking = json.loads(edged("completeness", CASE, "--json", config=made.config_folder).out)["lacking"]
    assert any(str(again) in each["en"] and "B.MP4" in each["en"] for each in lacking)


def test_a_skip_elsewhere_on_the_card_does_not_touch_the_case(edged: Caller, made: Made) -> None:
    docking(made, "A.MP4", "X.MP4", "Y.MP4")
    made.book.ledger.append(*film("A.MP4", 0), sealed("X.MP4", b"X.MP4"), sealed("Y.MP4", b"Y.MP4"))
    skipped(made, "X.MP4", "Y.MP4")
    plain = json.loads(edged("completeness", CASE, "--json", config=made.config_folder).out)
    assert plain["noted"] == []


def test_an_unknown_case_is_wrong_usage(edged: Caller, made: Made) -> None:
    said = edged("completeness", "no-such-case", config=made.config_folder)
    assert said.code == 64
    assert "No case no-such-case" in said.err


def test_the_ledger_shows_an_anomaly_in_plain_words(edged: Caller, made: Made) -> None:
    docking(made, "A.MP4")
    skipped(made, "A.MP4", "B.MP4")
    shown = edged("ledger", "show", "--type", "anomaly", config=made.config_folder).out
    assert "counter leaves out numbers" in shown


def test_a_bundle_says_in_both_languages_what_was_out_of_order(edged: Caller, tmp_path: Path) -> None:
    made = make_used(tmp_path / "station")
    video = sg(FILES["20261121/a.mp4"])
    detail = {"before": str(sg(b"x")), "after": str(video), "least_ms": 41, "most_ms": 2_041}
    gap = bodies.Anomaly(
        kind="join-gap", docking=DOCKING, subject=bodies.Subject(kind="segment", id=SegmentId(video)), detail=detail
    )
    made.book.ledger.append(gap)
    made.export()
    made.publish()
    made.close()
    out = tmp_path / "bundle"
    assert edged("bundle", out, "--export", "ex-20261121-00000001", config=made.config_folder).code == 0
    account = read_account(open_target(out))
    told = [
        words for entry in account.history(video) for words in sentences(entry, account.texts, Face(zone=account.zone))
    ]
    (words,) = [each for each in told if "join-gap" in each.en]
    assert "at least 0.041 and at most 2.041 seconds" in words.en
    assert "0.041 秒" in words.zh
    for page in ("report.html", "report.json"):
        assert "at least 0.041 and at most 2.041 seconds" in (out / "data" / page).read_text("utf-8")


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_every_kind_is_told_whatever_its_detail_holds(kind: str) -> None:
    for detail in ({}, {"why": None}, {"why": "empty", "file": 7, "more": True}, {"before": [], "least_ms": "x"}):
        words = meaning(bodies.Anomaly(kind=kind, docking=None, subject=None, detail=detail))
        assert words is not None
        assert words.en.startswith(NAMES[kind].en)
        assert "{" not in words.en + words.zh


@pytest.mark.parametrize(
    ("offset_ms", "en", "zh"),
    [
        (90_804, "90.804 seconds ahead of the station's", "比采集站快 90.804 秒"),
        (-90_804, "90.804 seconds behind the station's", "比采集站慢 90.804 秒"),
    ],
)
def test_a_wrong_clock_is_said_to_be_ahead_or_behind(offset_ms: int, en: str, zh: str) -> None:
    detail = {"offset_ms": offset_ms, "uncertainty_ms": 500}
    words = meaning(bodies.Anomaly(kind="recorder-clock-off", docking=None, subject=None, detail=detail))
    assert words is not None
    assert en in words.en
    assert zh in words.zh
    assert "0.500" in words.en


def test_status_says_what_was_out_of_order_at_the_bays(capsys: pytest.CaptureFixture[str]) -> None:
    listed = [{"seq": n, "kind": "join-gap", "en": f"sentence {n}", "zh": ""} for n in range(7)]
    _show_noted({"noted": [{"bay": "bay-3", "docking": "dk-1", "count": 7, "listed": listed}]})
    said = capsys.readouterr().out
    assert "bay-3: 7 anomalies at this docking (dk-1)" in said
    assert "sentence 4 (join-gap)" in said
    assert "sentence 5" not in said
    _show_noted({"noted": []})
    assert capsys.readouterr().out == ""


def test_status_says_in_one_wording_what_is_free_and_what_must_stay_free(capsys: pytest.CaptureFixture[str]) -> None:
    disk = {"folder": "/srv/vault", "free_bytes": 70_700_000_000, "reserve_bytes": 1 << 30}
    _show_room({"parked": [], "unsealed": [], "room": [disk], "accepting": True})
    said = capsys.readouterr().out
    assert said == "  Disk of /srv/vault: 70.7 GB free; 1.1 GB must stay free (reserve_mib)\n"
