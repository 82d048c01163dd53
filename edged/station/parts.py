"""What a running station is made of, handed to docking and jobs as one value."""

import threading
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from edged.bays.profiles import Profile
from edged.bays.register import Register, load_register
from edged.book import Book
from edged.book.facts import SegmentRow
from edged.clock import Clock
from edged.config import StationConfig
from edged.errors import ConfigError, StoppedError, StorageError
from edged.evidence.digests import Digests, parse_chunk_list, sha256_hex
from edged.evidence.ids import BayId, RecorderId, SegmentId, Sha256
from edged.keys import KeyFolder
from edged.media.media import Media
from edged.rules.matters import Catalogue
from edged.station.files import place_of
from edged.station.live import Live
from edged.station.room import Room
from edged.station.turns import Turns
from edged.station.vendor import VendorCommands
from edged.station.worker import Pulse
from edged.stores.port import Store
from edged.vault.disk import Disk
from edged.vault.place import Place
from edged.vault.vault import Vault

_LOOK_SECONDS: Final = 1.0
"""How often somebody who waits for a claim looks whether the other recorder, or its own, left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Claim:
    """That a recorder is taken in by a bay."""

    bay: BayId
    gone: threading.Event
    """Set when the recorder left the bay, which may still have to end what it began."""

    @property
    def lets_go(self) -> bool:
        """Whether it ends by itself: its recorder left, or a person handed something in."""
        return self.gone.is_set() or self.bay.startswith("intake-")


class Claims:
    """Which recorder is taken in by which bay: two bays never write one recorder's chain."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._claims: dict[RecorderId, Claim] = {}
        self.ending = threading.Lock()
        """Held by whoever ends a docking whose recorder is not there, as another bay may want to as well."""

    def take(self, recorder: RecorderId, bay: BayId, gone: threading.Event) -> Claim | None:
        """Claim a recorder for a bay; gives the claim of another bay if that keeps it."""
        with self._changed:
            kept = self._claims.setdefault(recorder, Claim(bay=bay, gone=gone))
            return None if kept.bay == bay else kept

    def wait(self, recorder: RecorderId, other: Claim, gone: threading.Event, seconds: float = inf) -> bool:
        """Wait until the claim of another bay was given back, or begins to end by itself; False if it does not in time.

        Raises StoppedError when `gone` is set meanwhile.
        """
        ends_anyhow = other.lets_go

        def is_over() -> bool:
            return gone.is_set() or self._claims.get(recorder) is not other or other.lets_go != ends_anyhow

        with self._changed:
            while not self._changed.wait_for(is_over, _LOOK_SECONDS):
                seconds -= _LOOK_SECONDS
                if seconds <= 0:
                    return False
        if gone.is_set():
            raise StoppedError("The recorder left, or the station stops.")
        return True

    def bay_of(self, recorder: RecorderId) -> BayId | None:
        """Give the bay that keeps a recorder; None if none does."""
        with self._changed:
            claim = self._claims.get(recorder)
            return None if claim is None else claim.bay

    def holds(self, bay: str) -> bool:
        """Say whether something is being taken in at a bay, or was handed in under its name."""
        with self._changed:
            return any(claim.bay == bay for claim in self._claims.values())

    def wait_for_handed_in(self, seconds: float) -> None:
        """Wait until nothing that was handed in is under way."""
        with self._changed:
            self._changed.wait_for(
                lambda: not any(claim.bay.startswith("intake-") for claim in self._claims.values()), seconds
            )

    def give_back(self, bay: BayId) -> None:
        """Give up whatever a bay has claimed."""
        with self._changed:
            self._claims = {recorder: claim for recorder, claim in self._claims.items() if claim.bay != bay}
            self._changed.notify_all()


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of one station."""

    config: StationConfig
    config_folder: Path
    clock: Clock
    disk: Disk
    book: Book
    vault: Vault
    room: Room
    key: KeyFolder
    store: Store | None
    media: Media
    profiles: tuple[Profile, ...]
    catalogue: Catalogue
    policy: Sha256
    """Digest of the configuration that classifies."""
    live: Live
    pulse: Pulse
    stop: threading.Event
    """Set once, when the station stops."""
    turns: Turns
    """Whose turn it is to be read."""
    confirmed: threading.Event = field(default_factory=threading.Event)
    """Set once central storage has shown, after this start, that it knows no other ledger of this station."""
    anchor_wanted: threading.Event = field(default_factory=threading.Event)
    """Set by whoever waits for an anchor and cannot wait until one is due."""
    vendor: VendorCommands
    claims: Claims = field(default_factory=Claims)
    unread: dict[SegmentId, int] = field(default_factory=dict)
    """Segments whose copy in the vault could not be read back, and how often in a row."""
    _registers: list[Register] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        """The station's time zone."""
        return ZoneInfo(self.config.station.zone)

    def register(self) -> Register:
        """Read the register anew; a wrong one raises an alarm, and the last right one goes on."""
        path = self.config_folder / "register.toml"
        try:
            register = load_register(path, self.profiles)
        except ConfigError as error:
            if not self._registers:
                raise
            self.live.alarm("register", error.message, error.hint)
            return self._registers[-1]
        self.live.calm("register")
        self._registers[:] = [register]
        return register

    def place_of(self, segment: SegmentRow) -> Place:
        """Give where a sealed segment lies, in the vault and in central storage."""
        return place_of(self.book, segment)

    def sealed_digests(self, segment: SegmentRow) -> Digests:
        """Give the digests a segment was sealed with; the chunk list comes from the vault and must be the sealed one.

        Raises StorageError if it is not.
        """
        listed = self.vault.chunk_list(self.place_of(segment))
        if sha256_hex(listed) != segment.chunks_sha256:
            raise StorageError(f"The chunk list of {segment.segment} in the vault is not the sealed one.")
        return Digests(size_bytes=segment.bytes, sha256=segment.sha256, parts=parse_chunk_list(listed))
