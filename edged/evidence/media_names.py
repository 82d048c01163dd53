"""Which file names say that a file is a recording: for readers of entries, who have no profile of its recorder.

An entry does not say what a file was meant to be. Of one that is named as recordings are, that nothing in it can be
played is worth telling; settings, logs and positions need not hold sound or picture.
"""

from typing import Final

CONTAINERS: Final = frozenset(
    {
        *("3g2", "3gp", "asf", "avi", "dav", "flv", "ifv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts"),
        *("264", "265", "h264", "h265", "hevc", "ps", "ts", "vob", "webm", "wmv"),
        *("aac", "aif", "aiff", "amr", "flac", "m4a", "mka", "mp3", "oga", "ogg", "opus", "pcm", "wav", "wma"),
        *("bmp", "dng", "gif", "heic", "heif", "jpeg", "jpg", "png", "tif", "tiff", "webp"),
    }
)
"""Extensions of sound and picture, in lower case."""


def is_named_as_media(path: str) -> bool:
    """Say whether a file is named as sound or picture is, by its extension in any case."""
    stem, _, extension = path.rpartition("/")[2].rpartition(".")
    return bool(stem) and extension.lower() in CONTAINERS
