"""What a killed `hwsim torture` left behind in its folder: daemons, server and mounts of it end with the next one.

Whoever plays in a folder holds its lock for as long as it lives, so what is found under the lock is nobody's any more.
"""

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edged.errors import ToolError, UsageError
from hwsim.torture.waiting import wait_for

_SECONDS: Final = 10.0
_PATH: Final = f"/usr/sbin:/sbin:{os.defpath}"
_ESCAPED: Final = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


@contextmanager
def alone_in(root: Path) -> Iterator[None]:
    """Have a folder to oneself, with nothing of an earlier one in it; raises UsageError, ToolError."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"Another hwsim torture plays in {root} now.", hint="Name another --folder.") from error
        _end(root)
        _unmount(root)
        yield
    finally:
        os.close(folder)


def _end(root: Path) -> None:
    """Kill what an earlier one had started to run on this folder."""
    for process in _left(root):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    if not wait_for(lambda: not list(_left(root)), _SECONDS):
        raise ToolError(f"Processes of an earlier hwsim torture in {root} do not end.", hint="Name another --folder.")


def _left(root: Path) -> Iterator[int]:
    """Give daemons whose configuration lies in this folder, and servers whose data do."""
    for process in Path("/proc").glob("[0-9]*"):
        # One that has ended meanwhile, or is somebody else's.
        with suppress(OSError):
            words = [os.fsdecode(word) for word in (process / "cmdline").read_bytes().split(b"\0")]
            of_config = words[words.index("--config") + 1] if "--config" in words[:-1] else ""
            is_store = Path(words[0]).name == "weed" and (process / "cwd").readlink() == root / "store"
            if is_store or (of_config and Path(of_config).is_relative_to(root)):
                yield int(process.name)


def _unmount(root: Path) -> None:
    for place in reversed(_mounts(root)):
        words = ("umount", "--lazy", str(place))
        subprocess.run(words, check=False, capture_output=True, stdin=subprocess.DEVNULL, env={"PATH": _PATH})
    if left := _mounts(root):
        raise ToolError(
            f"An earlier hwsim torture that was killed left {left[-1]} mounted.",
            hint=f"As root: umount --lazy {left[-1]}; or name another --folder.",
        )


def _mounts(root: Path) -> list[Path]:
    """Give what is mounted below a folder, in the order in which it was."""
    places = [Path(_plain(line.split(" ")[1])) for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()]
    return [place for place in places if place != root and place.is_relative_to(root)]


def _plain(word: str) -> str:
    for code, sign in _ESCAPED.items():
        word = word.replace(code, sign)
    return word
