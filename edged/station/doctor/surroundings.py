"""What the station depends on: clock, disks, central storage, broker; and whether it runs."""

import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from edged.clock import Clock
from edged.config import StationConfig, StorePart
from edged.control.client import ask
from edged.errors import EdgedError
from edged.station.assembly import open_store
from edged.station.doctor.findings import Finding, ok, problem, unseen, warning
from edged.station.doctor.machine import Machine
from edged.vault.reread import ON_DISK, file_system

_CONNECT_SECONDS = 5.0
_MIB = 1 << 20


def look_at_clock(clock: Clock) -> Iterator[Finding]:
    """Look whether the clock follows a time server."""
    if clock.state() == "synchronised":
        yield ok("clock", "The clock is synchronised.")
    else:
        yield warning(
            "clock",
            "The clock is not synchronised, and every entry of the ledger says so.",
            "Set up a time server that can be reached: see timedatectl(1), or chrony.",
        )


def look_at_disk(station: StationConfig) -> Iterator[Finding]:
    """Look whether there is room beyond the reserve."""
    try:
        free = shutil.disk_usage(station.paths.vault).free // _MIB
        state = shutil.disk_usage(station.paths.state).free // _MIB
    except OSError as error:
        yield unseen("disk", f"{error.filename} cannot be looked at: {error.strerror}.")
        return
    reserve = station.paths.reserve_mib
    if free <= reserve:
        yield problem(
            "disk",
            f"The vault's disk has {free} MiB left; below {reserve} MiB (paths.reserve_mib) no footage is taken in.",
            "Make room, or move the vault to a larger disk.",
        )
    elif state <= reserve // 4:
        yield problem("disk", f"The state folder's disk has {state} MiB left.", "Make room there.")
    else:
        yield ok("disk", f"{free - reserve} MiB are free beyond the reserve.")


def look_at_vault(station: StationConfig) -> Iterator[Finding]:
    """Look whether reading back from the vault's disk proves anything."""
    try:
        found = file_system(station.paths.vault)
    except (EdgedError, OSError):
        yield unseen("vault", f"{station.paths.vault} cannot be looked at.")
        return
    if found in ON_DISK:
        yield ok("vault", f"The vault is on {found}.")
    else:
        yield problem(
            "vault",
            f"The vault is on {found}, where reading back past the cache means nothing: no recorder is ever cleared.",
            "Put it on a local disk with ext4, xfs or btrfs.",
        )


def look_at_store(station: StationConfig) -> Iterator[Finding]:
    """Ask central storage whether it can be stored into."""
    part = station.store
    if part is None:
        yield warning("store", "There is no central storage: nothing is signed or erased.", "Fill in [store].")
        return
    secret: Path | None = part.credentials if isinstance(part, StorePart) else None
    if secret is not None and secret.exists() and not os.access(secret, os.R_OK):
        yield unseen("store", f"{secret} cannot be read, so the store was not asked.")
        return
    try:
        store = open_store(part)
        try:
            store.check()
        finally:
            store.close()
    except EdgedError as error:
        yield problem("store", error.message, error.hint)
    else:
        yield ok("store", f"Store {part.id} can be stored into.")


def look_at_broker(station: StationConfig) -> Iterator[Finding]:
    """Look whether the broker is there, and is who it says."""
    part = station.supervision
    if part is None:
        yield ok("broker", "No broker is configured, and none is needed.")
        return
    try:
        with socket.create_connection((part.host, part.port), _CONNECT_SECONDS) as connection:
            if part.tls:
                context = ssl.create_default_context(cafile=part.ca_file)
                with context.wrap_socket(connection, server_hostname=part.host):
                    pass
    except OSError as error:
        yield problem(
            "broker",
            f"The broker at {part.host}, port {part.port}, cannot be reached: {error.strerror or error}.",
            "Everything else goes on; see [supervision] in station.toml.",
        )
    else:
        yield ok("broker", f"The broker at {part.host} answers.")


def look_at_daemon(station: StationConfig, machine: Machine) -> Iterator[Finding]:
    """Ask the daemon how it is."""
    path = station.control_socket
    try:
        reachable = not path.exists() or os.access(path, os.W_OK)
    except PermissionError:
        reachable = False
    if not reachable:
        yield unseen("daemon", f"{path} is not for this user.", "Run it as root, or as a member of the daemon's group.")
        return
    try:
        alarms = ask(path, "status")["alarms"]
    except EdgedError as error:
        why = machine.run("systemctl", "show", "--property", "Result", "--value", "edged.service")
        more = f" systemd says: {why}." if why not in {"", "success"} else ""
        yield problem("daemon", f"{error.message}{more}", "systemctl start edged.target; journalctl -u edged")
        return
    if alarms:
        yield warning(
            "daemon", f"It runs, with alarms: {', '.join(each['source'] for each in alarms)}.", "edged status"
        )
    else:
        yield ok("daemon", "It runs, without alarms.")
