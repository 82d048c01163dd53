"""What `hwsim … --kernel` does: cards as USB disks of the machine itself, for a station with the source `udev`."""

from pathlib import Path

from edged.errors import UnavailableError, UsageError
from hwsim.kernel import bays, udevd
from hwsim.kernel.bays import Docked
from hwsim.kernel.images import make_image
from hwsim.kernel.usb import Plugged

docked = bays.docked
_LABEL_LETTERS = 11
"""Volume names of exFAT have at most as many."""


def dock(card: Path, port: str, *, usb: str, serial: str) -> Docked:
    """Plug a card in at a port; of a folder an image is made beside it. Raises UsageError, UnavailableError."""
    if any(each.port == port for each in bays.docked()):
        raise UsageError(f"{port} is taken", hint="See `hwsim list --kernel`.")
    udevd.start()
    name = card.name.removesuffix(".img")
    image = card
    if card.is_dir():
        image = card.with_name(f"{name}.img")
        if image.exists():
            raise UsageError(f"{image} is there already", hint="Plug that in, or remove it.")
        make_image(card, image, label=name[:_LABEL_LETTERS])
    return bays.dock(image, Plugged(port=port, usb=usb, serial=serial or name))


def yank(port: str) -> None:
    """Pull out what is plugged in at a port, busy or not; whoever reads it gets an error. Raises UsageError."""
    found = [each for each in bays.docked() if each.port == port]
    if not found:
        raise UsageError(f"nothing is plugged in at {port}", hint="See `hwsim list --kernel`.")
    for each in found:
        if not bays.yank(each.device):
            raise UnavailableError(
                f"{each.device} was pulled out, but somebody still has it open", hint="Later: `hwsim clean`."
            )


def clean() -> None:
    """Pull out everything and remove what was left behind; raises UnavailableError for what is still in use."""
    if left := bays.clean():
        raise UnavailableError(f"somebody still has open: {', '.join(left)}", hint="Stop the station, and try again.")
