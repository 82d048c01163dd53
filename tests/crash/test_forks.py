"""A book from yesterday: a restored backup or a cloned disk never makes a second ledger out of one."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from edged.stores.s3 import S3Store
from tests.crash.mortal import Life, Moment
from tests.crash.published import the_ledger_is_one, versions
from tests.crash.station import SECURING, Station, clip_path, read_card, until

RECORDER = "BC00001"


def card(station: Station, number: int) -> Path:
    """Put a card of the one recorder on the shelf, unlike all others."""
    return station.card(f"card-{number}", {clip_path(n): f"card {number}, recording {n}".encode() for n in range(1, 4)})


def take_in(station: Station, number: int) -> None:
    """Take one card in from beginning to end, and publish all about it."""
    bay = station.dock(card(station, number))
    station.until_phase(bay, "done")
    station.pull(bay).rename(station.shelf / f"empty-{number}")
    until(lambda: not station.status()["bays"], "the bay is free")
    until(lambda: station.status()["ledger"]["published"] == station.size(), "all is published")


def back_up(station: Station) -> Path:
    """Copy the book of a station that is not running."""
    kept = station.folder / "backup"
    kept.mkdir()
    for path in station.state.glob("book.sqlite*"):
        shutil.copy2(path, kept)
    return kept


def restore(station: Station, kept: Path) -> None:
    """Put the copy in the book's place."""
    for path in station.state.glob("book.sqlite*"):
        path.unlink()
    for path in kept.iterdir():
        shutil.copy2(path, station.state)


def heads(station: Station) -> list[int]:
    with closing(sqlite3.connect(f"file:{station.state}/book.sqlite?mode=ro", uri=True)) as book:
        return [size for (size,) in book.execute("SELECT size FROM head ORDER BY size")]


def published(station: Station) -> list[bytes]:
    assert station.store is not None
    with closing(sqlite3.connect(f"file:{station.state}/book.sqlite?mode=ro", uri=True)) as book:
        (origin,) = book.execute("SELECT origin FROM epoch").fetchone()
    return versions(station.store, f"ledger/{origin}/checkpoint")


@contextmanager
def signing_nothing(station: Station) -> Iterator[None]:
    """Run the daemon and fail if anything is signed or published meanwhile."""
    before, signed = published(station), heads(station)
    with station.running():
        yield
    assert published(station) == before
    assert heads(station) == signed


def test_a_restored_backup_signs_nothing_erases_nothing_says_so_and_takes_footage_in(station: Station) -> None:
    with station.running():
        take_in(station, 1)
    kept = back_up(station)
    with station.running():
        take_in(station, 2)
    restore(station, kept)
    files = read_card(card(station, 3))
    with signing_nothing(station):
        bay = station.dock(station.shelf / "card-3")
        alarm = until(lambda: station.alarm("publish", "does not contain"), "the alarm about the ledger")
        assert "nothing is signed" in alarm["text"]
        assert "backup" in alarm["hint"]
        until(lambda: len(station.bodies("replica")) == 2 * 6, "footage is taken in and copied")
        assert station.bay("card-3")["phase"] in SECURING
        # More footage: the restored ledger grows beyond what was published, and is still not the same one.
        more = {b"DCIM/100MEDIA/VID_20260105_080000_%04d.MP4" % n: b"%d" % n for n in range(9)}
        station.dock(station.card("CAM-07", more))
        station.until_phase(station.bays / "CAM-07", *SECURING)
        until(lambda: len(station.bodies("replica")) == 2 * 15, "that is copied too")
        assert station.status()["ledger"]["size"] > int(published(station)[0].split(b"\n")[1])
        assert station.alarm("publish", "does not contain")
    # Nor after another start.
    with signing_nothing(station):
        until(lambda: station.alarm("publish", "does not contain"), "the alarm about the ledger")
        until(lambda: station.bay("card-3")["phase"] in SECURING, "the recorder waits")
    assert read_card(bay) == files
    assert len(read_card(station.bays / "CAM-07")) == 9
    assert {body["docking"] for body in station.bodies("clearance")} == {station.bodies("docking")[0]["docking"]}


def test_a_restored_backup_with_every_proof_in_it_erases_nothing_either(station: Station) -> None:
    bay = station.dock(card(station, 1), "bay-1")
    shutil.copytree(bay, station.shelf / "as-it-was", copy_function=shutil.copy2)
    # All copies are proven and published, and nothing is erased yet: here the backup is made.
    trace = station.folder / "trace"
    assert not Life(config=station.config, trace=trace, dies=Moment(of="os.remove")).live()
    kept = back_up(station)
    with station.running():
        station.until_phase(bay, "done")
        station.pull(bay)
        take_in(station, 2)
    restore(station, kept)
    files = read_card(station.shelf / "as-it-was")
    (station.shelf / "as-it-was").rename(bay)
    with signing_nothing(station):
        until(lambda: station.alarm("publish", "does not contain"), "the alarm about the ledger")
        station.until_phase(bay, *SECURING)
    assert read_card(bay) == files
    assert not station.bodies("wipe")


def test_a_store_that_lost_the_ledger_is_signed_into_no_more(station: Station) -> None:
    with station.running():
        take_in(station, 1)
    assert station.store is not None
    # Another bucket in the old one's place: somebody made it anew.
    station.store = replace(station.store, bucket=f"{station.store.bucket}-anew")
    other = S3Store(station.store)
    other.create_bucket()
    other.close()
    station.configure()
    files = read_card(card(station, 2))
    signed = heads(station)
    with station.running():
        bay = station.dock(station.shelf / "card-2")
        alarm = until(lambda: station.alarm("publish", "has lost the ledger"), "the alarm about the store")
        assert "Intake goes on" in alarm["hint"]
        until(lambda: len(station.bodies("segment")) == 6, "footage is taken in")
        station.until_phase(bay, *SECURING)
    assert heads(station) == signed
    assert read_card(bay) == files


def test_a_checkpoint_of_a_stranger_in_the_stations_place_stops_signing(station: Station) -> None:
    with station.running():
        take_in(station, 1)
    assert station.store is not None
    with closing(sqlite3.connect(f"file:{station.state}/book.sqlite?mode=ro", uri=True)) as book:
        (origin,) = book.execute("SELECT origin FROM epoch").fetchone()
    note = published(station)[0]
    store = S3Store(station.store)
    store.put(f"ledger/{origin}/checkpoint", note[:-10] + os.urandom(4).hex().encode()[:8] + note[-2:])
    store.close()
    with signing_nothing(station):
        station.dock(card(station, 2))
        until(lambda: station.alarm("publish", "nothing is signed"), "the alarm about the checkpoint")
        until(lambda: len(station.bodies("segment")) == 6, "footage is taken in")


def test_the_same_book_again_goes_on_signing(station: Station) -> None:
    with station.running():
        take_in(station, 1)
    restore(station, back_up(station))
    with station.running():
        take_in(station, 2)
    assert the_ledger_is_one(station) == station.size()
    station.is_whole()
