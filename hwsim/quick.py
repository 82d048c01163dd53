"""Cards for tests in milliseconds: one tiny real clip a format is filmed once, kept, and handed out again.

Every file handed out differs from every other (a `free` box at its end, ISO/IEC 14496-12, 8.1.2, names its
take), since equal bytes of one recorder are one segment to a station.
"""

import os
import shutil
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from hwsim.cards import Card, CardFile, Written, write_card
from hwsim.video import LARGE_BYTES, Camera, Format, Take, find_camera

_SECONDS = 1
_BEGAN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


class QuickCamera:
    """A camera that films each format once, for one second, whatever the take says of length and picture."""

    def __init__(self, cache: Path, camera: Camera | None = None) -> None:
        """Keep clips in the folder `cache`, which several processes may share; `camera` films them."""
        self._cache = cache
        self._camera = camera
        self._filming = threading.Lock()

    def film(self, take: Take, into: Path) -> tuple[Path, ...]:
        """Give playable files of the take's format, one a cut, each unlike any other take's or cut's."""
        clip = self.clip(take.format)
        files = []
        for cut in range(take.cuts):
            file = into / f"{cut:04}{take.format.suffix}"
            shutil.copyfile(clip, file)
            with file.open("ab") as out:
                out.write(_free_box(f"{take} cut {cut}".encode()))
                if take.large:
                    out.write((LARGE_BYTES + 8).to_bytes(4) + b"free")
                    out.truncate(out.tell() + LARGE_BYTES)
            files.append(file)
        return tuple(files)

    def clip(self, wanted: Format) -> Path:
        """Give the kept clip of one second, filming it if it is not there; it must not be changed."""
        kept = self._cache / f"{wanted.name}{wanted.suffix}"
        with self._filming:
            if not kept.exists():
                self._film(wanted, kept)
        return kept

    def _film(self, wanted: Format, kept: Path) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        # A folder of this process alone, then a rename: other processes see the whole clip or none.
        making = self._cache / f".{wanted.name}.{os.getpid()}"
        making.mkdir()
        take = Take(format=wanted, began=_BEGAN, seconds=_SECONDS, caption="clip", seed=1)
        (film,) = (self._camera or find_camera()).film(take, making)
        film.rename(kept)
        making.rmdir()


def quick_card(root: Path, files: Mapping[bytes, bytes], modified: datetime = _BEGAN) -> None:
    """Make the card folder `root` of `files`, path to content, all with one modification time."""
    contents = [CardFile(path=path, content=Written(data=data), modified=modified) for path, data in files.items()]
    write_card(Card(files=tuple(contents)), root, _NoCamera())


class _NoCamera:
    """The camera of cards without film."""

    def film(self, take: Take, into: Path) -> tuple[Path, ...]:
        """Never called."""
        raise AssertionError(f"{take} is to be filmed into {into}")


def _free_box(payload: bytes) -> bytes:
    return (len(payload) + 8).to_bytes(4) + b"free" + payload
