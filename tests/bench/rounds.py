"""Contestants in turn: A B A B …, each from a cold page cache and with nothing of the one before under way.

What is counted of a turn is wall-clock time, and the CPU time (user and system) of this process and of the
children it waited for in that turn. A server that both contestants talk to is never waited for, so its work is
nobody's.
"""

import os
import resource
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

from edged.clock import SystemClock
from edged.vault.reread import resident_pages

_CLOCK = SystemClock()

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One measured run."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """Something to be measured; each of its functions is given the number of the round, from 1."""

    name: str
    run: Callable[[int], float | None]
    """The measured work; a tool that times itself better gives its seconds."""
    prepare: Callable[[int], object] = lambda _: None
    clean: Callable[[int], object] = lambda _: None


def take_turns(
    contestants: Sequence[Contestant], *, rounds: int, cold: Iterable[Path], tell: Callable[[str], None]
) -> dict[str, list[Turn]]:
    """Run each contestant once a round and give the turns by name; `cold` files are out of memory before each."""
    files = list(cold)
    turns: dict[str, list[Turn]] = {each.name: [] for each in contestants}
    for number in range(1, rounds + 1):
        for each in contestants:
            tell(f"Round {number} of {rounds}: {each.name}")
            each.prepare(number)
            try:
                make_cold(files)
                turn, own_seconds = timed(partial(each.run, number))
                turns[each.name].append(turn if own_seconds is None else replace(turn, seconds=own_seconds))
            finally:
                each.clean(number)
    return turns


def timed(work: Callable[[], _T]) -> tuple[Turn, _T]:
    """Measure one run; gives what came out of it, too."""
    cpu, begun = _cpu_seconds(), _CLOCK.monotonic()
    result = work()
    return Turn(seconds=_CLOCK.monotonic() - begun, cpu_seconds=_cpu_seconds() - cpu), result


def make_cold(files: Iterable[Path]) -> None:
    """Let everything dirty reach the disk, and drop the files from the page cache."""
    os.sync()
    warm = False
    for path in files:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            warm = warm or resident_pages(fd) > 0
        finally:
            os.close(fd)
    if warm and os.geteuid() == 0:
        # Some file systems keep pages in spite of the advice; dropping all clean ones is for root only.
        Path("/proc/sys/vm/drop_caches").write_text("1", "ascii")


def rates(turns: Iterable[Turn], size_bytes: int) -> list[float]:
    """Give megabytes (10^6) a second."""
    return [size_bytes / 1e6 / turn.seconds for turn in turns]


def cpu_per_gigabyte(turns: Iterable[Turn], size_bytes: int) -> list[float]:
    """Give CPU seconds a gigabyte (10^9 bytes)."""
    return [turn.cpu_seconds / (size_bytes / 1e9) for turn in turns]


def middle(samples: Iterable[float]) -> float:
    """Give the median."""
    return float(median(samples))


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
