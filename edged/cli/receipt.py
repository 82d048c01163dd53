"""`edged receipt`: what a docking was, on paper that the ledger can be held against later."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from edged.audit.receipts import hold_against
from edged.cli import paper
from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, print_json, put, say
from edged.cli.progress import shown_progress
from edged.cli.reading import open_book
from edged.cli.targets import Access, CaBundleOption, CredentialsOption, EndpointOption, RegionOption, opened
from edged.config import read_station
from edged.errors import MalformedError, StorageError, UnavailableError, UnreadableError, UsageError
from edged.evidence.receipts import MARK, Receipt, parse_receipt
from edged.evidence.text import to_base64
from edged.station.receipts import asked_receipt

_EXIT: Final = {"verified": 0, "failed": 1, "not-established": 2}
_BOUND: Final = 65_536
"""Bytes of a file that are looked through for a code."""
_SCAN: Final = "Read the QR code with a scanner and give its line; `edged receipt DOCKING --json` prints it as `code`."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("receipt")(receipt)


def receipt(
    docking: Annotated[str | None, typer.Argument(help="The docking.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    bay: Annotated[str | None, typer.Option(help="The newest docking in this bay.")] = None,
    last: Annotated[bool, typer.Option("--last", help="The docking that ended last.")] = False,
    svg: Annotated[Path | None, typer.Option(help="Write the receipt as a picture, 80 mm wide.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the receipt as a page to print.")] = None,
    check: Annotated[
        str | None,
        typer.Option(help="The code of a receipt, or a file that holds it: is the ledger still what it was?"),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="With --check: a station, folder of a store, or s3://BUCKET[/PREFIX]; else this one."),
    ] = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    credentials: CredentialsOption = None,
    ca_bundle: CaBundleOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print the receipt of a docking that is over, or hold one against the ledger."""
    asked = [name for name, value in (("DOCKING", docking), ("--bay", bay), ("--last", last)) if value]
    if check is not None:
        if asked or svg or html:
            raise UsageError("--check holds a receipt against the ledger, and prints none.")
        access = Access(endpoint=endpoint, region=region, credentials=credentials, ca_bundle=ca_bundle, config=config)
        return _check(_read(check), against or str(config), access, as_json=as_json)
    if len(asked) != 1:
        raise UsageError("A receipt is of one docking.", hint="Name the docking, or --bay BAY, or --last.")
    station = read_station(config)
    stored = station.store is not None
    with open_book(config) as book:
        plain = asked_receipt(book, {"docking": docking, "bay": bay, "last": last}, station).plain()
    for path, text in ((svg, paper.as_svg), (html, paper.as_html)):
        if path is not None:
            _write(path, text(plain, stored=stored))
    if as_json:
        print_json(plain)
    elif svg is None and html is None:
        put(paper.on_terminal(plain, stored=stored))
    # The receipt says so itself; the code is for whoever prints it without reading it.
    return 0 if plain["code"] else UnavailableError.exit_code


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error


def _read(text: str) -> Receipt:
    """Read the code of a receipt, or the file that holds it; raises MalformedError, UnreadableError."""
    if not text.startswith("edged-receipt:"):
        try:
            with Path(text).open("rb") as file:
                data = file.read(_BOUND)
        except (OSError, ValueError) as error:
            raise UnreadableError(
                f"There is no file {text[:200]!r} to read, and this is no code of a receipt.",
                hint="A code begins with edged-receipt:1; put it into quotes.",
            ) from error
        text = _line(data.decode("utf-8-sig", "replace"))
    try:
        return parse_receipt(text.strip())
    except MalformedError as error:
        raise MalformedError(
            f"This is no receipt: {error.message}.", hint="Scan the code again: every character of it counts."
        ) from error


def _line(text: str) -> str:
    """Find the code in what a scanner or `--json` wrote; raises MalformedError if there is none, or more than one."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict):
        codes = {told["code"]} if isinstance(told.get("code"), str) else set()
    else:
        codes = {line.strip() for line in text.splitlines() if line.lstrip().startswith(MARK)}
    if len(codes) > 1:
        raise MalformedError("This file holds the codes of several receipts.", hint="Give one of these lines.")
    if not codes:
        raise MalformedError("This file holds no code of a receipt.", hint=_SCAN)
    return str(codes.pop())


def _check(found: Receipt, target: str, access: Access, *, as_json: bool) -> int:
    with opened(target, access, with_originals=False) as ledger, shown_progress() as progress:
        held = hold_against(ledger, found, progress)
    if as_json:
        at = found.checkpoint
        print_json(
            {
                "verdict": held.verdict,
                "detail": held.detail.en,
                "detail_zh": held.detail.zh,
                "receipt": {"origin": at.origin, "size": at.size, "root": to_base64(at.root)},
                "entry": {"seq": found.seq, "reference": found.ref},
            }
        )
    else:
        say(held.detail.en)
        say(held.detail.zh)
    return _EXIT[held.verdict]
