"""Whatever ends the demo, nothing that it started goes on, and no summary claims that it went well."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

QUICK = """
import sys
from pathlib import Path
from hwsim import cli
from hwsim.demo import play
from hwsim.quick import QuickCamera
play.find_camera = lambda: QuickCamera(Path(sys.argv[-1]).with_name("clips"))
cli.main()
"""
"""`hwsim` with a camera that films one second instead of minutes."""


def started(folder: Path) -> dict[int, str]:
    """Give process id and command line of everything that works on or in `folder`, but for the demo itself."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = f"{line} {(process / 'cwd').readlink()}"
        except OSError:
            continue
        if str(folder) in where and QUICK not in line:
            found[int(process.name)] = line
    return found


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", QUICK, "demo", str(tmp_path / "demo")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    yield process
    process.terminate()
    process.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_stops_all_that_it_started(
    tmp_path: Path, demo: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert demo.stdout is not None
    assert any("the daemon answers" in line for line in demo.stdout)
    running = " ".join(started(tmp_path).values())
    assert "edged run" in running
    assert "weed" in running
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 75
    assert errors == "hwsim: interrupted; everything that was started is stopped\n"
    assert started(tmp_path) == {}
    assert not (tmp_path / "demo/summary.json").exists()


def test_a_daemon_that_dies_ends_the_demo_with_a_sentence(tmp_path: Path, demo: subprocess.Popen[str]) -> None:
    assert demo.stdout is not None
    assert any("the daemon answers" in line for line in demo.stdout)
    (daemon,) = (pid for pid, line in started(tmp_path).items() if " run --config " in line)
    os.kill(daemon, signal.SIGKILL)
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 69
    assert "the daemon ended with exit code -9" in errors
    assert started(tmp_path) == {}
    assert not (tmp_path / "demo/summary.json").exists()


def test_without_ffmpeg_the_demo_says_so_and_starts_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from hwsim.cli import main; main()", "demo", str(tmp_path / "demo")],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 69
    assert done.stderr.startswith("hwsim: ffmpeg is not installed")
    assert started(tmp_path) == {}
