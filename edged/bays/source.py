"""Where recorders come from: each sub-folder of one folder is a docked recorder (the source `directory`).

Guarantees: arrivals and departures are told in order, from one thread; an arrival is told once two looks at its tree,
`settle_seconds` apart, saw the same, and only its departure makes room for another arrival under the same name.
Another folder under an old name is a departure and an arrival. Events of the kernel make it quick; what they miss, a
look at the one top folder every few seconds finds, also when that folder itself went away and came back.

Only the top folder is watched: to follow a tree with the kernel's events takes a watch a folder, of which a hostile
card could use up all, and watchdog's own way of doing it races with the program that fills the tree.
"""

import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from watchdog.events import DirCreatedEvent, DirDeletedEvent, DirMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

from edged.bays.inventory import Filesystem, Inventory, take_inventory
from edged.bays.safe_files import RecorderGoneError, Root
from edged.clock import Clock
from edged.errors import ConfigError, RecorderError, RefusedRecorderError, StoppedError, UnavailableError
from edged.evidence.ids import BayId, bay_called, escape_path

_COMING_AND_GOING: Final[list[type[FileSystemEvent]]] = [DirCreatedEvent, DirDeletedEvent, DirMovedEvent]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Docked:
    """A recorder's card in a bay, not yet recognised."""

    bay: BayId
    root: Root
    hint: str
    """Name of the folder, escaped like a path: perhaps the recorder's number, perhaps only the bay's."""
    filesystem: Filesystem
    device: "Device | None" = None
    """What udev says of it; None where cards appear as folders."""
    plugged: "Plugged | None" = None
    """When it came; None where it was there before anybody looked, or was handed in."""


@dataclass(frozen=True, kw_only=True)
class Plugged:
    """Between which two moments a card came, on the station's clock that never steps (`Clock.monotonic`)."""

    earliest: float
    """It was not there before, as far as the station looked."""
    latest: float
    """It was there, and its recorder wrote nothing more."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """The device that a card is in, as it names itself and where it is plugged in."""

    usb: str
    """VENDOR:PRODUCT in lower-case hex."""
    serial: str
    """Serial number of the USB device; empty if it has none. Cheap ones all bear the same."""
    port: str
    """`ID_PATH`."""


class Source(Protocol):
    """Tells which recorders are docked, and lets their cards be written to for the wipe."""

    @property
    def keeps_read_only(self) -> bool:
        """Say whether nobody, from a card's arrival until it is held writable, can change what is on it."""

    def start(self) -> None:
        """Begin to tell; recorders that are docked already are told as arrivals."""

    def stop(self) -> None:
        """Stop telling; no departure is told by stopping, and no call is under way after it returns."""

    def close(self) -> None:
        """Let go of every card; after `stop`, when nothing reads any more."""

    def writable(self, docked: Docked) -> AbstractContextManager[Root]:
        """Hold the card writable; when it ends well, all that was written or erased is on the card.

        Raises RecorderGoneError if it left, RefusedRecorderError if its file system must not be written to.
        """

    def forget(self, docked: Docked) -> None:
        """Drop what the kernel remembers of the card beyond the pages of its files; raises RecorderError."""


_PATIENCE_SECONDS: Final = 10.0
"""After so long a folder that does not come to rest is told of."""


class _Handler(FileSystemEventHandler):
    def __init__(self, tell: Callable[[FileSystemEvent], None]) -> None:
        self._tell = tell

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._tell(event)


class _Slot:
    """One sub-folder: settling until `docked` is set."""

    def __init__(self, root: Root, earliest: float | None, came: float) -> None:
        self.root = root
        self.came = came
        self.earliest = earliest
        self.looked_at = 0.0
        self.seen: Inventory | None = None
        self.waits = False
        self.unsettled: BayId | None = None
        """The bay for which it was told that this does not come to rest."""
        self.docked: Docked | None = None


class DirectorySource:
    """Tells of the sub-folders of `folder`; those with a leading dot do not count.

    `on_arrival` and `on_departure` are called from one thread of the source's own; they hand over and return, and do
    not raise. So are `on_unsettled`, for a folder that has not come to rest for a while, and `on_settled` when that is
    over: nothing is taken of what somebody is still filling, but it is there. `rescan_seconds`, at least 1, is how
    often the folder is looked at when the kernel tells nothing.
    """

    keeps_read_only: Final = False

    def __init__(  # noqa: PLR0913 - the callbacks and the clock belong to the source's one purpose
        self,
        folder: Path,
        settle_seconds: float,
        on_arrival: Callable[[Docked], None],
        on_departure: Callable[[Docked], None],
        *,
        clock: Clock,
        rescan_seconds: float = 3.0,
        on_unsettled: Callable[[BayId], None] = lambda _: None,
        on_settled: Callable[[BayId], None] = lambda _: None,
    ) -> None:
        self._on_unsettled = on_unsettled
        self._on_settled = on_settled
        self._folder = folder
        self._settle_seconds = settle_seconds
        self._on_arrival = on_arrival
        self._on_departure = on_departure
        self._clock = clock
        self._rescan_seconds = max(1.0, rescan_seconds)
        self._slots: dict[bytes, _Slot] = {}
        self._looked_at: float | None = None
        self._left: set[bytes] = set()
        self._left_lock = threading.Lock()
        self._watched: tuple[int, int] | None = None
        self._watch: ObservedWatch | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bays", daemon=True)

    def start(self) -> None:
        """Begin to tell; raises ConfigError if the folder cannot be listed, UnavailableError without inotify."""
        try:
            with os.scandir(self._folder):
                pass
        except OSError as error:
            raise ConfigError(
                f"The folder of docked recorders, {self._folder}, cannot be listed: {error.strerror}.",
                hint="Make it, or correct bays.folder in station.toml.",
            ) from error
        try:
            self._observer = Observer()
            self._observer.start()
        except OSError as error:
            raise UnavailableError(
                f"The kernel gives no more notice of files: {error.strerror}.",
                hint="Raise fs.inotify.max_user_instances with sysctl.",
            ) from error
        self._thread.start()

    def stop(self) -> None:
        """Stop telling; no departure is told by stopping, and no call is under way after it returns."""
        if self._thread.ident is None:
            return
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        self._observer.stop()
        self._observer.join()

    def close(self) -> None:
        """Let go of every card: a folder needs nothing."""

    def forget(self, docked: Docked) -> None:
        """Drop what the kernel remembers of the card: of a folder nothing beyond the pages of its files."""

    @contextmanager
    def writable(self, docked: Docked) -> Iterator[Root]:
        """Hold the card writable: in a folder it is, if it is there. Raises RecorderGoneError if it left."""
        docked.root.check()
        yield docked.root

    def _run(self) -> None:
        while not self._stopping.is_set():
            seen = self._look()
            self._wake.wait(self._pause() if seen else self._rescan_seconds)
            self._wake.clear()

    def _pause(self) -> float:
        """Give the seconds to the next thing that time alone brings."""
        settling = [slot.looked_at for slot in self._slots.values() if slot.docked is None]
        if not settling:
            return self._rescan_seconds
        due = min(settling) + self._settle_seconds - self._clock.monotonic()
        return min(max(due, 0.01), self._rescan_seconds)

    def _look(self) -> bool:
        """Tell what came and went; False if nothing could be seen."""
        with self._left_lock:
            # Before the scan: whatever leaves from here on is told again.
            left, self._left = self._left, set()
        before, self._looked_at = self._looked_at, self._clock.monotonic()
        present = self._scan()
        if present is None or self._watched is None:
            # Whatever shows up after this may have been plugged in all the while.
            self._looked_at = None
        if present is None:
            with self._left_lock:
                self._left |= left
            return False
        for name, slot in sorted(self._slots.items()):
            # An inode number is soon used again: a name that was seen leaving has left, whatever has it now.
            if name in left or present.get(name) != slot.root:
                del self._slots[name]
                self._tell_settled(slot)
                if slot.docked is not None:
                    self._on_departure(slot.docked)
        for name, root in sorted(present.items()):
            if name not in self._slots:
                self._slots[name] = _Slot(root, before, self._clock.monotonic())
                self._rests(self._slots[name])
        for name, slot in sorted(self._slots.items()):
            if slot.docked is None and self._clock.monotonic() - slot.looked_at >= self._settle_seconds:
                self._settle(name, slot)
        return True

    def _settle(self, name: bytes, slot: _Slot) -> None:
        if self._rests(slot):
            self._announce(name, slot)
        elif slot.unsettled is None and self._clock.monotonic() - slot.came >= _PATIENCE_SECONDS:
            slot.unsettled = bay_called(escape_path(name))
            self._on_unsettled(slot.unsettled)

    def _tell_settled(self, slot: _Slot) -> None:
        if slot.unsettled is not None:
            self._on_settled(slot.unsettled)
            slot.unsettled = None

    def _scan(self) -> dict[bytes, Root] | None:
        """List the sub-folders that are there now: none if the folder itself is not, None if nothing is known."""
        found = {}
        try:
            status = self._folder.stat()
            self._follow((status.st_dev, status.st_ino))
            with os.scandir(os.fsencode(self._folder)) as entries:
                for entry in entries:
                    if root := self._root_of(entry):
                        found[entry.name] = root
        except (FileNotFoundError, NotADirectoryError):
            if self._watched is not None:
                _log.warning("the folder of docked recorders is gone; it is taken up again when it is back")
            self._follow(None)
            return {}
        except OSError as error:
            # Too many open files, say: that nothing could be seen does not mean that anybody left.
            _log.warning("the folder of docked recorders cannot be listed: %s", error.strerror)
            return None
        return found

    def _root_of(self, entry: os.DirEntry[bytes]) -> Root | None:
        if entry.name.startswith(b"."):
            return None
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return None
        if not stat.S_ISDIR(status.st_mode):
            return None
        return Root(path=self._folder / os.fsdecode(entry.name), device=status.st_dev, inode=status.st_ino)

    def _follow(self, identity: tuple[int, int] | None) -> None:
        """Have the kernel tell of this very folder: it may have been made anew under its old path."""
        if identity == self._watched:
            return
        if self._watch is not None:
            self._observer.unschedule(self._watch)
        self._watched = identity
        self._watch = None if identity is None else self._watch_top()

    def _watch_top(self) -> ObservedWatch | None:
        def tell(event: FileSystemEvent) -> None:
            if isinstance(event, DirDeletedEvent | DirMovedEvent):
                with self._left_lock:
                    self._left.add(os.fsencode(event.src_path).rpartition(b"/")[2])
            self._wake.set()

        try:
            return self._observer.schedule(_Handler(tell), str(self._folder), event_filter=_COMING_AND_GOING)
        except OSError as error:
            # Gone again, or the kernel has no watch left: the look every few seconds still finds it.
            _log.warning("no notice of recorders, only a look every few seconds: %s", error.strerror)
            return None

    def _rests(self, slot: _Slot) -> bool:
        """Look at the tree and say whether it is as it was at the last look."""
        if self._watched is None or slot.root.device != self._watched[0]:
            # Something is mounted there: a card as a whole, which nobody fills, and which may be slow to walk.
            return True
        before = slot.seen
        try:
            slot.seen = take_inventory(slot.root, self._stopping)
        except (RecorderGoneError, StoppedError):
            return False
        except (RecorderError, RefusedRecorderError):
            # Whoever takes the inventory next finds the same, and tells it.
            return True
        finally:
            slot.looked_at = self._clock.monotonic()
        return slot.seen == before

    def _announce(self, name: bytes, slot: _Slot) -> None:
        hint = escape_path(name)
        bay = bay_called(hint)
        if any(other.docked and other.docked.bay == bay for other in self._slots.values()):
            # Two names were mapped to one id; the later one waits until the bay is free.
            if not slot.waits:
                _log.warning("bay %s is taken; a folder whose name maps to the same id waits", bay)
            slot.waits, slot.looked_at = True, self._clock.monotonic()
            return
        slot.seen = None
        self._tell_settled(slot)
        filesystem = Filesystem(type="directory", label=None, serial=None)
        now = self._clock.monotonic()
        plugged = None if slot.earliest is None else Plugged(earliest=slot.earliest, latest=now)
        slot.docked = Docked(bay=bay, root=slot.root, hint=hint, filesystem=filesystem, plugged=plugged)
        self._on_arrival(slot.docked)
