"""Dockings that cannot come to their end: what the bay says, and that nobody is told to pull just before an erase."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edged.bays.claims import FileClaims
from edged.bays.inventory import Item
from edged.book.facts import SegmentRow
from edged.errors import EdgedError, FullError, StorageError, StoreError, UnavailableError, UnreadableError
from edged.evidence.ids import escape_path
from edged.station import later, releasing
from edged.station.jobs import reread as reread_job
from edged.station.jobs.publish import PublishJob
from edged.station.jobs.replicate import ReplicateJob
from edged.station.live import Live
from edged.station.sealing import Sealer
from edged.station.taking import StillWrittenError
from edged.stores.directory import DirectorySettings
from edged.vault.reread import Reread, reread
from tests.crash.conftest import MakeStation
from tests.crash.inside import inside
from tests.crash.station import Station, clip_path, read_card, sg, until

RECORDER = "BC00001"
BROKEN = b"of this one something fails" * 100
FILES = {clip_path(1): BROKEN, clip_path(2): b"two", clip_path(3): b"three"}


@pytest.fixture
def shared(
    make_station: MakeStation, new_share: Callable[[], DirectorySettings], monkeypatch: pytest.MonkeyPatch
) -> Station:
    """Give a station that stores into a folder, and soon looks again at what it waits for."""
    monkeypatch.setattr(releasing, "_LOOK_SECONDS", 0.3)
    monkeypatch.setattr(later, "_FIRST_SECONDS", 0.2)
    station, share = make_station(), new_share()
    station.configure(store={"kind": "directory", "id": str(share.id), "folder": share.folder})
    return station


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Give every bay and phase that is shown, in order."""
    seen: list[tuple[str, str]] = []
    set_bay = Live.set_bay

    def noting(live: Live, bay: str, phase: Any, **changes: object) -> None:
        seen.append((bay, phase))
        set_bay(live, bay, phase, **changes)

    monkeypatch.setattr(Live, "set_bay", noting)
    return seen


class Failing:
    """A step that fails for the broken file while it is set to."""

    def __init__(self, error: EdgedError) -> None:
        self.error = error
        self.fails = True

    def at(self, size_bytes: int) -> None:
        if self.fails and size_bytes == len(BROKEN):
            raise self.error


# ------------------------------------------------------------------------------------------------ `securing`, `safe`


@pytest.mark.parametrize(
    ("error", "phase"),
    [
        (StorageError("The original of a segment cannot be read."), "securing"),
        (StoreError("The store contradicts what was sent."), "securing"),
        (UnavailableError("The store does not answer."), "safe"),
    ],
    ids=["one-segment", "one-copy", "the-store"],
)
def test_a_recorder_can_be_taken_out_before_it_is_erased_only_if_the_whole_store_is_away(
    shared: Station,
    shown: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    error: EdgedError,
    phase: str,
) -> None:
    failing, replicate = Failing(error), ReplicateJob._replicate

    def fail(job: ReplicateJob, segment: SegmentRow, stop: threading.Event) -> None:
        failing.at(segment.bytes)
        replicate(job, segment, stop)

    monkeypatch.setattr(ReplicateJob, "_replicate", fail)
    card = shared.card(RECORDER, FILES)
    with inside(shared):
        bay = shared.dock(card)
        until(lambda: shared.alarm("upload", error.message), "the alarm")
        until(lambda: sum(body["store"] == "vault" for body in shared.bodies("replica")) == 3, "all is re-read")
        until(lambda: shared.bay(RECORDER)["phase"] == phase, f"the bay is {phase}")
        threading.Event().wait(1)
        assert shared.bay(RECORDER)["phase"] == phase
        assert shared.bay(RECORDER)["lamp"] == ("free" if phase == "safe" else "busy")
        failing.fails = False
        shared.until_phase(bay, "done")
    assert ((RECORDER, "safe") in shown) == (phase == "safe")


def test_a_ledger_that_cannot_be_published_keeps_nobody_waiting(
    shared: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, step = Failing(StoreError("The store refuses.")), PublishJob.step

    def fail(job: PublishJob, stop: threading.Event) -> bool:
        failing.at(len(BROKEN))
        return step(job, stop)

    monkeypatch.setattr(PublishJob, "step", fail)
    with inside(shared):
        bay = shared.dock(shared.card(RECORDER, FILES))
        assert "cannot be published" in shared.until_phase(bay, "safe")["text"]
        failing.fails = False
        shared.until_phase(bay, "done")


@pytest.mark.parametrize(
    "error",
    [
        StorageError("A file cannot be read back: Input/output error."),
        UnreadableError("chunks.sha256 cannot be read: Input/output error."),
    ],
)
def test_a_copy_in_the_vault_that_cannot_be_read_back_frees_its_recorder_and_no_other(
    shared: Station, shown: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, error: EdgedError
) -> None:
    failing = Failing(error)

    def fail(file: Path, *, stop: threading.Event, on_bytes: Callable[[int], None]) -> Reread:
        failing.at(file.stat().st_size)
        return reread(file, stop=stop, on_bytes=on_bytes)

    monkeypatch.setattr(reread_job, "reread", fail)
    with inside(shared):
        bay = shared.dock(shared.card(RECORDER, FILES))
        state = shared.until_phase(bay, "safe")
        assert (state["lamp"], state["removable"]) == ("attention", True)
        assert "cannot read its own copies back" in state["text"]
        assert read_card(bay) == FILES
        other = shared.dock(shared.card("BC00002", {clip_path(1, "BC00002"): b"healthy"}))
        shared.until_phase(other, "done")
        assert ("BC00002", "safe") not in shown
        failing.fails = False
        state = shared.until_phase(bay, "done")
        assert state["lamp"] == "free"
    assert shared.result().ended == (("cleared", 0), ("cleared", 0))


# ------------------------------------------------------------------------------------------------ not erased


@pytest.mark.parametrize(("code", "left"), [(errno.EROFS, 3), (errno.EIO, 1)], ids=["read-only", "one-file"])
def test_a_card_that_does_not_let_files_be_erased_is_reported_and_the_bay_says_why(
    shared: Station, monkeypatch: pytest.MonkeyPatch, code: int, left: int
) -> None:
    unlink, first = os.unlink, clip_path(1).rpartition(b"/")[2]

    def refuse(path: Any, *, dir_fd: int | None = None) -> None:
        if isinstance(path, bytes) and path.endswith(b".MP4") and (code == errno.EROFS or path == first):
            raise OSError(code, os.strerror(code))
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    with inside(shared):
        bay = shared.dock(shared.card(RECORDER, FILES))
        state = shared.until_phase(bay, "kept", "done")
    assert (state["phase"], state["lamp"]) == ("kept", "attention")
    assert f"does not let a cleared file be erased: {os.strerror(code)}" in state["text"]
    (anomaly,) = shared.anomalies()
    assert (anomaly["kind"], anomaly["detail"]["what"].endswith(f"{os.strerror(code)}.")) == ("not-erased", True)
    outcomes = [body["outcome"] for body in shared.bodies("wipe")]
    assert (outcomes.count("present"), len(outcomes)) == (left, len(FILES))
    assert shared.result().ended == (("kept", left),)
    assert len(read_card(bay)) == left


# ------------------------------------------------------------------------------------------------ side files


SIDE = {
    b"DEVICE.INI": b"serial = SC20451\nofficer = 138001\nzone = Asia/Shanghai\n",
    b"VIDEO/20260105/080000_00001L.MP4": BROKEN,
    b"GPS/20260105/080000_00001.NMEA": b"$GPRMC,...\n",
}


@pytest.mark.parametrize("how", ["full", "growing"])
def test_a_side_file_is_sealed_after_what_it_belongs_to_however_late_that_is(
    shared: Station, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    error = FullError("No room for it.") if how == "full" else StillWrittenError("It is still being written.")
    failing, take = Failing(error), Sealer.take

    def late(sealer: Sealer, item: Item, claims: FileClaims) -> bool:
        failing.at(item.size_bytes or 0)
        return take(sealer, item, claims)

    monkeypatch.setattr(Sealer, "take", late)
    with inside(shared):
        bay = shared.dock(shared.card("SC20451", SIDE))
        until(lambda: shared.bodies("segment"), "what does not fail is sealed")
        threading.Event().wait(1)
        assert [body["path"] for body in shared.bodies("segment")] == ["DEVICE.INI"]
        failing.fails = False
        shared.until_phase(bay, "done")
    main = sg("SC20451", BROKEN)
    assert {body["path"]: body["side_of"] for body in shared.bodies("segment")} == {
        escape_path(path): main if path.startswith(b"GPS") else None for path in SIDE
    }


def test_a_card_that_changes_while_there_is_no_room_for_it_stays_in_one_docking(
    shared: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, take = Failing(FullError("No room for it.")), Sealer.take

    def late(sealer: Sealer, item: Item, claims: FileClaims) -> bool:
        if item.path == escape_path(clip_path(1)):
            failing.at(len(BROKEN))
        return take(sealer, item, claims)

    monkeypatch.setattr(Sealer, "take", late)
    with inside(shared):
        bay = shared.dock(shared.card(RECORDER, FILES))
        until(lambda: len(shared.bodies("segment")) == 2, "what does not fail is sealed")
        with (bay / os.fsdecode(clip_path(1))).open("ab") as file:
            file.write(b" and on")
        threading.Event().wait(2)
        failing.fails = False
        shared.until_phase(bay, "done")
    assert len(shared.bodies("docking")) == 1
    (said,) = shared.anomalies("changed-after-inventory")
    assert said["detail"]["sealed_bytes"] == len(BROKEN + b" and on")
    shared.holds(RECORDER, FILES | {clip_path(1): BROKEN + b" and on"})
    shared.is_whole()
