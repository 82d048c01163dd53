"""Decides what is made of a file, and with which arguments. PURE: facts in, a plan or a reason in, nothing run.

What a browser plays already (H.264 of 8 bits and 4:2:0, AAC) is copied stream by stream without re-encoding; the
rest is encoded, at most 1280x720 for lying and 720x1280 for standing pictures. Arguments name the neutral paths of
the sandbox only, and fix everything that would otherwise differ between machines (threads, metadata, versions in
headers), so that the `derivative` entry says how to make the same file again.
"""

from dataclasses import dataclass
from typing import Final, Literal, assert_never

import ffmpeg
from ffmpeg.nodes import FilterableStream

from edged.media.facts import MediaFacts, Picture, Sound
from edged.media.reading import INPUT_OPTIONS
from edged.media.sandbox import INPUT, OUTPUT, Bounds

Kind = Literal["poster", "proxy"]
"""The derivatives made here, as EVIDENCE.md section 2 calls them."""

_POSTER_SIDES: Final = (640, 360)
_PROXY_SIDES: Final = (1280, 720)
_POSTER_SECONDS: Final = 10
_COPYABLE_FROM: Final = frozenset({"mp4", "mov", "matroska,webm", "mpegts"})
"""Containers that keep true presentation times, without which a copied stream stutters."""
_COPYABLE_PIXELS: Final = frozenset({"yuv420p", "yuvj420p"})
_COPYABLE_AAC: Final = frozenset({"LC", "HE-AAC", "HE-AACv2"})

_MEMORY_BYTES: Final = 2 << 30
_POSTER_BYTES: Final = 4 << 20
_SPARE_BYTES: Final = 64 << 20
_PROXY_BYTES_PER_MS: Final = 1000
_SPARE_SECONDS: Final = 600
_SLOWNESS: Final = 3
_MOST_SECONDS: Final = 6 * 3600
_THREADS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to make one derivative."""

    kind: Kind
    suffix: str
    """Of the file, with its dot: `.jpg`, `.mp4`, or `.m4a` for sound alone."""
    arguments: tuple[str, ...]
    """For ffmpeg, without its own name; the only paths are those of the sandbox."""
    bounds: Bounds


@dataclass(frozen=True, kw_only=True)
class NoDerivative:
    """There is nothing to make, or it could not be made; `reason` says why in one sentence without paths."""

    reason: str


def plan(kind: Kind, facts: MediaFacts, size_bytes: int) -> Plan | NoDerivative:
    """Decide how to make `kind` of a file of `size_bytes` with these facts."""
    match kind:
        case "poster":
            return _poster(facts.picture)
        case "proxy":
            return _proxy(facts, size_bytes)
        case _:
            assert_never(kind)


def fit(picture: Picture, sides: tuple[int, int]) -> tuple[int, int]:
    """Give the even width and height at which a picture is shown upright within `sides` (longer, shorter).

    Square pixels, rotation applied, never enlarged beyond making pixels square.
    """
    across, down = picture.aspect
    width, height = max(1, picture.width * across // down), picture.height
    if picture.turned:
        width, height = height, width
    most_width, most_height = sides if width >= height else sides[::-1]
    if width > most_width or height > most_height:
        if width * most_height >= height * most_width:
            width, height = most_width, height * most_width // width
        else:
            width, height = width * most_height // height, most_height
    return max(2, width - width % 2), max(2, height - height % 2)


def _poster(picture: Picture | None) -> Plan | NoDerivative:
    if picture is None:
        return NoDerivative(reason="the file has no picture, so there is no poster")
    source = _source() if picture.still else _source(t=str(_POSTER_SECONDS))
    stream = source[str(picture.index)]
    if not picture.still:
        # The first picture and then two a second, of which the filter `thumbnail` takes the one most like the
        # others: no flash, no hand on the lens. Sampled before scaling, so that it costs little.
        stream = stream.filter("select", "isnan(prev_selected_t)+gte(t-prev_selected_t,0.5)")
    stream = _scaled(stream, picture, _POSTER_SIDES)
    if not picture.still:
        stream = stream.filter("thumbnail", str(2 * _POSTER_SECONDS))
    options = {"f": "mjpeg", "c:v": "mjpeg", "q:v": "4", "pix_fmt": "yuvj420p", "frames:v": "1"}
    return Plan(
        kind="poster",
        suffix=".jpg",
        arguments=_arguments([stream], options),
        bounds=Bounds(wall_seconds=120, cpu_seconds=60, memory_bytes=_MEMORY_BYTES, output_bytes=_POSTER_BYTES),
    )


def _proxy(facts: MediaFacts, size_bytes: int) -> Plan | NoDerivative:
    if facts.picture is not None and facts.picture.still:
        return NoDerivative(reason="a photo needs no proxy: its poster shows it")
    source = _source()
    streams: list[FilterableStream] = []
    options = {"f": "mp4", "movflags": "+faststart"}
    copied = True
    if (picture := facts.picture) is not None:
        stream = source[str(picture.index)]
        if _is_playable(picture, facts.container):
            options["c:v"] = "copy"
        else:
            copied = False
            stream = _scaled(stream, picture, _PROXY_SIDES)
            options |= {"c:v": "libx264", "preset": "veryfast", "crf": "26", "pix_fmt": "yuv420p"}
            options |= {"maxrate": "3M", "bufsize": "6M", "g": "60", "threads": str(_THREADS)}
        streams.append(stream)
    if (sound := facts.sound) is not None:
        streams.append(source[str(sound.index)])
        if _is_audible(sound, facts.container):
            options["c:a"] = "copy"
        else:
            copied = False
            options |= {"c:a": "aac", "b:a": "96k", "ar": "48000", "ac": str(min(sound.channels, 2))}
    return Plan(
        kind="proxy",
        suffix=".mp4" if facts.picture is not None else ".m4a",
        arguments=_arguments(streams, options),
        bounds=_proxy_bounds(facts.duration_ms, size_bytes, copied=copied),
    )


def _is_playable(picture: Picture, container: str) -> bool:
    return container in _COPYABLE_FROM and picture.codec == "h264" and picture.pixels in _COPYABLE_PIXELS


def _is_audible(sound: Sound, container: str) -> bool:
    return container in _COPYABLE_FROM and sound.codec == "aac" and sound.profile in _COPYABLE_AAC


def _proxy_bounds(duration_ms: int | None, size_bytes: int, *, copied: bool) -> Bounds:
    """Bound by what the file says of its length, but never beyond what a whole shift in one file would take."""
    told_ms = min(_MOST_SECONDS * 1000 if duration_ms is None else duration_ms, _MOST_SECONDS * 1000)
    seconds = min(_SPARE_SECONDS + _SLOWNESS * told_ms // 1000, _MOST_SECONDS)
    encoded_bytes = 0 if copied or duration_ms is None else told_ms * _PROXY_BYTES_PER_MS
    return Bounds(
        wall_seconds=seconds,
        cpu_seconds=seconds * _THREADS,
        memory_bytes=_MEMORY_BYTES,
        output_bytes=size_bytes + encoded_bytes + _SPARE_BYTES,
    )


def _source(**options: str) -> FilterableStream:
    return ffmpeg.input(INPUT, threads=str(_THREADS), **INPUT_OPTIONS, **options)


def _scaled(stream: FilterableStream, picture: Picture, sides: tuple[int, int]) -> FilterableStream:
    width, height = fit(picture, sides)
    options = {"w": str(width), "h": str(height), "flags": "bicubic+accurate_rnd+bitexact"}
    if picture.still:
        # A photo may be turned by its EXIF, which ffmpeg applies but ffprobe does not tell: keep its shape.
        options |= {"force_original_aspect_ratio": "decrease", "force_divisible_by": "2"}
    return stream.filter("scale", **options).filter("setsar", "1")


def _arguments(streams: list[FilterableStream], options: dict[str, str]) -> tuple[str, ...]:
    fixed = {"fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact"}
    bare = {"map_metadata": "-1", "map_chapters": "-1"}
    output = ffmpeg.output(*streams, OUTPUT, **fixed, **bare, **options)
    # The banner stays: it is how the program that does the work says its version.
    common = ("-nostdin", "-nostats", "-filter_complex_threads", str(_THREADS))
    command = output.global_args(*common).compile(overwrite_output=True)
    return tuple(command[1:])
