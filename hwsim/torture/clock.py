"""A clock that can be stepped for the daemon alone: libfaketime, of the Debian package of that name.

It stands between the daemon and the C library's answers about wall-clock time; what never steps (CLOCK_MONOTONIC) it
leaves alone, as a real clock step does. The daemon itself knows nothing of it.
"""

from pathlib import Path
from typing import Final

_LIBRARIES: Final = tuple(
    Path("/usr/lib", triple, "faketime/libfaketimeMT.so.1") for triple in ("x86_64-linux-gnu", "aarch64-linux-gnu")
)


class SteppedClock:
    """The wall clock of one station."""

    def __init__(self, file: Path) -> None:
        """Keep the offset in a file, which the daemon's clock reads each time."""
        self._file = file
        self._library = next((each for each in _LIBRARIES if each.exists()), None)
        self.step(0)

    @staticmethod
    def missing() -> str:
        """Say what this machine lacks; nothing if it lacks nothing."""
        return "" if any(each.exists() for each in _LIBRARIES) else "not installed: libfaketime"

    def step(self, seconds: float) -> None:
        """Have the station's clock differ from the machine's by so much from now on."""
        making = self._file.with_suffix(".new")
        making.write_text(f"{seconds:+.0f}\n", "ascii")
        making.replace(self._file)

    def environment(self) -> dict[str, str]:
        """Give what makes a process take its time from here."""
        if self._library is None:
            return {}
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
