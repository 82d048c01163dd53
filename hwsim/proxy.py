"""A TCP proxy on loopback that delays, cuts, resets and stalls connections when told to.

It stands between the daemon and a storage server or broker, so that the network fails at a chosen byte and
nothing else has to be simulated. One thread accepts, two carry each connection; `close` ends them all.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal, Self

_HOST: Final = "127.0.0.1"
_PIECE_BYTES: Final = 65_536
_ACCEPT_SECONDS: Final = 0.2
_CONNECT_SECONDS: Final = 5
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER for zero seconds: close(2) then sends RST instead of FIN."""

How = Literal["close", "reset", "stall"]
"""What becomes of a connection: an orderly end, a reset, or silence until the proxy is closed."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to the connection that carries a certain byte towards the server."""

    after_bytes: int
    """So many more bytes, over all connections from now on, still arrive."""
    how: How


class Proxy:
    """Forwards 127.0.0.1:`port` to `target`; a context manager, running from its construction on."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._delay_seconds = 0.0
        self._down = False
        self._to_server_bytes = 0
        self._connections: set[_Connection] = set()
        self._closed = threading.Event()
        self._listener = socket.create_server((_HOST, 0))
        self._listener.settimeout(_ACCEPT_SECONDS)
        self._acceptor = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def to_server_bytes(self) -> int:
        """How many bytes were passed on to the server so far."""
        with self._lock:
            return self._to_server_bytes

    def delay(self, seconds: float) -> None:
        """Let each piece of at most 64 KiB, either way, wait so long from now on; 0 for none."""
        with self._lock:
            self._delay_seconds = seconds

    def script(self, *faults: Fault) -> None:
        """Set what goes wrong next, one after the other; each counts from the one before it."""
        with self._lock:
            self._faults = list(faults)

    def down(self) -> None:
        """Reset every connection, and each new one, until `up`."""
        with self._lock:
            self._down = True
            connections = list(self._connections)
        for connection in connections:
            connection.end(reset=True)

    def up(self) -> None:
        """Carry connections again."""
        with self._lock:
            self._down = False

    def close(self) -> None:
        """End all connections and threads."""
        self._closed.set()
        self._acceptor.join()
        self._listener.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.end(reset=False)
            connection.join()

    def _accept(self) -> None:
        while not self._closed.is_set():
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=_CONNECT_SECONDS)
        except OSError:
            _reset(client)
            client.close()
            return
        connection = _Connection(client, server, self._admit, self._forget)
        with self._lock:
            self._connections.add(connection)
            refused = self._down
        connection.start()
        if refused:
            connection.end(reset=True)

    def _forget(self, connection: "_Connection") -> None:
        with self._lock:
            self._connections.discard(connection)

    def _admit(self, piece: bytes, *, to_server: bool) -> tuple[bytes, How | None]:
        """Wait as long as a piece is delayed; give what of it still arrives, and what happens then."""
        self._closed.wait(self._delay_seconds)
        if not to_server:
            return piece, None
        with self._lock:
            how = None
            if self._faults:
                fault = self._faults[0]
                if len(piece) < fault.after_bytes:
                    self._faults[0] = replace(fault, after_bytes=fault.after_bytes - len(piece))
                else:
                    piece, how = piece[: fault.after_bytes], fault.how
                    del self._faults[0]
            self._to_server_bytes += len(piece)
        return piece, how


class _Connection:
    """A pair of sockets, and two threads that carry bytes between them; the last to end closes both sockets."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        admit: Callable[..., tuple[bytes, How | None]],
        forget: Callable[["_Connection"], None],
    ) -> None:
        self._sockets = (client, server)
        self._admit = admit
        self._forget = forget
        self._lock = threading.Lock()
        self._carrying = 2
        self._ended = False
        self._stalled = False
        self._released = threading.Event()
        self._threads = [
            threading.Thread(target=self._carry, args=(client, server, True), name="proxy up", daemon=True),
            threading.Thread(target=self._carry, args=(server, client, False), name="proxy down", daemon=True),
        ]
        for each in self._sockets:
            each.settimeout(None)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def end(self, *, reset: bool) -> None:
        """Make both threads end."""
        with self._lock:
            if self._carrying == 0:
                return
            self._ended = True
            for each in self._sockets:
                if reset:
                    _reset(each)
                # For a reset, only reading is shut: shutting writing would send an orderly FIN.
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        self._released.set()

    def _carry(self, source: socket.socket, sink: socket.socket, to_server: bool) -> None:  # noqa: FBT001 - a thread's argument
        with suppress(OSError):  # either side gone: the other one learns of it below
            while piece := source.recv(_PIECE_BYTES):
                admitted, how = self._admit(piece, to_server=to_server)
                if self._stalled:
                    self._released.wait()
                sink.sendall(admitted)
                if how == "stall":
                    self._stalled = True
                    self._released.wait()
                elif how is not None:
                    self.end(reset=how == "reset")
        with self._lock, suppress(OSError):
            if not self._ended:
                sink.shutdown(socket.SHUT_WR)
        with self._lock:
            self._carrying -= 1
            if self._carrying == 0:
                for each in self._sockets:
                    each.close()
                self._forget(self)


def _reset(connection: socket.socket) -> None:
    """Let the close of a socket reset its connection."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
