"""A real systemd-udevd, the machine's own or one that is started here, with hwsim's rule in its rules.

The rule gives a loop device what a USB disk would have: it imports the file that `hwsim` writes for that device before
it makes it. What was started or written is recorded below /run/hwsim, so that `stop` finds it from another process.
"""

import os
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from edged.errors import ToolError
from hwsim.kernel.records import DEVICES, RUN

RULES: Final = Path("/run/udev/rules.d")
_RULE: Final = "59-hwsim.rules"
_PID: Final = RUN / "udevd.pid"
_DAEMONS: Final = ("/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd")
_TRIES: Final = 200
_SECONDS: Final = 0.05
_SETTLE_SECONDS: Final = 20


def start() -> None:
    """Have a udevd with our rule; raises ToolError if there can be none."""
    DEVICES.mkdir(parents=True, exist_ok=True)
    if not _answers():
        _launch()
    install(
        _RULE,
        f'SUBSYSTEM=="block", KERNEL=="loop*", ENV{{DEVTYPE}}=="disk", TEST=="{DEVICES}/%k", '
        f'IMPORT{{file}}="{DEVICES}/%k"\n',
    )


def install(name: str, rules: str) -> None:
    """Put a file of rules in force, until the next boot or `uninstall`."""
    RULES.mkdir(parents=True, exist_ok=True)
    (RULES / name).write_text(rules, "utf-8")
    _udevadm("control", "--reload")


def uninstall(name: str) -> None:
    """Take a file of rules out of force."""
    (RULES / name).unlink(missing_ok=True)
    if _answers():
        _udevadm("control", "--reload")


def settle() -> None:
    """Wait until udev has dealt with all that the kernel told; raises ToolError."""
    _udevadm("settle", f"--timeout={_SETTLE_SECONDS}")


def stop() -> None:
    """Take our rule out, and end the udevd that `start` started, in whichever process."""
    uninstall(_RULE)
    if (pid := _ours()) is not None:
        os.kill(pid, signal.SIGTERM)
        pause = threading.Event()
        for _ in range(_TRIES):
            if _ours() is None:
                break
            pause.wait(_SECONDS)
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    _PID.unlink(missing_ok=True)


def _launch() -> None:
    daemon = next((path for path in _DAEMONS if Path(path).exists()), None)
    if daemon is None:
        raise ToolError("systemd-udevd is not installed", hint="Install it: apt-get install udev")
    # Not a subprocess.Popen: it outlives this process, and another one may end it.
    with (RUN / "udevd.log").open("ab") as log, Path(os.devnull).open("rb") as nothing:
        actions = [
            (os.POSIX_SPAWN_DUP2, nothing.fileno(), 0),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
        ]
        pid = os.posix_spawn(daemon, [daemon], {"PATH": os.defpath}, file_actions=actions, setsid=True)
    _PID.write_text(f"{pid} {_started(pid)}", "ascii")
    pause = threading.Event()
    for _ in range(_TRIES):
        if _answers():
            return
        pause.wait(_SECONDS)
    said = (RUN / "udevd.log").read_text("utf-8", "replace").strip().splitlines()
    raise ToolError(f"systemd-udevd does not start: {said[-1] if said else 'it said nothing'}")


def _ours() -> int | None:
    """Give the process that `start` started, if that very process still runs."""
    try:
        pid, started = _PID.read_text("ascii").split()
    except (OSError, ValueError):
        return None
    return int(pid) if _started(int(pid)) == started else None


def _started(pid: int) -> str:
    """Give when a process began, in ticks since boot (proc_pid_stat(5)): a number may be used again."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return words[19] if words[0] != "Z" else ""


def _answers() -> bool:
    tool = shutil.which("udevadm")
    if tool is None:
        return False
    return subprocess.run([tool, "control", "--ping", "--timeout=2"], check=False, capture_output=True).returncode == 0


def _udevadm(*arguments: str) -> None:
    tool = shutil.which("udevadm")
    if tool is None:
        raise ToolError("udevadm is not installed", hint="Install it: apt-get install udev")
    done = subprocess.run([tool, *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolError(f"udevadm {arguments[0]} failed: {done.stderr.strip()}")
