"""The sandbox in another process: what a daemon uses that may not make namespaces itself, and what runs it there.

One connection is one run: a request, a line of JSON; then either a line with the lengths of what the program said,
followed by it, or a line with an error. When the client closes the connection, the program ends. Both ends are of one
user, so the request may name any file; but only the few programs that media work takes are run.
"""

import json
import logging
import os
import selectors
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from edged.clock import Clock
from edged.errors import EdgedError, MalformedError, NotAllowedError, StoppedError, ToolError, UnreadableError
from edged.media.sandbox import Bounds, Ended, Sandbox

_log = logging.getLogger(__name__)

_PROGRAMS: Final = frozenset({"true", "ffmpeg", "ffprobe"})
_MAX_LINE_BYTES: Final = 1 << 16
_MAX_SAID_BYTES: Final = 1 << 21
_TICK_SECONDS: Final = 0.1
_SLACK_SECONDS: Final = 30
_REQUEST_SECONDS: Final = 10.0


class SandboxElsewhere(Sandbox):
    """Has programs run by the server behind a socket."""

    def __init__(self, clock: Clock, path: Path) -> None:
        super().__init__(clock)
        self._path = path

    def run(
        self,
        command: Sequence[str],
        *,
        bounds: Bounds,
        stop: threading.Event,
        reads: Path | None = None,
        writes: Path | None = None,
    ) -> Ended:
        """As `Sandbox.run`; raises ToolError also if nobody answers at the socket."""
        plain = {
            "command": list(command),
            "bounds": asdict(bounds),
            "reads": None if reads is None else str(reads.absolute()),
            "writes": None if writes is None else str(writes.absolute()),
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(str(self._path))
                connection.sendall(json.dumps(plain).encode() + b"\n")
                answer = self._receive(connection, bounds.wall_seconds + _SLACK_SECONDS, stop)
            except OSError as error:
                raise ToolError(
                    f"the media sandbox does not answer at {self._path}: {error.strerror or error}",
                    hint="see `systemctl status edged-media.socket`",
                ) from error
        return _ended(answer)

    def _receive(self, connection: socket.socket, seconds: float, stop: threading.Event) -> bytes:
        """Give the whole answer; a stop is an Event, which no socket can wait for."""
        until = self._clock.monotonic() + seconds
        answer = bytearray()
        connection.settimeout(_TICK_SECONDS)
        while len(answer) <= _MAX_LINE_BYTES + _MAX_SAID_BYTES:
            if stop.is_set():
                raise StoppedError("media work was stopped with the station")
            if self._clock.monotonic() > until:
                raise ToolError("the media sandbox did not answer in time")
            with suppress(TimeoutError):
                piece = connection.recv(1 << 16)
                if not piece:
                    break
                answer += piece
        return bytes(answer)


class SandboxServer:
    """Runs programs for whoever connects as the server's own user, each in a thread and a sandbox of its own."""

    def __init__(self, listener: socket.socket, sandbox: Sandbox) -> None:
        """Take over a socket that listens."""
        self._listener = listener
        self._sandbox = sandbox
        self._busy: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._wake, self._waker = socket.socketpair()

    def serve(self) -> None:
        """Answer until `stop` is called, then end every program."""
        # Not by shutting the listener down: systemd keeps it for the next server.
        with selectors.DefaultSelector() as ready:
            for each in (self._listener, self._wake):
                each.settimeout(0)
                ready.register(each, selectors.EVENT_READ)
            while all(key.fileobj is not self._wake for key, _ in ready.select()):
                with suppress(BlockingIOError, ConnectionAbortedError):
                    self._begin(self._listener.accept()[0])
        self._stopping.set()
        with self._lock:
            left = list(self._busy)
        for thread in left:
            thread.join()
        self._wake.close()
        self._waker.close()

    def stop(self) -> None:
        """Have `serve` come to its end; may be called from a signal handler."""
        self._waker.send(b"\n")

    def _begin(self, connection: socket.socket) -> None:
        thread = threading.Thread(target=self._handle, args=(connection,), name="media", daemon=True)
        with self._lock:
            self._busy.add(thread)
        thread.start()

    def _handle(self, connection: socket.socket) -> None:
        try:
            with connection, suppress(OSError):
                answer = self._answer(connection)
                connection.settimeout(_REQUEST_SECONDS)
                connection.sendall(answer)
        finally:
            with self._lock:
                self._busy.discard(threading.current_thread())

    def _answer(self, connection: socket.socket) -> bytes:
        try:
            _check_peer(connection)
            connection.settimeout(_REQUEST_SECONDS)
            with connection.makefile("rb") as lines:
                request = lines.readline(_MAX_LINE_BYTES)
            ended = self._run(_read(request), connection)
        except EdgedError as error:
            if not isinstance(error, StoppedError):
                _log.warning("%s", error.message)
            return _line({"error": type(error).__name__, "message": error.message, "hint": error.hint})
        told: dict[str, object] = {"code": ended.code, "whole": ended.whole, "stdout": len(ended.stdout)}
        return _line(told) + ended.stdout + ended.stderr

    def _run(self, plain: dict[str, Any], connection: socket.socket) -> Ended:
        """Run what is asked for; ends it when the client leaves, or the server stops."""
        try:
            command = [str(word) for word in plain["command"]]
            bounds = Bounds(**{name: int(value) for name, value in plain["bounds"].items()})
            files = {name: Path(plain[name]) for name in ("reads", "writes") if plain[name] is not None}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MalformedError("A request to the media sandbox is none that there is.") from error
        if not command or command[0] not in _PROGRAMS:
            raise NotAllowedError("The media sandbox runs ffmpeg and ffprobe, and nothing else.")
        stop, done = threading.Event(), threading.Event()
        watcher = threading.Thread(target=self._watch, args=(connection, stop, done), name="media client", daemon=True)
        watcher.start()
        try:
            return self._sandbox.run(command, bounds=bounds, stop=stop, **files)
        finally:
            done.set()
            watcher.join()

    def _watch(self, connection: socket.socket, stop: threading.Event, done: threading.Event) -> None:
        connection.settimeout(_TICK_SECONDS)
        while not done.is_set():
            try:
                # Nothing more is ever sent by a client: whatever comes is its end.
                connection.recv(1)
            except TimeoutError:
                if not self._stopping.is_set():
                    continue
            except OSError:
                pass
            break
        else:
            return
        stop.set()


def _check_peer(connection: socket.socket) -> None:
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if uid not in {0, os.geteuid()}:
        raise NotAllowedError(f"User {uid} may not have anything run in the media sandbox.")


def _read(line: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedError("A line on the media sandbox's socket is not JSON.") from error
    if not isinstance(plain, dict):
        raise MalformedError("A line on the media sandbox's socket is not a JSON object.")
    return plain


def _line(plain: dict[str, object]) -> bytes:
    return json.dumps(plain).encode() + b"\n"


def _ended(answer: bytes) -> Ended:
    """Read an answer; raises the error it bears, and ToolError for one that broke off."""
    line, end, said = answer.partition(b"\n")
    if not end:
        raise ToolError("the media sandbox ended before it answered", hint="see `journalctl -u edged-media`")
    plain = _read(line)
    match plain:
        case {"error": str(kind), "message": str(message), "hint": str(hint)}:
            raise (UnreadableError if kind == UnreadableError.__name__ else ToolError)(message, hint=hint)
        case {"code": int() | None as code, "whole": bool(whole), "stdout": int(length)} if 0 <= length <= len(said):
            return Ended(code=code, stdout=said[:length], stderr=said[length:], whole=whole)
        case _:
            raise ToolError("the media sandbox's answer cannot be understood")
