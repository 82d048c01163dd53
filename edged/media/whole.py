"""Tells a whole derivative from one that was cut short.

ffmpeg ends with 0 even when the disk was full while it moved the index of an MP4 to the front, and such a file
still begins like a good one. So the structure is walked to its last byte.
"""

import struct
from pathlib import Path
from typing import Final

_BOX: Final = struct.Struct(">I4s")
_LONG: Final = struct.Struct(">Q")
_MOST_BOXES: Final = 64
_JPEG_START: Final = b"\xff\xd8"
_JPEG_END: Final = b"\xff\xd9"


def is_whole_jpeg(file: Path) -> bool:
    """Say whether the file begins and ends as a JPEG does (ITU-T T.81, annex B)."""
    data = file.read_bytes()
    return data.startswith(_JPEG_START) and data.endswith(_JPEG_END)


def is_whole_mp4(file: Path) -> bool:
    """Say whether boxes fill the file exactly, the index (`moov`) before the media (`mdat`) (ISO/IEC 14496-12, 4.2)."""
    names: list[bytes] = []
    size, at = file.stat().st_size, 0
    with file.open("rb") as stream:
        while at < size and len(names) < _MOST_BOXES:
            stream.seek(at)
            head = stream.read(_BOX.size + _LONG.size)
            if len(head) < _BOX.size:
                return False
            length, name = _BOX.unpack_from(head)
            if length == 1 and len(head) == _BOX.size + _LONG.size:
                (length,) = _LONG.unpack_from(head, _BOX.size)
            if length < _BOX.size:
                return False
            names.append(name)
            at += length
    return at == size and b"moov" in names and b"mdat" in names[names.index(b"moov") :]
