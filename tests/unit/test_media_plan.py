"""Facts and plans are pure: what ffprobe says becomes facts, facts become a plan, no text of a file gets through."""

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.evidence import bodies
from edged.evidence.canonical import encode
from edged.media.facts import MediaFacts, Picture, Sound, Unreadable, Why, body, milliseconds, parse, read_facts
from edged.media.plan import NoDerivative, Plan, fit, plan

PICTURE = Picture(
    index=0,
    codec="h264",
    width=1920,
    height=1080,
    rate=(30, 1),
    pixels="yuv420p",
    aspect=(1, 1),
    turned=False,
    still=False,
)
SOUND = Sound(index=1, codec="aac", profile="LC", rate_hz=48000, channels=2)


def facts(picture: Picture | None = PICTURE, sound: Sound | None = SOUND, **changes: Any) -> MediaFacts:
    usual: dict[str, Any] = {"container": "mp4", "duration_ms": 60_000, "creation_time": None}
    return MediaFacts(picture=picture, sound=sound, **(usual | changes))


def picture(**changes: Any) -> Picture:
    return Picture(**(vars(PICTURE) | changes))


def options(decision: Plan | NoDerivative) -> dict[str, str]:
    assert isinstance(decision, Plan)
    words = decision.arguments
    return {name: value for name, value in itertools.pairwise(words) if name.startswith("-")}


def document(**changes: Any) -> dict[str, Any]:
    video = {
        "index": 0,
        "codec_type": "video",
        "codec_name": "h264",
        "width": 1920,
        "height": 1080,
        "pix_fmt": "yuv420p",
        "avg_frame_rate": "30000/1001",
        "sample_aspect_ratio": "1:1",
        "disposition": {"attached_pic": 0},
    }
    audio = {
        "index": 1,
        "codec_type": "audio",
        "codec_name": "aac",
        "profile": "LC",
        "sample_rate": "48000",
        "channels": 2,
    }
    form = {
        "format_name": "mov,mp4,m4a,3gp,3g2,mj2",
        "duration": "12.345678",
        "tags": {"major_brand": "isom", "creation_time": "2026-11-21T08:00:00.000000Z"},
    }
    return {"format": form | changes.get("form", {}), "streams": [video | changes.get("video", {}), audio]}


def read(**changes: Any) -> MediaFacts:
    found = read_facts(document(**changes))
    assert isinstance(found, MediaFacts)
    return found


def test_facts_are_what_the_entry_says_of_media() -> None:
    found = read()
    assert found.creation_time == datetime(2026, 11, 21, 8, tzinfo=UTC)
    media = body(found)
    assert isinstance(media, bodies.Media)
    assert json.loads(encode(media.model_dump())) == {
        "container": "mp4",
        "video": "h264 1920x1080 30000/1001",
        "audio": "aac 48000 Hz 2 ch",
        "duration_ms": 12346,
    }


def test_a_reason_is_what_the_entry_says_of_unreadable_media() -> None:
    said = body(Unreadable(reason=Why.NO_INDEX))
    assert encode(said.model_dump()) == encode({"unreadable": Why.NO_INDEX.value})


@pytest.mark.parametrize("why", Why)
def test_every_reason_is_a_plain_sentence_without_paths(why: Why) -> None:
    assert "/" not in why
    assert why[0].islower()
    assert why[-1] != "."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.040000", 40),
        ("0.000500", 1),
        ("0.000499", 0),
        ("12.345678", 12346),
        ("9007199.254740993", 9007199255),
        ("999999999999.999900", 10**15),
        ("1000000000000.000000", None),
        ("N/A", None),
        ("-1.000000", None),
        ("1e3", None),
        ("٣.٠٠٠٠٠٠", None),
        (1.5, None),
        (None, None),
    ],
)
def test_milliseconds_come_from_decimal_text(text: object, expected: int | None) -> None:
    assert milliseconds(text) == expected


@given(st.integers(0, 10**12))
def test_milliseconds_are_exact_for_every_microsecond(microseconds: int) -> None:
    text = f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"
    assert milliseconds(text) == (microseconds + 500) // 1000


@pytest.mark.parametrize(
    "moment", ["", "yesterday", "2026-11-21T08:00:00", "1904-99-01T00:00:00Z", "2026", 5, None, {}]
)
def test_a_creation_time_that_is_none_is_none(moment: object) -> None:
    assert read(form={"tags": {"creation_time": moment}}).creation_time is None


def test_containers_have_the_names_that_people_use() -> None:
    assert read(form={"tags": {"major_brand": "qt  "}}).container == "mov"
    assert read(form={"tags": {}}).container == "mov"
    assert read(form={"format_name": "avi"}).container == "avi"
    assert read(form={"format_name": "matroska,webm"}).container == "matroska,webm"


def test_a_photo_has_neither_rate_nor_length() -> None:
    found = read(form={"format_name": "jpeg_pipe"})
    assert (found.container, found.video, found.duration_ms) == ("jpeg", "h264 1920x1080", None)


def test_cover_art_is_no_picture() -> None:
    assert read(video={"disposition": {"attached_pic": 1}}).video is None


@pytest.mark.parametrize("rotation", [90, -90, 270, -270])
def test_a_quarter_turn_is_noticed(rotation: int) -> None:
    found = read(video={"side_data_list": [{"side_data_type": "Display Matrix", "rotation": rotation}]})
    assert found.picture is not None
    assert found.picture.turned


@pytest.mark.parametrize("rotation", [0, 180, -180, 45, "90", None])
def test_other_turns_keep_width_and_height(rotation: object) -> None:
    found = read(video={"side_data_list": [{"rotation": rotation}, "nonsense", 3]})
    assert found.picture is not None
    assert not found.picture.turned


@pytest.mark.parametrize(
    "change",
    [
        {"codec_name": "h264\n<script>"},
        {"codec_name": "x" * 100},
        {"codec_name": None},
        {"width": 0},
        {"width": -1},
        {"width": "1920"},
        {"height": 1 << 30},
        {"index": "0; rm"},
    ],
)
def test_a_picture_that_is_described_with_nonsense_is_none(change: dict[str, Any]) -> None:
    assert read(video=change).video is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(document()["streams"][0], json_values)),
    st.fixed_dictionaries({}, optional={"format_name": json_values, "duration": json_values, "tags": json_values}),
)
def test_whatever_a_file_makes_ffprobe_say_can_be_sealed(video: dict[str, Any], form: dict[str, Any]) -> None:
    found = read_facts(document(video=video, form=form))
    encode(body(found).model_dump())


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"])
def test_what_is_no_json_object_is_none(data: bytes) -> None:
    assert parse(data) is None


def test_no_number_becomes_a_float() -> None:
    assert parse(b'{"a": 1.5, "b": NaN, "c": 1e9}') == {"a": "1.5", "b": "NaN", "c": "1e9"}


@pytest.mark.parametrize(
    ("changes", "sides", "expected"),
    [
        ({}, (1280, 720), (1280, 720)),
        ({"turned": True}, (1280, 720), (720, 1280)),
        ({"width": 321, "height": 241}, (1280, 720), (320, 240)),
        ({"width": 720, "height": 576, "aspect": (16, 15)}, (1280, 720), (768, 576)),
        ({"width": 1440, "height": 1080, "aspect": (4, 3)}, (640, 360), (640, 360)),
        ({"width": 1, "height": 1}, (1280, 720), (2, 2)),
        ({"width": 100_000, "height": 1}, (1280, 720), (1280, 2)),
        ({"width": 4000, "height": 3000}, (640, 360), (480, 360)),
        ({"aspect": (1, 999_999_999)}, (640, 360), (2, 640)),
        ({"aspect": (999_999_999, 1)}, (640, 360), (640, 2)),
    ],
)
def test_a_picture_fits(changes: dict[str, Any], sides: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fit(picture(**changes), sides) == expected


def test_what_a_browser_plays_is_copied() -> None:
    chosen = options(plan("proxy", facts(), 1000))
    assert (chosen["-c:v"], chosen["-c:a"]) == ("copy", "copy")
    assert "-filter_complex" not in chosen
    assert options(plan("proxy", facts(sound=None), 1000)).keys().isdisjoint({"-c:a", "-preset"})


@pytest.mark.parametrize(
    "changed",
    [
        facts(picture(codec="hevc")),
        facts(picture(pixels="yuv420p10le")),
        facts(picture(pixels="yuv422p")),
        facts(picture(pixels=None)),
        facts(container="avi"),
        facts(container="h264"),
    ],
)
def test_a_picture_that_no_browser_plays_is_encoded(changed: MediaFacts) -> None:
    chosen = options(plan("proxy", changed, 1000))
    assert (chosen["-c:v"], chosen["-pix_fmt"], chosen["-movflags"]) == ("libx264", "yuv420p", "+faststart")


@pytest.mark.parametrize(
    "sound", [Sound(**(vars(SOUND) | {"codec": "pcm_s16le"})), Sound(**(vars(SOUND) | {"profile": "Main"}))]
)
def test_only_the_sound_is_encoded_when_the_picture_can_stay(sound: Sound) -> None:
    chosen = options(plan("proxy", facts(sound=sound), 1000))
    assert (chosen["-c:v"], chosen["-c:a"]) == ("copy", "aac")


def test_sound_alone_has_a_proxy_and_no_poster() -> None:
    proxy = plan("proxy", facts(picture=None), 1000)
    assert isinstance(proxy, Plan)
    assert proxy.suffix == ".m4a"
    assert isinstance(plan("poster", facts(picture=None), 1000), NoDerivative)


def test_a_photo_has_a_poster_and_no_proxy() -> None:
    photo = facts(picture(still=True, codec="mjpeg"), None, container="jpeg", duration_ms=None)
    poster = plan("poster", photo, 1000)
    assert isinstance(poster, Plan)
    assert poster.suffix == ".jpg"
    assert isinstance(plan("proxy", photo, 1000), NoDerivative)


@pytest.mark.parametrize("kind", ["poster", "proxy"])
def test_arguments_name_no_path_but_those_of_the_sandbox(kind: Any) -> None:
    decision = plan(kind, facts(picture(codec="hevc")), 1000)
    assert isinstance(decision, Plan)
    assert [word for word in decision.arguments if word.startswith("/")] == ["/in/media", "/out/media"]
    chosen = options(decision)
    assert chosen["-protocol_whitelist"] == "file"
    assert {"hls", "concat", "dash", "sdp", "rtsp", "svg_pipe", "image2", "lavfi"}.isdisjoint(
        chosen["-format_whitelist"].split(",")
    )


@given(st.none() | st.integers(0, 10**15), st.integers(0, 1 << 50), st.booleans())
def test_every_plan_is_bounded(duration_ms: int | None, size_bytes: int, copied: bool) -> None:  # noqa: FBT001
    decision = plan("proxy", facts(picture(codec="h264" if copied else "hevc"), duration_ms=duration_ms), size_bytes)
    assert isinstance(decision, Plan)
    assert 600 <= decision.bounds.wall_seconds <= 6 * 3600
    assert size_bytes < decision.bounds.output_bytes <= size_bytes + 22_000_000_000
