"""How a fault file system is told what to do: one JSON object a line over a UNIX socket, one line in answer.

The file system lives as long as whoever started it: it ends when its standard input does.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from edged.clock import SystemClock, random_hex
from edged.errors import ToolError, UnavailableError

_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 10.0

Obey = Callable[[dict[str, Any]], dict[str, Any]]


def listen(path: Path, obey: Obey) -> None:
    """Answer commands on a thread of its own, for as long as the process lives."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw", encoding="utf-8") as lines, suppress(OSError):
                for line in lines:
                    lines.write(json.dumps(obey(json.loads(line))) + "\n")
                    lines.flush()

    threading.Thread(target=serve, name="control", daemon=True).start()


def end_with_input(mounted_at: Path) -> None:
    """Unmount when standard input ends, so that a starter who was killed leaves nothing mounted."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        subprocess.run([_fusermount(), "-u", "-z", "-q", str(mounted_at)], check=False)

    threading.Thread(target=wait, name="end", daemon=True).start()


class Process:
    """A fault file system as a child process, mounted at a folder; a context manager."""

    def __init__(self, kind: str, backing: Path, mounted_at: Path) -> None:
        """Name what lies below it; `mounted_at` is made."""
        self._kind = kind
        self._backing = backing
        self._mounted_at = mounted_at
        # Not beside the mount: the path of a socket has 107 bytes at most, wherever a round's files lie.
        self._control = Path(tempfile.gettempdir()) / f"hwsim-{random_hex(16)}.control"
        self._log = mounted_at.with_name(f".{mounted_at.name}.log")
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Mount it; raises ToolError where that cannot be."""
        if lacks := missing():
            raise ToolError(f"no fault file system can be mounted: {lacks}")
        self._mounted_at.mkdir(parents=True, exist_ok=True)
        self._control.unlink(missing_ok=True)
        words = [sys.executable, "-m", "hwsim.faults", self._kind, *map(str, (self._backing, self._mounted_at))]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [*words, str(self._control)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        clock, pause = SystemClock(), threading.Event()
        deadline = clock.monotonic() + _START_SECONDS
        while not (self._mounted_at.is_mount() and self._control.exists()):
            if self._child.poll() is not None or clock.monotonic() > deadline:
                self.stop()
                said = self._log.read_text("utf-8", "replace").strip().splitlines()
                raise ToolError(f"the fault file system does not start: {said[-1] if said else 'it said nothing'}")
            pause.wait(0.02)

    def stop(self) -> None:
        """Unmount it; whatever still has a file of it open gets errors."""
        if self._child is None:
            return
        child, self._child = self._child, None
        if child.stdin is not None:
            child.stdin.close()
        try:
            child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            subprocess.run([_fusermount(), "-u", "-z", "-q", str(self._mounted_at)], check=False)
        self._control.unlink(missing_ok=True)

    def tell(self, **command: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Have it do something, and give its answer; raises UnavailableError."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_START_SECONDS)
                connection.connect(str(self._control))
                with connection.makefile("rw", encoding="utf-8") as lines:
                    lines.write(json.dumps(command) + "\n")
                    lines.flush()
                    answer: dict[str, Any] = json.loads(lines.readline())
        except (OSError, ValueError) as error:
            raise UnavailableError(f"the fault file system at {self._mounted_at} does not answer: {error}") from error
        return answer


def missing() -> str:
    """Say what this machine lacks for file systems in user space; nothing if it lacks nothing."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "there is no /dev/fuse that this user may use"
    try:
        _fusermount()
        import mfusepy  # noqa: F401, PLC0415 - it looks for libfuse when it is imported
    except (ToolError, ImportError, OSError) as error:
        return str(error)
    return ""


def _fusermount() -> str:
    for name in ("fusermount3", "fusermount"):
        for folder in ("/usr/bin", "/bin"):
            if (found := Path(folder, name)).exists():
                return str(found)
    raise ToolError("fusermount is not installed", hint="sudo apt-get install fuse")
