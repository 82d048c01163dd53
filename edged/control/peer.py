"""Who is at the other end of the control socket: the kernel says it, and the role follows from it."""

import os
import pwd
import socket
import struct
from dataclasses import dataclass
from typing import Final, Literal

from edged.evidence.ids import to_id

Role = Literal["reader", "investigator", "administrator"]
"""Each may do what the one before may: look; export evidence; everything."""

_RANK: Final = {"reader": 0, "investigator": 1, "administrator": 2}


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A user of this machine."""

    uid: int
    name: str
    role: Role

    @property
    def actor(self) -> str:
        """The `actor` of entries that this user causes (EVIDENCE.md, section 2)."""
        return f"user:{to_id(self.name)}"

    def may(self, role: Role) -> bool:
        """Say whether the user has a role or one above it."""
        return _RANK[self.role] >= _RANK[role]


def peer_of(connection: socket.socket) -> Peer:
    """Give who connected, by SO_PEERCRED (unix(7)).

    The daemon's own user and root administer; any other user that the file system lets reach the socket reads.
    """
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    role: Role = "administrator" if uid in {0, os.geteuid()} else "reader"
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid-{uid}"
    return Peer(uid=uid, name=name, role=role)
