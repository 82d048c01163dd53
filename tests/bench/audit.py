"""Auditing a large book: `edged ledger audit` in a process of its own, from a cold cache."""

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from edged.clock import SystemClock
from edged.errors import LedgerError
from tests.bench.report import Row
from tests.bench.rounds import make_cold
from tests.bench.setting import Setting
from tests.bench.station import BenchStation

_EDGED: Final = Path(sys.executable).with_name("edged")
_KIB: Final = 1024
_LOOK_SECONDS: Final = 0.2


def measure(setting: Setting, station: BenchStation, entries: int) -> list[Row]:
    """Audit the book once: every entry read twice, parsed, and hashed up to the root."""
    setting.tell(f"ledger: auditing {entries} entries")
    make_cold([station.state / "book.sqlite"])
    seconds, memory_mib = audit(station.state)
    name = f"{entries} entries"
    return [
        Row(what=f"edged ledger audit, {name}", unit="a second", edged=[entries / seconds]),
        Row(what=f"memory of edged ledger audit, {name}", unit="MiB", edged=[memory_mib]),
    ]


def audit(state: Path) -> tuple[float, float]:
    """Give the seconds that an audit took, and the most memory it held in MiB."""
    clock = SystemClock()
    begun = clock.monotonic()
    command = [str(_EDGED), "ledger", "audit", str(state), "--trust", str(state / "keys" / "root.pem")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    pause, most_kib = threading.Event(), 0
    while process.poll() is None:
        # Not what the system counts at its end: that includes what the bench held when it began the process.
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        most_kib = int(found[1]) if found else most_kib
        pause.wait(_LOOK_SECONDS)
    # Whoever brings no authority along may be told that something is open, and nothing else.
    if process.returncode not in {0, 2}:
        raise LedgerError(f"The audit ended with {process.returncode}.")
    return clock.monotonic() - begun, most_kib / _KIB
