"""A minimal Debian boots with systemd, gets edged by `make install`, and takes a recorder in, from uevent to wipe.

Takes minutes, root, and Debian's mirror: `make boot-test` asks for it.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.machine import INSIDE, PYTHON, ROOT, Machine, booted, bootstrap, missing, until

pytestmark = [
    pytest.mark.boot,
    pytest.mark.root,
    pytest.mark.timeout(900),
    pytest.mark.skipif("EDGED_BOOT_TEST" not in os.environ, reason="only by `make boot-test`"),
]


@pytest.fixture(scope="module")
def system() -> Iterator[Path]:
    """A system with edged installed in it."""
    if lacks := missing():
        pytest.skip(lacks)
    with tempfile.TemporaryDirectory(prefix="edged-boot-", dir="/var/tmp") as folder:
        root = Path(folder) / "root"
        root.mkdir()
        bootstrap(root)
        words = ["make", "--no-print-directory", "install", f"DESTDIR={root}"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(words, check=False, cwd=ROOT, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.copy(ROOT / "tests/system/boot_inside.py", f"{root}{INSIDE}")
        yield root


def findings(machine: Machine, user: str | None = None) -> dict[str, list[str]]:
    """Give what doctor says, by level: the checks."""
    said = json.loads(machine.run("edged", "doctor", "--json", check=False, user=user))
    levels = ("problem", "warning", "unseen", "ok")
    return {level: [each["check"] for each in said["findings"] if each["level"] == level] for level in levels}


def released(machine: Machine) -> bool:
    """Say whether the recorder in the bay is empty; fails with the log if the daemon does not answer for long."""
    said = machine.run("edged", "status", "--json", check=False)
    return bool(said) and [bay["phase"] for bay in json.loads(said)["bays"]] == ["done"]


def show(machine: Machine, unit: str, name: str) -> str:
    return machine.run("systemctl", "show", "--property", name, "--value", unit)


def entries(machine: Machine, kind: str) -> list[dict[str, Any]]:
    said = machine.run("edged", "ledger", "show", "--json", "--type", kind)
    return [json.loads(line) for line in said.splitlines()]


def test_station_boots_and_takes_recorders_in(system: Path) -> None:
    with booted(system) as machine:
        until(lambda: machine.run("systemctl", "is-system-running", check=False) == "running", "all is started")
        machine.run(PYTHON, INSIDE, "ports")
        station_is_made_and_doctor_becomes_content(machine)
        daemon_has_no_right(machine)
        recorders_are_emptied_also_after_all_was_killed(machine)
        groups_give_roles(machine)
        daemon_that_hangs_is_started_anew(machine)
        machine.run("systemctl", "stop", "edged.target")
        assert show(machine, "edged.service", "Result") == "success"
        assert set(findings(machine)["problem"]) == {"mounter", "daemon"}


def station_is_made_and_doctor_becomes_content(machine: Machine) -> None:
    """As the manual says: users and folders are there; a station is made, configured, and started."""
    assert set(findings(machine)["problem"]) == {"units", "configuration"}
    assert findings(machine, user="games")["unseen"] == ["configuration"]
    for folder in ("/srv/nas", "/srv/safe"):
        machine.run("install", "-d", "-o", "edged", "-g", "edged", "-m", "0750", folder)
    words = ("--station", "st-01", "--domain", "example.org", "--root-key", "/srv/safe/root.key")
    machine.run("edged", "init", *words, user="edged")
    machine.run(PYTHON, INSIDE, "configure")
    machine.run("edged", "store", "set-up", "--same-disk", user="edged")
    assert set(findings(machine)["problem"]) == {"units", "udev", "confinement", "mounter", "daemon"}
    machine.run("sh", "-c", "edged bays --udev-rules > /etc/udev/rules.d/70-edged.rules && udevadm control --reload")
    machine.run("mkdir", "/etc/systemd/system/edged.service.d")
    drop_in = "/etc/systemd/system/edged.service.d/10-station.conf"
    machine.run("sh", "-c", f"edged doctor --drop-in edged.service > {drop_in}")
    assert machine.run("cat", drop_in) == "[Service]\nReadWritePaths=/srv/nas"
    watchdog = "/etc/systemd/system/edged.service.d/50-test.conf"
    machine.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=4\\n' > {watchdog} && systemctl daemon-reload")
    machine.run("systemctl", "enable", "--now", "edged.target")
    until(lambda: show(machine, "edged.service", "ActiveState") == "active", "the daemon is ready")
    found = findings(machine)
    assert found["problem"] == [], machine.run("edged", "doctor", check=False)
    assert set(found["warning"]) <= {"clock"}


def daemon_has_no_right(machine: Machine) -> None:
    """The daemon has no capability, and its own view of the files."""
    pid = show(machine, "edged.service", "MainPID")
    status = dict(line.split(":\t", 1) for line in machine.run("cat", f"/proc/{pid}/status").splitlines())
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert machine.run("readlink", f"/proc/{pid}/ns/mnt") != machine.run("readlink", "/proc/1/ns/mnt")


def recorders_are_emptied_also_after_all_was_killed(machine: Machine) -> None:
    for nth in (1, 2):
        machine.run(PYTHON, INSIDE, "dock")
        until(lambda: released(machine), f"it is released: {machine.log()}")
        mounter = show(machine, "edged-mountd.service", "MainPID")
        assert machine.run("readlink", f"/proc/{mounter}/ns/mnt") == machine.run("readlink", "/proc/1/ns/mnt")
        assert machine.run(PYTHON, INSIDE, "undock") == "0"
        # One of the files of each card is a film; the sandbox is another service's.
        until(lambda nth=nth: len(entries(machine, "derivative")) == 2 * nth, "poster and proxy are made")  # type: ignore[misc]
        for unit in ("edged", "edged-media", "edged-mountd"):
            machine.run("systemctl", "kill", "--signal=KILL", unit)
        until(lambda: machine.run("edged", "status", check=False), "the daemon is back")
    assert [entry["body"]["outcome"] for entry in entries(machine, "undocking")] == ["cleared"] * 2
    assert "Everything is as it must be." in machine.run("edged", "check", "--deep")
    said = machine.run("journalctl", "-b", "-u", "edged", "EDGED_BAY=bay-11", "-o", "json").splitlines()
    assert {json.loads(line)["SYSLOG_IDENTIFIER"] for line in said} == {"edged"}


def groups_give_roles(machine: Machine) -> None:
    """A person in the group exports under the own name; another only looks."""
    for name, groups in (("lan", "edged,edged-investigators"), ("rui", "edged")):
        machine.run("useradd", "--create-home", "--groups", groups, name)
    segment = entries(machine, "segment")[0]["body"]["segment"]
    machine.run("edged", "bundle", "/home/lan/one", "--segment", segment, user="lan")
    verified = machine.run("edged", "verify", "/home/lan/one", "--json", check=False)
    assert json.loads(verified)["verdict"] != "failed"
    assert "entries, all of them published" in machine.run("edged", "status", user="rui")
    assert machine.run("edged", "bundle", "/home/rui/one", "--segment", segment, check=False, user="rui") == ""
    assert [entry["actor"] for entry in entries(machine, "export")] == ["user:lan"]


def daemon_that_hangs_is_started_anew(machine: Machine) -> None:
    before = show(machine, "edged.service", "MainPID")
    machine.run("systemctl", "kill", "--signal=STOP", "--kill-whom=main", "edged")
    until(lambda: show(machine, "edged.service", "MainPID") not in {before, "0"}, "the watchdog acts")
    until(lambda: machine.run("edged", "status", check=False), "the daemon is back")
