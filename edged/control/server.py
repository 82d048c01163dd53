"""The daemon's end of the control socket: one thread a request, bounded in number, size and time.

Guarantees: an error of ours is an answer; what nobody foresaw ends the one request it happened in, with an answer and
a trace in the log; nothing ends the server but `stop`.
"""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edged.clock import Clock
from edged.control.peer import Groups, Peer, Role, peer_of
from edged.control.protocol import MAX_REQUEST_BYTES, read_request, write_answer, write_error
from edged.errors import EdgedError, MalformedError, NotAllowedError, StorageError, UsageError

_log = logging.getLogger(__name__)

_REQUEST_SECONDS: Final = 10.0
"""How long a whole request may take to arrive, and an answer to be taken."""
_AT_ONCE: Final = 64
_PAUSE_SECONDS: Final = 1.0
"""How long to wait when the system refuses a connection, as for want of descriptors."""
_ROLES: Final = "The groups named under [control] in station.toml give roles; `usermod -aG` puts a person into them."
_MOST_HANDED: Final = 1
_LONGEST_PATH: Final = 107
"""Bytes that fit into sockaddr_un (unix(7))."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """Something the daemon can be asked to do, and the role that may ask."""

    role: Role
    run: Callable[[dict[str, Any], Peer], Any]


class ControlServer:
    """Serves the calls on a UNIX socket."""

    def __init__(
        self,
        path: Path,
        calls: dict[str, Call],
        clock: Clock,
        *,
        groups: Groups | None = None,
        request_seconds: float = _REQUEST_SECONDS,
    ) -> None:
        """Listen at `path`, in place of what an earlier daemon left; raises StorageError if that cannot be."""
        self._path = path
        self._calls = calls
        self._clock = clock
        self._groups = groups
        self._request_seconds = request_seconds
        self._stopping = threading.Event()
        self._free = threading.Semaphore(_AT_ONCE)
        self._listener = _listen(path)
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; requests that are being answered are left to themselves."""
        self._stopping.set()
        # Closing alone would leave `accept` waiting.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if not self._stopping.is_set():
                    _log.warning("control: a connection was refused: %s", error)
                self._stopping.wait(_PAUSE_SECONDS)
                continue
            if not self._free.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._handle, args=(connection,), name="control request", daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        answer = write_error(EdgedError("The daemon failed unexpectedly.", hint="See its log."))
        try:
            answer = self._answer(connection)
        except EdgedError as error:
            answer = write_error(error)
        finally:
            self._free.release()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(self._request_seconds)
                connection.sendall(answer)

    def _answer(self, connection: socket.socket) -> bytes:
        with contextlib.ExitStack() as held:
            return self._run(peer_of(connection, self._groups), *self._read(connection, held))

    def _run(self, peer: Peer, line: bytes, handed: tuple[int, ...]) -> bytes:
        request = read_request(line)
        call = self._calls.get(request.do)
        if call is None:
            raise UsageError(f"The daemon cannot do {request.do!r}.", hint="Is it of the same version as this command?")
        if not peer.may(call.role):
            raise NotAllowedError(
                f"User {peer.name} may not do {request.do!r}: it takes the role {call.role}.", hint=_ROLES
            )
        return write_answer(call.run(request.arguments, replace(peer, handed=handed)))

    def _read(self, connection: socket.socket, held: contextlib.ExitStack) -> tuple[bytes, tuple[int, ...]]:
        """Read the line of a request, and what descriptors came with it, which `held` closes.

        Raises MalformedError for a line that is too long, or does not end in time.
        """
        handed: list[int] = []
        until = self._clock.monotonic() + self._request_seconds
        data = bytearray()
        with contextlib.suppress(OSError):
            while b"\n" not in data and len(data) < MAX_REQUEST_BYTES and (left := until - self._clock.monotonic()) > 0:
                connection.settimeout(left)
                piece, descriptors, _, _ = socket.recv_fds(connection, MAX_REQUEST_BYTES - len(data), _MOST_HANDED)
                for descriptor in descriptors:
                    held.callback(os.close, descriptor)
                handed += descriptors
                if len(handed) > _MOST_HANDED:
                    raise MalformedError("More descriptors came with the request than any takes.")
                if not piece:
                    break
                data += piece
        line, end, _ = bytes(data).partition(b"\n")
        if not end:
            raise MalformedError("The request is longer than a request may be, or not finished.")
        return line, tuple(handed)


def _listen(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise StorageError(
            f"The control socket's path {path} is longer than a UNIX socket allows.",
            hint="Name a shorter one under [control] in station.toml.",
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        # Before it has its name too, so that nobody else can connect in between.
        os.fchmod(listener.fileno(), 0o660)
        listener.bind(str(path))
        path.chmod(0o660)
        listener.listen()
    except OSError as error:
        listener.close()
        raise StorageError(f"The control socket {path} cannot be made: {error.strerror}.") from error
    return listener
