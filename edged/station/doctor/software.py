"""The programs that the station runs on: Python, ffmpeg in its sandbox, exFAT."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edged.clock import Clock
from edged.config import StationConfig
from edged.errors import EdgedError
from edged.media.elsewhere import SandboxElsewhere
from edged.media.media import Media
from edged.media.sandbox import Sandbox
from edged.station.doctor.findings import Finding, ok, problem, unseen, warning
from edged.station.doctor.machine import Machine

MEDIA_SOCKET: Final = "/run/edged/media.sock"
_OTHERS_PASS: Final = 0o001
_NAMESPACES: Final = {"user/max_user_namespaces": "1000", "kernel/unprivileged_userns_clone": "1"}
"""Settings of the kernel that must not be 0, and a value for them."""


def look_at_python(executable: str = sys.executable, prefix: str = sys.prefix) -> Iterator[Finding]:
    """Look at the interpreter that runs this very command, which is the daemon's too where edged is installed."""
    real = Path(executable).resolve()
    closed = [folder for folder in real.parents if not folder.stat().st_mode & _OTHERS_PASS]
    if closed and Path(prefix).match("lib/edged"):
        yield problem(
            "python",
            f"Python lies below {closed[-1]}, where the daemon's user does not get in.",
            "Install with a Python of the system: make install INSTALL_PYTHON=/usr/bin/python3",
        )
    else:
        yield ok("python", f"Python {sys.version.split()[0]} at {executable}.")


def look_at_media(machine: Machine, clock: Clock) -> Iterator[Finding]:
    """Have ffmpeg run in its sandbox, as the daemon would."""
    for name, value in _NAMESPACES.items():
        if (machine.text(f"/proc/sys/{name}") or "1").strip() == "0":
            setting = name.replace("/", ".")
            yield problem(
                "media",
                f"The kernel's setting {setting} is 0, so no sandbox can be made for ffmpeg.",
                f"Write `{setting} = {value}` into a file in /etc/sysctl.d, and run `sysctl --system`.",
            )
            return
    socket = machine.at(MEDIA_SOCKET)
    try:
        elsewhere = socket.is_socket()
    except PermissionError:
        yield unseen("media", f"{socket.parent} cannot be looked at.")
        return
    sandbox = SandboxElsewhere(clock, socket) if elsewhere else Sandbox(clock, search=machine.search)
    try:
        tool = Media(sandbox).check(threading.Event())
    except EdgedError as error:
        text = f"Footage cannot be probed or made watchable: {error.message}."
        yield problem("media", text, f"{error.hint[:1].upper()}{error.hint[1:]}." if error.hint else "See its log.")
        return
    yield ok("media", f"{tool} runs in its sandbox{', in edged-media.service' if elsewhere else ''}.")


def look_at_exfat(station: StationConfig, machine: Machine) -> Iterator[Finding]:
    """Look whether cards with exFAT can be mounted at all."""
    if station.bays.source != "udev":
        yield ok("exfat", "Something else mounts the cards of this station.")
        return
    in_kernel = "exfat" in (machine.text("/proc/filesystems") or "").split()
    as_module = machine.run("modinfo", "--field", "filename", "exfat") != ""
    helper = any(machine.at(f"{folder}/mount.exfat-fuse").exists() for folder in ("/usr/sbin", "/sbin", "/usr/bin"))
    if in_kernel or as_module:
        yield ok("exfat", "The kernel knows exFAT.")
    elif helper:
        yield ok("exfat", "exfat-fuse mounts what has exFAT.")
    else:
        yield warning(
            "exfat", "Cards with exFAT cannot be mounted.", "Install exfat-fuse, or a kernel with the module exfat."
        )
