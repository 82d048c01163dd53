"""Attacks on the mounter: what its socket and its folder are asked for that they must not give."""

import base64
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hwsim.kernel import bays, udevd
from hwsim.kernel.usb import Plugged
from tests.kernel.machine import (
    DAEMON_USER,
    FUSE_USER,
    PATIENCE_SECONDS,
    USB,
    Listener,
    Mounter,
    plug,
    python_path,
    until,
    user,
)

Card = Callable[..., Path]

_CLIENT = """
import base64, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
    connection.connect(sys.argv[1])
    connection.settimeout(30)
    try:
        connection.sendall(base64.b64decode(sys.stdin.read()))
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    said = b""
    try:
        while part := connection.recv(65536):
            said += part
    except ConnectionError:
        pass
    sys.stdout.buffer.write(said)
"""


def send(mounter: Mounter, data: bytes, *, name: str = DAEMON_USER) -> list[dict[str, Any]]:
    """Send bytes as a user, and give the answers until the mounter ends the connection."""
    account = user(name)
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", "-c", _CLIENT, str(mounter.socket)],
        input=base64.b64encode(data),
        capture_output=True,
        check=True,
        user=account.pw_uid,
        group=user(DAEMON_USER).pw_gid,
        extra_groups=[],
        timeout=PATIENCE_SECONDS,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def numbers(device: str) -> tuple[str, int]:
    """Give MAJOR:MINOR and `diskseq` of a disk."""
    folder = Path("/sys/block") / device
    return (folder / "dev").read_text("ascii").strip(), int((folder / "diskseq").read_text("ascii"))


def mount_request(device: str, medium: object) -> bytes:
    return json.dumps({"do": "mount", "device": device, "medium": medium}).encode() + b"\n"


@pytest.mark.parametrize("name", ["root", FUSE_USER])
def test_another_user_of_the_machine_gets_nothing(mounter: Mounter, card: Card, name: str) -> None:
    docked = plug(card({"a": b"a"}), "bay-11")
    udevd.settle()
    answer = send(mounter, mount_request(*numbers(docked.device)), name=name)
    assert [list(said) for said in answer] == [["error"]]
    assert "may not ask" in answer[0]["error"]["message"]
    assert mounter.mounted() == []


def test_socket_cannot_even_be_reached_by_users_outside_the_daemons_group(mounter: Mounter) -> None:
    assert mounter.socket.stat().st_mode & 0o777 == 0o660
    assert (mounter.socket.stat().st_uid, mounter.socket.stat().st_gid) == (0, user(DAEMON_USER).pw_gid)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"\x00\xff\xfe garbage\n",
        b"[]\n",
        b"null\n",
        b'"mount"\n',
        b"{}\n",
        b"[" * 4000 + b"\n",
        b'{"do": "mount"}\n',
        b'{"do": "mount", "device": "/dev/loop200", "medium": 1}\n',
        b'{"do": "mount", "device": "../../dev/vda", "medium": 1}\n',
        b'{"do": "mount", "device": "7:200/../../8:0", "medium": 1}\n',
        b'{"do": "mount", "device": "7:200\\u0000", "medium": 1}\n',
        b'{"do": "mount", "device": ["7:200"], "medium": 1}\n',
        b'{"do": "mount", "device": "07:200", "medium": 1}\n',
        b'{"do": "mount", "device": "7:99999999", "medium": 1}\n',
        b'{"do": "mount", "device": "-7:200", "medium": 1}\n',
        b'{"do": "mount", "device": "7:200", "medium": "1"}\n',
        b'{"do": "mount", "device": "7:200", "medium": true}\n',
        b'{"do": "mount", "device": "7:200", "medium": -1}\n',
        b'{"do": "mount", "device": "7:200", "medium": 1.0}\n',
        b'{"do": "mount", "device": "7:200", "medium": 1e400}\n',
        b'{"do": "mount", "device": "7:200", "medium": 1, "options": "suid,exec"}\n',
        b'{"do": "mount", "device": "7:200", "medium": 1, "folder": "/etc"}\n',
        b'{"do": "umount", "folder": "/"}\n',
        b'{"do": "writable"}\n',
        b'{"do": "unmount"}\n',
        b'{"do": "mount", "device": "7:200", "medium": 1}',
        b"a" * 1_000_000,
    ],
)
def test_what_is_no_request_is_refused_and_mounts_nothing(mounter: Mounter, line: bytes) -> None:
    answer = send(mounter, line)
    assert [list(said) for said in answer] in ([["error"]], []), answer
    assert len(answer) == 1 or len(line) > 4096
    assert mounter.mounted() == []


def test_the_disk_of_the_system_and_other_devices_are_not_a_bays(mounter: Mounter, card: Card) -> None:
    stranger = bays.dock(card({"a": b"a"}), Plugged(port="pci-0000:00:14.0-usb-0:9", usb=USB, serial="X"))
    udevd.settle()
    subprocess.run(["udevadm", "trigger", "--settle", "--subsystem-match=block"], check=True)
    refused = []
    for folder in Path("/sys/block").iterdir():
        answer = send(mounter, mount_request(*numbers(folder.name)))
        assert list(answer[0]) == ["error"], f"{folder.name} was mounted"
        refused.append(folder.name)
    assert stranger.device in refused
    assert mounter.mounted() == []


def test_medium_that_was_changed_since_it_was_announced_is_not_mounted(mounter: Mounter, card: Card) -> None:
    docked = plug(card({"a": b"a"}), "bay-11")
    udevd.settle()
    device, medium = numbers(docked.device)
    for other in (medium - 1, medium + 1):
        answer = send(mounter, mount_request(device, other))
        assert "its card was changed" in answer[0]["error"]["message"]
    assert list(send(mounter, mount_request(device, medium))[0]) == ["ok"]


def test_connection_cannot_mount_a_second_device_or_go_on_after_nonsense(mounter: Mounter, card: Card) -> None:
    first, second = plug(card({"a": b"a"}, name="a"), "bay-11"), plug(card({"b": b"b"}, name="b"), "bay-12")
    udevd.settle()
    begin = mount_request(*numbers(first.device))
    answers = send(mounter, begin + mount_request(*numbers(second.device)) + b'{"do": "read_only"}\n')
    assert [list(said) for said in answers] == [["ok"], ["error"], ["ok"], ["ok"]]
    answers = send(mounter, begin + b"nonsense\n" + b'{"do": "writable"}\n')
    assert [list(said) for said in answers] == [["ok"], ["error"]]
    until(lambda: not mounter.mounted(), "nothing is mounted")


def test_device_that_is_leased_is_not_given_to_a_second_connection(mounter: Mounter, card: Card) -> None:
    with Listener(mounter) as listener:
        docked = plug(card({"a": b"a"}), "bay-11")
        listener.wait("arrival", "bay-11")
        answer = send(mounter, mount_request(*numbers(docked.device)) + b'{"do": "unmount"}\n')
        assert "another connection" in answer[0]["error"]["message"]
        assert answer[0]["error"]["retry"], "the other one may let go of it"
        assert listener.ask("read", "bay-11", "a")["error"] is None


def test_device_that_is_about_to_be_let_go_of_is_waited_for(mounter: Mounter, card: Card) -> None:
    docked = plug(card({"a": b"a"}), "bay-11")
    udevd.settle()
    begin = mount_request(*numbers(docked.device))
    with ThreadPoolExecutor() as pool:
        both = [pool.submit(send, mounter, begin + b'{"do": "unmount"}\n') for _ in range(8)]
    assert [[list(said) for said in each.result()] for each in both] == [[["ok"], ["ok"]]] * 8
    until(lambda: not mounter.mounted(), "nothing is mounted")


def test_flood_of_silent_connections_keeps_no_recorder_waiting_for_long(mounter: Mounter, card: Card) -> None:
    script = (
        "import socket, sys, time\n"
        "held = []\n"
        "for _ in range(200):\n"
        "    held.append(socket.socket(socket.AF_UNIX))\n"
        "    held[-1].connect(sys.argv[1])\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with (
        Listener(mounter) as listener,
        subprocess.Popen(
            ["/usr/bin/python3", "-IS", "-c", script, str(mounter.socket)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            user=user(DAEMON_USER).pw_uid,
            group=user(DAEMON_USER).pw_gid,
            extra_groups=[],
        ) as flood,
    ):
        assert flood.stdout is not None
        assert flood.stdout.readline() == b"held\n"
        plug(card({"a": b"a"}), "bay-11")
        listener.wait("arrival", "bay-11")
        flood.communicate()


def test_file_that_asks_to_be_run_as_root_or_is_a_device_is_neither(mounter: Mounter, folder: Path) -> None:
    image, recorder = folder / "card.img", folder / "recorder"
    recorder.mkdir()
    image.touch()
    os.truncate(image, 32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(recorder)], check=True)
    try:
        (recorder / "id").write_bytes(Path("/usr/bin/id").read_bytes())
        (recorder / "id").chmod(0o4755)
        os.mknod(recorder / "disk", 0o60666, os.makedev(254, 0))
        (recorder / "link").symlink_to("/etc/shadow")
        recorder.chmod(0o755)
    finally:
        subprocess.run(["umount", str(recorder)], check=True)
    with Listener(mounter) as listener:
        plug(image, "bay-11")
        listener.wait("arrival", "bay-11")
        kinds = dict(listener.ask("list", "bay-11")["answer"])
        assert (kinds["disk"], kinds["link"], kinds["id"]) == ("other", "other", "file")
        assert listener.ask("run", "bay-11", "id")["answer"] == 127
        assert "Permission denied" in listener.ask("read", "bay-11", "disk")["error"][1]
        assert listener.ask("read", "bay-11", "link")["error"][0] == "NotAFileError"


def run_mountd(folder: Path, *options: str, account: str = "root") -> subprocess.CompletedProcess[str]:
    """Run a mounter that is to fail at once."""
    return subprocess.run(
        [
            *("/usr/bin/python3" if account != "root" else sys.executable, "-c"),
            *("from edged.cli.main import main; main()", "mountd"),
            *("--folder", str(folder / "bays"), "--socket", str(folder / "mountd.sock"), *options),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        cwd="/",
        user=user(account).pw_uid,
        env={"PATH": os.defpath, "PYTHONPATH": python_path(), "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.parametrize(
    ("options", "account", "why"),
    [
        (["--user", DAEMON_USER], DAEMON_USER, "must run as root"),
        (["--user", "root"], "root", "a user of their own"),
        (["--user", DAEMON_USER, "--fuse-user", DAEMON_USER], "root", "a user of their own"),
        (["--user", "no-such-user"], "root", "There is no user no-such-user"),
    ],
)
def test_mounter_that_would_give_rights_away_does_not_start(
    folder: Path, options: list[str], account: str, why: str
) -> None:
    done = run_mountd(folder, *options, account=account)
    assert done.returncode in {77, 78}
    assert why in done.stderr


def test_folder_that_somebody_else_can_replace_is_not_mounted_below(folder: Path) -> None:
    os.chown(folder, user(DAEMON_USER).pw_uid, -1)
    done = run_mountd(folder, "--user", DAEMON_USER)
    assert (done.returncode, "somebody besides root can replace" in done.stderr) == (78, True)
    assert not (folder / "bays").exists()
    os.chown(folder, 0, -1)
    (folder / "elsewhere").mkdir()
    (folder / "bays").symlink_to(folder / "elsewhere")
    done = run_mountd(folder, "--user", DAEMON_USER)
    assert (done.returncode, "somebody besides root can replace" in done.stderr) == (78, True)


def test_second_mounter_does_not_take_the_first_ones_folder_or_socket(mounter: Mounter, card: Card) -> None:
    with Listener(mounter) as listener:
        plug(card({"a": b"a"}), "bay-11")
        listener.wait("arrival", "bay-11")
        done = run_mountd(mounter.folder, "--user", DAEMON_USER)
        assert (done.returncode, "Another mounter" in done.stderr) == (75, True)
        assert len(mounter.mounted()) == 1
        assert listener.ask("read", "bay-11", "a")["error"] is None


def test_mounter_takes_the_socket_that_systemd_hands_over(folder: Path, card: Card) -> None:
    """Socket activation as sd_listen_fds(3) has it, with systemd's part played by this test."""
    mounter = Mounter(folder=folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(mounter.socket))
        os.chown(mounter.socket, 0, user(DAEMON_USER).pw_gid)
        mounter.socket.chmod(0o660)
        listener.listen()
        # A shell's process id is still its own when it becomes the program.
        command = (
            f'exec env LISTEN_PID=$$ LISTEN_FDS=1 {sys.executable} -c "from edged.cli.main import main; main()" mountd '
            f"--user {DAEMON_USER} --fuse-user {FUSE_USER} --folder {mounter.bays} 3<&{listener.fileno()}"
        )
        with subprocess.Popen(
            ["/bin/bash", "-c", command],
            env={"PATH": os.defpath, "PYTHONPATH": python_path()},
            pass_fds=[listener.fileno()],
        ) as process:
            try:
                with Listener(mounter) as source:
                    docked = plug(card({"a": b"a"}), "bay-11")
                    source.wait("arrival", "bay-11")
                    bays.pull(docked.device)
                    source.wait("departure", "bay-11")
            finally:
                process.terminate()
                assert process.wait(PATIENCE_SECONDS) == 0
        # systemd's socket goes on listening for the next one.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as next_one:
            next_one.connect(str(mounter.socket))
    threading.Event().wait(0.1)
    assert mounter.mounted() == []
