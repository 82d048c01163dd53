"""`edged intake`: take in a loose card, or a file, that somebody handed in."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, amount, console, err, print_json, say
from edged.config import read_station
from edged.control.client import ask
from edged.errors import EdgedError, RecorderError, UnreadableError
from edged.evidence.ids import escape_path, is_handed_in

_LOOK_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("intake")(intake)


def intake(
    folder: Annotated[Path, typer.Argument(help="Where the card is mounted, or a single file; nothing is erased.")],
    recorder: Annotated[str, typer.Option(help="Which recorder it is from: its id in register.toml.")],
    officer: Annotated[str, typer.Option(help="Who carried it.")],
    reason: Annotated[str, typer.Option(help="Why it is handed in; kept with the docking.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Take in a loose card or a file that was handed in, as a docking of its own."""
    station = read_station(config)
    with _opened(folder) as (descriptor, only), _progress(station.control_socket, recorder, shown=not as_json):
        answer = ask(
            station.control_socket,
            "intake",
            handing=[descriptor],
            patience_seconds=None,
            recorder=recorder,
            officer=officer,
            reason=reason,
            name=escape_path(os.fsencode(folder.absolute().name)),
            **({} if only is None else {"only": only}),
        )
    if as_json:
        print_json(answer)
        if answer["unread"]:
            raise typer.Exit(RecorderError.exit_code)
        return
    known = f", {answer['sighted']} were known already" if answer["sighted"] else ""
    say(
        f"Docking {answer['docking']}: {answer['files']} files ({amount(answer['bytes'])}) of recorder {recorder}; "
        f"{answer['sealed']} are sealed{known}."
    )
    if answer["unread"]:
        err(f"{answer['unread']} files could not be read; `edged ledger show --type anomaly` names them.")
        err("Give the user that the station runs as read access to them, and run the same command again.")
        raise typer.Exit(RecorderError.exit_code)
    say("Nothing was erased. Keep what was handed in until `edged status` shows its copies in central storage.")


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[int, str | None]]:
    """Hold the folder open that is handed in, or the one around a single file, with that file's name."""
    only = folder.name if folder.is_file() else None
    try:
        descriptor = os.open(folder.parent if only else folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        hint = "Name a folder, or a file."
        raise UnreadableError(f"{folder} cannot be opened: {error.strerror}.", hint=hint) from error
    try:
        yield descriptor, only
    finally:
        os.close(descriptor)


@contextmanager
def _progress(socket: Path, recorder: str, *, shown: bool) -> Iterator[None]:
    """Show how far the intake is, on a terminal."""
    terminal = console()
    if not shown or not terminal.is_terminal:
        yield
        return
    over = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=terminal, transient=True) as progress:
        task = progress.add_task("Taking in", total=None)

        def look() -> None:
            while not over.wait(_LOOK_SECONDS):
                try:
                    bays: list[dict[str, Any]] = ask(socket, "status")["bays"]
                except EdgedError:
                    # The command itself says what is wrong.
                    continue
                for bay in bays:
                    if is_handed_in(bay["bay"]) and bay["recorder"] == recorder:
                        progress.update(task, completed=bay["bytes_done"], total=bay["bytes"])

        looking = threading.Thread(target=look, name="progress", daemon=True)
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()
