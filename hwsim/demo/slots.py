"""The bays of the demo's station and the recorders in them: folders, or in kernel mode USB disks of this machine."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from edged.clock import Clock
from hwsim.bays import dock, yank
from hwsim.cards import files_on
from hwsim.demo.stage import Stage
from hwsim.layouts.sidecar import connect
from hwsim.watching import ReadWatch


class Slots(Protocol):
    """Where recorders are docked; one bay a recorder."""

    kind: str
    """What a person reads of them."""

    def settings(self) -> Mapping[str, str | float]:
        """Give the keys of `station.toml` that the station needs for them."""

    def bay(self, recorder: str) -> str:
        """Give what the station calls a recorder's bay."""

    def dock(self, recorder: str) -> None:
        """Put a recorder into its bay."""

    def dock_and_watch(self, recorder: str) -> AbstractContextManager[ReadWatch]:
        """Put a recorder into its bay, and notice from the first one on which of its files are read."""

    def pull(self, recorder: str) -> None:
        """Take a recorder out of its bay, busy or not."""

    def files_on(self, recorder: str) -> list[bytes]:
        """Give the files that a recorder holds while it is not docked."""


class FolderSlots:
    """Bays as sub-folders of one folder: a card is docked by moving it there."""

    kind = "folders"

    def __init__(self, stage: Stage, clock: Clock, errors: Mapping[str, timedelta]) -> None:
        """`errors` says by how much the clock of each recorder is wrong."""
        self._stage = stage
        self._clock = clock
        self._errors = errors

    def settings(self) -> Mapping[str, str | float]:
        """Give the keys of `station.toml`."""
        return {"bays.source": "directory", "bays.folder": str(self._stage.bays)}

    def bay(self, recorder: str) -> str:
        """Give the bay: the folder's name."""
        return recorder

    def dock(self, recorder: str) -> None:
        """Put a recorder into its bay; what it writes when it is connected is kept to compare, too."""
        shown = self._clock.now() + self._errors[recorder]
        connect(self._stage.originals / recorder, shown)
        dock(self._shelf(recorder), self._stage.bays / recorder, shown=shown)

    @contextmanager
    def dock_and_watch(self, recorder: str) -> Iterator[ReadWatch]:
        """Put a recorder into its bay; a watch stays with its folder where that is moved to."""
        with ReadWatch(self._shelf(recorder)) as watch:
            self.dock(recorder)
            yield watch

    def pull(self, recorder: str) -> None:
        """Take a recorder out of its bay."""
        yank(self._stage.bays / recorder, self._shelf(recorder))

    def files_on(self, recorder: str) -> list[bytes]:
        """Give the files that a recorder holds."""
        return list(files_on(self._shelf(recorder)))

    def _shelf(self, recorder: str) -> Path:
        return self._stage.recorders / recorder
