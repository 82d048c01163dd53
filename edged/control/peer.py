"""Who is at the other end of the control socket: the kernel says it, and the role follows from it.

Both the user and the groups are those of the process that connected, at that moment (SO_PEERCRED of unix(7) and
SO_PEERGROUPS, Linux 4.13), so a role that was taken away ends with the person's session.
"""

import ctypes
import errno
import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from typing import Final, Literal

from edged.evidence.ids import to_id

Role = Literal["reader", "investigator", "administrator"]
"""Each may do what the one before may: look; export evidence; everything."""

_PEER_GROUPS: Final = 59
"""SO_PEERGROUPS on every architecture but SPARC and PA-RISC; Python does not name it."""
_MOST_GROUPS: Final = 65_536
_libc = ctypes.CDLL(None, use_errno=True)
_RANK: Final = {"reader": 0, "investigator": 1, "administrator": 2}


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Whose members have more than the role of a reader. A group that does not exist has no members."""

    investigators: str
    administrators: str


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A user of this machine."""

    uid: int
    name: str
    role: Role
    handed: tuple[int, ...] = ()
    """Descriptors that came with the request; they are closed when it is answered."""

    @property
    def actor(self) -> str:
        """The `actor` of entries that this user causes (EVIDENCE.md, section 2)."""
        return f"user:{to_id(self.name)}"

    def may(self, role: Role) -> bool:
        """Say whether the user has a role or one above it."""
        return _RANK[self.role] >= _RANK[role]


def peer_of(connection: socket.socket, groups: Groups | None = None) -> Peer:
    """Give who connected.

    The daemon's own user and root administer; members of the groups have their roles; any other user that the file
    system lets reach the socket reads.
    """
    size = struct.calcsize("3i")
    _, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid-{uid}"
    return Peer(uid=uid, name=name, role=_role(uid, {gid, *_further_groups(connection)}, groups))


def _role(uid: int, gids: set[int], groups: Groups | None) -> Role:
    if uid in {0, os.geteuid()}:
        return "administrator"
    if groups is not None and _number(groups.administrators) in gids:
        return "administrator"
    if groups is not None and _number(groups.investigators) in gids:
        return "investigator"
    return "reader"


def _number(group: str) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _further_groups(connection: socket.socket) -> list[int]:
    """Give the supplementary groups of who connected; none where the kernel does not tell."""
    # Not by Python's own getsockopt, which has room for 256 of the 65 536 that a user may have.
    most = 64
    while most <= _MOST_GROUPS:
        found = (ctypes.c_uint32 * most)()
        length = ctypes.c_uint32(ctypes.sizeof(found))
        if _libc.getsockopt(connection.fileno(), socket.SOL_SOCKET, _PEER_GROUPS, found, ctypes.byref(length)) == 0:
            return found[: length.value // 4]
        if ctypes.get_errno() != errno.ERANGE:
            break
        most *= 4
    return []
