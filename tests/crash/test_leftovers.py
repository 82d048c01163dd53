"""What interrupted dockings left in the vault: damaged since, unreadable, or another recorder's. Nothing is lost."""

import errno
import itertools
import mmap
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import pytest

from edged.clock import SystemClock
from edged.errors import FullError, StoppedError
from edged.evidence.digests import CHUNK_BYTES, Digester
from edged.evidence.ids import RecorderId, escape_path
from edged.offload import reading
from edged.station.assembly import build
from edged.station.handing import hand_in
from edged.vault.incoming import Source
from tests.crash.conftest import MakeStation
from tests.crash.inside import inside
from tests.crash.mortal import Life, Moment, check
from tests.crash.station import Station, clip_path, sg, until

RECORDER = "BC00001"
FILM = clip_path(1)
OTHER = clip_path(2)
UNDATED = b"DCIM/film.mp4"


@pytest.fixture
def lone(make_station: MakeStation) -> Station:
    """A station without central storage: a docking ends when all is sealed."""
    return make_station()


def park(station: Station, content: bytes, chunks: int, *, card: Path, recorder: str = RECORDER) -> Path:
    """Leave what an interrupted copy of FILM leaves; gives the part."""
    parts = build(station.config, SystemClock())
    modified_ns = (card / os.fsdecode(FILM)).stat().st_mtime_ns
    of = Source(recorder=RecorderId(recorder), path=escape_path(FILM), size_bytes=len(content), modified_ns=modified_ns)
    digester = Digester()
    size_bytes = chunks * CHUNK_BYTES
    digester.update(content[:size_bytes])
    draft = parts.vault.incoming.begin(of)
    with mmap.mmap(-1, size_bytes) as memory, memoryview(memory) as buffer:
        buffer[:] = content[:size_bytes]
        draft.write(buffer, 0)
    draft.park(digester.finish().parts, size_bytes)
    parts.book.close()
    return draft.temporary


def end(station: Station) -> None:
    """Run the station until its bay is through."""
    with inside(station) as parts:
        until(lambda: [at for at in parts.live.bays() if at.phase in {"done", "kept"}], "the bay is through")


def test_part_that_rotted_in_the_vault_is_kept_whole_and_its_damage_is_said(lone: Station) -> None:
    content = os.urandom(3 * CHUNK_BYTES + 99)
    card = lone.card(RECORDER, {FILM: content, OTHER: b"other"})
    part = park(lone, content, 2, card=card)
    rotten = bytearray(content[: 2 * CHUNK_BYTES])
    rotten[100] ^= 1
    part.write_bytes(rotten)
    (card / os.fsdecode(FILM)).unlink()
    lone.dock(card)
    end(lone)
    assert lone.originals()[sg(RECORDER, bytes(rotten))].read_bytes() == rotten
    (said,) = lone.anomalies("gone-from-card")
    assert said["detail"] == {
        "path": escape_path(FILM),
        "kept_bytes": 2 * CHUNK_BYTES,
        "listed_bytes": len(content),
        "damaged_in_vault": [[0, CHUNK_BYTES]],
    }
    assert not list((lone.vault / "incoming").iterdir())


@pytest.mark.parametrize("lost", [8192, 2 * CHUNK_BYTES])
def test_part_that_the_vault_does_not_give_is_kept_as_far_as_it_does(
    lone: Station, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(3 * CHUNK_BYTES)
    card = lone.card(RECORDER, {FILM: content, OTHER: b"other"})
    part = park(lone, content, 2, card=card)
    (card / os.fsdecode(FILM)).unlink()
    lone.dock(card)
    really = reading.read_at

    def read_at(fd: int, buffer: memoryview, offset: int) -> int:
        if Path(f"/proc/self/fd/{fd}").readlink() == part and offset < lost:
            raise OSError(errno.EIO, "a bad sector")
        return really(fd, buffer, offset)

    monkeypatch.setattr(reading, "read_at", read_at)
    monkeypatch.setattr(reading, "_PAUSES_SECONDS", (0.001,))
    end(lone)
    if lost == 2 * CHUNK_BYTES:
        assert part.exists()
        assert not lone.anomalies("gone-from-card")
        return
    kept = bytes(lost) + content[lost : 2 * CHUNK_BYTES]
    assert lone.originals()[sg(RECORDER, kept)].read_bytes() == kept
    (sealed,) = [body for body in lone.bodies("segment") if body["quarantine"]]
    assert sealed["quarantine"]["unreadable"] == [[0, lost]]
    assert not part.exists()


def test_note_that_cannot_be_read_stops_no_docking_and_stays(lone: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(2 * CHUNK_BYTES)
    card = lone.card(RECORDER, {FILM: content, OTHER: b"other"})
    part = park(lone, content, 1, card=card, recorder="CAM-07")
    note = part.with_suffix(".parked")
    really = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path == note:
            raise OSError(errno.EIO, "a bad sector")
        return really(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    lone.dock(card)
    end(lone)
    assert {sg(RECORDER, content), sg(RECORDER, b"other")} <= set(lone.originals())
    assert {part, note} <= set((lone.vault / "incoming").iterdir())


def test_part_that_cannot_be_read_is_not_gone_on_with(lone: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(2 * CHUNK_BYTES)
    card = lone.card(RECORDER, {FILM: content, OTHER: b"other"})
    part = park(lone, content, 1, card=card)
    really = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> IO[Any]:
        if path == part:
            raise OSError(errno.EIO, "a bad sector")
        return really(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    lone.dock(card)
    end(lone)
    assert lone.originals()[sg(RECORDER, content)].read_bytes() == content
    assert not lone.anomalies()


def test_chunk_list_that_is_gone_holds_up_no_file_that_is_met_again(lone: Station) -> None:
    content = os.urandom(2 * CHUNK_BYTES)
    card = lone.card(RECORDER, {FILM: content})
    bay = lone.dock(card)
    end(lone)
    (lone.originals()[sg(RECORDER, content)].parent / "chunks.sha256").unlink()
    park(lone, content, 1, card=bay)
    lone.pull(bay)
    lone.dock(card)
    (bay / os.fsdecode(OTHER)).write_bytes(b"taken as well")
    end(lone)
    assert [body["path"] for body in lone.bodies("sighting")] == [escape_path(FILM)]
    assert sg(RECORDER, b"taken as well") in lone.originals()
    assert list((lone.vault / "incoming").glob("*.parked"))


def test_what_a_person_hands_in_neither_uses_nor_contradicts_what_the_card_left(lone: Station) -> None:
    content = os.urandom(2 * CHUNK_BYTES)
    card = lone.card(RECORDER, {FILM: content})
    park(lone, content, 1, card=card)
    brought = lone.folder / "brought" / os.fsdecode(FILM)
    brought.parent.mkdir(parents=True)
    brought.write_bytes(b"a cut that somebody made")
    asked = {"recorder": RECORDER, "officer": "138001", "reason": "brought along", "name": "brought"}
    with inside(lone) as parts:
        folder = os.open(lone.folder / "brought", os.O_RDONLY | os.O_DIRECTORY)
        hand_in(parts, asked, "user:somebody", (folder,))
        until(lambda: parts.book.facts.totals()["segments"] == 1, "it is sealed")
        assert list((lone.vault / "incoming").glob("*.parked"))
        bay = lone.dock(card)
        until(lambda: [at for at in parts.live.bays() if at.bay == bay.name and at.phase == "kept"], "it is sealed")
    assert lone.originals()[sg(RECORDER, content)].read_bytes() == content
    assert not lone.anomalies()
    assert not any(body["quarantine"] for body in lone.bodies("segment"))
    assert not list((lone.vault / "incoming").iterdir())


def test_file_that_cannot_be_read_is_told_once_however_often_the_docking_is_tried(
    lone: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    lone.dock(lone.card(RECORDER, {FILM: b"film", OTHER: b"other"}))
    really = reading.read_at

    def read_at(fd: int, buffer: memoryview, offset: int) -> int:
        if Path(f"/proc/self/fd/{fd}").readlink().name == Path(os.fsdecode(FILM)).name:
            raise OSError(errno.EIO, "a bad sector")
        return really(fd, buffer, offset)

    monkeypatch.setattr(reading, "read_at", read_at)
    monkeypatch.setattr(reading, "_PAUSES_SECONDS", (0.001,))
    with inside(lone) as parts:
        reserve, tries = parts.room.reserve, itertools.count()

        def refuse(size_bytes: int) -> AbstractContextManager[None]:
            if size_bytes == len(b"other") and next(tries) < 2:
                raise FullError("There is no room just now.")
            return reserve(size_bytes)

        monkeypatch.setattr(parts.room, "reserve", refuse)
        until(lambda: [at for at in parts.live.bays() if at.phase == "kept"], "it is kept")
        assert next(tries) > 2
    assert len(lone.anomalies("unreadable")) == 1


@pytest.mark.parametrize(("path", "then"), [(FILM, "deleted"), (FILM, "changed"), (UNDATED, "deleted")])
def test_original_without_an_entry_is_sealed_at_the_next_docking(station: Station, path: bytes, then: str) -> None:
    files = {path: b"film" * 1000, clip_path(2): b"another"}
    bay = station.dock(station.card(RECORDER, files), "bay-1")
    trace = station.folder / "trace"
    name = Path(os.fsdecode(path)).name
    assert not Life(config=station.config, trace=trace, dies=Moment(of=name, then="sync folder")).live()
    assert not [body for body in station.bodies("segment") if body["path"] == escape_path(path)]
    file = bay / os.fsdecode(path)
    if then == "deleted":
        file.unlink()
    elif then == "changed":
        file.write_bytes(b"forged")
    with station.running():
        station.until_phase(bay, "kept")
        assert not station.status()["unsealed"]
        assert not list((station.vault / "incoming").iterdir())
    original = station.originals()[sg(RECORDER, files[path])]
    assert original.read_bytes() == files[path]
    sealed = {body["segment"]: body["quarantine"] for body in station.bodies("segment")}
    code = "gone-from-card" if then == "deleted" else "changed-since-interruption"
    assert sealed[sg(RECORDER, files[path])]["code"] == code
    assert [said["detail"]["kept_bytes"] for said in station.anomalies(code)] == [4000]
    assert (sg(RECORDER, b"forged") in sealed) == (then == "changed")
    assert check(station.config) == []
    station.is_whole()


@pytest.mark.parametrize("then", ["renamed", "rotten"])
def test_original_without_an_entry_leaves_nothing_behind_whatever_became_of_it(station: Station, then: str) -> None:
    content = b"film" * 1000
    bay = station.dock(station.card(RECORDER, {FILM: content, OTHER: b"another"}), "bay-1")
    trace = station.folder / "trace"
    name = Path(os.fsdecode(FILM)).name
    assert not Life(config=station.config, trace=trace, dies=Moment(of=name, then="sync folder")).live()
    file, important = bay / os.fsdecode(FILM), clip_path(1, important=True)
    if then == "renamed":
        file.rename(bay / os.fsdecode(important))
    else:
        file.unlink()
        (original,) = station.vault.rglob(name)
        content = b"rust" + content[4:]
        original.chmod(0o600)
        original.write_bytes(content)
        original.chmod(0o440)
    with station.running():
        station.until_phase(bay, "done" if then == "renamed" else "kept")
        assert not list((station.vault / "incoming").iterdir())
    assert station.originals()[sg(RECORDER, content)].read_bytes() == content
    assert len(station.originals()) == 2
    assert check(station.config) == []
    damage = [said["detail"].get("damaged_in_vault") for said in station.anomalies("gone-from-card")]
    assert damage == ([[[0, 4000]]] if then == "rotten" else [])
    station.is_whole()


def test_hand_in_that_was_cut_short_leaves_no_part_of_it(lone: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = lone.folder / "brought" / "loose.mp4"
    brought.parent.mkdir()
    brought.write_bytes(os.urandom(3 * CHUNK_BYTES))
    os.utime(brought, (1e9, 1e9))
    asked = {"recorder": RECORDER, "officer": "138001", "reason": "brought along", "name": "brought"}
    really = reading.read_at

    def read_at(fd: int, buffer: memoryview, offset: int) -> int:
        if offset >= 2 * CHUNK_BYTES and Path(f"/proc/self/fd/{fd}").readlink() == brought:
            raise StoppedError("It is cut short.")
        return really(fd, buffer, offset)

    with inside(lone) as parts:
        monkeypatch.setattr(reading, "read_at", read_at)
        with pytest.raises(StoppedError):
            hand_in(parts, asked, "user:somebody", (os.open(brought.parent, os.O_RDONLY | os.O_DIRECTORY),))
        assert not list((lone.vault / "incoming").iterdir())
        lone.dock(lone.card(RECORDER, {FILM: b"film"}))
        until(lambda: [at for at in parts.live.bays() if at.phase == "kept"], "it is sealed")
    assert not lone.anomalies("gone-from-card")
