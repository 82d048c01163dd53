"""`edged bays`: what is plugged in at which port, for whoever fills in [bays.ports], and the udev rules for these.

With --follow it is what the running station does in its bays, for LEDs and screens.
"""

from typing import Annotated

import typer

from edged.bays.profiles import load_profiles
from edged.bays.uevents import UdevEvents
from edged.bays.volumes import Refusal, Volume, judge, port_of, read_volume, udev_rules
from edged.cli.following import follow
from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, put, say, say_table
from edged.config import BaysPart, read_station
from edged.evidence.ids import BayId
from edged.station.ports import known_devices


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bays")(bays)


def bays(
    config: ConfigOption = DEFAULT_CONFIG,
    rules: Annotated[bool, typer.Option("--udev-rules", help="Print the udev rules for the configured ports.")] = False,
    following: Annotated[
        bool, typer.Option("--follow", help="Print a line for each change of a bay, until the station stops.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what USB storage is plugged in, at which port, and whether it would be taken in."""
    station = read_station(config)
    if following:
        follow(station.control_socket, as_json=as_json)
    if rules:
        put(udev_rules(station.bays.ports).rstrip("\n"))
        return
    known = known_devices(station.bays, load_profiles(config / "recorders"))
    events = UdevEvents()
    try:
        found = [volume for each in events.present() if (volume := read_volume(each.properties, each.sectors))]
    finally:
        events.close()
    shown = [_row(volume, judge(volume, known)) for volume in sorted(found, key=lambda volume: volume.path)]
    if as_json:
        print_json(shown)
    else:
        _tell(station.bays, shown)


def _tell(part: BaysPart, shown: list[dict[str, str]]) -> None:
    if part.source == "directory":
        say(f"Bays are the sub-folders of {part.folder}: `edged status` shows what is docked.")
        say('USB ports count only with source = "udev" under [bays].')
    elif not shown:
        say("No USB storage is plugged in. Plug a recorder into a bay, and run this again.")
    if not shown:
        return
    say_table(
        ("Port", "USB id", "Serial number", "Device", "Bay"),
        [[each[key] for key in ("port", "usb", "serial", "node", "bay")] for each in shown],
    )
    for each in shown:
        if each["why_not"]:
            say(f"{each['node']}: {each['why_not']}")
        elif not each["bay"]:
            say(f"{each['node']}: nothing to take in, such as a table of partitions or a slot without a card.")


def _row(volume: Volume, verdict: BayId | Refusal | None) -> dict[str, str]:
    """Say of a volume where it is and what would become of it; what does not apply is empty."""
    return {
        "port": port_of(volume.port),
        "usb": volume.usb,
        "serial": volume.serial,
        "node": volume.node,
        "bay": "" if verdict is None or isinstance(verdict, Refusal) else verdict,
        "why_not": f"{verdict.why} {verdict.hint}".strip() if isinstance(verdict, Refusal) else "",
    }
