"""The calls of the control socket, each with the role it takes."""

from typing import Any

from edged.clock import rfc3339
from edged.control.peer import Groups, Peer, Role
from edged.control.server import Call, ControlServer
from edged.station.exporting import export
from edged.station.following import Following
from edged.station.handing import hand_in
from edged.station.keeping import Act, install_key, request_key, rotate_key, show_keys
from edged.station.parts import Parts
from edged.station.receipts import asked_receipt
from edged.station.status import status


def serve(parts: Parts) -> ControlServer:
    """Give the control server of a station, not yet started."""
    since = rfc3339(parts.clock.now())

    def on_status(_: dict[str, Any], __: Peer) -> dict[str, object]:
        return status(parts, running_since=since)

    following = Following(parts)

    def on_watch(arguments: dict[str, Any], _: Peer) -> dict[str, object]:
        return following.answer(arguments)

    def on_receipt(arguments: dict[str, Any], _: Peer) -> dict[str, object]:
        return asked_receipt(parts.book, arguments, parts.config).plain()

    def on_export(arguments: dict[str, Any], peer: Peer) -> dict[str, object]:
        return export(parts, arguments, peer.actor, may_override=peer.may("administrator"))

    def on_intake(arguments: dict[str, Any], peer: Peer) -> dict[str, object]:
        return hand_in(parts, arguments, peer.actor, peer.handed)

    def acting(act: Act, role: Role) -> Call:
        return Call(role=role, run=lambda arguments, peer: act(parts, arguments, peer.actor))

    calls = {
        "status": Call(role="reader", run=on_status),
        "receipt": Call(role="reader", run=on_receipt),
        "watch": Call(role="reader", run=on_watch),
        "intake": Call(role="investigator", run=on_intake),
        "export": Call(role="investigator", run=on_export),
        "key-show": acting(show_keys, "reader"),
        "key-request": acting(request_key, "administrator"),
        "key-install": acting(install_key, "administrator"),
        "key-rotate": acting(rotate_key, "administrator"),
    }
    control = parts.config.control
    groups = Groups(investigators=control.investigators, administrators=control.administrators)
    return ControlServer(parts.config.control_socket, calls, parts.clock, groups=groups)
