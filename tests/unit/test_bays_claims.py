"""Names are claims: read as the recorder wrote them, and never a reason to lose a file."""

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from edged.bays.claims import FileClaims, describe
from edged.bays.inventory import Item
from edged.bays.profiles import Profile, load_profiles
from edged.errors import MalformedError

PROFILES: dict[str, Profile] = {
    profile.id: profile for profile in load_profiles(Path(__file__).parents[2] / "config" / "recorders")
}
MODIFIED_NS = 1_795_248_000_000_000_000
"""2026-11-21 16:00:00 in Shanghai."""


def items(*paths: str, modified_ns: int | None = MODIFIED_NS) -> list[Item]:
    return [Item(path=path, kind="file", size_bytes=1, modified_ns=modified_ns) for path in paths]


def claims(profile: str, path: str, zone: str = "Asia/Shanghai") -> FileClaims:
    return describe(items(path), PROFILES[profile], zone)[path]


def test_gat947_name_claims_everything() -> None:
    claim = claims("gat947", "20261121/A1B2C3D_100234_20261121080000_0007_IMP.MP4")
    assert (claim.device, claim.officer, claim.sequence, claim.important) == ("A1B2C3D", "100234", 7, True)
    assert claim.started is not None
    assert claim.started.isoformat() == "2026-11-21T08:00:00+08:00"
    assert (claim.ended, claim.zone, claim.source, claim.uncertainty_ms) == (None, "Asia/Shanghai", "filename", 1000)
    assert claim.is_media
    assert claim.side_of is None


def test_unimportant_dcim_name_claims_start_and_sequence() -> None:
    claim = claims("dcim", "DCIM/100MEDIA/VID_20261121_235959_0001.MP4", "+08:00")
    assert claim.started == datetime(2026, 11, 21, 23, 59, 59, tzinfo=timezone(timedelta(hours=8)))
    assert (claim.device, claim.officer, claim.sequence, claim.important) == (None, None, 1, False)


@pytest.mark.parametrize(
    "path",
    [
        "notes.txt",
        "20261121/A1B2C3D_100234_20261321080000_0001.MP4",
        "20261121/A1B2C3D_100234_00000000000000_0001.MP4",
        "20261121/A1B2C3D_100234_20260230080000_0001.MP4",
        "20261121/A1B2C3D_100234_20261121246060_0001.MP4",
        "20261121/A1B2C3D_100234_18000101000000_0001.MP4",
    ],
)
def test_name_without_a_possible_start_claims_the_time_of_last_change_as_its_end(path: str) -> None:
    claim = claims("gat947", path)
    assert claim.started is None
    assert claim.ended is not None
    assert claim.ended.isoformat() == "2026-11-21T16:00:00+08:00"
    assert (claim.source, claim.uncertainty_ms) == ("mtime", 2000)


def test_impossible_date_takes_nothing_else_of_the_name() -> None:
    claim = claims("gat947", "20261121/A1B2C3D_100234_20261321080000_0009.MP4")
    assert (claim.device, claim.officer, claim.sequence) == ("A1B2C3D", "100234", 9)


def test_date_without_a_time_of_day_is_no_start() -> None:
    assert claims("sidecar", "LOG/20261121.LOG").started is None


@pytest.mark.parametrize("modified_ns", [None, 2**63 - 1, -(2**70), 253_402_300_800 * 10**9, sys.maxsize**2])
def test_time_of_last_change_beyond_all_calendars_is_no_claim(modified_ns: int | None) -> None:
    (claim,) = describe(items("a", modified_ns=modified_ns), PROFILES["gat947"], "UTC").values()
    assert claim.started is None
    assert claim.source == "mtime"


def test_hour_that_occurs_twice_is_an_hour_less_certain() -> None:
    path = "DCIM/100MEDIA/VID_20261025_023000_0001.MP4"
    assert claims("dcim", path, "Europe/Berlin").uncertainty_ms == 3_601_000
    assert claims("dcim", path, "Asia/Shanghai").uncertainty_ms == 1_000


def test_side_file_finds_the_locked_video_of_its_start_and_sequence() -> None:
    paths = [
        "DEVICE.INI",
        "GPS/20261121/080000_00001.NMEA",
        "GPS/20261121/081500_00002.NMEA",
        "GPS/20261121/083000_00003.NMEA",
        "VIDEO/20261121/080000_00001.MP4",
        "VIDEO/20261121/081500_00002L.MP4",
        "VIDEO/20261122/083000_00003.MP4",
    ]
    found = describe(items(*paths), PROFILES["sidecar"], "Asia/Shanghai")
    assert {path: claim.side_of for path, claim in found.items() if claim.side_of} == {
        "GPS/20261121/080000_00001.NMEA": "VIDEO/20261121/080000_00001.MP4",
        "GPS/20261121/081500_00002.NMEA": "VIDEO/20261121/081500_00002L.MP4",
    }
    assert [path for path, claim in found.items() if claim.important] == ["VIDEO/20261121/081500_00002L.MP4"]
    assert not found["DEVICE.INI"].is_media


def test_side_file_of_two_possible_videos_belongs_to_none() -> None:
    paths = (
        "GPS/20261121/080000_00001.NMEA",
        "VIDEO/20261121/080000_00001.MP4",
        "VIDEO/20261121/080000_00001L.MP4",
    )
    assert describe(items(*paths), PROFILES["sidecar"], "UTC")[paths[0]].side_of is None


def test_only_files_claim_anything() -> None:
    folder = Item(path="DCIM", kind="folder", size_bytes=None, modified_ns=0)
    link = Item(path="link.mp4", kind="other", size_bytes=None, modified_ns=0)
    assert describe([folder, link], PROFILES["dcim"], "UTC") == {}


def test_zone_that_is_none_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(MalformedError):
        describe([], PROFILES["dcim"], "Mars/Olympus")
