"""`edged store check|set-up`: look whether central storage can be stored into, and make a folder one."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from edged.cli.output import DEFAULT_CONFIG, ConfigOption, amount, say
from edged.config import DirectoryStorePart, StationConfig, read_station
from edged.errors import ConfigError
from edged.station.assembly import open_store
from edged.stores.directory import DirectoryStore
from edged.stores.port import Store
from edged.vault.reread import OVER_NETWORK, file_system


def register(app: typer.Typer) -> None:
    """Add the commands."""
    store = typer.Typer(help="Check central storage, or set a folder up as one.")
    store.command("check")(check)
    store.command("set-up")(set_up)
    app.add_typer(store, name="store")


def check(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show that the store of [store] can do all that storing in it takes, and say what it cannot promise."""
    station = read_station(config)
    _check(station, _store(station))


def set_up(
    config: ConfigOption = DEFAULT_CONFIG,
    same_disk: Annotated[
        bool, typer.Option("--same-disk", help="Also where the vault lies on the same disk; for trying out.")
    ] = False,
) -> None:
    """Make the folder that [store] names a store, once, while it is mounted. A bucket is only checked."""
    station = read_station(config)
    store = _store(station)
    if isinstance(store, DirectoryStore):
        if not same_disk and _beside_vault(station):
            raise ConfigError(
                f"{_folder(station)} lies on the same disk as the vault: one dead disk would take both copies, "
                "after recorders were erased because there are two. Nothing was written.",
                hint="Mount the NAS or the other disk there first. For trying out, add --same-disk.",
            )
        store.set_up()
    _check(station, store)


def _check(station: StationConfig, store: Store) -> None:
    store.check()
    folder = _folder(station)
    if folder is None:
        say(f"Store {store.id} is as it must be.")
        return
    system = file_system(folder)
    say(f"Store {store.id} is as it must be: {amount(shutil.disk_usage(folder).free)} free, {system}.")
    say("What a folder cannot promise:")
    say("- It does not lock. Files are read-only, but root there and the daemon's user can delete them; the ledger")
    say("  says so: `lock_mode` is null, and `locked_until` is a note.")
    if system in OVER_NETWORK:
        say("- Reading back shows what the server gives, past this machine's memory, not that it lies on its disks.")
    if _beside_vault(station):
        say("- It lies on the same disk as the vault. One dead disk takes both copies.")


def _store(station: StationConfig) -> Store:
    if station.store is None:
        raise ConfigError("No central storage is configured.", hint="Fill in [store] in station.toml.")
    return open_store(station.store)


def _folder(station: StationConfig) -> Path | None:
    return station.store.folder if isinstance(station.store, DirectoryStorePart) else None


def _beside_vault(station: StationConfig) -> bool:
    """Say whether store and vault share a disk; where one of them is missing, others say so."""
    folder = _folder(station)
    try:
        return folder is not None and folder.stat().st_dev == station.paths.vault.stat().st_dev
    except OSError:
        return False
