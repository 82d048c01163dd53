"""Dockings that nobody is there to end."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.clock import SystemClock
from edged.evidence.ids import DockingId, StationId
from edged.station import absent
from edged.station.absent import AbsentJob
from edged.station.assembly import build
from edged.station.creation import NewStation, create
from edged.station.parts import Parts
from tests.unit.book_station import docked

DOCKING = DockingId("dk-20260105-00000001")


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parts]:
    """A station with a docking that lasts."""
    monkeypatch.setattr(absent, "_PATIENCE_SECONDS", -3600.0)
    places = {"config": tmp_path / "config", "state": tmp_path / "state", "root_key": tmp_path / "root.key"}
    create(NewStation(station=StationId("st-01"), domain="example.org", zone="UTC", **places), SystemClock())
    parts = build(tmp_path / "config", SystemClock())
    body, document = docked({"a.mp4": b"film"}, DOCKING)
    parts.book.ledger.append(body, documents=[document])
    yield parts
    parts.book.close()


def ends(parts: Parts) -> list[str | None]:
    docking = parts.book.facts.docking(DOCKING)
    return [] if docking is None else [docking.outcome]


def test_a_docking_without_a_recorder_is_ended_once(parts: Parts) -> None:
    job = AbsentJob(parts, lambda _: False)
    job.step(threading.Event())
    job.step(threading.Event())
    assert ends(parts) == ["interrupted"]
    assert len(parts.book.ledger.of_type("undocking")) == 1


def test_a_recorder_that_comes_back_in_the_last_moment_keeps_its_docking(parts: Parts) -> None:
    answers = iter([False, True])
    AbsentJob(parts, lambda _: next(answers)).step(threading.Event())
    assert ends(parts) == [None]
    assert next(answers, None) is None
