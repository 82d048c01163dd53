"""Where originals lie on the station: whole plain files under names that a person can follow by hand.

    segments/RECORDER/YYYY/MM/DD/SEGMENT-ID/NAME              the original, byte for byte, read-only
    segments/RECORDER/YYYY/MM/DD/SEGMENT-ID/chunks.sha256     its chunk list
    incoming/                                                 files being copied, and parked ones (`incoming`)

The key of a segment follows from its entry alone, so no row has to remember it; central storage uses the same
keys (EVIDENCE.md, section 9).
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from edged.clock import from_rfc3339
from edged.errors import UnreadableError
from edged.evidence.digests import Digests
from edged.evidence.ids import RecorderId, SegmentId, bundle_name
from edged.vault.disk import Disk
from edged.vault.durable import Draft
from edged.vault.incoming import Incoming, Original

CHUNKS_FILE = "chunks.sha256"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a segment lies, in the vault and in central storage alike."""

    recorder: RecorderId
    day: date
    """The day of recording as the recorder claims it, else the day of the docking."""
    segment: SegmentId
    name: str

    @property
    def folder(self) -> str:
        """The key of the segment's folder."""
        return f"segments/{self.recorder}/{self.day:%Y/%m/%d}/{self.segment}"

    @property
    def key(self) -> str:
        """The key of the original."""
        return f"{self.folder}/{self.name}"


def place(*, recorder: RecorderId, segment: SegmentId, path: str, day: str) -> Place:
    """Give a segment's place; `day` is the RFC 3339 time whose date, in its own zone, files it."""
    return Place(recorder=recorder, day=from_rfc3339(day).date(), segment=segment, name=bundle_name(path))


class Vault:
    """The originals of one station."""

    def __init__(self, root: Path, disk: Disk) -> None:
        """Use `root`, making it if needed."""
        self.root = root
        self._disk = disk
        self.incoming = Incoming(root / "incoming", disk)
        disk.make_folders(root / "segments")

    def keep(self, draft: Original, where: Place, digests: Digests) -> None:
        """Give a settled draft and its chunk list their names, the list first: a segment has both or neither."""
        folder = self.root / where.folder
        with Draft(self._disk, self.incoming.temporary()) as chunks:
            chunks.write(digests.chunk_list)
            chunks.settle(len(digests.chunk_list))
            self._disk.make_folders(folder)
            chunks.rename(folder / CHUNKS_FILE, durably=False)
        draft.rename(self.root / where.key)
        self._disk.sync_folder(folder)

    def original(self, where: Place) -> Path:
        """Give the path of an original."""
        return self.root / where.key

    def chunk_list(self, where: Place) -> bytes:
        """Give the chunk list of a segment; raises UnreadableError."""
        path = self.root / where.folder / CHUNKS_FILE
        try:
            return path.read_bytes()
        except OSError as error:
            raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from error
