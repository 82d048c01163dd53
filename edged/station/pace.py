"""How fast something goes, and how long it will take: over the last seconds, and honest about standing still."""

from collections import deque
from typing import Final

_WINDOW_SECONDS: Final = 5.0
_SAMPLE_SECONDS: Final = 0.25
_MOST_SAMPLES: Final = 32
"""More than fit into the window."""
_SHORTEST_SECONDS: Final = 0.5
"""Less than this says nothing about a rate."""


class Pace:
    """Counts one stretch of work, in whatever unit its caller counts."""

    def __init__(self, now: float, done: int) -> None:
        """`now` is a monotonic time in seconds; `done` was done before this stretch began."""
        self._samples = deque([(now, done)], maxlen=_MOST_SAMPLES)
        self._done = done
        self._moved = now

    def note(self, now: float, done: int) -> None:
        """Note how much is done now, in all."""
        if done != self._done:
            self._done, self._moved = done, now
        if now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, done))

    def rate(self, now: float) -> float:
        """Give units a second over the last seconds; 0 when nothing came for that long, or nothing is known yet."""
        # One sample that is as old as the window is kept, to count from.
        while len(self._samples) > 1 and self._samples[1][0] <= now - _WINDOW_SECONDS:
            self._samples.popleft()
        since, before = self._samples[0]
        if now - since < _SHORTEST_SECONDS or now - self._moved > _WINDOW_SECONDS:
            return 0.0
        # What turned out not to have been done is taken off again.
        return max(0.0, (self._done - before) / (now - since))

    def seconds_left(self, now: float, total: int) -> int | None:
        """Give how long the rest of `total` takes at this rate; None when nobody can say."""
        rate = self.rate(now)
        return int(max(0, total - self._done) / rate) if rate > 0 else None
