"""The vendor's commands of a recorder profile: unlocking a recorder to storage mode, and setting its clock.

They touch the recorder before anything of it was read, so what was run, and what came of it, stands in the `docking`
entry under `commands`; one that failed is an anomaly as well. They run as the daemon's user, without a shell, with the
environment below and nothing else, in bounded time; footage is taken in whatever becomes of them.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from edged.bays.profiles import Profile, VendorCommand
from edged.bays.source import Docked
from edged.bays.volumes import Locked
from edged.child import run_child
from edged.clock import Clock, rfc3339
from edged.errors import ToolError
from edged.evidence.ids import BayId

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One run of a vendor's command."""

    purpose: Literal["unlock", "clock"]
    program: str
    """Its name, without the path."""
    outcome: Literal["done", "failed", "timeout", "not-started"]
    code: int | None
    """Exit code; None if it did not come to an end of its own."""
    time: str
    """When it was started, by the station's clock."""
    said: str = field(repr=False)
    """The end of what it printed, for the log; not for the ledger."""

    def plain(self) -> dict[str, str | int | None]:
        """Give what stands in the ledger."""
        return {key: value for key, value in asdict(self).items() if key != "said"}


class VendorCommands:
    """Runs them, and remembers what was run for a bay until its docking begins."""

    def __init__(self, clock: Clock, stop: threading.Event) -> None:
        self._clock = clock
        self._stop = stop
        self._lock = threading.Lock()
        self._unlocked: dict[BayId, Ran] = {}

    def unlock(self, profile: Profile, locked: Locked) -> Ran:
        """Unlock a recorder, if its profile says how."""
        if profile.unlock is None:
            raise ValueError("a profile without a command to unlock")
        environment = {
            "EDGED_BAY": locked.bay,
            "EDGED_PORT": locked.port,
            "EDGED_USB": locked.usb,
            "EDGED_SERIAL": locked.serial,
            "EDGED_NODE": locked.node,
        }
        ran = self._run("unlock", profile.unlock, environment)
        with self._lock:
            self._unlocked[locked.bay] = ran
        return ran

    def take_unlocked(self, bay: BayId) -> tuple[Ran, ...]:
        """Give the last unlocking in a bay, once."""
        with self._lock:
            ran = self._unlocked.pop(bay, None)
        return () if ran is None else (ran,)

    def set_clock(self, profile: Profile, docked: Docked) -> tuple[Ran, ...]:
        """Set a docked recorder's clock, if its profile says how."""
        if profile.clock is None:
            return ()
        device = docked.device
        environment = {
            "EDGED_BAY": docked.bay,
            "EDGED_PORT": "" if device is None else device.port,
            "EDGED_USB": "" if device is None else device.usb,
            "EDGED_SERIAL": "" if device is None else device.serial,
            "EDGED_FOLDER": str(docked.root.path),
        }
        return (self._run("clock", profile.clock, environment),)

    def _run(self, purpose: Literal["unlock", "clock"], command: VendorCommand, environment: Mapping[str, str]) -> Ran:
        program = Path(command.command[0]).name
        started = rfc3339(self._clock.now())
        deadline = self._clock.monotonic() + command.seconds
        outcome: Literal["done", "failed", "timeout", "not-started"]
        code: int | None = None
        try:
            finished = run_child(
                lambda _: list(command.command),
                wall_seconds=command.seconds,
                clock=self._clock,
                stop=self._stop,
                environment={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment},
            )
        except ToolError as error:
            outcome, said = "not-started", error.message
        else:
            said = (finished.stderr or finished.stdout).decode("utf-8", "replace").strip()[-500:]
            if finished.killed:
                outcome = "timeout" if self._clock.monotonic() >= deadline else "failed"
            else:
                code = finished.code
                outcome = "done" if code == 0 else "failed"
        _log.log(
            logging.INFO if outcome == "done" else logging.WARNING,
            "bay %s: %s (%s) %s %s",
            environment["EDGED_BAY"],
            program,
            purpose,
            outcome,
            ascii(said)[1:-1],
        )
        return Ran(purpose=purpose, program=program, outcome=outcome, code=code, time=started, said=said)
