"""Roles by group: the kernel says who asks and of which groups that process is, and nothing else counts."""

import grp
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from edged.clock import SystemClock
from edged.config import StationConfig, parse_toml
from edged.control.peer import Groups, _role
from edged.control.server import Call, ControlServer
from edged.station.creation import SHIPPED

INVESTIGATORS, ADMINISTRATORS, OTHER = "audio", "video", "cdrom"
"""Groups that every Debian has, with members that no test depends on."""
GROUPS = Groups(investigators=INVESTIGATORS, administrators=ADMINISTRATORS)
SOMEBODY = 54_321
CALLS = {
    "look": Call(role="reader", run=lambda _, peer: peer.role),
    "export": Call(role="investigator", run=lambda _, peer: peer.actor),
    "all": Call(role="administrator", run=lambda _, __: "done"),
}
ASK = """
import json, os, socket, sys
path, do, uid, gid, groups = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), json.loads(sys.argv[5])
os.setgroups(groups)
os.setgid(gid)
os.setuid(uid)
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(path)
    connection.sendall(json.dumps({"do": do}).encode() + b"\\n")
    print(connection.makefile().readline())
"""

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="asks as other users")]


@pytest.fixture
def ask() -> Iterator[Callable[..., Any]]:
    """Ask a server as a user of some groups, the daemon's own among them, which opens the socket."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "control.sock"
        server = ControlServer(path, CALLS, SystemClock(), groups=GROUPS)
        server.start()

        def ask(do: str, *groups: str, primary: str | None = None, uid: int = SOMEBODY) -> Any:
            numbers = [grp.getgrnam(name).gr_gid for name in groups]
            gid = os.getegid() if primary is None else grp.getgrnam(primary).gr_gid
            words = [sys.executable, "-c", ASK, str(path), do, str(uid), str(gid), json.dumps([os.getegid(), *numbers])]
            return json.loads(subprocess.run(words, capture_output=True, check=True).stdout)

        yield ask
        server.stop()


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ((), "reader"),
        ((OTHER,), "reader"),
        ((INVESTIGATORS,), "investigator"),
        ((ADMINISTRATORS,), "administrator"),
        ((INVESTIGATORS, ADMINISTRATORS), "administrator"),
        ((OTHER, "games", "tape", "floppy", INVESTIGATORS), "investigator"),
    ],
)
def test_role_is_that_of_the_groups(ask: Callable[..., Any], groups: tuple[str, ...], role: str) -> None:
    assert ask("look", *groups) == {"ok": role}


def test_primary_group_counts_too(ask: Callable[..., Any]) -> None:
    assert ask("look", primary=INVESTIGATORS) == {"ok": "investigator"}


def test_investigator_exports_and_administers_nothing(ask: Callable[..., Any]) -> None:
    assert ask("export", INVESTIGATORS) == {"ok": f"user:uid-{SOMEBODY}"}
    refused = ask("all", INVESTIGATORS)["error"]
    assert (refused["exit_code"], "takes the role administrator" in refused["message"]) == (77, True)
    assert "usermod" in refused["hint"]


def test_reader_exports_nothing(ask: Callable[..., Any]) -> None:
    assert ask("export")["error"]["exit_code"] == 77


def test_root_administers_whatever_its_groups(ask: Callable[..., Any]) -> None:
    assert ask("all", uid=0) == {"ok": "done"}


def test_group_of_the_user_database_alone_gives_nothing(ask: Callable[..., Any]) -> None:
    """A membership that the process does not have, as after `usermod` without a new login, is none."""
    for member in grp.getgrnam("video").gr_mem:
        assert ask("look", uid=pwd.getpwnam(member).pw_uid) == {"ok": "reader"}
    assert ask("look") == {"ok": "reader"}


def test_group_that_does_not_exist_has_no_members() -> None:
    assert _role(SOMEBODY, {0, 1, 2}, Groups(investigators="no-such-group", administrators="nor-this")) == "reader"


def test_many_groups_are_all_seen(ask: Callable[..., Any]) -> None:
    """The kernel's answer is longer than what is first made room for."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "control.sock"
        server = ControlServer(path, CALLS, SystemClock(), groups=GROUPS)
        server.start()
        numbers = [os.getegid(), *range(50_000, 50_300), grp.getgrnam(INVESTIGATORS).gr_gid]
        words = [sys.executable, "-c", ASK, str(path), "look", str(SOMEBODY), str(os.getegid()), json.dumps(numbers)]
        answer = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        server.stop()
    assert answer == {"ok": "investigator"}
    assert ask("look") == {"ok": "reader"}


@pytest.mark.parametrize(
    ("state", "control", "socket_path"),
    [
        ("/var/lib/edged", "", "/run/edged/control/control.sock"),
        ("/srv/edged", "", "/srv/edged/control.sock"),
        ("/var/lib/edged", '[control]\nsocket = "/run/other.sock"\n', "/run/other.sock"),
    ],
)
def test_place_of_the_socket(state: str, control: str, socket_path: str) -> None:
    text = (SHIPPED / "station.toml").read_text("utf-8")
    for name, value in {"state": state, "vault": "/v", "bays": "/b", "cases": "/c", "zone": "UTC"}.items():
        text = text.replace(f"${name}", value)
    text = text.replace("$station", "st-1").replace("$domain", "example.org")
    assert str(parse_toml(text + control, StationConfig).control_socket) == socket_path
