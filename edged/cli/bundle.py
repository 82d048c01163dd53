"""`edged bundle`: what an investigator receives."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
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
from edged.evidence.ids import is_segment_id, to_id
from edged.evidence.verification.selection import parse_export_list
from edged.station.selecting import KINDS, asked_for, permit_again, withheld
from edged.station.view import StationView

_NO_KIND = "none"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bundle")(bundle)


def bundle(
    out: Annotated[Path, typer.Argument(help="Folder to make; with a name in .zip, a zip file.")],
    config: ConfigOption = DEFAULT_CONFIG,
    case: Annotated[str | None, typer.Option(help="All footage of this case.")] = None,
    recorder: Annotated[str | None, typer.Option(help="Footage of this recorder, with --from and --until.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", help="Only what was recorded from this time on: RFC 3339, or the station's local time."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only what was recorded before this time.")] = None,
    segment: Annotated[list[str] | None, typer.Option(help="This segment; may be given several times.")] = None,
    export: Annotated[str | None, typer.Option(help="Make the bundle of an earlier export again.")] = None,
    purpose: Annotated[str, typer.Option(help="Why; it is kept with the export.")] = "not stated",
    derivative: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Include only derivatives of this kind ({', '.join(KINDS)}, or none); several may be given."
        ),
    ] = None,
    inventories: Annotated[
        bool, typer.Option(help="Include the lists of what cards held; they name files of other cases too.")
    ] = True,
    override: Annotated[
        str | None,
        typer.Option(help="Why footage goes out that its secrecy class forbids; administrators only, and it is kept."),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            help="Of central storage, for originals that the vault holds no more: a TOML file with access_key and "
            "secret_key that can read; as configured, without it."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Export footage with everything that is needed to check it without this software."""
    asked = {
        "case": to_id(case) if case else None,  # as the case feed maps it, so that it may be named as it is written
        "recorder": recorder,
        "segments": segment,
        "from": since,
        "until": until,
        "derivatives": None if derivative is None else _kinds(derivative),
        "inventories": None if inventories else False,
        "override": override,
    }
    arguments: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    if export is not None and arguments:
        raise UsageError(
            "An earlier export is made again as it was: --export stands alone.", hint="Ask for another export."
        )
    if export is None and sum(key in arguments for key in ("case", "recorder", "segments")) != 1:
        raise UsageError("Name one of --case, --recorder, --segment and --export.")
    for each in segment or ():
        if not is_segment_id(each):
            raise UsageError(
                f"--segment {each!r} is no segment: it is written as sg- and 32 digits or letters from a to f.",
                hint="`edged ledger show --type segment` lists them.",
            )
    _check_target(out)
    station = read_station(config)
    if export is None:
        err("Asking the station for the export …")
        answer = ask(station.control_socket, "export", purpose=purpose, **arguments)
        export = str(answer["export"])
    with (
        open_book(config) as book,
        closing(StationView(book, station, credentials=credentials)) as view,
        ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        number, entry = _find(view, export)
        listed = parse_export_list(view.document(entry.list_sha256)).segments
        permit_again(withheld(book.facts, station.export, listed), entry)
        with TemporaryDirectory(prefix=f".{out.name}-", dir=out.absolute().parent) as scratch:
            folder = Path(scratch) / out.stem if out.suffix == ".zip" else out
            made = make_bundle(view, number, folder, pool=pool, **asked_for(entry))
            if out.suffix == ".zip":
                zip_bundle(made.path, out, top=out.stem)
    if as_json:
        print_json({"export": export, "bundle": str(out), "segments": len(made.report.segments)})
        return
    say(f"{out} holds {len(made.report.segments)} segments, with all that is needed to check them.")
    say(f"Export {export} is in the ledger. Start with VERIFY.md (中文：VERIFY.zh.md).")
    say(f"Hand over the root's certificate on another way: {station.paths.state}/keys/root.pem")


def _kinds(named: list[str]) -> list[str]:
    """Give the derivatives that are wanted; raises UsageError for one that no station makes."""
    if named == [_NO_KIND]:
        return []
    if strange := sorted(set(named) - set(KINDS)):
        raise UsageError(f"There is no derivative {strange[0]!r}; allowed: {', '.join(KINDS)}, or {_NO_KIND} alone.")
    return sorted(set(named))


def _check_target(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists already; a bundle is never written over anything.", hint="Name a new folder.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out.absolute().parent} is no folder.", hint="Make it first, or name another.")


def _find(view: StationView, export: str) -> tuple[int, Export]:
    """Give an export with the number of its entry."""
    for number in reversed(view.of_type("export")):
        body = parse(view.entry_bytes(number)).body
        if isinstance(body, Export) and body.export == export:
            return number, body
    raise UsageError(f"The ledger has no export {export}.", hint="`edged ledger show --type export` lists them.")
