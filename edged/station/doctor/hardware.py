"""Ports, mounter, and what else on the machine would take a recorder's card for itself."""

import socket
from collections.abc import Iterator

from edged.bays.volumes import udev_rules
from edged.config import StationConfig
from edged.station.doctor.findings import Finding, ok, problem, unseen, warning
from edged.station.doctor.machine import Machine

RULES = "/etc/udev/rules.d/70-edged.rules"
_MAKE_RULES = (
    f"edged bays --udev-rules > {RULES} && udevadm control --reload && udevadm trigger --subsystem-match=block"
)
_RULE_FOLDERS = ("/etc/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
_MOUNTERS = ("systemd-mount", "usbmount", "udevil", "devmon")
"""What mounts by a udev rule or beside udev, and does not look at UDISKS_IGNORE as udisks does."""
_CONNECT_SECONDS = 5.0


def look_at_rules(station: StationConfig, machine: Machine) -> Iterator[Finding]:
    """Look whether the udev rules in force are those that the configured ports need."""
    if station.bays.source != "udev":
        yield ok("udev", "This station takes recorders from a folder, and needs no udev rules.")
        return
    found = machine.text(RULES)
    if found is None:
        yield problem("udev", f"{RULES} is not there, so no port is a bay.", _MAKE_RULES)
    elif found != udev_rules(station.bays.ports):
        yield problem("udev", f"{RULES} was made for other ports, or by another edged.", _MAKE_RULES)
    else:
        yield ok("udev", f"{RULES} marks {len(station.bays.ports)} ports as bays.")


def look_at_mounter(station: StationConfig) -> Iterator[Finding]:
    """Look whether the mounter would answer the daemon."""
    if station.bays.source != "udev":
        yield ok("mounter", "Something else mounts the cards of this station.")
        return
    path = station.bays.mounter
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(str(path))
        except PermissionError:
            yield unseen("mounter", f"{path} cannot be connected to as this user.")
        except OSError as error:
            why = error.strerror or str(error)
            yield problem("mounter", f"The mounter does not answer at {path}: {why}.", "systemctl start edged.target")
        else:
            yield ok("mounter", f"The mounter's socket {path} is there.")


def look_at_automounters(station: StationConfig, machine: Machine) -> Iterator[Finding]:
    """Look for what would mount cards before the mounter does."""
    if station.bays.source != "udev":
        yield ok("automounter", "This station relies on something else that mounts cards.")
        return
    for folder in _RULE_FOLDERS:
        for path in sorted(machine.at(folder).glob("*.rules")):
            lines = path.read_text("utf-8", "replace").splitlines()
            rules = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
            if named := [name for name in _MOUNTERS if name in rules]:
                yield problem(
                    "automounter",
                    f"The udev rules {path} have {named[0]} mount what is plugged in, recorders too.",
                    "Remove it, or except the ports of the bays from it.",
                )
                return
    udisks = any(
        machine.at(f"{folder}/udisks2.service").exists()
        for folder in ("/usr/lib/systemd/system", "/lib/systemd/system")
    )
    if udisks and machine.text(RULES) is None:
        yield warning("automounter", "udisks mounts recorders for whoever sits at the desktop.", _MAKE_RULES)
    else:
        yield ok("automounter", "Nothing else mounts what is plugged into a bay.")
