"""Cards that lie, are still written, or are pulled in the middle of a file: nothing is lost, and it is said where.

The cards are on a file system in user space that fails as it is told; the daemon is the real one.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edged.evidence.digests import CHUNK_BYTES, Digests
from edged.evidence.ids import escape_path
from edged.offload.again import Different, Second
from edged.station import taking
from edged.stores.s3 import S3Settings
from hwsim.bays import dock
from hwsim.faults.card_faults import Faults, Pulled, Rotten, Unreadable
from hwsim.faults.cards import CardMount
from hwsim.faults.control import missing
from hwsim.quick import quick_card
from tests.crash.conftest import MakeStation
from tests.crash.inside import inside
from tests.crash.station import Station, clip_path, sg, until

RECORDER = "BC00001"
FILM = clip_path(1)
NAME = os.fsdecode(FILM)

needs_fuse = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture
def cards(tmp_path: Path) -> Iterator[CardMount]:
    with CardMount(tmp_path / "mount") as cards:
        yield cards


@pytest.fixture
def make(make_station: MakeStation, new_bucket: Callable[[], S3Settings], cards: CardMount) -> Callable[..., Station]:
    def make(**tables: dict[str, Any]) -> Station:
        bays = {"folder": str(cards.bays)} | tables.pop("bays", {})
        return make_station(store=new_bucket(), bays=bays, **tables)

    return make


def put(cards: CardMount, files: Mapping[bytes, bytes]) -> None:
    """Put a recorder's card on the shelf."""
    quick_card(cards.shelf / RECORDER, files)


def place(cards: CardMount) -> Path:
    """Put it into its bay."""
    dock(cards.shelf / RECORDER, cards.bays / RECORDER)
    return cards.bays / RECORDER


def film(chunks: int = 3) -> bytes:
    return os.urandom(chunks * CHUNK_BYTES + 4321)


@needs_fuse
def test_bytes_that_cannot_be_read_are_mapped_the_rest_is_kept_and_nothing_is_erased(
    make: Callable[..., Station], cards: CardMount
) -> None:
    content, other = film(), b"another film" * 1000
    put(cards, {FILM: content, clip_path(2): other})
    cards.ail(RECORDER, Faults(faults=(Unreadable(path=NAME, start=100_000, end=104_000),)))
    station = make()
    with station.running():
        station.until_phase(place(cards), "kept")
        text = station.bay(RECORDER)["text"]
    assert "in quarantine" in text
    (sealed,) = [body for body in station.bodies("segment") if body["path"] == escape_path(FILM)]
    assert sealed["quarantine"]["code"] == "partly-unreadable"
    (start, end), *more = sealed["quarantine"]["unreadable"]
    assert not more
    assert start <= 100_000
    assert end >= 104_000
    assert end - start <= 8192
    kept = station.originals()[sealed["segment"]].read_bytes()
    assert kept == content[:start] + bytes(end - start) + content[end:]
    (said,) = station.anomalies("partly-unreadable")
    assert said["detail"] == {"path": escape_path(FILM), "unreadable_bytes": end - start, "ranges": [[start, end]]}
    assert not station.bodies("clearance")
    station.is_whole()

    # Another day the card gives all of it: that is another segment, trusted, and the card can be emptied.
    cards.heal(RECORDER)
    cards.pull(RECORDER)
    with station.running():
        station.until_phase(place(cards), "done")
    assert station.originals()[sg(RECORDER, content)].read_bytes() == content
    station.is_whole()


@needs_fuse
def test_error_that_passes_at_the_next_try_leaves_no_trace(make: Callable[..., Station], cards: CardMount) -> None:
    files = {FILM: film()}
    put(cards, files)
    cards.ail(RECORDER, Faults(faults=(Unreadable(path=NAME, start=5, end=6, times=2),)))
    station = make()
    with station.running():
        station.until_phase(place(cards), "done")
    station.holds(RECORDER, files)
    assert not station.anomalies()


@needs_fuse
@pytest.mark.parametrize("how", ["sampled", "full"])
def test_card_that_gives_other_bytes_at_each_read_is_found_out_and_never_erased(
    make: Callable[..., Station], cards: CardMount, how: str
) -> None:
    put(cards, {FILM: film(), clip_path(2): b"sound"})
    cards.ail(RECORDER, Faults(faults=(Rotten(path=NAME, start=10, end=20),)))
    station = make(offload={"second_read": how})
    with station.running():
        station.until_phase(place(cards), "kept")
    (sealed,) = [body for body in station.bodies("segment") if body["path"] == escape_path(FILM)]
    assert sealed["quarantine"]["code"] == "second-reading-differs"
    (said,) = station.anomalies("second-reading-differs")
    detail = said["detail"]
    assert detail["first_sha256"] == sealed["sha256"] != detail["second_sha256"]
    assert detail["second_sha256"] == sealed["quarantine"]["second_sha256"]
    assert detail["ranges"] == [[0, CHUNK_BYTES]]
    assert not station.bodies("clearance")
    assert (cards.truth(RECORDER) / NAME).exists()
    station.is_whole()


@needs_fuse
def test_recorder_pulled_in_the_middle_of_a_long_file_is_gone_on_with(
    make: Callable[..., Station], cards: CardMount
) -> None:
    files = {FILM: film(6)}
    put(cards, files)
    cards.ail(RECORDER, Faults(faults=(Pulled(path=NAME, at=4 * CHUNK_BYTES),)))
    station = make()
    with station.running():
        place(cards)
        until(lambda: station.bodies("undocking"), "the docking is ended", otherwise=lambda: station.log)
        assert [path.suffix for path in sorted((station.vault / "incoming").iterdir())] == [".parked", ".part"]
        cards.heal(RECORDER)
        station.until_phase(place(cards), "done")
    assert "was gone on with after" in station.log
    station.holds(RECORDER, files)
    assert not station.anomalies("changed-since-interruption", "partly-unreadable")
    station.is_whole()


@needs_fuse
@pytest.mark.parametrize("then", ["changed", "deleted", "emptied"])
def test_what_was_read_before_a_file_was_changed_or_deleted_on_the_card_is_kept(
    make: Callable[..., Station], cards: CardMount, then: str
) -> None:
    content = film(6)
    # An empty file is sealed first: what is emptied has bytes that are sealed already.
    put(cards, {FILM: content, clip_path(2, important=True): b""})
    cards.ail(RECORDER, Faults(faults=(Pulled(path=NAME, at=4 * CHUNK_BYTES),)))
    station = make()
    with station.running():
        place(cards)
        until(lambda: station.bodies("undocking"), "the docking is ended", otherwise=lambda: station.log)
        cards.heal(RECORDER)
        file = cards.truth(RECORDER) / NAME
        status = file.stat()
        if then == "deleted":
            file.unlink()
        elif then == "emptied":
            os.truncate(file, 0)
        else:
            with file.open("r+b") as opened:
                opened.write(b"forged")
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        station.until_phase(place(cards), "kept")
    code = "gone-from-card" if then == "deleted" else "changed-since-interruption"
    (kept,) = [body for body in station.bodies("segment") if body["quarantine"]]
    assert kept["quarantine"]["code"] == code
    assert kept["path"] == escape_path(FILM)
    assert 0 < kept["bytes"] <= 4 * CHUNK_BYTES
    assert station.originals()[kept["segment"]].read_bytes() == content[: kept["bytes"]]
    (said,) = station.anomalies(code)
    assert said["detail"]["kept_bytes"] == kept["bytes"]
    forged = b"forged" + content[6:]
    assert (sg(RECORDER, forged) in station.originals()) == (then == "changed")
    assert not list((station.vault / "incoming").iterdir())
    station.is_whole()


def test_card_that_gave_other_bytes_once_and_the_sealed_ones_twice_since_is_emptied(
    make_station: MakeStation, new_bucket: Callable[[], S3Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    station = make_station(store=new_bucket(), offload={"second_read": "sampled"})
    content = film(1)
    card = station.card(RECORDER, {FILM: content, clip_path(2): b"sound"})
    really, readings = taking.read_again, []

    def read_again(fd: int, first: Digests, how: Second, **rest: Any) -> Different | None:
        readings.append(how)
        if first.size_bytes == len(content) and readings.count("sampled") == 1:
            return Different(second_sha256=None, ranges=((0, CHUNK_BYTES),))
        return really(fd, first, how, **rest)

    monkeypatch.setattr(taking, "read_again", read_again)
    with inside(station) as parts:
        bay = station.dock(card)

        def is_in(phase: str) -> bool:
            return any(at.phase == phase for at in parts.live.bays())

        until(lambda: is_in("kept"), "it is kept")
        assert any("1 of them" in at.text for at in parts.live.bays())
        station.pull(bay)
        until(lambda: not parts.live.bays(), "it is out")
        station.dock(card)
        until(lambda: is_in("done"), "it is emptied")
    assert readings.count("full") == 1
    (seen,) = [body for body in station.bodies("sighting") if body["path"] == escape_path(FILM)]
    assert seen["second_reading"] == "agrees"
    (sealed,) = [body for body in station.bodies("segment") if body["path"] == escape_path(FILM)]
    assert sealed["quarantine"]["code"] == "second-reading-differs"
    station.is_whole()


def test_file_that_changed_under_its_name_since_it_was_sealed_is_another_segment_and_said(station: Station) -> None:
    card = station.card(RECORDER, {FILM: b"as it was"})
    station.configure(bays={"wipe": "never"})
    with station.running():
        bay = station.dock(card)
        station.until_phase(bay, "kept")
        card = station.pull(bay)
        until(lambda: not station.status()["bays"], "the bay is empty")
        (card / NAME).write_bytes(b"as it is")
        station.until_phase(station.dock(card), "kept")
    (said,) = station.anomalies("changed-since-sealed")
    assert said["subject"]["id"] == sg(RECORDER, b"as it is")
    assert said["detail"]["sealed"] == sg(RECORDER, b"as it was")
    station.holds(RECORDER, {FILM: b"as it is"})


def test_files_stay_on_their_recorder_for_as_long_as_is_set_and_nobody_waits_for_that(station: Station) -> None:
    files = {FILM: b"film"}
    card = station.card(RECORDER, files)
    station.configure(bays={"wipe": "after 7 days"})
    with station.running():
        bay = station.dock(card)
        station.until_phase(bay, "kept")
        assert "7 days after they were sealed" in station.bay(RECORDER)["text"]
        card = station.pull(bay)
        until(lambda: not station.status()["bays"], "the bay is empty")
    assert not station.bodies("clearance")
    # The seven days are over when the setting says so: the file was sealed before.
    station.configure(bays={"wipe": "after-clearance"})
    with station.running():
        station.until_phase(station.dock(card), "done")
    assert station.result().wiped == {(escape_path(FILM), sg(RECORDER, b"film"), "gone")}
    station.is_whole()
