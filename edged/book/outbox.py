"""The entries of the ledger as events that are still to be told, and how far each listener was told of them.

Nothing is copied: an outbox is a position in the book. Losing it costs time only: events are told again.
"""

from edged.book.database import Database


class Outbox:
    """Every entry of every epoch, in order, for whoever keeps a place in it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries_after(self, position: int, most: int) -> list[tuple[int, bytes]]:
        """Give at most so many entries behind a position, in their order: position and exact bytes of each."""
        found = self._database.rows("entries_after", position=position, most=most)
        return [(int(row["position"]), bytes(row["bytes"])) for row in found]

    def position(self, broker: str) -> int:
        """Give the position of the last entry that a broker is noted to have been told; 0 for none."""
        row = self._database.row("outbox", broker=broker)
        return 0 if row is None else int(row["position"])

    def move(self, broker: str, position: int) -> None:
        """Note durably that a broker was told everything up to a position."""
        self._database.run("move_outbox", broker=broker, position=position)
