"""A recorder in the manner of GA/T 947: device, officer, start and importance stand in the file name.

`20261121/EG01234_138001_20261121083000_0001_IMP.MP4`, photos and sounds alike.
"""

from hwsim.cards import CardFile
from hwsim.layouts.layout import Shot, Worn
from hwsim.video import Format


class Gat947:
    """The layout `gat947`."""

    name = "gat947"
    extras: tuple[Format, ...] = (Format.JPG, Format.WAV)

    def format(self, index: int) -> Format:
        """Everything is H.264 in MP4."""
        del index
        return Format.MP4

    def path(self, worn: Worn, shot: Shot) -> bytes:
        """Give the path of `shot`."""
        mark = "_IMP" if shot.important else ""
        stem = f"{worn.device}_{worn.officer}_{shot.began:%Y%m%d%H%M%S}_{shot.number:04}{mark}"
        return f"{shot.began:%Y%m%d}/{stem}{shot.format.suffix}".encode()

    def beside(self, worn: Worn, shots: tuple[Shot, ...], seed: int) -> tuple[CardFile, ...]:
        """Nothing: all that such a card says stands in its file names."""
        del worn, shots, seed
        return ()
