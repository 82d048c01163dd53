"""An MQTT broker of one's own on loopback: Mosquitto, for the demonstration and the tests.

Guarantees: it listens on 127.0.0.1 alone, at a port that was free when it first started and that it keeps for as
long as the object lives; it takes its settings from here and from no file of the machine; everything it writes is
in its folder. What was retained, and what it keeps for a listener that is away, survives `stop` and a new `start`.
"""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from edged.clock import SystemClock
from edged.errors import ToolError
from edged.supervision.settings import BrokerSettings
from hwsim.listening import listeners

_HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 10
_STOP_SECONDS: Final = 5
_ATTEMPTS: Final = 3
_PACKAGE: Final = "Install it with `sudo apt-get install mosquitto mosquitto-clients`."
_WHERE: Final = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
"""Debian puts the broker where only root's PATH leads."""


@dataclass(frozen=True, kw_only=True)
class BrokerTls:
    """Certificates of the broker, all PEM files."""

    ca_file: Path
    """Who vouches for clients; they must show a certificate of it."""
    certificate: Path
    key: Path


class Mosquitto:
    """One broker in one folder; a context manager that starts and stops it."""

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        access: Sequence[str] = (),
        tls: BrokerTls | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        """Name the folder; it is made if need be, and what an earlier broker kept there is served again.

        `users` are names and passwords; without any, everybody may connect. `access` are lines of an ACL file, and
        `extra` those of the configuration, as mosquitto.conf(5) has them.
        """
        self._folder = folder
        self._users = dict(users or {})
        self._access = tuple(access)
        self._tls = tls
        self._extra = tuple(extra)
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def host(self) -> str:
        """Where it listens."""
        return _HOST

    @property
    def port(self) -> int:
        """Where it listens; known from the first start on."""
        return self._port

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return None if self._process is None else self._process.pid

    def log(self) -> str:
        """Give all that it logged: connections, subscriptions, and each message without what it says."""
        return (self._folder / "log").read_text("utf-8", "replace")

    def settings(self, *, user: str | None = None) -> BrokerSettings:
        """Give what a station needs to report here, without TLS."""
        password = None if user is None else self._users[user]
        return BrokerSettings(id="broker", host=_HOST, port=self._port, user=user, password=password)

    def start(self) -> None:
        """Start it and wait until it takes connections; raises ToolError, with what it last said."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write_users()
        fresh = self._port == 0
        for attempt in range(1, _ATTEMPTS + 1):
            if fresh:
                self._port = _free_port()
            self._launch()
            try:
                self._await_listening()
            except ToolError:
                self.kill()
                # Somebody else may have taken the port between choosing and using it.
                if not fresh or attempt == _ATTEMPTS:
                    raise
            else:
                return

    def stop(self) -> None:
        """End it in order, so that it keeps what it holds; it does not matter if it is not running."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it as a power cut would; what it did not write yet is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def _write_users(self) -> None:
        passwords = self._folder / "passwords"
        passwords.unlink(missing_ok=True)
        passwords.touch(mode=0o600)
        for name, password in self._users.items():
            subprocess.run(
                [tool("mosquitto_passwd"), "-b", str(passwords), name, password], check=True, capture_output=True
            )
        access = self._folder / "access"
        access.unlink(missing_ok=True)
        access.touch(mode=0o600)
        access.write_text("".join(f"{line}\n" for line in self._access), "utf-8")

    def _configuration(self) -> list[str]:
        lines = [
            f"listener {self._port} {_HOST}",
            "user root",  # only means: as the user that starts it, so that its folder can be anybody's
            f"allow_anonymous {'false' if self._users else 'true'}",
            "persistence true",
            f"persistence_location {self._folder}/",
            "max_queued_messages 100000",
            "log_dest stderr",
            "log_type all",
        ]
        if self._users:
            lines.append(f"password_file {self._folder}/passwords")
        if self._access:
            lines.append(f"acl_file {self._folder}/access")
        if self._tls is not None:
            lines += [
                f"cafile {self._tls.ca_file}",
                f"certfile {self._tls.certificate}",
                f"keyfile {self._tls.key}",
                "require_certificate true",
            ]
        return [*lines, *self._extra]

    def _launch(self) -> None:
        settings = self._folder / "mosquitto.conf"
        settings.write_text("".join(f"{line}\n" for line in self._configuration()), "utf-8")
        program = tool("mosquitto")
        self._log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            [program, "-c", str(settings)],
            cwd=self._folder,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that Ctrl-C reaches only whoever stops it in order
        )

    def _await_listening(self) -> None:
        clock = SystemClock()
        deadline = clock.monotonic() + _START_SECONDS
        pause = threading.Event()
        while self._port not in {listener.port for listener in listeners(self.pid or 0)}:
            if self._process is None or self._process.poll() is not None or clock.monotonic() > deadline:
                raise ToolError(f"Mosquitto does not start: {self._last_words()}")
            pause.wait(0.02)

    def _last_words(self) -> str:
        with suppress(OSError, IndexError):
            return self.log().splitlines()[-1]
        return "it said nothing"


def is_installed() -> bool:
    """Say whether the broker and its tools are on this machine."""
    return all(shutil.which(name, path=_WHERE) for name in ("mosquitto", "mosquitto_passwd", "mosquitto_sub"))


def tool(name: str) -> str:
    """Give the path of the broker or of one of its tools; raises ToolError when it is not installed."""
    found = shutil.which(name, path=_WHERE)
    if found is None:
        raise ToolError("The MQTT broker for the simulation is not installed.", hint=_PACKAGE)
    return found


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])
