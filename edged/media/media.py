"""What the station asks of this room: is everything there, what is this file, make a derivative of it.

A derivative is decided by `plan`, run in the sandbox, and then looked at: ffmpeg's exit status is not believed, the
file must also be whole, and be what was planned when it is probed itself. The result is a new file in a folder of the
caller's, which makes it durable or deletes it; whatever else happens (a reason, an error, a stop), no file is
left.
"""

import contextlib
import os
import re
import shutil
import signal
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.errors import FullError, StoppedError, StorageError, ToolError
from edged.media.facts import MediaFacts, Unreadable, Why
from edged.media.plan import Kind, NoDerivative, Plan, plan
from edged.media.probe import probe
from edged.media.reading import PROBE_BOUNDS
from edged.media.sandbox import Ended, Sandbox, regular_bytes
from edged.media.whole import is_whole_jpeg, is_whole_mp4

_BANNER: Final = re.compile(rb"(?m)^ffmpeg version ([0-9A-Za-z.+~:-]{1,60}) ")
_NEEDED_ENCODERS: Final = ("libx264", "aac", "mjpeg")
_INSTALL_HINT: Final = "install ffmpeg 5.1 or newer from the distribution"
_FULL_BYTES: Final = 1 << 20
_TURN_SECONDS: Final = 0.5
_TEXT_BYTES: Final = 1 << 20
"""Longer files are not looked at for being text: they are worth the start of a program."""


@dataclass(frozen=True, kw_only=True)
class Derivative:
    """A derivative that was made, and how."""

    kind: Kind
    file: Path
    """A new file in the folder that was given: complete, not yet durable, ending in `.jpg`, `.mp4` or `.m4a`."""
    tool: str
    """Program and version: `ffmpeg 5.1.9-0+deb12u1`."""
    arguments: tuple[str, ...]
    """What the program was given, with the neutral paths of the sandbox."""


class Media:
    """Probing and derivatives; holds nothing but its sandbox, and may be used from any number of threads."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        # Each takes a core for as long as it runs, and memory: more at once would only be later together.
        self._probing = threading.BoundedSemaphore(os.cpu_count() or 1)

    def check(self, stop: threading.Event) -> str:
        """Give ffmpeg's name and version; raises ToolError saying what is missing before media work is begun."""
        self._sandbox.check(stop)
        if self._sandbox.run(("ffprobe", "-version"), bounds=PROBE_BOUNDS, stop=stop).code != 0:
            raise ToolError("ffprobe is installed but does not run", hint=_INSTALL_HINT)
        ended = self._sandbox.run(("ffmpeg", "-encoders"), bounds=PROBE_BOUNDS, stop=stop)
        missing = [name for name in _NEEDED_ENCODERS if f" {name} " not in ended.stdout.decode(errors="replace")]
        if missing:
            raise ToolError(f"ffmpeg is installed without {', '.join(missing)}", hint=_INSTALL_HINT)
        return _tool(ended)

    def probe(self, file: Path, stop: threading.Event) -> MediaFacts | Unreadable:
        """Find out what a file is.

        Raises UnreadableError if it is no regular file, StorageError if the disk fails, ToolError if ffprobe cannot
        be run, StoppedError on a stop: then nothing is known about the content.
        """
        if looks_like_text(file):
            return Unreadable(reason=Why.NO_MEDIA)
        while not self._probing.acquire(timeout=_TURN_SECONDS):
            if stop.is_set():
                raise StoppedError("Probing was stopped before its turn.")
        try:
            return probe(self._sandbox, file, stop)
        finally:
            self._probing.release()

    def derive(
        self, kind: Kind, source: Path, into: Path, facts: MediaFacts, stop: threading.Event
    ) -> Derivative | NoDerivative:
        """Make a derivative of `source` as a new file in the folder `into`, or say why there is none.

        Raises as `probe` does, and FullError if the disk is full.
        """
        decision = plan(kind, facts, regular_bytes(source))
        if isinstance(decision, NoDerivative):
            return decision
        with contextlib.ExitStack() as undo:
            file = _new_file(into, decision)
            undo.callback(file.unlink, missing_ok=True)
            ended = self._sandbox.run(
                ("ffmpeg", *decision.arguments), bounds=decision.bounds, stop=stop, reads=source, writes=file
            )
            if ended.code != 0 or not self._is_as_planned(file, decision, stop):
                if shutil.disk_usage(into).free < _FULL_BYTES:
                    raise FullError(f"the disk has no room for a {kind}", hint="make room: nothing is lost")
                return NoDerivative(reason=_failure(ended, decision))
            made = Derivative(kind=kind, file=file, tool=_tool(ended), arguments=decision.arguments)
            undo.pop_all()
        return made

    def _is_as_planned(self, file: Path, decision: Plan, stop: threading.Event) -> bool:
        made = self.probe(file, stop)
        if isinstance(made, Unreadable):
            return False
        if decision.kind == "poster":
            return made.container == "jpeg" and is_whole_jpeg(file)
        has_picture = made.picture is not None
        return made.container == "mp4" and has_picture == (decision.suffix == ".mp4") and is_whole_mp4(file)


def looks_like_text(file: Path) -> bool:
    """Say whether all of a short file is plain text: a log, a track, a settings file. No container is.

    Starting a program to find nothing costs a tenth of a second, and a card holds many of these.
    """
    try:
        if file.stat().st_size > _TEXT_BYTES:
            return False
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    return bool(text) and all(character.isprintable() or character in "\t\r\n\f" for character in text)


def _tool(ended: Ended) -> str:
    """Read name and version off the banner of the very run that did the work."""
    match = _BANNER.search(ended.stderr)
    if match is None:
        raise ToolError("ffmpeg does not say its version", hint=_INSTALL_HINT)
    return f"ffmpeg {match[1].decode('ascii')}"


def _new_file(into: Path, decision: Plan) -> Path:
    try:
        descriptor, name = tempfile.mkstemp(dir=into.absolute(), prefix=f".{decision.kind}-", suffix=decision.suffix)
    except OSError as error:
        raise StorageError(f"no file can be made in {into}: {error.strerror}") from error
    os.close(descriptor)
    return Path(name)


def _failure(ended: Ended, decision: Plan) -> str:
    kind = decision.kind
    if ended.code is None:
        return f"making the {kind} took longer than {decision.bounds.wall_seconds} seconds and was stopped"
    if ended.killed_by(signal.SIGXFSZ):
        return f"the {kind} grew larger than such a file can need and was given up"
    if ended.killed_by(signal.SIGKILL):
        return f"making the {kind} asked for more time or memory than any recording needs and was stopped"
    if ended.crashed:
        return f"making the {kind} made ffmpeg crash; it was confined"
    return f"the file holds too little that can be shown to make a {kind}"
