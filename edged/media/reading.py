"""How ffprobe and ffmpeg may open a file that came from a recorder: one set of options for both.

This is the second wall; the sandbox is the first. Only the file itself is read (`protocol_whitelist`), and it is
only taken for a container or photo of this list (`format_whitelist`): playlists, concatenation scripts, session
descriptions, SVG and the like, which name further files or addresses, are refused before they are parsed. How
much is read to find out what a file is, how many streams it may have and how large a picture may be is bounded.
"""

from typing import Final

from edged.media.sandbox import Bounds

_FORMATS: Final = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,asf,mxf,dv,dhav,ivf,obu,h264,hevc,mjpeg,"
    "wav,w64,aiff,caf,au,mp3,aac,ac3,eac3,ogg,flac,amr,"
    "jpeg_pipe,png_pipe,bmp_pipe,tiff_pipe,webp_pipe"
)

INPUT_OPTIONS: Final = {
    "protocol_whitelist": "file",
    "format_whitelist": _FORMATS,
    "probesize": "33554432",
    "analyzeduration": "10000000",
    "max_streams": "64",
    "max_pixels": "134217728",
}
"""Options in front of the input; sizes in bytes, times in microseconds."""

PROBE_BOUNDS: Final = Bounds(wall_seconds=120, cpu_seconds=30, memory_bytes=1 << 30, niceness=0)
"""What finding out about a file may take; much more time on the wall than of the CPU, as the station may be busy.

At the daemon's own priority: a segment is sealed only when this is done.
"""
