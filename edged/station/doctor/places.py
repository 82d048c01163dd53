"""Users, groups, folders and secrets: who may do what where."""

import stat
from collections.abc import Iterator
from pathlib import Path

from edged.config import DirectoryStorePart, StationConfig, StorePart
from edged.keys import EPOCH_KEY, KeyFolder
from edged.station.doctor.findings import Finding, ok, problem, unseen
from edged.station.doctor.machine import DAEMON_USER, FUSE_USER, Machine
from edged.station.files import KEYS

_MAKE = f"install -d -o {DAEMON_USER} -g {DAEMON_USER} -m 0750"
_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def look_at_users(station: StationConfig | None, machine: Machine) -> Iterator[Finding]:
    """Look whether the station's users and groups exist."""
    users = [DAEMON_USER, *([FUSE_USER] if station is None or station.bays.source == "udev" else [])]
    absent = [user for user in users if machine.uid(user) is None]
    groups = () if station is None else (station.control.investigators, station.control.administrators)
    if absent:
        yield problem("users", f"There is no user {absent[0]}.", "Run `systemd-sysusers`, after `make install`.")
    if missing := [group for group in groups if not machine.has_group(group)]:
        yield problem(
            "users",
            f"There is no group {missing[0]}, so nobody has its role.",
            "Run `systemd-sysusers`, or name another under [control] in station.toml.",
        )
    if not absent and not missing:
        yield ok("users", f"Users and groups are there: {', '.join([*users, *groups])}.")


def needed_folders(station: StationConfig) -> dict[str, Path]:
    """Give the folders in which the daemon must be able to write, by the keys that name them."""
    store = station.store
    named = {
        "paths.state": station.paths.state,
        "paths.vault": station.paths.vault,
        "cases.folder": station.cases.folder,
        "bays.folder": station.bays.folder if station.bays.source == "directory" else None,
        "store.folder": store.folder if isinstance(store, DirectoryStorePart) else None,
    }
    return {key: folder for key, folder in named.items() if folder is not None}


def look_at_folders(station: StationConfig, config: Path, machine: Machine) -> Iterator[Finding]:
    """Look at owner and mode of each folder that the daemon writes to, and of the configuration."""
    daemon = machine.uid(DAEMON_USER)
    good = 0
    for key, folder in needed_folders(station).items():
        try:
            status = folder.stat()
        except PermissionError:
            yield unseen("folders", f"{folder} ({key}) cannot be looked at.")
            continue
        except OSError:
            yield problem("folders", f"{folder} ({key}) is not there.", f"{_MAKE} {folder}")
            continue
        if daemon is not None and status.st_uid != daemon:
            owner = machine.name_of(status.st_uid)
            hint = f"chown {DAEMON_USER}:{DAEMON_USER} {folder}"
            yield problem("folders", f"{folder} ({key}) belongs to {owner}, not to {DAEMON_USER}.", hint)
        elif status.st_mode & stat.S_IRWXO:
            yield problem("folders", f"{folder} ({key}) is open to every user of this machine.", f"chmod o= {folder}")
        else:
            good += 1
    mode = config.stat().st_mode
    if mode & (stat.S_IWOTH | stat.S_IWGRP):
        yield problem("folders", f"{config} can be changed by others.", f"chmod go-w {config}")
    elif good == len(needed_folders(station)):
        yield ok("folders", f"{good} folders belong to the daemon, and are closed to others.")


def look_at_secrets(station: StationConfig, machine: Machine) -> Iterator[Finding]:
    """Look whether keys and passwords are the daemon's alone."""
    supervision = station.supervision
    named = [
        *_private_keys(station.paths.state / KEYS),
        station.store.credentials if isinstance(station.store, StorePart) else None,
        supervision.credentials if supervision else None,
        supervision.key if supervision else None,
    ]
    daemon = machine.uid(DAEMON_USER)
    files = [path for path in named if path is not None]
    good = 0
    for path in files:
        try:
            status = path.stat()
        except PermissionError:
            yield unseen("secrets", f"{path} cannot be looked at.")
            continue
        except OSError:
            yield problem("secrets", f"{path} is not there.", "Put it there, for the daemon's user alone.")
            continue
        if daemon is not None and status.st_uid != daemon:
            owner = machine.name_of(status.st_uid)
            hint = f"chown {DAEMON_USER}:{DAEMON_USER} {path}"
            yield problem("secrets", f"{path} belongs to {owner}, not to {DAEMON_USER}.", hint)
        elif status.st_mode & _BY_OTHERS:
            yield problem("secrets", f"{path} can be read by others than its owner.", f"chmod 600 {path}")
        else:
            good += 1
    if good == len(files):
        yield ok("secrets", "Keys and passwords are the daemon's alone.")


def _private_keys(folder: Path) -> list[Path]:
    """Give the keys that are there; where there is none, or nobody may look, the one that should be."""
    try:
        files = KeyFolder(folder).private_files()
    except PermissionError:
        files = []
    return files or [folder / EPOCH_KEY]
