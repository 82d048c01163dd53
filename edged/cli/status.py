"""`edged status`: what the station is doing, what it holds, and what a person should look at."""

from collections.abc import Callable
from typing import Any

import typer

from edged.cli.following import duration
from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, amount, count, print_json, say, say_table
from edged.config import read_station
from edged.control.client import ask

_LISTED = 5
_HEADINGS = ("Bay", "Recorder", "State", "Files", "Read", "Rate", "Left", "Out?")


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
    if totals["quarantined"]:
        say(f"  {count(totals['quarantined'], 'segment')} in quarantine: kept, but not trusted")
        say("    `edged ledger show --type anomaly` says which, and why. Dock the recorder again: what can be read")
        say("    then is sealed anew and trusted. If it cannot be read, keep the card with the case, and replace it.")
    _show_room(answer)
    behind = ledger["size"] - ledger["published"]
    state = "all of them published" if behind == 0 else f"{behind} not yet published"
    say(f"  Ledger {ledger['origin']}: {count(ledger['size'], 'entry', 'entries')}, {state}")
    _show_undetermined(answer)
    say()
    if answer["bays"]:
        say_table(_HEADINGS, [_bay(bay) for bay in answer["bays"]])
        for bay in answer["bays"]:
            if bay["text"]:
                say(f"{_mark(bay):<2}{bay['bay']}: {bay['text']}")
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
        _list(
            answer["undetermined"], undetermined, lambda each: f"{each['segment']}  {each['recorder']}  {each['path']}"
        )


def _show_room(answer: dict[str, Any]) -> None:
    if parked := answer["parked"]:
        copies = count(len(parked), "interrupted copy", "interrupted copies")
        size = amount(sum(each["bytes"] for each in parked))
        say(f"  {copies} ({size}), gone on with when the recorder is docked again")
        _list(parked, len(parked), _parked)
    if unsealed := answer["unsealed"]:
        copies = count(len(unsealed), "copy", "copies")
        say(f"  {copies} without an entry since the station stopped, sealed when the recorder is docked again")
        _list(unsealed, len(unsealed), lambda each: f"{each['recorder']}  {each['path']}")
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


def _list(listed: list[dict[str, Any]], number: int, line: Callable[[dict[str, Any]], str]) -> None:
    for each in listed[:_LISTED]:
        say(f"    {line(each)}")
    if number > _LISTED:
        say("    … (--json lists more)")


def _parked(each: dict[str, Any]) -> str:
    return f"{each['recorder']}  {each['path']}  {amount(each['bytes'])} of {amount(each['of_bytes'])}"


def _bay(bay: dict[str, Any]) -> list[str]:
    return [
        bay["bay"],
        bay["recorder"] or "?",
        bay["phase"],
        f"{bay['files_done']}/{bay['files']}",
        f"{amount(bay['bytes_done'])} of {amount(bay['bytes'])}",
        f"{amount(bay['bytes_per_second'])}/s" if bay["bytes_per_second"] else "",
        "" if bay["seconds_left"] is None else duration(bay["seconds_left"]),
        f"{'yes' if bay['removable'] else 'no'} {_mark(bay)}".strip(),
    ]


def _mark(bay: dict[str, Any]) -> str:
    """Mark a bay that somebody has to look at, and what is said of it."""
    return "!" if bay["lamp"] == "attention" else ""
