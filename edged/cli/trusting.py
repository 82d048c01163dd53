"""What a verifier brings along, read from the files that the command line names."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from edged.clock import SystemClock
from edged.errors import MalformedError, UnreadableError, UsageError
from edged.evidence.certificates import load_certificates, load_crls
from edged.evidence.policy import Policy
from edged.evidence.policy import parse as parse_policy
from edged.evidence.verification import Trust

_T = TypeVar("_T")

TrustOption = Annotated[list[Path] | None, typer.Option(help="Root certificate you trust; several may be given.")]
TsaOption = Annotated[
    list[Path] | None, typer.Option(help="Root certificate of a time-stamping authority; several may be given.")
]
PolicyOption = Annotated[Path | None, typer.Option(help="Witness policy (C2SP tlog-policy).")]
CrlOption = Annotated[list[Path] | None, typer.Option(help="Revocation list; several may be given.")]


def given_trust(
    trust: Sequence[Path] | None, tsa: Sequence[Path] | None, policy: Path | None, crl: Sequence[Path] | None
) -> Trust:
    """Read what the verifier brings along.

    Raises UnreadableError for a file that cannot be read, UsageError for one that is not what it should be.
    """
    return Trust(
        roots=tuple(one for path in trust or () for one in _load(path, load_certificates)),
        crls=tuple(one for path in crl or () for one in _load(path, load_crls)),
        authorities=tuple(one for path in tsa or () for one in _load(path, load_certificates)),
        policy=None if policy is None else _load_policy(policy),
        now=SystemClock().now(),
    )


def _load_policy(path: Path) -> Policy:
    """Read the policy; what is wrong with it is said with its line."""
    try:
        return parse_policy(path.read_bytes())
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from error
    except MalformedError as error:
        raise UsageError(f"{path} is no witness policy: {error.message}.") from error


def _load(path: Path, parse: Callable[[bytes], tuple[_T, ...]]) -> tuple[_T, ...]:
    """Read what the verifier brings along; a file that is not that is wrong usage, and no verdict."""
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from error
    except MalformedError as error:
        raise UsageError(f"{path} is no certificate or revocation list in PEM form.") from error
