"""Opening a station's book for commands that only read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edged.book import Book
from edged.clock import SystemClock
from edged.config import read_station
from edged.evidence.ids import StationId


@contextmanager
def open_book(config: Path) -> Iterator[Book]:
    """Hold the book of the station whose configuration lies in a folder; works beside a running daemon."""
    station = read_station(config)
    book = Book(station.paths.state, station=StationId(station.station.id), clock=SystemClock(), read_only=True)
    try:
        yield book
    finally:
        book.close()
