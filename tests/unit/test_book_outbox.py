"""An outbox is a place in the book: entries of every epoch, in order, each once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.book import Book
from edged.evidence.ids import EpochId
from tests.unit.book_station import begin, close, new_book, odd, open_book


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(tmp_path)
    yield book
    book.close()


def test_entries_come_in_order_across_epochs_and_in_pages(book: Book) -> None:
    book.ledger.append(odd("a"), odd("b"), close())
    begin(book, EpochId("2026-12-cd34"))
    told: list[bytes] = []
    position = 0
    while page := book.outbox.entries_after(position, 2):
        assert [at for at, _ in page] == list(range(position + 1, position + 1 + len(page)))
        told += [data for _, data in page]
        position = page[-1][0]
    assert told == [book.ledger.bytes_at(at) for at in range(1, 6)]


def test_each_broker_has_a_place_of_its_own_that_outlives_the_daemon(book: Book, tmp_path: Path) -> None:
    assert book.outbox.position("a") == 0
    book.outbox.move("a", 3)
    book.outbox.move("a", 2)
    book.outbox.move("b", 1)
    again = new_book(tmp_path)
    assert (again.outbox.position("a"), again.outbox.position("b"), again.outbox.position("c")) == (2, 1, 0)
    again.close()


def test_noting_a_place_is_no_news(book: Book) -> None:
    beats: list[int] = []
    book.database.on_news(lambda: beats.append(1))
    book.outbox.move("a", 1)
    assert beats == [], "else telling would wake itself for ever"
    book.ledger.append(odd("a"))
    assert beats == [1]
