"""INV-10, in process: the daemon dies at each durable operation of a docking, and the next one loses nothing.

After a kill, the one that takes up the work is killed too, at an operation by chance; the third one survives.

All of them take half an hour. By default every 24th is tried, from one that the seed chooses; all are tried with

    EDGED_KILL_EVERY=1 pytest tests/crash/test_kill_everywhere.py

and `EDGED_KILL_SEED=n` chooses others among them.
"""

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edged.evidence.ids import escape_path
from edged.stores.s3 import S3Settings
from tests.crash.conftest import MakeStation
from tests.crash.mortal import How, Life, Moment, check
from tests.crash.published import the_ledger_is_one
from tests.crash.station import Station, clip_path, sg

EVERY = int(os.environ.get("EDGED_KILL_EVERY", "24"))
SEED = int(os.environ.get("EDGED_KILL_SEED", "0"))
MOST = 1000
"""More operations than the docking has."""

MOST_LEFT = 150
"""About as many as are left for the second life; one that survives is all right too."""

RECORDER = "BC00001"


def small_card(name: str) -> dict[bytes, bytes]:
    """Give a card of a file of three parts, an important one, an empty one, and one that is there twice."""
    twice = f"{name} twice".encode() * 100
    return {
        clip_path(1): f"{name}".encode() + bytes(17 << 20),
        clip_path(2, important=True): f"{name} important".encode() * 1000,
        clip_path(3): b"",
        clip_path(4): twice,
        b"COPY/\xff.MP4": twice,
    }


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("how", ["kill", "power-cut"])
def test_killed_at_any_durable_operation_a_docking_still_ends_the_same(
    how: How, make_station: MakeStation, new_bucket: Callable[[], S3Settings]
) -> None:
    store = new_bucket()
    first = 1 + SEED % EVERY
    print(f"{how}: every {EVERY}th operation from {first} on, by EDGED_KILL_EVERY and EDGED_KILL_SEED={SEED}")  # noqa: T201 - what to repeat a failure with
    lives = 0
    for at in range(first, MOST, EVERY):
        station = make_station(store=store)
        # Equal bytes of one recorder are one object in the store: each station's are its own.
        files = small_card(f"{how} {at}")
        survived = die_once(station, files, at, how)
        lives += 1
        shutil.rmtree(station.folder)
        if survived:
            break
    assert lives > 1
    assert survived, f"a docking took more than {MOST} operations"


def test_every_kind_of_durable_operation_is_one_to_die_at(station: Station) -> None:
    station.dock(station.card(RECORDER, small_card("calm")), "bay-1")
    trace = station.folder / "trace"
    assert Life(config=station.config, trace=trace).live()
    noted = [line.partition(": ")[2] for line in trace.read_text().splitlines() if not line.startswith("opened")]
    for kind in (
        r"create .*\.part",
        r"create .*\.part of \d+",
        r"write .*\.part$",
        r"write .*\.part at \d+",
        r"sync /.*\.part$",
        r"create .*\.parked",
        r"write .*\.parked",
        r"sync .*\.parked",
        r"remove .*\.parked",
        r"create .*\.unsealed",
        r"sync .*\.unsealed",
        r"remove .*\.unsealed",
        "sync folder .*/segments/",
        r"rename .*\.part to .*\.MP4",
        "commit",
        "upload segments/.*",
        r"upload of segments/.* was begun",
        r"part 1 of segments/.* was taken",
        r"part 2 of segments/.* was taken",
        "uploaded segments/.*",
        "put ledger/.*/checkpoint",
        "was put ledger/.*/checkpoint",
        r"os\.remove .* on the card",
        r"os\.rmdir .* on the card",
        "sync .* on the card",
    ):
        assert any(re.match(kind, each) for each in noted), (kind, sorted(set(noted)))


def die_once(station: Station, files: dict[bytes, bytes], at: int, how: How) -> bool:
    """Dock a card, die at one operation, live again; says whether there was no such operation."""
    station.dock(station.card(RECORDER, files), "bay-1")
    trace = station.folder / "trace"
    survived = Life(config=station.config, trace=trace, dies=Moment(nth=at), how=how).live()
    fatal = f"operation {at}, {trace.read_text().splitlines()[-1]}"
    if how == "kill" and not survived:
        again = random.Random(f"{SEED} {at}").randrange(1, MOST_LEFT)
        fatal += f", then operation {again} after the restart"
        if not Life(config=station.config, trace=trace, dies=Moment(nth=again)).live():
            assert Life(config=station.config, trace=trace).live()
    elif not survived:
        assert Life(config=station.config, trace=trace).live()
    assert check(station.config) == [], fatal
    station.holds(RECORDER, files)
    ended_well(station, files, fatal)
    return survived


def ended_well(station: Station, files: dict[bytes, bytes], fatal: str) -> None:
    result = station.result()
    accounted = {(escape_path(path), sg(RECORDER, content)) for path, content in files.items()}
    assert result.sealed | result.sighted == accounted, fatal
    assert len(result.sealed) == len(set(files.values())), fatal
    assert result.wiped == {(path, segment, "gone") for path, segment in accounted}, fatal
    # One that dies after the docking's end finds the emptied card in its bay, which is a docking of its own.
    assert set(result.ended) == {("cleared", 0)}, fatal
    assert len(result.ended) == len(station.bodies("docking")), fatal
    wipes = [body["path"] for body in station.bodies("wipe")]
    assert len(wipes) == len(files), f"{fatal}: {wipes}"
    copies = [(body["segment"], body["store"]) for body in station.bodies("replica")]
    assert len(copies) == len(set(copies)) == 2 * len(result.sealed), fatal
    assert not list(Path(station.bays / "bay-1").iterdir()), fatal
    assert the_ledger_is_one(station), fatal
