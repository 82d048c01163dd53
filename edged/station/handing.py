"""Manual intake: a loose card, or a file, that a person hands in (`edged intake`).

It is a docking of its own, with the person as its actor and the reason in its entry; which recorder it was, and who
carried it, that person says. Everything is sealed as from a bay, but nothing is ever erased: what was handed in stays
as it is. The folder comes as an open descriptor, so the daemon reads nothing that whoever asks could not open.
"""

import logging
import os
import stat
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edged.bays import inventory
from edged.bays.profiles import Profile
from edged.bays.recognise import Recognised, zone_of_profile
from edged.bays.register import RegisteredRecorder
from edged.bays.safe_files import Root
from edged.bays.source import Docked
from edged.clock import random_hex
from edged.config import Id, explain
from edged.errors import UsageError
from edged.evidence.ids import BayId, OfficerId, RecorderId
from edged.station.docking import HandedIn, Intake
from edged.station.parts import Parts

_log = logging.getLogger(__name__)

_NO_FILESYSTEM = inventory.Filesystem(type=None, label=None, serial=None)


class _Asked(BaseModel):
    """What an intake is asked with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recorder: Id
    officer: Id
    reason: Annotated[str, Field(min_length=1, max_length=4000)]
    name: str
    """What was handed in is called so: a recorder without a number of its own may be known by its folder's name."""
    only: str | None = None
    """Raw name of the one file of the folder that is handed in; None for all of it."""


def hand_in(parts: Parts, arguments: Mapping[str, Any], actor: str, descriptors: tuple[int, ...]) -> dict[str, object]:
    """Take in the folder behind a descriptor; gives what was found, when all of it is sealed.

    Raises UsageError for what cannot be taken in, FullError, RecorderError and StoppedError as a docking does; what
    was sealed until then stays, and asking again goes on.
    """
    try:
        asked = _Asked.model_validate(arguments)
    except ValidationError as error:
        raise UsageError(f"This cannot be taken in: {explain(error)}") from error
    recorder, profile = _registered(parts, asked.recorder)
    root = _root(descriptors)
    try:
        docked = Docked(bay=BayId(f"intake-{random_hex(8)}"), root=root, hint=asked.name, filesystem=_NO_FILESYSTEM)
        handed = HandedIn(
            recognised=Recognised(
                recorder=recorder, profile=profile, officer=OfficerId(asked.officer), zone=zone_of_profile(profile)
            ),
            reason=asked.reason,
            actor=actor,
            only=None if asked.only is None else os.fsencode(asked.only),
        )
        return _take(parts, docked, handed)
    finally:
        root.release()


def _take(parts: Parts, docked: Docked, handed: HandedIn) -> dict[str, object]:
    intake = Intake(parts, None, docked, parts.stop, handed)
    try:
        intake.run()
    finally:
        if not parts.stop.is_set():
            # One that did not come to its end is over: asking again is another docking.
            intake.leave()
        parts.live.clear_bay(docked.bay)
        parts.claims.give_back(RecorderId(handed.recognised.recorder.id), docked.bay)
    docking = parts.book.facts.last_docking_in(docked.bay)
    if docking is None:
        raise UsageError("There is nothing to take in.", hint="Name a folder that holds files, or a file.")
    found = parts.book.facts.found(docking.docking).values()
    sealed = sum(row.how == "sealed" for row in found)
    return {
        "docking": docking.docking,
        "files": docking.files,
        "bytes": docking.bytes,
        "sealed": sealed,
        "sighted": len(found) - sealed,
        "unread": docking.files - len(found),
    }


def _registered(parts: Parts, recorder: str) -> tuple[RegisteredRecorder, Profile]:
    known = next((each for each in parts.register().recorders if each.id == recorder), None)
    if known is None:
        raise UsageError(
            f"No recorder {recorder} is registered.", hint="Enter it in register.toml, or correct --recorder."
        )
    return known, next(each for each in parts.profiles if each.id == known.profile)


def _root(descriptors: tuple[int, ...]) -> Root:
    if len(descriptors) != 1 or not stat.S_ISDIR(os.fstat(descriptors[0]).st_mode):
        raise UsageError("An intake is of one folder.", hint="Is this command of the same version as the daemon?")
    return Root.behind(descriptors[0])
