"""`edged ledger audit`: a whole published log, copies of it, and checkpoints that somebody kept."""

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from edged.audit.check import check_target
from edged.audit.comparing import Copied, Difference, Kept, compare_kept, differences, signature_lines
from edged.audit.judging import Claim, read_claim
from edged.audit.report import TargetReport
from edged.audit.sentences import of_difference, of_kept, sentences
from edged.bundles.load import open_target
from edged.cli.output import JsonOption, put, say
from edged.cli.progress import shown_progress
from edged.cli.targets import (
    Access,
    CaBundleOption,
    CredentialsOption,
    EndpointOption,
    RegionOption,
    StationOption,
    is_bundle,
    opened,
)
from edged.cli.trusting import CrlOption, PolicyOption, TrustOption, TsaOption, given_trust
from edged.errors import EdgedError, MalformedError, UnreadableError, UsageError
from edged.evidence.verdict import Verdict, worst

_EXIT: Final = {"verified": 0, "failed": 1, "not-established": 2}
_MAX_NOTE_BYTES: Final = 64 << 10
_IN_BUNDLE: Final = re.compile(r"data/(?:logs/[^/]+/[^/]+/[0-9]+/checkpoint(?:\.cosigned)?|anchors/.+\.checkpoint)")


def audit(
    targets: Annotated[list[str], typer.Argument(help="Stations, folders of stores, s3://BUCKET[/PREFIX]; or copies.")],
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint that you kept, or a bundle whose checkpoints count; several may be given."),
    ] = None,
    trust: TrustOption = None,
    tsa: TsaOption = None,
    policy: PolicyOption = None,
    crl: CrlOption = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    credentials: CredentialsOption = None,
    ca_bundle: CaBundleOption = None,
    config: StationOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check whole ledgers, and show what changed where two disagree. Exits as `edged verify`."""
    given = given_trust(trust, tsa, policy, crl)
    kept = [each for path in checkpoint or () for each in _read_kept(path)]
    claims = [claim for claim, _ in kept]
    access = Access(endpoint=endpoint, region=region, credentials=credentials, ca_bundle=ca_bundle, config=config)
    if bundles := [each for each in targets if is_bundle(each)]:
        raise UsageError(
            f"{bundles[0]} is neither a station nor a store.", hint="A bundle's checkpoints are given by --checkpoint."
        )
    with ExitStack() as stack, shown_progress() as progress:
        reports, copies = [], []
        for number, text in enumerate(targets):
            target = stack.enter_context(opened(text, access, with_originals=False))
            checked = check_target(target, given, progress=progress, given=claims)
            reports.append(checked.report)
            name = text if targets.count(text) == 1 else f"{text} ({number + 1})"
            copies.append(Copied(target=name, sources=checked.sources, judges=checked.judges))
        found = list(differences(copies, progress))
        lines = {claim.label: signed for claim, signed in kept}
        compared = list(compare_kept(claims, copies, given.policy, lines))
    verdict = _verdict(reports, found, compared)
    if as_json:
        put(json.dumps(_plain(verdict, reports, found, compared), ensure_ascii=False, indent=2))
    else:
        for report in reports:
            for words in sentences(report):
                say(words.en)
        for difference in found:
            for words in of_difference(difference):
                say(words.en)
        for each in compared:
            say(of_kept(each).en)
        if not given.roots:
            say("Bring the root's certificate along, from somewhere else than the ledger: --trust ROOT.pem")
    return _EXIT[verdict]


def _verdict(reports: Sequence[TargetReport], found: Sequence[Difference], compared: Sequence[Kept]) -> Verdict:
    """Call verified what nothing contradicts, from whatever side, and what was there to be compared."""
    forked: list[Verdict] = ["failed"] if any(each.is_fork for each in found) else []
    return worst([*(each.verdict for each in reports), *(each.check.verdict for each in compared), *forked])


def _plain(
    verdict: Verdict, reports: Sequence[TargetReport], found: Sequence[Difference], compared: Sequence[Kept]
) -> dict[str, object]:
    targets = [{key: value for key, value in each.plain().items() if key != "segments"} for each in reports]
    return {
        "verdict": verdict,
        "targets": targets,
        "differences": [each.plain() for each in found],
        "checkpoints": [each.plain() for each in compared],
    }


def _read_kept(path: Path) -> Sequence[tuple[Claim, Sequence[bytes]]]:
    """Read a checkpoint, or all of a bundle; raises UnreadableError, UsageError."""
    try:
        found = _read_notes(path)
        kept = [(read_claim(label, data), signature_lines(data)) for label, data in found.items()]
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from error
    except MalformedError as error:
        raise UsageError(f"{path} is no checkpoint: {error.message}.") from error
    except UnreadableError:
        raise
    except EdgedError as error:
        raise UsageError(error.message, hint=error.hint) from error
    if not kept:
        raise UsageError(f"{path} holds no checkpoint.")
    return kept


def _read_notes(path: Path) -> dict[str, bytes]:
    if path.is_dir() or path.suffix == ".zip":
        files = open_target(path)
        names = [each.path for each in files.listing() if _IN_BUNDLE.fullmatch(each.path)]
        return {f"{path}: {name}": b"".join(files.open(name)) for name in names}
    with path.open("rb") as file:
        return {str(path): file.read(_MAX_NOTE_BYTES)}
