"""The station under torture: the unmodified daemon as a child, in a folder or on a disk that can lose power."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edged.clock import SystemClock, random_hex
from edged.control.client import ask
from edged.errors import ToolError, UnavailableError
from edged.evidence.ids import StationId
from edged.station.creation import NewStation, create
from edged.stores.s3 import S3Settings
from hwsim.kernel.unprivileged import Unprivileged
from hwsim.torture.clock import SteppedClock
from hwsim.torture.plan import OFFICER, RECORDERS

RESERVE_MIB: Final = 16
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0
_CHECK_SECONDS: Final = 300.0
_EDGED: Final = (sys.executable, "-c", "from edged.cli.main import main; main()")


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a station's things lie."""

    folder: Path
    """What survives a power cut whole: configuration, log, the key of the root."""
    disk: Path
    """What the station's own disk holds: state and vault."""


class Station:
    """One station with at most one daemon."""

    def __init__(self, places: Places, store: S3Settings, clock: SteppedClock, user: Unprivileged | None) -> None:
        """Name all that it consists of; the daemon runs as `user`, or as whoever runs hwsim."""
        self.config = places.folder / "config"
        self.state = places.disk / "state"
        self.vault = places.disk / "vault"
        self.disk = places.disk
        # Not in the state folder: the path of a socket has 107 bytes at most, wherever a round's files lie.
        self._socket = Path(tempfile.gettempdir()) / f"hwsim-{random_hex(16)}.sock"
        self._places = places
        self._store = store
        self._clock = clock
        self._user = user
        self._daemon: subprocess.Popen[bytes] | None = None

    def make(self, bays: Mapping[str, Mapping[str, object]]) -> None:
        """Make it with the code of `edged init`, and configure it; `bays` are the tables about them."""
        new = NewStation(
            station=StationId("st-01"),
            domain="example.org",
            zone="Asia/Shanghai",
            config=self.config,
            state=self.state,
            root_key=self._places.folder / "root.key",
        )
        create(new, SystemClock())
        cases = self._places.folder / "cases"
        cases.mkdir()
        self.vault.mkdir()
        credentials = self._places.folder / "s3.toml"
        credentials.touch(mode=0o600)
        keys = {"access_key": self._store.access_key, "secret_key": self._store.secret_key}
        credentials.write_text("".join(f'{name} = "{value}"\n' for name, value in keys.items()), "utf-8")
        tables: dict[str, Mapping[str, object]] = {
            "station": {"id": "st-01", "domain": "example.org", "zone": "Asia/Shanghai"},
            "paths": {"state": self.state, "vault": self.vault, "reserve_mib": RESERVE_MIB},
            **bays,
            "offload": {"second_read": "full"},
            "cases": {"folder": cases},
            "media": {"derivatives": []},
            "ledger": {"publish_seconds": 0.1},
            "control": {"socket": self._socket},
            "store": {
                "kind": "s3",
                "id": self._store.id,
                "endpoint": self._store.endpoint,
                "region": self._store.region,
                "bucket": self._store.bucket,
                "credentials": credentials,
            },
        }
        lines = [
            line
            for name, keys in tables.items()
            for line in (f"[{name}]", *(f"{k} = {_toml(v)}" for k, v in keys.items()))
        ]
        (self.config / "station.toml").write_text("\n".join(lines) + "\n", "utf-8")
        register = [f'[[officer]]\nid = "{OFFICER}"\n']
        register += [
            f'[[recorder]]\nid = "{name}"\nprofile = "{profile}"\nserial = "{name}"\n'
            for name, profile in RECORDERS.items()
        ]
        (self.config / "register.toml").write_text("\n".join(register), "utf-8")

    def give(self) -> None:
        """Make all of it the daemon's."""
        if self._user is not None:
            for path in (self.config, self.state, self.vault, self._places.folder / "cases"):
                self._user.give(path)
            os.chown(self._places.folder / "s3.toml", self._user.uid, self._user.gid)

    def start(self) -> None:
        """Start the daemon; it is up when it answers, which nobody waits for here."""
        with (self._places.folder / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                self._command("run"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment() | self._clock.environment(),
                cwd="/",
                start_new_session=True,
                **self._identity(),
            )

    def kill(self) -> None:
        """Kill it as -9 does, if it runs, with all that it started."""
        if self._daemon is not None:
            daemon, self._daemon = self._daemon, None
            # Its children too: one of them may have a file of the vault open, and be in the way of an unmount.
            with suppress(ProcessLookupError):
                os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()

    def close(self) -> None:
        """Kill it, if it runs, and leave nothing of it outside the round's folder."""
        self.kill()
        self._socket.unlink(missing_ok=True)

    def stop(self) -> int:
        """Stop it in order and give its exit code."""
        if self._daemon is None:
            raise ToolError("the daemon does not run")
        daemon, self._daemon = self._daemon, None
        daemon.terminate()
        try:
            return daemon.wait(_STOP_SECONDS)
        finally:
            daemon.kill()
            daemon.wait()

    def answer(self) -> dict[str, Any]:
        """Give the daemon's status, waiting for a start to come through; raises ToolError, with its last words."""
        clock, pause = SystemClock(), threading.Event()
        deadline = clock.monotonic() + _START_SECONDS
        while True:
            if self._daemon is None or self._daemon.poll() is not None:
                raise ToolError(f"the daemon ended by itself: {self.last_words()}")
            try:
                status: dict[str, Any] = ask(self._socket, "status")
            except UnavailableError as error:
                if clock.monotonic() > deadline:
                    raise ToolError(f"the daemon does not answer: {self.last_words()}") from error
                pause.wait(0.02)
            else:
                return status

    def ended(self) -> bool:
        """Say whether the daemon ended without being told to."""
        return self._daemon is not None and self._daemon.poll() is not None

    def entries(self) -> int:
        """Count the ledger's entries, by looking into the book; 0 where that cannot be done now."""
        try:
            with closing(sqlite3.connect(f"file:{self.state}/book.sqlite?mode=ro", uri=True, timeout=1)) as book:
                (size,) = book.execute("SELECT count(*) FROM entry").fetchone()
        except sqlite3.Error:
            return 0
        return int(size)

    def check(self) -> tuple[int, str]:
        """Run `edged check --deep`; gives its exit code and what it printed."""
        done = subprocess.run(
            self._command("check", "--deep"),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS,
            env=self._environment(),
            cwd="/",
            **self._identity(),
        )
        return done.returncode, (done.stdout + done.stderr).strip()

    def last_words(self) -> str:
        """Give the end of the daemon's log."""
        lines = (self._places.folder / "log").read_text("utf-8", "replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"

    def _command(self, *words: str) -> list[str]:
        arguments = (*words, "--config", str(self.config))
        return [*_EDGED, *arguments] if self._user is None else self._user.command(*arguments)

    def _environment(self) -> dict[str, str]:
        if self._user is not None:
            return self._user.environment()
        kept = ("PATH", "HOME", "TMPDIR", "LANG", "PYTHONPATH")
        return {name: os.environ[name] for name in kept if name in os.environ}

    def _identity(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else f'"{value}"'
