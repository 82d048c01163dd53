"""A recorder's days, one after the other: what is out of order is in the ledger once, and an ordinary day is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from edged.evidence.ids import escape_path
from hwsim.cards import files_on, write_card
from hwsim.layouts.layout import Worn
from hwsim.quick import QuickCamera
from hwsim.script import Feature, Order, plan
from tests.crash.station import OFFICER, Station, until

RECORDER: Final = "BC00001"
MONDAY: Final = datetime(2026, 1, 5, 0, 0, tzinfo=UTC)


@pytest.fixture
def camera(tmp_path: Path) -> QuickCamera:
    return QuickCamera(tmp_path / "clips")


def day(station: Station, camera: QuickCamera, number: int, *features: Feature, segments: int = 4) -> Path:
    """Put the card of a day on the shelf."""
    order = Order(
        layout="gat947",
        worn=Worn(device=RECORDER, officer=OFFICER, zone=ZoneInfo("Asia/Shanghai")),
        start=MONDAY + timedelta(days=number),
        segments=segments,
        seed=number,
        features=frozenset(features),
    )
    root = station.shelf / f"day-{number}"
    write_card(plan(order), root, camera)
    return root


def test_days_in_order_and_out_of_order(station: Station, camera: QuickCamera) -> None:
    odd = (Feature.GAP, Feature.DUPLICATE, Feature.TRUNCATED, Feature.EMPTY)
    with station.running():
        first = station.dock(day(station, camera, 0, Feature.JOINED, Feature.IMPORTANT), RECORDER)
        station.until_phase(first, "done")
        assert station.anomalies() == []
        station.pull(first).rename(station.shelf / "worn")
        until(lambda: not station.status()["bays"], "the recorder has left")
        card = day(station, camera, 1, *odd)
        names = sorted(escape_path(path) for path in files_on(card))
        second = station.dock(card, RECORDER)
        station.until_phase(second, "done")
        (noted,) = station.status()["noted"]
    found = {body["kind"]: body for body in station.anomalies()}
    assert sorted(body["kind"] for body in station.anomalies()) == [
        "counter-skips",
        "recording-incomplete",
        "recording-incomplete",
        "same-file-again",
    ]
    assert (found["counter-skips"]["detail"]["first"], found["counter-skips"]["detail"]["count"]) == (4, 1)
    incomplete = {body["detail"]["why"]: body["detail"]["file"] for body in station.anomalies("recording-incomplete")}
    assert set(incomplete) == {"empty", "no-index"}
    assert set(incomplete.values()) <= set(names)
    assert found["same-file-again"]["detail"]["at"].startswith("COPY/")
    assert {body["docking"] for body in station.anomalies()} == {station.bodies("docking")[1]["docking"]}
    assert (noted["count"], noted["bay"]) == (4, RECORDER)
    assert {each["kind"] for each in noted["listed"]} == set(found)
    station.is_whole()


def test_a_kill_after_the_findings_makes_no_second_ones(station: Station, camera: QuickCamera) -> None:
    station.configure(bays={"wipe": "never"})
    bay = station.dock(day(station, camera, 1, Feature.GAP, Feature.DUPLICATE), RECORDER)
    station.start()
    until(lambda: station.anomalies("same-file-again"), "the findings are written")
    station.kill()
    with station.running():
        station.until_phase(bay, "kept")
        # The card stays as it is, and comes again on the next day.
        card = station.pull(bay)
        until(lambda: not station.status()["bays"], "the recorder has left")
        station.until_phase(station.dock(card, RECORDER), "kept")
    assert sorted(body["kind"] for body in station.anomalies()) == ["counter-skips", "same-file-again"]
    station.is_whole()


def test_files_that_somebody_took_off_the_card_are_told_of(station: Station, camera: QuickCamera) -> None:
    station.configure(bays={"wipe": "never"})
    with station.running():
        bay = station.dock(day(station, camera, 0), RECORDER)
        station.until_phase(bay, "kept")
        card = station.pull(bay)
        until(lambda: not station.status()["bays"], "the recorder has left")
        taken = files_on(card)[:2]
        for path in taken:
            (card / path.decode()).unlink()
        station.until_phase(station.dock(card, RECORDER), "kept")
    (gone,) = station.anomalies("missing-since-last-docking")
    assert (gone["detail"]["held"], gone["detail"]["lost"]) == (2, 0)
    assert gone["detail"]["held_files"] == sorted(escape_path(path) for path in taken)
    assert station.bodies("docking")[1]["missing"] == 2
