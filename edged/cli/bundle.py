"""`edged bundle`: what an investigator receives."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from edged.bundles.make import make_bundle, zip_bundle
from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, err, print_json, say
from edged.cli.reading import open_book
from edged.config import read_station
from edged.control.client import ask
from edged.errors import UsageError
from edged.evidence.bodies import Export
from edged.evidence.entry import parse
from edged.evidence.ids import to_id
from edged.station.files import SOCKET
from edged.station.view import StationView

_KINDS = ("poster", "proxy")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bundle")(bundle)


def bundle(
    out: Annotated[Path, typer.Argument(help="Folder to make; with a name in .zip, a zip file.")],
    config: ConfigOption = DEFAULT_CONFIG,
    case: Annotated[str | None, typer.Option(help="All footage of this case.")] = None,
    segment: Annotated[list[str] | None, typer.Option(help="This segment; may be given several times.")] = None,
    export: Annotated[str | None, typer.Option(help="Make the bundle of an earlier export again.")] = None,
    purpose: Annotated[str, typer.Option(help="Why; it is kept with the export.")] = "not stated",
    derivatives: Annotated[bool, typer.Option(help="Include posters and proxies.")] = True,
    inventories: Annotated[
        bool, typer.Option(help="Include the lists of what cards held; they name files of other cases too.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Export footage with everything that is needed to check it without this software."""
    if sum(map(bool, (case, segment, export))) != 1:
        raise UsageError("Name one of --case, --segment and --export.")
    _check_target(out)
    station = read_station(config)
    if export is None:
        # The case feed maps what is no id in the same way, so that a case may be named as it is written.
        arguments: dict[str, Any] = {"case": to_id(case)} if case else {"segments": segment}
        err("The export is being written into the ledger and signed …")
        answer = ask(station.paths.state / SOCKET, "export", purpose=purpose, **arguments)
        export = str(answer["export"])
    kinds = _KINDS if derivatives else ()
    with open_book(config) as book, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        view = StationView(book, station)
        seq = _seq_of(view, export)
        with TemporaryDirectory(prefix=f".{out.name}-", dir=out.absolute().parent) as scratch:
            folder = Path(scratch) / out.stem if out.suffix == ".zip" else out
            made = make_bundle(view, seq, folder, kinds=kinds, inventories=inventories, pool=pool)
            if out.suffix == ".zip":
                zip_bundle(made.path, out, top=out.stem)
    if as_json:
        print_json({"export": export, "bundle": str(out), "segments": len(made.report.segments)})
        return
    say(f"{out} holds {len(made.report.segments)} segments, with all that is needed to check them.")
    say(f"Export {export} is in the ledger. Start with VERIFY.md (中文：VERIFY.zh.md).")
    say(f"Hand over the root's certificate on another way: {station.paths.state}/keys/root.pem")


def _check_target(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists already; a bundle is never written over anything.", hint="Name a new folder.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out.absolute().parent} is no folder.", hint="Make it first, or name another.")


def _seq_of(view: StationView, export: str) -> int:
    for seq in reversed(view.of_type("export")):
        body = parse(view.entry_bytes(seq)).body
        if isinstance(body, Export) and body.export == export:
            return seq
    raise UsageError(f"The ledger has no export {export}.", hint="`edged ledger show --type export` lists them.")
