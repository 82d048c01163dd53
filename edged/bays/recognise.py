"""Which recorder a docked card belongs to: one profile and one entry of the register, or a refusal with its reason.

Guarantees: nothing is guessed. Exactly one profile must fit the layout, the names of all files must speak of one
recorder, and that one must be registered. A card without any file but the recorder's own is recognised by a folder or
volume name that is the serial number of exactly one registered recorder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edged.bays.inventory import Item
from edged.bays.profiles import IdFile, Profile, zone_of
from edged.bays.register import Register, RegisteredRecorder
from edged.bays.safe_files import RecorderGoneError, read_start
from edged.bays.source import Docked
from edged.errors import MalformedError, RecorderError, RefusedRecorderError
from edged.evidence.ids import OfficerId, to_id

_ID_FILE_BYTES: Final = 65_536
_REGISTER: Final = "Enter the recorder in config/register.toml, if it is one of yours, and dock it again."
_BY_HAND: Final = "Nothing was copied or erased. Look at the card by hand."


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """A recorder of the register, and what its card says beyond the names of its files."""

    recorder: RegisteredRecorder
    profile: Profile
    officer: OfficerId | None
    """Whom all file names name, else the id file, else the register; None if nobody, or if the names differ."""
    zone: str | None
    """Zone of the times in file names as the profile or the id file claims it; None where it is the station's."""

    @property
    def vendor(self) -> str:
        """Give the vendor as registered, else as the profile says."""
        return self.recorder.vendor or self.profile.vendor

    @property
    def model(self) -> str:
        """Give the model as registered, else as the profile says."""
        return self.recorder.model or self.profile.model


@dataclass(frozen=True, kw_only=True)
class _Card:
    """What one profile reads out of a card."""

    profile: Profile
    fits: bool
    devices: frozenset[str]
    officers: frozenset[str]
    own: dict[str, str]
    """`serial`, `officer` and `zone` of the id file, as far as they stand there."""


def recognise(docked: Docked, items: Sequence[Item], profiles: Sequence[Profile], register: Register) -> Recognised:
    """Recognise the recorder in a bay by the inventory of its card.

    Raises RefusedRecorderError with what was found and what to do; RecorderError if the card cannot be read.
    """
    paths = [item.path for item in items if item.kind == "file"]
    if docked.device is not None:
        usb = docked.device.usb
        profiles = [profile for profile in profiles if usb in profile.usb]
    fitting = [card for profile in profiles if (card := _read(docked, paths, profile)).fits]
    if len(fitting) > 1:
        names = ", ".join(card.profile.id for card in fitting)
        raise RefusedRecorderError(
            f"The card in bay {docked.bay} fits more than one recorder profile: {names}.", hint=_BY_HAND
        )
    if fitting:
        return _by_card(docked, fitting[0], register)
    if not all(any(profile.keeps(path) for profile in profiles) for path in paths):
        raise RefusedRecorderError(
            f"The card in bay {docked.bay} fits no recorder profile.",
            hint=f"{_BY_HAND} Profiles are in config/recorders.",
        )
    return _by_name(docked, profiles, register)


def _read(docked: Docked, paths: Sequence[str], profile: Profile) -> _Card:
    matches = [match[1] for path in paths if (match := profile.match(path))]
    own = {}
    if profile.id_file is not None and profile.id_file.path in paths:
        own = _read_id_file(docked, profile.id_file)
    return _Card(
        profile=profile,
        fits=bool(matches) or "serial" in own,
        devices=frozenset(groups["device"] for groups in matches if "device" in groups),
        officers=frozenset(groups["officer"] for groups in matches if "officer" in groups),
        own=own,
    )


def _read_id_file(docked: Docked, id_file: IdFile) -> dict[str, str]:
    try:
        start = read_start(docked.root, id_file.path, _ID_FILE_BYTES)
    except RecorderGoneError:
        raise
    except RecorderError:
        # One unreadable file of a dying card: the next source of identity may still name the recorder.
        return {}
    text = start.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    patterns = {"serial": id_file.serial, "officer": id_file.officer, "zone": id_file.zone}
    return {
        key: found[1] for key, pattern in patterns.items() if pattern and (found := pattern.search(text)) and found[1]
    }


def _by_card(docked: Docked, card: _Card, register: Register) -> Recognised:
    profile = card.profile
    if len(card.devices) > 1:
        raise RefusedRecorderError(
            f"The card in bay {docked.bay} holds files of several recorders: {_some(card.devices)}.", hint=_BY_HAND
        )
    named = next(iter(card.devices), None)
    serials = {
        "file-name": named,
        "id-file": card.own.get("serial"),
        "folder-name": _name(docked, {r.serial for r in register.recorders if r.profile == profile.id}),
    }
    serial = next((serials[source] for source in profile.identity if serials[source]), None)
    if serial is None:
        raise RefusedRecorderError(
            f"The card in bay {docked.bay} has the layout of {profile.id}, but nothing says which recorder it is.",
            hint=_BY_HAND,
        )
    recorder = register.find(profile.id, serial)
    if recorder is None:
        raise RefusedRecorderError(
            f"The recorder in bay {docked.bay}, {profile.id} with the number {_some([serial])}, is not registered.",
            hint=_REGISTER,
        )
    return _recognised(card, recorder)


def _by_name(docked: Docked, profiles: Sequence[Profile], register: Register) -> Recognised:
    by_id = {profile.id: profile for profile in profiles}
    name = _name(docked, {r.serial for r in register.recorders if r.profile in by_id})
    found = [r for r in register.recorders if r.serial == name and r.profile in by_id]
    if len(found) != 1:
        which = "several registered recorders" if found else "no registered recorder"
        raise RefusedRecorderError(
            f"The card in bay {docked.bay} is empty, and its name {_some([name])} is the number of {which}.",
            hint=_REGISTER,
        )
    profile = by_id[found[0].profile]
    empty = _Card(profile=profile, fits=False, devices=frozenset(), officers=frozenset(), own={})
    return _recognised(empty, found[0])


def _recognised(card: _Card, recorder: RegisteredRecorder) -> Recognised:
    officers = card.officers or ({card.own["officer"]} if "officer" in card.own else set())
    officer = recorder.officer if not officers else None
    if len(officers) == 1:
        officer = OfficerId(to_id(next(iter(officers))))
    return Recognised(
        recorder=recorder, profile=card.profile, officer=officer, zone=_zone(card.profile, card.own.get("zone"))
    )


def zone_of_profile(profile: Profile) -> str | None:
    """Give the zone of times in file names where nothing but the profile says; None where it is the station's."""
    return _zone(profile, None)


def _zone(profile: Profile, claimed: str | None) -> str | None:
    if profile.zone == "station":
        return None
    if profile.zone != "recorder":
        return profile.zone
    if claimed is None:
        return None
    try:
        zone_of(claimed)
    except MalformedError:
        # A zone that cannot be read is no claim; the station's own is as good as anything then.
        return None
    return claimed


def _name(docked: Docked, registered: set[str]) -> str:
    """Give the name as which the card appears: of folder (or USB device) and volume, the one that is registered.

    Raises RefusedRecorderError if they are the numbers of two recorders.
    """
    names = [name for name in (docked.hint, docked.filesystem.label) if name]
    known = [name for name in names if name in registered]
    if len(set(known)) > 1:
        raise RefusedRecorderError(
            f"The device in bay {docked.bay} and its card bear the numbers of two recorders: {_some(known)}.",
            hint=_BY_HAND,
        )
    return next(iter([*known, *names]), "")


def _some(values: frozenset[str] | Sequence[str]) -> str:
    """Show at most three values that came from outside, each cut to what a sentence bears."""
    shown = [ascii(value[:40]) for value in sorted(values)[:3]]
    return ", ".join(shown) + (" …" if len(values) > len(shown) else "")
