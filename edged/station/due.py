"""What is due, asked for so that it stays cheap: behind a mark up to which everything is known to be done.

The mark is nothing but memory. It starts at 0 with each start of the daemon, so that whatever an earlier run left
undone is found again.
"""

from collections.abc import Callable

from edged.book.facts import Facts, SegmentRow


class Due:
    """Asks one question again and again."""

    def __init__(self, facts: Facts, query: Callable[..., list[SegmentRow]]) -> None:
        """`query` is called with `after` and `most`."""
        self._facts = facts
        self._query = query
        self._done_up_to = 0

    def rows(self, most: int) -> list[SegmentRow]:
        """Give at most so many segments that are due."""
        newest = self._facts.last_segment_position()
        found = self._query(after=self._done_up_to, most=most)
        if len(found) < most:
            # These are all there are, so everything before the first of them is done, whatever put that one off.
            self._done_up_to = min((row.position for row in found), default=newest + 1) - 1
        return found
