"""`edged witness`: make a witness of other stations' ledgers, and run it."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from edged.anchors.memory import Memory
from edged.anchors.witness_server import listen, serve
from edged.anchors.witness_settings import WITNESS_TOML, WitnessFolder, make_witness, read_witness
from edged.anchors.witnessing import Witnessing
from edged.cli.logs import log_to_stderr
from edged.cli.output import JsonOption, print_json, say
from edged.clock import SystemClock

_DEFAULT: Final = Path("/var/lib/edged-witness")
_FolderOption = Annotated[
    Path, typer.Option("--folder", help="Folder of the witness: its key, witness.toml, and what it remembers.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    witness = typer.Typer(help="Witness the ledgers of other stations, and show who this witness is.")
    witness.command("init")(init)
    witness.command("show")(show)
    witness.command("run")(run)
    app.add_typer(witness, name="witness")


def init(
    name: Annotated[str, typer.Option(help="What it signs as, such as example.org/witness-1; cannot be changed.")],
    folder: _FolderOption = _DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Make a witness: its folder, its key, and a commented witness.toml."""
    os.umask(0o027)
    made = make_witness(folder.absolute(), name)
    _tell(made, as_json=as_json)
    if not as_json:
        say()
        say(f"Next: fill in {made.folder / WITNESS_TOML}, then `edged witness run`.")


def show(folder: _FolderOption = _DEFAULT, as_json: JsonOption = False) -> None:
    """Print the verifier key of a witness, by which stations and policies know it."""
    _tell(read_witness(folder.absolute()), as_json=as_json)


def run(
    folder: _FolderOption = _DEFAULT,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
) -> None:
    """Run a witness until it is told to stop (SIGTERM or Ctrl-C)."""
    os.umask(0o077)
    log_to_stderr(verbose=verbose)
    read = read_witness(folder.absolute())
    clock = SystemClock()
    logs = read.config.logs()
    witnessing = Witnessing(read.config.name, read.private, logs=logs, memory=Memory(read.memory), clock=clock)
    listener = listen(read)
    host, port = listener.getsockname()[:2]
    say(f"{read.config.name} knows {len(logs)} ledgers and listens at {host}:{port}")
    serve(read, witnessing, listener)


def _tell(witness: WitnessFolder, *, as_json: bool) -> None:
    if as_json:
        print_json({"name": witness.config.name, "vkey": witness.vkey, "folder": str(witness.folder)})
        return
    say(f"Witness {witness.config.name}. Stations and policies know it by its verifier key:")
    say(witness.vkey)
