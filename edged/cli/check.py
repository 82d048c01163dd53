"""`edged check`: says whether everything is as it must be."""

from typing import Annotated

import typer

from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, say
from edged.cli.reading import open_book
from edged.station.assembly import check_configuration
from edged.station.checking import Checker


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    config: ConfigOption = DEFAULT_CONFIG,
    deep: Annotated[bool, typer.Option("--deep", help="Also read and digest every original in the vault.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Check configuration, ledger, book and vault. Changes nothing; exits 0 if all is well, 1 if not."""
    station = check_configuration(config)
    results = {}
    with open_book(config) as book:
        for name, findings in Checker(book, station, deep=deep).run():
            results[name] = [finding.text for finding in findings]
            if not as_json:
                say(f"{'ok ' if not findings else 'BAD'}  {name}")
                for finding in findings:
                    say(f"     {finding.text}")
    bad = sum(len(found) for found in results.values())
    if as_json:
        print_json({"ok": bad == 0, "checks": results})
    elif bad:
        say(f"{bad} things are not as they must be. Change nothing by hand; keep the recorders, and ask for help.")
    else:
        say("Everything is as it must be." + ("" if deep else " (Contents were not read; --deep does that.)"))
    return 1 if bad else 0
