"""Files that are made to make ffmpeg read something else, or to wear the station out."""

import random
import socketserver
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.clock import SystemClock
from edged.evidence.canonical import encode
from edged.media.facts import MediaFacts, Picture, Unreadable, Why, body
from edged.media.media import Derivative, Media
from edged.media.plan import NoDerivative, Plan, plan
from edged.media.sandbox import INPUT, OUTPUT, Sandbox

GOING = threading.Event()
"""Never set."""

SECRET = b"the secret of the station"
SECONDS = 20
"""No file of a few kilobytes may keep the station busy for longer; under half a second on an idle machine."""

HONEST = MediaFacts(
    container="mp4",
    picture=Picture(
        index=0,
        codec="hevc",
        width=320,
        height=240,
        rate=(25, 1),
        pixels="yuv420p",
        aspect=(1, 1),
        turned=False,
        still=False,
    ),
    sound=None,
    duration_ms=1000,
    creation_time=None,
)

SCRIPTS = {
    "playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{where}\n#EXT-X-ENDLIST\n",
    "master playlist": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{where}\n",
    "playlist with a key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{where}"\n#EXTINF:9,\n{where}\n#EXT-X-ENDLIST\n',
    "concat of playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nconcat:{where}|{where}\n#EXT-X-ENDLIST\n",
    "subfile": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsubfile,,start,0,end,99,,:{where}\n#EXT-X-ENDLIST\n",
    "concat script": "ffconcat version 1.0\nfile '{where}'\n",
    "SVG": '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" '
    'width="64" height="64"><image x:href="{where}" width="64" height="64"/></svg>',
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
    'bandwidth="1"><BaseURL>{where}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=control:{where}\n",
    "ASX": '<ASX VERSION="3.0"><ENTRY><REF HREF="{where}"/></ENTRY></ASX>',
    "bare address": "{where}\n",
}


@pytest.fixture
def media() -> Media:
    return Media(Sandbox(SystemClock()))


@pytest.fixture
def visitors() -> Iterator[tuple[str, list[str]]]:
    """Give the address of a server on this machine and the list of those who came."""
    came: list[str] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            came.append(str(self.client_address))

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/film.ts", came
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("film") / "film.mp4"
    recipe = "-f lavfi -i testsrc=s=320x240:r=10:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p"
    command = ["ffmpeg", "-v", "error", "-nostdin", *recipe.split(), "-movflags", "+faststart", str(file)]
    subprocess.run(command, check=True, timeout=60)
    return file.read_bytes()


def targets(folder: Path, address: str) -> list[str]:
    """Name a secret beside the file and an address, in the ways that scripts may name them."""
    secret = folder / "secret.mp4"
    secret.write_bytes(SECRET)
    return [f"file://{secret}", secret.name, address]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_in_the_place_of_a_film_reads_nothing(
    media: Media, tmp_path: Path, visitors: tuple[str, list[str]], script: str
) -> None:
    address, came = visitors
    for target in targets(tmp_path, address):
        file = tmp_path / "film.mp4"
        file.write_text(SCRIPTS[script].format(where=target))
        found = media.probe(file, GOING)
        assert isinstance(found, Unreadable), target
        assert found.reason in {Why.REFUSED, Why.NO_MEDIA}
    # Even if it had been a film when it was probed.
    assert isinstance(media.derive("proxy", file, tmp_path, HONEST, GOING), NoDerivative)
    assert came == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_reads_nothing_even_where_there_is_no_sandbox(
    tmp_path: Path, visitors: tuple[str, list[str]], script: str
) -> None:
    address, came = visitors
    decision = plan("poster", HONEST, 1000)
    assert isinstance(decision, Plan)
    file = tmp_path / "film"
    outside = {INPUT: str(file), OUTPUT: str(tmp_path / "out")}
    for target in targets(tmp_path, address)[1:]:
        file.write_text(SCRIPTS[script].format(where=target))
        run = subprocess.run(
            ["ffmpeg", *(outside.get(word, word) for word in decision.arguments)],
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert run.returncode != 0
        assert b"whitelist" in run.stderr or b"Invalid data" in run.stderr
        assert target.encode() not in run.stderr.replace(str(file).encode(), b"")
    assert came == []


def test_the_server_of_these_tests_notices_a_ffmpeg_that_follows(visitors: tuple[str, list[str]]) -> None:
    address, came = visitors
    subprocess.run(["ffprobe", "-v", "quiet", address], check=False, timeout=60)
    assert len(came) >= 1


def png(width: int, height: int, depth: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(20_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1", "-f", "mjpeg", "-"]
    data = bytearray(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_photo_of_more_pixels_than_any_recorder_takes_is_not_unpacked(
    media: Media, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(png(20_000, 16_000, 8) if kind == "png" else jpeg(20_000, 16_000))
    assert media.probe(file, GOING) == Unreadable(reason=Why.NO_STREAM)


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (2_000_000_000, 1), (16_000, 8_000), (65_500, 65_500)])
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_photo_that_unpacks_to_gigabytes_is_bounded(
    media: Media, tmp_path: Path, kind: str, width: int, height: int
) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(png(width, height, 16) if kind == "png" else jpeg(min(width, 65_535), height))
    before = time.monotonic()
    found = media.probe(file, GOING)
    made = media.derive("poster", file, tmp_path, found if isinstance(found, MediaFacts) else HONEST, GOING)
    assert time.monotonic() - before < SECONDS
    if isinstance(made, Derivative):
        assert made.file.stat().st_size < 1 << 20


@pytest.mark.parametrize("table", [b"stts", b"stsz", b"stco"])
def test_a_table_that_claims_two_thousand_million_samples_is_bounded(
    media: Media, tmp_path: Path, film: bytes, table: bytes
) -> None:
    data = bytearray(film)
    count = data.index(table) + (12 if table == b"stsz" else 8)
    data[count : count + 4] = struct.pack(">I", 0x7FFF_FFFF)
    file = tmp_path / "film.mp4"
    file.write_bytes(data)
    before = time.monotonic()
    encode(body(media.probe(file, GOING)).model_dump())
    made = media.derive("poster", file, tmp_path, HONEST, GOING)
    assert isinstance(made, Derivative | NoDerivative)
    assert time.monotonic() - before < SECONDS


def test_a_film_that_claims_to_last_for_centuries_is_bounded(media: Media, tmp_path: Path, film: bytes) -> None:
    data = bytearray(film)
    for name, place in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        start = data.index(name) + place
        data[start : start + 4] = struct.pack(">I", 0xFFFF_FFFE)
    scale = data.index(b"mvhd") + 16
    data[scale : scale + 4] = struct.pack(">I", 1)
    file = tmp_path / "film.mp4"
    file.write_bytes(data)
    found = media.probe(file, GOING)
    encode(body(found).model_dump())
    assert isinstance(found, MediaFacts)
    before = time.monotonic()
    media.derive("proxy", file, tmp_path, found, GOING)
    assert time.monotonic() - before < SECONDS


@pytest.mark.parametrize("seed", range(6))
def test_a_film_with_flipped_bytes_never_raises(media: Media, tmp_path: Path, film: bytes, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(film)
    index = data.index(b"mdat")
    for _ in range(chance.choice([1, 5, 40])):
        data[chance.randrange(index)] = chance.randrange(256)
    file = tmp_path / "film.mp4"
    file.write_bytes(data)
    encode(body(media.probe(file, GOING)).model_dump())


def test_a_title_that_looks_like_an_error_changes_nothing(media: Media, tmp_path: Path, film: bytes) -> None:
    plain, titled = tmp_path / "plain.mp4", tmp_path / "titled.mp4"
    plain.write_bytes(film)
    title = 'title=moov atom not found\nbwrap: no\n"exit-code": 127}'
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(plain), "-c", "copy", "-metadata", title, str(titled)]
    subprocess.run(command, check=True, timeout=60)
    assert media.probe(titled, GOING) == media.probe(plain, GOING)
