"""One multipart upload, from what an earlier attempt left of it to a version.

What was taken is noted before anything else happens, also when another part fails beside it, so that no part
is sent twice that did not have to be.
"""

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from edged.errors import EdgedError, StoppedError, StoreError
from edged.evidence.text import to_base64
from edged.stores.port import MissingError, PartsLog, Upload
from edged.stores.s3_client import DamagedError, S3Settings, in_plain_words
from edged.stores.s3_versions import lock
from edged.stores.source import Interruption, Source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef


class Multipart:
    """An upload of one file by parts; its methods are called in their order here, in one thread."""

    def __init__(
        self, client: "S3Client", settings: S3Settings, upload: Upload, source: Source, parts: PartsLog
    ) -> None:
        self._client = client
        self._settings = settings
        self._upload = upload
        self._source = source
        self._parts = parts
        self._upload_id = ""
        self._taken: dict[int, str] = {}

    def resume(self) -> bool:
        """Take up an upload that the parts log and the server both know; False when there is none.

        A part counts as taken where the server lists it with the noted ETag and its due length.
        """
        noted = self._parts.load(self._upload.key)
        if noted is None:
            return False
        self._upload_id, etags = noted
        try:
            held = self._listed()
        except MissingError:
            self._parts.forget(self._upload.key)
            return False
        self._taken = {
            number: etag
            for number, etag in etags.items()
            if held.get(number) == (etag, self._source.part_length(number))
        }
        return True

    def begin(self) -> None:
        """Open a new upload; its lock is stated now and holds from the moment it is completed."""
        with self._trying(f"take in {self._upload.key}"):
            answer = self._client.create_multipart_upload(
                Bucket=self._settings.bucket,
                Key=self._upload.key,
                ChecksumAlgorithm="SHA256",
                **lock(self._upload.locked_until),
            )
        self._upload_id = answer["UploadId"]
        self._parts.begin(self._upload.key, self._upload_id)

    def send(self, threads: int, stop: threading.Event) -> None:
        """Send the missing parts, `threads` at once; raises the first failure when no part is under way any more."""
        numbers = range(1, len(self._upload.part_digests) + 1)
        todo = iter([number for number in numbers if number not in self._taken])
        flying: dict[Future[str], int] = {}
        failure: EdgedError | None = None
        with ThreadPoolExecutor(threads, thread_name_prefix="part") as pool:
            while True:
                while failure is None and not stop.is_set() and len(flying) < threads:
                    if (number := next(todo, None)) is None:
                        break
                    flying[pool.submit(self._send_part, number)] = number
                if not flying:
                    break
                for part in wait(flying, return_when=FIRST_COMPLETED).done:
                    number = flying.pop(part)
                    try:
                        self._taken[number] = part.result()
                    except EdgedError as error:
                        failure = failure or error
                    else:
                        self._parts.done(self._upload.key, number, self._taken[number])
        if stop.is_set():
            raise StoppedError(f"The upload of {self._upload.key} was stopped; it goes on where it stood.")
        if failure is not None:
            raise failure

    def complete(self) -> tuple[str | None, str | None]:
        """Join the parts; gives version and checksum as the server answers."""
        joined: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": self._taken[number], "ChecksumSHA256": to_base64(digest)}
            for number, digest in enumerate(self._upload.part_digests, start=1)
        ]
        with self._trying(f"join the parts of {self._upload.key}"):
            answer = self._client.complete_multipart_upload(
                Bucket=self._settings.bucket,
                Key=self._upload.key,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": joined},
            )
        return answer.get("VersionId"), answer.get("ChecksumSHA256")

    def _trying(self, doing: str) -> AbstractContextManager[None]:
        return in_plain_words(self._settings, doing)

    def _listed(self) -> dict[int, tuple[str, int]]:
        """Give ETag and length of each part that the server holds."""
        with self._trying(f"list the parts of {self._upload.key}"):
            pages = self._client.get_paginator("list_parts").paginate(
                Bucket=self._settings.bucket, Key=self._upload.key, UploadId=self._upload_id
            )
            parts = [part for page in pages for part in page.get("Parts", ())]
        return {part["PartNumber"]: (part["ETag"], part["Size"]) for part in parts}

    def _send_part(self, number: int) -> str:
        """Send one part with its sealed digest; gives its ETag."""
        digest = self._upload.part_digests[number - 1]
        try:
            with self._trying(f"take in part {number} of {self._upload.key}"):
                answer = self._client.upload_part(
                    Bucket=self._settings.bucket,
                    Key=self._upload.key,
                    UploadId=self._upload_id,
                    PartNumber=number,
                    Body=self._source.part(number),  # type: ignore[arg-type]  # all that is asked of a body
                    ContentLength=self._source.part_length(number),
                    ChecksumSHA256=to_base64(digest),
                )
        except Interruption as interruption:
            raise interruption.error from None
        except DamagedError as error:
            if self._source.digest(number) == digest:
                raise  # the file is whole: the bytes were damaged on the way
            raise StoreError(
                f"Part {number} of {self._upload.source} is not what was sealed, and the store refused it.",
                hint="Run `edged check`: the file in the vault is damaged.",
            ) from error
        return answer["ETag"]
