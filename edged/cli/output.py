"""What commands print: for people by default, one JSON value with `--json`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from edged.amounts import amount as amount  # noqa: PLC0414 - commands print with it
from edged.errors import EdgedError

ConfigOption = Annotated[
    Path,
    typer.Option("--config", envvar="EDGED_CONFIG", help="Folder of the station's configuration."),
]
DEFAULT_CONFIG = Path("/etc/edged")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


class ReaderLeftError(EdgedError):
    """Whoever read the output left, as `head` does: no failure, and no verdict either."""


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to `main`: the exit code 1, which is the library's own choice, is a verdict here."""
        raise ReaderLeftError("The output is not read any more.")


def console() -> Console:
    """Give the terminal to print on; colours and widths only where it is one."""
    return _Terminal(highlight=False, soft_wrap=True)


def say(text: str = "") -> None:
    """Print a line for a person; text of others is printed as it is, never as markup."""
    console().print(text, markup=False)


def say_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for a person, as wide as it is: nothing in it is ever cut."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def put(text: str) -> None:
    """Print a line for a program; raises ReaderLeftError."""
    try:
        print(text)  # noqa: T201
    except BrokenPipeError as error:
        raise ReaderLeftError("The output is not read any more.") from error


def put_now(text: str) -> None:
    """Print a line for a program that reads along; raises ReaderLeftError."""
    put(text)
    try:
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderLeftError("The output is not read any more.") from error


def err(text: str) -> None:
    """Print a line about an error."""
    print(text, file=sys.stderr)  # noqa: T201


def print_json(value: Any) -> None:  # noqa: ANN401 - JSON
    """Print one JSON value."""
    put(json.dumps(value, ensure_ascii=False, indent=2))


def count(number: int, one: str, more: str = "") -> str:
    """Write a number of things: `1 entry`, `2 entries`; without a form of its own, the plural takes an s."""
    return f"{number} {one if number == 1 else more or one + 's'}"
