"""Originals that the vault holds no more: read from the copy in central storage that the ledger names.

What comes is what the store gives for the version of the newest `replica` entry, and nothing is believed of it: whoever
reads compares it with the seal. The store is opened with the first of them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edged.book import Book
from edged.config import StationConfig, StorePart
from edged.errors import ConfigError, UnreadableError
from edged.evidence.ids import SegmentId
from edged.station.assembly import open_store
from edged.stores.port import Store

_VAULT: Final = "vault"


class RetiredOriginals:
    """The retired originals of one station; a reader of its book."""

    def __init__(self, book: Book, config: StationConfig, *, credentials: Path | None = None) -> None:
        """`credentials` are used instead of those of the configuration, which only the daemon's user can read."""
        self._book = book
        self._part = config.store
        if credentials is not None and isinstance(self._part, StorePart):
            self._part = self._part.model_copy(update={"credentials": credentials.absolute()})
        self._store: Store | None = None

    def close(self) -> None:
        """Give up all connections."""
        if self._store is not None:
            self._store.close()

    def read(self, segment: SegmentId) -> Iterator[bytes]:
        """Give the bytes of an original in blocks; raises UnreadableError where no store can be asked for it.

        Raises StoreError or UnavailableError, too, as the store does.
        """
        copies = {str(row.store): row for row in self._book.facts.replicas(segment) if row.store != _VAULT}
        where = ", ".join(sorted(copies)) or "no store"
        if self._part is None or self._part.id not in copies:
            raise UnreadableError(
                f"It was retired from the vault, and its copy lies in {where}, which [store] does not name.",
                hint="Name that store in station.toml.",
            )
        copy = copies[self._part.id]
        yield from self._opened().read(copy.key, copy.version)

    def _opened(self) -> Store:
        if self._store is None and self._part is not None:
            try:
                self._store = open_store(self._part)
            except ConfigError as error:
                raise UnreadableError(
                    f"It was retired from the vault, and central storage cannot be opened. {error.message}",
                    hint="Give --credentials with a key that can read, or make the export again as the daemon's user.",
                ) from error
        if self._store is None:
            raise UnreadableError("It was retired from the vault, and [store] names no central storage.")
        return self._store
