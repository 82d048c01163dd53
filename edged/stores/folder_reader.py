"""Reads a store in a folder: that of a directory store, or a copy of any store in one.

No marker is asked for, because a copy has none and nothing is written. Links are listed as such and never followed at
the end of a name.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from edged.errors import EdgedError, MalformedError, StoreError, UnreadableError
from edged.evidence import canonical
from edged.evidence.text import parse_decimal
from edged.stores.port import MissingError
from edged.stores.reader import Listed
from edged.stores.share import MARKER, MORE, check_key
from edged.stores.share_files import Names, open_file

_PIECE_BYTES: Final = 1 << 20


class FolderReader:
    """A folder as a `Reader`."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._root = folder

    def close(self) -> None:
        """Nothing is held open between two calls."""

    def marked_as(self) -> str | None:
        """Give the name of the store whose folder this is, None where no marker says it."""
        with suppress(OSError, MalformedError):
            document = canonical.decode((self._root / MARKER).read_bytes())
            if isinstance(document, dict) and isinstance(store := document.get("store"), str):
                return store
        return None

    def newest(self, key: str) -> Iterator[bytes]:
        """Read the file that stands under the plain name."""
        return self._blocks(key, None)

    def read(self, key: str, version: str | None) -> Iterator[bytes]:
        """Read a version by its number."""
        if version is None:
            raise MissingError(f"Which version of {key} is meant is not said.")
        return self._blocks(key, version)

    def listing(self, prefix: str) -> Iterator[Listed]:
        """Walk the part of the folder that holds such keys."""
        top = prefix if prefix.endswith("/") or not prefix else prefix.rpartition("/")[0]
        for folder, folders, names in os.walk(self._root / top, onerror=self._refuse):
            below = Path(folder).relative_to(self._root)
            if below == Path(top):  # of its folders only those that hold such keys
                folders[:] = [each for each in folders if _key(below / each).startswith(prefix)]
            folders.sort()
            for name in sorted([*names, *(each for each in folders if Path(folder, each).is_symlink())]):
                for found in self._listed(below, name):
                    if found.key.startswith(prefix):
                        yield found

    def folders(self, prefix: str) -> list[str]:
        """Give the names of the folders in one."""
        try:
            found = [each.name for each in os.scandir(self._root / prefix) if each.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise UnreadableError(f"{self._root / prefix} cannot be read: {error.strerror}.") from error
        return sorted(name for name in found if not name.endswith(MORE))

    def _listed(self, below: Path, name: str) -> Iterator[Listed]:
        path = self._root / below / name
        with suppress(FileNotFoundError):  # it may go on being written to
            held = path.lstat()
            size_bytes = held.st_size
            if not stat.S_ISREG(held.st_mode):
                yield Listed(key=_key(below / name), version="", size_bytes=0, is_newest=True, is_object=False)
            elif below.name.endswith(MORE):
                key = _key(below)[: -len(MORE)]
                yield Listed(key=key, version=name, size_bytes=size_bytes, is_newest=self._is(key, held))
            elif (last := Names(self._root, _key(below / name)).last()) == 0:
                yield Listed(key=_key(below / name), version="1", size_bytes=size_bytes, is_newest=True)
            elif not self._is(f"{_key(below / name)}{MORE}/{last}", held):
                yield Listed(key=_key(below / name), version="", size_bytes=size_bytes, is_newest=True)

    def _is(self, key: str, held: os.stat_result) -> bool:
        """Say whether a name stands for a very file."""
        try:
            found = (self._root / key).lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def _blocks(self, key: str, version: str | None) -> Iterator[bytes]:
        try:
            check_key(key)
            names = Names(self._root, key)
            fd = open_file(names.plain) if version is None else names.open(parse_decimal(version, "a version"))
        except (EdgedError, FileNotFoundError, NotADirectoryError) as error:
            which = "" if version is None else f" in version {version}"
            raise MissingError(f"{self.name} does not hold {key}{which}.") from error
        except OSError as error:
            raise StoreError(f"{self.name} does not give {key}: {error.strerror}.") from error
        with closing(os.fdopen(fd, "rb", buffering=0)) as file:
            try:
                while block := file.read(_PIECE_BYTES):
                    yield block
            except OSError as error:
                raise StoreError(f"{self.name} does not give {key}: {error.strerror}.") from error

    def _refuse(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise UnreadableError(f"{error.filename} cannot be read: {error.strerror}.") from error


def _key(path: Path) -> str:
    """Give a name as a key; what is no text is shown by codes, and matches no key."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
