"""libFuzzer, through atheris, over every parser of `parsers.py`: `make fuzz SECONDS=60`, or one of them by name.

    python -m tests.fuzz SECONDS [PARSER]...

Each parser runs in a process of its own for its share of the seconds, with at most 512 MiB and 5 seconds for one input.
What it learned stays in `build/fuzz/PARSER/`, and goes on from there the next time; an input that is a fault is kept
beside it as `crash-…`, `timeout-…` or `oom-…`, and the exit code is 1.
"""

import subprocess
import sys
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed:  .venv/bin/pip install --editable '.[fuzz]'")

KEPT = Path("build/fuzz")
MOST_MIB = 512
MOST_SECONDS = 5


def run(kind: str) -> None:
    """Fuzz one parser in this process; libFuzzer ends it."""
    with atheris.instrument_imports(include=["edged", "json"]):
        from tests.fuzz.parsers import PARSERS, parses  # noqa: PLC0415 - instrumented as it is imported
    parse, example = PARSERS[kind]
    (_folder(kind) / "example").write_bytes(example)
    atheris.Setup(sys.argv, lambda data: parses(parse, data))
    atheris.Fuzz()


def _folder(kind: str) -> Path:
    folder = KEPT / kind.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(arguments: list[str]) -> int:
    """Fuzz every parser, or those named, one after the other."""
    from tests.fuzz.parsers import PARSERS  # noqa: PLC0415 - only the processes below need it instrumented

    seconds = int(arguments[0]) if arguments else 60
    kinds = arguments[1:] or sorted(PARSERS)
    failed = []
    for kind in kinds:
        folder = _folder(kind)
        command = [sys.executable, "-m", "tests.fuzz", f"--one={kind}", str(folder), f"-artifact_prefix={folder}/"]
        command += [f"-max_total_time={max(1, seconds // len(kinds))}", f"-rss_limit_mb={MOST_MIB}"]
        command += [f"-timeout={MOST_SECONDS}", "-max_len=8192", "-verbosity=0", "-print_final_stats=0"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        sys.stdout.write(f"{kind}: {'no fault' if done.returncode == 0 else 'A FAULT'}\n")
        if done.returncode:
            failed.append(kind)
            sys.stdout.write(done.stdout[-2000:] + done.stderr[-4000:])
    return 1 if failed else 0


if __name__ == "__main__":
    one = [each.removeprefix("--one=") for each in sys.argv if each.startswith("--one=")]
    if one:
        sys.argv = [each for each in sys.argv if not each.startswith("--one=")]
        run(one[0])
    else:
        sys.exit(main(sys.argv[1:]))
