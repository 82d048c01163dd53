"""How recorders come to the station under torture: as folders here, as USB disks in `ports.py`."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from hwsim.faults.card_faults import Faults
from hwsim.faults.cards import CardMount
from hwsim.kernel.unprivileged import Unprivileged
from hwsim.quick import quick_card


class Recorders(Protocol):
    """The recorders of one round, by name; a context manager."""

    user: Unprivileged | None
    """Whom the daemon runs as; None for whoever runs hwsim."""

    def __enter__(self) -> Self:
        """Make what they take."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing of it."""

    def settings(self) -> Mapping[str, Mapping[str, object]]:
        """Give the tables of `station.toml` that are about bays."""

    def begin(self, config: Path) -> None:
        """Make ready what takes the station's configuration, before its daemon starts."""

    def make(self, name: str, files: Mapping[str, bytes], links: tuple[str, ...], faults: Faults) -> None:
        """Make the card of a recorder, which is not docked yet."""

    def heal(self, name: str, left: Faults) -> None:
        """Have nothing be wrong with a card any more but this."""

    def is_docked(self, name: str) -> bool:
        """Say whether a recorder is in its bay."""

    def dock(self, name: str) -> None:
        """Put it into its bay."""

    def pull(self, name: str) -> None:
        """Pull it out, busy or not."""

    def kill_mounter(self) -> None:
        """Kill what mounts cards for the station, if anything does, and start it again."""

    def cards(self) -> Mapping[str, Path]:
        """Give the folders with what is on each card; when the daemon does not run any more."""


class FolderRecorders:
    """Cards as sub-folders of the station's intake folder, on the file system of faults."""

    user: Unprivileged | None = None

    def __init__(self, folder: Path) -> None:
        self._mount = CardMount(folder)
        self._names: list[str] = []

    def __enter__(self) -> Self:
        self._mount.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._mount.__exit__(kind, error, trace)

    def settings(self) -> Mapping[str, Mapping[str, object]]:
        """Give the intake folder."""
        return {"bays": {"source": "directory", "folder": self._mount.bays, "settle_seconds": 0.1}}

    def begin(self, config: Path) -> None:
        """Nothing more is needed."""

    def make(self, name: str, files: Mapping[str, bytes], links: tuple[str, ...], faults: Faults) -> None:
        """Make the card below all faults, and say what is wrong with it."""
        root = self._mount.truth(name)
        quick_card(root, {os.fsencode(path): content for path, content in files.items()})
        for link in links:
            (root / link).symlink_to("/etc/passwd")
        self._mount.ail(name, faults)
        self._names.append(name)

    def heal(self, name: str, left: Faults) -> None:
        """Have nothing be wrong with a card any more but this."""
        self._mount.ail(name, left)

    def is_docked(self, name: str) -> bool:
        """Say whether a card is in its bay."""
        return self._mount.is_docked(name)

    def dock(self, name: str) -> None:
        """Put it into its bay."""
        (self._mount.shelf / name).rename(self._mount.bays / name)

    def pull(self, name: str) -> None:
        """Pull it out, busy or not."""
        self._mount.pull(name)

    def kill_mounter(self) -> None:
        """Nothing mounts folders."""

    def cards(self) -> Mapping[str, Path]:
        """Give the folders below all faults."""
        return {name: self._mount.truth(name) for name in self._names}
