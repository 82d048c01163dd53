"""Where recorders come from in a docking station: the devices that udev tells of (the source `udev`).

Guarantees: arrivals and departures are told in order, from one thread; between an arrival and its departure no other
recorder is told for the same bay. Only what `volumes.judge` lets through is mounted, by the mounter, each on a thread
of its own, so that a card that does not answer keeps nobody waiting. What leaves is told to have left at once, mounted
and busy or not. A refusal is told once a device, however many partitions it has and however the plug is wiggled.
Devices present at the start count as arrivals; events that were lost are made up for by looking at all devices again.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from edged.bays.inventory import Filesystem
from edged.bays.presence import Presence
from edged.bays.safe_files import RecorderGoneError, Root
from edged.bays.source import Device, Docked, Plugged
from edged.bays.uevents import Uevent, Uevents
from edged.bays.volumes import Known, Locked, Refusal, Volume, judge, port_of, read_locked, read_volume
from edged.clock import Clock
from edged.errors import EdgedError
from edged.evidence.ids import BayId, escape_path

_log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 10.0
"""How often all devices are looked at when nothing is told."""
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_DOUBT_SECONDS: Final = 2.0
"""How long a disk may hold no file system before that is told."""
_WIGGLE_SECONDS: Final = 60.0
"""A device that comes back within this time is not told as refused another time."""


class Mount(Protocol):
    """A card that is mounted, read-only, until it is released or its device goes."""

    folder: Path

    def writable(self) -> None:
        """Mount it writable; raises RefusedRecorderError if its file system must not be written to, RecorderError."""

    def read_only(self) -> None:
        """Write back all of it and mount it read-only; raises RecorderError."""

    def forget(self) -> None:
        """Have the kernel drop what it remembers of the card's device; raises RecorderError."""

    def lost(self) -> bool:
        """Say whether the mounter let go of it by itself."""

    def release(self) -> None:
        """Unmount it, at once and from any thread."""


class Mounter(Protocol):
    """Mounts what udev marked as a bay's."""

    def mount(self, device: str, medium: int) -> Mount:
        """Mount the device MAJOR:MINOR; raises RefusedRecorderError with the reason, or an error that may pass."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """Whom the source tells; all from one thread of its own. They hand over and return, and do not raise."""

    arrival: Callable[[Docked], None]
    departure: Callable[[Docked], None]
    refusal: Callable[[Refusal], None]
    """A device that is not taken in."""
    withdrawal: Callable[[Refusal], None]
    """A refused device that left, or was taken in after all."""
    locked: Callable[[Locked], None]
    """A recorder that is no storage before it is unlocked; told once a port until `unlocked`."""
    unlocked: Callable[[Locked], None]
    """Such a recorder left, perhaps to come back as storage."""


class _Slot:
    """One volume that concerns a bay."""

    def __init__(self, volume: Volume, bay: BayId | None, since: float) -> None:
        self.volume = volume
        self.bay = bay
        self.since = since
        self.trying = False
        self.pause = 0.0
        self.again_at: float | None = None
        self.mount: Mount | None = None
        self.docked: Docked | None = None
        self.doubted: Refusal | None = None
        self.refusal: Refusal | None = None


@dataclass(frozen=True, kw_only=True)
class _Result:
    """What became of an attempt to mount."""

    slot: _Slot
    mount: Mount | None = None
    root: Root | None = None
    error: EdgedError | None = None


_Key = tuple[BayId | None, str, str, str]


class UdevSource:
    """Tells of recorders at the ports of the station."""

    keeps_read_only: Final = True

    def __init__(self, known: Known, told: Told, *, mounter: Mounter, events: Uevents, clock: Clock) -> None:
        self._known = known
        self._told = told
        self._mounter = mounter
        self._events = events
        self._clock = clock
        self._slots: dict[str, _Slot] = {}
        self._presence = Presence()
        self._results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        self._locked: dict[str, Locked] = {}
        self._refused: dict[_Key, set[str]] = {}
        self._refused_at: dict[_Key, float] = {}
        self._cards: dict[BayId, tuple[Docked, Mount]] = {}
        self._lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="udev", daemon=True)

    def start(self) -> None:
        """Begin to tell; recorders that are docked already are told as arrivals."""
        self._thread.start()

    def stop(self) -> None:
        """Stop telling; no departure is told by stopping, and no call is under way after it returns.

        Cards stay mounted, so that whoever reads one can come to an end; `close` lets go of them.
        """
        if self._thread.ident is None or self._stopping:
            return
        with self._lock:
            self._stopping = True
            self._events.wake()
        self._thread.join()
        with suppress(queue.Empty):
            while (late := self._results.get_nowait()) is not None:
                if late.mount is not None:
                    late.mount.release()
        self._events.close()

    def close(self) -> None:
        """Let go of every card; after `stop`, when nothing reads any more. The end of the process does the same."""
        with self._lock:
            cards, self._cards = self._cards, {}
        for _, mount in cards.values():
            mount.release()

    @contextmanager
    def writable(self, docked: Docked) -> Iterator[Root]:
        """Hold the card writable; when it ends well, all that was written or erased is on the card.

        Raises RecorderGoneError if it left, RefusedRecorderError if its file system must not be written to.
        """
        mount = self._mount_of(docked)
        mount.writable()
        try:
            docked.root.check()
            yield docked.root
        except BaseException:
            with suppress(EdgedError):
                mount.read_only()
            raise
        mount.read_only()

    def forget(self, docked: Docked) -> None:
        """Drop what the kernel remembers of the card, so that it is read anew; raises RecorderError."""
        self._mount_of(docked).forget()

    def _mount_of(self, docked: Docked) -> Mount:
        with self._lock:
            held = self._cards.get(docked.bay)
        if held is None or held[0] is not docked:
            raise RecorderGoneError("The recorder is not there any more.")
        return held[1]

    # ------------------------------------------------------------------------------ the one thread that tells

    def _run(self) -> None:
        look_at = self._clock.monotonic()
        while not self._stopping:
            now = self._clock.monotonic()
            if now >= look_at:
                self._look()
                look_at = now + _LOOK_SECONDS
            self._try_again(now)
            happened = self._events.wait(max(0.0, min(look_at, self._next_try()) - self._clock.monotonic()))
            heard_at = self._clock.monotonic()
            if happened is None:
                _log.warning("events of udev were lost; all devices are looked at again")
                look_at = now
            else:
                for event in happened:
                    self._happened(event)
                self._presence.hear(heard_at)
            self._collect()

    def _look(self) -> None:
        """Look at all devices: what was missed is made up for."""
        looked_at = self._clock.monotonic()
        present = self._events.present()
        paths = {event.properties.get("DEVPATH") for event in present}
        for path, slot in list(self._slots.items()):
            if path not in paths or (slot.mount is not None and slot.mount.lost()):
                self._leave(path)
        for path in [path for path in self._locked if path not in paths]:
            self._lock_or_unlock(path, None)
        for event in present:
            self._happened(event)
        self._presence.look(paths, looked_at)

    def _happened(self, event: Uevent) -> None:
        path = event.properties.get("DEVPATH", "")
        self._presence.tell(event)
        self._lock_or_unlock(path, None if event.action == "remove" else read_locked(event.properties, self._known))
        volume = None if event.action == "remove" else read_volume(event.properties, event.sectors)
        verdict = None if volume is None else judge(volume, self._known)
        if volume is None or verdict is None:
            self._leave(path)
            return
        before = self._slots.get(path)
        if before is not None:
            if _same(before.volume, volume):
                return
            self._leave(path)
        bay = verdict.bay if isinstance(verdict, Refusal) else verdict
        slot = self._slots[path] = _Slot(volume, bay, self._clock.monotonic())
        if not isinstance(verdict, Refusal):
            self._try(slot)
        elif volume.filesystem is None:
            # A disk may be told before what is on it was read.
            slot.doubted, slot.again_at = verdict, slot.since + _DOUBT_SECONDS
        else:
            self._refuse(slot, verdict)

    def _lock_or_unlock(self, path: str, locked: Locked | None) -> None:
        if locked is not None and all(each.port != locked.port for each in self._locked.values()):
            self._locked[path] = locked
            self._told.locked(locked)
        elif locked is None and path in self._locked:
            self._told.unlocked(self._locked.pop(path))

    def _try(self, slot: _Slot) -> None:
        """Mount a volume, once its bay is free."""
        others = (each for each in self._slots.values() if each is not slot)
        if any(each.bay == slot.bay and (each.trying or each.docked) for each in others):
            slot.again_at = self._clock.monotonic() + _FIRST_PAUSE_SECONDS
            return
        slot.trying, slot.again_at = True, None
        threading.Thread(target=self._mount, args=(slot,), name=f"mount {slot.bay}", daemon=True).start()

    def _next_try(self) -> float:
        return min((slot.again_at for slot in self._slots.values() if slot.again_at is not None), default=float("inf"))

    def _try_again(self, now: float) -> None:
        for slot in list(self._slots.values()):
            if slot.again_at is None or slot.again_at > now:
                continue
            if slot.doubted is None:
                self._try(slot)
            else:
                self._refuse(slot, slot.doubted)
                slot.doubted = slot.again_at = None

    def _collect(self) -> None:
        """Tell what became of the attempts to mount."""
        with suppress(queue.Empty):
            while True:
                result = self._results.get_nowait()
                slot = result.slot
                slot.trying = False
                if self._slots.get(slot.volume.path) is not slot:
                    # It left meanwhile.
                    if result.mount is not None:
                        result.mount.release()
                elif result.error is not None:
                    self._failed(slot, result.error)
                elif result.mount is not None and result.root is not None:
                    self._arrived(slot, result.mount, result.root)

    def _arrived(self, slot: _Slot, mount: Mount, root: Root) -> None:
        volume = slot.volume
        came = self._presence.earliest(volume.path)
        self._withdraw(slot)
        slot.mount = mount
        docked = slot.docked = Docked(
            bay=BayId(slot.bay or ""),
            root=root,
            hint=escape_path(os.fsencode(volume.serial)),
            filesystem=volume.filesystem or Filesystem(type=None, label=None, serial=None),
            device=Device(usb=volume.usb, serial=volume.serial, port=port_of(volume.port)),
            plugged=None if came is None else Plugged(earliest=came, latest=slot.since),
        )
        with self._lock:
            self._cards[docked.bay] = (docked, mount)
        seconds = self._clock.monotonic() - slot.since
        _log.info("bay %s: %s (%s) is mounted after %.3f s", slot.bay, volume.node, volume.usb, seconds)
        self._told.arrival(docked)

    def _failed(self, slot: _Slot, error: EdgedError) -> None:
        volume = slot.volume
        if error.retry:
            slot.pause = min(max(_FIRST_PAUSE_SECONDS, 2 * slot.pause), _LONGEST_PAUSE_SECONDS)
            slot.again_at = self._clock.monotonic() + slot.pause
        if slot.refusal is None:
            refusal = Refusal(
                bay=slot.bay,
                usb=volume.usb,
                serial=volume.serial,
                port=volume.port,
                why=error.message,
                hint=error.hint,
                passing=error.retry,
            )
            self._refuse(slot, refusal)

    def _leave(self, path: str) -> None:
        slot = self._slots.pop(path, None)
        if slot is None:
            return
        if slot.docked is not None:
            with self._lock:
                self._cards.pop(slot.docked.bay, None)
            _log.info("bay %s: %s left", slot.bay, slot.volume.node)
            self._told.departure(slot.docked)
        if slot.mount is not None:
            slot.mount.release()
        self._withdraw(slot)

    def _refuse(self, slot: _Slot, refusal: Refusal) -> None:
        slot.refusal = refusal
        key = _key(refusal)
        volumes = self._refused.setdefault(key, set())
        volumes.add(slot.volume.path)
        if len(volumes) > 1:
            return
        now = self._clock.monotonic()
        self._refused_at = {each: at for each, at in self._refused_at.items() if now - at < _WIGGLE_SECONDS}
        again = key in self._refused_at
        self._refused_at[key] = now
        if not again:
            _log.warning("%s %s", refusal.why, refusal.hint)
        self._told.refusal(replace(refusal, again=again))

    def _withdraw(self, slot: _Slot) -> None:
        if slot.refusal is None:
            return
        refusal, slot.refusal = slot.refusal, None
        key = _key(refusal)
        volumes = self._refused.get(key, set())
        volumes.discard(slot.volume.path)
        if not volumes:
            self._refused.pop(key, None)
            self._refused_at[key] = self._clock.monotonic()
            self._told.withdrawal(refusal)

    # ------------------------------------------------------------------------------------ threads that mount

    def _mount(self, slot: _Slot) -> None:
        mount = None
        try:
            mount = self._mounter.mount(slot.volume.device, slot.volume.medium or 0)
            result = _Result(slot=slot, mount=mount, root=Root.at(mount.folder))
        except EdgedError as error:
            if mount is not None:
                mount.release()
            result = _Result(slot=slot, error=error)
        with self._lock:
            if not self._stopping:
                self._results.put(result)
                self._events.wake()
                return
        if result.mount is not None:
            result.mount.release()


def _same(before: Volume, now: Volume) -> bool:
    """Say whether a device holds what it held: a `change` is also told when somebody closes it after writing."""
    return (before.medium, before.filesystem, before.usb) == (now.medium, now.filesystem, now.usb)


def _key(refusal: Refusal) -> _Key:
    return refusal.bay, refusal.usb, refusal.serial, refusal.port
