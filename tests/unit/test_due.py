"""What is due, behind a mark: found whatever happens, and cheap on an old book."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from edged.book import Book
from edged.book.facts import SegmentRow
from edged.station import due
from edged.station.due import Due, Mark
from tests.unit.book_station import STATION, Ticking, copied, docked, open_book, sealed, sg

FILES = {f"{number:02}.mp4": bytes([number]) for number in range(20)}


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    monkeypatch.setattr(due, "_WORTH_NOTING", 4)
    book = open_book(tmp_path)
    body, document = docked(FILES)
    book.ledger.append(body, documents=[document])
    for path, data in FILES.items():
        book.ledger.append(sealed(path, data))
    yield book
    book.close()


def asking(book: Book) -> tuple[Due, list[int]]:
    """Give what asks for segments without a copy, and the positions it asked behind."""
    asked: list[int] = []

    def query(*, after: int, most: int) -> list[SegmentRow]:
        asked.append(after)
        return partial(book.facts.without_replica, "vault")(after=after, most=most)

    return Due(book, "replicate vault", query), asked


def copy(book: Book, *numbers: int) -> None:
    for number in numbers:
        book.ledger.append(copied(sg(bytes([number]))))


def test_a_start_looks_only_behind_what_is_known_to_be_done(book: Book) -> None:
    first, _ = asking(book)
    copy(book, *range(18))
    assert [row.path for row in first.rows(10)] == ["18.mp4", "19.mp4"]
    again, asked = asking(book)
    assert [row.path for row in again.rows(10)] == ["18.mp4", "19.mp4"]
    assert asked == [book.facts.all_segments(after=0, most=20)[17].position]


def test_what_was_left_undone_is_found_by_every_later_start(book: Book) -> None:
    copy(book, *range(1, 20))
    for _ in range(3):
        starting, _asked = asking(book)
        assert [row.path for row in starting.rows(5)] == ["00.mp4"]
        assert [row.path for row in starting.rows(5)] == ["00.mp4"]


def test_the_mark_is_not_noted_with_every_step(book: Book) -> None:
    mark = Mark(book.work, "work")
    written = []
    for position in range(1, 12):
        mark.move(position)
        written.append(book.work.mark("work"))
        assert mark.position == position
    assert written == [1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9]


def test_two_kinds_of_work_do_not_share_a_mark(book: Book) -> None:
    Mark(book.work, "derive poster").move(9)
    assert Mark(book.work, "derive proxy").position == 0


def test_a_book_that_is_projected_anew_is_looked_at_from_its_beginning(book: Book) -> None:
    copy(book, *range(20))
    running, asked = asking(book)
    assert running.rows(5) == []
    epoch = book.ledger.epoch
    # The copies of the last segments were signed by nobody, and are not said again.
    gone = book.restoration.set_aside(epoch, book.ledger.size() - 3)
    assert len(gone) == 3
    assert [row.path for row in running.rows(5)] == ["17.mp4", "18.mp4", "19.mp4"]
    assert asked[-1] == 0
    copy(book, 17)
    fresh, _ = asking(book)
    assert [row.path for row in fresh.rows(5)] == ["18.mp4", "19.mp4"]


def test_a_mark_survives_its_process(book: Book, tmp_path: Path) -> None:
    copy(book, *range(20))
    asking(book)[0].rows(5)
    book.database.close()
    later = Book(tmp_path, station=STATION, clock=Ticking())
    try:
        again, asked = asking(later)
        assert again.rows(5) == []
        assert asked == [later.facts.last_segment_position()]
    finally:
        later.close()
