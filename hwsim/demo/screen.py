"""What a person sees of the demo: steps as lines, and below them the bays, alive, where there is a terminal.

Without a terminal a bay gets a line each time its phase changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from edged.clock import Clock
from edged.errors import MalformedError

_COLOURS = {"copying": "cyan", "securing": "blue", "wiping": "magenta", "done": "green"}
_MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Bay:
    """One occupied bay, as the station reports it."""

    name: str
    phase: str
    text: str
    files: int
    files_done: int
    size_bytes: int
    done_bytes: int
    bytes_per_second: int
    replicated: int
    wiped: int
    removable: bool

    @property
    def colour(self) -> str:
        """The colour of its phase."""
        return _COLOURS.get(self.phase, "yellow")


@dataclass(frozen=True, kw_only=True)
class Status:
    """What the station is doing."""

    bays: tuple[Bay, ...]

    entries: int
    """In the ledger."""

    published: int
    """Of those, under a published checkpoint."""


def status_of(plain: Mapping[str, Any]) -> Status:
    """Read what `edged status --json` prints; raises MalformedError."""
    try:
        ledger = plain["ledger"]
        bays = tuple(_bay(bay) for bay in plain["bays"])
        return Status(bays=bays, entries=ledger["size"], published=ledger["published"])
    except (KeyError, TypeError) as error:
        raise MalformedError(f"the station's status is not as expected: {error!r}") from error


def _bay(plain: Mapping[str, Any]) -> Bay:
    return Bay(
        name=plain["bay"],
        phase=plain["phase"],
        text=plain["text"],
        files=plain["files"],
        files_done=plain["files_done"],
        size_bytes=plain["bytes"],
        done_bytes=plain["bytes_done"],
        bytes_per_second=plain["bytes_per_second"],
        replicated=plain["replicated"],
        wiped=plain["wiped"],
        removable=plain["removable"],
    )


class Screen:
    """Steps and bays on one console; a context manager around the time in which bays are shown."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._began = clock.monotonic()
        self._live: Live | None = None
        self._phases: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def step(self, text: str) -> None:
        """Say what happens next, or what was found."""
        seconds = self._clock.monotonic() - self._began
        line = Text(f"{seconds:6.1f} s  ", style="dim").append(text, style="not dim")
        self._console.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        """Say more about the step before."""
        self._console.print(Text(" " * 10 + text, style="dim"), soft_wrap=True)

    def show(self, status: Status) -> None:
        """Show what the station is doing now."""
        if self._live is not None:
            self._live.update(_picture(status))
            return
        phases = {bay.name: bay.phase for bay in status.bays}
        for bay in status.bays:
            if self._phases.get(bay.name) != bay.phase:
                counts = f"{bay.files_done}/{bay.files} files, {bay.replicated} uploaded, {bay.wiped} wiped"
                self.note(f"{bay.name}: {bay.phase}, {counts}. {bay.text}".rstrip())
        self._phases = phases


def _picture(status: Status) -> RenderableType:
    ledger = Text(f"ledger: {status.entries} entries, {status.published} of them published", style="dim")
    return Group(_table(status.bays), ledger) if status.bays else ledger


def _table(bays: Sequence[Bay]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for heading in ("", "recorder", "state", "read", "MB", "MB/s", "sealed", "uploaded", "wiped"):
        numbers = heading in {"MB", "MB/s", "sealed", "uploaded", "wiped"}
        table.add_column(heading, justify="right" if numbers else "left", no_wrap=True)
    for bay in bays:
        table.add_row(
            Text("●", style="bold green" if bay.removable else "bold red"),
            bay.name,
            Text(bay.phase, style=bay.colour),
            ProgressBar(total=max(1, bay.size_bytes), completed=bay.done_bytes, width=24),
            f"{bay.done_bytes / _MB:.1f}",
            f"{bay.bytes_per_second / _MB:.1f}" if bay.phase == "copying" else "",
            *(f"{count}/{bay.files}" for count in (bay.files_done, bay.replicated, bay.wiped)),
        )
    return table
