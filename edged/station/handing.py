"""Manual intake: a loose card, or a file, that a person hands in (`edged intake`).

It is a docking of its own, with the person as its actor and the reason in its entry; which recorder it was, and who
carried it, that person says. Everything is sealed as from a bay, but nothing is ever erased: what was handed in stays
as it is. The folder comes as an open descriptor, so it is one that whoever asks could open; but its files the daemon
opens as itself, so no folder that holds the station's own keys, book or originals is taken, nor one inside of these.
"""

import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edged.bays import inventory
from edged.bays.profiles import Profile
from edged.bays.recognise import Recognised, zone_of_profile
from edged.bays.register import RegisteredRecorder
from edged.bays.safe_files import Root
from edged.bays.source import Docked
from edged.clock import random_hex
from edged.config import DirectoryStorePart, Id, StorePart, explain
from edged.errors import NotAllowedError, RefusedRecorderError, UsageError
from edged.evidence.ids import HANDED_IN, BayId, OfficerId, is_handed_in
from edged.station.beginning import HandedIn
from edged.station.docking import Intake
from edged.station.parts import Parts

_log = logging.getLogger(__name__)

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
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

    Raises UsageError for what cannot be taken in, RefusedRecorderError for a recorder that is in a bay now, FullError,
    RecorderError and StoppedError as a docking does; what was sealed until then stays, and asking again goes on.
    """
    try:
        asked = _Asked.model_validate(arguments)
    except ValidationError as error:
        raise UsageError(f"This cannot be taken in: {explain(error)}") from error
    recorder, profile = _registered(parts, asked.recorder)
    parts.room.insist()
    root = _root(parts, descriptors, asked.only)
    try:
        docked = Docked(bay=BayId(f"{HANDED_IN}{random_hex(8)}"), root=root, hint=asked.name, filesystem=_NO_FILESYSTEM)
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
    except RefusedRecorderError as error:
        raise _elsewhere(parts, docked, handed) or error from error
    finally:
        if not parts.stop.is_set():
            # One that did not come to its end is over: asking again is another docking.
            intake.leave()
        parts.live.clear_bay(docked.bay)
        parts.claims.give_back(docked.bay)
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


def _elsewhere(parts: Parts, docked: Docked, handed: HandedIn) -> RefusedRecorderError | None:
    """Say in the words of an intake that the recorder is kept by another bay; None if it is not."""
    recorder = handed.recognised.recorder.id
    bay = parts.claims.bay_of(recorder)
    if bay is None or bay == docked.bay:
        return None
    if is_handed_in(bay):
        return RefusedRecorderError(
            f"Something else of recorder {recorder} is being taken in by hand now.", hint="Ask again when that is done."
        )
    return RefusedRecorderError(f"Recorder {recorder} is docked in bay {bay} now.", hint="Take it out, and ask again.")


def _registered(parts: Parts, recorder: str) -> tuple[RegisteredRecorder, Profile]:
    known = next((each for each in parts.register().recorders if each.id == recorder), None)
    if known is None:
        raise UsageError(
            f"No recorder {recorder} is registered.", hint="Enter it in register.toml, or correct --recorder."
        )
    return known, next(each for each in parts.profiles if each.id == known.profile)


def _root(parts: Parts, descriptors: tuple[int, ...], only: str | None) -> Root:
    if len(descriptors) != 1 or not stat.S_ISDIR(os.fstat(descriptors[0]).st_mode):
        raise UsageError("An intake is of one folder.", hint="Is this command of the same version as the daemon?")
    folders, files = _own(parts)
    inside = not {_identity(folder.stat()) for folder in folders}.isdisjoint(_upwards(descriptors[0]))
    if only is None:
        around = _identity(os.fstat(descriptors[0])) in _above([*folders, *files])
    else:
        around = _identity_of(only, descriptors[0]) in {_identity(file.stat()) for file in files}
    if inside or around:
        raise NotAllowedError(
            "What the station itself keeps there is not taken in.",
            hint="Name the folder of the card, or one file of it.",
        )
    return Root.behind(descriptors[0])


def _own(parts: Parts) -> tuple[list[Path], list[Path]]:
    """Give the folders in which the station keeps keys, book and originals, and the files of passwords elsewhere."""
    config = parts.config
    folders = [config.paths.state, config.paths.vault, parts.config_folder]
    files: list[Path | None] = []
    if isinstance(config.store, DirectoryStorePart):
        folders.append(config.store.folder)
    if isinstance(config.store, StorePart):
        files.append(config.store.credentials)
    if config.supervision is not None:
        files += [config.supervision.credentials, config.supervision.key]
    there = [file.resolve() for file in files if file is not None and file.exists()]
    return [folder.resolve() for folder in folders if folder.exists()], there


def _identity_of(name: str, folder: int) -> tuple[int, int] | None:
    try:
        return _identity(os.stat(name, dir_fd=folder))
    except OSError:
        # Whoever takes it in says so.
        return None


def _upwards(descriptor: int) -> Iterator[tuple[int, int]]:
    """Give an open folder and all above it."""
    folder = os.open(".", _FOLDER, dir_fd=descriptor)
    try:
        before = None
        while (here := _identity(os.fstat(folder))) != before:
            yield here
            before, above = here, os.open("..", _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = above
    finally:
        os.close(folder)


def _above(folders: Iterable[Path]) -> set[tuple[int, int]]:
    return {_identity(above.stat()) for folder in folders for above in folder.parents}


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
