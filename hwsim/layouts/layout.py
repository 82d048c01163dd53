"""What a layout decides: which formats a recorder writes, how it names them, what it puts beside them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from hwsim.cards import CardFile, Content
from hwsim.video import Format


@dataclass(frozen=True, kw_only=True)
class Worn:
    """A recorder, and the officer who wears it."""

    device: str
    """What the recorder calls itself: a device number, or the volume name of a plain camera."""

    officer: str
    """The officer's number as the recorder holds it."""

    zone: ZoneInfo
    """The zone its clock is set to."""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One numbered file of a recorder."""

    number: int
    """The recorder's own counter, from 1."""

    began: datetime
    """By the recorder's clock, in its zone."""

    seconds: int
    """How long it lasts; 0 for a photo."""

    important: bool = False
    """Whether the officer pressed the importance key."""

    format: Format

    content: Content

    @property
    def ended(self) -> datetime:
        """When it ended, by the recorder's clock."""
        return self.began + timedelta(seconds=self.seconds)


class Layout(Protocol):
    """One vendor's way of filling a card."""

    name: str

    extras: tuple[Format, ...]
    """What such a recorder holds besides video: a photo, a sound; numbered like video."""

    def format(self, index: int) -> Format:
        """Say what the `index`-th recording (from 0) is written as; only MP4 is ever cut into segments."""

    def path(self, worn: Worn, shot: Shot) -> bytes:
        """Give the path of `shot` on the card."""

    def beside(self, worn: Worn, shots: tuple[Shot, ...], seed: int) -> tuple[CardFile, ...]:
        """Give the files that such a recorder writes by itself beside the shots."""
