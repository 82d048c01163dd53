"""A recorder's clock at docking: measured once and truly, compared with earlier dockings, contradictions told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from edged.bays.claims import FileClaims
from edged.bays.inventory import Filesystem, take_inventory
from edged.bays.profiles import ContainerTime
from edged.bays.recognise import Recognised
from edged.bays.recorder_clock import ClockReading
from edged.bays.register import RegisteredRecorder
from edged.bays.safe_files import Root
from edged.bays.source import Docked, Plugged
from edged.clock import rfc3339
from edged.evidence import bodies
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import BayId, DockingId, RecorderId, SegmentId, StationId
from edged.media.facts import MediaFacts
from edged.station.assembly import build
from edged.station.creation import NewStation, create
from edged.station.parts import Parts
from edged.station.recorder_clock import OFF_MS, clock_anomalies, contradictions, measure
from tests.unit.test_station_clock import NEVER, Scripted

DOCKING = DockingId("dk-20261122-00000001")
RECORDER = RecorderId("rec-1")
SEGMENT = SegmentId("sg-" + "0" * 32)


@pytest.fixture
def clock() -> Scripted:
    return Scripted()


@pytest.fixture
def parts(tmp_path: Path, clock: Scripted) -> Iterator[Parts]:
    places = {"config": tmp_path / "config", "state": tmp_path / "state", "root_key": tmp_path / "root.key"}
    create(NewStation(station=StationId("st-01"), domain="example.org", zone="Asia/Shanghai", **places), clock)
    parts = build(tmp_path / "config", clock)
    yield parts
    parts.book.close()


@pytest.fixture
def card(tmp_path: Path) -> Path:
    (tmp_path / "card/LOG").mkdir(parents=True)
    return tmp_path / "card"


def connected(card: Path, moment: datetime) -> None:
    with (card / "LOG/20261122.LOG").open("a") as file:
        file.write(f"{moment + timedelta(hours=8):%Y-%m-%d %H:%M:%S} USB CONNECTED\r\n")


def recognised(parts: Parts) -> Recognised:
    (profile,) = (each for each in parts.profiles if each.id == "sidecar")
    recorder = RegisteredRecorder(id=RECORDER, profile="sidecar", serial="SC-1")
    return Recognised(recorder=recorder, profile=profile, officer=None, zone=None)


def reading(parts: Parts, card: Path, came: tuple[float, float] | None = None) -> ClockReading | None:
    """Measure the clock of a card that came between two moments; between three and one seconds ago."""
    ticks = parts.clock.monotonic()
    earliest, latest = came or (ticks - 3, ticks - 1)
    root = Root.at(card)
    docked = Docked(
        bay=BayId("bay-1"),
        root=root,
        hint="x",
        filesystem=Filesystem(type="exfat", label=None, serial=None),
        plugged=Plugged(earliest=earliest, latest=latest),
    )
    return measure(parts, docked, recognised(parts), take_inventory(root, NEVER).items)


def dock(
    parts: Parts, card: Path, *, offset_ms: int | None = None, uncertainty_ms: int = 1000, was_set: bool = False
) -> None:
    """Write a docking of the recorder, with the inventory of the card."""
    name = DockingId(f"dk-{parts.book.ledger.last_position()}")
    filesystem = Filesystem(type="exfat", label=None, serial=None)
    document = take_inventory(Root.at(card), NEVER).document(name, filesystem)
    parts.book.ledger.append(
        bodies.Docking(
            docking=name,
            bay="bay-1",
            recorder=bodies.RecorderInfo(id=RECORDER, vendor="V", model="M", serial="SC-1", known=True),
            officer=None,
            inventory_sha256=sha256_hex(document),
            files=1,
            bytes=1,
            clock_offset_ms=offset_ms,
            clock_uncertainty_ms=None if offset_ms is None else uncertainty_ms,
            clock_set=was_set,
            missing=0,
        ),
        documents=[document],
    )


def measured(offset_ms: int, uncertainty_ms: int = 1000) -> ClockReading:
    moment = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
    return ClockReading(
        offset_ms=offset_ms,
        uncertainty_ms=uncertainty_ms,
        way="log",
        path="LOG/20261122.LOG",
        claimed=moment,
        earliest=moment,
        latest=moment,
    )


def told(parts: Parts, found: ClockReading | None) -> list[str]:
    return [each.kind for each in clock_anomalies(parts, DOCKING, RECORDER, found)]


def test_a_clock_is_measured_at_its_docking_in_the_zone_of_the_station(
    parts: Parts, card: Path, clock: Scripted
) -> None:
    connected(card, clock.wall + timedelta(seconds=60))
    found = reading(parts, card)
    assert found is not None
    assert abs(found.offset_ms - 62_500) <= found.uncertainty_ms < 4_000


def test_a_log_that_is_as_it_was_at_the_last_docking_measures_nothing(
    parts: Parts, card: Path, clock: Scripted
) -> None:
    connected(card, clock.wall)
    dock(parts, card)
    clock.go(86_400)
    assert reading(parts, card) is None
    connected(card, clock.wall)
    assert reading(parts, card) is not None


def test_it_is_measured_once_however_often_its_docking_has_to_begin(parts: Parts, card: Path, clock: Scripted) -> None:
    connected(card, clock.wall)
    ticks = clock.steady
    clock.go(2)
    dock(parts, card)
    clock.go(3600)
    # Something was written while it lay here: that is no time of its connection.
    connected(card, clock.wall)
    assert reading(parts, card, came=(ticks - 1, ticks)) is None
    assert reading(parts, card) is not None


def test_a_clock_that_was_not_measured_is_not_out_of_order(parts: Parts, card: Path) -> None:
    dock(parts, card, offset_ms=-500_000)
    assert told(parts, None) == []


@pytest.mark.parametrize(
    ("offset_ms", "kinds"),
    [
        (0, []),
        (OFF_MS + 1000, []),
        (OFF_MS + 1001, ["recorder-clock-off"]),
        (-OFF_MS - 1000, []),
        (-OFF_MS - 1001, ["recorder-clock-off"]),
    ],
)
def test_a_clock_is_off_only_beyond_doubt(parts: Parts, offset_ms: int, kinds: list[str]) -> None:
    assert told(parts, measured(offset_ms)) == kinds


def test_a_clock_that_goes_wrong_by_more_than_three_seconds_a_day_drifts(
    parts: Parts, card: Path, clock: Scripted
) -> None:
    for day in range(5):
        dock(parts, card, offset_ms=day * 5_000)
        clock.go(86_400)
    (found,) = clock_anomalies(parts, DOCKING, RECORDER, measured(25_000))
    assert (found.kind, found.docking) == ("recorder-clock-drifts", DOCKING)
    assert found.subject == bodies.Subject(kind="recorder", id=RECORDER)
    assert found.detail == {
        "offset_ms": 25_000,
        "uncertainty_ms": 1_000,
        "since": rfc3339(clock.wall - timedelta(days=5)),
        "least_a_day_ms": 4_600,
        "most_a_day_ms": 5_400,
        "readings": 6,
    }
    assert told(parts, measured(23_000)) == ["recorder-clock-drifts"]
    # A reading that says little takes nothing back of what the others show.
    assert told(parts, measured(25_000, uncertainty_ms=20_000)) == ["recorder-clock-drifts"]


def test_a_clock_that_keeps_within_the_standard_is_in_order(parts: Parts, card: Path, clock: Scripted) -> None:
    for day in range(5):
        dock(parts, card, offset_ms=day * 2_900)
        clock.go(86_400)
    assert told(parts, measured(5 * 2_900)) == []


def test_a_clock_that_somebody_set_has_jumped(parts: Parts, card: Path, clock: Scripted) -> None:
    dock(parts, card, offset_ms=0)
    clock.go(86_400)
    assert told(parts, measured(3_600_000)) == ["recorder-clock-off", "recorder-clock-jumped"]
    jumped = clock_anomalies(parts, DOCKING, RECORDER, measured(3_600_000))[1]
    assert (jumped.detail["before_least_ms"], jumped.detail["before_most_ms"]) == (-1_000, 1_000)


def test_setting_it_at_a_docking_is_no_drift(parts: Parts, card: Path, clock: Scripted) -> None:
    dock(parts, card, offset_ms=50_000, was_set=True)
    clock.go(86_400)
    assert told(parts, measured(1_000)) == []


def test_another_recorder_s_dockings_count_for_nothing(parts: Parts, card: Path, clock: Scripted) -> None:
    dock(parts, card, offset_ms=-50_000)
    clock.go(86_400)
    assert clock_anomalies(parts, DOCKING, RecorderId("rec-2"), measured(50_000)) == []


# -- names against containers


def claims(started: datetime | None, means: ContainerTime | None) -> FileClaims:
    return FileClaims(
        device=None,
        officer=None,
        started=started,
        ended=None,
        zone="Asia/Shanghai",
        source="filename",
        uncertainty_ms=1000,
        sequence=None,
        important=False,
        side_of=None,
        is_media=True,
        container_time=means,
    )


def facts(created: datetime | None) -> MediaFacts:
    return MediaFacts(container="mp4", picture=None, sound=None, duration_ms=60_000, creation_time=created)


def test_a_name_that_is_not_the_container_s_time_is_told_with_both() -> None:
    started = datetime(2026, 11, 22, 16, 0, tzinfo=timezone(timedelta(hours=8)))
    created = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
    means = ContainerTime(moment="start")
    (found,) = contradictions(DOCKING, SEGMENT, claims(started, means), "a.mp4", facts(created))
    assert found.kind == "recorded-times-differ"
    assert found.subject == bodies.Subject(kind="segment", id=SEGMENT)
    assert found.detail == {
        "path": "a.mp4",
        "name": "2026-11-22T16:00:00.000+08:00",
        "container": "2026-11-22T07:00:00.000Z",
        "by_ms": -3_600_000,
    }
    agreeing = facts(started.astimezone(UTC))
    assert contradictions(DOCKING, SEGMENT, claims(started, means), "a.mp4", agreeing) == []
    for claimed, known in (
        (claims(None, means), facts(created)),
        (claims(started, None), facts(created)),
        (claims(started, means), facts(None)),
        (claims(started, means), None),
    ):
        assert contradictions(DOCKING, SEGMENT, claimed, "a.mp4", known) == []
