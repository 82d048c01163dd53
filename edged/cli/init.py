"""`edged init`: make a station."""

import os
from pathlib import Path
from typing import Annotated

import typer

from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, say
from edged.clock import SystemClock
from edged.errors import UsageError
from edged.evidence.ids import StationId, is_id
from edged.station.creation import NewStation, create


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    station: Annotated[str, typer.Option(help="Name of the station in all that it signs; cannot be changed.")],
    domain: Annotated[str, typer.Option(help="Domain of your organisation; cannot be changed.")],
    root_key: Annotated[
        Path,
        typer.Option(help="Where to write the root's private key: on a medium that you take away from the station."),
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    state: Annotated[Path, typer.Option(help="Folder for book, keys and vault.")] = Path("/var/lib/edged"),
    zone: Annotated[str, typer.Option(help="Time zone of the station.")] = "Asia/Shanghai",
    as_json: JsonOption = False,
) -> None:
    """Make a station: its identity, its first signing key, a root of its own, and a commented configuration."""
    os.umask(0o027)
    if not is_id(station):
        raise UsageError(
            f"{station!r} cannot name a station.",
            hint="Letters, digits, `.`, `_` and `-`, at most 64, beginning with a letter, digit or `_`.",
        )
    made = create(
        NewStation(
            station=StationId(station),
            domain=domain,
            zone=zone,
            config=config.absolute(),
            state=state.absolute(),
            root_key=root_key.absolute(),
        ),
        SystemClock(),
    )
    if as_json:
        print_json(
            {
                "origin": made.origin,
                "root": str(made.root_pem),
                "root_sha256": made.root_fingerprint,
                "root_key": str(root_key.absolute()),
                "config": str(config.absolute()),
            }
        )
        return
    say(f"Station {station} is made; its ledger is {made.origin}.")
    say()
    say(f"  Root certificate   {made.root_pem}")
    say(f"  its SHA-256        {made.root_fingerprint}")
    say(f"  Root private key   {root_key.absolute()}")
    say()
    say("Give the root certificate to those who will check evidence, and write its SHA-256 down where nobody at the")
    say("station can change it. Take the root's private key away from this machine: whoever holds it can certify")
    say("anything in the name of this station. The station itself does not need it.")
    say()
    say(f"Next: fill in {config.absolute()}/station.toml and register.toml, then `edged run`.")
