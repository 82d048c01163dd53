"""The mounter's end of the socket: who may ask, one lease a connection, and an end to every mount.

Guarantees: only one user is answered (SO_PEERCRED, unix(7)); a connection is the lease of at most one device, and a
device has at most one lease, so requests for one device are answered one after the other and never wait for another
device's; when a connection ends, by whichever end and for whatever reason, its card is unmounted. What is
not exactly a request ends the connection. `stop` ends all of them.
"""

import logging
import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO, Final

from edged.errors import EdgedError, MalformedError, NotAllowedError, RecorderError, UnavailableError
from edged.mountd.devices import bay_device
from edged.mountd.exfat_fuse import User
from edged.mountd.folder import Folder
from edged.mountd.mounting import Card
from edged.mountd.protocol import MAX_LINE_BYTES, MountRequest, Request, read_request, write_answer, write_error

_log = logging.getLogger(__name__)

_MOST_LEASES: Final = 128
"""32 bays with a few partitions each; connections beyond that are refused."""
_FIRST_REQUEST_SECONDS: Final = 5.0
_JOIN_SECONDS: Final = 90.0
_LET_GO_SECONDS: Final = 5.0
"""How long a connection waits for one that had the same device and is about to let go of it."""


@dataclass(frozen=True, kw_only=True)
class Users:
    """Whom the mounter knows."""

    daemon: User
    """The only one who may ask, and to whom all files on cards belong."""
    fuse: User | None
    """As whom file systems in user space run; without one, only the kernel's are used."""


class MountServer:
    """Answers on a socket that listens already."""

    def __init__(self, listener: socket.socket, folder: Folder, users: Users) -> None:
        self._listener = listener
        self._folder = folder
        self._users = users
        self._leases: dict[threading.Thread, socket.socket] = {}
        self._devices: set[tuple[int, int]] = set()
        self._lock = threading.Lock()
        self._let_go = threading.Condition(self._lock)
        self._wake, self._waker = socket.socketpair()

    def serve(self) -> None:
        """Answer until `stop` is called, then end every lease."""
        # Not by shutting the listener down: systemd keeps it for the next mounter.
        with selectors.DefaultSelector() as selector:
            for each in (self._listener, self._wake):
                each.settimeout(0)
                selector.register(each, selectors.EVENT_READ)
            while all(key.fileobj is not self._wake for key, _ in selector.select()):
                with suppress(BlockingIOError, ConnectionAbortedError):
                    self._begin(self._listener.accept()[0])
        with self._lock:
            leases = dict(self._leases)
        for connection in leases.values():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for lease in leases:
            lease.join(_JOIN_SECONDS)

    def stop(self) -> None:
        """Have `serve` come to its end; may be called from a signal handler."""
        self._waker.send(b"\n")

    def _begin(self, connection: socket.socket) -> None:
        lease = threading.Thread(target=self._lease, args=(connection,), name="lease", daemon=True)
        with self._lock:
            full = len(self._leases) >= _MOST_LEASES
            if not full:
                self._leases[lease] = connection
        if full:
            _refuse(connection, UnavailableError("The mounter has more connections than bays can need."))
            connection.close()
        else:
            lease.start()

    def _lease(self, connection: socket.socket) -> None:
        try:
            with connection:
                try:
                    self._check_peer(connection)
                    connection.settimeout(_FIRST_REQUEST_SECONDS)
                    with connection.makefile("rb") as lines:
                        self._answer(connection, lines)
                    connection.sendall(write_answer())
                except EdgedError as error:
                    _refuse(connection, error)
                except OSError as error:
                    _log.info("a connection ended: %s", error)
        finally:
            with self._lock:
                self._leases.pop(threading.current_thread(), None)

    def _answer(self, connection: socket.socket, lines: BinaryIO) -> None:
        """Mount, and answer until the card is to be unmounted; it is when this returns or raises."""
        request = read_request(lines.readline(MAX_LINE_BYTES + 1))
        if not isinstance(request, MountRequest):
            raise MalformedError("The first request of a connection is to mount something.")
        with self._card(request) as card:
            connection.settimeout(None)
            connection.sendall(write_answer(card.folder))
            while line := lines.readline(MAX_LINE_BYTES + 1):
                change = read_request(line)
                if change == "unmount":
                    break
                try:
                    self._change(card, change)
                    connection.sendall(write_answer())
                except EdgedError as error:
                    if not card.is_mounted:
                        # The client sees that the card is gone, and may ask for it anew.
                        raise
                    _refuse(connection, error)

    def _change(self, card: Card, change: Request) -> None:
        match change:
            case "writable":
                card.writable()
            case "read_only":
                card.read_only()
            case "forget":
                card.forget()
            case _:
                raise MalformedError("A connection mounts one device.")

    @contextmanager
    def _card(self, request: MountRequest) -> Iterator[Card]:
        """Hold a card mounted, and its device for this lease alone.

        A device whose medium changes while it is being mounted is asked for anew before the client has let go of what
        it asked for first.
        """
        number = request.number
        with self._let_go:
            if not self._let_go.wait_for(lambda: number not in self._devices, _LET_GO_SECONDS):
                raise RecorderError(f"Device {request.device} is mounted for another connection already.")
            self._devices.add(number)
        try:
            with bay_device(number, request.medium) as device:
                folder = self._folder.make(f"{number[0]}-{number[1]}.{request.medium}")
                card = Card(device, folder, owner=self._users.daemon, fuse_user=self._users.fuse)
                try:
                    card.mount()
                    _log.info("%s is mounted at %s", device.node, folder)
                    yield card
                finally:
                    card.release()
                    _log.info("%s is let go", device.node)
        finally:
            with self._let_go:
                self._devices.discard(number)
                self._let_go.notify_all()

    def _check_peer(self, connection: socket.socket) -> None:
        size = struct.calcsize("3i")
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        if uid != self._users.daemon.uid:
            raise NotAllowedError(f"User {uid} may not ask the mounter for anything.")


def _refuse(connection: socket.socket, error: EdgedError) -> None:
    _log.warning("refused: %s", error.message)
    with suppress(OSError):
        connection.sendall(write_error(error))
