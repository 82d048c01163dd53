"""Films are real, repeatable, and show the recorder's time."""

import json
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from edged.errors import MalformedError, ToolError
from hwsim import video
from hwsim.damage import Damage, damaged, mp4_boxes
from hwsim.video import Camera, FfmpegCamera, Format, Take, find_camera

BEGAN = datetime(2026, 11, 21, 8, 30, tzinfo=timezone(timedelta(hours=8)))


def take(wanted: Format = Format.MP4, **changes: Any) -> Take:
    values: dict[str, Any] = {"format": wanted, "began": BEGAN, "seconds": 1, "caption": "EG01234", "seed": 7}
    return Take(**(values | changes))


def film(take: Take, folder: Path, camera: Camera | None = None) -> tuple[Path, ...]:
    folder.mkdir(parents=True)
    return (camera or find_camera()).film(take, folder)


def probe(file: Path) -> Any:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", str(file)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def pixels(file: Path, crop: str) -> bytes:
    command = ["ffmpeg", "-v", "error", "-i", str(file), "-vf", f"crop={crop},format=gray", "-frames:v", "1"]
    done = subprocess.run([*command, "-f", "rawvideo", "-"], check=True, capture_output=True)
    return done.stdout


@pytest.mark.parametrize(
    ("wanted", "codecs"),
    [
        (Format.MP4, ["h264", "aac"]),
        (Format.HEVC, ["hevc", "aac"]),
        (Format.MOV, ["h264", "pcm_s16le"]),
        (Format.MJPEG, ["mjpeg", "pcm_s16le"]),
        (Format.WAV, ["pcm_s16le"]),
    ],
)
def test_a_film_is_real_media_of_its_format(tmp_path: Path, wanted: Format, codecs: list[str]) -> None:
    (file,) = film(take(wanted), tmp_path / "film")
    facts = probe(file)
    assert [stream["codec_name"] for stream in facts["streams"]] == codecs
    assert float(facts["format"]["duration"]) == pytest.approx(1, abs=0.05)
    assert file.suffix == wanted.suffix


def test_a_photo_is_one_picture(tmp_path: Path) -> None:
    (file,) = film(take(Format.JPG), tmp_path / "film")
    assert file.read_bytes().startswith(b"\xff\xd8\xff")
    assert probe(file)["streams"][0]["width"] == 640


def test_a_container_carries_the_recorders_time(tmp_path: Path) -> None:
    (file,) = film(take(), tmp_path / "film")
    assert probe(file)["format"]["tags"]["creation_time"] == "2026-11-21T00:30:00.000000Z"


def test_the_same_take_gives_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        film(take(seed=seed), tmp_path / name)[0].read_bytes()
        for seed, name in ((7, "first"), (7, "again"), (8, "other"))
    )
    assert first == again
    assert first != other


def test_the_recorders_local_time_is_burned_in(tmp_path: Path) -> None:
    same_wall_clock = BEGAN.replace(tzinfo=UTC)
    later = BEGAN + timedelta(hours=3)
    shown = {
        name: pixels(film(take(began=began), tmp_path / name)[0], "250:60:0:0")
        for name, began in (("now", BEGAN), ("same", same_wall_clock), ("later", later))
    }
    assert shown["now"] == shown["same"]
    assert shown["now"] != shown["later"]


def test_a_cut_recording_continues_from_file_to_file(tmp_path: Path) -> None:
    files = film(take(seconds=2, cuts=3), tmp_path / "film")
    assert [file.name for file in files] == ["0000.MP4", "0001.MP4", "0002.MP4"]
    for file in files:
        assert float(probe(file)["format"]["duration"]) == pytest.approx(2, abs=0.05)
    whole = film(take(seconds=6), tmp_path / "whole")[0]
    # The time burned into the second file is that of the whole recording two seconds in.
    there = subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-ss",
            "2",
            "-i",
            str(whole),
            "-vf",
            "crop=250:60:0:0,format=gray",
            "-frames:v",
            "1",
            "-f",
            "rawvideo",
            "-",
        ],
        check=True,
        capture_output=True,
    ).stdout
    here = pixels(files[1], "250:60:0:0")
    assert sum(abs(a - b) for a, b in zip(here, there, strict=True)) / len(here) < 4


def test_a_large_take_has_more_than_20_mib(tmp_path: Path) -> None:
    (file,) = film(take(seconds=12, large=True), tmp_path / "film")
    assert 20 * 1024 * 1024 < file.stat().st_size < 40 * 1024 * 1024


def test_only_what_can_be_cut_is_cut(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="Motion JPEG"):
        film(take(Format.MJPEG, cuts=2), tmp_path / "film")


def test_a_folder_with_the_letters_of_filter_syntax_is_no_trouble(tmp_path: Path) -> None:
    (file,) = film(take(), tmp_path / "it's 50%: [a],b;c\\d=e")
    assert probe(file)["streams"]


def test_a_missing_font_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_FONTS", (Path("/nowhere/DejaVu.ttf"),))
    with pytest.raises(ToolError, match=r"/nowhere/DejaVu\.ttf") as caught:
        find_camera()
    assert "fonts-dejavu-core" in caught.value.hint


def test_a_missing_ffmpeg_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="ffmpeg is not installed"):
        find_camera()


@pytest.mark.parametrize(
    ("program", "words"), [("/bin/false", "exit code 1"), ("/nowhere/ffmpeg", "cannot be started")]
)
def test_a_failing_ffmpeg_is_told(tmp_path: Path, program: str, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        film(take(), tmp_path / "film", FfmpegCamera(Path(program), tmp_path / "font.ttf"))


def test_a_truncated_film_has_lost_its_index(tmp_path: Path) -> None:
    (file,) = film(take(), tmp_path / "film")
    whole = file.read_bytes()
    cut = damaged(whole, Damage.TRUNCATED, 1)
    assert whole.startswith(cut)
    assert [name for name, _, _ in mp4_boxes(whole)] == [b"ftyp", b"free", b"mdat", b"moov"]
    assert b"moov" not in [name for name, _, _ in mp4_boxes(cut)]
    file.write_bytes(cut)
    failed = subprocess.run(["ffprobe", "-v", "error", str(file)], check=False, capture_output=True)
    assert failed.returncode != 0
    assert b"moov atom not found" in failed.stderr


def test_a_file_without_index_cannot_lose_it() -> None:
    with pytest.raises(MalformedError):
        damaged(b"\0\0\0\x08ftyp\0\0\0\x08moov\0\0\0\x08mdat", Damage.TRUNCATED, 1)


def test_a_corrupted_film_keeps_its_length_and_is_repeatable(tmp_path: Path) -> None:
    (file,) = film(take(), tmp_path / "film")
    whole = file.read_bytes()
    garbled = damaged(whole, Damage.CORRUPTED, 5)
    assert len(garbled) == len(whole)
    assert garbled != whole
    assert garbled == damaged(whole, Damage.CORRUPTED, 5)
    assert damaged(b"", Damage.CORRUPTED, 5) == b""
