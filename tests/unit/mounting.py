"""Running a script where file systems may be mounted that nobody else sees."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]


@cache
def may_mount(*loop: str) -> bool:
    """Say whether this user may mount, and with `loop` named also images: a root in a container may not."""
    if os.geteuid() != 0:
        return False
    tests = ["mount -t tmpfs none /mnt", *(["losetup --find", "command -v mkfs.ext4"] if loop else [])]
    command = ["unshare", "--mount", "sh", "-ec", "\n".join(["PATH=$PATH:/usr/sbin:/sbin", *tests])]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_mount = pytest.mark.skipif(not may_mount(), reason="mounts file systems, which takes root")
needs_loop = pytest.mark.skipif(not may_mount("loop"), reason="mounts an image, which takes root and loop devices")


def in_namespace(mounts: str, script: str, *arguments: object) -> str:
    """Run a Python script after these mounts, in a mount namespace of its own; gives what it prints."""
    command = [sys.executable, "-W", "error", "-c", dedent(script), *map(str, arguments)]
    shell = f'PATH=$PATH:/usr/sbin:/sbin\n{dedent(mounts)}\ncd "{ROOT}"\nexec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", shell, "sh", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
