"""A plain camera: `DCIM/100MEDIA/VID_20261121_083000_0001.MP4`, and nothing that says whose it is.

Such cameras write what their maker found convenient, so each recording is coded in another way than the one before.
"""

from hwsim.cards import CardFile
from hwsim.layouts.layout import Shot, Worn
from hwsim.video import Format

_FORMATS = (Format.MP4, Format.MOV, Format.MJPEG, Format.HEVC)


class Dcim:
    """The layout `dcim`."""

    name = "dcim"
    extras: tuple[Format, ...] = ()

    def format(self, index: int) -> Format:
        """Take turns, so that a short card already holds what has to be transcoded."""
        return _FORMATS[index % len(_FORMATS)]

    def path(self, worn: Worn, shot: Shot) -> bytes:
        """Give the path of `shot`; there is no importance mark."""
        del worn
        return f"DCIM/100MEDIA/VID_{shot.began:%Y%m%d_%H%M%S}_{shot.number:04}{shot.format.suffix}".encode()

    def beside(self, worn: Worn, shots: tuple[Shot, ...], seed: int) -> tuple[CardFile, ...]:
        """Nothing."""
        del worn, shots, seed
        return ()
