"""Cards are planned repeatably, written whole, and look as the vendor's do."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edged.bays.profiles import load_profiles
from edged.errors import StorageError, ToolError, UsageError
from hwsim.cards import Card, CardFile, Filmed, Written, files_on, write_card
from hwsim.layouts import LAYOUTS
from hwsim.layouts.layout import Worn
from hwsim.layouts.nmea import sentence
from hwsim.quick import QuickCamera, quick_card
from hwsim.script import AWKWARD_NAMES, Feature, Order, plan
from hwsim.video import Format, Take

START = datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
WORN = Worn(device="EG01234", officer="138001", zone=ZoneInfo("Asia/Shanghai"))


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> QuickCamera:
    return QuickCamera(tmp_path_factory.mktemp("clips"))


def order(layout: str = "gat947", features: tuple[Feature, ...] = (), **changes: Any) -> Order:
    values: dict[str, Any] = {"layout": layout, "worn": WORN, "start": START}
    return Order(**(values | {"features": frozenset(features)} | changes))


def paths(card: Card) -> list[str]:
    return [os.fsdecode(file.path) for file in card.files]


def numbers(card: Card) -> list[int]:
    found = (re.search(r"_(\d{4})(?:_IMP)?\.MP4$", path) for path in paths(card))
    return [int(match[1]) for match in found if match]


def test_the_same_order_gives_the_same_card() -> None:
    features = tuple(Feature)
    assert plan(order(features=features)) == plan(order(features=features))
    assert plan(order(features=features, seed=2)) != plan(order(features=features))


def test_a_gat947_card_names_device_officer_time_and_mark() -> None:
    card = plan(order(features=(Feature.IMPORTANT,)))
    pattern = re.compile(r"20261121/EG01234_138001_20261121\d{6}_\d{4}(_IMP)?\.(MP4|JPG|WAV)")
    assert all(pattern.fullmatch(path) for path in paths(card))
    assert [Path(path).suffix for path in paths(card)] == [".MP4"] * 4 + [".JPG", ".WAV"]
    assert sum("_IMP" in path for path in paths(card)) == 1
    assert "_20261121083000_0001" in paths(card)[0]


def test_a_dcim_card_says_nothing_of_device_and_officer() -> None:
    card = plan(order("dcim", (Feature.IMPORTANT,)))
    pattern = re.compile(r"DCIM/100MEDIA/VID_20261121_\d{6}_\d{4}\.(MP4|MOV)")
    assert all(pattern.fullmatch(path) for path in paths(card))
    assert {Path(path).suffix for path in paths(card)} == {".MP4", ".MOV"}


def test_a_sidecar_card_has_a_track_for_each_video_and_a_log_a_day() -> None:
    card = plan(order("sidecar", (Feature.IMPORTANT,)))
    videos = {Path(path).stem.rstrip("L") for path in paths(card) if path.startswith("VIDEO/20261121/")}
    tracks = {Path(path).stem for path in paths(card) if path.startswith("GPS/20261121/")}
    assert videos == tracks
    assert all(re.fullmatch(r"\d{6}_\d{5}", stem) for stem in videos)
    assert sum(path.endswith("L.MP4") for path in paths(card)) == 1
    assert {"DEVICE.INI", "LOG/20261121.LOG"} <= set(paths(card))
    (ini,) = (file.content for file in card.files if file.path == b"DEVICE.INI")
    assert isinstance(ini, Written)
    assert {b"serial=EG01234", b"officer=138001", b"zone=Asia/Shanghai"} <= set(ini.data.split(b"\r\n"))


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_the_shipped_profile_reads_what_the_recorder_writes(layout: str) -> None:
    shipped = Path(__file__).parents[2] / "config" / "recorders"
    (profile,) = (profile for profile in load_profiles(shipped) if profile.id == layout)
    for path in paths(plan(order(layout, (Feature.IMPORTANT, Feature.EMPTY, Feature.TRUNCATED)))):
        assert profile.match(path) or profile.names_itself_by(path), path


def test_a_day_over_midnight_has_two_folders_and_two_logs() -> None:
    late = datetime(2026, 11, 21, 15, 59, 50, tzinfo=UTC)
    card = plan(order("sidecar", start=late))
    assert {"LOG/20261121.LOG", "LOG/20261122.LOG"} <= set(paths(card))


def test_position_sentences_have_valid_checksums_and_walk() -> None:
    assert sentence("GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W") == (
        "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A"
    )
    card = plan(order("sidecar", seconds=20))
    track = next(f.content for f in card.files if f.path.endswith(b".NMEA"))
    assert isinstance(track, Written)
    lines = track.data.decode("ascii").splitlines()
    assert len(lines) == 40
    assert all(sentence(line[1:-3]) == line for line in lines)
    fixes = [line.split(",") for line in lines if line.startswith("$GPRMC")]
    assert [fix[1] for fix in fixes] == [f"0030{second:02}.00" for second in range(20)]
    assert {fix[9] for fix in fixes} == {"211126"}
    latitudes = [float(fix[3]) for fix in fixes]
    assert all(abs(b - a) < 0.002 for a, b in pairwise(latitudes))
    assert len(set(latitudes)) > 1


def test_joined_segments_are_cuts_of_one_take_that_continue_each_other() -> None:
    card = plan(order(features=(Feature.JOINED,)))
    joined = [file for file in card.files[:3] if isinstance(file.content, Filmed)]
    assert len({file.content.take for file in joined if isinstance(file.content, Filmed)}) == 1
    assert [file.modified - card.files[0].modified for file in joined] == [
        timedelta(seconds=15 * cut) for cut in range(3)
    ]
    assert [re.search(r"_(\d{14})_", path)[1] for path in paths(card)[:3]] == [  # type: ignore[index]
        "20261121083000",
        "20261121083015",
        "20261121083030",
    ]


def test_a_gap_leaves_one_number_out() -> None:
    assert numbers(plan(order())) == [1, 2, 3, 4]
    assert numbers(plan(order(features=(Feature.GAP,)))) == [1, 2, 3, 5]


def test_drift_moves_names_file_times_and_burned_in_time_together() -> None:
    right, wrong = plan(order()).files[0], plan(order(features=(Feature.DRIFT,))).files[0]
    drift = wrong.modified - right.modified
    assert timedelta(seconds=60) <= abs(drift) <= timedelta(seconds=180)
    assert isinstance(right.content, Filmed)
    assert isinstance(wrong.content, Filmed)
    assert wrong.content.take.began - right.content.take.began == drift
    assert right.path != wrong.path


def test_every_awkward_name_is_on_the_card(tmp_path: Path, camera: QuickCamera) -> None:
    write_card(plan(order(features=(Feature.AWKWARD,), segments=1)), tmp_path / "card", camera)
    names = {path.rpartition(b"/")[2] for path in files_on(tmp_path / "card")}
    assert set(AWKWARD_NAMES) <= names
    assert max(map(len, names)) == 255


def test_a_card_with_everything_is_written(tmp_path: Path, camera: QuickCamera) -> None:
    root = tmp_path / "card"
    card = plan(order(features=tuple(Feature)))
    write_card(card, root, camera)
    sizes = {path: (root / os.fsdecode(path)).stat().st_size for path in files_on(root)}
    assert 0 in sizes.values()
    assert max(sizes.values()) > 20 * 1024 * 1024
    for file in card.files:
        here = root / os.fsdecode(file.path)
        assert here.lstat().st_mtime == file.modified.timestamp()
    kinds = {stat.S_IFMT((root / os.fsdecode(f.path)).lstat().st_mode) for f in card.files}
    assert kinds == {stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO}
    copy = next(path for path in sizes if path.startswith(b"COPY/"))
    first = root / os.fsdecode(card.files[0].path)
    assert (root / os.fsdecode(copy)).read_bytes() == first.read_bytes()


def test_files_of_a_quick_card_differ_from_each_other(tmp_path: Path, camera: QuickCamera) -> None:
    write_card(plan(order(features=(Feature.JOINED,))), tmp_path / "card", camera)
    contents = {(tmp_path / "card" / os.fsdecode(path)).read_bytes() for path in files_on(tmp_path / "card")}
    assert len(contents) == 6


def test_one_quick_camera_serves_several_threads(tmp_path: Path) -> None:
    camera = QuickCamera(tmp_path / "clips")
    with ThreadPoolExecutor(8) as pool:
        clips = set(pool.map(camera.clip, [Format.MP4] * 8))
    assert list((tmp_path / "clips").iterdir()) == list(clips)


def test_a_card_is_whole_or_not_there(tmp_path: Path, camera: QuickCamera) -> None:
    class Broken:
        def film(self, take: Take, into: Path) -> tuple[Path, ...]:
            if take.seed % 2:
                raise ToolError("the lens fell off")
            return camera.film(take, into)

    with pytest.raises(ToolError, match="the lens fell off"):
        write_card(plan(order(segments=8)), tmp_path / "card", Broken())
    assert list(tmp_path.iterdir()) == []


def test_a_card_never_replaces_anything(tmp_path: Path, camera: QuickCamera) -> None:
    (tmp_path / "card").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        write_card(plan(order()), tmp_path / "card", camera)


def test_a_disk_that_refuses_is_told_in_a_sentence(tmp_path: Path, camera: QuickCamera) -> None:
    when = datetime(2026, 11, 21, tzinfo=UTC)
    too_long = CardFile(path=b"n" * 256, content=Written(data=b""), modified=when)
    with pytest.raises(StorageError, match="cannot be written"):
        write_card(Card(files=(too_long,)), tmp_path / "card", camera)
    assert list(tmp_path.iterdir()) == []


def test_a_card_of_given_files_needs_no_camera(tmp_path: Path) -> None:
    quick_card(tmp_path / "card", {b"a/b.MP4": b"x", b"c\xff": b""})
    assert files_on(tmp_path / "card") == (b"a/b.MP4", b"c\xff")


@pytest.mark.parametrize("wrong", [{"layout": "vhs"}, {"segments": 0}, {"seconds": 0}])
def test_an_impossible_order_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        plan(order(**wrong))
