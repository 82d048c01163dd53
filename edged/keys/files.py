"""Files of keys: written durably, readable by their owner alone, destroyed before they are removed."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from edged.errors import ConfigError, NotAllowedError

CONDEMNED: Final = ".condemned"
"""What the name of a private key ends in while it is being destroyed."""


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that does not exist yet, durably; raises FileExistsError, OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        _write(fd, data)
    finally:
        os.close(fd)
    sync_folder(path.parent)


def write_over(path: Path, data: bytes, mode: int) -> None:
    """Put a file in the place of another, durably: there is the old one or the new one, never half of one."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    write_new(new, data, mode)
    new.replace(path)
    sync_folder(path.parent)


def move(source: Path, target: Path) -> None:
    """Give a file another name, durably in both folders."""
    source.replace(target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def destroy(path: Path) -> None:
    """Overwrite a private key, and remove it, durably; one that is gone already is destroyed.

    It loses its name first, so that after a crash nobody takes what is left for a key. Flash memory and copy-on-write
    file systems may keep the old blocks all the same.
    """
    condemned = path.with_name(f"{path.name}{CONDEMNED}")
    if path.exists():
        move(path, condemned)
    try:
        fd = os.open(condemned, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _write(fd, bytes(os.fstat(fd).st_size))
    finally:
        os.close(fd)
    condemned.unlink()
    sync_folder(condemned.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """Write a private key as its file holds it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def private_problems(path: Path) -> Iterator[str]:
    """Say what is wrong with who may read a private key: it is its owner's alone, who owns the folder too."""
    found, folder = path.stat(), path.parent.stat()
    if found.st_mode & 0o077:
        yield f"The station's key {path} can be read by others."
    if found.st_uid != folder.st_uid:
        yield f"The station's key {path} belongs to another user than its folder."
    if folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield f"The folder of the station's key {path} can be written to by others."


def load_private(path: Path) -> Ed25519PrivateKey:
    """Read a private key; raises ConfigError, or NotAllowedError if others could read it."""
    try:
        problems = list(private_problems(path))
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"The station's key {path} cannot be loaded: {error}.",
            hint="Was this station made with `edged init`, and does its own user run it?",
        ) from error
    if problems:
        raise NotAllowedError(problems[0], hint=f"Run `chmod 600` on it, and `chmod 700` on {path.parent}.")
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"The station's key {path} is no Ed25519 key.")
    return key


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.fsync(fd)
