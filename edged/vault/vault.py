"""Where originals lie on the station: whole plain files under names that a person can follow by hand.

    segments/RECORDER/YYYY/MM/DD/SEGMENT-ID/NAME              the original, byte for byte, read-only
    segments/RECORDER/YYYY/MM/DD/SEGMENT-ID/chunks.sha256     its chunk list
    incoming/                                                 files being copied, and parked ones (`incoming`), and
                                                              marks of what has no entry yet (`unsealed`)

Central storage uses the same keys (`place`).
"""

from pathlib import Path

from edged.errors import UnreadableError
from edged.evidence.digests import Digests
from edged.vault.disk import Disk
from edged.vault.durable import Draft
from edged.vault.incoming import INCOMING, Incoming, Original
from edged.vault.place import CHUNKS_FILE, Place
from edged.vault.unsealed import Marks, Unsealed


class Vault:
    """The originals of one station."""

    def __init__(self, root: Path, disk: Disk) -> None:
        """Use `root`, making it if needed."""
        self.root = root
        self._disk = disk
        self.incoming = Incoming(root / INCOMING, disk)
        self.unsealed = Marks(root, disk)
        disk.make_folders(root / "segments")

    def keep(self, draft: Original, where: Place, digests: Digests, *, handed_in: bool = False) -> Unsealed:
        """Give a settled draft and its chunk list their names, the list first: a segment has both or neither.

        The mark that it gives is to be removed when the entry is written.
        """
        mark = self.unsealed.make(draft.of, where, handed_in=handed_in)
        try:
            self._give_names(draft, where, digests)
        except BaseException:
            if not mark.original.exists():
                self._disk.remove(mark.mark)
            raise
        return mark

    def _give_names(self, draft: Original, where: Place, digests: Digests) -> None:
        folder = self.root / where.folder
        with Draft(self._disk, self.incoming.temporary()) as chunks:
            chunks.write(digests.chunk_list)
            chunks.settle(len(digests.chunk_list))
            self._disk.make_folders(folder)
            chunks.rename(folder / CHUNKS_FILE, durably=False)
        draft.rename(self.root / where.key)
        self._disk.sync_folder(folder)

    def remove(self, path: Path) -> None:
        """Remove what was left in the vault of something that is sealed; nothing, if it is gone."""
        self._disk.remove(path)

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
