"""Central storage of all rounds: one SeaweedFS, a bucket under Object Lock for each round."""

import itertools
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Self

from edged.stores.s3 import S3Settings, S3Store
from edged.stores.s3_client import make_client
from hwsim.seaweed import SeaweedFS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Store:
    """The server; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._server = SeaweedFS(folder, access_key=secrets.token_hex(8), secret_key=secrets.token_hex(16))
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def port(self) -> int:
        """Where it listens, on loopback."""
        return self._server.port

    def settings(self, bucket: str) -> S3Settings:
        """Give what is needed to store into a bucket."""
        return self._server.settings(bucket)

    def new_bucket(self) -> str:
        """Make a bucket under Object Lock, and give its name."""
        bucket = f"round-{next(self._numbers)}"
        store = S3Store(self.settings(bucket))
        store.create_bucket()
        store.close()
        return bucket

    def client(self) -> "S3Client":
        """Give a client that reads what is stored, past the proxy."""
        return make_client(self.settings(""))

    def kill(self) -> None:
        """Kill the server."""
        self._server.kill()

    def start(self) -> None:
        """Start it, if it does not run."""
        if self._server.pid is None:
            self._server.start()
