"""The daemon's end of the mounter's socket: a `Mounter` for the source `udev`.

One connection is one card. Letting go of a card is closing its connection, which never waits, so the mounter also
unmounts everything when the daemon ends, however it ends.
"""

import select
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from edged.errors import MalformedError, RecorderError, UnavailableError
from edged.mountd.protocol import MAX_LINE_BYTES, MountRequest, Request, read_answer, write_request

_CONNECT_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 120.0
"""A dying card may take this long to be mounted or written back to."""


class MountClient:
    """Asks the mounter behind a socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mount(self, device: str, medium: int) -> "MountedCard":
        """Mount a device MAJOR:MINOR with a medium of that number, read-only.

        Raises RefusedRecorderError with the reason, RecorderError if it may pass, UnavailableError without a mounter.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_CONNECT_SECONDS)
            try:
                connection.connect(str(self._path))
            except OSError as error:
                raise UnavailableError(
                    f"The mounter does not answer at {self._path}: {error.strerror or error}.",
                    hint="Start it with `systemctl start edged-mountd.socket`.",
                ) from error
            connection.settimeout(_ANSWER_SECONDS)
            return MountedCard(connection, _ask(connection, MountRequest(device=device, medium=medium)))
        except BaseException:
            connection.close()
            raise


class MountedCard:
    """A card that is mounted for as long as this is not released."""

    def __init__(self, connection: socket.socket, folder: Path | None) -> None:
        """Take over the connection; raises MalformedError if the mounter did not say where it mounted."""
        if folder is None:
            raise MalformedError("The mounter did not say where it mounted.")
        self.folder = folder
        """Where it is mounted."""
        self._connection = connection
        self._asking = threading.Lock()

    def writable(self) -> None:
        """Have it mounted writable; raises RefusedRecorderError with the reason, RecorderError."""
        with self._asking:
            _ask(self._connection, "writable")

    def read_only(self) -> None:
        """Have it written back and mounted read-only; raises RecorderError."""
        with self._asking:
            _ask(self._connection, "read_only")

    def forget(self) -> None:
        """Have the kernel drop what it remembers of the card's device; raises RecorderError."""
        with self._asking:
            _ask(self._connection, "forget")

    def lost(self) -> bool:
        """Say whether the mounter let go of it by itself: it was stopped, or started anew."""
        if not self._asking.acquire(blocking=False):
            return False
        try:
            waiting = select.poll()
            waiting.register(self._connection, select.POLLIN)
            return bool(waiting.poll(0)) and self._connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True
        finally:
            self._asking.release()

    def release(self) -> None:
        """Let go of it, at once, also while another thread waits for an answer about it."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        with self._asking:
            self._connection.close()


def _ask(connection: socket.socket, request: Request) -> Path | None:
    line = b""
    try:
        connection.sendall(write_request(request))
        while not line.endswith(b"\n") and len(line) <= MAX_LINE_BYTES:
            part = connection.recv(MAX_LINE_BYTES)
            if not part:
                raise RecorderError("The mounter let go of the card: it has left, or the mounter was stopped.")
            line += part
    except OSError as error:
        raise RecorderError(f"The mounter did not answer about the card: {error.strerror or error}.") from error
    return read_answer(line)
