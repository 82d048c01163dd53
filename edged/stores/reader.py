"""The reading side of central storage, for whoever checks what it holds and stores nothing.

A reader needs no right to write, changes nothing, and believes nothing: what it gives is compared with digests by the
caller. Names are those of EVIDENCE.md, section 9; `MissingError` says that there is no such object or version.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One version of one object, as the store lists it."""

    key: str
    version: str
    """Empty for what has no version of its own: a link, a mark of deletion, a file put in the newest one's place."""
    size_bytes: int
    is_newest: bool
    is_object: bool = True
    """False for what holds no bytes of its own: a link, a mark of deletion."""


class Reader(Protocol):
    """A store, to be read; from several threads at once."""

    name: str
    """For people."""

    def newest(self, key: str) -> Iterator[bytes]:
        """Give the newest version of an object in blocks; raises MissingError with the first of them."""

    def read(self, key: str, version: str | None) -> Iterator[bytes]:
        """Give one version of an object in blocks; raises MissingError with the first of them."""

    def listing(self, prefix: str) -> Iterator[Listed]:
        """Give every version of every object whose key begins with `prefix`, in no order."""

    def folders(self, prefix: str) -> list[str]:
        """Give the next parts of the keys that begin with `prefix`, which ends in a slash, where more follows."""

    def close(self) -> None:
        """Give up what is held open."""
