"""A change-over that dies at its N-th durable operation, as `mortal` does it for a docking.

Counted are each commit of the book, each call to central storage before and after it, and what is done to key files:
opened for writing, renamed, removed.
"""

import os
import sqlite3
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edged.clock import SystemClock
from edged.config import read_station
from edged.evidence.ids import StationId
from edged.keys import certify
from edged.station.assembly import StateLock, build
from edged.station.epochs import change_over, next_origin
from edged.station.jobs.publish import PublishJob
from tests.crash.mortal import _LIVES, DIED, Death, Life, Moment, MortalStore
from tests.crash.station import Station

_NEVER = 1_000_000


@dataclass(frozen=True, kw_only=True)
class _Rotation:
    config: Path
    root_key: Path
    trace: Path
    nth: int
    wanted: int | None


def rotate_and_die(station: Station, which: int | None, trace: Path, wanted: int | None = None) -> bool:
    """Change over in a process of its own that dies at the operation with this number, from 0; says if it survived.

    What was begun before is ended first. With `wanted` it only changes over until so many epochs have ended.
    """
    nth = _NEVER if which is None else which + 1
    root_key = station.folder / "root.key"
    given = _Rotation(config=station.config, root_key=root_key, trace=trace, nth=nth, wanted=wanted)
    process = _LIVES.Process(target=_rotate, args=(given,))
    process.start()
    process.join(60)
    code = process.exitcode
    assert code in {0, DIED}, f"{code}: {trace.read_text().splitlines()[-3:]}"
    return code == 0


def _rotate(given: _Rotation) -> None:
    station = read_station(given.config)
    lock = StateLock(station.paths.state)
    parts = build(given.config, SystemClock())
    assert parts.store is not None
    job = PublishJob(parts, parts.store)
    while job.step(threading.Event()):
        pass
    if given.wanted is not None and len(parts.book.ledger.positions_of_type("close")) >= given.wanted:
        parts.book.close()
        lock.release()
        return
    # From here on operations count.
    death = Death(Life(config=given.config, trace=given.trace, dies=Moment(nth=given.nth)))
    store = MortalStore(parts.store, death)
    parts = replace(parts, store=store)
    _watch(death, station.paths.state / "keys", parts.book.database)
    request = parts.key.request(station=StationId(station.station.id), origin=next_origin(parts))
    answer = certify(
        given.root_key.read_bytes(),
        parts.key.roots_pem(),
        request.request,
        station=StationId(station.station.id),
        now=parts.clock.now(),
    )
    parts.key.install(answer, None, station=StationId(station.station.id), clock=parts.clock)
    change_over(parts, code="test", text="why")
    job = PublishJob(parts, store)
    while job.step(threading.Event()):
        pass
    parts.book.close()
    lock.release()


def _watch(death: Death, keys: Path, database: Any) -> None:
    for connection in database._idle:
        connection.set_trace_callback(lambda sql: death.step("commit") if sql == "COMMIT" else None)
    connect = sqlite3.connect

    def watched(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(lambda sql: death.step("commit") if sql == "COMMIT" else None)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]
    writing = os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_APPEND

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in {"os.remove", "os.rename", "os.mkdir"} and str(args[0]).startswith(str(keys)):
            death.step(f"{event} {args[0]}")
        elif event == "open" and isinstance(args[2], int) and args[2] & writing and str(args[0]).startswith(str(keys)):
            death.step(f"open {args[0]}")

    sys.addaudithook(hook)
