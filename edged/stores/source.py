"""The file of an upload, read part by part while it is sent.

Guarantees: reading never moves a shared position (pread), so that parts can be sent side by side; no more
than a network block of a part is in memory; a set `stop` ends the sending of a part at its next block.
"""

import hashlib
import io
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from edged.errors import EdgedError, StoppedError, StorageError, StoreError
from edged.stores.port import PART_BYTES, Upload


class Interruption(BaseException):
    """Ends a request from inside the body that is being sent.

    No Exception, because the HTTP client takes each of those for a fault of the network and tries again.
    """

    def __init__(self, error: EdgedError) -> None:
        super().__init__(error)
        self.error = error


class Source:
    """The open file of an upload; a context manager.

    Raises StorageError where the disk does not give the file, StoreError where its length is not the sealed one.
    """

    def __init__(self, upload: Upload, stop: threading.Event) -> None:
        self._path = upload.source
        self._size_bytes = upload.size_bytes
        self._stop = stop
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            size_bytes = os.fstat(self._fd).st_size
        except OSError as error:
            raise unreadable(self._path, error) from error
        if size_bytes != self._size_bytes:
            os.close(self._fd)
            raise StoreError(
                f"{self._path} has {size_bytes} bytes, but {self._size_bytes} were sealed: it is not uploaded.",
                hint="Run `edged check`: the file in the vault is damaged.",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def part_length(self, number: int) -> int:
        """Give the length of part `number`, counted from 1; 0 for the one part of an empty file."""
        return min(PART_BYTES, self._size_bytes - (number - 1) * PART_BYTES)

    def part(self, number: int) -> "Part":
        """Give the bytes of part `number` as a stream that can be sent, and sent again."""
        start = (number - 1) * PART_BYTES
        return Part(self._path, self._fd, start, self.part_length(number), self._stop)

    def read(self, number: int, buffer: memoryview) -> memoryview:
        """Read part `number` into a buffer; raises Interruption where the station's disk does not give it."""
        part, filled = self.part(number), 0
        while filled < self.part_length(number):
            filled += part.readinto(buffer[filled:])
        return buffer[:filled]

    def digest(self, number: int) -> bytes:
        """Compute the raw SHA-256 of part `number` as it is on the disk now."""
        try:
            data = os.pread(self._fd, self.part_length(number), (number - 1) * PART_BYTES)
        except OSError as error:
            raise unreadable(self._path, error) from error
        return hashlib.sha256(data).digest()


class Part(io.RawIOBase):
    """One part of the file as the body of a request."""

    def __init__(self, path: Path, fd: int, start: int, length: int, stop: threading.Event) -> None:
        self._path = path
        self._fd = fd
        self._start = start
        self._length = length
        self._stop = stop
        self._position = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sent again from its start."""
        return True

    def tell(self) -> int:
        """Give the position within the part."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move within the part."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with what comes next; raises Interruption."""
        if self._stop.is_set():
            raise Interruption(StoppedError(f"The upload of {self._path} was stopped."))
        wanted = memoryview(buffer)[: self._length - self._position]
        if not wanted:
            return 0
        try:
            count = os.preadv(self._fd, [wanted], self._start + self._position)
        except OSError as error:
            raise Interruption(unreadable(self._path, error)) from error
        if count == 0:
            raise Interruption(StoreError(f"{self._path} became shorter while it was uploaded."))
        self._position += count
        return count


def unreadable(path: Path, error: OSError) -> StorageError:
    """Say that the station's disk does not give a file."""
    return StorageError(f"{path} cannot be read: {error.strerror}.")
