"""One program, one input file, at most one output file, and nothing else: where footage is parsed.

Whatever comes from a recorder may be made to take over the program that reads it (INV-8). So a program runs in
bubblewrap without network, capabilities, further user namespaces, environment or sight of other processes; the
system's programs and libraries are read-only, and so is the input, at a fixed neutral path. Its output is one
file that exists beforehand: it cannot make a link, a second file or a name. `/proc` is left out altogether,
since ffmpeg does not need it.

Bounded are wall time, CPU time, address space, length of the output and of what is captured (`child` says how).
`prlimit` sets the limits before bubblewrap starts: the daemon has threads, so no Python code may run between
fork and exec. The sandbox dies with the daemon, and with the thread that waits for it.
"""

import os
import re
import resource
import shutil
import signal
import stat
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.child import run_child
from edged.clock import Clock
from edged.errors import StoppedError, ToolError, UnreadableError

INPUT: Final = "/in/media"
"""Where the sandboxed program finds the input file, whatever it is called outside."""

OUTPUT: Final = "/out/media"
"""Where the sandboxed program finds the output file, empty."""

SEARCH: Final = "/usr/local/bin:/usr/bin:/bin"
"""Where programs are looked for; the environment of the daemon plays no part."""

_TMP: Final = "/tmp"  # noqa: S108 (the sandbox's own)
_TMP_BYTES: Final = 16 << 20
_OPEN_FILES: Final = 64
_NOT_RUNNABLE: Final = 127
_SIGNALLED: Final = 128
_CRASHES: Final = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS)
_EXIT_CODE: Final = re.compile(rb'"exit-code": *(\d+)')

_NAMESPACE_HINT: Final = (
    "let the daemon's user make user namespaces: user.max_user_namespaces above 0, "
    "kernel.unprivileged_userns_clone=1 where it exists, and a profile for bwrap where AppArmor restricts them"
)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one run may use at most."""

    wall_seconds: int
    cpu_seconds: int
    memory_bytes: int
    """Address space, not resident memory: all that a program can be made to ask for."""
    output_bytes: int = 0
    niceness: int = 10
    """By how much its priority is lowered, of processor and disk; 0: not at all, as a docking waits for it."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program that did run came to its end."""

    code: int | None
    """Exit status as a shell has it, 128 + n for death by signal n; `None`: the wall time was over."""
    stdout: bytes
    stderr: bytes
    whole: bool
    """Whether `stdout` holds all that was written there; `stderr` holds its beginning."""

    def killed_by(self, number: signal.Signals) -> bool:
        """Say whether this signal ended the program."""
        return self.code == _SIGNALLED + number

    @property
    def crashed(self) -> bool:
        """Whether the program stumbled over its own memory or code, as a hostile file may make it."""
        return any(map(self.killed_by, _CRASHES))


class Sandbox:
    """Runs programs in bubblewrap, as root or as a user who may make user namespaces.

    `search` is a list of folders as in PATH. Tools are looked for when they are needed, so that a station starts
    without them and uses them as soon as they are installed.
    """

    def __init__(self, clock: Clock, *, search: str = SEARCH) -> None:
        self._clock = clock
        self._search = search

    def check(self, stop: threading.Event) -> None:
        """Run a program that does nothing; raises ToolError saying in one sentence why that cannot be done."""
        ended = self.run(("true",), bounds=Bounds(wall_seconds=20, cpu_seconds=5, memory_bytes=1 << 28), stop=stop)
        if ended.code != 0:
            raise ToolError(f"in the sandbox a program that does nothing ended with {ended.code}")

    def run(
        self,
        command: Sequence[str],
        *,
        bounds: Bounds,
        stop: threading.Event,
        reads: Path | None = None,
        writes: Path | None = None,
    ) -> Ended:
        """Run a program by name, with `reads` at INPUT and the existing file `writes` at OUTPUT, to its end.

        Raises ToolError if it cannot be run at all, UnreadableError if `reads` is no regular file, StoppedError
        as soon as `stop` is set. A program that fails, crashes or runs into a bound is no error.
        """
        program = command[0]
        words = [*self._prefix(bounds), self._tool("bwrap", "install bubblewrap 0.8 or newer")]
        inner = [*_confinement(reads, writes), "--", self._program(program), *command[1:]]
        finished = run_child(
            lambda status: [*words, "--json-status-fd", str(status), *inner],
            wall_seconds=bounds.wall_seconds,
            clock=self._clock,
            stop=stop,
        )
        if stop.is_set():
            raise StoppedError(f"{program} was stopped with the station")
        # bubblewrap reports an exit code only for a program that it did start.
        reported = _EXIT_CODE.search(finished.status)
        if not reported and not finished.killed:
            raise _refusal(program, finished.stderr)
        code = int(reported[1]) if reported else None
        if code == _NOT_RUNNABLE:
            raise _refusal(program, finished.stderr)
        return Ended(code=code, stdout=finished.stdout, stderr=finished.stderr, whole=finished.whole)

    def _prefix(self, bounds: Bounds) -> list[str]:
        """Limits, and lowered priority where it is asked for and the tools for it are there."""
        limits = {
            "as": (resource.RLIMIT_AS, bounds.memory_bytes),
            "cpu": (resource.RLIMIT_CPU, bounds.cpu_seconds),
            "fsize": (resource.RLIMIT_FSIZE, bounds.output_bytes),
            "nofile": (resource.RLIMIT_NOFILE, _OPEN_FILES),
            "core": (resource.RLIMIT_CORE, 0),
        }
        words = [self._tool("prlimit", "install util-linux")]
        for name, (kind, wanted) in limits.items():
            # The kernel refuses to raise a limit above what the daemon itself was started with.
            hard = resource.getrlimit(kind)[1]
            words.append(f"--{name}={wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)}")
        words.append("--")
        if bounds.niceness <= 0:
            return words
        if nice := shutil.which("nice", path=self._search):
            words += [nice, "-n", str(bounds.niceness)]
        if ionice := shutil.which("ionice", path=self._search):
            # Best effort, lowest: the class `idle` could starve for as long as recorders are being read.
            words += [ionice, "-t", "-c", "2", "-n", "7"]
        return words

    def _program(self, name: str) -> str:
        found = os.path.realpath(self._tool(name, f"install {name}"))
        if not found.startswith("/usr/"):
            raise ToolError(
                f"{name} is installed outside /usr, where the sandbox does not reach",
                hint=f"install {name} from the distribution",
            )
        return found

    def _tool(self, name: str, hint: str) -> str:
        found = shutil.which(name, path=self._search)
        if found is None:
            raise ToolError(f"{name} is not installed, so no footage can be looked into", hint=hint)
        return found


def _confinement(reads: Path | None, writes: Path | None) -> list[str]:
    """Give bubblewrap's options; they act in their order, so the root is made read-only last."""
    words = ["--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    words += ["--die-with-parent", "--new-session", "--clearenv"]
    words += ["--setenv", "PATH", "/usr/bin", "--setenv", "HOME", _TMP]
    words += ["--setenv", "LC_ALL", "C.UTF-8", "--setenv", "TZ", "UTC"]
    # Each further arena of the C library reserves 64 MiB of the address space that is bounded here.
    words += ["--setenv", "MALLOC_ARENA_MAX", "2"]
    words += ["--ro-bind", "/usr", "/usr"]
    for folder in ("/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache"):
        words += ["--ro-bind-try", folder, folder]
    words += ["--dev", "/dev", "--remount-ro", "/dev"]
    words += ["--size", str(_TMP_BYTES), "--tmpfs", _TMP, "--chdir", _TMP]
    for option, path, inside in (("--ro-bind", reads, INPUT), ("--bind", writes, OUTPUT)):
        if path is not None:
            regular_bytes(path)
            words += [option, str(path.absolute()), inside]
    return [*words, "--remount-ro", "/"]


def regular_bytes(path: Path) -> int:
    """Give the length of a file; raises UnreadableError if it is not there, or a link, folder, pipe or device."""
    try:
        facts = path.lstat()
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(facts.st_mode):
        raise UnreadableError(f"{path} is not a regular file")
    return facts.st_size


def _refusal(program: str, stderr: bytes) -> ToolError:
    said = stderr.decode(errors="replace").strip().splitlines() or ["it died without a word"]
    why = said[0].removeprefix("bwrap: ")
    hint = _NAMESPACE_HINT
    if "nknown option" in why:
        hint = "install bubblewrap 0.8 or newer"
    elif "execvp" in why or "shared librar" in why:
        hint = f"install {program} again"
    return ToolError(f"the sandbox cannot run {program}: {why}", hint=hint)
