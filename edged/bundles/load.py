"""Opening a bundle that somebody handed over: a folder, or a zip of one.

Nothing of it is trusted: links and special files are listed as such and never opened, names are only compared
and never become paths outside the bundle, and reading takes blocks, never whole files. What cannot be read at
all is an `UnreadableError` (exit 66); whether it is *right* is for `edged.evidence.verification` to say.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from edged.bundles.zips import ZipFiles
from edged.errors import UnreadableError
from edged.evidence.ids import escape_path
from edged.evidence.verification import BundleFile, BundleFiles, Report, Trust, verify
from edged.evidence.verification.port import MAX_FILES

BLOCK_BYTES: Final = 1 << 20


def verify_target(path: Path, trust: Trust, pool: Executor | None = None) -> Report:
    """Verify the bundle at `path`, a folder or a zip, under what the verifier trusts.

    `pool` digests several originals at once. Raises UnreadableError where there is nothing to read.
    """
    return verify(open_target(path), trust, pool)


def open_target(path: Path) -> BundleFiles:
    """Open a folder or a zip for verification."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path} cannot be read: {_why(error)}") from error
    if stat.S_ISDIR(mode):
        return FolderFiles(path)
    if stat.S_ISREG(mode):
        return ZipFiles(path)
    raise UnreadableError(f"{path} is neither a folder nor a zip file.")


def read_blocks(path: Path) -> Iterator[bytes]:
    """Give the bytes of a regular file in blocks, following no link; raises UnreadableError."""
    try:
        # Opening without blocking keeps a pipe put in a file's place from holding the reader up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnreadableError(f"{path} is no regular file.")
            while block := file.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {_why(error)}.") from error


class FolderFiles:
    """The files of a bundle that lies in a folder."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._listing: tuple[BundleFile, ...] | None = None

    def listing(self) -> Sequence[BundleFile]:
        """Give every name below the folder, following no link."""
        if self._listing is None:
            self._listing = tuple(sorted(self._walk(), key=lambda file: file.path))
        return self._listing

    def open(self, path: str) -> Iterator[bytes]:
        """Give the bytes of a file in blocks; one that became something else meanwhile is not opened."""
        return read_blocks(self._top / path)

    def _walk(self) -> Iterator[BundleFile]:
        count = 0
        waiting = [b""]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(os.path.join(os.fsencode(self._top), folder)) as names:  # noqa: PTH118 - bytes, not text
                    for name in names:
                        count += 1
                        if count > MAX_FILES:
                            raise UnreadableError(f"The folder holds more than {MAX_FILES} names.")
                        raw = folder + b"/" + name.name if folder else name.name
                        file = _file(raw, name)
                        yield file
                        if file.kind == "folder":
                            waiting.append(raw)
            except OSError as error:
                raise UnreadableError(f"{self._top} cannot be read: {_why(error)}") from error


def _file(raw: bytes, found: os.DirEntry[bytes]) -> BundleFile:
    try:
        path = raw.decode()
    except UnicodeDecodeError:
        return BundleFile(path=escape_path(raw), kind="other", size_bytes=0)
    if found.is_dir(follow_symlinks=False):
        return BundleFile(path=path, kind="folder", size_bytes=0)
    if found.is_file(follow_symlinks=False):
        size_bytes = found.stat(follow_symlinks=False).st_size
        return BundleFile(path=path, kind="file", size_bytes=size_bytes)
    return BundleFile(path=path, kind="other", size_bytes=0)


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
