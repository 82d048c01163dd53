"""What a witness remembers: of each log, the newest checkpoint that it cosigned.

Guarantees: a checkpoint is durable when the `turn` that remembers it is left; sizes of a log never shrink, and a size
never gets a second root, whoever asks: the file itself refuses it. One writer at a time, other processes included.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.errors import FullError, NewerStateError, StorageError

VERSION: Final = 1
_WAIT_SECONDS: Final = 10

_SCHEMA: Final = """
-- The newest checkpoint of each log that this witness cosigned.
CREATE TABLE cosigned (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL CHECK (size >= 0),
    root BLOB NOT NULL CHECK (length(root) = 32),
    note BLOB NOT NULL                     -- with the signature by the log and the cosignature
) STRICT;
CREATE TRIGGER cosigned_only_grows BEFORE UPDATE ON cosigned
WHEN NEW.origin <> OLD.origin OR NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root)
BEGIN SELECT RAISE (ABORT, 'a witness never goes back'); END;
CREATE TRIGGER cosigned_stays BEFORE DELETE ON cosigned BEGIN SELECT RAISE (ABORT, 'a witness never forgets'); END;
"""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The newest checkpoint of a log that was cosigned."""

    size: int
    root: bytes
    note: bytes
    """With the signature by the log and the cosignature."""


class Memory:
    """The file of a witness."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it if it is new; raises NewerStateError or StorageError."""
        self._path = path
        with self._connected() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise NewerStateError(f"{path} was written by a newer edged.", hint="Install the newer edged again.")
            if version < VERSION:
                connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")

    def seen(self, origin: str) -> Seen | None:
        """Give the newest checkpoint of a log, None if none was cosigned."""
        with self._connected() as connection:
            return _seen(connection, origin)

    @contextmanager
    def turn(self, origin: str) -> Iterator["Turn"]:
        """Hold a log alone, from looking at what is remembered to what is remembered next.

        Leaving it makes what was remembered durable; an exception undoes it.
        """
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Turn(connection, origin)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None, timeout=_WAIT_SECONDS)) as connection:
                # FULL makes a commit durable before it returns; a rollback journal keeps all of it in one file.
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except sqlite3.OperationalError as error:
            kind = FullError if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL else StorageError
            raise kind(f"The witness's memory {self._path} cannot be used: {error}.") from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError):
                raise
            raise StorageError(f"The witness's memory {self._path} cannot be used: {error}.") from error


class Turn:
    """One log, held alone."""

    def __init__(self, connection: sqlite3.Connection, origin: str) -> None:
        self._connection = connection
        self._origin = origin

    @property
    def seen(self) -> Seen | None:
        """The newest checkpoint that was cosigned."""
        return _seen(self._connection, self._origin)

    def remember(self, seen: Seen) -> None:
        """Put a checkpoint in its place; the file refuses to go back."""
        self._connection.execute(
            "INSERT INTO cosigned (origin, size, root, note) VALUES (?, ?, ?, ?) ON CONFLICT (origin)"
            " DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note",
            (self._origin, seen.size, seen.root, seen.note),
        )


def _seen(connection: sqlite3.Connection, origin: str) -> Seen | None:
    row = connection.execute("SELECT size, root, note FROM cosigned WHERE origin = ?", (origin,)).fetchone()
    return None if row is None else Seen(size=row[0], root=bytes(row[1]), note=bytes(row[2]))
