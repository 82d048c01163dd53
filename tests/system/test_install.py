"""`make install` into a folder, as a packager does it, and `make uninstall` from there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edged.station.doctor.units import shipped

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"


def make(*words: str) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", *words],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        # A make that runs the tests is not to speak to this one.
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def destination(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install once, below a prefix of the system's own."""
    works = subprocess.run(
        [PYTHON, "-c", "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"], check=False
    )
    if works.returncode != 0:
        pytest.skip(f"{PYTHON} is older than 3.11, or without venv")
    folder = tmp_path_factory.mktemp("root")
    # What an earlier version and the station itself left there.
    (folder / "usr/lib/edged").mkdir(parents=True)
    (folder / "usr/lib/edged/old").touch()
    for kept in ("etc/edged/station.toml", "etc/udev/rules.d/70-edged.rules", "var/lib/edged/book.sqlite"):
        (folder / kept).parent.mkdir(parents=True)
        (folder / kept).write_text("kept")
    make("install", f"DESTDIR={folder}", "PREFIX=/usr", f"INSTALL_PYTHON={PYTHON}")
    return folder


def test_program_and_units_are_in_their_places(destination: Path) -> None:
    assert (destination / "usr/bin/edged").readlink() == Path("/usr/lib/edged/bin/edged")
    for name, text in shipped(Path("/usr/lib/edged")).items():
        assert (destination / "usr/lib/systemd/system" / name).read_text("utf-8") == text
    for kind in ("sysusers", "tmpfiles"):
        installed = destination / f"usr/lib/{kind}.d/edged.conf"
        assert installed.read_bytes() == (ROOT / f"systemd/edged.{kind}").read_bytes()
    assert not (destination / "usr/lib/edged/old").exists()
    assert {path.name for path in (destination / "usr/lib").iterdir()} == {
        "edged",
        "systemd",
        "sysusers.d",
        "tmpfiles.d",
    }


def test_nothing_remembers_where_it_was_built(destination: Path) -> None:
    for path in (destination / "usr").rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != "direct_url.json":
            assert str(destination).encode() not in path.read_bytes(), path
    assert (destination / "usr/lib/edged/bin/edged").read_text("utf-8").startswith("#!/usr/lib/edged/bin/python\n")


def test_everybody_may_run_it_and_only_its_owner_change_it(destination: Path) -> None:
    for path in (destination / "usr").rglob("*"):
        mode = path.lstat().st_mode
        assert path.is_symlink() or not mode & 0o022, path
        assert mode & 0o004, path


def test_wheel_brings_configuration_and_units_along(destination: Path) -> None:
    program = (
        "from edged.station.doctor.units import UNITS, shipped; from edged.station.creation import SHIPPED; "
        "print(UNITS.name, len(shipped()), SHIPPED.name, (SHIPPED / 'station.toml').exists())"
    )
    done = subprocess.run(
        [destination / "usr/lib/edged/bin/python", "-I", "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.stdout.split() == ["units", "6", "shipped", "True"]


def test_users_and_groups_can_be_made_from_what_was_installed(destination: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-sysusers") is None or os.geteuid() != 0:
        pytest.skip("takes systemd-sysusers, and root")
    shutil.copytree(destination / "usr/lib/sysusers.d", tmp_path / "usr/lib/sysusers.d")
    (tmp_path / "etc").mkdir()
    done = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", "edged.conf"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names = {line.split(":")[0] for line in (tmp_path / "etc/group").read_text("utf-8").splitlines()}
    assert names >= {"edged", "edged-fuse", "edged-investigators", "edged-administrators"}


def test_uninstall_takes_the_software_and_leaves_evidence_and_configuration(destination: Path, tmp_path: Path) -> None:
    copy = tmp_path / "root"
    shutil.copytree(destination, copy, symlinks=True)
    make("uninstall", f"DESTDIR={copy}", "PREFIX=/usr")
    left = {str(path.relative_to(copy)) for path in copy.rglob("*") if not path.is_dir() or path.is_symlink()}
    assert left == {
        "etc/edged/station.toml",
        "etc/udev/rules.d/70-edged.rules",
        "var/lib/edged/book.sqlite",
    }
