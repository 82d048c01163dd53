"""Film that recorders would have taken: real picture, burned-in time and sound, made by ffmpeg.

A `Take` says everything about one press of the record button, so the same take gives the same bytes with
the same ffmpeg: its hue, noise and pitch follow from the seed, encoders run on one thread, and no muxer writes
a time of its own.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Protocol

from edged.clock import rfc3339
from edged.errors import ToolError

LARGE_BYTES = 26 * 1024 * 1024
"""What a large take aims at: well over 20 MiB, so that it spans several chunks of 8 MiB."""

LARGE_SECONDS = 12
"""The shortest large take: below it no encoder could spend the bytes on a moving picture."""

_BOUND_SECONDS = 600
"""After this long ffmpeg is considered hung; filming takes a small fraction of the time filmed."""

_FONTS = (
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"),
    Path("/usr/share/fonts/dejavu-sans-mono-fonts/DejaVuSansMono.ttf"),
    Path("/usr/share/fonts/dejavu/DejaVuSansMono.ttf"),
    Path("/usr/share/fonts/TTF/DejaVuSansMono.ttf"),
)

_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-pix_fmt", "yuv420p")
_HEVC = (
    *("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-tag:v", "hvc1"),
    *("-x265-params", "log-level=error:pools=1:frame-threads=1"),
)
_MJPEG = ("-c:v", "mjpeg", "-q:v", "8", "-threads", "1", "-pix_fmt", "yuv420p", "-strict", "unofficial")
_AAC = ("-c:a", "aac", "-b:a", "96k")
_PCM = ("-c:a", "pcm_s16le", "-ar", "16000")


class Format(Enum):
    """What a recorder writes: container, picture and sound."""

    MP4 = "MP4"
    """H.264 and AAC: plays in a browser as it is."""

    HEVC = "MP4 with HEVC"
    """H.265 and AAC: most browsers want it transcoded."""

    MOV = "MOV"
    """H.264 and PCM sound."""

    MJPEG = "MOV with Motion JPEG"
    """Motion JPEG and PCM sound, as plain cameras write it."""

    JPG = "JPG"
    """One photo."""

    WAV = "WAV"
    """Sound alone."""

    @property
    def suffix(self) -> str:
        """The extension of such a file, as recorders write it: `.MP4`."""
        return "." + self.value[:3]

    @property
    def moves(self) -> bool:
        """Whether it holds moving picture."""
        return self not in {Format.JPG, Format.WAV}


_CODING = {
    Format.MP4: (*_H264, *_AAC),
    Format.HEVC: (*_HEVC, *_AAC),
    Format.MOV: (*_H264, *_PCM),
    Format.MJPEG: (*_MJPEG, *_PCM),
    Format.JPG: (*_MJPEG, "-frames:v", "1", "-update", "1"),
    Format.WAV: _PCM,
}


@dataclass(frozen=True, kw_only=True)
class Take:
    """One press of the record button."""

    format: Format

    began: datetime
    """When it began, by the recorder's own clock, aware; its local time is burned in."""

    seconds: int
    """Length of each file; 1 or more. Without meaning for a photo."""

    cuts: int = 1
    """Into how many files that continue each other it is cut; above 1 only for `MP4` and `HEVC`."""

    caption: str
    """Burned in under the time: device and officer."""

    seed: int
    """Chooses hue, noise and pitch."""

    large: bool = False
    """Whether to spend `LARGE_BYTES` on it; it then has `LARGE_SECONDS` or more, and one cut."""

    @property
    def length(self) -> timedelta:
        """The time from its begin to the end of its last file."""
        return timedelta(seconds=self.seconds * self.cuts)


class Camera(Protocol):
    """What turns takes into files."""

    def film(self, take: Take, into: Path) -> tuple[Path, ...]:
        """Write the files of `take`, one a cut and in order, into the empty folder `into`.

        Raises ToolError.
        """


class FfmpegCamera:
    """Films with ffmpeg, on one core."""

    def __init__(self, ffmpeg: Path, font: Path) -> None:
        self._ffmpeg = ffmpeg
        self._font = font

    def film(self, take: Take, into: Path) -> tuple[Path, ...]:
        """Film `take`; raises ToolError with ffmpeg's own last words."""
        if take.cuts > 1 and take.format not in {Format.MP4, Format.HEVC}:
            raise ToolError(f"hwsim does not cut a recording in {take.format.value} into segments")
        target = into / ("%04d" + take.format.suffix if take.cuts > 1 else "0000" + take.format.suffix)
        self._run([*_inputs(take), *self._picture(take, into), *_output(take), str(target)])
        (into / "caption").unlink(missing_ok=True)
        return tuple(sorted(into.iterdir()))

    def _picture(self, take: Take, into: Path) -> list[str]:
        if take.format is Format.WAV:
            return []
        # From a file: a time format inside a filter's argument would need three layers of escapes.
        caption = into / "caption"
        offset = take.began.utcoffset() or timedelta()
        shown = int((take.began.astimezone(UTC) + offset).timestamp())
        caption.write_text(f"%{{pts:gmtime:{shown}:%Y-%m-%d %T}}\n{take.caption}", encoding="utf-8")
        filters = [f"hue=h={take.seed * 47 % 360}"]
        if take.large:
            filters.append(f"noise=alls=24:allf=t:all_seed={take.seed}")
        style = "x=12:y=12:fontsize=20:fontcolor=white:box=1:boxcolor=black@0.5:boxborderw=6"
        filters.append(f"drawtext=fontfile={_quoted(self._font)}:textfile={_quoted(caption)}:{style}")
        return ["-vf", ",".join(filters)]

    def _run(self, arguments: list[str]) -> None:
        command = [str(self._ffmpeg), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_BOUND_SECONDS,
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            )
        except OSError as error:
            raise ToolError(f"ffmpeg cannot be started: {error}") from error
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"ffmpeg did not finish within {_BOUND_SECONDS} seconds") from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise ToolError(f"ffmpeg could not film: {said[-1] if said else f'exit code {done.returncode}'}")


def find_camera() -> FfmpegCamera:
    """Find ffmpeg and the font of the burned-in time; raises ToolError that says what to install."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise ToolError("ffmpeg is not installed", hint="apt-get install ffmpeg")
    for font in _FONTS:
        if font.is_file():
            return FfmpegCamera(Path(ffmpeg), font)
    raise ToolError(
        f"no font for the burned-in time; looked for {', '.join(map(str, _FONTS))}",
        hint="apt-get install fonts-dejavu-core",
    )


def _inputs(take: Take) -> list[str]:
    length = str(int(take.length.total_seconds()))
    sound = f"sine=frequency={330 + take.seed * 37 % 440}:beep_factor=4:sample_rate=48000"
    picture = f"testsrc2=size={'1280x720' if take.large else '640x360'}:rate=25"
    inputs = [] if take.format is Format.WAV else ["-f", "lavfi", "-i", picture]
    if take.format is not Format.JPG:
        inputs += ["-f", "lavfi", "-i", sound, "-t", length]
    return inputs


def _output(take: Take) -> list[str]:
    output = list(_CODING[take.format])
    if take.format.moves and take.format is not Format.MJPEG:
        rate = str(LARGE_BYTES * 8 // take.seconds if take.large else 1_500_000)
        output += ["-b:v", rate, "-maxrate", rate, "-bufsize", rate]
    if take.large:
        output += ["-minrate", rate]
    output += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]
    if take.cuts == 1:
        return [*output, "-metadata", f"creation_time={rfc3339(take.began)}"]
    # No creation time: the segment muxer would give every file that of the first.
    every = f"expr:gte(t,n_forced*{take.seconds})"
    output += ["-force_key_frames", every, "-f", "segment", "-segment_time", str(take.seconds)]
    return [*output, "-reset_timestamps", "1", "-segment_format", "mp4"]


def _quoted(path: Path) -> str:
    """Quote a path for a filter's argument: one layer for the option, one for the filter graph."""
    option = str(path).replace("\\", "\\\\").replace("'", "\\'").replace(":", "\\:")
    return "".join("\\" + letter if letter in "\\'[],;" else letter for letter in option)
