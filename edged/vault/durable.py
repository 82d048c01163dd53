"""The one recipe for files that are evidence; originals follow it, too, in `incoming`.

In this order: a temporary file on the target's file system; write; check the length; read-only; fsync of the
file; fsync of the folders above; rename; fsync of the folder. Before the rename the final name does not exist,
after it the file is whole and durable, and no code path opens it for writing again (INV-2, INV-3).
"""

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from edged.errors import StorageError
from edged.vault.disk import Disk


class Draft:
    """A file being written; it ends in `finish`, or leaves nothing behind."""

    def __init__(self, disk: Disk, temporary: Path) -> None:
        """Begin at `temporary`, which must not exist, on the file system of the later target."""
        self._disk = disk
        self.temporary = temporary
        self._fd: int | None = disk.create(temporary)
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, buffer: bytes | bytearray | memoryview) -> None:
        """Append bytes."""
        view = memoryview(buffer).cast("B")
        self._disk.write(self._open(), view, self.temporary)
        self._written += view.nbytes

    def settle(self, size_bytes: int) -> None:
        """Make the content durable and read-only under its temporary name; the length must be `size_bytes`."""
        fd = self._open()
        if self._written != size_bytes or os.fstat(fd).st_size != size_bytes:
            raise StorageError(f"{self.temporary} has {self._written} bytes where {size_bytes} were meant.")
        os.fchmod(fd, 0o440)
        self._disk.sync(fd, self.temporary)
        os.close(fd)
        self._fd = None

    def rename(self, target: Path, *, durably: bool = True) -> None:
        """Give the settled file its final name; not `durably` where its folder is synced after another file's, too."""
        if self._fd is not None:
            raise StorageError(f"{self.temporary} is not settled and gets no name.")
        self._disk.make_folders(target.parent)
        self._disk.rename(self.temporary, target)
        if durably:
            self._disk.sync_folder(target.parent)

    def discard(self) -> None:
        """Remove what is still under the temporary name; nothing, once renamed."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self._disk.remove(self.temporary)

    def _open(self) -> int:
        if self._fd is None:
            raise StorageError(f"{self.temporary} is finished and is not written again.")
        return self._fd


def keep(disk: Disk, target: Path, blocks: Iterable[bytes], *, temporary: Path) -> None:
    """Write one durable file from blocks that are at hand: side files, derivatives."""
    size_bytes = 0
    with Draft(disk, temporary) as draft:
        for block in blocks:
            draft.write(block)
            size_bytes += len(block)
        draft.settle(size_bytes)
        draft.rename(target)
