"""Reading a file past the page cache: what the proof of a copy rests on (INV-1).

A digest computed from the page cache proves what is in memory, not what is on the disk. So either the file is
read with O_DIRECT on a file system of a disk, or its pages are dropped and shown by mincore(2) not to be resident
before it is read. Where neither means anything (a file system in memory or in user space; for the vault also one
over the network) there is no proof, and so no clearance.
"""

import ctypes
import mmap
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from edged.errors import StoppedError, StorageError
from edged.evidence.digests import CHUNK_BYTES, Digester, Digests

ON_DISK = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "exfat", "ntfs3", "overlay"})
"""File systems whose O_DIRECT reads come from a disk. `overlay` hands O_DIRECT down to the layer below, which may
be one in memory that takes it too: there the pages of a file cannot be dropped."""

OVER_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph"})
"""File systems whose O_DIRECT reads come from a server: past the memory of this machine, if not past the server's."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]


@dataclass(frozen=True, kw_only=True)
class Reread:
    """What a file gave when it was read past the page cache."""

    digests: Digests
    method: str
    """`o_direct on FS`, or `dropped and not resident on FS`."""


class NoProofError(StorageError):
    """Reading a file here proves nothing about a disk."""

    retry = False


def reread(
    path: Path,
    *,
    stop: Event,
    systems: frozenset[str] = ON_DISK,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> Reread:
    """Read a file past the page cache and digest it, on one of the `systems` that are taken for a proof.

    `on_bytes` is told how much was read, piece by piece.

    Raises NoProofError where that means nothing, StorageError when it cannot be read, StoppedError on shutdown.
    """
    system = file_system(path)
    if system not in systems:
        raise NoProofError(
            f"{path} lies on {system}, where reading a file back proves nothing about a disk; recorders are not wiped.",
            hint="Put the vault on a local disk with ext4, xfs or btrfs.",
        )
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECT)
        method = f"o_direct on {system}"
    except OSError:
        fd = _open_dropped(path)
        method = f"dropped and not resident on {system}"
    try:
        # Some files of these systems are read through the page cache all the same (journaled or compressed data).
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        if system == "overlay" and 0 < resident_pages(fd) == _pages(fd):
            raise NoProofError(f"{path} lies in memory, or its pages cannot be dropped; recorders are not wiped.")
        digester = Digester()
        for block in _blocks(fd, path):
            if stop.is_set():
                raise StoppedError("A re-read was stopped.")
            digester.update(block)
            on_bytes(len(block))
        return Reread(digests=digester.finish(), method=method)
    finally:
        os.close(fd)


def file_system(path: Path) -> str:
    """Give the type of the file system that a path lies on, by the very mount that opening it leads to.

    Raises StorageError when there is nothing at the path.
    """
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        opened = Path(f"/proc/self/fdinfo/{fd}").read_text("ascii").split()
    finally:
        os.close(fd)
    mount = opened[opened.index("mnt_id:") + 1].encode()
    for line in Path("/proc/self/mountinfo").read_bytes().split(b"\n"):
        left, _, right = line.partition(b" - ")
        if left.startswith(mount + b" "):
            return right.split()[0].decode("ascii", "replace")
    return "unknown"


def _open_dropped(path: Path) -> int:
    """Open a file after dropping its pages; raises NoProofError if any of them stays resident."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        if resident_pages(fd):
            raise NoProofError(f"The pages of {path} cannot be dropped from memory; recorders are not wiped.")
    except StorageError:
        os.close(fd)
        raise
    return fd


def resident_pages(fd: int) -> int:
    """Count the pages of an open file that are in the page cache, by mincore(2); raises StorageError."""
    size = os.fstat(fd).st_size
    if size == 0:
        return 0
    states = ctypes.create_string_buffer(_pages(fd))
    try:
        mapped = mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    except OSError as error:
        raise StorageError(f"A file cannot be mapped: {error.strerror}.") from error
    with mapped:
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        if _libc.mincore(address, size, states) != 0:
            raise StorageError(f"mincore failed: {os.strerror(ctypes.get_errno())}.")
    return sum(state & 1 for state in states.raw)


def _pages(fd: int) -> int:
    return -(-os.fstat(fd).st_size // mmap.PAGESIZE)


def _blocks(fd: int, path: Path) -> Iterator[memoryview]:
    # An anonymous mapping is page-aligned, as O_DIRECT asks.
    size_bytes = os.fstat(fd).st_size
    with mmap.mmap(-1, CHUNK_BYTES) as buffer, memoryview(buffer) as view:
        offset = 0
        # Not until nothing comes: older kernels refuse to look behind an end that is not aligned.
        while offset < size_bytes:
            try:
                got = os.preadv(fd, [view], offset)
            except OSError as error:
                raise StorageError(f"{path} cannot be read back: {error.strerror}.") from error
            if got == 0:
                return
            with view[:got] as block:
                yield block
            offset += got
