"""The ports to those outside who bound the ledger in time, and what each implementation behind them guarantees.

An implementation gives only what it has verified under what the configuration says of the other side: a token under
the authority's root, over the very bytes that were sent, in answer to this very request; a cosignature by the
witness's key, over the very checkpoint. Everything else is an `AnchorError` with a sentence, and never taken. It raises
`UnavailableError` for what passes by itself, takes a bounded time, and reads a bounded answer whoever answers.

`tests/contract/test_anchor_contract.py` holds each implementation to this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from edged.errors import EdgedError


class AnchorError(EdgedError):
    """An authority or a witness refuses, or answers what it must not; nothing of it is taken."""

    exit_code = 74
    retry = True


class UnknownLogError(AnchorError):
    """A witness does not know the log, or not its key."""


class ForkError(AnchorError):
    """A witness holds the log against what it cosigned before: the ledger forked, or the witness lies."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """A token that was verified when it arrived."""

    data: bytes
    """The DER TimeStampResp, exactly as it came."""
    moment: datetime
    """What was stamped existed then."""
    by: str
    """Common name of the authority."""
    expires: datetime
    """Until then its authority's certificates are valid."""


@dataclass(frozen=True, kw_only=True)
class Cosigned:
    """A cosignature that was verified when it arrived."""

    line: bytes
    """The signature line, from the dash through LF."""
    moment: datetime
    by: str
    """Name of the witness's key."""


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """The witness's newest size is another one than the proof begins at."""

    size: int


class Authority(Protocol):
    """A time-stamping authority (RFC 3161)."""

    name: str
    """As in the configuration."""

    def stamp(self, data: bytes) -> Stamp:
        """Have `data` stamped. Raises AnchorError, or UnavailableError where nobody answers."""

    def close(self) -> None:
        """Give up all connections."""


class Witness(Protocol):
    """A witness that speaks C2SP `tlog-witness`."""

    name: str
    """As in the configuration."""

    def add_checkpoint(self, old: int, proof: Sequence[bytes], checkpoint: bytes) -> Cosigned | Conflict:
        """Have a checkpoint cosigned that `proof` shows to extend the one of size `old`, 0 for none.

        Raises UnknownLogError, ForkError, AnchorError, or UnavailableError where nobody answers.
        """

    def close(self) -> None:
        """Give up all connections."""
