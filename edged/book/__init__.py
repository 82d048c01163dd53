"""The book: SQLite only. The ledger, what is projected from it, the registers, and notes of work under way.

There is one writer, `edged run`; any other process opens the book read-only.
"""

from pathlib import Path

from edged.book.anchors import Anchors
from edged.book.database import Database
from edged.book.facts import Facts
from edged.book.ledger import Ledger
from edged.book.outbox import Outbox
from edged.book.registers import Registers
from edged.book.restoring import Restoration
from edged.book.work import Work
from edged.clock import Clock
from edged.evidence.ids import StationId

BOOK_FILE = "book.sqlite"


class Book:
    """One station's book, opened."""

    def __init__(self, state: Path, *, station: StationId, clock: Clock, read_only: bool = False) -> None:
        """Open the book in the state folder; raises NewerStateError, UnreadableError or StorageError."""
        self.database = Database(state / BOOK_FILE, read_only=read_only)
        self.ledger = Ledger(self.database, station=station, clock=clock)
        self.facts = Facts(self.database)
        self.registers = Registers(self.database)
        self.work = Work(self.database)
        self.outbox = Outbox(self.database)
        self.anchors = Anchors(self.database)
        self.restoration = Restoration(self.database, self.ledger)

    def close(self) -> None:
        """Close the file."""
        self.database.close()
