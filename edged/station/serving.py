"""The calls of the control socket, each with the role it takes."""

from typing import Any

from edged.clock import rfc3339
from edged.control.peer import Peer
from edged.control.server import Call, ControlServer
from edged.station.exporting import export
from edged.station.files import SOCKET
from edged.station.parts import Parts
from edged.station.status import status


def serve(parts: Parts) -> ControlServer:
    """Give the control server of a station, not yet started."""
    since = rfc3339(parts.clock.now())

    def on_status(_: dict[str, Any], __: Peer) -> dict[str, object]:
        return status(parts, running_since=since)

    def on_export(arguments: dict[str, Any], peer: Peer) -> dict[str, object]:
        return export(parts, arguments, peer.actor)

    calls = {
        "status": Call(role="reader", run=on_status),
        "export": Call(role="investigator", run=on_export),
    }
    return ControlServer(parts.config.paths.state / SOCKET, calls, parts.clock)
