"""Putting off what failed, so that one bad segment holds up no other."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from edged.book.facts import SegmentRow
from edged.clock import Clock
from edged.errors import EdgedError, StoppedError, UnavailableError

_FIRST_SECONDS = 5.0
_LONGEST_SECONDS = 600.0

_Row = TypeVar("_Row", bound=SegmentRow)


class Later:
    """Remembers which segments failed, and when each may be tried again. Lost at a restart, which costs a try."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[str, tuple[float, float]] = {}

    @property
    def put_off(self) -> int:
        """How many segments wait; a query for due work asks for that many more."""
        return len(self._due)

    def pause_seconds(self, idle_seconds: float) -> float:
        """Give how long nothing of it is due, at most `idle_seconds` and at least one."""
        now = self._clock.monotonic()
        waits = [due - now for due, _ in self._due.values() if due > now]
        return max(1.0, min([idle_seconds, *waits]))

    def ready(self, rows: Iterable[_Row]) -> list[_Row]:
        """Leave out what failed lately."""
        now = self._clock.monotonic()
        return [row for row in rows if self._due.get(row.segment, (0.0, 0.0))[0] <= now]

    def each(self, rows: Iterable[_Row], work: Callable[[_Row], None]) -> None:
        """Do the work on each row; one that fails is put off, and the first failure is raised after all others.

        What concerns all of them (stop, something outside that cannot be reached) is raised at once.
        """
        first: EdgedError | None = None
        for row in rows:
            try:
                work(row)
            except (StoppedError, UnavailableError):
                raise
            except EdgedError as error:
                self.failed(row.segment)
                first = first or error
            else:
                self.succeeded(row.segment)
        if first is not None:
            raise first

    def failed(self, segment: str) -> None:
        """Put a segment off, longer each time."""
        pause = min(self._due.get(segment, (0.0, _FIRST_SECONDS / 2))[1] * 2, _LONGEST_SECONDS)
        self._due[segment] = (self._clock.monotonic() + pause, pause)

    def succeeded(self, segment: str) -> None:
        """Forget that it ever failed."""
        self._due.pop(segment, None)
