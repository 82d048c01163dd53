"""What udev says of a block device, and what follows from it: a card for a bay, a refusal, or nothing.

Pure: properties in, decision out. A bay is a physical port, named by the beginning of `ID_PATH`. Whether a device is a
recorder of a known kind says its USB id alone: only those that a profile lists are mounted. Keys are those of
systemd-udevd's usb_id, path_id and blkid (systemd.net-naming-scheme(7), libblkid's "Low-level probing").
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from edged.bays.inventory import Filesystem
from edged.evidence.ids import BayId, to_id

BAY_PROPERTY: Final = "EDGED_BAY"
"""Set by udev's rules (`udev_rules`) to the number of the medium that is in the device."""

KEYS: Final = (
    *("DEVPATH", "DEVNAME", "DEVTYPE", "MAJOR", "MINOR", "PARTN", BAY_PROPERTY, "ID_BUS", "ID_PATH"),
    *("ID_VENDOR", "ID_VENDOR_ID", "ID_MODEL", "ID_MODEL_ID", "ID_SERIAL_SHORT"),
    *("ID_USB_VENDOR_ID", "ID_USB_MODEL_ID", "ID_USB_SERIAL_SHORT"),
    *("ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_LABEL_ENC", "ID_FS_UUID", "ID_PART_TABLE_TYPE", "ID_PART_ENTRY_NUMBER"),
    *("ID_CDROM", "USEC_INITIALIZED"),
)
"""All that is looked at."""

_LUN: Final = re.compile(r"-scsi-[0-9]+:[0-9]+:[0-9]+:([0-9]+)$")
_PORT: Final = re.compile(r"(.*-usb(?:v[0-9])?-[0-9]+:[0-9.]+)(?:[:-].*)?")
_ESCAPED: Final = re.compile(rb"\\x([0-9a-fA-F]{2})")
_SHOWN: Final = 40


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A disk or partition on USB, with or without a file system."""

    path: str
    """`DEVPATH`: the device's place in the kernel's tree, as long as it is there."""
    device: str
    """MAJOR:MINOR."""
    node: str
    medium: int | None
    """`diskseq` of the disk, as the rules noted it; None where no rule marks the port as a bay."""
    port: str
    """`ID_PATH`."""
    usb: str
    """VENDOR:PRODUCT, in lower-case hex."""
    serial: str
    """Serial number of the USB device; empty if it has none. Cheap ones all bear the same."""
    name: str
    """What vendor and model call it."""
    partition: int | None
    """None for a whole disk."""
    lun: int
    partitioned: bool
    """Whether it holds a table of partitions, and no file system itself."""
    filesystem: Filesystem | None
    empty: bool
    """Whether there is no medium in it: a card reader's slot."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A device that is not taken in."""

    bay: BayId | None
    """None at a port that is no bay."""
    usb: str
    serial: str
    port: str
    why: str
    """One sentence."""
    hint: str
    passing: bool = False
    """Whether it is tried again by itself."""
    again: bool = False
    """Whether the same was told moments ago, before the device left and came back."""


@dataclass(frozen=True, kw_only=True)
class Locked:
    """A recorder at a bay's port that is no storage before it is unlocked."""

    path: str
    """`DEVPATH` of the device that told of it."""
    bay: BayId
    port: str
    usb: str
    serial: str
    node: str
    """Device file; `/dev/bus/usb/…` for a device without a driver."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """The configuration that decides."""

    ports: Mapping[str, BayId]
    """Port, as `ID_PATH` begins, to bay."""
    usb: frozenset[str]
    """USB ids of all recorder profiles."""
    locked: frozenset[str] = frozenset()
    """USB ids as which recorders show up that are to be unlocked first."""

    def bay_at(self, port: str) -> BayId | None:
        """Give the bay at a port; `ID_PATH` goes on with interface and unit, behind `:` or `-`."""
        found = [bay for key, bay in self.ports.items() if port == key or port.startswith((f"{key}:", f"{key}-"))]
        return found[0] if found else None


def read_volume(properties: Mapping[str, str], sectors: int) -> Volume | None:
    """Read a block device's properties; None for what is no disk or partition on USB."""
    usb, serial = _usb(properties)
    path = properties.get("DEVPATH")
    if (
        usb is None
        or path is None
        or properties.get("DEVTYPE") not in {"disk", "partition"}
        or properties.get("ID_CDROM")
    ):
        return None
    port = properties.get("ID_PATH", "")
    lun = _LUN.search(port)
    filesystem = _filesystem(properties)
    medium = properties.get(BAY_PROPERTY, "")
    number = properties.get("PARTN") or properties.get("ID_PART_ENTRY_NUMBER", "")
    is_partition = properties.get("DEVTYPE") == "partition"
    return Volume(
        path=path,
        device=f"{properties.get('MAJOR')}:{properties.get('MINOR')}",
        node=properties.get("DEVNAME", ""),
        medium=int(medium) if medium.isdecimal() else None,
        port=port,
        usb=usb,
        serial=serial,
        name=" ".join(properties.get(key, "") for key in ("ID_VENDOR", "ID_MODEL")).strip().replace("_", " "),
        partition=(int(number) if number.isdecimal() else 0) if is_partition else None,
        lun=int(lun[1]) if lun else 0,
        partitioned=filesystem is None and "ID_PART_TABLE_TYPE" in properties,
        filesystem=filesystem,
        empty=sectors == 0,
    )


def read_locked(properties: Mapping[str, str], known: Known) -> Locked | None:
    """Read a device's properties; None for what is no recorder to be unlocked at a bay's port."""
    usb, serial = _usb(properties)
    port = properties.get("ID_PATH", "")
    bay = known.bay_at(port)
    path = properties.get("DEVPATH")
    kind = properties.get("DEVTYPE")
    if usb not in known.locked or bay is None or path is None or kind not in {"usb_device", "disk"}:
        return None
    return Locked(path=path, bay=bay, port=port_of(port), usb=usb, serial=serial, node=properties.get("DEVNAME", ""))


def judge(volume: Volume, known: Known) -> BayId | Refusal | None:
    """Say to which bay a volume belongs, or why it is refused; None if there is nothing to be taken in or told."""
    if volume.empty or volume.partitioned or volume.usb in known.locked:
        return None
    port = known.bay_at(volume.port)
    what = f"USB storage {volume.usb} ({_shown(volume.name)})"

    def refused(bay: BayId | None, why: str, hint: str) -> Refusal:
        return Refusal(bay=bay, usb=volume.usb, serial=volume.serial, port=volume.port, why=why, hint=hint)

    if port is None:
        return refused(
            None,
            f"{what} is plugged in at {port_of(volume.port)}, which is no bay; it is not mounted.",
            "If that is a bay, enter it under [bays.ports] in station.toml.",
        )
    if volume.usb not in known.usb:
        return refused(
            port,
            f"{what} belongs to no recorder profile; it is not mounted.",
            f'If it is one of your recorders, enter "{volume.usb}" under usb in its profile in config/recorders.',
        )
    bay = _bay(port, volume)
    if volume.filesystem is None:
        return refused(bay, f"{what} holds no file system.", "Have the recorder format its card.")
    if volume.medium is None:
        return refused(
            bay, f"udev does not mark the port of {what} as a bay's; it is not mounted.", "Run `edged doctor`."
        )
    return bay


def port_of(path: str) -> str:
    """Give what of an `ID_PATH` names the physical port."""
    found = _PORT.fullmatch(path)
    return found[1] if found else path


def udev_rules(ports: Iterable[str]) -> str:
    """Give the udev rules that mark the devices at these ports as bays' and keep desktop automounters off them."""
    paths = "|".join(pattern for port in sorted(ports) for pattern in (port, f"{port}:*", f"{port}-*"))
    return (
        "# Made by `edged bays --udev-rules` from [bays.ports] in station.toml.\n"
        f'SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", IMPORT{{builtin}}="path_id", ENV{{ID_PATH}}=="{paths}", '
        'GROUP="edged", MODE="0660"\n'
        'SUBSYSTEM!="block", GOTO="edged_end"\n'
        'ACTION=="remove", GOTO="edged_end"\n'
        'ENV{DEVTYPE}=="partition", IMPORT{parent}="EDGED_BAY"\n'
        f'ENV{{DEVTYPE}}=="disk", ENV{{ID_PATH}}=="{paths}", ENV{{EDGED_BAY}}="$attr{{diskseq}}"\n'
        'ENV{EDGED_BAY}=="?*", ENV{UDISKS_IGNORE}="1"\n'
        'LABEL="edged_end"\n'
    )


def _usb(properties: Mapping[str, str]) -> tuple[str | None, str]:
    """Give USB id and serial number; behind a bridge to SATA, `ID_BUS` is the disk's own and not the port's."""
    prefix = "ID_USB_" if "ID_USB_VENDOR_ID" in properties else "ID_"
    vendor, product = (properties.get(f"{prefix}{key}", "").lower() for key in ("VENDOR_ID", "MODEL_ID"))
    if (prefix == "ID_" and properties.get("ID_BUS") != "usb") or not vendor or not product:
        return None, ""
    return f"{vendor}:{product}", properties.get(f"{prefix}SERIAL_SHORT", "")


def _filesystem(properties: Mapping[str, str]) -> Filesystem | None:
    if properties.get("ID_FS_USAGE", "") == "" or not properties.get("ID_FS_TYPE"):
        return None
    label = _ESCAPED.sub(
        lambda found: bytes([int(found[1], 16)]), properties.get("ID_FS_LABEL_ENC", "").encode("utf-8", "replace")
    )
    return Filesystem(
        type=properties["ID_FS_TYPE"],
        label=label.decode("utf-8", "replace") or None,
        serial=properties.get("ID_FS_UUID") or None,
    )


def _bay(port: BayId, volume: Volume) -> BayId:
    """Name what a volume is docked as: the bay, and for further units and partitions of a recorder a name below it."""
    unit = f".lun{volume.lun}" if volume.lun else ""
    part = f".p{volume.partition}" if volume.partition is not None and volume.partition != 1 else ""
    return BayId(to_id(f"{port}{unit}{part}"))


def _shown(text: str) -> str:
    return ascii(text[:_SHOWN])[1:-1] or "nameless"
