"""The systemd units: what systemd itself says of them, and what they must not say."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from edged.cli.main import command_line
from edged.station.doctor.units import UNITS, _parse, shipped

SERVICES = ("edged.service", "edged-media.service", "edged-mountd.service")
MOST_EXPOSURE = 15
"""Tenths, as `systemd-analyze --threshold` wants it: 1.5 of 10."""

OWN_NAMESPACE = (
    *("PrivateMounts", "PrivateTmp", "PrivateDevices", "PrivateNetwork", "PrivateUsers", "PrivateIPC", "MountFlags"),
    *("ProtectSystem", "ProtectHome", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs"),
    *("ProtectControlGroups", "ProtectProc", "ProcSubset", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths"),
    *("BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "RootDirectory", "RootImage", "DynamicUser"),
    *("StateDirectory", "RuntimeDirectory", "CacheDirectory", "LogsDirectory"),
)
"""What gives a service a mount namespace of its own (systemd.exec(5)), or may."""


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the units, with a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    folder = tmp_path_factory.mktemp("units")
    edged = Path(sys.executable).parent / "edged"
    for name, text in shipped().items():
        (folder / name).write_text(text.replace("/usr/local/bin/edged", str(edged)), "utf-8")
    return folder


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
    )


def test_systemd_finds_nothing_wrong_with_the_units(units: Path) -> None:
    done = analyze("verify", *map(str, sorted(units.iterdir())))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_daemon_is_exposed_at_most_as_the_design_says(units: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(units / "edged.service"))
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level for edged.service: 1." in done.stdout


def test_mounter_stays_in_the_mount_namespace_of_the_system() -> None:
    settings = _parse([shipped()["edged-mountd.service"]])
    assert not settings.keys() & set(OWN_NAMESPACE)


def test_daemon_has_no_capability_and_makes_no_namespace() -> None:
    settings = _parse([shipped()["edged.service"]])
    assert settings["CapabilityBoundingSet"] == []
    assert settings["RestrictNamespaces"] == ["yes"]
    assert settings["User"] == ["edged"]


@pytest.mark.parametrize("name", SERVICES)
def test_services_call_commands_with_options_that_exist(name: str) -> None:
    words = _parse([shipped()[name]])["ExecStart"]
    assert words[0] == "/usr/local/bin/edged"
    command = typer.main.get_command(command_line()).commands[words[1]]  # type: ignore[attr-defined]
    command.make_context(words[1], words[2:])


def test_daemon_leaves_no_core_behind_that_would_hold_the_key() -> None:
    assert _parse([shipped()["edged.service"]])["LimitCORE"] == ["0"]


def test_sockets_are_for_the_daemon_alone() -> None:
    assert "SocketMode=0600\n" in shipped()["edged-media.socket"]
    assert "SocketUser=edged\n" in shipped()["edged-media.socket"]
    mounter = shipped()["edged-mountd.socket"]
    assert "SocketMode=0660\n" in mounter
    assert "SocketUser=root\nSocketGroup=edged\n" in mounter


def test_every_unit_is_installed_by_the_makefile() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text("utf-8")
    [line] = [line for line in makefile.splitlines() if line.startswith("UNITS := ")]
    assert set(line.removeprefix("UNITS := ").split()) == set(shipped())
    assert {path.name for path in UNITS.iterdir()} - set(shipped()) == {"edged.sysusers", "edged.tmpfiles"}


def test_units_call_the_program_where_it_was_installed() -> None:
    assert "ExecStart=/usr/bin/edged run" in shipped(Path("/usr/lib/edged"))["edged.service"]
    assert "ExecStart=/usr/local/bin/edged run" in shipped(Path("/usr/local/lib/edged"))["edged.service"]
    assert "ExecStart=/usr/local/bin/edged run" in shipped(Path("/home/me/checkout/.venv"))["edged.service"]
