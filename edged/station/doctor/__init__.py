"""`edged doctor`: looks at an installation and says what is wrong and what to do. Changes nothing.

It looks from the ground up (programs, units, users, configuration, folders, hardware, what is outside), goes on after
whatever it finds, and says what it could not look at. Without a configuration it looks at what does not need one.
"""

from collections.abc import Iterator
from pathlib import Path

from edged.bays.profiles import load_profiles
from edged.clock import Clock
from edged.config import STATION_FILE
from edged.errors import EdgedError
from edged.station.assembly import check_configuration
from edged.station.doctor.findings import Finding, ok, problem, unseen
from edged.station.doctor.hardware import look_at_automounters, look_at_mounter, look_at_rules
from edged.station.doctor.machine import Machine
from edged.station.doctor.places import look_at_folders, look_at_secrets, look_at_users
from edged.station.doctor.software import look_at_exfat, look_at_media, look_at_python
from edged.station.doctor.surroundings import (
    look_at_broker,
    look_at_clock,
    look_at_daemon,
    look_at_disk,
    look_at_store,
    look_at_vault,
)
from edged.station.doctor.units import look_at_confinement, look_at_units


def examine(config: Path, machine: Machine, clock: Clock) -> Iterator[Finding]:
    """Look at everything."""
    yield from look_at_python()
    yield from look_at_media(machine, clock)
    yield from look_at_units(machine)
    yield from look_at_clock(clock)
    try:
        station = check_configuration(config)
        profiles = load_profiles(config / "recorders")
    except EdgedError as error:
        yield from look_at_users(None, machine)
        yield _refusal(config, error)
        return
    yield ok("configuration", f"The files in {config} are right.")
    yield from look_at_users(station, machine)
    yield from look_at_folders(station, config, machine)
    yield from look_at_secrets(station, machine)
    yield from look_at_confinement(station, profiles, machine)
    yield from look_at_disk(station)
    yield from look_at_vault(station)
    yield from look_at_exfat(station, machine)
    yield from look_at_rules(station, machine)
    yield from look_at_mounter(station)
    yield from look_at_automounters(station, machine)
    yield from look_at_store(station)
    yield from look_at_broker(station)
    yield from look_at_daemon(station, machine)


def _refusal(config: Path, error: EdgedError) -> Finding:
    try:
        is_there = (config / STATION_FILE).exists()
    except PermissionError:
        return unseen(
            "configuration", f"{config} is not for this user.", "Run it as root, or as a member of its group."
        )
    cause = error.__cause__
    if isinstance(cause, PermissionError):
        return unseen("configuration", error.message, "Run it as root, or as a member of the daemon's group.")
    if not is_there:
        return problem("configuration", f"No station was made yet in {config}.", "See `edged init`.")
    return problem("configuration", error.message, error.hint)
