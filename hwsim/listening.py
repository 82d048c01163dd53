"""Where a process listens, as the kernel tells it: to show that nothing is offered beyond loopback."""

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LISTEN: Final = "0A"
"""State of a socket in /proc/PID/net/tcp, see proc_net_tcp in the kernel's documentation."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, kw_only=True, order=True)
class Listener:
    """A TCP socket that waits for connections."""

    port: int
    loopback: bool
    """Whether only this machine can connect to it."""


def listeners(pid: int) -> frozenset[Listener]:
    """Give the TCP sockets that a process listens on; none when it is gone or another user's."""
    found = set()
    with suppress(OSError):
        inodes = _sockets(pid)
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTEN and columns[9] in inodes:
                    address, port = columns[1].split(":")
                    found.add(Listener(port=int(port, 16), loopback=_is_loopback(_address(address))))
    return frozenset(found)


def _sockets(pid: int) -> set[str]:
    """Give the inodes of the sockets that a process holds open."""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since
            if socket := re.fullmatch(r"socket:\[(\d+)\]", str(fd.readlink())):
                inodes.add(socket[1])
    return inodes


def _address(printed: str) -> Address:
    """Read an address: 32-bit words in the machine's own byte order, here little-endian, in hex."""
    words = [bytes.fromhex(printed[start : start + 8])[::-1] for start in range(0, len(printed), 8)]
    return ipaddress.ip_address(b"".join(words))


def _is_loopback(address: Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
