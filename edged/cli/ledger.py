"""`edged ledger show|prove|audit`: read the ledger, prove one of its entries, and check all of it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edged.book import Book
from edged.book.log import Log
from edged.cli.audit import audit
from edged.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, count, print_json, put, say
from edged.cli.reading import open_book
from edged.errors import UnavailableError, UsageError
from edged.evidence.bodies import BODIES, Anomaly
from edged.evidence.entry import Entry, parse, reference
from edged.evidence.proofs import format_proof
from edged.evidence.verification.anomalies import meaning


def register(app: typer.Typer) -> None:
    """Add the commands."""
    ledger = typer.Typer(help="Read the ledger, prove its entries, and check all of it.")
    ledger.command("show")(show)
    ledger.command("prove")(prove)
    ledger.command("audit")(audit)
    app.add_typer(ledger, name="ledger")


EpochOption = Annotated[str | None, typer.Option(help="The epoch, as `edged key show` lists them; else the open one.")]


def show(
    config: ConfigOption = DEFAULT_CONFIG,
    epoch: EpochOption = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only entries of this type.")] = None,
    last: Annotated[int | None, typer.Option(help="Only this many of the newest.", min=1)] = None,
    as_json: JsonOption = False,
) -> None:
    """Show entries, oldest first: a line each, or the entries themselves with --json, one a line."""
    with open_book(config) as book:
        log = _log(book, epoch)
        if kind is not None and kind not in BODIES and log.last_of_type(kind) is None:
            known = ", ".join(sorted(BODIES))
            raise UsageError(f"No type of entry called {kind!r} is known.", hint=f"There are {known}.")
        chosen = range(log.size()) if kind is None else log.of_type(kind)
        for seq in chosen if last is None else list(chosen)[-last:]:
            data = log.entry_bytes(seq)
            if as_json:
                # The exact bytes that are signed: `sha256sum` of a line without its newline is its reference.
                put(data.decode())
            else:
                say(_line(parse(data)))


def prove(
    entry: Annotated[str, typer.Argument(help="Number of the entry (seq), or its reference in hex.")],
    out: Annotated[Path, typer.Argument(help="Folder to write entry.json and entry.tlog-proof to.")],
    config: ConfigOption = DEFAULT_CONFIG,
    epoch: EpochOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an entry and the proof that it lies in the signed ledger."""
    with open_book(config) as book:
        log = _log(book, epoch)
        seq = int(entry) if entry.isascii() and entry.isdecimal() and len(entry) < 16 else log.seq_of(entry)  # noqa: PLR2004
        if seq is None or seq >= log.size():
            raise UsageError(f"The ledger has no entry {entry}.", hint="`edged ledger show` lists them.")
        covering = log.checkpoint_covering(seq)
        if covering is None:
            raise UnavailableError(
                f"Entry {seq} is not under a signed checkpoint yet.",
                hint="A running station signs within seconds once central storage can be reached.",
            )
        size, checkpoint = covering
        data = log.entry_bytes(seq)
        proof = format_proof(seq, log.inclusion_proof(seq, size), checkpoint)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "entry.json").write_bytes(data)
        (out / "entry.tlog-proof").write_bytes(proof)
    except OSError as error:
        raise UsageError(f"{error.filename or out} cannot be written: {error.strerror}.") from error
    if as_json:
        print_json({"seq": seq, "reference": reference(data), "size": size, "folder": str(out)})
        return
    covered = count(size, "entry", "entries")
    say(f"Entry {seq} ({reference(data)}) and its proof under the checkpoint of {covered} are in {out}.")


def _log(book: Book, epoch: str | None) -> Log:
    if epoch is None:
        return book.ledger
    found = [each for each in book.ledger.epochs() if epoch in {each.id, each.origin}]
    if not found:
        raise UsageError(f"The ledger has no epoch {epoch}.", hint="`edged key show` lists them.")
    return book.ledger.log(found[0])


def _line(entry: Entry) -> str:
    plain = entry.body if isinstance(entry.body, dict) else getattr(entry.body, "plain", dict)()
    told = {key: value for key, value in plain.items() if key in _TOLD and value is not None}
    time = f"{entry.time:%Y-%m-%d %H:%M:%S}Z"
    words = meaning(entry.body) if isinstance(entry.body, Anomaly) else None
    said = "" if words is None else f"  {words.en}"
    return f"{entry.seq:>7}  {time}  {entry.type:<14} {json.dumps(told, ensure_ascii=False)[1:-1]}{said}"


_TOLD = (
    *("docking", "bay", "segment", "path", "bytes", "files", "outcome", "remaining", "store", "verified", "method"),
    *("case", "matter", "stage", "retain_until", "kind", "export", "subject", "origin", "items"),
)
