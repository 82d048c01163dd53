"""The tools edged is compared with: found on PATH, or left out with one line that says what to install.

Each run gets an environment of its own and closed standard input, and is ended with whoever waits for it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from edged.errors import ToolError
from edged.vault.reread import file_system
from tests.bench.setting import MIB, Setting

_REFLINKS: Final = frozenset({"btrfs", "xfs", "bcachefs"})
"""File systems on which cp shares blocks instead of copying, which it never could from a card."""
_MANY: Final = 100


def find(setting: Setting, name: str, rows: str, *, install: str = "") -> str | None:
    """Give the path of a tool, by default a Debian package of its own name; None, noted, where it is missing."""
    path = shutil.which(name)
    if path is None:
        setting.left_out.append(f"{rows}: {name} is not installed; {install or f'sudo apt-get install {name}'}")
    return path


def runner(copy: Callable[[str, Path, Path], None], tool: str, source: Path, target: Path) -> Callable[[int], None]:
    """Give a copying by a tool as the work of a contestant."""
    return lambda _: copy(tool, source, target)


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """Run a tool to its good end and give what it printed; raises ToolError with its last words."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [str(word) for word in command],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=kept | {"LC_ALL": "C.UTF-8"} | dict(environment or {}),
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        raise ToolError(f"{command[0]} ended with exit code {done.returncode}; it said: {said[-1]}")
    return done.stdout


def cp(source: Path, target: Path) -> None:
    """`cp -r SOURCE TARGET && sync` of what was copied."""
    run(["cp", "-r", *_never_shared(source), source, target])
    sync(target)


def rclone_copy(rclone: str, source: Path, target: Path) -> None:
    """`rclone copy SOURCE TARGET && sync` of what was copied."""
    run([rclone, "copy", "--config", os.devnull, source, target])
    sync(target)


def rsync(tool: str, source: Path, target: Path) -> None:
    """`rsync -a SOURCE/ TARGET && sync` of what was copied."""
    run([tool, "-a", f"{source}/", target])
    sync(target)


def cp_and_mhl(ascmhl: str, source: Path, target: Path) -> None:
    """`cp -r SOURCE TARGET && ascmhl create TARGET && sync`: its hashes are read from the page cache, not the disk."""
    run(["cp", "-r", *_never_shared(source), source, target])
    run([ascmhl, "create", target])
    sync(target)


def sync(folder: Path) -> None:
    """`sync` of every file and folder below: of these alone, as others may be busy on the same disk.

    Of very many files that takes longer than one `sync` of the whole file system, so they get that.
    """
    paths = sorted(folder.rglob("*"))
    run(["sync", "-f", folder] if len(paths) > _MANY else ["sync", folder, *paths])


def _never_shared(source: Path) -> list[str]:
    return ["--reflink=never"] if file_system(source) in _REFLINKS else []


def fio_copy(fio: str, files: Sequence[Path], target: Path) -> float:
    """Let fio read the files and write as much at the same time; gives the seconds of the slower of the two.

    In order, through the page cache and with one fsync at the end, like everybody else here: on a fast disk that
    is quicker than around the cache, so it is the harder peer.
    """
    size_bytes = sum(path.stat().st_size for path in files)
    common = ["--ioengine=psync", f"--bs={MIB}", "--direct=0", "--thread"]
    reader = ["--name=read", "--rw=read", f"--filename={':'.join(map(str, files))}", "--file_service_type=sequential"]
    writer = ["--name=write", "--rw=write", f"--filename={target}", f"--size={size_bytes}"]
    writer += ["--create_on_open=1", "--fallocate=none", "--end_fsync=1"]
    told = json.loads(run([fio, "--output-format=json", *common, *reader, *writer]))
    return max(float(job["job_runtime"]) for job in told["jobs"]) / 1000
