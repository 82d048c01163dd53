"""Nothing of the daemon listens beyond UNIX sockets, idle or busy, it and its children."""

import os
import re
from contextlib import suppress
from pathlib import Path

from tests.crash.station import Station, clip_path, until

RECORDER = "BC00001"
_LISTENING_UNIX = 0x10000
"""__SO_ACCEPTCON in the flags of /proc/PID/net/unix."""


def family(pid: int) -> set[int]:
    """Give a process and all below it."""
    found = {pid}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in (task / "children").read_text().split():
                found |= family(int(child))
    return found


def sockets(pid: int) -> set[str]:
    """Give the inodes of the sockets that a process holds."""
    held = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if found := re.fullmatch(r"socket:\[(\d+)\]", str(fd.readlink())):
                    held.add(found[1])
    return held


def reachable(pid: int) -> set[str]:
    """Give what others could connect or send to: listening TCP, any UDP or raw socket, listening UNIX sockets."""
    held, found = sockets(pid), set()
    for table in ("tcp", "tcp6", "udp", "udp6", "udplite", "raw", "raw6"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                columns = line.split()
                if columns[9] in held and (not table.startswith("tcp") or columns[3] == "0A"):
                    found.add(f"{table} {columns[1]}")
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
            columns = line.split(None, 7)
            if columns[6] in held and int(columns[3], 16) & _LISTENING_UNIX:
                found.add(f"unix {columns[7] if len(columns) > 7 else 'without a name'}")
    return found


def test_nothing_listens_beyond_the_control_socket(station: Station) -> None:
    allowed = {f"unix {station.state / 'control.sock'}"}
    files = {clip_path(n): os.urandom(3 << 20) for n in range(1, 9)}
    with station.running() as pid:
        assert reachable(pid) == allowed
        bay = station.dock(station.card(RECORDER, files))
        seen: set[str] = set()

        def ended() -> bool:
            for each in family(pid):
                seen.update(reachable(each))
            return bool(station.bay(bay.name)["phase"] == "done")

        until(ended, "the docking ends")
        assert seen == allowed
    assert not (station.state / "control.sock").exists()
