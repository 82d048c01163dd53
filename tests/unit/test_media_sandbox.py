"""The sandbox, from the inside: real bubblewrap, ordinary programs in the place of a ffmpeg that was taken over."""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.clock import SystemClock
from edged.errors import StoppedError, ToolError, UnreadableError
from edged.media.reading import PROBE_BOUNDS
from edged.media.sandbox import INPUT, OUTPUT, SEARCH, Bounds, Ended, Sandbox

BOUNDS = Bounds(wall_seconds=20, cpu_seconds=10, memory_bytes=1 << 30, output_bytes=1 << 20)
NOBODY = 65534


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(SystemClock())


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    file = tmp_path / "input.mp4"
    file.write_bytes(b"as the recorder wrote it")
    return file


@pytest.fixture
def output(tmp_path: Path) -> Path:
    file = tmp_path / "output"
    file.touch()
    return file


def shell(sandbox: Sandbox, script: str, bounds: Bounds = BOUNDS, **files: Path) -> Ended:
    return sandbox.run(("sh", "-c", script), bounds=bounds, stop=threading.Event(), **files)


def processes(mark: str) -> list[str]:
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"sleep" in words[0] and mark.encode() in words:
            found.append(line.parent.name)
    return found


def gone(mark: str) -> bool:
    for _ in range(50):
        if not processes(mark):
            return True
        time.sleep(0.1)
    return False


def test_check_passes_here(sandbox: Sandbox) -> None:
    sandbox.check(threading.Event())


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="every other test is this one for a user who is not root")
def test_it_works_for_an_unprivileged_user_on_files_of_its_own(sandbox: Sandbox) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reads, writes = Path(folder, "reads"), Path(folder, "writes")
        reads.write_bytes(b"footage")
        reads.chmod(0o600)
        writes.touch(0o600)
        for path in (Path(folder), reads, writes):
            os.chown(path, NOBODY, NOBODY)
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
                sandbox.check(threading.Event())
                shell(sandbox, f"cat {INPUT} > {OUTPUT}", reads=reads, writes=writes)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert writes.read_bytes() == b"footage"


def test_missing_bubblewrap_is_said_with_a_hint(tmp_path: Path) -> None:
    prlimit = shutil.which("prlimit", path=SEARCH)
    assert prlimit
    (tmp_path / "prlimit").symlink_to(prlimit)
    with pytest.raises(ToolError, match="bwrap is not installed") as caught:
        Sandbox(SystemClock(), search=str(tmp_path)).check(threading.Event())
    assert "install bubblewrap" in caught.value.hint


def test_refused_user_namespaces_are_said_with_a_hint() -> None:
    code = (
        "import threading, edged.media.sandbox as s, edged.clock as c, edged.errors as e\n"
        "try: s.Sandbox(c.SystemClock()).check(threading.Event())\n"
        "except e.ToolError as error: print(error, '|', error.hint)\n"
    )
    without = ["bwrap", "--unshare-user", "--disable-userns", "--uid", "1000", "--ro-bind", "/", "/"]
    run = subprocess.run(
        [*without, "--dev", "/dev", "--proc", "/proc", "--", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    sentence, hint = run.stdout.split(" | ")
    assert re.fullmatch(r"the sandbox cannot run true: .*namespace.*", sentence)
    assert "user.max_user_namespaces" in hint


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("bwrap: Unknown option --disable-userns", "bubblewrap 0.8"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "AppArmor"),
    ],
)
def test_a_bubblewrap_that_refuses_is_quoted_with_a_hint(tmp_path: Path, said: str, hint: str) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(ToolError, match=said.removeprefix("bwrap: ")) as caught:
        Sandbox(SystemClock(), search=f"{tmp_path}:{SEARCH}").check(threading.Event())
    assert hint in caught.value.hint


def test_a_program_that_is_not_there_or_outside_usr_is_a_tool_error(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no-such-program is not installed"):
        sandbox.run(("no-such-program",), bounds=BOUNDS, stop=threading.Event())
    outside = tmp_path / "ffnew"
    outside.write_text("#!/bin/sh\n")
    outside.chmod(0o755)
    with pytest.raises(ToolError, match="outside /usr"):
        Sandbox(SystemClock(), search=f"{tmp_path}:{SEARCH}").run(("ffnew",), bounds=BOUNDS, stop=threading.Event())


def test_a_program_without_its_libraries_is_a_tool_error_and_not_a_verdict_on_the_file(sandbox: Sandbox) -> None:
    with pytest.raises(ToolError, match="no room for it") as caught:
        shell(sandbox, "echo 'x: error while loading shared libraries: no room for it' >&2; exit 127")
    assert caught.value.hint == "install sh again"


def test_nothing_of_the_station_is_visible(sandbox: Sandbox, inputs: Path) -> None:
    seen = shell(sandbox, "ls -A / /etc /in /out /tmp; cat /etc/passwd; cat /proc/self/status", reads=inputs)
    listed = {word for word in seen.stdout.decode().split() if not word.endswith(":")}
    system = {"bin", "dev", "etc", "in", "lib", "lib64", "tmp", "usr"}
    assert listed <= system | {"alternatives", "ld.so.cache", "media"}
    assert b"/etc/passwd" in seen.stderr
    assert b"/proc/self/status" in seen.stderr


def test_the_environment_is_explicit(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for ffmpeg")
    variables = {line.split("=")[0] for line in shell(sandbox, "env").stdout.decode().splitlines()}
    assert variables == {"PATH", "HOME", "LC_ALL", "TZ", "MALLOC_ARENA_MAX", "PWD"}


def test_the_original_cannot_be_changed_from_inside(sandbox: Sandbox, inputs: Path) -> None:
    ended = shell(sandbox, f"echo x >> {INPUT}; rm -f {INPUT}; chmod 777 {INPUT}; cat {INPUT}", reads=inputs)
    assert ended.stdout == b"as the recorder wrote it"
    assert ended.stderr.count(b"Read-only file system") == 3
    assert inputs.read_bytes() == b"as the recorder wrote it"


def test_nothing_but_the_one_output_can_be_written(sandbox: Sandbox, inputs: Path, output: Path) -> None:
    script = f"ln -s /etc/passwd /out/link; echo x > /out/second; echo x > /x; rm -f {OUTPUT}; mkdir /dev/shm/x"
    ended = shell(sandbox, f"{script}; echo written > {OUTPUT}", reads=inputs, writes=output)
    assert ended.code == 0
    assert ended.stderr.count(b"Read-only file system") + ended.stderr.count(b"busy") == 5
    assert output.read_bytes() == b"written\n"
    assert sorted(path.name for path in output.parent.iterdir()) == ["input.mp4", "output"]


def test_there_is_no_network(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = f"echo hello > /dev/tcp/127.0.0.1/{port}"
        assert subprocess.run(["bash", "-c", connect], check=True).returncode == 0
        ended = sandbox.run(("bash", "-c", connect), bounds=BOUNDS, stop=threading.Event())
    assert ended.code == 1
    assert b"Connection refused" in ended.stderr


def test_no_privilege_is_left_and_none_can_be_made(sandbox: Sandbox, output: Path) -> None:
    tries = (f"chown 12345 {OUTPUT}", "unshare -U true", "mount -t tmpfs x /tmp", "unshare -n true")
    ended = shell(sandbox, "; ".join(f"{one} && echo {n}" for n, one in enumerate(tries)), writes=output)
    assert ended.stdout == b""
    assert output.stat().st_uid == os.geteuid()


def test_descriptors_of_the_daemon_are_not_inherited(sandbox: Sandbox, tmp_path: Path) -> None:
    with (tmp_path / "book.sqlite").open("w") as book:
        copy = fcntl.fcntl(book.fileno(), fcntl.F_DUPFD, 40)
        os.set_inheritable(copy, True)  # noqa: FBT003
        ended = sandbox.run(
            ("bash", "-c", f"for n in {{3..12}} {copy}; do (echo x >&$n); done; cat"),
            bounds=BOUNDS,
            stop=threading.Event(),
        )
        os.close(copy)
    assert ended.stderr.count(b"Bad file descriptor") == 11
    assert ended.stdout == b""
    assert (tmp_path / "book.sqlite").read_bytes() == b""


def test_it_runs_at_lowered_priority_but_where_a_docking_waits(sandbox: Sandbox) -> None:
    assert int(shell(sandbox, "nice").stdout) >= min(19, os.nice(0) + 10)
    assert int(shell(sandbox, "nice", PROBE_BOUNDS).stdout) == os.nice(0)


def test_a_child_that_hangs_is_killed_with_all_it_started(sandbox: Sandbox) -> None:
    bounds = Bounds(wall_seconds=1, cpu_seconds=5, memory_bytes=1 << 30)
    ended = shell(sandbox, "(trap '' TERM HUP; setsid sleep 31337.25) & sleep 31337.25", bounds)
    assert ended.code is None
    assert gone("31337.25")


def test_a_stop_ends_a_child_at_once(sandbox: Sandbox) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    before = time.monotonic()
    with pytest.raises(StoppedError):
        sandbox.run(("sleep", "31338.25"), bounds=BOUNDS, stop=stop)
    assert time.monotonic() - before < 2
    assert gone("31338.25")
    timer.join()


def test_the_sandbox_dies_with_the_daemon() -> None:
    code = (
        "import threading, edged.media.sandbox as s, edged.clock as c\n"
        "b = s.Bounds(wall_seconds=60, cpu_seconds=5, memory_bytes=1 << 30)\n"
        "s.Sandbox(c.SystemClock()).run(('sleep', '31339.25'), bounds=b, stop=threading.Event())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as daemon:
        for _ in range(100):
            if processes("31339.25"):
                break
            time.sleep(0.1)
        assert processes("31339.25")
        daemon.kill()
    assert gone("31339.25")


def test_an_endless_loop_ends_with_its_cpu_time(sandbox: Sandbox) -> None:
    ended = shell(sandbox, "while :; do :; done", Bounds(wall_seconds=20, cpu_seconds=1, memory_bytes=1 << 30))
    assert ended.killed_by(signal.SIGKILL)


def test_memory_is_bounded(sandbox: Sandbox) -> None:
    ended = shell(sandbox, "dd if=/dev/zero of=/dev/null bs=1200M count=1")
    assert ended.code == 1
    assert b"memory exhausted" in ended.stderr


def test_an_output_that_grows_for_ever_is_cut_at_its_bound(sandbox: Sandbox, output: Path) -> None:
    ended = shell(sandbox, f"exec head -c 100000000 /dev/zero > {OUTPUT}", writes=output)
    assert ended.killed_by(signal.SIGXFSZ)
    assert output.stat().st_size == BOUNDS.output_bytes


def test_private_tmp_does_not_fill_the_memory_of_the_station(sandbox: Sandbox) -> None:
    ended = shell(sandbox, "n=0; while head -c 1000000 /dev/zero > /tmp/$n; do n=$((n + 1)); done; echo $n")
    assert 0 < int(ended.stdout) <= 17


def test_a_flood_on_both_streams_neither_hangs_nor_fills_memory(sandbox: Sandbox) -> None:
    ended = shell(sandbox, "yes stdout | head -c 30000000; yes stderr | head -c 30000000 >&2; exit 3")
    assert ended.code == 3
    assert not ended.whole
    assert len(ended.stdout) == 1 << 20
    assert len(ended.stderr) == 1 << 16


def odd_things(folder: Path) -> Iterator[Path]:
    yield folder / "nothing"
    (folder / "folder").mkdir()
    yield folder / "folder"
    (folder / "link").symlink_to("/etc/passwd")
    yield folder / "link"
    os.mkfifo(folder / "pipe")
    yield folder / "pipe"
    yield Path("/dev/zero")


def test_only_a_regular_file_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    for thing in odd_things(tmp_path):
        with pytest.raises(UnreadableError):
            shell(sandbox, "true", reads=thing)


@pytest.mark.parametrize(
    "name",
    [b"a\nb;rm -rf $HOME", b"--ro-bind", b"\xff\xfe not UTF-8", b"x" * 255, b"concat:a|b", b"%05d.jpg", b"$(id)"],
)
def test_a_hostile_name_means_nothing(sandbox: Sandbox, tmp_path: Path, name: bytes) -> None:
    file = tmp_path / os.fsdecode(name)
    file.write_bytes(name)
    ended = sandbox.run(("cat", INPUT), bounds=BOUNDS, stop=threading.Event(), reads=file)
    assert (ended.code, ended.stdout) == (0, name)


def test_limits_above_those_of_the_daemon_are_lowered_not_refused() -> None:
    code = (
        "import resource, threading, edged.media.sandbox as s, edged.clock as c\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (50, 50))\n"
        "b = s.Bounds(wall_seconds=60, cpu_seconds=500, memory_bytes=1 << 30)\n"
        "ended = s.Sandbox(c.SystemClock()).run(('sh', '-c', 'ulimit -t'), bounds=b, stop=threading.Event())\n"
        "print(ended.code, ended.stdout)\n"
    )
    unprivileged = ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"] if os.geteuid() == 0 else []
    run = subprocess.run([*unprivileged, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "0 b'50\\n'\n"
