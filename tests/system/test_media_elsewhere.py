"""The media sandbox in another process: the same programs, the same bounds, the same ends."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from edged.clock import SystemClock
from edged.errors import StoppedError, ToolError, UnreadableError
from edged.media.elsewhere import SandboxElsewhere, SandboxServer
from edged.media.facts import MediaFacts
from edged.media.media import Derivative, Media
from edged.media.reading import PROBE_BOUNDS
from edged.media.sandbox import Bounds, Sandbox
from edged.media.whole import is_whole_mp4

CLOCK = SystemClock()
NEVER = threading.Event()
FOR_EVER = ("ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc", "-f", "null", "-")
CLIP = "-f lavfi -i testsrc=s=320x240:r=10:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p"

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "media.sock"


@pytest.fixture
def server(path: Path) -> Iterator[SandboxServer]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    made = SandboxServer(listener, Sandbox(CLOCK))
    thread = threading.Thread(target=made.serve)
    thread.start()
    yield made
    if thread.is_alive():
        made.stop()
    thread.join()
    listener.close()


@pytest.fixture
def elsewhere(server: SandboxServer, path: Path) -> SandboxElsewhere:
    del server
    return SandboxElsewhere(CLOCK, path)


def test_footage_is_probed_and_made_watchable(elsewhere: SandboxElsewhere, tmp_path: Path) -> None:
    clip = tmp_path / "片 段.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *CLIP.split(), str(clip)], check=True, timeout=60)
    media = Media(elsewhere)
    assert media.check(NEVER).startswith("ffmpeg ")
    facts = media.probe(clip, NEVER)
    assert isinstance(facts, MediaFacts)
    made = media.derive("proxy", clip, tmp_path, facts, NEVER)
    assert isinstance(made, Derivative)
    assert is_whole_mp4(made.file)


def test_answer_is_that_of_the_sandbox_itself(elsewhere: SandboxElsewhere) -> None:
    command = ("ffprobe", "-v", "error", "-no_such_option")
    one = elsewhere.run(command, bounds=PROBE_BOUNDS, stop=NEVER)
    assert one == Sandbox(CLOCK).run(command, bounds=PROBE_BOUNDS, stop=NEVER)
    assert one.code not in {0, None}
    assert one.stderr


def test_wall_time_is_bounded_there(elsewhere: SandboxElsewhere) -> None:
    bounds = Bounds(wall_seconds=1, cpu_seconds=30, memory_bytes=1 << 30)
    assert elsewhere.run(FOR_EVER, bounds=bounds, stop=NEVER).code is None


def test_stop_ends_the_program_there(elsewhere: SandboxElsewhere) -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    began = CLOCK.monotonic()
    with pytest.raises(StoppedError):
        elsewhere.run(FOR_EVER, bounds=PROBE_BOUNDS, stop=stop)
    assert CLOCK.monotonic() - began < 5


def test_server_that_stops_ends_its_programs_and_says_so(server: SandboxServer, elsewhere: SandboxElsewhere) -> None:
    threading.Timer(0.5, server.stop).start()
    began = CLOCK.monotonic()
    with pytest.raises(ToolError, match="stopped"):
        elsewhere.run(FOR_EVER, bounds=PROBE_BOUNDS, stop=NEVER)
    assert CLOCK.monotonic() - began < 5


def test_nobody_there_is_a_missing_tool(path: Path) -> None:
    with pytest.raises(ToolError, match="does not answer"):
        SandboxElsewhere(CLOCK, path).run(("true",), bounds=PROBE_BOUNDS, stop=NEVER)


def test_file_that_is_none_is_unreadable(elsewhere: SandboxElsewhere, tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to("/etc/passwd")
    with pytest.raises(UnreadableError):
        elsewhere.run(("ffprobe",), bounds=PROBE_BOUNDS, stop=NEVER, reads=tmp_path / "link.mp4")


def ask(path: Path, line: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(line)
        with connection.makefile("rb") as answer:
            read: dict[str, Any] = json.loads(answer.readline())
    return read


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b"{}\n",
        b'{"command": 1}\n',
        b"[" * 60_000 + b"\n",
        b'{"command": ["true"], "bounds": {"wall_seconds": "x"}, "reads": null, "writes": null}\n',
        b'{"command": ["true"], "bounds": [], "reads": null, "writes": null}\n',
    ],
)
def test_line_that_is_no_request_is_refused_and_harms_nobody(
    elsewhere: SandboxElsewhere, path: Path, line: bytes
) -> None:
    assert ask(path, line)["error"] == "MalformedError"
    assert elsewhere.run(("true",), bounds=PROBE_BOUNDS, stop=NEVER).code == 0


@pytest.mark.parametrize("command", [["sh", "-c", "id"], ["/bin/true"], []])
def test_nothing_but_media_programs_is_run(elsewhere: SandboxElsewhere, path: Path, command: list[str]) -> None:
    del elsewhere
    bounds = {"wall_seconds": 5, "cpu_seconds": 5, "memory_bytes": 1 << 28, "output_bytes": 0}
    plain = {"command": command, "bounds": bounds, "reads": None, "writes": None}
    assert ask(path, json.dumps(plain).encode() + b"\n")["error"] == "NotAllowedError"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="asks as another user")
def test_stranger_has_nothing_run() -> None:
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        Path(folder).chmod(0o755)
        path = Path(folder) / "media.sock"
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen()
        server = SandboxServer(listener, Sandbox(CLOCK))
        thread = threading.Thread(target=server.serve)
        thread.start()
        # Who may not ask is answered before anything is read; the answer may be there before a question could be sent.
        script = (
            "import os, socket, sys; os.setgroups([]); os.setuid(65534); c = socket.socket(socket.AF_UNIX); "
            "c.connect(sys.argv[1]); print(c.makefile().readline())"
        )
        done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=True)
        server.stop()
        thread.join()
    assert json.loads(done.stdout)["error"] == "NotAllowedError"
