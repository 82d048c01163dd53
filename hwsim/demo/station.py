"""The station under demonstration: the unmodified `edged`, used by its command line as anybody would.

The daemon is a child process; leaving the context ends it, and nothing but it.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from edged.errors import MalformedError, ToolError, UnavailableError
from hwsim.demo.settings import with_values
from hwsim.demo.stage import Stage
from hwsim.demo.verdicts import Report
from hwsim.kernel.unprivileged import Unprivileged

_COMMAND_SECONDS = 120
_STOP_SECONDS = 30
_STATUS_SECONDS = 10


class Station:
    """`edged` with the configuration and state of one stage."""

    def __init__(self, stage: Stage, user: Unprivileged | None = None) -> None:
        """Find edged beside hwsim; raises ToolError if it is not installed there. The daemon runs as `user`."""
        self._stage = stage
        self._user = user
        self._edged = Path(sys.executable).with_name("edged")
        self._daemon: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        if not self._edged.is_file():
            raise ToolError(f"{self._edged} is missing", hint="Install the project: pip install -e '.[sim]'")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def init(self, station: str, domain: str) -> None:
        """Make the station's identity, keys and configuration."""
        stage = self._stage
        ids = ("--station", station, "--domain", domain)
        folders = ("--config", str(stage.config), "--state", str(stage.state))
        self.run("init", *folders, *ids, "--root-key", str(stage.root_key))
        stage.trust.write_bytes((stage.state / "keys" / "root.pem").read_bytes())

    def configure(self, values: Mapping[str, str | float], register: str) -> None:
        """Set keys of `station.toml` and write the register, as IT does with an editor."""
        station = self._stage.config / "station.toml"
        station.write_text(with_values(station.read_text("utf-8"), values), "utf-8")
        (self._stage.config / "register.toml").write_text(register, "utf-8")

    def add(self, tables: str) -> None:
        """Add tables at the end of `station.toml`."""
        with (self._stage.config / "station.toml").open("a", encoding="utf-8") as file:
            file.write(tables)

    def key(self) -> str:
        """Give the verifier key of its ledger, as the first entry has it."""
        key: str = json.loads(self.ledger()[0])["body"]["public_key"]
        return key

    def start(self) -> None:
        """Start the daemon."""
        self._log = (self._stage.logs / "station.log").open("ab")
        run = ["run", "--config", str(self._stage.config)]
        user = self._user
        self._daemon = subprocess.Popen(
            [str(self._edged), *run] if user is None else user.command(*run),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=_environment() if user is None else user.environment(),
            user=None if user is None else user.uid,
            group=None if user is None else user.gid,
            extra_groups=None if user is None else [],
            # So that ctrl-C reaches only hwsim, which then stops the daemon in order.
            start_new_session=True,
        )

    def capabilities(self) -> str:
        """Give the daemon's effective capabilities as /proc shows them, in hex."""
        lines = Path(f"/proc/{self._daemon.pid if self._daemon else 'self'}/status").read_text("ascii").splitlines()
        return next(line.split()[1] for line in lines if line.startswith("CapEff:"))

    def udev_rules(self) -> str:
        """Give the udev rules that edged makes for its bays."""
        return self.run("bays", "--udev-rules", "--config", str(self._stage.config))

    def stop(self) -> int | None:
        """End the daemon in order and give its exit code; None if it did not run."""
        if self._daemon is None:
            return None
        daemon, self._daemon = self._daemon, None
        daemon.terminate()
        try:
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(_STOP_SECONDS)
        finally:
            # Also if a second ctrl-C ended the wait.
            daemon.kill()
            code = daemon.wait()
            if self._log is not None:
                self._log.close()
        return code

    def check_alive(self) -> None:
        """Raise ToolError with its last words if the daemon ended by itself."""
        if self._daemon is not None and (code := self._daemon.poll()) is not None:
            said = (self._stage.logs / "station.log").read_text("utf-8", "replace").strip().splitlines()
            raise ToolError(f"the daemon ended with exit code {code}: {' / '.join(said[-3:])}")

    def status(self) -> Report:
        """Ask the daemon's control socket for what `edged status --json` prints.

        Directly, because a progress display asks several times a second. Raises UnavailableError if no daemon
        answers.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_STATUS_SECONDS)
            try:
                connection.connect(str(self._stage.state / "control.sock"))
                connection.sendall(b'{"do": "status"}\n')
                with connection.makefile("rb") as answers:
                    answer = json.loads(answers.readline())
            except (OSError, ValueError) as error:
                raise UnavailableError(f"the daemon does not answer: {error}") from error
        status: Report = answer["ok"]
        return status

    def ledger(self) -> list[str]:
        """Give the ledger's entries, one a line."""
        # `splitlines` would also split at U+2028, which may stand in a name.
        return self.run("ledger", "show", "--config", str(self._stage.config), "--json").rstrip("\n").split("\n")

    def bundle(self, case: str, out: Path) -> None:
        """Make the bundle of a case."""
        self.run("bundle", "--config", str(self._stage.config), "--case", case, str(out))

    def check(self) -> None:
        """Run the station's own check of all its invariants; raises ToolError if one does not hold."""
        self.run("check", "--config", str(self._stage.config))

    def verify(self, bundle: Path, *, with_anchors: bool = True) -> tuple[int, Report]:
        """Verify a bundle as its receiver would, who has authority and policy too; gives exit code and `--json`."""
        anchors = ("--tsa", str(self._stage.tsa), "--policy", str(self._stage.policy)) if with_anchors else ()
        done = self._call("verify", str(bundle), "--trust", str(self._stage.trust), *anchors, "--json")
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError as error:
            raise MalformedError(f"edged verify printed no JSON: {_last(done)}") from error

    def run(self, *arguments: str) -> str:
        """Run a command to its good end and give what it printed; raises ToolError with its last words."""
        done = self._call(*arguments)
        if done.returncode != 0:
            raise ToolError(f"edged {arguments[0]} ended with exit code {done.returncode}: {_last(done)}")
        return done.stdout

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [str(self._edged), *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_COMMAND_SECONDS,
                env=_environment(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolError(f"edged {arguments[0]} did not run: {error}") from error


def _environment() -> dict[str, str]:
    """Give what edged needs; above all no proxy of the user's between it and the store on loopback."""
    kept = ("PATH", "HOME", "TMPDIR", "LANG")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _last(done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1] if said else "it said nothing"
