"""What is due, asked for so that it stays cheap: behind a mark up to which everything is known to be done.

The mark is memory, noted in the book now and then, so that a start on a book of a million segments looks only at the
newest. Where the notes are lost, or the book was made anew from what was published, the mark is 0 again and whatever
was left undone is found. What is undone again behind the mark by itself, as a retired copy, is not due by that.
"""

from collections.abc import Callable
from typing import Final

from edged.book import Book
from edged.book.facts import SegmentRow
from edged.book.work import Work

_WORTH_NOTING: Final = 512
"""Positions that a start may look at again, rather than a transaction of the book for each of them."""


class Mark:
    """Up to which position one kind of work is known to be done."""

    def __init__(self, work: Work, name: str) -> None:
        """`name` tells the kind of work from all others, whatever the configuration says at the next start."""
        self._work = work
        self._name = name
        self._position = self._noted = work.mark(name)

    @property
    def position(self) -> int:
        """The position; 0 where nothing is known."""
        if self._work.mark(self._name) != self._noted:
            self._position = self._noted = 0
        return self._position

    def move(self, position: int) -> None:
        """Set the position."""
        self._position = position
        # The first is noted too: that it is gone later tells that the book was made anew.
        if position > 0 and (self._noted == 0 or position >= self._noted + _WORTH_NOTING):
            self._work.set_mark(self._name, position)
            self._noted = position


class Due:
    """Asks one question again and again."""

    def __init__(self, book: Book, work: str, query: Callable[..., list[SegmentRow]]) -> None:
        """`query` is called with `after` and `most`; `work` is the name of its mark."""
        self._facts = book.facts
        self._query = query
        self._mark = Mark(book.work, work)

    def rows(self, most: int) -> list[SegmentRow]:
        """Give at most so many segments that are due."""
        after = self._mark.position
        newest = self._facts.last_segment_position()
        found = self._query(after=after, most=most)
        if len(found) < most:
            # These are all there are, so everything before the first of them is done, whatever put that one off.
            done = min((row.position for row in found), default=newest + 1) - 1
            if done != after:
                self._mark.move(done)
        return found
