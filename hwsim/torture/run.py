"""Many rounds, each with a seed of its own: tells of each in one line, and how to repeat those that failed."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edged.errors import ToolError, UsageError
from hwsim.faults.control import missing as fuse_missing
from hwsim.faults.disk import missing as disk_missing
from hwsim.kernel import bays
from hwsim.torture.clock import SteppedClock
from hwsim.torture.leftovers import alone_in
from hwsim.torture.plan import Means, make_plan
from hwsim.torture.round import Outcome, run_round
from hwsim.torture.store import Store


@dataclass(frozen=True, kw_only=True)
class Ability:
    """What this machine allows, and why not more."""

    means: Means
    lacking: tuple[str, ...]


def ability(*, in_kernel: bool) -> Ability:
    """Look what can be played here; raises ToolError where nothing can, UsageError without root for `in_kernel`."""
    if in_kernel and os.geteuid() != 0:
        raise UsageError("kernel mode needs root", hint="sudo hwsim torture --kernel")
    if lacks := fuse_missing():
        raise ToolError(f"Nothing can be tortured here: {lacks}.", hint="sudo apt-get install fuse")
    disk, clock = disk_missing(), SteppedClock.missing()
    lacking = []
    if disk:
        lacking.append(f"No power cuts and no full disks: {disk}.")
    if clock:
        lacking.append(f"No steps of the clock: {clock}.")
    return Ability(means=Means(disk=not disk, clock=not clock, kernel=in_kernel), lacking=tuple(lacking))


def torture(  # noqa: PLR0913 - the options of the command
    *, rounds: int, seed: int, means: Means, folder: Path | None, keep: bool, tell: Callable[[Outcome, Path], None]
) -> int:
    """Run rounds with the seeds from `seed` on; gives how many failed.

    Their folders stay; those of the others go unless `keep`. Raises UsageError while another one plays in this folder,
    ToolError where what an earlier one left mounted there cannot be unmounted.
    """
    root = Path(tempfile.mkdtemp(prefix="edged-torture-", dir="/var/tmp")) if folder is None else folder
    root.mkdir(parents=True, exist_ok=True)
    # In kernel mode the daemon is another user's.
    root.chmod(0o711)
    failed = 0
    with alone_in(root):
        shutil.rmtree(root / "store", ignore_errors=True)
        try:
            with Store(root / "store") as store:
                for each in range(seed, seed + rounds):
                    played = root / f"seed-{each}"
                    shutil.rmtree(played, ignore_errors=True)
                    outcome = run_round(make_plan(each, means), played, store)
                    tell(outcome, played)
                    failed += bool(outcome.complaints)
                    if not outcome.complaints and not keep:
                        shutil.rmtree(played)
        finally:
            shutil.rmtree(root / "store", ignore_errors=True)
            # Others may have recorders plugged in too; what is theirs stays, and so does hwsim's udevd for them.
            if means.kernel and not bays.docked():
                bays.clean()
            if not any(root.iterdir()):
                root.rmdir()
    return failed


class Telling:
    """Tells people, or programs, what rounds come to."""

    def __init__(self, say: Callable[[str], None], able: Ability, *, as_json: bool) -> None:
        self._say = say
        self._as_json = as_json
        self._rounds = 0
        if not as_json:
            for lack in able.lacking:
                say(lack)

    def round(self, outcome: Outcome, folder: Path) -> None:
        """Tell of one round."""
        self._rounds += 1
        if self._as_json:
            self._say(json.dumps(plain(outcome, folder)))
            return
        self._say(line(outcome))
        for each in lines_of_failure(outcome, folder) if outcome.complaints else ():
            self._say(each)

    def end(self, failed: int) -> None:
        """Tell the sum."""
        if not self._as_json:
            self._say(f"{self._rounds} rounds, {failed} of them failed")


def line(outcome: Outcome) -> str:
    """Tell of a round in one line."""
    plan = outcome.plan
    files = sum(len(card.files) for card in plan.cards)
    verdict = "all holds" if not outcome.complaints else f"{len(outcome.complaints)} THINGS DO NOT HOLD"
    told = ", ".join(plan.told())
    size = f"{len(plan.cards)} cards, {files} files, {outcome.entries} entries, {outcome.seconds:.1f} s"
    return f"seed {plan.seed}: {verdict} ({size}): {told}"


def lines_of_failure(outcome: Outcome, folder: Path) -> Iterator[str]:
    """Tell what does not hold, where to look, and how to repeat it."""
    yield from (f"    {complaint}" for complaint in outcome.complaints)
    yield f"    the daemon's words are in {folder / 'log'}, cards in {folder / 'recorders'}"
    if outcome.plan.means.disk:
        yield f"    the station's disk: mount -o loop,ro {folder / 'disk' / 'image'} /mnt"
    mode = " --kernel" if outcome.plan.means.kernel else ""
    yield f"    again: hwsim torture --rounds 1 --seed {outcome.plan.seed}{mode}"


def plain(outcome: Outcome, folder: Path) -> dict[str, Any]:
    """Give a round as plain values."""
    plan = outcome.plan
    return {
        "seed": plan.seed,
        "means": {"disk": plan.means.disk, "clock": plan.means.clock, "kernel": plan.means.kernel},
        "cards": len(plan.cards),
        "files": sum(len(card.files) for card in plan.cards),
        "entries": outcome.entries,
        "milliseconds": round(outcome.seconds * 1000),
        "acts": plan.told(),
        "holds": not outcome.complaints,
        "complaints": list(outcome.complaints),
        "folder": str(folder) if outcome.complaints else None,
    }
