"""Recorders that change bays, double, or come back empty: taken in where they are, never under a false accusation."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edged.bays.inventory import Filesystem
from edged.bays.safe_files import Root
from edged.bays.source import Device, Docked
from edged.book.facts import DockingRow
from edged.errors import FullError
from edged.evidence.ids import BayId
from edged.media.media import Media
from edged.station import absent, docking
from edged.station.docking import Intake
from edged.station.handing import hand_in
from edged.station.parts import Parts
from edged.stores.directory import DirectorySettings
from tests.crash.conftest import MakeStation
from tests.crash.inside import inside
from tests.crash.station import OFFICER, Station, clip_path, read_card, until

RECORDER = "BC00001"
SLOW = b"slow to look into" * 1000
FILES = {clip_path(1): SLOW, clip_path(2): b"quick"}


@pytest.fixture
def shared(make_station: MakeStation, new_share: Callable[[], DirectorySettings]) -> Station:
    """Give a station that stores into a folder."""
    station, share = make_station(), new_share()
    station.configure(store={"kind": "directory", "id": str(share.id), "folder": share.folder})
    return station


@pytest.fixture
def probing(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Have ffprobe hang at the slow file; gives what is set when it does, and what lets it go on."""
    begun, goes_on = threading.Event(), threading.Event()
    probe = Media.probe

    def slow(media: Media, file: Path, stop: threading.Event) -> Any:
        if file.stat().st_size == len(SLOW):
            begun.set()
            assert goes_on.wait(60)
        return probe(media, file, stop)

    monkeypatch.setattr(Media, "probe", slow)
    monkeypatch.setattr(docking, "_PATIENCE_SECONDS", 0.5)
    return begun, goes_on


def is_waiting(station: Station, bay: str, why: str) -> bool:
    state = station.bay(bay)
    return state["phase"] == "waiting" and why in state["text"] and not state["removable"]


def test_recorder_moved_while_its_first_bay_lets_go_of_it_is_taken_in_in_the_second(
    shared: Station, probing: tuple[threading.Event, threading.Event]
) -> None:
    begun, goes_on = probing
    card = shared.card(RECORDER, FILES)
    with inside(shared):
        first = shared.dock(card, "bay-a")
        assert begun.wait(60)
        second = shared.dock(shared.pull(first), "bay-b")
        until(lambda: is_waiting(shared, "bay-b", "Bay bay-a still ends"), "the second bay waits")
        threading.Event().wait(2)
        assert is_waiting(shared, "bay-b", "Bay bay-a still ends")
        goes_on.set()
        shared.until_phase(second, "done")
    assert shared.anomalies() == []
    assert shared.result().ended == (("interrupted", 2), ("cleared", 0))
    shared.holds(RECORDER, FILES)
    shared.is_whole()


def test_recorder_whose_number_is_in_another_bay_is_taken_in_when_that_one_leaves(
    shared: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docking, "_PATIENCE_SECONDS", 0.5)
    other = {clip_path(3): b"of the other one"}
    with inside(shared):
        first = shared.dock(shared.card("one", FILES))
        shared.until_phase(first, "done")
        second = shared.dock(shared.card("other", other))
        refused = shared.until_phase(second, "refused")
        assert "in another bay already" in refused["text"]
        assert read_card(second) == other
        threading.Event().wait(1.5)
        assert shared.bay("other")["phase"] == "refused"
        shared.pull(first)
        shared.until_phase(second, "done")
    assert len(shared.anomalies("recorder-refused")) == 1
    assert shared.result().ended == (("cleared", 0), ("cleared", 0))
    shared.holds(RECORDER, FILES | other)


def test_recorder_waits_for_what_is_handed_in_of_it_and_goes_on_by_itself(
    shared: Station, probing: tuple[threading.Event, threading.Event]
) -> None:
    begun, goes_on = probing
    loose = shared.card("loose", {clip_path(1): SLOW})
    with inside(shared) as parts:
        folder = os.open(loose, os.O_RDONLY | os.O_DIRECTORY)
        given = {"recorder": RECORDER, "officer": OFFICER, "reason": "x", "name": "loose"}
        handing = threading.Thread(target=hand_in, args=(parts, given, "user:root", (folder,)))
        handing.start()
        assert begun.wait(60)
        bay = shared.dock(shared.card(RECORDER, {clip_path(2): b"quick"}))
        until(lambda: is_waiting(shared, RECORDER, "by hand"), "the bay waits")
        threading.Event().wait(2)
        assert is_waiting(shared, RECORDER, "by hand")
        goes_on.set()
        handing.join(60)
        os.close(folder)
        shared.until_phase(bay, "done")
    assert shared.anomalies() == []
    assert shared.result().ended == (("kept", 1), ("cleared", 0))


def test_what_is_handed_in_waits_for_a_bay_whose_recorder_left(
    shared: Station, probing: tuple[threading.Event, threading.Event]
) -> None:
    begun, goes_on = probing
    with inside(shared) as parts:
        bay = shared.dock(shared.card(RECORDER, FILES))
        assert begun.wait(60)
        card = shared.pull(bay)
        folder = os.open(card, os.O_RDONLY | os.O_DIRECTORY)
        given = {"recorder": RECORDER, "officer": OFFICER, "reason": "x", "name": "loose"}
        done: list[dict[str, object]] = []
        handing = threading.Thread(target=lambda: done.append(hand_in(parts, given, "user:root", (folder,))))
        handing.start()
        handing.join(2)
        assert handing.is_alive()
        goes_on.set()
        handing.join(60)
        os.close(folder)
        assert [answer["unread"] for answer in done] == [0]
    assert sorted(shared.result().ended) == [("interrupted", 2), ("kept", 2)]


class Refusing:
    """A book that refuses, for a while, to have dockings ended."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.end = docking.end_absent

    def __call__(self, parts: Parts, row: DockingRow, **given: bool) -> None:
        self.left -= 1
        if self.left >= 0:
            raise FullError("The disk under the book is full; nothing was lost, intake waits.")
        self.end(parts, row, **given)


def test_recorder_whose_docking_could_not_be_ended_is_taken_in_in_the_next_bay(
    shared: Station, probing: tuple[threading.Event, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on = probing
    refusing = Refusing(1)
    monkeypatch.setattr(docking, "end_absent", refusing)
    with inside(shared):
        first = shared.dock(shared.card(RECORDER, FILES), "bay-a")
        assert begun.wait(60)
        card = shared.pull(first)
        goes_on.set()
        until(lambda: refusing.left == 0, "the docking could not be ended")
        shared.until_phase(shared.dock(card, "bay-b"), "done")
    assert shared.anomalies() == []
    assert shared.result().ended == (("interrupted", 2), ("cleared", 0))


def test_docking_that_could_not_be_ended_is_ended_later_although_nobody_docks_again(
    shared: Station, probing: tuple[threading.Event, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, goes_on = probing
    refusing = Refusing(1)
    monkeypatch.setattr(docking, "end_absent", refusing)
    monkeypatch.setattr(absent, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(absent, "IDLE_SECONDS", 1.0)
    with inside(shared) as parts:
        first = shared.dock(shared.card(RECORDER, FILES), "bay-a")
        assert begun.wait(60)
        threading.Event().wait(1.5)
        assert parts.book.facts.open_dockings(), "a bay that still works ends its docking itself"
        shared.pull(first)
        goes_on.set()
        until(lambda: shared.bodies("undocking"), "the docking is ended")
        assert refusing.left == 0
        assert not parts.claims.holds("bay-a")
    assert shared.result().ended == (("interrupted", 2),)


# ------------------------------------------------------------------------------------------------ emptied cards


def test_empty_card_that_comes_while_the_station_looks_is_not_taken_for_the_last_recorder(shared: Station) -> None:
    with inside(shared):
        bay = shared.dock(shared.card(RECORDER, FILES), "bay-a")
        shared.until_phase(bay, "done")
        # The very same folder, as one FAT card after the other has the numbers of the one before under one mount point.
        card = shared.pull(bay)
        until(lambda: shared.bay("bay-a")["phase"] is None, "it left")
        shared.until_phase(shared.dock(card, "bay-a"), "refused")
    assert len(shared.bodies("docking")) == 1


def test_emptied_card_is_known_after_a_restart_but_a_device_only_by_its_file_system_s_own_number(
    shared: Station,
) -> None:
    with inside(shared):
        bay = shared.dock(shared.card(RECORDER, FILES), "bay-a")
        shared.until_phase(bay, "done")
    with inside(shared):
        shared.until_phase(bay, "done")
    assert [body["recorder"]["id"] for body in shared.bodies("docking")] == [RECORDER] * 2
    device = Device(usb="0a0b:0c0d", serial="", port="pci-0")
    told = Filesystem(type="directory", label=None, serial=None)
    docked = Docked(bay=BayId("bay-a"), root=Root.at(bay), hint="bay-a", filesystem=told, device=device)
    shared.pull(bay)
    with inside(shared) as parts:
        docked = replace(docked, root=replace(docked.root, path=shared.shelf / "bay-a"))
        Intake(parts, None, docked, threading.Event(), found_at_start=True).run()
        assert shared.bay("bay-a")["phase"] == "refused"
        Intake(parts, None, replace(docked, device=None), threading.Event(), found_at_start=True).run()
        parts.claims.give_back(BayId("bay-a"))
    assert len(shared.bodies("docking")) == 3
