"""The daemon's end of the control socket: one thread a request, bounded in size and time."""

import contextlib
import logging
import os
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edged.control.peer import Peer, Role, peer_of
from edged.control.protocol import MAX_REQUEST_BYTES, Request, read_request, write_answer, write_error
from edged.errors import EdgedError, MalformedError, NotAllowedError, StorageError, UsageError

_log = logging.getLogger(__name__)

_REQUEST_SECONDS: Final = 10.0
_LONGEST_PATH: Final = 107
"""Bytes that fit into sockaddr_un (unix(7))."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """Something the daemon can be asked to do, and the role that may ask."""

    role: Role
    run: Callable[[dict[str, Any], Peer], Any]


class ControlServer:
    """Serves the calls on a UNIX socket."""

    def __init__(self, path: Path, calls: dict[str, Call]) -> None:
        """Listen at `path`, in place of what an earlier daemon left; raises StorageError if that cannot be."""
        self._path = path
        if len(os.fsencode(path)) > _LONGEST_PATH:
            raise StorageError(
                f"The control socket's path {path} is longer than a UNIX socket allows.",
                hint="Choose a shorter state folder.",
            )
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        try:
            self._server = _Server(str(path), _Handler)
        except OSError as error:
            raise StorageError(f"The control socket {path} cannot be made: {error.strerror}.") from error
        path.chmod(0o660)
        self._server.calls = calls
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    calls: dict[str, Call]


class _Handler(socketserver.StreamRequestHandler):
    timeout = _REQUEST_SECONDS

    def handle(self) -> None:
        """Answer one request; an error of ours is an answer, and nothing ends the server."""
        server = self.server
        if not isinstance(server, _Server):
            return
        try:
            answer = self._answer(server.calls)
        except EdgedError as error:
            answer = write_error(error)
        except OSError as error:
            _log.info("control: a request was not finished: %s", error)
            return
        with contextlib.suppress(OSError):
            self.wfile.write(answer)

    def _answer(self, calls: dict[str, Call]) -> bytes:
        peer = peer_of(self.request)
        line = self.rfile.readline(MAX_REQUEST_BYTES + 1)
        if len(line) > MAX_REQUEST_BYTES or not line.endswith(b"\n"):
            raise MalformedError("The request is longer than a request may be, or not finished.")
        request: Request = read_request(line)
        call = calls.get(request.do)
        if call is None:
            raise UsageError(f"The daemon cannot do {request.do!r}.", hint="Is it of the same version as this command?")
        if not peer.may(call.role):
            raise NotAllowedError(f"User {peer.name} may not do {request.do!r}: it takes the role {call.role}.")
        return write_answer(call.run(request.arguments, peer))
