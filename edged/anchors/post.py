"""One bounded HTTP request to somebody who may be slow, gone or hostile.

Guarantees: no redirect is followed, nothing of the surroundings (proxies, certificates) is used, the answer is read
up to a limit, and all of it ends within a time, however slowly bytes trickle in, and at once when the process stops.
What passes by itself is an `UnavailableError`; any other status is the other side's answer, for the caller to read.
"""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, SSLError

from edged.anchors.port import AnchorError
from edged.clock import Clock
from edged.errors import ConfigError, StoppedError, UnavailableError

MAX_ANSWER_BYTES: Final = 256 << 10
"""Tokens with their certificates have some kilobytes; cosignatures less."""

_CONNECT_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.25
_OVERLOADED: Final = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    kind: str
    """Its media type, in lower case, without parameters."""
    body: bytes


class Poster:
    """Posts to one URL, over one kept connection; for one thread at a time."""

    def __init__(  # noqa: PLR0913 - what a request is bounded by
        self,
        url: str,
        *,
        who: str,
        clock: Clock,
        stop: threading.Event,
        ca_file: Path | None = None,
        whole_seconds: float = 30.0,
    ) -> None:
        """`who` is the other side as sentences call it; `ca_file` vouches for it in place of the public authorities.

        Raises ConfigError for a URL or CA file that cannot be used.
        """
        self._who = who
        self._clock = clock
        self._stop = stop
        self._whole_seconds = whole_seconds
        self._socket: socket.socket | None = None
        try:
            target = urllib3.util.parse_url(url)
        except LocationParseError as error:
            raise ConfigError(f"The `url` of {who} is none: {url}.", hint="Nothing was changed. Correct it.") from error
        host, port = target.host or "", target.port
        if target.scheme == "https":
            self._pool: urllib3.HTTPConnectionPool = urllib3.HTTPSConnectionPool(
                host, port, maxsize=1, block=True, ssl_context=_context(who, ca_file)
            )
        else:
            self._pool = urllib3.HTTPConnectionPool(host, port, maxsize=1, block=True)
        self._path = target.request_uri
        self._pool.ConnectionCls = _watched(self._pool.ConnectionCls, self)

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request; raises UnavailableError, StoppedError, or AnchorError for an answer beyond all bounds."""
        try:
            with self._bounded():
                answer = self._exchange(body, headers)
        except SSLError as error:
            hint = "Is `ca_file` the authority that vouches for it?"
            raise UnavailableError(f"{self._capital} cannot be reached safely: {_cause(error)}.", hint=hint) from error
        except HTTPError as error:
            raise self._away(f"cannot be reached: {_cause(error)}") from error
        if answer.status in _OVERLOADED:
            raise self._away(f"cannot answer now (HTTP {answer.status})")
        return answer

    def close(self) -> None:
        """Give up the connection."""
        self._pool.close()

    @property
    def _capital(self) -> str:
        return self._who[:1].upper() + self._who[1:]

    def _away(self, why: str) -> UnavailableError:
        return UnavailableError(f"{self._capital} {why}.", hint="It is tried again.")

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        response = self._pool.urlopen(
            "POST",
            self._path,
            body=body,
            headers={"User-Agent": "edged", **headers},
            retries=False,
            timeout=urllib3.Timeout(_CONNECT_SECONDS, self._whole_seconds),
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            whole = response.read(MAX_ANSWER_BYTES + 1)
        except BaseException:
            response.close()
            raise
        if len(whole) > MAX_ANSWER_BYTES:
            # What is left unread belongs to no later answer.
            response.close()
            raise AnchorError(f"{self._capital} answers more than {MAX_ANSWER_BYTES >> 10} KiB.")
        response.release_conn()
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Answer(status=response.status, kind=kind, body=whole)

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Cut the connection when the time is over or the process stops, and say which it was."""
        done, late = threading.Event(), threading.Event()
        deadline = self._clock.monotonic() + self._whole_seconds

        def watch() -> None:
            while not done.wait(_LOOK_SECONDS):
                if self._clock.monotonic() > deadline:
                    late.set()
                if late.is_set() or self._stop.is_set():
                    self._cut()

        watcher = threading.Thread(target=watch, name="deadline", daemon=True)
        watcher.start()
        try:
            yield
        except HTTPError as error:
            self._check_cut(late, error)
            raise
        else:
            # An answer that only the end of the connection ends looks whole when it was cut.
            self._check_cut(late, None)
        finally:
            done.set()
            watcher.join()

    def _check_cut(self, late: threading.Event, error: HTTPError | None) -> None:
        if self._stop.is_set():
            raise StoppedError("Stopped while waiting for an answer.") from error
        if late.is_set():
            raise self._away(f"takes longer than {self._whole_seconds:.0f} s") from error

    def _cut(self) -> None:
        """End what is being sent or received; the method of the plain socket, as that of TLS wants its own thread."""
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _watched(kind: type, poster: Poster) -> type:
    """Give a kind of connection that tells the poster its socket."""

    class Watched(kind):  # type: ignore[misc] # HTTP or HTTPS
        def connect(self) -> None:
            super().connect()
            poster._socket = self.sock  # noqa: SLF001 - a part of it

    return Watched


def _context(who: str, ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one
        raise ConfigError(
            f"The `ca_file` of {who} cannot be used: {ca_file}: {error.strerror or error}.",
            hint="It is a PEM file that the daemon's user can read.",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _cause(error: BaseException) -> str:
    """Give the innermost reason, in the words of the system."""
    reason: BaseException = error
    while isinstance(deeper := getattr(reason, "reason", None) or reason.__cause__, BaseException):
        reason = deeper
    if isinstance(reason, ssl.SSLCertVerificationError):
        return reason.verify_message
    if isinstance(reason, OSError):
        return reason.strerror or str(reason) or type(reason).__name__
    return str(reason).rpartition(": ")[2].strip("()'. ") or type(reason).__name__
