"""Finds out what a file is, by ffprobe in the sandbox.

The answer may be sealed into the ledger as the state of the evidence, so what is wrong with the *file* and what
is wrong with the *station* are kept apart: only an ffprobe that ran and rejected the content, or that the content
drove over its bounds or into a crash, makes a file `Unreadable`. A missing or broken tool is a ToolError, a disk
that fails a StorageError; then nothing is said about the file.
"""

import errno
import os
import signal
import threading
from pathlib import Path
from typing import Final

from edged.errors import StorageError, ToolError
from edged.media.facts import MediaFacts, Unreadable, Why, parse, read_facts
from edged.media.reading import INPUT_OPTIONS, PROBE_BOUNDS
from edged.media.sandbox import INPUT, Ended, Sandbox, regular_bytes

_SHOWN: Final = (
    "error=code"
    ":format=format_name,duration"
    ":format_tags=creation_time,major_brand"
    ":stream=index,codec_type,codec_name,profile,width,height,pix_fmt,avg_frame_rate,sample_aspect_ratio"
    ",sample_rate,channels"
    ":stream_disposition=attached_pic"
    ":stream_side_data=rotation"
)
_COMMAND: Final = (
    "ffprobe",
    *("-v", "error", "-of", "json=compact=1", "-show_error", "-show_entries", _SHOWN),
    *("-threads", "1"),
    *(word for name, value in INPUT_OPTIONS.items() for word in (f"-{name}", value)),
    *("-i", INPUT),
)
_FAULTS_OF_STATION: Final = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE})
_SAMPLE_BYTES: Final = 1 << 20


def probe(sandbox: Sandbox, file: Path, stop: threading.Event) -> MediaFacts | Unreadable:
    """Read the headers of `file`; raises UnreadableError if it is no regular file, and as `Sandbox.run` does."""
    if regular_bytes(file) == 0:
        return Unreadable(reason=Why.EMPTY)
    ended = sandbox.run(_COMMAND, bounds=PROBE_BOUNDS, stop=stop, reads=file)
    if ended.code is None:
        return Unreadable(reason=Why.TOO_LONG)
    if ended.killed_by(signal.SIGKILL):
        return Unreadable(reason=Why.TOO_LARGE)
    if ended.crashed:
        return Unreadable(reason=Why.CRASH)
    if not ended.whole:
        return Unreadable(reason=Why.TALKATIVE)
    return _judge(ended, file)


def _judge(ended: Ended, file: Path) -> MediaFacts | Unreadable:
    document = parse(ended.stdout)
    error = None if document is None else document.get("error")
    if document is not None and error is None and ended.code == 0:
        return read_facts(document)
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(code, int):
        # What it printed may quote the file, so it stands in the hint: a message may get into the ledger.
        said = ended.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise ToolError(
            "ffprobe failed in a way that has nothing to do with the file",
            hint=f"install ffmpeg 5.1 or newer from the distribution; ffprobe said: {said[0]}",
        )
    if -code in _FAULTS_OF_STATION:
        raise StorageError(f"{file} could not be read in the sandbox: {os.strerror(-code)}")
    if code == -errno.EIO:
        # ffmpeg says so of a failing disk and of a header that promises more than there is.
        _read_ends(file)
    if b"moov atom not found" in ended.stderr:
        return Unreadable(reason=Why.NO_INDEX)
    if b"whitelist" in ended.stderr:
        return Unreadable(reason=Why.REFUSED)
    if code == -errno.ENOMEM:
        return Unreadable(reason=Why.TOO_LARGE)
    return Unreadable(reason=Why.NO_MEDIA)


def _read_ends(file: Path) -> None:
    """Read where containers keep their headers; raises StorageError if the disk does not give them."""
    try:
        with file.open("rb") as stream:
            stream.read(_SAMPLE_BYTES)
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _SAMPLE_BYTES))
            stream.read(_SAMPLE_BYTES)
    except OSError as error:
        raise StorageError(f"{file} could not be read: {error.strerror}") from error
