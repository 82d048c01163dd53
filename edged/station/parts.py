"""What a running station is made of, handed to docking and jobs as one value."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from edged.bays.profiles import Profile
from edged.bays.register import Register, load_register
from edged.book import Book
from edged.book.facts import SegmentRow
from edged.clock import Clock
from edged.config import StationConfig
from edged.errors import ConfigError, StorageError
from edged.evidence.digests import Digests, parse_chunk_list, sha256_hex
from edged.evidence.ids import SegmentId, Sha256
from edged.keys import KeyFolder
from edged.media.media import Media
from edged.rules.matters import Catalogue
from edged.station.files import place_of
from edged.station.live import Live
from edged.station.recorder_claims import Claims
from edged.station.room import Room
from edged.station.turns import Turns
from edged.station.vendor import VendorCommands
from edged.station.worker import Pulse
from edged.stores.port import Store
from edged.vault.disk import Disk
from edged.vault.place import Place
from edged.vault.vault import Vault


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
