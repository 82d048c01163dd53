"""`edged doctor` on installations that are broken in one way each: it says that, and nothing else."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edged.bays.volumes import udev_rules
from edged.cli.main import _run
from edged.clock import ClockState, SystemClock
from edged.config import StationConfig, read_station
from edged.control.server import Call, ControlServer
from edged.evidence.ids import StationId, StoreId
from edged.media.sandbox import SEARCH
from edged.station.creation import NewStation, create
from edged.station.doctor import examine
from edged.station.doctor.findings import Finding
from edged.station.doctor.hardware import RULES
from edged.station.doctor.machine import Machine
from edged.station.doctor.software import look_at_python
from edged.station.doctor.units import DAEMON, MEDIA, _parse, drop_in, look_at_confinement, look_at_units, shipped
from edged.stores.directory import DirectorySettings, DirectoryStore
from edged.vault.reread import ON_DISK, file_system

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")

UNITS = "/usr/local/lib/systemd/system"
PORT = "pci-0000:00:14.0-usb-0:1.1"


@dataclass(frozen=True, kw_only=True)
class ScriptedMachine(Machine):
    """A machine with users, groups and programs of the test's choosing."""

    users: dict[str, int] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    said: dict[str, str] = field(default_factory=dict)

    def uid(self, user: str) -> int | None:
        return self.users.get(user)

    def has_group(self, name: str) -> bool:
        return name in self.groups

    def run(self, *command: str) -> str:
        return self.said.get(" ".join(command), "")


class Synchronised(SystemClock):
    def state(self) -> ClockState:
        return "synchronised"


@dataclass
class Installation:
    """A station that is installed as it must be, below one folder."""

    folder: Path
    machine: ScriptedMachine
    clock: SystemClock
    alarms: list[dict[str, str]]
    servers: list[Callable[[], None]]
    """What to call to end what answers, by order: daemon, mounter, broker."""

    @property
    def config(self) -> Path:
        return self.folder / "etc"

    @property
    def station(self) -> StationConfig:
        return read_station(self.config)

    def edit(self, old: str, new: str) -> None:
        path = self.config / "station.toml"
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

    def findings(self) -> list[Finding]:
        return list(examine(self.config, self.machine, self.clock))

    def wrong(self) -> list[tuple[str, str, str]]:
        return [(each.check, each.level, each.text) for each in self.findings() if each.level != "ok"]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    if file_system(tmp_path) not in ON_DISK:
        pytest.skip(f"temporary files lie on {file_system(tmp_path)} here")
    tmp_path.chmod(0o755)
    state, nas = tmp_path / "state", tmp_path / "nas"
    new = NewStation(
        station=StationId("st-1"),
        domain="example.org",
        zone="UTC",
        config=tmp_path / "etc",
        state=state,
        root_key=tmp_path / "root.key",
    )
    create(new, SystemClock())
    nas.mkdir(mode=0o750)
    DirectoryStore(DirectorySettings(id=StoreId("nas"), folder=nas)).set_up()
    listening = socket.create_server(("127.0.0.1", 0))
    machine = ScriptedMachine(
        root=tmp_path / "root",
        users={"edged": os.geteuid(), "edged-fuse": 65_533},
        groups={"edged-investigators", "edged-administrators"},
        said={"systemctl is-enabled edged.target": "enabled"},
    )
    for name, text in shipped().items():
        write(machine.at(f"{UNITS}/{name}"), text)
    machine.at("/run/systemd/system").mkdir(parents=True)
    write(machine.at("/proc/filesystems"), "nodev\tproc\n\text4\n\texfat\n")
    alarms: list[dict[str, str]] = []
    path = tmp_path / "etc/station.toml"
    text = path.read_text("utf-8").replace('source = "directory"\n', 'source = "udev"\n', 1)
    text = text.replace("[bays.ports]\n", f'[bays.ports]\n"{PORT}" = "bay-1"\n', 1)
    text = text.replace("/run/edged/mountd.sock", f"{tmp_path}/mountd.sock", 1)
    lines = [line for line in text.splitlines() if not line.startswith("folder = ") or "cases" in line]
    broker = {"host": '"127.0.0.1"', "port": listening.getsockname()[1], "tls": "false"}
    lines += ["[store]", 'kind = "directory"', 'id = "nas"', f'folder = "{nas}"', "[supervision]"]
    lines += [f"{key} = {value}" for key, value in broker.items()]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    station = read_station(tmp_path / "etc")
    for folder in (state, station.paths.vault, station.cases.folder):
        folder.chmod(0o750)
    for unit in (DAEMON, MEDIA):
        write(machine.at(f"/etc/systemd/system/{unit}.d/10-station.conf"), drop_in(station, (), unit))
    write(machine.at(RULES), udev_rules(station.bays.ports))
    server = ControlServer(
        station.control_socket, {"status": Call(role="reader", run=lambda _, __: {"alarms": alarms})}, SystemClock()
    )
    server.start()
    mounter = socket.socket(socket.AF_UNIX)
    mounter.bind(str(tmp_path / "mountd.sock"))
    mounter.listen()
    yield Installation(
        folder=tmp_path,
        machine=machine,
        clock=Synchronised(),
        alarms=alarms,
        servers=[server.stop, mounter.close, listening.close],
    )
    server.stop()
    mounter.close()
    listening.close()


def test_nothing_is_wrong_with_a_right_installation(installed: Installation) -> None:
    assert installed.wrong() == []
    manual = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    rows = manual.partition("\n### `edged doctor`\n")[2].partition("\n#")[0].splitlines()
    told = [line.split("`")[1] for line in rows if line.startswith("| `")]
    assert sorted(told) == sorted(each.check for each in installed.findings())


Break = Callable[[Installation], object]


def without(installed: Installation, **changes: Any) -> None:
    installed.machine = ScriptedMachine(**{**vars(installed.machine), **changes})


def reset_drop_in(installed: Installation, unit: str) -> None:
    installed.machine.at(f"/etc/systemd/system/{unit}.d/10-station.conf").unlink()


BROKEN: dict[str, tuple[Break, str, str, str]] = {
    "ffmpeg missing": (lambda it: without(it, search="/nowhere"), "media", "problem", "is not installed"),
    "no user namespaces": (
        lambda it: write(it.machine.at("/proc/sys/user/max_user_namespaces"), "0\n"),
        *("media", "problem", "user.max_user_namespaces is 0"),
    ),
    "unit missing": (
        lambda it: it.machine.at(f"{UNITS}/edged-mountd.socket").unlink(),
        *("units", "problem", "edged-mountd.socket is not installed"),
    ),
    "unit edited": (
        lambda it: write(it.machine.at(f"{UNITS}/edged-mountd.service"), "[Service]\nExecStart=/bin/true\n"),
        *("units", "problem", "not the one that came with"),
    ),
    "unit overridden": (
        lambda it: write(it.machine.at("/etc/systemd/system/edged-media.socket"), "[Socket]\n"),
        *("units", "problem", "not the one that came with"),
    ),
    "not enabled": (lambda it: without(it, said={}), "units", "problem", "not enabled"),
    "systemd not running": (
        lambda it: it.machine.at("/run/systemd/system").rmdir(),
        *("units", "unseen", "systemd does not run here"),
    ),
    "clock": (lambda it: setattr(it.clock, "state", lambda: "unsynchronised"), "clock", "warning", "not synchronised"),
    "no user": (lambda it: without(it, users={"edged": os.geteuid()}), "users", "problem", "no user edged-fuse"),
    "no group": (
        lambda it: without(it, groups={"edged-administrators"}),
        *("users", "problem", "no group edged-investigators"),
    ),
    "state open": (lambda it: it.station.paths.state.chmod(0o755), "folders", "problem", "open to every user"),
    "case folder gone": (lambda it: it.station.cases.folder.rmdir(), "folders", "problem", "is not there"),
    "configuration writable": (lambda it: it.config.chmod(0o770), "folders", "problem", "can be changed by others"),
    "key readable": (
        lambda it: (it.station.paths.state / "keys/epoch.key").chmod(0o640),
        *("secrets", "problem", "read by others"),
    ),
    "key gone": (
        lambda it: (it.station.paths.state / "keys/epoch.key").unlink(),
        *("secrets", "problem", "is not there"),
    ),
    "credentials readable": (
        lambda it: (
            write(it.folder / "mqtt.toml", 'user = "a"\npassword = "b"\n').chmod(0o644),
            it.edit('host = "127.0.0.1"', f'host = "127.0.0.1"\ncredentials = "{it.folder}/mqtt.toml"'),
        ),
        *("secrets", "problem", "read by others"),
    ),
    "folder outside of the unit": (
        lambda it: reset_drop_in(it, DAEMON),
        *("confinement", "problem", "ReadWritePaths="),
    ),
    "media outside of the unit": (
        lambda it: reset_drop_in(it, MEDIA),
        *("confinement", "problem", "edged-media.service does not allow"),
    ),
    "no room": (lambda it: it.edit("reserve_mib = 1024", "reserve_mib = 1073741824"), "disk", "problem", "MiB left"),
    "exfat unknown": (
        lambda it: write(it.machine.at("/proc/filesystems"), "\text4\n"),
        *("exfat", "warning", "cannot be mounted"),
    ),
    "rules missing": (lambda it: it.machine.at(RULES).unlink(), "udev", "problem", "no port is a bay"),
    "rules of other ports": (
        lambda it: it.edit(PORT, "pci-0000:00:14.0-usb-0:1.2"),
        *("udev", "problem", "was made for other ports"),
    ),
    "mounter gone": (lambda it: it.servers[1](), "mounter", "problem", "does not answer"),
    "automounter": (
        lambda it: write(
            it.machine.at("/etc/udev/rules.d/99-usb.rules"), 'ACTION=="add", RUN+="systemd-mount $node"\n'
        ),
        *("automounter", "problem", "99-usb.rules"),
    ),
    "store not mounted": (
        lambda it: (it.folder / "nas/edged-store.json").unlink(),
        *("store", "problem", "no edged-store.json"),
    ),
    "broker gone": (lambda it: it.servers[2](), "broker", "problem", "cannot be reached"),
    "broker speaks no TLS": (
        lambda it: (it.edit("tls = false", "tls = true"), it.servers[2]()),
        *("broker", "problem", "cannot be reached"),
    ),
    "daemon not running": (lambda it: it.servers[0](), "daemon", "problem", "No daemon answers"),
    "daemon with alarms": (
        lambda it: it.alarms.append({"source": "upload"}),
        *("daemon", "warning", "with alarms: upload"),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_fault_is_one_finding(installed: Installation, name: str) -> None:
    break_it, check, level, text = BROKEN[name]
    break_it(installed)
    [found] = installed.wrong()
    assert found[:2] == (check, level)
    assert text in found[2]
    [hinted] = [each for each in installed.findings() if each.level != "ok"]
    assert hinted.hint or level == "unseen"


def test_wrong_configuration_is_said_and_the_rest_is_looked_at(installed: Installation) -> None:
    installed.edit("[cases]", "[case]")
    assert [found[0] for found in installed.wrong()] == ["configuration"]
    assert {"python", "media", "units", "clock", "users"} <= {each.check for each in installed.findings()}


def test_automounter_that_minds_the_rules_is_no_problem(installed: Installation) -> None:
    write(installed.machine.at("/usr/lib/systemd/system/udisks2.service"), "[Service]\n")
    assert installed.wrong() == []
    installed.machine.at(RULES).unlink()
    assert [found[:2] for found in installed.wrong()] == [("udev", "problem"), ("automounter", "warning")]


def test_before_anything_is_installed_it_says_what_to_begin_with(tmp_path: Path) -> None:
    found = list(examine(tmp_path / "etc", ScriptedMachine(root=tmp_path, search=SEARCH), Synchronised()))
    problems = {each.check: each.hint for each in found if each.level == "problem"}
    assert problems.keys() == {"units", "users", "configuration"}
    assert "make install" in problems["units"]
    assert "edged init" in problems["configuration"]


def test_python_in_the_home_of_somebody_is_seen(tmp_path: Path) -> None:
    (tmp_path / "lib/edged").mkdir(parents=True)
    tmp_path.chmod(0o700)
    executable = write(tmp_path / "lib/edged/python", "")
    [found] = look_at_python(str(executable), str(tmp_path / "lib/edged"))
    assert (found.level, "INSTALL_PYTHON" in found.hint) == ("problem", True)


def test_command_prints_findings_and_exits_1(installed: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["doctor", "--config", str(installed.config), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    assert {"check", "level", "text", "hint"} == set(said["findings"][0])


# ----------------------------------------------------------------------------------------------------- confinement


def confined(installed: Installation, *, resolve: bool = True) -> list[str]:
    found = look_at_confinement(installed.station, (), installed.machine, resolve)
    return [each.text for each in found if each.level != "ok"]


def test_drop_in_is_what_was_missing(installed: Installation) -> None:
    reset_drop_in(installed, DAEMON)
    lines = drop_in(installed.station, (), DAEMON).splitlines()
    assert lines[0] == "[Service]"
    nas, state = installed.folder / "nas", installed.folder / "state"
    assert lines[1:] == [f"ReadWritePaths={nas} {state} {state / 'cases'} {state / 'vault'}"]
    write(installed.machine.at(f"/etc/systemd/system/{DAEMON}.d/x.conf"), "\n".join(lines))
    assert confined(installed) == []


@pytest.mark.parametrize(
    ("host", "lacking"),
    [
        ("10.1.2.3", None),
        ("127.0.0.1", None),
        ("fd00::1", None),
        ("203.0.113.9", "IPAddressAllow=203.0.113.9"),
        ("2001:db8::1", "IPAddressAllow=2001:db8::1"),
        ("localhost", None),
    ],
)
def test_public_address_has_to_be_allowed(installed: Installation, host: str, lacking: str | None) -> None:
    installed.edit('host = "127.0.0.1"', f'host = "{host}"')
    found = confined(installed)
    assert bool(found) == (lacking is not None)
    assert lacking is None or lacking in found[0]


def test_home_folders_are_hidden_whatever_a_drop_in_says(installed: Installation) -> None:
    installed.edit(f'folder = "{installed.folder}/nas"', 'folder = "/home/nas"')
    assert confined(installed) == ["The daemon cannot see /home/nas: home folders are hidden."]


def test_empty_setting_takes_back_what_was_set(installed: Installation) -> None:
    path = installed.machine.at(f"/run/systemd/system/{DAEMON}.d/99.conf")
    write(path, "[Service]\nReadWritePaths=\n# ReadWritePaths=/\n[Unit]\nReadWritePaths=/\n")
    assert "ReadWritePaths=" in confined(installed)[0]
    assert _parse(["[Service]\nA=1 \\\n  2\nA=\nA=3\n; A=4\n"]) == {"A": ["3"]}


def test_drop_in_of_etc_hides_one_of_the_same_name(installed: Installation) -> None:
    write(installed.machine.at(f"/run/systemd/system/{DAEMON}.d/10-station.conf"), "[Service]\nReadWritePaths=\n")
    assert confined(installed) == []


def test_units_of_another_prefix_are_the_same(installed: Installation) -> None:
    prefix = Path("/usr/lib/edged")
    for name, text in shipped(prefix).items():
        write(installed.machine.at(f"{UNITS}/{name}"), text)
    assert [each.level for each in look_at_units(installed.machine, prefix)] == ["ok"]
    assert "problem" in {each.level for each in look_at_units(installed.machine)}
