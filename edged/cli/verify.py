"""`edged verify`: what a bundle shows, and what it does not."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from edged.bundles.load import verify_target
from edged.cli.output import JsonOption, print_json, say
from edged.errors import MalformedError, UsageError
from edged.evidence.certificates import load_certificates, load_crls
from edged.evidence.verification import Trust, sentences

_T = TypeVar("_T")

_EXIT = {"verified": 0, "failed": 1, "not-established": 2}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)


def verify(
    target: Annotated[Path, typer.Argument(help="The bundle: a folder or a zip file.")],
    trust: Annotated[list[Path] | None, typer.Option(help="Root certificate you trust; several may be given.")] = None,
    crl: Annotated[list[Path] | None, typer.Option(help="Revocation list; several may be given.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Check a bundle. Exits 0 verified, 1 failed, 2 not established, 66 if it cannot be read."""
    roots = tuple(one for path in trust or () for one in _load(path, load_certificates))
    crls = tuple(one for path in crl or () for one in _load(path, load_crls))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        report = verify_target(target, Trust(roots=roots, crls=crls), pool)
    if as_json:
        print_json(report.plain())
    else:
        for line in sentences(report):
            say(line.en)
        if not roots:
            say("Bring the root's certificate along, from somewhere else than the bundle: --trust ROOT.pem")
    return _EXIT[report.verdict]


def _load(path: Path, parse: Callable[[bytes], tuple[_T, ...]]) -> tuple[_T, ...]:
    """Read what the verifier brings along; a file that is not that is wrong usage, and no verdict."""
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except MalformedError as error:
        raise UsageError(f"{path} is no certificate or revocation list in PEM form.") from error
