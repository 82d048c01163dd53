"""The bays of a station in directory mode: a card is docked while its folder lies in the intake folder.

Docking and taking out are one rename(2) each, so a card is wholly there or wholly gone, also while it is being
read. What lies in a card is touched by nobody here but its recorder, when it is connected.
"""

import errno
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edged.errors import UnreadableError, UsageError
from hwsim.cards import files_on
from hwsim.layouts.sidecar import connect


@dataclass(frozen=True, kw_only=True)
class DockedCard:
    """A card in a bay."""

    name: str
    """Name of its folder: the bay, and for a plain camera its volume name."""

    files: int
    """Regular files on it now."""

    size_bytes: int
    """Their bytes."""


def dock(card: Path, bay: Path, *, shown: datetime | None = None) -> None:
    """Put the card folder `card` into `bay`, a name in the intake folder that must be free.

    A recorder that writes something when it is connected writes that its clock shows `shown` then, if that is given.
    Raises UsageError if that cannot be, UnreadableError if there is no such card or intake folder.
    """
    if shown is not None and card.is_dir():
        connect(card, shown)
    if bay.name.startswith("."):
        raise UsageError(f"{bay.name} is no name for a docked card: it begins with a dot")
    _move(card, bay)


def yank(bay: Path, to: Path) -> None:
    """Take the docked card `bay` out to the folder `to`, which must not exist yet, busy or not.

    Raises as `dock` does.
    """
    _move(bay, to)


def docked(intake: Path) -> tuple[DockedCard, ...]:
    """List the cards in the folder `intake`, by name; raises UnreadableError."""
    try:
        bays = sorted(path for path in intake.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError as error:
        raise UnreadableError(f"the intake folder {intake} cannot be read: {error.strerror}") from error
    return tuple(_card(bay) for bay in bays)


def _card(bay: Path) -> DockedCard:
    sizes = []
    for path in files_on(bay):
        try:
            sizes.append((bay / path.decode("utf-8", "surrogateescape")).lstat().st_size)
        except FileNotFoundError:
            continue  # a station is wiping it while we look
    return DockedCard(name=bay.name, files=len(sizes), size_bytes=sum(sizes))


def _move(card: Path, to: Path) -> None:
    if not card.is_dir() or card.is_symlink():
        raise UnreadableError(f"{card} is no card: there is no such folder")
    if not to.parent.is_dir():
        raise UnreadableError(f"{to.parent} is no folder", hint="The intake folder is made by the station.")
    # rename(2) would replace an empty folder without a word, and a wiped card may be one.
    if to.exists() or to.is_symlink():
        raise UsageError(f"{to} is taken", hint="Name a free bay, or take out what lies there.")
    try:
        card.rename(to)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise UsageError(
                f"{card} and {to.parent} lie on different file systems, so it cannot move in one piece",
                hint="Make the card beside the intake folder.",
            ) from error
        raise UnreadableError(f"{card} cannot be moved to {to}: {error.strerror}") from error
