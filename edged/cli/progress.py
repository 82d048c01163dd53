"""How far a verification is, on a terminal; elsewhere nothing is said."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from edged.audit.port import Progress
from edged.cli.output import amount
from edged.clock import SystemClock


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Show a bar with entries, bytes and rate on standard error, if that is a terminal."""
    terminal = Console(stderr=True)
    if not terminal.is_terminal:
        yield Silent()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[bytes]}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=terminal, transient=True) as bars:
        yield _Shown(bars)


class Silent:
    """Says nothing."""

    def begin(self, what: str, total: int) -> None:
        """Say nothing."""

    def advance(self, entries: int) -> None:
        """Say nothing."""

    def read(self, size_bytes: int) -> None:
        """Say nothing."""


class _Shown:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._clock = SystemClock()
        self._task = bars.add_task("", total=None, bytes="")
        self._bytes = 0
        self._began = self._clock.monotonic()

    def begin(self, what: str, total: int) -> None:
        """Begin the bar anew."""
        self._bars.reset(self._task, description=what, total=total)

    def advance(self, entries: int) -> None:
        """Move the bar."""
        self._bars.advance(self._task, entries)

    def read(self, size_bytes: int) -> None:
        """Add to the bytes, and say the rate."""
        self._bytes += size_bytes
        seconds = max(self._clock.monotonic() - self._began, 0.001)
        told = f"{amount(self._bytes)}, {amount(int(self._bytes / seconds))}/s"
        self._bars.update(self._task, bytes=told)
