"""`edged status`: what the station is doing, what it holds, and what a person should look at."""

from typing import Any

import typer
from rich.table import Table

from edged.cli.following import duration
from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, amount, console, count, print_json, say
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
        f"  {count(totals['segments'], 'segment')} ({amount(totals['bytes'])}) from "
        f"{count(totals['dockings'], 'docking')}: "
        f"{totals['reread']} re-read, {totals['replicated']} in central storage, {totals['wiped']} erased again"
    )
    if totals["retired"]:
        say(f"  {totals['retired']} of them were retired: their originals lie in central storage alone")
    _show_room(answer)
    behind = ledger["size"] - ledger["published"]
    state = "all of them published" if behind == 0 else f"{behind} not yet published"
    say(f"  Ledger {ledger['origin']}: {count(ledger['size'], 'entry', 'entries')}, {state}")
    _show_undetermined(answer)
    say()
    if answer["bays"]:
        console().print(_bays(answer["bays"]))
        for bay in answer["bays"]:
            if bay["text"]:
                say(f"  {bay['bay']}: {bay['text']}")
    else:
        say("No recorder is docked.")
    _show_noted(answer)
    for alarm in answer["alarms"]:
        say()
        say(f"! {alarm['source']}: {alarm['text']}")
        if alarm["hint"]:
            say(f"  {alarm['hint']}")


def _show_undetermined(answer: dict[str, Any]) -> None:
    undetermined = answer["totals"]["undetermined"]
    if undetermined:
        say(f"  {count(undetermined, 'segment')} without a term yet, for want of a case or stage: kept")
        for segment in answer["undetermined"][:_LISTED]:
            say(f"    {segment['segment']}  {segment['recorder']}  {segment['path']}")
        if undetermined > _LISTED:
            say("    … (--json lists more)")


def _show_room(answer: dict[str, Any]) -> None:
    if parked := answer["parked"]:
        copies = count(len(parked), "interrupted copy", "interrupted copies")
        size = amount(sum(each["bytes"] for each in parked))
        say(f"  {copies} ({size}), gone on with when the recorder is docked again")
    if unsealed := answer["unsealed"]:
        copies = count(len(unsealed), "copy", "copies")
        say(f"  {copies} without an entry since the station stopped, sealed when the recorder is docked again")
    for disk in answer["room"]:
        free = "does not answer" if disk["free_bytes"] is None else f"{amount(disk['free_bytes'])} free"
        say(f"  Disk of {disk['folder']}: {free}; {amount(disk['reserve_bytes'])} must stay free (reserve_mib)")
    if not answer["accepting"]:
        say("  No recorder is accepted: there is no room")


def _show_noted(answer: dict[str, Any]) -> None:
    for noted in answer["noted"]:
        say(f"  {noted['bay']}: {count(noted['count'], 'anomaly', 'anomalies')} at this docking ({noted['docking']})")
        for each in noted["listed"][:_LISTED]:
            say(f"    {each['en']} ({each['kind']})")
        if noted["count"] > _LISTED:
            say("    … (`edged ledger show --type anomaly` has them all)")


def _bays(bays: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("Bay", "Recorder", "State", "Files", "Read", "Rate", "Left", "Take out?"):
        table.add_column(heading, no_wrap=True)
    for bay in bays:
        rate = f"{amount(bay['bytes_per_second'])}/s" if bay["bytes_per_second"] else ""
        left = "" if bay["seconds_left"] is None else duration(bay["seconds_left"])
        table.add_row(
            bay["bay"],
            bay["recorder"] or "?",
            bay["phase"],
            f"{bay['files_done']}/{bay['files']}",
            f"{amount(bay['bytes_done'])} of {amount(bay['bytes'])}",
            rate,
            left,
            ("yes" if bay["removable"] else "no") + (", see below" if bay["lamp"] == "attention" else ""),
        )
    return table
