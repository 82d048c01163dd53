"""The source `udev` in a process without rights, as the daemon has it: tells on stdout, obeys on stdin.

listener.py SOCKET CONFIGURATION      CONFIGURATION: {"ports": {PORT: BAY}, "usb": [ID]}
"""

import hashlib
import json
import os
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edged.bays.inventory import take_inventory
from edged.bays.safe_files import open_file
from edged.bays.source import Docked
from edged.bays.udev import Told, UdevSource
from edged.bays.uevents import UdevEvents
from edged.bays.volumes import Known, Refusal
from edged.bays.wipe import erase
from edged.clock import SystemClock
from edged.errors import EdgedError
from edged.evidence.ids import BayId, Sha256
from edged.mountd.client import MountClient

_CLOCK = SystemClock()
_SAYING = threading.Lock()


def say(**what: object) -> None:
    with _SAYING:
        print(json.dumps(what | {"at": _CLOCK.monotonic()}), flush=True)  # noqa: T201


class Listener:
    def __init__(self, socket: Path, configuration: dict[str, Any]) -> None:
        self._docked: dict[str, Docked] = {}
        self._held = ExitStack()
        known = Known(
            ports={port: BayId(bay) for port, bay in configuration["ports"].items()},
            usb=frozenset(configuration["usb"]),
        )
        told = Told(
            arrival=self._arrived,
            departure=lambda docked: say(told="departure", bay=docked.bay),
            refusal=lambda refusal: self._refused("refusal", refusal),
            withdrawal=lambda refusal: self._refused("withdrawal", refusal),
            locked=lambda locked: say(told="locked", bay=locked.bay),
            unlocked=lambda locked: say(told="unlocked", bay=locked.bay),
        )
        self.source = UdevSource(known, told, mounter=MountClient(socket), events=UdevEvents(), clock=_CLOCK)

    def _arrived(self, docked: Docked) -> None:
        self._docked[docked.bay] = docked
        system = docked.filesystem
        say(
            told="arrival",
            bay=docked.bay,
            folder=str(docked.root.path),
            hint=docked.hint,
            type=system.type,
            label=system.label,
            serial=system.serial,
        )

    def _refused(self, kind: str, refusal: Refusal) -> None:
        say(
            told=kind,
            bay=refusal.bay,
            why=refusal.why,
            hint=refusal.hint,
            usb=refusal.usb,
            serial=refusal.serial,
            passing=refusal.passing,
            again=refusal.again,
        )

    def obey(self, do: str, bay: str, path: str) -> object:  # noqa: C901, PLR0911, PLR0912
        docked = self._docked[bay]
        match do:
            case "list":
                return [(item.path, item.kind) for item in take_inventory(docked.root, threading.Event()).items]
            case "read":
                fd = open_file(docked.root, path)
                try:
                    digest = hashlib.sha256()
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                    while part := os.read(fd, 1 << 20):
                        digest.update(part)
                    return digest.hexdigest()
                finally:
                    os.close(fd)
            case "forget":
                self.source.forget(docked)
                return None
            case "read-on":
                # Until it fails.
                while True:
                    self.obey("read", bay, path)
            case "hold":
                self._held.callback(os.close, open_file(docked.root, path))
                return None
            case "write":
                (docked.root.path / path).write_bytes(b"written by the daemon")
                return None
            case "run":
                return os.spawnv(os.P_WAIT, str(docked.root.path / path), [path])  # noqa: S606
            case "erase":
                path, _, sha256 = path.partition(" ")
                with self.source.writable(docked) as root:
                    return erase(root, path, Sha256(sha256), threading.Event())
            case "keep-writable":
                self._held.enter_context(self.source.writable(docked))
                return None
            case _:
                return None


def main() -> None:
    listener = Listener(Path(sys.argv[1]), json.loads(sys.argv[2]))
    status = Path("/proc/self/status").read_text("ascii")
    say(told="start", rights=[line.split()[1] for line in status.splitlines() if line.startswith(("Cap", "Uid"))])
    listener.source.start()
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            say(answer=listener.obey(wanted["do"], wanted["bay"], wanted.get("path", "")), error=None)
        except EdgedError as error:
            say(answer=None, error=[type(error).__name__, error.message])
        except OSError as error:
            say(answer=None, error=["OSError", error.strerror])
    listener.source.stop()
    listener.source.close()


main()
