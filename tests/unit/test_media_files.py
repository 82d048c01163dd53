"""Probing and derivatives on real files, made here by ffmpeg and looked at by ffprobe outside the sandbox."""

import json
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edged.clock import SystemClock
from edged.errors import StoppedError, StorageError, ToolError, UnreadableError
from edged.media.facts import MediaFacts, Unreadable, Why
from edged.media.media import Derivative, Media, looks_like_text
from edged.media.plan import Kind, NoDerivative
from edged.media.sandbox import SEARCH, Sandbox
from edged.media.whole import is_whole_jpeg, is_whole_mp4

GOING = threading.Event()
"""Never set."""

MOVING = "-f lavfi -i testsrc=s={size}:r=10:d=1.2"
TONE = "-f lavfi -i sine=r=48000:d=1.2"
H264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 10"
HEVC = "-c:v libx265 -preset ultrafast -x265-params log-level=error"
RECIPES = {
    "plain.mp4": f"{MOVING} {TONE} {H264} -c:a aac -metadata creation_time=2026-11-21T08:00:00Z",
    "silent.mp4": f"{MOVING} {H264}",
    "phone.mov": f"{MOVING} {TONE} {HEVC} -tag:v hvc1 -c:a aac",
    "older.mov": f"{MOVING} {TONE} {H264} -c:a pcm_s16le",
    "oldest.avi": f"{MOVING} {TONE} -c:v mjpeg -c:a pcm_s16le",
    "ten-bits.mp4": f"{MOVING} -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le",
    "stream.ts": f"{MOVING} {TONE} {H264} -c:a aac",
    "uneven.mp4": f"{MOVING} -vf select='not(mod(n,7))+lt(n,6)' -vsync vfr -c:v mpeg4",
    "two-pictures.mp4": f"{MOVING} -frames:v 2 {H264}",
    "voice.wav": f"{TONE}",
    "photo.jpg": f"{MOVING} -frames:v 1",
}
SIZES = {"phone.mov": "1440x810", "oldest.avi": "321x241", "photo.jpg": "1600x900"}


def make(recipe: str, file: Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-nostdin", *recipe.split(), str(file)], check=True, timeout=60)


def turn(source: Path, file: Path) -> Path:
    make(f"-i {source} -c copy -metadata:s:v rotate=90", file)
    return file


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Files by name, each made once and kept for all tests."""
    folder = tmp_path_factory.mktemp("samples")

    def give(name: str) -> Path:
        file = folder / name
        if not file.exists():
            make(RECIPES[name].format(size=SIZES.get(name, "320x240")), file)
        return file

    return give


@pytest.fixture
def media() -> Media:
    return Media(Sandbox(SystemClock()))


def probed(media: Media, file: Path) -> MediaFacts:
    found = media.probe(file, GOING)
    assert isinstance(found, MediaFacts), found
    return found


def derived(media: Media, kind: Kind, file: Path, into: Path) -> Derivative:
    made = media.derive(kind, file, into, probed(media, file), GOING)
    assert isinstance(made, Derivative), made
    return made


def looked_at(file: Path) -> dict[str, Any]:
    """What ffprobe says outside the sandbox, with every picture decoded."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-count_frames", str(file)]
    run = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert run.stderr == b""
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def assert_browser_plays(file: Path) -> None:
    data = file.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    for stream in looked_at(file)["streams"]:
        if stream["codec_type"] == "video":
            assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
            assert stream["width"] % 2 == stream["height"] % 2 == 0
            assert int(stream["nb_read_frames"]) > 0
        else:
            assert (stream["codec_name"], stream["profile"]) == ("aac", "LC")


def test_everything_is_there(media: Media) -> None:
    assert media.check(GOING).startswith("ffmpeg ")


@pytest.mark.parametrize(
    ("name", "container", "video", "audio", "duration_ms"),
    [
        ("plain.mp4", "mp4", "h264 320x240 10/1", "aac 48000 Hz 1 ch", 1200),
        ("silent.mp4", "mp4", "h264 320x240 10/1", None, 1200),
        ("phone.mov", "mov", "hevc 1440x810 10/1", "aac 48000 Hz 1 ch", 1200),
        ("older.mov", "mov", "h264 320x240 10/1", "pcm_s16le 48000 Hz 1 ch", 1200),
        ("oldest.avi", "avi", "mjpeg 321x241 10/1", "pcm_s16le 48000 Hz 1 ch", 1200),
        ("voice.wav", "wav", None, "pcm_s16le 48000 Hz 1 ch", 1200),
        ("photo.jpg", "jpeg", "mjpeg 1600x900", None, None),
    ],
)
def test_a_file_is_what_it_is(  # noqa: PLR0917
    sample: Callable[[str], Path],
    media: Media,
    name: str,
    container: str,
    video: str | None,
    audio: str | None,
    duration_ms: int | None,
) -> None:
    found = probed(media, sample(name))
    assert (found.container, found.video, found.audio, found.duration_ms) == (container, video, audio, duration_ms)


def test_the_time_in_the_container_is_found(sample: Callable[[str], Path], media: Media) -> None:
    assert probed(media, sample("plain.mp4")).creation_time == datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert probed(media, sample("silent.mp4")).creation_time is None


@pytest.mark.parametrize("name", ["plain.mp4", "silent.mp4"])
def test_a_recording_that_was_cut_off_has_no_index(
    sample: Callable[[str], Path], media: Media, tmp_path: Path, name: str
) -> None:
    whole = sample(name).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: whole.index(b"moov") - 4])
    assert media.probe(cut, GOING) == Unreadable(reason=Why.NO_INDEX)


@pytest.mark.parametrize("name", ["plain.mp4", "oldest.avi", "stream.ts", "voice.wav", "photo.jpg"])
def test_a_file_that_was_cut_anywhere_is_either_known_or_unreadable_and_never_an_error(
    sample: Callable[[str], Path], media: Media, tmp_path: Path, name: str
) -> None:
    whole, cut = sample(name).read_bytes(), tmp_path / "cut"
    for length in (1, 20, 44, 200, 3000, len(whole) - 100):
        cut.write_bytes(whole[:length])
        assert isinstance(media.probe(cut, GOING), MediaFacts | Unreadable)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", Why.EMPTY),
        (b"\0", Why.NO_MEDIA),
        (b"not a film\n" * 500, Why.NO_MEDIA),
        (b"\0" * 100_000, Why.NO_MEDIA),
        (bytes(range(256)) * 400, Why.NO_MEDIA),
        (b"$GPRMC,080000.00,A,2603.4,N,11912.5,E*6C\r\n" * 50, Why.NO_MEDIA),
    ],
)
def test_what_is_no_media_is_unreadable(media: Media, tmp_path: Path, content: bytes, why: Why) -> None:
    file = tmp_path / "file.mp4"
    file.write_bytes(content)
    assert media.probe(file, GOING) == Unreadable(reason=why)


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in {"voice.wav", "photo.jpg"}])
def test_every_film_has_a_proxy_and_a_poster(
    sample: Callable[[str], Path], media: Media, tmp_path: Path, name: str
) -> None:
    proxy = derived(media, "proxy", sample(name), tmp_path)
    assert proxy.file.suffix == ".mp4"
    assert_browser_plays(proxy.file)
    streams = {stream["codec_type"] for stream in looked_at(sample(name))["streams"]}
    assert {stream["codec_type"] for stream in looked_at(proxy.file)["streams"]} == streams
    poster = derived(media, "poster", sample(name), tmp_path)
    assert poster.file.suffix == ".jpg"
    (picture,) = looked_at(poster.file)["streams"]
    assert picture["codec_name"] == "mjpeg"
    assert poster.file.read_bytes()[:2] == b"\xff\xd8"
    assert sorted(tmp_path.iterdir()) == sorted([proxy.file, poster.file])


def test_what_a_browser_plays_is_not_encoded_again(sample: Callable[[str], Path], media: Media, tmp_path: Path) -> None:
    def packets(file: Path) -> bytes:
        command = ["ffmpeg", "-v", "error", "-i", str(file), "-c", "copy", "-f", "streamhash", "-"]
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout

    proxy = derived(media, "proxy", sample("plain.mp4"), tmp_path)
    assert packets(proxy.file) == packets(sample("plain.mp4"))
    assert "creation_time" not in looked_at(proxy.file)["format"].get("tags", {})


def test_large_pictures_are_made_smaller(sample: Callable[[str], Path], media: Media, tmp_path: Path) -> None:
    film = probed(media, derived(media, "proxy", sample("phone.mov"), tmp_path).file)
    assert film.video == "h264 1280x720 10/1"
    photo = probed(media, derived(media, "poster", sample("photo.jpg"), tmp_path).file)
    assert photo.video == "mjpeg 640x360"


@pytest.mark.parametrize(("name", "sides"), [("phone.mov", (720, 1280)), ("ten-bits.mp4", (240, 320))])
def test_a_turned_film_is_shown_upright(
    sample: Callable[[str], Path], media: Media, tmp_path: Path, name: str, sides: tuple[int, int]
) -> None:
    turned = turn(sample(name), tmp_path / f"turned-{name}")
    film = probed(media, derived(media, "proxy", turned, tmp_path).file).picture
    assert film is not None
    assert (film.width, film.height, film.turned) == (*sides, False)
    poster = probed(media, derived(media, "poster", turned, tmp_path).file).picture
    assert poster is not None
    assert poster.width * sides[1] == poster.height * sides[0]


def test_a_copied_film_stays_turned(sample: Callable[[str], Path], media: Media, tmp_path: Path) -> None:
    turned = turn(sample("silent.mp4"), tmp_path / "turned.mp4")
    film = probed(media, derived(media, "proxy", turned, tmp_path).file).picture
    assert film is not None
    assert (film.width, film.height, film.turned) == (320, 240, True)


def test_a_photo_that_its_exif_turns_keeps_its_shape(
    sample: Callable[[str], Path], media: Media, tmp_path: Path
) -> None:
    orientation = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + orientation
    plain = sample("photo.jpg").read_bytes()
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:])
    poster = probed(media, derived(media, "poster", turned, tmp_path).file).picture
    assert poster is not None
    assert (poster.width, poster.height) == (202, 360)


def test_sound_alone_has_a_proxy(sample: Callable[[str], Path], media: Media, tmp_path: Path) -> None:
    proxy = derived(media, "proxy", sample("voice.wav"), tmp_path)
    assert proxy.file.suffix == ".m4a"
    assert_browser_plays(proxy.file)
    assert probed(media, proxy.file).audio == "aac 48000 Hz 1 ch"


@pytest.mark.parametrize("name", ["phone.mov", "oldest.avi"])
def test_the_same_file_gives_the_same_derivatives(
    sample: Callable[[str], Path], media: Media, tmp_path: Path, name: str
) -> None:
    for kind in ("poster", "proxy"):
        first, second = (derived(media, kind, sample(name), tmp_path) for _ in range(2))
        assert first.file.read_bytes() == second.file.read_bytes()
        assert first.arguments == second.arguments


def test_a_derivative_says_how_it_was_made(sample: Callable[[str], Path], media: Media, tmp_path: Path) -> None:
    made = derived(media, "poster", sample("silent.mp4"), tmp_path)
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, check=True, text=True).stdout.split()[2]
    assert made.tool == f"ffmpeg {version}"
    outside = {"/in/media": str(sample("silent.mp4")), "/out/media": str(tmp_path / "again")}
    again = [outside.get(word, word) for word in made.arguments]
    subprocess.run(["ffmpeg", *again], check=True, timeout=60)
    assert (tmp_path / "again").read_bytes() == made.file.read_bytes()


@pytest.mark.parametrize("kind", ["poster", "proxy"])
def test_a_film_whose_pictures_are_destroyed_gives_a_reason_and_leaves_no_file(
    sample: Callable[[str], Path], media: Media, tmp_path: Path, kind: Kind
) -> None:
    data = bytearray(sample("ten-bits.mp4").read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = b"\x5a" * (end - start)
    destroyed = tmp_path / "destroyed.mp4"
    destroyed.write_bytes(data)
    facts = probed(media, destroyed)
    assert facts.video == "h264 320x240 10/1"
    made = media.derive(kind, destroyed, tmp_path, facts, GOING)
    assert isinstance(made, NoDerivative)
    assert str(tmp_path) not in made.reason
    assert list(tmp_path.iterdir()) == [destroyed]


def test_a_derivative_that_was_cut_at_any_byte_is_not_whole(
    sample: Callable[[str], Path], media: Media, tmp_path: Path
) -> None:
    cut = tmp_path / "cut"
    checks: list[tuple[Kind, Callable[[Path], bool]]] = [("proxy", is_whole_mp4), ("poster", is_whole_jpeg)]
    for kind, is_whole in checks:
        made = derived(media, kind, sample("silent.mp4"), tmp_path)
        assert is_whole(made.file)
        data = made.file.read_bytes()
        for length in (*range(200), len(data) // 2, len(data) - 1):
            cut.write_bytes(data[:length])
            assert not is_whole(cut)


def test_a_film_with_its_index_at_the_end_is_no_proxy(sample: Callable[[str], Path]) -> None:
    assert not is_whole_mp4(sample("silent.mp4"))


def test_a_stop_in_the_middle_leaves_no_file(media: Media, tmp_path: Path) -> None:
    source = tmp_path / "long.avi"
    make("-f lavfi -i testsrc2=s=1280x720:r=25:d=8 -c:v mjpeg", source)
    facts, into, stop = probed(media, source), tmp_path / "into", threading.Event()
    into.mkdir()
    stopped: list[float] = []

    def watch() -> None:
        while not any(into.iterdir()) or next(into.iterdir()).stat().st_size == 0:
            time.sleep(0.01)
        stopped.append(time.monotonic())
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(StoppedError):
        media.derive("proxy", source, into, facts, stop)
    watcher.join()
    assert time.monotonic() - stopped[0] < 2
    assert list(into.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error_of_storage(
    sample: Callable[[str], Path], media: Media, tmp_path: Path
) -> None:
    file = sample("silent.mp4")
    with pytest.raises(StorageError):
        media.derive("poster", file, tmp_path / "nowhere", probed(media, file), GOING)


def test_a_full_disk_is_said_and_not_blamed_on_the_file(sample: Callable[[str], Path], tmp_path: Path) -> None:
    code = (
        "import sys, threading, edged.clock as c, edged.errors as e, edged.media.sandbox as s, edged.media.media as m\n"
        "from pathlib import Path\n"
        "media, file, into = m.Media(s.Sandbox(c.SystemClock())), Path(sys.argv[1]), Path(sys.argv[2])\n"
        "try: print(media.derive('proxy', file, into, media.probe(file, threading.Event()), threading.Event()))\n"
        "except e.FullError as error: print(error, error.retry, list(into.iterdir()))\n"
    )
    small = ["bwrap", "--dev-bind", "/", "/", "--size", "32768", "--tmpfs", str(tmp_path), "--"]
    run = subprocess.run(
        [*small, sys.executable, "-c", code, str(sample("plain.mp4")), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout == "the disk has no room for a proxy True []\n"


@pytest.mark.parametrize("missing", ["ffmpeg", "ffprobe"])
def test_a_missing_tool_is_said_before_work_begins(tmp_path: Path, missing: str) -> None:
    for name in {"bwrap", "prlimit", "true", "ffmpeg", "ffprobe"} - {missing}:
        (tmp_path / name).symlink_to(next(p for p in map(Path, SEARCH.split(":")) if (p / name).exists()) / name)
    with pytest.raises(ToolError, match=f"{missing} is not installed"):
        Media(Sandbox(SystemClock(), search=str(tmp_path))).check(GOING)


def test_an_ffprobe_that_knows_no_such_option_says_nothing_about_the_file(
    sample: Callable[[str], Path], media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.media.probe._COMMAND", ("ffprobe", "-no_such_option", "1", "-i", "/in/media"))
    with pytest.raises(ToolError, match="nothing to do with the file") as caught:
        media.probe(sample("silent.mp4"), GOING)
    assert "ffprobe said: " in caught.value.hint


def test_a_file_that_went_away_is_no_unreadable_media(media: Media, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError):
        media.probe(tmp_path / "gone.mp4", GOING)


@pytest.mark.parametrize(
    ("content", "is_text"),
    [
        (b"$GPGGA,080000.00,3114.1,N\r\n" * 1000, True),
        ("\ufeff设备=EG01234\n".encode(), True),
        (b"", False),
        (b"text and then \x00", False),
        (b"\xff\xd8\xff\xe0", False),
        ("换行".encode()[:-1], False),
        (b"a" * ((1 << 20) + 1), False),
    ],
)
def test_only_a_short_file_of_nothing_but_text_is_told_without_a_program(
    tmp_path: Path, content: bytes, *, is_text: bool
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert looks_like_text(tmp_path / "file") == is_text
    if is_text:
        # No sandbox is there at all.
        media = Media(Sandbox(SystemClock(), search=str(tmp_path)))
        assert media.probe(tmp_path / "file", GOING) == Unreadable(reason=Why.NO_MEDIA)
