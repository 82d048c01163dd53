"""Waiting for what others do."""

import threading
from collections.abc import Callable

from edged.clock import SystemClock


def wait_for(condition: Callable[[], object], seconds: float, *, pause_seconds: float = 0.02) -> bool:
    """Wait until a condition is true, for so long; says whether it became so."""
    clock, pause = SystemClock(), threading.Event()
    deadline = clock.monotonic() + seconds
    while not condition():
        if clock.monotonic() > deadline:
            return False
        pause.wait(pause_seconds)
    return True
