"""`edged status`: what the station is doing, what it holds, and what a person should look at."""

from typing import Any

import typer
from rich.table import Table

from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, amount, console, print_json, say
from edged.config import read_station
from edged.control.client import ask

_LISTED = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show what the running station is doing."""
    station = read_station(config)
    answer = ask(station.control_socket, "status")
    if as_json:
        print_json(answer)
        return
    _show(answer)


def _show(answer: dict[str, Any]) -> None:
    totals, ledger = answer["totals"], answer["ledger"]
    say(f"Station {answer['station']}, edged {answer['version']}, running since {answer['running_since']}")
    say(
        f"  {totals['segments']} segments ({amount(totals['bytes'])}) from {totals['dockings']} dockings: "
        f"{totals['reread']} re-read, {totals['replicated']} in central storage, {totals['wiped']} erased again"
    )
    behind = ledger["size"] - ledger["published"]
    state = "all of them published" if behind == 0 else f"{behind} not yet published"
    say(f"  Ledger {ledger['origin']}: {ledger['size']} entries, {state}")
    if totals["undetermined"]:
        say(f"  {totals['undetermined']} segments have no term yet, for want of a case or stage; they are kept")
        for segment in answer["undetermined"][:_LISTED]:
            say(f"    {segment['segment']}  {segment['recorder']}  {segment['path']}")
        if totals["undetermined"] > _LISTED:
            say("    … (--json lists more)")
    say()
    if answer["bays"]:
        console().print(_bays(answer["bays"]))
        for bay in answer["bays"]:
            if bay["text"]:
                say(f"  {bay['bay']}: {bay['text']}")
    else:
        say("No recorder is docked.")
    for alarm in answer["alarms"]:
        say()
        say(f"! {alarm['source']}: {alarm['text']}")
        if alarm["hint"]:
            say(f"  {alarm['hint']}")


def _bays(bays: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("Bay", "Recorder", "State", "Files", "Read", "Rate", "Left", "Take out?"):
        table.add_column(heading, no_wrap=True)
    for bay in bays:
        left = "" if bay["seconds_left"] is None or bay["phase"] != "copying" else f"{bay['seconds_left']} s"
        rate = f"{amount(bay['bytes_per_second'])}/s" if bay["phase"] == "copying" else ""
        table.add_row(
            bay["bay"],
            bay["recorder"] or "?",
            bay["phase"],
            f"{bay['files_done']}/{bay['files']}",
            f"{amount(bay['bytes_done'])} of {amount(bay['bytes'])}",
            rate,
            left,
            "yes" if bay["removable"] else "no",
        )
    return table
