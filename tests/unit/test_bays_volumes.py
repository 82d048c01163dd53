"""What follows from udev's properties: uevents of real disks and cards, as users published them, shortened.

Serial numbers were changed, and `EDGED_BAY` is what the rules of edged add. Nothing else was added or made to fit.
"""

import fnmatch
import re
from collections.abc import Mapping

import pytest

from edged.bays.inventory import Filesystem
from edged.bays.volumes import KEYS, Known, Refusal, Volume, judge, port_of, read_volume, udev_rules
from edged.evidence.ids import BayId

Properties = dict[str, str]

# A card reader with a card in it, plugged in (udev 239, a desktop). The disk has a table, and an empty ID_FS_TYPE.
READER_DISK: Properties = {
    "DEVPATH": "/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host4/target4:0:0/4:0:0:0/block/sdc",
    "DEVNAME": "/dev/sdc",
    "DEVTYPE": "disk",
    "MAJOR": "8",
    "MINOR": "32",
    "SUBSYSTEM": "block",
    "ID_BUS": "usb",
    "ID_FS_TYPE": "",
    "ID_INSTANCE": "0:0",
    "ID_VENDOR": "Multiple",
    "ID_VENDOR_ID": "058f",
    "ID_MODEL": "Card_Reader",
    "ID_MODEL_ENC": "Card\\x20\\x20Reader\\x20\\x20\\x20\\x20",
    "ID_MODEL_ID": "6366",
    "ID_SERIAL_SHORT": "058F63660000",
    "ID_PART_TABLE_TYPE": "dos",
    "ID_PART_TABLE_UUID": "0113ae38",
    "ID_PATH": "pci-0000:00:14.0-usb-0:1:1.0-scsi-0:0:0:0",
}
READER_PARTITION: Properties = READER_DISK | {
    "DEVPATH": READER_DISK["DEVPATH"] + "/sdc1",
    "DEVNAME": "/dev/sdc1",
    "DEVTYPE": "partition",
    "MINOR": "33",
    "PARTN": "1",
    "ID_FS_TYPE": "vfat",
    "ID_FS_USAGE": "filesystem",
    "ID_FS_UUID": "3B2E-1A04",
    "ID_PART_ENTRY_NUMBER": "1",
    "EDGED_BAY": "28",
}
# What the kernel alone says of the same plugging in: udev has not been asked yet.
READER_KERNEL: Properties = {
    key: READER_DISK[key] for key in ("DEVPATH", "DEVNAME", "DEVTYPE", "MAJOR", "MINOR", "SUBSYSTEM")
}
# A disk in a USB enclosure on a Raspberry Pi, GPT.
ENCLOSURE: Properties = {
    "DEVPATH": "/devices/platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0/usb2/2-1/2-1.2/2-1.2:1.0/host1"
    "/target1:0:0/1:0:0:0/block/sdc",
    "DEVNAME": "/dev/sdc",
    "DEVTYPE": "disk",
    "MAJOR": "8",
    "MINOR": "32",
    "SUBSYSTEM": "block",
    "ID_VENDOR": "External",
    "ID_VENDOR_ID": "152d",
    "ID_MODEL": "USB3.0_DISK00",
    "ID_MODEL_ID": "0567",
    "ID_SERIAL": "USB3.0_WFL00000-0:0",
    "ID_SERIAL_SHORT": "WFL00000",
    "ID_TYPE": "disk",
    "ID_INSTANCE": "0:0",
    "ID_BUS": "usb",
    "ID_USB_INTERFACES": ":080650:",
    "ID_USB_DRIVER": "usb-storage",
    "ID_PATH": "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2:1.0-scsi-0:0:0:0",
    "ID_PART_TABLE_UUID": "edb7f0ce-d545-411c-9e1c-52e9f8625e32",
    "ID_PART_TABLE_TYPE": "gpt",
}
# A SATA disk behind a USB bridge and five hubs: the bus that udev names is the disk's own, `ata` (udev 257).
BRIDGE: Properties = {
    "DEVPATH": "/devices/pci0000:00/0000:00:08.3/0000:c6:00.4/usb8/8-1/8-1.4/8-1.4.1/8-1.4.1.3/8-1.4.1.3.3"
    "/8-1.4.1.3.3:1.0/host0/target0:0:0/0:0:0:0/block/sda",
    "DEVNAME": "/dev/sda",
    "DEVTYPE": "disk",
    "DISKSEQ": "28",
    "MAJOR": "8",
    "MINOR": "0",
    "SUBSYSTEM": "block",
    "ID_ATA": "1",
    "ID_TYPE": "disk",
    "ID_BUS": "ata",
    "ID_MODEL": "TOSHIBA_HDWL120",
    "ID_SERIAL_SHORT": "60GH00000",
    "ID_USB_MODEL": "HDWL120",
    "ID_USB_MODEL_ID": "1561",
    "ID_USB_VENDOR": "TOSHIBA",
    "ID_USB_VENDOR_ID": "174C",
    "ID_USB_SERIAL_SHORT": "AAAABBBBCCCC0003",
    "ID_PATH": "pci-0000:c6:00.4-usb-0:1.4.1.3.3:1.0-scsi-0:0:0:0",
}
# A disk inside the machine.
INTERNAL: Properties = {
    "DEVPATH": "/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda10",
    "DEVNAME": "/dev/sda10",
    "DEVTYPE": "partition",
    "PARTN": "10",
    "MAJOR": "8",
    "MINOR": "10",
    "ID_ATA": "1",
    "ID_BUS": "ata",
    "ID_MODEL": "SAMSUNG_HM321HI",
    "ID_SERIAL_SHORT": "S2K5J500000000",
    "ID_PATH": "pci-0000:00:1f.2-ata-1",
    "ID_FS_TYPE": "ext4",
    "ID_FS_USAGE": "filesystem",
}
# The third slot of a reader with several, a card with three partitions; the card holds a hybrid image.
THIRD_SLOT: Properties = {
    "DEVPATH": "/devices/pci0000:00/0000:00:12.2/usb1/1-1/1-1:1.0/host3/target3:0:0/3:0:0:2/block/sdd/sdd3",
    "DEVNAME": "/dev/sdd3",
    "DEVTYPE": "partition",
    "MAJOR": "8",
    "MINOR": "51",
    "SUBSYSTEM": "block",
    "ID_BUS": "usb",
    "ID_VENDOR": "Myson",
    "ID_VENDOR_ID": "04cf",
    "ID_MODEL": "CS8819A2-113_2",
    "ID_MODEL_ID": "8819",
    "ID_INSTANCE": "0:2",
    "ID_SERIAL_SHORT": "100",
    "ID_PATH": "pci-0000:00:12.2-usb-0:1:1.0-scsi-0:0:0:2",
    "ID_FS_TYPE": "ext4",
    "ID_FS_USAGE": "filesystem",
    "ID_FS_UUID": "48d0d0af-849e-4148-944f-cd33c58f726b",
    "ID_PART_ENTRY_NUMBER": "3",
    "EDGED_BAY": "7",
}
# A disc drive on USB with a disc in it.
DISC: Properties = {
    "DEVPATH": "/devices/pci0000:00/0000:00:1c.2/0000:03:00.0/usb6/6-2/6-2:1.0/host4/target4:0:0/4:0:0:0/block/sr1",
    "DEVNAME": "/dev/sr1",
    "DEVTYPE": "disk",
    "MAJOR": "11",
    "MINOR": "1",
    "ID_BUS": "usb",
    "ID_CDROM": "1",
    "ID_CDROM_MEDIA": "1",
    "ID_VENDOR_ID": "0e8d",
    "ID_MODEL_ID": "1887",
    "ID_PATH": "pci-0000:03:00.0-usb-0:2:1.0-scsi-0:0:0:0",
    "ID_FS_TYPE": "udf",
    "ID_FS_USAGE": "filesystem",
}

BAY = BayId("bay-1")
KNOWN = Known(
    ports={"pci-0000:00:14.0-usb-0:1": BAY, "pci-0000:00:12.2-usb-0:1": BayId("bay-2")},
    usb=frozenset({"058f:6366", "04cf:8819"}),
)


def volume_of(properties: Mapping[str, str], sectors: int = 61_440) -> Volume:
    found = read_volume(properties, sectors)
    assert found is not None
    return found


def verdict(properties: Mapping[str, str], sectors: int = 61_440, known: Known = KNOWN) -> BayId | Refusal | None:
    found = read_volume(properties, sectors)
    return None if found is None else judge(found, known)


def test_card_in_a_reader_is_docked_by_its_partition_and_the_disk_is_passed_over() -> None:
    assert verdict(READER_DISK) is None
    assert verdict(READER_PARTITION) == "bay-1"
    volume = volume_of(READER_PARTITION)
    assert (volume.device, volume.medium, volume.usb, volume.serial) == ("8:33", 28, "058f:6366", "058F63660000")
    assert (volume.filesystem, volume.partition) == (Filesystem(type="vfat", label=None, serial="3B2E-1A04"), 1)


def test_reader_without_a_card_is_nothing_and_not_an_unformatted_card() -> None:
    empty = {key: value for key, value in READER_DISK.items() if not key.startswith("ID_PART")}
    assert verdict(empty, sectors=0) is None
    refused = verdict(empty)
    assert isinstance(refused, Refusal)
    assert "holds no file system" in refused.why


@pytest.mark.parametrize("properties", [READER_KERNEL, INTERNAL, DISC, {}, {"DEVTYPE": "disk", "ID_BUS": "usb"}])
def test_what_is_no_usb_disk_is_nothing(properties: Properties) -> None:
    assert read_volume(properties, 1000) is None


def test_usb_disk_is_told_by_its_usb_identity_also_behind_a_bridge_to_sata() -> None:
    volume = volume_of(BRIDGE)
    assert (volume.usb, volume.serial) == ("174c:1561", "AAAABBBBCCCC0003")


def test_units_and_partitions_of_one_recorder_get_names_below_the_bays() -> None:
    assert verdict(THIRD_SLOT) == "bay-2.lun2.p3"
    assert verdict(READER_PARTITION | {"PARTN": "2"}) == "bay-1.p2"
    whole = {key: value for key, value in READER_PARTITION.items() if key != "PARTN" and not key.startswith("ID_PART")}
    assert verdict(whole | {"DEVTYPE": "disk"}) == "bay-1"


def test_whole_disk_whose_boot_sector_looks_like_a_table_is_docked_for_its_file_system() -> None:
    # So blkid says of a card with exFAT and no partitions.
    card = READER_DISK | {"ID_FS_TYPE": "exfat", "ID_FS_USAGE": "filesystem", "EDGED_BAY": "4"}
    assert verdict(card) == "bay-1"


def test_unknown_usb_storage_is_refused_with_what_to_enter_where() -> None:
    refused = verdict(ENCLOSURE | {"ID_FS_TYPE": "exfat", "ID_FS_USAGE": "filesystem"})
    assert isinstance(refused, Refusal)
    assert (refused.bay, refused.usb, refused.serial) == (None, "152d:0567", "WFL00000")
    assert "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2, which is no bay" in refused.why
    in_a_bay = verdict(READER_PARTITION, known=Known(ports=KNOWN.ports, usb=frozenset()))
    assert isinstance(in_a_bay, Refusal)
    assert (in_a_bay.bay, '"058f:6366"' in in_a_bay.hint) == ("bay-1", True)


def test_partitions_of_one_unknown_device_are_refused_as_one() -> None:
    none = Known(ports=KNOWN.ports, usb=frozenset())
    assert verdict(READER_PARTITION, known=none) == verdict(
        READER_PARTITION | {"PARTN": "2", "MINOR": "34"}, known=none
    )


def test_device_that_udev_did_not_mark_is_not_docked() -> None:
    for medium in ("", "x", "-1"):
        refused = verdict(READER_PARTITION | {"EDGED_BAY": medium})
        assert isinstance(refused, Refusal)
        assert "does not mark" in refused.why


def test_port_is_not_mistaken_for_one_whose_name_begins_alike() -> None:
    known = Known(ports={"pci-0000:00:14.0-usb-0:1": BAY}, usb=frozenset())
    for path, bay in {
        "pci-0000:00:14.0-usb-0:1:1.0-scsi-0:0:0:0": BAY,
        "pci-0000:00:14.0-usb-0:1": BAY,
        "pci-0000:00:14.0-usb-0:1.2:1.0-scsi-0:0:0:0": None,
        "pci-0000:00:14.0-usb-0:10:1.0-scsi-0:0:0:0": None,
        "pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0": None,
        "": None,
    }.items():
        assert known.bay_at(path) == bay, path


def test_port_is_what_stands_before_interface_and_unit() -> None:
    assert port_of(BRIDGE["ID_PATH"]) == "pci-0000:c6:00.4-usb-0:1.4.1.3.3"
    assert port_of("pci-0000:c6:00.4-usbv3-0:1.4:1.0-scsi-0:0:0:0") == "pci-0000:c6:00.4-usbv3-0:1.4"
    assert port_of("platform-soc-mmc") == "platform-soc-mmc"


@pytest.mark.parametrize(
    ("encoded", "label"),
    [
        ("CAM-07", "CAM-07"),
        ("NO\\x20NAME", "NO NAME"),
        ("\\xe8\\xae\\xb0\\xe5\\xbd\\x95", "记录"),
        ("\\xff\\xfe", "\ufffd\ufffd"),
        ("\\x2f..\\x2f", "/../"),
        ("", None),
    ],
)
def test_volume_name_is_text_whatever_the_card_says(encoded: str, label: str | None) -> None:
    filesystem = volume_of(READER_PARTITION | {"ID_FS_LABEL_ENC": encoded}).filesystem
    assert filesystem is not None
    assert filesystem.label == label


def test_hostile_names_stay_out_of_sentences_and_ids() -> None:
    hostile = READER_PARTITION | {"ID_VENDOR": "\x1b[2J\n" + "A" * 500, "ID_PATH": "pci-0000:00:14.0-usb-0:9"}
    refused = verdict(hostile)
    assert isinstance(refused, Refusal)
    assert "\x1b" not in refused.why
    assert len(refused.why) < 300


def test_rules_mark_the_ports_and_only_these() -> None:
    rules = udev_rules(["pci-0000:00:14.0-usb-0:2.1", "pci-0000:00:14.0-usb-0:2.2"])
    found = re.search(r'ENV\{ID_PATH\}=="([^"]*)"', rules)
    assert found is not None

    def marked(path: str) -> bool:
        # As udev(7) matches: shell patterns, alternatives between bars.
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in found[1].split("|"))

    assert marked("pci-0000:00:14.0-usb-0:2.1:1.0-scsi-0:0:0:0")
    assert marked("pci-0000:00:14.0-usb-0:2.2")
    assert not marked("pci-0000:00:14.0-usb-0:2.10:1.0-scsi-0:0:0:0")
    assert not marked("pci-0000:00:14.0-usb-0:2.1.4:1.0-scsi-0:0:0:0")
    assert 'ENV{UDISKS_IGNORE}="1"' in rules


def test_every_key_that_decides_is_read_from_udev() -> None:
    relevant = {key: value for key, value in THIRD_SLOT.items() if key in KEYS}
    assert read_volume(relevant, 1) == read_volume(THIRD_SLOT, 1)
