"""`make bench`: edged beside its peers on this machine, against the budget of DESIGN.md, section 9.

    .venv/bin/python -m tests.bench [--quick] [--dir FOLDER] [--json FILE] [--segments N] [--only ROOM …]

Guarantees: contestants of one row work on the same files on the same disk, in turn, from a cold page cache, and
the medians are compared; everything is made in one folder that is removed at the end, also after Ctrl-C or
SIGTERM; only children of its own are ended; nothing is sent beyond loopback. A missed budget is a result and no
failure: the exit code is 0 unless something could not be measured at all.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console

from edged.errors import EdgedError, FullError
from tests.bench import bays, ledger, offload, small, upload, verification
from tests.bench.report import Report, Row
from tests.bench.setting import FULL, QUICK, Scale, Setting

ROOMS: Final[dict[str, Callable[[Setting], list[Row]]]] = {
    "offload": offload.measure,
    "small": small.measure,
    "bays": bays.measure,
    "verification": verification.measure,
    "upload": upload.measure,
    "ledger": ledger.measure,
}
"""What is measured, in this order."""


def main() -> int:
    """Measure, print the table, write the JSON."""
    arguments = _arguments()
    scale = _scale(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    console = Console(stderr=True, highlight=False)
    try:
        arguments.dir.mkdir(parents=True, exist_ok=True)
        _check_room(arguments.dir, scale)
        with _scratch(arguments.dir) as folder, console.status("Making the files") as status:
            setting = Setting.make(folder, scale, tell=status.update)
            report = Report(scale=scale, folder=arguments.dir)
            for room in arguments.only or ROOMS:
                report.rows += ROOMS[room](setting)
            report.left_out += setting.left_out
        report.finish()
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(report.as_json(), "utf-8")
    except KeyboardInterrupt:
        console.print("Stopped; nothing was left behind.")
        return 130
    except EdgedError as error:
        console.print(f"{error.message} {error.hint}".strip())
        return error.exit_code
    except OSError as error:
        console.print(f"The bench cannot go on: {error}.")
        return 74
    report.show()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure edged beside its peers.")
    parser.add_argument(
        "--quick", action="store_true", help="less of everything: a few minutes instead of an hour or more"
    )
    parser.add_argument("--dir", type=Path, default=Path("build"), help="where to work: on the disk to be measured")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), help="where to write the numbers")
    parser.add_argument("--segments", type=int, help="how many segments the book of the ledger's rows holds")
    parser.add_argument("--only", nargs="+", choices=ROOMS, help="measure only these")
    found = parser.parse_args()
    if found.segments is not None and found.segments < 1:
        parser.error("--segments: at least 1")
    return found


def _scale(arguments: argparse.Namespace) -> Scale:
    scale = QUICK if arguments.quick else FULL
    return scale if arguments.segments is None else scale.with_segments(arguments.segments)


def _check_room(folder: Path, scale: Scale) -> None:
    """Refuse to fill somebody's disk; raises FullError."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < scale.needed_bytes:
        raise FullError(
            f"The bench needs {scale.needed_bytes / 1e9:.0f} GB on the disk under {folder}, which has "
            f"{free_bytes / 1e9:.0f} GB free.",
            hint="Name a folder on another disk with --dir, or take --quick.",
        )


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """Hold a new folder, and remove it whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent.absolute()))
    try:
        yield folder
    finally:
        # A second Ctrl-C must not leave half of the files behind.
        before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
        shutil.rmtree(folder)
        for number, handler in before:
            signal.signal(number, handler)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
