"""A station that dies at its N-th durable operation, so that each can be the last one before a crash.

It is the daemon's own parts, put together by the daemon's own code, in a process that is forked for one life. What
is counted: each operation of the vault's disk, each commit of the book, each erasing and each sync of a folder on the
card, each call to central storage (before it, and again when its answer has come), each part of an upload that the
store has taken. The lives of one station follow each other; the last one, which is to survive, ends when the docking
has ended.

A *power cut* also takes away what was not durable yet: a file loses half of what it grew by since it was synced, a name
that was not synced in its folder is undone. The book's own durability is SQLite's (WAL, synchronous=FULL) and is not
played here; `test_power_loss.py` and `hwsim torture` cut the power below a real ext4.
"""

import multiprocessing
import os
import sqlite3
import sys
import threading
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from edged.book import Book
from edged.clock import SystemClock
from edged.config import read_station
from edged.evidence.ids import StationId
from edged.station.assembly import StateLock, build
from edged.station.checking import Checker
from edged.station.daemon import Daemon
from edged.stores.port import PartsLog, Store, Stored, Upload
from edged.vault import incoming
from edged.vault.disk import Disk
from tests.crash.inside import ScriptedStore

DIED: Final = 137
How = Literal["kill", "power-cut"]

_LIVES = multiprocessing.get_context("forkserver")
_LIVES.set_forkserver_preload([__name__])
_LIFE_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True)
class Moment:
    """An operation that does not happen any more."""

    of: str = ""
    """What its note, `THREAD: WHAT`, holds; nothing for any operation."""
    nth: int = 1
    """The how-many-th of these, from 1."""
    then: str = ""
    """If given: not that one, but the first one after it, of the same thread, whose note holds this."""


@dataclass(frozen=True, kw_only=True)
class Life:
    """How one life of a station goes."""

    config: Path
    trace: Path
    """Each operation is noted here before it happens."""
    dies: Moment | None = None
    how: How = "kill"

    def live(self) -> bool:
        """Live it in a process of its own; says whether the station survived and the docking ended."""
        process = _LIVES.Process(target=_live, args=(self,))
        process.start()
        process.join(_LIFE_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        assert code in {0, DIED}, f"a life ended with {code}; last: {self.trace.read_text().splitlines()[-3:]}"
        return code == 0


class Death:
    """Counts durable operations, and ends the process at one of them."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._lock = threading.Lock()
        self._met = 0
        self._dying: str | None = None
        """The thread that has come to the moment, and goes on to what is `then`."""
        self._out = life.trace.open("a", buffering=1)
        self._unsynced: set[Path] = set()
        """Files whose content is not durable yet."""
        self._durable_bytes: dict[Path, int] = {}
        """How long files were when they were synced last."""
        self._unnamed: list[tuple[Path, Path]] = []
        """Renames, old and new name, that are not durable yet."""

    def step(self, what: str) -> None:
        """Note an operation that is about to happen; it is the last thing that happens if it is the fatal one."""
        thread, moment = threading.current_thread().name, self._life.dies
        what = f"{thread}: {what}"
        with self._lock:
            self._out.write(what + "\n")
            if moment is None:
                return
            if self._dying == thread and moment.then in what:
                self._die()
            if moment.of in what:
                self._met += 1
                if self._met == moment.nth:
                    self._dying = thread
                    if not moment.then:
                        self._die()

    def opened(self, path: str) -> None:
        """Note a file that is opened for writing; that alone makes nothing durable, so nobody dies of it."""
        with self._lock:
            self._out.write(f"opened for writing: {path}\n")

    def wrote(self, path: Path) -> None:
        """Note that a file has content that a power cut takes away."""
        with self._lock:
            self._unsynced.add(path)

    def synced(self, path: Path) -> None:
        """Note that a file's content is durable."""
        with self._lock:
            self._unsynced.discard(path)
            self._durable_bytes[path] = path.stat().st_size

    def renamed(self, source: Path, target: Path) -> None:
        """Note that a file has a name that a power cut takes away."""
        with self._lock:
            self._unnamed.append((source, target))
            self._durable_bytes[target] = self._durable_bytes.pop(source, 0)
            if source in self._unsynced:
                self._unsynced.remove(source)
                self._unsynced.add(target)

    def synced_folder(self, folder: Path) -> None:
        """Note that the names in a folder are durable."""
        with self._lock:
            self._unnamed = [each for each in self._unnamed if each[1].parent != folder]

    def _die(self) -> NoReturn:
        """End everything; the lock is held, so no other thread gets any further."""
        if self._life.how == "power-cut":
            for path in self._unsynced:
                if path.exists():
                    kept = min(self._durable_bytes.get(path, 0), path.stat().st_size)
                    os.truncate(path, kept + (path.stat().st_size - kept) // 2)
            for old, new in reversed(self._unnamed):
                if new.exists():
                    new.rename(old)
        os._exit(DIED)


class MortalDisk(Disk):
    """The real disk, each operation of which may be the last."""

    def __init__(self, death: Death) -> None:
        self._death = death

    def create(self, path: Path) -> int:
        self._death.step(f"create {path}")
        return super().create(path)

    def create_large(self, path: Path, size_bytes: int) -> int:
        self._death.step(f"create {path} of {size_bytes}")
        return super().create_large(path, size_bytes)

    def write(self, fd: int, buffer: memoryview, path: Path) -> None:
        self._death.step(f"write {path}")
        self._death.wrote(path)
        super().write(fd, buffer, path)

    def write_at(self, fd: int, buffer: memoryview, offset: int, path: Path) -> None:
        self._death.step(f"write {path} at {offset}")
        self._death.wrote(path)
        super().write_at(fd, buffer, offset, path)

    def cut(self, fd: int, size_bytes: int, path: Path) -> None:
        self._death.step(f"cut {path} to {size_bytes}")
        self._death.wrote(path)
        super().cut(fd, size_bytes, path)

    def sync(self, fd: int, path: Path) -> None:
        self._death.step(f"sync {path}")
        super().sync(fd, path)
        self._death.synced(path)

    def sync_folder(self, folder: Path) -> None:
        self._death.step(f"sync folder {folder}")
        super().sync_folder(folder)
        self._death.synced_folder(folder)

    def rename(self, source: Path, target: Path) -> None:
        self._death.step(f"rename {source} to {target}")
        super().rename(source, target)
        self._death.renamed(source, target)

    def remove(self, path: Path) -> None:
        self._death.step(f"remove {path}")
        super().remove(path)

    def make_folders(self, folder: Path) -> None:
        self._death.step(f"make folders {folder}")
        super().make_folders(folder)


class MortalParts:
    """The real notes of uploads under way; the daemon may die when a part was taken, before that is noted."""

    def __init__(self, parts: PartsLog, death: Death) -> None:
        self._parts = parts
        self._death = death

    def load(self, key: str) -> tuple[str, dict[int, str]] | None:
        return self._parts.load(key)

    def begin(self, key: str, upload_id: str) -> None:
        self._death.step(f"upload of {key} was begun")
        self._parts.begin(key, upload_id)

    def done(self, key: str, part: int, etag: str) -> None:
        self._death.step(f"part {part} of {key} was taken")
        self._parts.done(key, part, etag)

    def forget(self, key: str) -> None:
        self._parts.forget(key)


class MortalStore(ScriptedStore):
    """The real store; the daemon may die before each call that stores, and after it."""

    def __init__(self, store: Store, death: Death) -> None:
        super().__init__(store)
        self._death = death

    def upload(self, upload: Upload, parts: PartsLog, stop: threading.Event) -> Stored:
        self._death.step(f"upload {upload.key}")
        stored = super().upload(upload, MortalParts(parts, self._death), stop)
        self._death.step(f"uploaded {upload.key}")
        return stored

    def put(self, key: str, data: bytes, locked_until: datetime | None = None) -> Stored:
        self._death.step(f"put {key}")
        stored = super().put(key, data, locked_until)
        self._death.step(f"was put {key}")
        return stored


def check(config: Path, *, only: frozenset[str] | None = None) -> list[str]:
    """Give what `edged check --deep` finds at a station that nobody runs; `only` these checks, or all."""
    station = read_station(config)
    book = Book(station.paths.state, station=StationId(station.station.id), clock=SystemClock(), read_only=True)
    try:
        results = Checker(book, station, deep=True).run()
        return [finding.text for name, findings in results if only is None or name in only for finding in findings]
    finally:
        book.close()


def _live(life: Life) -> None:
    # A copy is worth going on with after its first piece, so that small files are enough to die in the middle of one.
    incoming._NOTE_CHUNKS = 1
    death = Death(life)
    station = read_station(life.config)
    _watch(death, station.bays.folder or station.paths.state)
    lock = StateLock(station.paths.state)
    parts = build(life.config, SystemClock(), disk=MortalDisk(death))
    assert parts.store is not None
    daemon = Daemon(replace(parts, store=MortalStore(parts.store, death)))
    wake = parts.pulse.subscribe()
    daemon.start()
    while not parts.book.ledger.of_type("undocking"):
        wake.wait(1)
        wake.clear()
    daemon.stop()
    lock.release()


def _watch(death: Death, cards: Path) -> None:
    """Note each commit; what is erased relative to an open folder, as only the wipe does; what is opened for writing.

    SQLite and Python (PEP 578) tell of these themselves. Of syncs nobody tells: those on a card are seen on their way.
    """
    connect = sqlite3.connect

    def watched(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(lambda sql: death.step("commit") if sql == "COMMIT" else None)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]
    writing = os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_APPEND

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in {"os.remove", "os.rmdir"} and args[1] != -1:
            death.step(f"{event} {args[0]!r} on the card")
        elif event == "open" and isinstance(args[2], int) and args[2] & writing:
            death.opened(str(args[0]))

    sys.addaudithook(hook)

    sync = os.fsync

    def watched_sync(fd: int) -> None:
        if (folder := Path(f"/proc/self/fd/{fd}").readlink()).is_relative_to(cards):
            death.step(f"sync {folder} on the card")
        sync(fd)

    os.fsync = watched_sync
