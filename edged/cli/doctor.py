"""`edged doctor`: what is wrong with this installation, and what to do."""

from pathlib import Path
from typing import Annotated

import typer

from edged.bays.profiles import load_profiles
from edged.cli.output import DEFAULT_CONFIG, JsonOption, print_json, put, say
from edged.clock import SystemClock
from edged.config import read_station
from edged.errors import UsageError
from edged.station.doctor import examine
from edged.station.doctor.findings import Finding
from edged.station.doctor.machine import Machine
from edged.station.doctor.units import DAEMON, MEDIA, drop_in

_MARKS = {"ok": "ok ", "warning": "?  ", "problem": "BAD", "unseen": "-  "}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    config: Annotated[
        Path,
        # Not readable is a finding, and no wrong usage.
        typer.Option("--config", envvar="EDGED_CONFIG", readable=False, help="Folder of the station's configuration."),
    ] = DEFAULT_CONFIG,
    unit: Annotated[
        str | None, typer.Option("--drop-in", help="Print what this unit needs besides, for this configuration.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Look at the installation and its surroundings. Changes nothing; exits 1 if there is a problem."""
    if unit is not None:
        if unit not in {DAEMON, MEDIA}:
            raise UsageError(f"{unit} needs nothing besides.", hint=f"Name {DAEMON} or {MEDIA}.")
        put(drop_in(read_station(config), load_profiles(config / "recorders"), unit).rstrip("\n"))
        return 0
    found = []
    for finding in examine(config, Machine(), SystemClock()):
        found.append(finding)
        if not as_json:
            _show(finding)
    problems = sum(each.level == "problem" for each in found)
    if as_json:
        print_json({"ok": problems == 0, "findings": [each.plain() for each in found]})
    else:
        say()
        _sum_up(found, problems)
    return 1 if problems else 0


def _show(finding: Finding) -> None:
    say(f"{_MARKS[finding.level]}  {finding.check:<14} {finding.text}")
    if finding.hint and finding.level != "ok":
        say(f"{'':<20}{finding.hint}")


def _sum_up(found: list[Finding], problems: int) -> None:
    blind = sum(each.level == "unseen" for each in found)
    counted = {0: "No problem was found.", 1: "There is a problem."}
    text = counted.get(problems, f"There are {problems} problems.")
    say(text + (f" {blind} things could not be looked at." if blind else ""))
