"""A recorder's clock against the station's: the true offset is always inside, and nothing is made of nothing."""

import os
import random
from collections.abc import Container, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from edged.bays.inventory import Filesystem, Item
from edged.bays.profiles import ClockWay, Profile, load_profiles
from edged.bays.recorder_clock import ClockReading, read_clock
from edged.bays.safe_files import RecorderGoneError, Root
from edged.bays.source import DirectorySource, Docked, Plugged
from edged.clock import ClockState, SystemClock
from edged.evidence.ids import BayId
from hwsim.bays import dock
from hwsim.quick import quick_card

PROFILES = {profile.id: profile for profile in load_profiles(Path(__file__).parents[2] / "config/recorders")}
NOW = datetime(2026, 11, 22, 8, 0, 0, 500_000, tzinfo=UTC)
ZONE = "Asia/Shanghai"
TIME = (
    "(?P<year>[0-9]+)-(?P<month>[0-9]+)-(?P<day>[0-9]+) (?P<hour>[0-9]+):(?P<minute>[0-9]+):(?P<second>[0-9]+)"
    "(?P<offset>[+-][0-9:]+)?"
)
STATUS = {"way": "status-file", "path": "STATUS.TXT", "time": f"^time={TIME}$", "within_seconds": 5}
UNIX = {"way": "status-file", "path": "STATUS.TXT", "time": "^unix=(?P<unix>.*)$", "within_seconds": 5}
NEWEST = {"way": "newest-write", "within_seconds": 5, "step_ms": 2000}


class Fixed:
    """A station whose clock shows `NOW`, and 1000 seconds."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 1000.0

    def state(self) -> ClockState:
        return "synchronised"


def profile(*ways: dict[str, Any], name: str = "sidecar") -> Profile:
    return PROFILES[name].model_copy(update={"clock_reading": tuple(ClockWay.model_validate(way) for way in ways)})


def docked(card: Path, plugged: Plugged | None) -> Docked:
    filesystem = Filesystem(type="exfat", label=None, serial=None)
    return Docked(bay=BayId("bay-1"), root=Root.at(card), hint="x", filesystem=filesystem, plugged=plugged)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    card = tmp_path / "card"
    card.mkdir()
    return card


def items(card: Path) -> list[Item]:
    found = []
    for path in sorted(card.rglob("*")):
        if path.is_file():
            status = path.stat()
            name = path.relative_to(card).as_posix()
            found.append(Item(path=name, kind="file", size_bytes=status.st_size, modified_ns=status.st_mtime_ns))
    return found


def read(
    card: Path,
    kind: Profile,
    *,
    ago: tuple[float, float] | None = (3.0, 1.0),
    zone: str = ZONE,
    unchanged: Container[str] = (),
    listed: Sequence[Item] | None = None,
) -> ClockReading | None:
    """Read the clock of a card that came between so many seconds ago."""
    plugged = None if ago is None else Plugged(earliest=1000.0 - ago[0], latest=1000.0 - ago[1])
    found = items(card) if listed is None else listed
    return read_clock(docked(card, plugged), kind, found, zone, Fixed(), unchanged=unchanged)


def log(card: Path, moment: datetime, *, what: str = "USB CONNECTED", day: str = "20261122") -> None:
    (card / "LOG").mkdir(exist_ok=True)
    with (card / "LOG" / f"{day}.LOG").open("a") as file:
        file.write(f"{moment + timedelta(hours=8):%Y-%m-%d %H:%M:%S} {what}\r\n")


def test_the_last_line_of_the_log_is_the_recorder_s_time(card: Path) -> None:
    log(card, NOW - timedelta(hours=4), what="POWER ON")
    log(card, NOW + timedelta(seconds=97))
    reading = read(card, PROFILES["sidecar"])
    assert reading is not None
    # It was written between 5 and 1 seconds ago, and shows 97.0 s from now, cut to whole seconds.
    assert abs(reading.offset_ms - 100_000) <= 1_000
    assert reading.uncertainty_ms == 3_000 + 2
    assert reading.basis == {
        "way": "log",
        "path": "LOG/20261122.LOG",
        "claimed": "2026-11-22T16:01:37.000+08:00",
        "not_before": "2026-11-22T07:59:55.500Z",
        "not_after": "2026-11-22T07:59:59.500Z",
    }


def test_the_true_offset_is_always_within_the_uncertainty(card: Path) -> None:
    chance = random.Random(5)
    for _ in range(200):
        offset = timedelta(milliseconds=chance.randint(-200_000, 200_000))
        earliest = chance.uniform(0, 20)
        latest = chance.uniform(0, earliest)
        written = NOW - timedelta(seconds=chance.uniform(latest, earliest + 5))
        shown = written + offset
        shown = shown.replace(microsecond=0) if chance.random() < 0.5 else shown + timedelta(microseconds=500_000)
        (card / "STATUS.TXT").write_text(f"time={shown:%Y-%m-%d %H:%M:%S}+00:00\n")
        reading = read(card, profile(STATUS), ago=(earliest, latest))
        assert reading is not None
        assert abs(reading.offset_ms - offset / timedelta(milliseconds=1)) <= reading.uncertainty_ms
        assert reading.uncertainty_ms <= (earliest - latest + 5) * 500 + 1_003


def test_a_card_that_was_there_before_anybody_looked_tells_nothing(card: Path) -> None:
    log(card, NOW)
    assert read(card, PROFILES["sidecar"], ago=None) is None


def test_a_card_of_which_nobody_knows_within_minutes_when_it_came_tells_nothing(card: Path) -> None:
    log(card, NOW)
    assert read(card, PROFILES["sidecar"], ago=(700.0, 1.0)) is None


def test_a_kind_without_a_way_is_not_read(card: Path) -> None:
    log(card, NOW)
    assert read(card, PROFILES["gat947"]) is None


def test_an_earlier_line_of_the_log_is_not_taken_for_the_last(card: Path) -> None:
    log(card, NOW - timedelta(days=1))
    log(card, NOW - timedelta(hours=1), what="POWER ON")
    assert read(card, PROFILES["sidecar"]) is None


def test_an_older_log_is_not_taken_for_the_newest(card: Path) -> None:
    log(card, NOW)
    log(card, NOW, what="POWER ON", day="20261123")
    assert read(card, PROFILES["sidecar"]) is None


def test_what_was_the_same_at_the_last_docking_was_not_written_at_this_one(card: Path) -> None:
    log(card, NOW - timedelta(days=1))
    assert read(card, PROFILES["sidecar"], unchanged={"LOG/20261122.LOG"}) is None


def test_the_next_way_counts_where_the_first_gives_nothing(card: Path) -> None:
    (card / "STATUS.TXT").write_text("unix=1795334400\n")
    reading = read(card, profile(STATUS, UNIX))
    assert reading is not None
    assert reading.claimed == datetime(2026, 11, 22, 8, 0, 0, tzinfo=UTC)


def test_the_newest_write_counts_in_the_steps_of_its_file_system(card: Path) -> None:
    for name, seconds in (("A.MP4", -3600.0), ("STATUS.TXT", 60.0)):
        (card / name).write_text("x")
        moment = (NOW + timedelta(seconds=seconds)).timestamp()
        os.utime(card / name, (moment, moment))
    reading = read(card, profile(NEWEST))
    assert reading is not None
    assert reading.path == "STATUS.TXT"
    assert reading.uncertainty_ms == (2_000 + 5_000) // 2 + 2_000 + 2
    assert abs(reading.offset_ms - 64_500) <= 1
    here = read(card, profile(NEWEST | {"path": "A.MP4", "local": True}))
    assert here is not None
    assert here.claimed.isoformat() == "2026-11-22T07:00:00.500000+08:00"


def test_a_clock_that_fell_back_to_its_beginning_is_read_all_the_same(card: Path) -> None:
    (card / "STATUS.TXT").write_text("time=2000-01-01 00:00:09+00:00\n")
    reading = read(card, profile(STATUS))
    assert reading is not None
    assert reading.offset_ms < -26 * 365 * 86_400_000


HOSTILE: list[bytes] = [
    b"",
    b"\x00" * 100_000,
    b"\xff\xfe\xfd",
    b"time=\n",
    b"time=2026-02-30 00:00:00\n",
    b"time=2026-11-22 25:00:00\n",
    b"time=0000-01-01 00:00:00\n",
    b"time=0001-01-01 00:00:00+08:00\n",
    b"time=9999-12-31 23:59:59-14:00\n",
    b"time=" + b"9" * 5000 + b"-01-01 00:00:00\n",
    b"time=99999-01-01 00:00:00\n",
    "time=٢٠٢٦-11-22 08:00:00\n".encode(),
    b"time=2026-11-22 08:00:00+99:99\n",
    b"time=2026-11-22 08:00:00+8\n",
    b"unix=" + b"9" * 5000 + b"\n",
    b"unix=-1\n",
    b"unix=1e9\n",
    "unix=１７９５３３４４００\n".encode(),
    b"unix=99999999999\n",
    b"x" * 10_000 + b"time=2026-11-22 08:00:00\n",
]


@pytest.mark.parametrize("data", HOSTILE, ids=[repr(data[:20]) for data in HOSTILE])
def test_hostile_files_give_a_reading_or_none_and_never_fail(card: Path, data: bytes) -> None:
    (card / "STATUS.TXT").write_bytes(data)
    (card / "LOG").mkdir()
    (card / "LOG/20261122.LOG").write_bytes(data)
    way = {"way": "log", "rule": "log", "time": TIME, "within_seconds": 1}
    for kind in (profile(STATUS), profile(UNIX), profile(way)):
        reading = read(card, kind)
        assert reading is None or abs(reading.offset_ms) < 2**53


def test_a_time_that_the_clocks_show_twice_is_none(card: Path) -> None:
    (card / "STATUS.TXT").write_text("time=2026-10-25 02:30:00\n")
    assert read(card, profile(STATUS), zone="Europe/Berlin") is None
    assert read(card, profile(STATUS), zone=ZONE) is not None


@pytest.mark.parametrize("modified_ns", [10**30, -(10**30), 2**63 - 1, -(2**63), 0, None])
def test_impossible_times_of_last_change_never_fail(card: Path, modified_ns: int | None) -> None:
    (card / "A").write_text("x")
    listed = [Item(path="A", kind="file", size_bytes=1, modified_ns=modified_ns)]
    for local in (False, True):
        reading = read(card, profile(NEWEST | {"local": local}), listed=listed)
        assert reading is None or abs(reading.offset_ms) < 2**53


def test_a_link_out_of_the_card_and_a_pipe_are_not_read(card: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("time=2026-11-22 08:00:00\n")
    (card / "STATUS.TXT").symlink_to(tmp_path / "outside")
    listed = [Item(path="STATUS.TXT", kind="file", size_bytes=25, modified_ns=0)]
    assert read(card, profile(STATUS), listed=listed) is None
    (card / "STATUS.TXT").unlink()
    os.mkfifo(card / "STATUS.TXT")
    assert read(card, profile(STATUS), listed=listed) is None


def test_only_the_end_of_a_huge_log_is_read(card: Path) -> None:
    (card / "LOG").mkdir()
    with (card / "LOG/20261122.LOG").open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
    log(card, NOW)
    assert read(card, PROFILES["sidecar"]) is not None


def test_a_recorder_that_left_is_told(card: Path) -> None:
    log(card, NOW)
    listed = items(card)
    here = docked(card, Plugged(earliest=990.0, latest=999.0))
    card.rename(card.with_name("gone"))
    with pytest.raises(RecorderGoneError):
        read_clock(here, PROFILES["sidecar"], listed, ZONE, Fixed())


@pytest.mark.parametrize("error", [97.0, -180.0, 0.0])
def test_the_clock_of_a_recorder_that_is_docked_is_measured_truly(tmp_path: Path, error: float) -> None:
    """The whole way with real clocks: hwsim docks a card, the source tells of it, the log is read."""
    intake, clock = tmp_path / "bays", SystemClock()
    intake.mkdir()
    told: SimpleQueue[Docked] = SimpleQueue()
    source = DirectorySource(intake, 0.1, told.put, lambda _: None, clock=clock, rescan_seconds=1.0)
    source.start()
    try:
        (intake / "FIRST").mkdir()
        assert told.get(timeout=20).hint == "FIRST"
        quick_card(tmp_path / "card", {b"DEVICE.INI": b"serial=SC-1\nzone=Asia/Shanghai\n"})
        dock(tmp_path / "card", intake / "SC-1", shown=clock.now() + timedelta(seconds=error))
        docked = told.get(timeout=20)
    finally:
        source.stop()
    found = read_clock(docked, PROFILES["sidecar"], items(intake / "SC-1"), ZONE, clock)
    assert found is not None
    assert abs(found.offset_ms - error * 1000) <= found.uncertainty_ms < 60_000


@pytest.mark.parametrize(
    ("way", "allowed"),
    [
        ({"way": "status-file", "path": "A", "within_seconds": 1}, 'path and time with "status-file"'),
        ({"way": "log", "path": "A", "time": TIME, "within_seconds": 1}, 'rule and time with "log"'),
        (NEWEST | {"time": TIME}, "at most path otherwise"),
        (STATUS | {"local": True}, 'local only with "newest-write"'),
        (STATUS | {"path": "../A"}, "below the card's root"),
        (STATUS | {"time": "(?P<hour>x)"}, "with the groups year"),
        (STATUS | {"within_seconds": 601}, "600"),
    ],
)
def test_a_way_that_makes_no_sense_is_refused(way: dict[str, Any], allowed: str) -> None:
    with pytest.raises(ValueError, match=allowed):
        ClockWay.model_validate(way)


def test_a_way_that_names_no_rule_of_its_layout_is_refused() -> None:
    way = {"way": "log", "rule": "diary", "time": TIME, "within_seconds": 1}
    plain = {name: getattr(PROFILES["sidecar"], name) for name in Profile.model_fields}
    with pytest.raises(ValueError, match="rule of clock_reading must name a rule of this layout, not 'diary'"):
        Profile.model_validate(plain | {"clock_reading": (ClockWay.model_validate(way),)})
