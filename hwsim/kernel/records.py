"""What hwsim made in the kernel, on record: a file a device, written before the device is made, removed after it went.

So whatever is killed in between, `hwsim clean` finds all that was left behind.
"""

import threading
from pathlib import Path
from typing import Final

from edged.errors import UnavailableError
from hwsim.kernel.loops import Loop, candidates

RUN: Final = Path("/run/hwsim/kernel")

DEVICES: Final = RUN / "devices"
"""Of what is plugged in: what udev is to take it for, KEY=value a line."""

GONE: Final = RUN / "gone"
"""The same of what was pulled out, until nobody has it open any more."""

FILLING: Final = RUN / "filling"
"""Of images that are being filled: the folder where they are mounted."""


_PAUSE_SECONDS: Final = 0.02


def claim(kind: Path, text: str) -> Loop:
    """Put a device on record and make it; raises UnavailableError."""
    for folder in (DEVICES, GONE, FILLING):
        folder.mkdir(parents=True, exist_ok=True)
    for loop in candidates():
        record = kind / loop.name
        if loop.exists or any((folder / loop.name).exists() for folder in (DEVICES, GONE, FILLING)):
            continue
        record.write_text(text, "utf-8")
        if loop.add():
            return loop
        record.unlink()
    raise UnavailableError("no loop device is free")


def forget(loop: Loop, *, tries: int = 1) -> bool:
    """Remove a device from which nobody reads any more, and its records; False if somebody does."""
    pause = threading.Event()
    while loop.exists and not loop.remove():
        # Whoever pulled it may have been killed in between; and udev may be looking at it just now.
        loop.vanish()
        tries -= 1
        if tries <= 0 and not loop.remove():
            return False
        pause.wait(_PAUSE_SECONDS)
    for folder in (GONE, DEVICES, FILLING):
        (folder / loop.name).unlink(missing_ok=True)
    return True
