"""Where this station's recorders come from, by its configuration: folders, or the ports that udev tells of.

What the source `udev` refuses to mount is shown at its bay, and written into the ledger by a worker: the thread that
tells of devices never waits for the book.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable

from edged.bays.profiles import Profile
from edged.bays.source import DirectorySource, Docked, Source
from edged.bays.udev import Told, UdevSource
from edged.bays.uevents import UdevEvents
from edged.bays.volumes import Known, Locked, Refusal
from edged.config import BaysPart
from edged.errors import ConfigError
from edged.evidence import bodies
from edged.evidence.ids import BayId, to_id
from edged.mountd.client import MountClient
from edged.station.parts import Parts
from edged.station.worker import IDLE_SECONDS

_BECAME = {"failed": "failed", "timeout": "took too long", "not-started": "cannot be started", "done": "did it"}


class Refusals:
    """The job that writes down which devices were not taken in, each once; and shows them at their bays."""

    name = "refusals"
    idle_seconds = IDLE_SECONDS
    put_off = 0

    def __init__(self, parts: Parts, taken: Callable[[BayId], bool]) -> None:
        """`taken` says whether a bay has a recorder that is being taken in: that one is what its lamp shows."""
        self._parts = parts
        self._taken = taken
        self._new: deque[Refusal] = deque()

    def refuse(self, refusal: Refusal) -> None:
        """Show a refusal, and have it written down unless it may pass by itself."""
        live, bay = self._parts.live, refusal.bay
        text = f"{refusal.why} {refusal.hint}".strip()
        if bay is not None and not self._taken(bay):
            live.set_bay(bay, "waiting" if refusal.passing else "refused", text=text)
        if refusal.passing:
            live.alarm(_source(refusal), refusal.why, refusal.hint)
        elif not refusal.again:
            self._new.append(refusal)
        self._parts.pulse.beat()

    def withdraw(self, refusal: Refusal) -> None:
        """Show a refusal no more: the device left, or was taken in after all."""
        if refusal.bay is not None:
            self.clear(refusal.bay)
        self._parts.live.calm(_source(refusal))
        self._parts.pulse.beat()

    def clear(self, bay: BayId) -> None:
        """Show nothing at a bay, unless a recorder is being taken in there."""
        if not self._taken(bay):
            self._parts.live.clear_bay(bay)

    def step(self, stop: threading.Event) -> bool:
        """Write one refusal down."""
        del stop
        if not self._new:
            return False
        refusal = self._new[0]
        self._parts.book.ledger.append(
            bodies.Anomaly(
                kind="recorder-refused",
                docking=None,
                subject=bodies.Subject(kind="recorder", id=to_id(refusal.serial or refusal.usb)),
                detail={
                    "bay": refusal.bay,
                    "port": refusal.port,
                    "usb": refusal.usb,
                    "serial": refusal.serial,
                    "why": refusal.why,
                },
            )
        )
        self._new.popleft()
        return True


class Unlocking:
    """Has recorders unlocked that are no storage before, each on a thread of its own."""

    def __init__(self, parts: Parts, refusals: Refusals) -> None:
        self._parts = parts
        self._refusals = refusals

    def begin(self, locked: Locked) -> None:
        """Unlock a recorder that showed up."""
        profiles = (each for each in self._parts.profiles if each.unlock and locked.usb in each.unlock.usb)
        self._parts.live.set_bay(locked.bay, "waiting", text="The recorder is being unlocked.")
        threading.Thread(
            target=self._unlock, args=(next(profiles), locked), name=f"unlock {locked.bay}", daemon=True
        ).start()

    def end(self, locked: Locked) -> None:
        """Show nothing of it any more: it left, perhaps to come back as storage."""
        self._refusals.clear(locked.bay)

    def _unlock(self, profile: Profile, locked: Locked) -> None:
        ran = self._parts.vendor.unlock(profile, locked)
        if ran.outcome == "done" or self._parts.stop.is_set():
            return
        self._refusals.refuse(
            Refusal(
                bay=locked.bay,
                usb=locked.usb,
                serial=locked.serial,
                port=locked.port,
                why=f"The recorder {locked.usb} cannot be unlocked: {ran.program} {_BECAME[ran.outcome]}.",
                hint=f"See the log, and [unlock] in the profile {profile.id}.",
            )
        )


def open_source(
    parts: Parts, arrived: Callable[[Docked], None], departed: Callable[[Docked], None], refusals: Refusals
) -> Source:
    """Give the source that the configuration names, not yet started; raises EdgedError if it cannot be had."""
    bays = parts.config.bays
    if bays.source == "udev":
        unlocking = Unlocking(parts, refusals)
        told = Told(
            arrival=arrived,
            departure=departed,
            refusal=refusals.refuse,
            withdrawal=refusals.withdraw,
            locked=unlocking.begin,
            unlocked=unlocking.end,
        )
        known = known_devices(bays, parts.profiles)
        return UdevSource(known, told, mounter=MountClient(bays.mounter), events=UdevEvents(), clock=parts.clock)
    if bays.folder is None:
        raise ConfigError("bays.folder is missing.", hint="The source `directory` needs it.")

    def unsettled(bay: BayId) -> None:
        text = "Files are still being written on it. They are taken when all of it has come to rest."
        parts.live.set_bay(bay, "waiting", text=text)

    return DirectorySource(
        bays.folder,
        bays.settle_seconds,
        arrived,
        departed,
        clock=parts.clock,
        on_unsettled=unsettled,
        on_settled=parts.live.clear_bay,
    )


def known_devices(bays: BaysPart, profiles: Iterable[Profile]) -> Known:
    """Give what decides about a device: the ports that are bays, and the USB ids of all recorder profiles."""
    return Known(
        ports={port: BayId(bay) for port, bay in bays.ports.items()},
        usb=frozenset(usb for profile in profiles for usb in profile.usb),
        locked=frozenset(usb for profile in profiles if profile.unlock is not None for usb in profile.unlock.usb),
    )


def _source(refusal: Refusal) -> str:
    return f"bay {refusal.bay}" if refusal.bay is not None else f"port {refusal.port}"
