"""Memory cards: planned as data, then written whole or not at all.

`write_card` builds beside the target and renames at the end, so a card folder that exists is complete.
Every file's modification time is the end of its recording by the recorder's clock, as a recorder leaves it.
"""

import os
import shutil
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import assert_never

from edged.errors import StorageError, UsageError
from hwsim.damage import Damage, damaged
from hwsim.video import Camera, Take


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """The content of a file that is one cut of a take."""

    take: Take

    cut: int = 0
    """Which file of the take, from 0."""

    damage: Damage | None = None
    """What happened to it afterwards."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """The content of a file whose bytes are given."""

    data: bytes


@dataclass(frozen=True, kw_only=True)
class Copied:
    """The content of a file that is the same as another file's of the card."""

    of: bytes
    """The other one's path; it stands earlier in the card's list."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """Not a file: a symbolic link."""

    target: bytes


@dataclass(frozen=True, kw_only=True)
class Pipe:
    """Not a file: a named pipe, which blocks whoever opens it."""


Content = Filmed | Written | Copied | Link | Pipe


@dataclass(frozen=True, kw_only=True)
class CardFile:
    """One thing on a card."""

    path: bytes
    """Relative to the card's root, `/` between its parts; names on a card are bytes, not text."""

    content: Content

    modified: datetime
    """By the recorder's clock, aware."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a card holds, in the order in which the recorder wrote it."""

    files: tuple[CardFile, ...]


def write_card(card: Card, root: Path, camera: Camera) -> None:
    """Make the card folder `root`, which must not exist yet.

    Raises UsageError if it does, StorageError if the disk refuses, ToolError if filming fails.
    """
    if os.path.lexists(root):
        raise UsageError(f"{root} exists already", hint="a card is made anew: name a folder that is not there")
    making = root.with_name(f".{root.name}.making")
    try:
        shutil.rmtree(making, ignore_errors=True)
        (making / "card").mkdir(parents=True)
        films = _film(card, making, camera)
        for file in card.files:
            _place(file, making / "card", films)
        (making / "card").rename(root)
    except OSError as error:
        raise StorageError(f"the card {root} cannot be written: {error}") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _film(card: Card, making: Path, camera: Camera) -> Mapping[Take, tuple[Path, ...]]:
    takes = list(dict.fromkeys(f.content.take for f in card.files if isinstance(f.content, Filmed)))
    folders = [making / f"take-{number:04}" for number in range(len(takes))]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="camera") as pool:
        films = pool.map(camera.film, takes, folders)
        try:
            return dict(zip(takes, films, strict=True))
        finally:
            pool.shutdown(cancel_futures=True)


def _place(file: CardFile, root: Path, films: Mapping[Take, tuple[Path, ...]]) -> None:
    target = root / os.fsdecode(file.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    match file.content:
        case Filmed() as filmed:
            film = films[filmed.take][filmed.cut]
            if filmed.damage is None:
                film.rename(target)
            else:
                target.write_bytes(damaged(film.read_bytes(), filmed.damage, filmed.take.seed))
        case Written(data=data):
            target.write_bytes(data)
        case Copied(of=other):
            shutil.copyfile(root / os.fsdecode(other), target)
        case Link(target=there):
            target.symlink_to(os.fsdecode(there))
        case Pipe():
            os.mkfifo(target)
        case _:
            assert_never(file.content)
    seconds = int(file.modified.timestamp())
    os.utime(target, (seconds, seconds), follow_symlinks=False)


def files_on(root: Path) -> tuple[bytes, ...]:
    """Give the paths of all regular files below `root`, relative to it, sorted; links are not followed."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if stat.S_ISREG(path.lstat().st_mode):
                found.append(os.fsencode(path.relative_to(root)))
    return tuple(sorted(found))
