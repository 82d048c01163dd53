"""The one place that reads the time. Everything else is given a `Clock`.

A station's clock is a claim, never a proof (EVIDENCE.md, section 5), so each reading comes with what the
operating system says about its synchronisation.
"""

import ctypes
import os
import time
from datetime import UTC, datetime
from typing import Literal, Protocol

ClockState = Literal["synchronised", "unsynchronised"]

_TIME_ERROR = 5
"""Return value of adjtimex(2): the clock is not synchronised to a reliable server."""


class Clock(Protocol):
    """What the parts of edged may ask about time."""

    def now(self) -> datetime:
        """Give the station's wall clock, aware, in UTC, cut to milliseconds."""

    def monotonic(self) -> float:
        """Give seconds on a clock that never steps, time asleep counted; only differences mean anything."""

    def state(self) -> ClockState:
        """Say whether the operating system holds its clock synchronised now."""


class SystemClock:
    """The clock of the machine."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def now(self) -> datetime:
        """Give the station's wall clock, aware, in UTC, cut to milliseconds."""
        return from_ms(time.time_ns() // 1_000_000)

    def monotonic(self) -> float:
        """Give seconds on a clock that never steps, time asleep counted; only differences mean anything."""
        # Not CLOCK_MONOTONIC, which stands still while the machine sleeps: the wall clock goes on then, and would seem
        # to have been set.
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def state(self) -> ClockState:
        """Ask adjtimex(2), read-only; a kernel that will not say counts as unsynchronised."""
        # struct timex is 208 bytes on 64-bit Linux; its first field, modes, is 0: change nothing.
        timex = ctypes.create_string_buffer(512)
        answer = self._libc.adjtimex(timex)
        return "synchronised" if 0 <= answer < _TIME_ERROR else "unsynchronised"


def from_ms(milliseconds: int) -> datetime:
    """Give the UTC time that lies `milliseconds` after the Unix epoch, without rounding through a float."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def rfc3339(moment: datetime) -> str:
    """Write an aware time as EVIDENCE.md section 2 wants it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def from_rfc3339(text: str) -> datetime:
    """Read an RFC 3339 time with its offset; raises ValueError for anything without one."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return moment


def random_hex(digits: int) -> str:
    """Give random lower-case hex digits for ids and salts, from the operating system."""
    return os.urandom((digits + 1) // 2).hex()[:digits]
