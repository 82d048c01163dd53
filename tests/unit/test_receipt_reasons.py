"""Receipts say why files were left on the recorder and what to do, in both languages, in the time of the station."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edged.cli import paper
from edged.config import StationConfig
from edged.evidence import bodies
from edged.evidence.ids import StoreId
from edged.station.receipts import asked_receipt
from edged.stores.directory import DirectorySettings
from tests.unit.book_station import DOCKING, docked, sealed, sg, undocked
from tests.unit.stored_station import Stored, make_stored

CARD = {"a.mp4": b"a", "b.mp4": b"b"}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Stored]:
    (tmp_path / "central").mkdir()
    stored = make_stored(tmp_path, DirectorySettings(id=StoreId("central"), folder=tmp_path / "central"))
    yield stored
    stored.close()


def receipt(stored: Stored, *found: bodies.Body, outcome: str = "kept", left: int = 2, **bays: Any) -> dict[str, Any]:
    """Give the receipt of a docking, at a station that is set to erase so."""
    body, document = docked(CARD)
    stored.parts.book.ledger.append(body, documents=[document])
    stored.parts.book.ledger.append(*found, undocked(outcome=outcome, remaining=left))
    config = with_bays(stored.parts.config, **bays)
    return dict(asked_receipt(stored.parts.book, {"last": True}, config).plain())


def with_bays(config: StationConfig, **bays: Any) -> StationConfig:
    store = {"store": bays.pop("store")} if "store" in bays else {}
    return config.model_copy(update={"bays": config.bays.model_copy(update=bays)} | store)


def why(said: dict[str, Any]) -> str:
    return " ".join(each["en"] for each in said["why_left"])


def both() -> list[bodies.Body]:
    return [sealed(path, data) for path, data in CARD.items()]


def anomaly(kind: str, path: str) -> bodies.Anomaly:
    about = bodies.Subject(kind="docking", id=DOCKING)
    return bodies.Anomaly(kind=kind, docking=DOCKING, subject=about, detail={"path": path})


def doubtful() -> list[bodies.Body]:
    quarantine = bodies.Quarantine(code="partly-unreadable", unreadable=((0, 1),), second_sha256=None)
    segment = bodies.Subject(kind="segment", id=sg(b"b"))
    told = bodies.Anomaly(kind="partly-unreadable", docking=DOCKING, subject=segment, detail={"path": "b.mp4"})
    return [sealed("a.mp4", b"a"), sealed("b.mp4", b"b", quarantine=quarantine), told]


def test_quarantine_is_the_reason_and_the_card_is_to_be_docked_again_or_kept(station: Stored) -> None:
    said = receipt(station, *doubtful())
    assert why(said).startswith("In quarantine: 1. The card did not give all of it")
    assert "Dock it again; if it stays so, keep the card with the case." in why(said)
    assert "隔离 1 个" in said["why_left"][0]["zh"]
    (noted,) = said["noted"]
    assert noted == {
        "kind": "partly-unreadable",
        "count": 1,
        "en": "a part of a file could not be read",
        "zh": "文件有一部分无法读取",
    }
    assert "set never" not in why(said)


def test_files_that_were_not_read_are_the_reason(station: Stored) -> None:
    said = receipt(station, sealed("a.mp4", b"a"), anomaly("unreadable", "b.mp4"))
    assert why(said).startswith("Could not be read: 1.")
    assert "a file could not be read" in {each["en"] for each in said["noted"]}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("not-listed", "Could not be read: a folder."),
        ("not-writable", "The card does not let files be erased."),
        ("not-erased", "The card does not let files be erased."),
        ("changed-before-wipe", "Another file than was sealed, or not to be read again: 1."),
    ],
)
def test_what_the_card_did_is_the_reason(station: Stored, kind: str, words: str) -> None:
    assert words in why(receipt(station, *both(), anomaly(kind, "b.mp4")))


@pytest.mark.parametrize(
    ("bays", "words"),
    [
        ({"wipe": "never"}, "The station is set never to erase recorders. Nothing has to be done."),
        ({"store": None}, "Without central storage the station erases nothing. Nothing has to be done."),
        ({"wipe": "after 3 days"}, "when they were sealed 3 days ago. Dock it again then."),
        ({"wipe": "after-clearance"}, "They are not proven safe yet, or not any more, or not what was sealed."),
    ],
)
def test_how_the_station_is_set_is_the_reason(station: Stored, bays: dict[str, Any], words: str) -> None:
    said = receipt(station, *both(), **bays)
    assert words in why(said)
    assert len(said["why_left"]) == 1


def test_a_recorder_that_is_never_erased_may_have_trouble_all_the_same(station: Stored) -> None:
    said = why(receipt(station, *doubtful(), wipe="never"))
    assert "In quarantine: 1." in said
    assert "set never to erase" in said
    assert "Nothing has to be done" not in said


def test_what_was_handed_in_is_left_where_it_was(station: Stored) -> None:
    body, document = docked(CARD)
    station.parts.book.ledger.append(body.model_copy(update={"bay": "intake-1"}), documents=[document])
    station.parts.book.ledger.append(*both(), undocked(outcome="kept", remaining=2))
    said = asked_receipt(station.parts.book, {"last": True}, station.parts.config).plain()
    assert "handed in" in why(said)


def test_a_recorder_that_was_emptied_needs_no_reason(station: Stored) -> None:
    said = receipt(station, *both(), outcome="cleared", left=0)
    assert (said["why_left"], said["noted"]) == ([], [])
    assert "留存原因" not in paper.as_html(said)


def test_a_cleared_recorder_keeps_what_it_needs(station: Stored) -> None:
    assert (
        why(receipt(station, *both(), outcome="cleared", left=1)) == "They are the recorder's own, and it needs them."
    )


def test_an_interrupted_docking_is_told_by_its_outcome(station: Stored) -> None:
    assert receipt(station, outcome="interrupted")["why_left"] == []


def test_paper_gives_reasons_findings_and_the_next_step_within_its_width(station: Stored) -> None:
    said = receipt(station, *doubtful())
    told = paper.lines(said)
    text = " ".join(line.strip() for line in told)
    assert "Left on it because 留存原因: In quarantine: 1." in text
    assert "Dock it again; if it stays so, keep the card with the case." in text
    assert "a part of a file could not be read" in text
    assert "`edged ledger show --type anomaly`" in text
    assert "文件有一部分无法读取:1" in text.replace(" ", "")
    reasons = told[told.index("Left on it because 留存原因:") : -4]
    assert max(paper._columns(line) for line in reasons) <= 46
    for page in (paper.as_svg(said), paper.as_html(said)):
        assert "留存原因" in page
        assert "anomaly" in page


def test_times_are_those_of_the_station_and_say_so(station: Stored) -> None:
    said = receipt(station, *both())
    assert said["began"].endswith("Z")
    assert said["zone"] == station.parts.config.station.zone == "Asia/Shanghai"
    shown = dict(paper.rows(said | {"began": "2026-11-21T20:00:00.123Z"}))
    assert shown["Docked 接入"] == "2026-11-22 04:00:00.123 +08:00"
    assert shown["Ended 结束"].endswith(" +08:00")
