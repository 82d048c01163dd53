"""What ffprobe said about a file, turned into facts. PURE: bytes in, facts out.

Everything here may have been chosen by whoever made the file. So nothing is passed on as it stands: names of
formats and codecs come from ffprobe's own lists and are matched against a pattern, numbers are integers within
bounds and never pass through floating point, a time is a time or nothing, and why a file is unreadable is one
sentence of a closed list. No text out of a file reaches the ledger.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from edged.clock import from_rfc3339
from edged.evidence import bodies

_WORD: Final = re.compile(r"[a-z0-9_]{1,40}(,[a-z0-9_]{1,40}){0,15}")
_RATIO: Final = re.compile(r"([1-9][0-9]{0,8})[/:]([1-9][0-9]{0,8})")
_SECONDS: Final = re.compile(r"([0-9]{1,12})\.([0-9]{3})([0-9])[0-9]*")
_STILLS: Final = frozenset({"jpeg", "png", "bmp", "tiff", "webp"})
_MOST_PIXELS_A_SIDE: Final = 1 << 20
_QUARTER_TURNS: Final = frozenset({90, 270})


class Why(StrEnum):
    """Why nothing could be found out about a file: whole sentences, fit for the ledger and for an expert."""

    EMPTY = "the file is empty"
    NO_INDEX = "the MP4 index (moov) is missing, as when a recording is cut off before it was finished"
    NO_MEDIA = "the content is not sound or picture in a known format, or it is damaged beyond reading"
    REFUSED = "the content is of a kind that is not opened here, such as a list of other files or a script"
    NO_STREAM = "the file is a media container without any picture or sound that can be identified"
    TOO_LONG = "looking into the file took too long and was stopped, which says nothing about its content"
    TOO_LARGE = "reading the file asked for more time or memory than any recording needs and was stopped"
    CRASH = "reading the file made the reading program crash; it was confined"
    TALKATIVE = "the file describes itself at greater length than any recording needs"


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A file about whose content nothing is known; it is evidence all the same."""

    reason: Why


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The first stream of pictures that is not cover art."""

    index: int
    """Number of the stream in its container."""
    codec: str
    width: int
    height: int
    """Size in pixels as coded: before rotation, and with pixels that need not be square."""
    rate: tuple[int, int] | None
    """Average pictures a second as a fraction; `None` for a still and where nothing is said."""
    pixels: str | None
    """ffmpeg's name of the pixel format."""
    aspect: tuple[int, int]
    """Width to height of one pixel."""
    turned: bool
    """Whether the file asks to be shown turned by 90 or 270 degrees."""
    still: bool
    """Whether this is one photo, not a moving picture."""

    def __str__(self) -> str:
        """Write `h264 1920x1080 30/1`."""
        text = f"{self.codec} {self.width}x{self.height}"
        return text if self.rate is None else f"{text} {self.rate[0]}/{self.rate[1]}"


@dataclass(frozen=True, kw_only=True)
class Sound:
    """The first stream of sound."""

    index: int
    """Number of the stream in its container."""
    codec: str
    profile: str | None
    rate_hz: int
    channels: int

    def __str__(self) -> str:
        """Write `aac 48000 Hz 2 ch`."""
        return f"{self.codec} {self.rate_hz} Hz {self.channels} ch"


@dataclass(frozen=True, kw_only=True)
class MediaFacts:
    """What a file says of itself in its headers. It need not be true, and the rest of the file need not be whole."""

    container: str
    picture: Picture | None
    sound: Sound | None
    duration_ms: int | None
    """Length in milliseconds, rounded half up; `None` for stills and where nothing is said."""
    creation_time: datetime | None
    """When the recorder says that it made the file, aware; many recorders write local time and call it UTC."""

    @property
    def video(self) -> str | None:
        """The picture in one line, as `media.video` of a `segment` entry (EVIDENCE.md, section 2)."""
        return None if self.picture is None else str(self.picture)

    @property
    def audio(self) -> str | None:
        """The sound in one line, as `media.audio` of a `segment` entry."""
        return None if self.sound is None else str(self.sound)


def body(found: MediaFacts | Unreadable) -> bodies.Media | bodies.Unreadable:
    """Write what was found as the `media` of a `segment` entry (EVIDENCE.md, section 2)."""
    if isinstance(found, Unreadable):
        return bodies.Unreadable(unreadable=found.reason.value)
    return bodies.Media(container=found.container, video=found.video, audio=found.audio, duration_ms=found.duration_ms)


def read_facts(document: Mapping[str, Any]) -> MediaFacts | Unreadable:
    """Read ffprobe's JSON object (`format` and `streams`)."""
    form = _object(document.get("format"))
    container = _container(form)
    streams = [_object(stream) for stream in _array(document.get("streams"))]
    still = container in _STILLS
    picture = next(filter(None, (_picture(stream, still=still) for stream in streams)), None)
    sound = next(filter(None, map(_sound, streams)), None)
    if container is None or (picture is None and sound is None):
        return Unreadable(reason=Why.NO_STREAM)
    return MediaFacts(
        container=container,
        picture=picture,
        sound=sound,
        duration_ms=None if still else milliseconds(form.get("duration")),
        creation_time=_time(_object(form.get("tags")).get("creation_time")),
    )


def parse(data: bytes) -> Mapping[str, Any] | None:
    """Parse what ffprobe printed; `None` if it is no JSON object. Numbers with a point stay text."""
    try:
        value = json.loads(data, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def milliseconds(seconds: object) -> int | None:
    """Turn decimal text such as `12.345678` into milliseconds, rounded half up; `None` for anything else."""
    match = _SECONDS.fullmatch(seconds) if isinstance(seconds, str) else None
    if match is None:
        return None
    whole, thousandths, next_digit = match.groups()
    return int(whole) * 1000 + int(thousandths) + (next_digit >= "5")


def _container(form: Mapping[str, Any]) -> str | None:
    """Name the format; ffprobe gives one list of names for all that grew out of QuickTime."""
    name = _word(form.get("format_name"))
    if name is None:
        return None
    if "mp4" in name.split(","):
        brand = _object(form.get("tags")).get("major_brand")
        return "mov" if brand in ("qt  ", None) else "mp4"
    return name.removesuffix("_pipe")


def _picture(stream: Mapping[str, Any], *, still: bool) -> Picture | None:
    index, codec = stream.get("index"), _word(stream.get("codec_name"))
    width, height = _count(stream.get("width")), _count(stream.get("height"))
    if stream.get("codec_type") != "video" or _object(stream.get("disposition")).get("attached_pic") == 1:
        return None
    if not isinstance(index, int) or codec is None or width is None or height is None:
        return None
    sides = map(_object, _array(stream.get("side_data_list")))
    angles = [side["rotation"] for side in sides if isinstance(side.get("rotation"), int)]
    return Picture(
        index=index,
        codec=codec,
        width=width,
        height=height,
        rate=None if still else _ratio(stream.get("avg_frame_rate")),
        pixels=_word(stream.get("pix_fmt")),
        aspect=_ratio(stream.get("sample_aspect_ratio")) or (1, 1),
        turned=any(angle % 360 in _QUARTER_TURNS for angle in angles),
        still=still,
    )


def _sound(stream: Mapping[str, Any]) -> Sound | None:
    index, codec = stream.get("index"), _word(stream.get("codec_name"))
    rate, channels = stream.get("sample_rate"), _count(stream.get("channels"))
    if stream.get("codec_type") != "audio" or not isinstance(index, int):
        return None
    if codec is None or channels is None or not isinstance(rate, str) or not re.fullmatch(r"[1-9][0-9]{0,6}", rate):
        return None
    profile = stream.get("profile")
    return Sound(
        index=index,
        codec=codec,
        profile=profile if isinstance(profile, str) else None,
        rate_hz=int(rate),
        channels=channels,
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _array(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 < value <= _MOST_PIXELS_A_SIDE else None


def _ratio(value: object) -> tuple[int, int] | None:
    match = _RATIO.fullmatch(value) if isinstance(value, str) else None
    return (int(match[1]), int(match[2])) if match else None


def _time(value: object) -> datetime | None:
    try:
        return from_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        return None
