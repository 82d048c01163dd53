"""Reads a bucket, or what lies below a prefix of one."""

from collections.abc import Iterator
from contextlib import closing

from edged.stores.port import MissingError
from edged.stores.reader import Listed
from edged.stores.s3_client import S3Settings, in_plain_words, make_client

_PIECE_BYTES = 1 << 20


class S3Reader:
    """A bucket as a `Reader`."""

    def __init__(self, settings: S3Settings, *, prefix: str = "") -> None:
        """Nothing is sent yet; `prefix` stands before every key, for copies that lie beside others."""
        self.name = f"s3://{settings.bucket}/{prefix}".rstrip("/")
        self._settings = settings
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client = make_client(settings)

    def close(self) -> None:
        """Give up all connections."""
        self._client.close()

    def newest(self, key: str) -> Iterator[bytes]:
        """Read the newest version."""
        with in_plain_words(self._settings, f"give {key}"):
            answer = self._client.get_object(Bucket=self._settings.bucket, Key=self._prefix + key)
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(_PIECE_BYTES)

    def read(self, key: str, version: str | None) -> Iterator[bytes]:
        """Read a version."""
        if not version or version == "null":
            raise MissingError(f"Which version of {key} is meant is not said.")
        with in_plain_words(self._settings, f"give {key} in version {version}"):
            answer = self._client.get_object(Bucket=self._settings.bucket, Key=self._prefix + key, VersionId=version)
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(_PIECE_BYTES)

    def listing(self, prefix: str) -> Iterator[Listed]:
        """List versions and marks of deletion, a page at a time."""
        with in_plain_words(self._settings, f"list what lies under {prefix}"):
            pages = self._client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self._settings.bucket, Prefix=self._prefix + prefix):
                for each in page.get("Versions", ()):
                    yield Listed(
                        key=each["Key"].removeprefix(self._prefix),
                        version=each.get("VersionId", ""),
                        size_bytes=each.get("Size", 0),
                        is_newest=each.get("IsLatest", False),
                    )
                for marker in page.get("DeleteMarkers", ()):
                    yield Listed(
                        key=marker["Key"].removeprefix(self._prefix),
                        version="",
                        size_bytes=0,
                        is_newest=marker.get("IsLatest", False),
                        is_object=False,
                    )

    def folders(self, prefix: str) -> list[str]:
        """List the next parts of keys."""
        whole = self._prefix + prefix
        with in_plain_words(self._settings, f"list what lies under {prefix}"):
            pages = self._client.get_paginator("list_objects_v2")
            found = pages.paginate(Bucket=self._settings.bucket, Prefix=whole, Delimiter="/")
            return [each["Prefix"][len(whole) : -1] for page in found for each in page.get("CommonPrefixes", ())]
