"""Where originals lie on the station: whole plain files under names that a person can follow by hand.

    segments/RECORDER/YYYY/MM/DD/SEGMENT-ID/NAME              the original, byte for byte, read-only
    segments/RECORDER/YYYY/MM/DD/SEGMENT-ID/chunks.sha256     its chunk list
    incoming/                                                 files being copied; emptied at each start

The key of a segment follows from its entry alone, so no row has to remember it; central storage uses the same
keys (EVIDENCE.md, section 9).
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from edged.clock import from_rfc3339, random_hex
from edged.errors import FullError, UnreadableError
from edged.evidence.digests import Digests
from edged.evidence.ids import RecorderId, SegmentId, bundle_name
from edged.vault.disk import Disk
from edged.vault.durable import Draft, keep

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

    def __init__(self, root: Path, disk: Disk, *, reserve_bytes: int) -> None:
        """Use `root`, making it if needed; `reserve_bytes` of its file system are never used up."""
        self.root = root
        self._disk = disk
        self._reserve_bytes = reserve_bytes
        self._incoming = root / "incoming"
        disk.make_folders(self._incoming)
        disk.make_folders(root / "segments")

    def clear_incoming(self) -> None:
        """Remove what an interrupted copy left; no row speaks of it, and the recorder still holds it."""
        for left in self._incoming.iterdir():
            self._disk.remove(left)

    def make_room(self, size_bytes: int) -> None:
        """Raise FullError unless `size_bytes` fit beside the reserve."""
        free_bytes = self._disk.free_bytes(self.root)
        if free_bytes - size_bytes < self._reserve_bytes:
            raise FullError(
                f"The vault has {free_bytes / 1e9:.1f} GB free, which would leave less than its reserve of "
                f"{self._reserve_bytes / 1e9:.1f} GB; intake waits and nothing is deleted.",
                hint="Free space on the vault's disk, or give it a larger one; intake resumes by itself.",
            )

    def draft(self) -> Draft:
        """Begin a file in the vault."""
        return Draft(self._disk, self._incoming / f"{random_hex(16)}.part")

    def keep(self, draft: Draft, where: Place, digests: Digests) -> None:
        """Give a settled draft and its chunk list their names, the list first: a segment has both or neither."""
        folder = self.root / where.folder
        keep(
            self._disk,
            folder / CHUNKS_FILE,
            [digests.chunk_list],
            temporary=self._incoming / f"{random_hex(16)}.part",
        )
        draft.rename(self.root / where.key)

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
