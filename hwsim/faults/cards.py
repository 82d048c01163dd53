"""Cards whose faults are chosen: a shelf and bays on one FUSE, so that docking is a rename as everywhere in hwsim.

Whoever is allowed to use FUSE may do this; it takes no root.
"""

from pathlib import Path
from typing import Self

from hwsim.faults import BAYS, SHELF
from hwsim.faults.card_faults import Faults
from hwsim.faults.control import Process


class CardMount:
    """The cards of one station; a context manager, mounted while it lasts."""

    def __init__(self, folder: Path) -> None:
        """Keep everything in `folder`, which is made."""
        self._below = folder / "below"
        self._mount = folder / "cards"
        self._process = Process("cards", self._below, self._mount)

    def __enter__(self) -> Self:
        for name in (BAYS, SHELF):
            (self._below / name).mkdir(parents=True, exist_ok=True)
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    @property
    def bays(self) -> Path:
        """The station's intake folder."""
        return self._mount / BAYS

    @property
    def shelf(self) -> Path:
        """Where cards lie that are not docked."""
        return self._mount / SHELF

    def truth(self, card: str) -> Path:
        """Give where the card's folder lies below all faults; wherever the card is now."""
        docked = self._below / BAYS / card
        return docked if docked.is_dir() else self._below / SHELF / card

    def is_docked(self, card: str) -> bool:
        """Say whether a card is in a bay."""
        return (self._below / BAYS / card).is_dir()

    def ail(self, card: str, faults: Faults) -> None:
        """Have these things be wrong with a card from now on, and no others."""
        self._process.tell(do="faults", card=card, faults=faults.plain())

    def heal(self, card: str) -> None:
        """Have nothing be wrong with a card any more."""
        self._process.tell(do="heal", card=card)

    def pull(self, card: str) -> None:
        """Pull a card out, whatever is being read: what is open on it fails from now on."""
        self._process.tell(do="pull", card=card)

    @property
    def pulled(self) -> tuple[str, ...]:
        """The cards that were pulled out by a fault or by `pull`, in order."""
        return tuple(self._process.tell(do="state")["pulled"])
