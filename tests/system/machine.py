"""A minimal Debian in a folder, booted with systemd as its first process in a container of systemd-nspawn."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from edged.clock import SystemClock

ROOT: Final = Path(__file__).parents[2]
RELEASE: Final = "bookworm"
PACKAGES: Final = (
    *("systemd", "systemd-sysv", "udev", "dbus", "python3", "ffmpeg", "bubblewrap", "exfat-fuse", "exfatprogs"),
    "e2fsprogs",
)
MASKED: Final = ("systemd-sysctl.service", "systemd-udev-trigger.service")
"""They would act on the kernel and the devices that the container shares with its host."""
TOOLS: Final = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container"}
INSIDE: Final = "/srv/boot_inside.py"
PYTHON: Final = "/usr/local/lib/edged/bin/python"
LET_GO: Final = (PYTHON, INSIDE, "clean")
PATIENCE_SECONDS: Final = 90.0

_T = TypeVar("_T")


def missing() -> str | None:
    """Say what the machine lacks; None if nothing."""
    if os.geteuid() != 0:
        return "needs root"
    if not Path("/dev/loop-control").exists() or not Path("/dev/fuse").exists():
        return "the kernel has no loop devices, or no FUSE"
    absent = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    return f"not installed: {' '.join(absent)}" if absent else None


def until(condition: Callable[[], _T | None], what: str, seconds: float = PATIENCE_SECONDS) -> _T:
    """Wait until a condition gives something true, and give it."""
    clock, pause = SystemClock(), threading.Event()
    end = clock.monotonic() + seconds
    while not (found := condition()):
        assert clock.monotonic() < end, f"not in {seconds:.0f} s: {what}"
        pause.wait(0.3)
    return found


def bootstrap(folder: Path) -> None:
    """Make the system in a folder, from Debian's mirror, or as a copy of one that EDGED_BOOT_IMAGE names."""
    if image := os.environ.get("EDGED_BOOT_IMAGE"):
        _run("cp", "--archive", f"{image}/.", str(folder))
    else:
        _run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", RELEASE, str(folder))
    for unit in MASKED:
        (folder / "etc/systemd/system" / unit).symlink_to("/dev/null")


@dataclass
class Machine:
    """A booted machine."""

    root: Path
    init: int
    """Its first process, as the host numbers it."""

    def run(self, *command: str, check: bool = True, user: str | None = None) -> str:
        """Run a command in it, and give what it prints."""
        words = ["nsenter", "--target", str(self.init), "--all", "--wd=/"]
        if user is not None:
            words += ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--reset-env"]
        done = subprocess.run(
            [*words, *command],
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout} {done.stderr} {self.log()}"
        return done.stdout.strip()

    def log(self) -> str:
        """Give the end of the journal of edged's units."""
        return self.run("journalctl", "--no-pager", "-b", "-n", "60", "-u", "edged*", check=False)


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """Boot it, and have it power off in the end."""
    log = root.with_suffix(".log")
    with log.open("wb") as console:
        container = subprocess.Popen(
            [
                *("systemd-nspawn", "--quiet", "--boot", "--directory", str(root), "--console=read-only"),
                # Where systemd does not run the host, nobody can register a container or give it a unit.
                *("--register=no", "--keep-unit", "--private-network", "--hostname=station"),
                *("--bind=/dev/fuse", "--bind=/dev/loop-control"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            # Only where /sys can be written to does udev run.
            env=os.environ | {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes", "SYSTEMD_LOG_LEVEL": "warning"},
            start_new_session=True,
        )
    try:
        machine = Machine(root, until(lambda: _init_of(container), f"it boots: {log.read_text('utf-8', 'replace')}"))
        until(lambda: "systemd" in machine.run("cat", "/proc/1/comm", check=False), "its first process is systemd")
        try:
            yield machine
        finally:
            # Devices are the host's, and would outlive the machine.
            machine.run(*LET_GO, check=False)
        machine.run("systemctl", "poweroff", check=False)
        container.wait(PATIENCE_SECONDS)
    finally:
        container.terminate()
        try:
            container.wait(20)
        except subprocess.TimeoutExpired:
            container.kill()
            container.wait()


def _init_of(container: subprocess.Popen[bytes]) -> int | None:
    assert container.poll() is None, "systemd-nspawn ended"
    for task in Path(f"/proc/{container.pid}/task").glob("*/children"):
        for pid in task.read_text("ascii").split():
            if Path(f"/proc/{pid}/comm").read_text("utf-8").strip() == "systemd":
                return int(pid)
    return None


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
