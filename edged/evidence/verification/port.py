"""What verification asks of a bundle, and what the verifier brings along.

Verification opens nothing itself: whoever calls it hands in the files of a bundle (a folder, a zip, a test's
memory) behind `BundleFiles`, and the roots it trusts behind `Trust`. What lies in the bundle is never trust.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from cryptography import x509

from edged.evidence.policy import Policy

MAX_FILES: Final = 200_000
"""A bundle of more files is not read: the bound on what its names alone may cost in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleFile:
    """One name in the tree of a bundle."""

    path: str
    """Relative to the bundle's top, `/`-separated; where `kind` is `other`, only fit to be shown."""

    kind: Literal["file", "folder", "other"]
    """`other` is a link, a device, a pipe, or a name that is no text."""

    size_bytes: int
    """Length of a file as listed; 0 for anything else."""


class BundleFiles(Protocol):
    """The files of one bundle, readable any number of times and from several threads."""

    def listing(self) -> Sequence[BundleFile]:
        """Give every name below the top, links and folders included; paths occur once."""

    def open(self, path: str) -> Iterator[bytes]:
        """Give the bytes of a listed `file` in blocks of at most 1 MiB.

        Raises UnreadableError where the medium does not give them; never returns less than the whole.
        """


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What the verifier brings along, obtained from elsewhere than the bundle."""

    roots: tuple[x509.Certificate, ...] = ()
    """Certificates of the roots (`--trust`); without any, no identity is established."""

    crls: tuple[x509.CertificateRevocationList, ...] = ()
    """Revocation lists (`--crl`); without any, revocation is not checked, and the report says so."""

    authorities: tuple[x509.Certificate, ...] = ()
    """Roots of time-stamping authorities (`--tsa`); tokens of all others are ignored."""

    policy: Policy | None = None
    """Which witnesses count (`--policy`); cosignatures of all others are ignored."""

    now: datetime | None = None
    """The moment of verification, which tells whether an authority's term is over; without it, no token establishes
    anything unless it was renewed."""
