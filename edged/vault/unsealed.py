"""Originals that have their name in the vault and no entry yet.

    incoming/RANDOM.unsealed      which file of which recorder it is, and where it lies; a line of JSON

Such a mark is written before an original gets its name, and removed after its entry is in the book. What it names after
a crash is a whole original that no entry speaks of: its recorder is expected to give the file once more, but if it
does not, this is all there is.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Final

from edged.clock import random_hex
from edged.errors import StorageError
from edged.evidence.ids import RecorderId, SegmentId
from edged.vault.disk import Disk
from edged.vault.incoming import INCOMING, Source
from edged.vault.place import CHUNKS_FILE, Place

_log = logging.getLogger(__name__)

_SUFFIX: Final = ".unsealed"


@dataclass(frozen=True, kw_only=True)
class Unsealed:
    """An original without an entry."""

    of: Source
    where: Place
    handed_in: bool
    """Whether a person brought it: that says nothing about its recorder's card."""
    mark: Path
    original: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """Give what is to be removed when its bytes were sealed under another name, in this order."""
        return (self.original, self.original.with_name(CHUNKS_FILE), self.mark)


class Marks:
    """The marks in a vault's folder of incoming originals."""

    def __init__(self, root: Path, disk: Disk) -> None:
        """Use the vault at `root`."""
        self._root = root
        self._folder = root / INCOMING
        self._disk = disk
        self._before: list[Path] = []

    def make(self, of: Source, where: Place, *, handed_in: bool = False) -> Unsealed:
        """Mark an original that is about to get its name; `handed_in` is what a person brought."""
        mark = self._folder / f"{random_hex(16)}{_SUFFIX}"
        said = {"of": asdict(of), "where": asdict(where) | {"day": where.day.isoformat()}, "handed_in": handed_in}
        fd = self._disk.create(mark)
        try:
            self._disk.write(fd, memoryview(json.dumps(said).encode() + b"\n"), mark)
            self._disk.sync(fd, mark)
        except StorageError:
            self._disk.remove(mark)
            raise
        finally:
            os.close(fd)
        return Unsealed(of=of, where=where, handed_in=handed_in, mark=mark, original=self._root / where.key)

    def left(self, recorder: RecorderId) -> list[Unsealed]:
        """Give what is marked as taken off a recorder, where the original is there."""
        return [each for each in self._there(self._marks()) if each.of.recorder == recorder and not each.handed_in]

    def left_before(self) -> list[Unsealed]:
        """Give what an earlier run of the station left and nobody has sealed yet."""
        return self._there(self._before)

    def files(self) -> set[Path]:
        """Give all files that are without an entry because they are marked: originals and chunk lists."""
        return {file for mark in self._marks() if (each := self._read(mark)) for file in each.files}

    def _marks(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    def _there(self, marks: Iterable[Path]) -> list[Unsealed]:
        found = (self._read(mark) for mark in marks)
        return [each for each in found if each is not None and each.original.exists()]

    def clear(self, sealed_at: Callable[[SegmentId], Place | None]) -> None:
        """Tidy up what an earlier run left; `sealed_at` says where a segment is sealed."""
        for mark in self._marks():
            found = self._read(mark)
            if found is None:
                self._disk.remove(mark)
            elif not self.tidy(found, sealed_at(found.where.segment)):
                self._before.append(mark)
                _log.warning("%s has no entry yet; it gets one when its recorder is docked again.", found.original)

    def tidy(self, left: Unsealed, sealed: Place | None) -> bool:
        """Remove the mark of what was sealed, or never got its name; says whether nothing is left to be sealed.

        An original whose bytes are `sealed` at another place, since its day was not known or it got another name on the
        card, goes with its mark.
        """
        if sealed == left.where or not left.original.exists():
            self._disk.remove(left.mark)
            return True
        if sealed is None or not (self._root / sealed.key).exists():
            return False
        kept = (self._root / sealed.key).with_name(CHUNKS_FILE)
        for path in left.files:
            # Under another name in the same folder its chunk list is that of what was sealed.
            if path != kept:
                self._disk.remove(path)
        return True

    def _read(self, mark: Path) -> Unsealed | None:
        """Read a mark; None for one that a power cut tore."""
        try:
            said = json.loads(mark.read_bytes())
            of, where = said["of"], said["where"]
            place = Place(
                recorder=RecorderId(where["recorder"]),
                day=date.fromisoformat(where["day"]),
                segment=SegmentId(where["segment"]),
                name=where["name"],
            )
            source = Source(**of | {"recorder": RecorderId(of["recorder"])})
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        except OSError as error:
            raise StorageError(f"{mark} cannot be read: {error.strerror}.") from error
        handed_in = said.get("handed_in") is True
        return Unsealed(of=source, where=place, handed_in=handed_in, mark=mark, original=self._root / place.key)
