"""What a card held when it was docked, listed before anything is copied (EVIDENCE.md, section 2, Inventory).

Guarantees: every entry of the tree that the file system shows is an item, in one order whatever the file system's
own; no link is followed and nothing is opened but folders; what could not be listed is named as a trouble, so that
nobody takes a shorter list for a complete one; a tree beyond `MAX_ENTRIES` or `MAX_DEPTH` is refused as a whole.
"""

import os
import stat
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from edged.bays.safe_files import FileGoneError, NotAFileError, RecorderGoneError, Root, open_file, opened_folder
from edged.errors import RecorderError, RefusedRecorderError, StoppedError
from edged.evidence.canonical import encode
from edged.evidence.ids import DockingId, escape_path

MAX_ENTRIES = 200_000
"""More entries than any recorder writes; the list stays within memory and the card within an hour."""

MAX_DEPTH = 64
"""Folders within folders; each listing opens all of those above it."""

_MAX_INTEGER = 2**53 - 1
"""The largest size that a signed document can state (RFC 8785)."""

Kind = Literal["file", "folder", "other"]


@dataclass(frozen=True, kw_only=True)
class Filesystem:
    """What is known of the file system on a card; `None` where it was not told."""

    type: str | None
    label: str | None
    serial: str | None


@dataclass(frozen=True, kw_only=True)
class Item:
    """One entry of the card's tree."""

    path: str
    """As EVIDENCE.md section 2 writes it."""
    kind: Kind
    """`other`: a link, pipe, socket or device, an entry of another file system, or one that would not be looked at."""
    size_bytes: int | None
    """Of files only."""
    modified_ns: int | None
    """Time of last change since the Unix epoch, as the kernel gives it."""

    @property
    def modified(self) -> str | None:
        """Give the time of last change as text in UTC with nine digits, as the file system holds it.

        A time beyond the year 9999 or before the year 1 is written as seconds since the epoch, `@SECONDS`.
        """
        if self.modified_ns is None:
            return None
        seconds, rest = divmod(self.modified_ns, 1_000_000_000)
        try:
            whole = datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return f"@{seconds}.{rest:09d}"
        return f"{whole.replace(tzinfo=None).isoformat()}.{rest:09d}Z"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One place of the card that could not be listed as it should; a card with troubles is never all cleared."""

    path: str
    """Of the entry; empty for the root itself."""
    what: Literal["vanished", "unreadable", "foreign"]
    """`vanished`: gone between listing and looking. `unreadable`: the file system answered with an error.
    `foreign`: another file system is mounted there."""


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The list of one card at one docking."""

    items: tuple[Item, ...]
    """Sorted by path."""
    troubles: tuple[Trouble, ...]
    """Sorted by path."""

    @property
    def files(self) -> tuple[Item, ...]:
        """Give the regular files: each becomes a segment or a sighting."""
        return tuple(item for item in self.items if item.kind == "file")

    @property
    def total_bytes(self) -> int:
        """Give the sum of the sizes of all files."""
        return sum(item.size_bytes or 0 for item in self.items)

    def document(self, docking: DockingId, filesystem: Filesystem) -> bytes:
        """Write the inventory as the JCS document that the `docking` entry cites.

        `created` is always null: Linux shows no time of creation through the calls that Python 3.11 has.
        """
        return encode(
            {
                "v": 1,
                "docking": docking,
                "filesystem": {
                    "type": filesystem.type,
                    "label": filesystem.label,
                    "serial": filesystem.serial,
                },
                "items": [
                    {
                        "path": item.path,
                        "kind": item.kind,
                        "bytes": item.size_bytes,
                        "modified": item.modified,
                        "created": None,
                    }
                    for item in self.items
                ],
            }
        )


def take_inventory(root: Root, stop: threading.Event, *, max_entries: int = MAX_ENTRIES) -> Inventory:
    """List the whole tree below `root`.

    Raises RecorderGoneError if the card leaves meanwhile, RecorderError if its top folder cannot be listed,
    RefusedRecorderError for a tree that is larger or deeper than any recorder writes, StoppedError.
    """
    walk = _Walk(root, stop, max_entries)
    waiting: list[tuple[bytes, ...]] = [()]
    while waiting:
        waiting += walk.list_folder(waiting.pop())
    # A card that was pulled out looks like one whose last folders were all unreadable.
    root.check()
    return Inventory(
        items=tuple(walk.items[path] for path in sorted(walk.items)),
        troubles=tuple(sorted(walk.troubles, key=lambda trouble: (trouble.path, trouble.what))),
    )


def list_one(root: Root, name: bytes) -> Inventory:
    """List one file of a folder as if there were nothing else.

    Raises RecorderGoneError, FileGoneError or NotAFileError if it is not there or no regular file.
    """
    path = escape_path(name)
    fd = open_file(root, path)
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    item = Item(path=path, kind="file", size_bytes=status.st_size, modified_ns=status.st_mtime_ns)
    return Inventory(items=(item,), troubles=())


class _Walk:
    """The list under way."""

    def __init__(self, root: Root, stop: threading.Event, max_entries: int) -> None:
        self._root = root
        self._stop = stop
        self._max_entries = max_entries
        # By path: a damaged FAT folder can show one name twice.
        self.items: dict[str, Item] = {}
        self.troubles: list[Trouble] = []

    def list_folder(self, names: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
        """Add the entries of one folder and give the folders among them."""
        folders: list[tuple[bytes, ...]] = []
        try:
            # Through /proc the names come as the bytes that they are, whatever the process's locale.
            with opened_folder(self._root, names) as fd, os.scandir(b"/proc/self/fd/%d" % fd) as entries:
                for entry in entries:
                    below = (*names, entry.name)
                    if self._add(fd, below) == "folder":
                        folders.append(below)
        except RecorderGoneError:
            raise
        except (FileGoneError, NotAFileError):
            self._note(names, "vanished")
        except (RecorderError, OSError) as error:
            if not names:
                raise RecorderError(f"The top folder of the card cannot be listed: {error}.") from error
            self._note(names, "unreadable")
        return folders

    def _add(self, parent: int, names: tuple[bytes, ...]) -> Kind | None:
        if self._stop.is_set():
            raise StoppedError("The inventory was interrupted by a shutdown.")
        path = escape_path(b"/".join(names))
        try:
            status = os.stat(names[-1], dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            self._note(names, "vanished")
            return None
        except OSError:
            self._note(names, "unreadable")
            item = Item(path=path, kind="other", size_bytes=None, modified_ns=None)
        else:
            item = self._item(names, path, status)
        self.items[path] = item
        if len(self.items) > self._max_entries:
            raise RefusedRecorderError(
                f"The card holds more than {self._max_entries} files and folders, more than a recorder writes.",
                hint="Nothing was copied or erased. Look at the card by hand.",
            )
        if item.kind == "folder" and len(names) > MAX_DEPTH:
            raise RefusedRecorderError(
                f"The card holds folders more than {MAX_DEPTH} deep, deeper than a recorder writes.",
                hint="Nothing was copied or erased. Look at the card by hand.",
            )
        return item.kind

    def _item(self, names: tuple[bytes, ...], path: str, status: os.stat_result) -> Item:
        kind: Kind = "other"
        size_bytes = None
        if status.st_dev != self._root.device:
            self._note(names, "foreign")
        elif stat.S_ISDIR(status.st_mode):
            kind = "folder"
        elif stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_INTEGER:
            kind, size_bytes = "file", status.st_size
        elif stat.S_ISREG(status.st_mode):
            self._note(names, "unreadable")
        return Item(path=path, kind=kind, size_bytes=size_bytes, modified_ns=status.st_mtime_ns)

    def _note(self, names: tuple[bytes, ...], what: Literal["vanished", "unreadable", "foreign"]) -> None:
        self.troubles.append(Trouble(path=escape_path(b"/".join(names)), what=what))
