"""Since when a device may be there: never later than it was plugged in."""

import pytest

from edged.bays.presence import Presence
from edged.bays.uevents import Uevent

USB = "/devices/pci0000:00/usb1/1-2"
DISK = f"{USB}/1-2:1.0/host6/target6:0:0/6:0:0:0/block/sda"
PART = f"{DISK}/sda1"


def told(path: str, action: str = "add", **more: str) -> Uevent:
    return Uevent(action=action, properties={"DEVPATH": path, **more}, sectors=1)


def test_what_comes_is_as_old_as_the_last_moment_at_which_all_was_known() -> None:
    presence = Presence()
    presence.look((), 10.0)
    presence.hear(20.0)
    presence.tell(told(DISK))
    presence.hear(30.0)
    assert presence.earliest(DISK) == 20.0


def test_what_was_there_before_anybody_looked_is_as_old_as_udev_says() -> None:
    presence = Presence()
    presence.tell(told(DISK, USEC_INITIALIZED="1500000"))
    presence.tell(told("/devices/x"))
    assert presence.earliest(DISK) == 1.5
    assert presence.earliest("/devices/x") is None
    assert presence.earliest("/devices/never") is None


def test_a_partition_is_as_old_as_its_disk_and_a_disk_as_its_plug() -> None:
    presence = Presence()
    presence.hear(10.0)
    presence.tell(told(USB))
    presence.hear(13.0)
    presence.tell(told(DISK, USEC_INITIALIZED="13500000"))
    presence.hear(15.0)
    presence.tell(told(PART))
    assert presence.earliest(PART) == 10.0
    # A part of unknown age makes the whole so; a name that begins alike is no part.
    other = Presence()
    other.tell(told(USB))
    other.hear(5.0)
    other.tell(told(DISK))
    other.tell(told(f"{USB}0"))
    assert other.earliest(DISK) is None
    assert other.earliest(f"{USB}0") == 5.0


@pytest.mark.parametrize("how", ["remove", "look"])
def test_only_what_is_gone_is_forgotten(how: str) -> None:
    presence = Presence()
    presence.hear(10.0)
    presence.tell(told(DISK))
    presence.hear(20.0)
    presence.tell(told(DISK, "change"))
    assert presence.earliest(DISK) == 10.0
    if how == "remove":
        presence.tell(told(DISK, "remove"))
        presence.hear(30.0)
    else:
        presence.look((), 30.0)
    presence.tell(told(DISK))
    assert presence.earliest(DISK) == 30.0
