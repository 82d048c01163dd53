"""The command `edged`: puts the commands together, and turns an error into one sentence and an exit code."""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Final, cast

import typer

from edged import __version__
from edged.cli.output import ReaderLeftError, err, put
from edged.errors import EdgedError, StorageError, UsageError

_INTERRUPTED: Final = 130
_READER_LEFT: Final = 141
"""As a shell says it of a program that SIGINT or SIGPIPE ended."""
_UNFORESEEN: Final = 70
"""Not Python's own 1, which is a verdict."""

COMMANDS: Final = (
    "init",
    "key",
    "run",
    "status",
    "check",
    "doctor",
    "store",
    "bays",
    "intake",
    "bundle",
    "verify",
    "completeness",
    "ledger",
    "media",
    "mountd",
    "receipt",
    "witness",
)
"""The commands in the order of the help; each is a module of its name, with `register`."""

# Newer versions of typer bring their own click, older ones use the one that is installed: of the errors about the
# command line only this one is public in both, and its base is what all the others share.
_WrongUsage = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])


def _print_version(wanted: bool) -> None:
    if wanted:
        put(f"edged {__version__}")
        raise typer.Exit


def _edged(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def command_line(arguments: Sequence[str] = ()) -> typer.Typer:
    """Put together the command that is called, or all of them where none is.

    What a command does not need is not loaded: most are over in less time than all the others take to load, and
    `mountd` has the rights of root.
    """
    app = typer.Typer(
        name="edged",
        help="Takes footage off docked recorders, proves that it did, and lets anybody check it.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_edged)
    called = [word for word in arguments[:1] if word in COMMANDS]
    for name in called or COMMANDS:
        import_module(f"edged.cli.{name}").register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit as the error catalogue says."""
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except (BrokenPipeError, ReaderLeftError):
        code = _READER_LEFT
    except OSError as error:
        err(f"edged: {error.filename or 'The output'} cannot be written: {error.strerror}.")
        code = StorageError.exit_code
    except Exception:  # noqa: BLE001 - the place where errors become exit codes
        traceback.print_exc()
        code = _UNFORESEEN
    try:
        sys.stdout.flush()
    except OSError:
        # Python tries once more when it ends, and would exit with a code of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    try:
        app = command_line(arguments)
        result = app(args=list(arguments) or ["--help"], prog_name="edged", standalone_mode=False)
    except typer.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, typer.Abort):
        result = _INTERRUPTED
    except _WrongUsage as error:
        return _say(UsageError(error.format_message(), hint="See `edged --help`."), arguments)
    except ReaderLeftError:
        raise
    except EdgedError as error:
        return _say(error, arguments)
    # Newer versions of typer give back the code that a shell has for Ctrl-C, instead of raising it.
    if result == _INTERRUPTED:
        err("Interrupted; nothing is lost.")
    return result if isinstance(result, int) else 0


def _say(error: EdgedError, arguments: Sequence[str]) -> int:
    err(f"edged: {error.message}")
    if error.hint:
        err(f"       {error.hint}")
    if "--json" in arguments:
        plain = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code, "retry": error.retry}
        with suppress(ReaderLeftError):
            put(json.dumps({"error": plain}, ensure_ascii=False))
    return error.exit_code
