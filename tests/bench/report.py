"""The result of a run: rows of medians against their budgets, as a table for people and as JSON for programs."""

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table

from edged.vault.reread import file_system
from tests.bench.rounds import middle
from tests.bench.setting import Scale

_WIDTH = 132

Unit = Literal["MB/s", "CPU s", "CPU s/GB", "s", "ms", "MiB", "%", "a second", "files/s", "times"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One question of the budget and its answer."""

    what: str
    unit: Unit
    edged: list[float]
    """One sample a round."""
    peer: str = ""
    """What edged is compared with; nothing for a budget in plain numbers."""
    theirs: list[float] = field(default_factory=list)
    at_least: float | None = None
    """The budget: of the ratio to the peer, else of the number itself. Neither bound: for information."""
    at_most: float | None = None
    lacking: str = ""
    """What edged lacks for this to be its own work: such a row is never met."""
    note: str = ""

    @property
    def value(self) -> float:
        """What the budget is about: edged's median as a multiple of the peer's, or the median alone."""
        return middle(self.edged) / middle(self.theirs) if self.theirs else middle(self.edged)

    @property
    def met(self) -> bool | None:
        """Whether the budget is met; None without one."""
        if self.at_least is None and self.at_most is None:
            return None
        enough = self.at_least is None or self.value >= self.at_least
        little = self.at_most is None or self.value <= self.at_most
        return enough and little and not self.lacking

    def plain(self) -> dict[str, object]:
        """Give the row as JSON values."""
        peer = {"name": self.peer, "median": middle(self.theirs), "samples": self.theirs} if self.theirs else None
        return {
            "what": self.what,
            "unit": self.unit,
            "edged": {"median": middle(self.edged), "samples": self.edged},
            "peer": peer,
            "value": self.value,
            "at_least": self.at_least,
            "at_most": self.at_most,
            "met": self.met,
            "lacking": self.lacking,
            "note": self.note,
        }


@dataclass(kw_only=True)
class Report:
    """All rows, and where they were measured."""

    scale: Scale
    folder: Path
    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    load: list[float] = field(default_factory=lambda: [os.getloadavg()[0]])
    """Load average over a minute before and after: what others did to the numbers."""

    def finish(self) -> None:
        """Note that the measuring is over."""
        self.load.append(os.getloadavg()[0])

    def as_json(self) -> str:
        """Give the whole as JSON."""
        document = {
            "mode": self.scale.name,
            "files_bytes": self.scale.files_bytes,
            "upload_bytes": self.scale.upload_bytes,
            "segments": self.scale.segments,
            "rounds": self.scale.rounds,
            "machine": {
                "cores": os.cpu_count(),
                "system": platform.platform(),
                "file_system": file_system(self.folder),
                "load_before_and_after": self.load,
            },
            "rows": [row.plain() for row in self.rows],
            "left_out": self.left_out,
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    def show(self) -> None:
        """Print the table, the notes, and what was left out."""
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = _WIDTH
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("what")
        for title in ("edged", "peer", "", "ratio", "budget"):
            table.add_column(title, justify="left" if title == "peer" else "right", no_wrap=title != "peer")
        table.add_column("met")
        for row in self.rows:
            table.add_row(*_cells(row))
        console.print(table)
        for row in self.rows:
            for text in filter(None, (row.lacking, row.note)):
                console.print(f"{row.what}{f' beside {row.peer}' if row.peer else ''}: {text}")
        for text in self.left_out:
            console.print(f"Left out: {text}")
        scale = self.scale
        console.print(
            f"{scale.name}: {scale.files_bytes >> 20} MiB of files, {scale.segments} segments in the book, medians of "
            f"{scale.rounds}; {os.cpu_count()} cores, {file_system(self.folder)}, load {self.load[0]:.1f} before and "
            f"{self.load[-1]:.1f} after."
        )


def _cells(row: Row) -> tuple[str, ...]:
    bound = row.at_least if row.at_most is None else row.at_most
    unit = "" if row.theirs else f" {row.unit}"
    budget = "" if bound is None else f"{'≥' if row.at_most is None else '≤'} {_number(bound)}{unit}"
    return (
        row.what,
        f"{_number(middle(row.edged))} {row.unit}",
        row.peer,
        f"{_number(middle(row.theirs))} {row.unit}" if row.theirs else "",
        _number(row.value) if row.theirs else "",
        budget,
        {True: "yes", False: "NO", None: ""}[row.met],
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
