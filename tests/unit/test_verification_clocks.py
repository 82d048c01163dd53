"""What the dockings in a bundle say of recorders' clocks: found beyond doubt, and not made up."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edged.evidence import bodies
from edged.evidence.entry import Entry, encode, parse
from edged.evidence.ids import DockingId, RecorderId
from edged.evidence.verification.findings import clock_courses
from edged.evidence.verification.words import signed_seconds
from tests.unit.bundle_station import START, Station

Docked = tuple[float, int | None, int, bool]
"""After how many days, offset and uncertainty in milliseconds, whether the station set the clock."""

HISTORIES: list[tuple[list[Docked], int]] = [
    ([], 0),
    ([(0, 90_000, 100, False)], 0),
    ([(0, 0, 0, False), (1, 3_000, 0, False)], 0),
    ([(0, 0, 0, False), (1, 3_001, 0, False)], 1),
    ([(0, 0, 0, False), (1, -3_001, 0, False)], 1),
    ([(0, 0, 1, False), (1, 3_001, 0, False)], 0),
    ([(0, 90_000, 500, False), (10, 121_000, 500, False)], 0),
    ([(0, 90_000, 500, False), (10, 121_001, 500, False)], 1),
    ([(0, 0, 0, False), (1, None, 0, False), (2, 6_001, 0, False)], 0),
    ([(0, 90_000, 0, True), (10, 31_000, 0, False)], 0),
    ([(0, 90_000, 0, True), (10, 32_001, 0, False)], 1),
    ([(0, None, 0, True), (10, -32_001, 0, False)], 1),
    ([(0, 0, 0, False), (1, 4_000, 0, False), (2, 8_000, 0, False)], 2),
    ([(0, 0, 0, False), (0, 1, 0, False)], 1),
    ([(1, 50_000, 0, False), (0, 0, 0, False)], 1),
    ([(0, 0, 2**53 - 1, False), (1, -(2**53) + 1, 0, False)], 0),
    ([(0, 2**53 - 1, 0, False), (1, -(2**53) + 1, 0, False)], 1),
]


def entries(dockings: Sequence[Docked], folder: Path) -> list[Entry]:
    station = Station(folder=folder)
    found = []
    for number, (days, offset_ms, uncertainty_ms, was_set) in enumerate(dockings):
        body = bodies.Docking(
            docking=DockingId(f"dk-{number}"),
            bay="bay-1",
            recorder=bodies.RecorderInfo(id=RecorderId("rec-1"), vendor="V", model="M", serial="S", known=True),
            officer=None,
            inventory_sha256="0" * 64,
            files=0,
            bytes=0,
            clock_offset_ms=offset_ms,
            clock_uncertainty_ms=None if offset_ms is None else uncertainty_ms,
            clock_set=was_set,
            missing=0,
        )
        station.append(body)
        entry = station.parsed(number)
        found.append(parse(encode(changed(entry, time=START + timedelta(days=days)))))
    return found


def changed(entry: Entry, **values: Any) -> Entry:
    return Entry(**({name: getattr(entry, name) for name in entry.__dataclass_fields__} | values))


@pytest.mark.parametrize(("dockings", "count"), HISTORIES)
def test_a_clock_that_goes_wrong_faster_than_its_standard_is_found_only_beyond_doubt(
    tmp_path: Path, dockings: list[Docked], count: int
) -> None:
    found = list(clock_courses(entries(dockings, tmp_path)))
    assert len(found) == count
    assert all("more than the 3 s a day" in each.en and "每日 3 秒" in each.zh for each in found)


def test_it_is_told_between_which_dockings_and_by_how_much(tmp_path: Path) -> None:
    (found,) = clock_courses(entries([(0, -1_000, 50, False), (2, 9_000, 50, False)], tmp_path))
    assert found.en.startswith(
        "Between dk-0 and dk-1 the clock of rec-1 went +9.900 … +10.100 s against the station's, more"
    )


def test_recorders_and_stations_are_kept_apart(tmp_path: Path) -> None:
    one, other = entries([(0, 0, 0, False), (1, 90_000, 0, False)], tmp_path)
    assert isinstance(other.body, bodies.Docking)
    elsewhere = changed(other, station="st-08")
    somebody = changed(
        other, body=other.body.model_copy(update={"recorder": other.body.recorder.model_copy(update={"id": "rec-2"})})
    )
    assert list(clock_courses([one, elsewhere, somebody])) == []
    assert len(list(clock_courses([other, one]))) == 1


@pytest.mark.parametrize(
    ("ms", "told"), [(0, "+0.000"), (-1, "-0.001"), (97_250, "+97.250"), (-60_000, "-60.000"), (-61_005, "-61.005")]
)
def test_milliseconds_are_told_exactly(ms: int, told: str) -> None:
    assert signed_seconds(ms) == told
