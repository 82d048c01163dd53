"""The ports of a station in kernel mode: recorders come and go as the kernel and udev tell it.

Crash-proof: the file that describes a device (and from which udev takes its USB properties) is written before the
device is made and removed after it is gone, so `clean` finds all that any process of hwsim ever left behind.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.errors import UnavailableError, UsageError
from hwsim.kernel import udevd
from hwsim.kernel.images import close_left_open
from hwsim.kernel.loops import Loop
from hwsim.kernel.records import DEVICES, GONE, claim, forget
from hwsim.kernel.usb import Plugged

_GONE_TRIES: Final = 100
_GONE_SECONDS: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Docked:
    """A recorder that is plugged in."""

    device: str
    """`loop217`."""
    port: str
    usb: str
    serial: str
    image: Path


def dock(image: Path, plugged: Plugged, partitions: tuple[tuple[int, int], ...] = ()) -> Docked:
    """Plug a card in at a port; `udevd.start` comes first. Raises UsageError, UnavailableError.

    The image must not be plugged in elsewhere.
    """
    if not image.is_file():
        raise UsageError(f"{image} is no image of a card")
    image = image.resolve()
    if taken := [each for each in docked() if each.image == image]:
        raise UsageError(f"{image} is plugged in already, as {taken[0].device}")
    _sweep()
    lines = plugged.properties() | {"HWSIM_IMAGE": str(image), "HWSIM_PORT": plugged.port}
    loop = claim(DEVICES, "".join(f"{key}={value}\n" for key, value in lines.items()))
    try:
        loop.attach(image)
        if partitions:
            # udev has the kernel read the table anew when the device was written to, which takes away what was told.
            udevd.settle()
            loop.divide(partitions)
    except UnavailableError:
        forget(loop)
        raise
    return Docked(device=loop.name, port=plugged.port, usb=plugged.usb, serial=plugged.serial, image=image)


def yank(device: str) -> bool:
    """Pull a recorder out, busy or not; says whether everybody let go of it within seconds. Raises UsageError."""
    record = DEVICES / device
    if not record.exists():
        raise UsageError(f"{device} is not plugged in", hint="See `hwsim list --kernel`.")
    pull(device)
    pause = threading.Event()
    for _ in range(_GONE_TRIES):
        _sweep()
        if not (GONE / device).exists():
            return True
        pause.wait(_GONE_SECONDS)
    return False


def pull(device: str) -> None:
    """Pull a recorder out and return at once; what nobody has open any more is removed by later calls."""
    (DEVICES / device).rename(GONE / device)
    Loop(device).vanish()


def is_open(image: Path) -> bool:
    """Say whether a card is plugged in, or was pulled out and somebody still has it open."""
    _sweep()
    line = f"HWSIM_IMAGE={image.resolve()}\n"
    return any(line in record.read_text("utf-8") for kind in (DEVICES, GONE) for record in kind.glob("loop*"))


def docked() -> tuple[Docked, ...]:
    """List what is plugged in."""
    found = []
    for record in sorted(DEVICES.glob("loop*")):
        values = dict(line.partition("=")[::2] for line in record.read_text("utf-8").splitlines())
        found.append(
            Docked(
                device=record.name,
                port=values["HWSIM_PORT"],
                usb=f"{values['ID_VENDOR_ID']}:{values['ID_MODEL_ID']}",
                serial=values.get("ID_SERIAL_SHORT", ""),
                image=Path(values["HWSIM_IMAGE"]),
            )
        )
    return tuple(found)


def clean() -> tuple[str, ...]:
    """Pull out everything, end the udevd that hwsim started, and give the devices that somebody still has open."""
    close_left_open()
    for each in docked():
        pull(each.device)
    pause = threading.Event()
    for _ in range(_GONE_TRIES):
        _sweep()
        if not any(GONE.glob("loop*")):
            break
        pause.wait(_GONE_SECONDS)
    udevd.stop()
    return tuple(sorted(record.name for record in GONE.glob("loop*")))


def _sweep() -> None:
    for record in GONE.glob("loop*"):
        forget(Loop(record.name))
