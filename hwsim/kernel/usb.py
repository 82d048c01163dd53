"""What udev would say of a recorder on a USB port, and the file in which hwsim's udev rule finds it."""

import re
from dataclasses import dataclass
from typing import Final

from edged.errors import UsageError

_WORD: Final = re.compile(r"[A-Za-z0-9._:+-]{1,120}")
_ID: Final = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")


@dataclass(frozen=True, kw_only=True)
class Plugged:
    """A USB disk at a port. Raises UsageError for values that are none."""

    port: str
    """Physical port as `ID_PATH` begins, `pci-0000:00:14.0-usb-0:2.1`."""
    usb: str
    """VENDOR:PRODUCT, in lower-case hex."""
    serial: str
    """Of the USB device; empty if it tells none."""
    model: str = "Recorder"
    lun: int = 0

    def __post_init__(self) -> None:
        words = (self.port, self.model, *([self.serial] if self.serial else []))
        if not _ID.fullmatch(self.usb) or not all(_WORD.fullmatch(word) for word in words):
            raise UsageError(
                f"{self.usb} {self.serial} at {self.port} is no USB disk",
                hint="Name it like 04c5:2028 SC20451 at pci-0000:00:14.0-usb-0:2.1",
            )

    def properties(self) -> dict[str, str]:
        """Give the properties that usb_id and path_id of systemd-udevd give a disk."""
        vendor, product = self.usb.split(":")
        found = {
            "ID_BUS": "usb",
            "ID_VENDOR": "hwsim",
            "ID_VENDOR_ID": vendor,
            "ID_MODEL": self.model,
            "ID_MODEL_ID": product,
            "ID_TYPE": "disk",
            "ID_INSTANCE": f"0:{self.lun}",
            "ID_USB_INTERFACE_NUM": "00",
            "ID_USB_DRIVER": "usb-storage",
            "ID_PATH": f"{self.port}:1.0-scsi-0:0:0:{self.lun}",
        }
        if self.serial:
            found |= {"ID_SERIAL_SHORT": self.serial, "ID_SERIAL": f"hwsim_{self.model}_{self.serial}-0:{self.lun}"}
        return found
