"""The feed folder: takes each file that has come to rest, once its cases are remembered moves it out of the way.

Order, for each file: wait until size and time have stayed the same, read, parse, hand to the sink (which makes
the cases durable), write what was wrong beside where the file will lie, move the file. Whatever stops this in
between, the file is still in the folder and is taken again: harmless, since the sink knows content by its digest.

Only names that end in .csv or .json are read. Hidden and temporary names are left alone, as are folders, links and
pipes; every other file is moved to `rejected` with a sentence, so that whoever dropped a workbook learns of it.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import PurePosixPath
from typing import Final, Literal, Protocol

from edged.cases.feed import MAX_FEED_BYTES, FeedFile, FeedProblem, parse
from edged.cases.rows import shown
from edged.errors import UnavailableError
from edged.evidence.ids import Sha256

SETTLE_SECONDS: Final = 3.0
RETRY_SECONDS: Final = 60.0
"""After a file could not be read or moved."""

Tray = Literal["done", "rejected"]

_READ = (".csv", ".json")
_TEMPORARY_STARTS = (".", "~")
_TEMPORARY_ENDS = ("~", ".tmp", ".temp", ".part", ".partial", ".crdownload", ".filepart", ".swp", ".lock")
_LONGEST_NAME_BYTES = 200
"""Leaves room for what is added to a name within the 255 bytes of a file system."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A regular file in the feed folder, and by what a change of it is noticed."""

    name: str
    size_bytes: int
    modified_ns: int
    inode: int


class FeedPort(Protocol):
    """What the feed asks of its folder. Every method raises UnavailableError when the disk or share refuses."""

    def files(self) -> list[Found]:
        """Give the regular files lying directly in the folder."""

    def read(self, found: Found, at_most: int) -> bytes | None:
        """Give the first `at_most` bytes of a file; `None` if it is gone or no longer what was found."""

    def put_note(self, tray: Tray, name: str, text: str) -> None:
        """Write a text into a tray; one of the same name is replaced."""

    def move(self, found: Found, tray: Tray, name: str) -> None:
        """Move a file into a tray under `name`; one of the same name is replaced."""

    def holds(self, tray: Tray, name: str) -> bool:
        """Say whether a tray has something of that name."""


@dataclass(kw_only=True)
class _Watched:
    """A file seen before: what it was, and when it may be taken."""

    found: Found
    due: float


class FeedFolder:
    """Takes files out of a feed folder when asked to. Not for several threads at once."""

    def __init__(self, port: FeedPort, zone: tzinfo, *, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._port = port
        self._zone = zone
        self._settle = settle_seconds
        self._watched: dict[str, _Watched] = {}

    def take(self, now: float, sink: Callable[[FeedFile], None]) -> int:
        """Hand every file at rest to `sink` and put it away; gives how many.

        `now` is monotonic seconds. `sink` must have made the cases durable when it returns, and is given a file
        again after an interruption. What it raises ends the call and leaves the file where it is.

        Raises UnavailableError if the folder cannot be listed, or, after all others were taken, if a file could
        not be read or moved; that one is tried again after a minute.
        """
        present = {found.name: found for found in self._port.files() if not _is_temporary(found.name)}
        self._watched = {name: watched for name, watched in self._watched.items() if name in present}
        taken, trouble = 0, None
        for name, found in sorted(present.items()):
            watched = self._watched.get(name)
            if watched is None or watched.found != found:
                self._watched[name] = watched = _Watched(found=found, due=now + self._settle)
            if now < watched.due:
                continue
            try:
                taken += self._take_one(found, sink)
            except UnavailableError as error:
                watched.due = now + RETRY_SECONDS
                trouble = trouble or error
        if trouble is not None:
            raise trouble
        return taken

    def _take_one(self, found: Found, sink: Callable[[FeedFile], None]) -> bool:
        data = self._port.read(found, MAX_FEED_BYTES + 1)
        if data is None:
            return False
        file = parse(found.name, data, self._zone) if _is_read(found.name) else _not_read(found.name, data)
        if _is_read(found.name):
            sink(file)
        tray: Tray = "rejected" if file.refused else "done"
        name = self._free_name(tray, found.name, file.sha256)
        note = _note(file)
        if note:
            self._port.put_note(tray, f"{name}.txt", note)
        self._port.move(found, tray, name)
        return True

    def _free_name(self, tray: Tray, name: str, sha256: Sha256) -> str:
        """Give a name that is free in the tray, or taken by the same content."""
        if len(os.fsencode(name)) <= _LONGEST_NAME_BYTES and not self._port.holds(tray, name):
            return name
        path = PurePosixPath(name)
        stem = os.fsencode(path.stem)[: _LONGEST_NAME_BYTES - 40]
        return f"{os.fsdecode(stem)}-{sha256[:16]}{path.suffix[:8]}"


def _is_temporary(name: str) -> bool:
    return name.startswith(_TEMPORARY_STARTS) or name.lower().endswith(_TEMPORARY_ENDS)


def _is_read(name: str) -> bool:
    return name.lower().endswith(_READ)


def _not_read(name: str, data: bytes) -> FeedFile:
    plain = name if name.isprintable() else shown(name)
    allowed = "its name ends neither in .csv nor in .json; allowed: one of the two (save a workbook as CSV)"
    problem = FeedProblem(file=plain, row=None, column=None, allowed=allowed)
    return FeedFile(
        name=plain,
        sha256=Sha256(hashlib.sha256(data).hexdigest()),
        cases=(),
        problems=(problem,),
        ignored=(),
    )


def _note(file: FeedFile) -> str:
    """Say what of a file was not used; empty if there is nothing to say."""
    lines = [str(problem) for problem in file.problems]
    if file.ignored:
        lines.append(f"{file.name}: headings that are not known and were not read: {', '.join(file.ignored)}.")
    if not lines:
        return ""
    return "\n".join([*lines, f"{len(file.cases)} cases of this file were taken in."]) + "\n"
