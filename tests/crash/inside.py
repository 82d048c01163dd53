"""A station run within the test's own process, where a part of it can be replaced by one that fails as told."""

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from edged.clock import SystemClock
from edged.media.media import Media
from edged.media.sandbox import SEARCH, Sandbox
from edged.station.assembly import StateLock, build
from edged.station.daemon import Daemon
from edged.station.parts import Parts
from edged.station.serving import serve
from edged.stores.port import Found, PartsLog, Store, Stored, Upload
from tests.crash.station import Station


@contextmanager
def inside(
    station: Station, *, store: Callable[[Store], Store] | None = None, search: Path | None = None
) -> Iterator[Parts]:
    """Run the daemon's parts here; `store` wraps its store, `search` is where it looks for tools."""
    lock = StateLock(station.state)
    try:
        parts = build(station.config, SystemClock())
        if store is not None and parts.store is not None:
            parts = replace(parts, store=store(parts.store))
        if search is not None:
            parts = replace(parts, media=Media(Sandbox(parts.clock, search=str(search))))
        daemon, server = Daemon(parts), serve(parts)
        daemon.start()
        server.start()
        try:
            yield parts
        finally:
            server.stop()
            daemon.stop()
    finally:
        lock.release()


def tools_without(folder: Path, missing: Iterable[str]) -> Path:
    """Make a folder of links to all the tools that media work needs, but for some."""
    folder.mkdir()
    for name in {"bwrap", "ffmpeg", "ffprobe", "prlimit", "nice", "ionice", "true"} - set(missing):
        if found := shutil.which(name, path=SEARCH):
            (folder / name).symlink_to(found)
    return folder


class ScriptedStore:
    """A real store, but for what a test makes of it; a base for those below."""

    def __init__(self, store: Store) -> None:
        self.id = store.id
        self.store = store

    def check(self) -> None:
        self.store.check()

    def upload(self, upload: Upload, parts: PartsLog, stop: threading.Event) -> Stored:
        return self.store.upload(upload, parts, stop)

    def confirm(self, upload: Upload, version: str | None, stop: threading.Event) -> Stored:
        return self.store.confirm(upload, version, stop)

    def put(self, key: str, data: bytes, locked_until: datetime | None = None) -> Stored:
        return self.store.put(key, data, locked_until)

    def stat(self, key: str, version: str | None) -> Found:
        return self.store.stat(key, version)

    def read(self, key: str, version: str | None, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self.store.read(key, version, start, length)

    def newest(self, key: str) -> bytes | None:
        return self.store.newest(key)

    def close(self) -> None:
        self.store.close()
