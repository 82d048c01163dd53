"""The witness over HTTP: C2SP `tlog-witness`, on starlette and uvicorn.

Guarantees: a request beyond its bounds, or one that takes too long, is refused before it is looked at; only so many
connections are served, and none is kept by whoever says nothing; what nobody foresaw is a 500 without details, and
nothing was cosigned. Deciding blocks (SQLite, fsync), so it runs on threads of its own, one request at a time.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from edged.anchors.witness_settings import WitnessFolder
from edged.anchors.witnessing import MAX_BODY_BYTES, Reply, Witnessing
from edged.errors import ConfigError, EdgedError

_HEAD_SECONDS: Final = 10.0
_BODY_SECONDS: Final = 15.0
_IDLE_SECONDS: Final = 75
_AT_ONCE: Final = 64
_END_SECONDS: Final = 10

_log = logging.getLogger(__name__)


def application(witnessing: Witnessing) -> Starlette:
    """Give the witness as an ASGI application."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await asyncio.wait_for(_bounded(request.stream()), _BODY_SECONDS)
        except (TimeoutError, ClientDisconnect):
            return _response(Reply(status=408, body=b"The request did not come in time.\n"))
        if body is None:
            return _response(Reply(status=413, body=b"The request is too long.\n"))
        return _response(await run_in_threadpool(_decide, witnessing, body))

    async def newest(request: Request) -> Response:
        return _response(await run_in_threadpool(witnessing.newest, request.path_params["origin_hash"]))

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin_hash:str}/checkpoint", newest, methods=["GET"]),
        ]
    )


def listen(folder: WitnessFolder) -> socket.socket:
    """Take the address of the configuration; raises ConfigError if it cannot be had."""
    host, port = folder.config.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise ConfigError(
            f"The witness cannot listen at {folder.config.listen}: {error.strerror or error}.",
            hint="Correct `listen` in witness.toml, or stop what listens there.",
        ) from error


def serve(folder: WitnessFolder, witnessing: Witnessing, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; what is under way then is finished."""
    config = uvicorn.Config(
        application(witnessing),
        log_config=None,
        access_log=False,
        lifespan="off",
        loop="asyncio",
        http=_Impatient,
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_AT_ONCE,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_END_SECONDS,
    )
    config.load()
    config.ssl = folder.config.tls()
    # uvicorn ends by raising the signal that it got once more, for which another handler must stand ready.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


class _Impatient(H11Protocol):
    """Closes a connection whose next request does not come whole, as far as its head goes, in time."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._patience = self.loop.call_later(_HEAD_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        """Wait no more once a request is under way, and wait for the next one from its first byte on."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._patience is None:
            self._patience = self.loop.call_later(_HEAD_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


async def _bounded(blocks: AsyncIterator[bytes]) -> bytes | None:
    """Read a body; None for one that is too long."""
    whole = bytearray()
    async for block in blocks:
        whole += block
        if len(whole) > MAX_BODY_BYTES:
            return None
    return bytes(whole)


def _decide(witnessing: Witnessing, body: bytes) -> Reply:
    try:
        return witnessing.add_checkpoint(body)
    except EdgedError as error:
        _log.error("%s %s", error.message, error.hint)
        return Reply(status=503, body=b"The witness cannot answer now.\n")


def _response(reply: Reply) -> Response:
    return Response(reply.body, status_code=reply.status, headers={"Content-Type": reply.kind})
