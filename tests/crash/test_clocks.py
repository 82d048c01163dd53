"""The running station and the clocks: a docked recorder's is measured once, truly, and only where it can be."""

from datetime import timedelta

import pytest

from edged.clock import SystemClock
from hwsim import bays
from tests.crash.conftest import MakeStation
from tests.crash.station import Body, Station, wait_for

RECORDER = "SC20451"
INI = b"serial=SC20451\r\nofficer=138003\r\nzone=Asia/Shanghai\r\n"


def card(number: int) -> dict[bytes, bytes]:
    path = f"VIDEO/20261121/0800{number:02}_{number:05}.MP4".encode()
    return {b"DEVICE.INI": INI, path: f"recording {number}".encode()}


def connect(station: Station, name: str, files: dict[bytes, bytes], *, error: float) -> None:
    """Dock a recorder whose clock is so many seconds wrong, and which logs that it is connected."""
    shown = SystemClock().now() + timedelta(seconds=error)
    bays.dock(station.card(name, files), station.bays / name, shown=shown)


def is_true(docking: Body, error: float) -> bool:
    off, blur = docking["clock_offset_ms"], docking["clock_uncertainty_ms"]
    return abs(off - error * 1000) <= blur < 60_000


def test_a_recorder_s_clock_is_measured_when_it_is_docked_and_what_is_wrong_with_it_noted(
    make_station: MakeStation,
) -> None:
    station = make_station()
    with station.running():
        connect(station, RECORDER, card(1), error=300)
        wait_for(station, "undocking", 1)
        bays.yank(station.bays / RECORDER, station.shelf / "first")
        # Somebody sets it, and it is docked again.
        connect(station, RECORDER, card(2), error=0)
        wait_for(station, "undocking", 2)
    first, second = station.bodies("docking")
    assert is_true(first, 300)
    assert is_true(second, 0)
    assert first["clock_basis"]["way"] == "log"
    assert [each["kind"] for each in station.anomalies() if "clock" in each["kind"]] == [
        "recorder-clock-off",
        "recorder-clock-jumped",
    ]
    station.is_whole()


@pytest.mark.parametrize("logged", [False, True])
def test_a_clock_that_cannot_be_measured_is_not(make_station: MakeStation, *, logged: bool) -> None:
    """Docked before the daemon runs, nobody knows when; and what does not log has nothing to be read."""
    station = make_station()
    if logged:
        connect(station, RECORDER, card(1), error=300)
    with station.running():
        if not logged:
            station.dock(station.card(RECORDER, card(1)))
        wait_for(station, "undocking", 1)
    (docking,) = station.bodies("docking")
    assert (docking["clock_offset_ms"], docking["clock_uncertainty_ms"]) == (None, None)
    assert "clock_basis" not in docking
    assert [each for each in station.anomalies() if "clock" in each["kind"]] == []
