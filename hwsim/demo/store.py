"""The demo's central storage: a SeaweedFS of its own with one bucket under Object Lock."""

import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from edged.errors import StoreError
from hwsim.seaweed import SeaweedFS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class DemoStore:
    """The server and its bucket, while the context lasts."""

    bucket = "evidence"

    def __init__(self, folder: Path) -> None:
        self._server = SeaweedFS(folder, access_key=secrets.token_hex(8), secret_key=secrets.token_hex(16))

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._server.stop)
            self._server.start()
            try:
                self.client().create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=True)
            except (ClientError, BotoCoreError) as error:
                raise StoreError(f"the store makes no bucket: {error}") from error
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def endpoint(self) -> str:
        """Where it speaks S3."""
        return self._server.endpoint

    def client(self) -> "S3Client":
        """Give a client with the station's own credentials, so that what is refused to it is refused to the station."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self._server.access_key,
            aws_secret_access_key=self._server.secret_key,
            config=Config(proxies={}, s3={"addressing_style": "path"}, retries={"mode": "standard"}),
        )

    def write_credentials(self, file: Path) -> None:
        """Write the station's credentials file, for its user alone."""
        file.touch(mode=0o600)
        keys = {"access_key": self._server.access_key, "secret_key": self._server.secret_key}
        file.write_text("".join(f'{name} = "{value}"\n' for name, value in keys.items()), "utf-8")
