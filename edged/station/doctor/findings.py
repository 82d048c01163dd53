"""What a look at one part of an installation came to."""

from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem", "unseen"]
"""`problem`: the station does not work, or not as it should. `warning`: it works, and somebody should look.
`unseen`: who asks may not look, or there is nothing to look at yet; it says nothing either way."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One sentence about one thing."""

    check: str
    level: Level
    text: str
    hint: str = ""
    """What to do."""

    def plain(self) -> dict[str, str]:
        """Give it as plain values."""
        return asdict(self)


def ok(check: str, text: str) -> Finding:
    """Say that something is as it must be."""
    return Finding(check=check, level="ok", text=text)


def warning(check: str, text: str, hint: str) -> Finding:
    """Say that somebody should look at something."""
    return Finding(check=check, level="warning", text=text, hint=hint)


def problem(check: str, text: str, hint: str) -> Finding:
    """Say that something is wrong."""
    return Finding(check=check, level="problem", text=text, hint=hint)


def unseen(check: str, text: str, hint: str = "Run it as root.") -> Finding:
    """Say what could not be looked at."""
    return Finding(check=check, level="unseen", text=text, hint=hint)
