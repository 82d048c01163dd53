"""A real disk of a size of one's own, where root may have one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

MIB: Final = 1 << 20


@contextmanager
def small_disk(image: Path, mounted_at: Path, *options: str) -> Iterator[None]:
    """Hold a real ext4 of 64 MiB mounted; skips where that may not be."""
    image.touch()
    os.truncate(image, 64 * MIB)
    mounted_at.mkdir(exist_ok=True)
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("a file system of one's own takes root and mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *options, image], check=True)
    done = subprocess.run(
        ["mount", "-o", "loop,noatime", image, mounted_at], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", mounted_at], check=True)
