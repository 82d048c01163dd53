"""Profiles and the register are read whole or refused with file, key and what is allowed."""

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from edged.bays.profiles import load_profiles, zone_of
from edged.bays.register import Register, RegisteredOfficer, RegisteredRecorder, load_register
from edged.errors import ConfigError, MalformedError
from edged.evidence.ids import OfficerId, RecorderId

SHIPPED = Path(__file__).parents[2] / "config" / "recorders"
PROFILES = load_profiles(SHIPPED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "recorders"))


@pytest.fixture
def edited(folder: Path) -> Callable[[str, str, str], Path]:
    def replace(name: str, old: str, new: str) -> Path:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
        return folder

    return replace


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_profiles(folder)
    return caught.value.message


def test_shipped_profiles_are_the_three() -> None:
    assert [profile.id for profile in PROFILES] == ["dcim", "gat947", "sidecar"]


@pytest.mark.parametrize(
    ("profile", "path", "fits"),
    [
        ("gat947", "20261121/A1B2C3D_100234_20261121080000_0001.MP4", True),
        ("gat947", "20261121/A1B2C3D_100234_20261121080000_0001_IMP.MP4", True),
        ("gat947", "20261121/A1B2C3D_100234_20261121080000_0001.JPG", True),
        ("gat947", "20261121/A1B2C3D_100234_20261121080000_0001.WAV", True),
        ("gat947", "A1B2C3D_100234_20261121080000_0001.MP4", False),
        ("gat947", "20261121/A1B2C3D_100234_20261121080000_0001.MP4.exe", False),
        ("gat947", "20261121/A1B2C3D_１００２３４_20261121080000_0001.MP4", False),
        ("dcim", "DCIM/100MEDIA/VID_20261121_080000_0001.MP4", True),
        ("dcim", "DCIM/100MEDIA/VID_20261121_080000_0001.MP4%0A", False),
        ("sidecar", "VIDEO/20261121/080000_00001.MP4", True),
        ("sidecar", "VIDEO/20261121/080000_00001L.MP4", True),
        ("sidecar", "GPS/20261121/080000_00001.NMEA", True),
        ("sidecar", "LOG/20261121.LOG", True),
        ("sidecar", "DEVICE.INI", False),
    ],
)
def test_shipped_patterns_fit_their_layouts_only(profile: str, path: str, *, fits: bool) -> None:
    fitting = [known.id for known in PROFILES if known.match(path)]
    assert fitting == ([profile] if fits else [])


def test_footage_is_known_by_its_extension_in_any_case() -> None:
    gat947 = PROFILES[1]
    assert gat947.is_media("a/b.Mp4")
    assert not gat947.is_media("a.mp4/b")
    assert not gat947.is_media("notes.txt")


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("dcim.toml", "(VID|", "((VID|", ["dcim.toml", "layout.0.pattern", "regular expression"]),
        ("dcim.toml", "?P<year>", "?P<jahr>", ["layout.0.pattern", "not jahr", "year"]),
        ("dcim.toml", "(?P<day>[0-9]{2})", "", ["layout.0.pattern", "day, month, year only all together"]),
        ("dcim.toml", 'zone = "station"', 'zone = "Mars/Olympus"', ["zone is 'Mars/Olympus'", "+08:00"]),
        ("dcim.toml", '"folder-name"', '"face"', ["identity.0 is 'face'", "folder-name"]),
        ("dcim.toml", 'identity = ["folder-name"]', "identity = []", ["identity"]),
        ("dcim.toml", 'identity = ["folder-name"]', 'identity = ["file-name"]', ["group device"]),
        ("dcim.toml", 'identity = ["folder-name"]', 'identity = ["id-file"]', ["id_file"]),
        ("dcim.toml", "remove_empty_folders = false", "", ["remove_empty_folders is missing"]),
        ("dcim.toml", "remove_empty_folders = false", "remove_empty_folders = 0", ["remove_empty_folders is 0"]),
        ("dcim.toml", "usb = []", 'usb = ["0951"]', ["usb.0"]),
        ("dcim.toml", "usb = []", "wipe = true", ["wipe is not a key"]),
        ("dcim.toml", 'id = "dcim"', 'id = "gat947"', ["gat947.toml", "id is 'gat947'", "no other profile"]),
        ("sidecar.toml", '"DEVICE.INI"', '"../DEVICE.INI"', ["id_file.path", "below the card's root"]),
        ("sidecar.toml", 'side_of = "video"', 'side_of = "film"', ["side_of of 'positions'"]),
        ("sidecar.toml", "([A-Za-z0-9._-]{1,64})", "[A-Z]", ["id_file.serial", "exactly one group"]),
        ("sidecar.toml", "zone = '^", "# zone = '^", ['zone "recorder" only']),
        ("sidecar.toml", "media = [", "media = ", ["sidecar.toml", "TOML"]),
    ],
)
def test_wrong_profile_is_refused_with_its_key(
    edited: Callable[[str, str, str], Path], name: str, old: str, new: str, said: list[str]
) -> None:
    message = refusal(edited(name, old, new))
    assert [words for words in said if words not in message] == []


def test_folder_without_profiles_is_refused(tmp_path: Path) -> None:
    assert "no recorder profile" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "hours"), [("Asia/Shanghai", 8.0), ("+05:30", 5.5), ("-03:00", -3.0), ("Z", 0.0), ("UTC", 0.0)]
)
def test_zones_by_name_and_by_offset(text: str, hours: float) -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC).astimezone(zone_of(text))
    assert moment.utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text",
    ["", "Asia", "../../etc/passwd", "/etc/passwd", "Mars/Olympus", "+25:00", "+8", "x" * 65, "Asia/\0", "亚洲"],
)
def test_zone_from_a_card_never_becomes_a_path_or_a_crash(text: str) -> None:
    with pytest.raises(MalformedError):
        zone_of(text)


REGISTER = """
[[recorder]]
id = "cam-1"
profile = "gat947"
serial = "A1B2C3D"
officer = "100234"

[[recorder]]
id = "cam-2"
profile = "dcim"
serial = "A1B2C3D"
vendor = "Maker"
model = "M1"

[[officer]]
id = "100234"
valid_from = 2026-01-01
valid_until = 2026-12-31
"""


def test_register_finds_by_profile_and_serial(tmp_path: Path) -> None:
    (tmp_path / "register.toml").write_text(REGISTER)
    register = load_register(tmp_path / "register.toml", PROFILES)
    found = register.find("dcim", "A1B2C3D")
    assert found is not None
    assert (found.id, found.vendor, found.officer) == ("cam-2", "Maker", None)
    assert register.find("sidecar", "A1B2C3D") is None
    officer = register.officer(OfficerId("100234"))
    assert officer is not None
    assert [
        officer.qualified_on(date(year, month, day))
        for year, month, day in [(2025, 12, 31), (2026, 1, 1), (2026, 12, 31), (2027, 1, 1)]
    ] == [False, True, True, False]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "cam-2"', 'id = "cam-1"', "recorder id may stand only once"),
        ('profile = "dcim"', 'profile = "gat947"', "serial number of one profile may stand only once"),
        ('officer = "100234"', 'officer = "100235"', "'cam-1'"),
        ('profile = "dcim"', 'profile = "film"', "recorder.1.profile is 'film'; allowed: dcim, gat947, sidecar"),
        ('id = "cam-2"', 'id = "cam 2"', "recorder.1.id is 'cam 2'"),
        ("valid_until = 2026-12-31", "valid_until = 2025-12-31", "valid_from"),
        ('serial = "A1B2C3D"', "serial = 7", "recorder.0.serial is 7"),
        ('vendor = "Maker"', 'colour = "red"', "recorder.1.colour"),
        ("[[officer]]\n", '[[officer]]\nid = "100234"\n[[officer]]\n', "officer id may stand only once"),
    ],
)
def test_wrong_register_is_refused_with_its_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "register.toml"
    path.write_text(REGISTER.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_register(path, PROFILES)
    assert str(path) in caught.value.message
    assert said in caught.value.message


def test_register_can_be_made_in_code() -> None:
    recorder = RegisteredRecorder(id=RecorderId("cam-1"), profile="dcim", serial="1")
    officer = RegisteredOfficer(id=OfficerId("100234"))
    register = Register(recorders=(recorder,), officers=(officer,))
    assert register.find("dcim", "1") is recorder
    assert officer.qualified_on(date(2026, 1, 1))
