"""What the recorder's numbering and the card's inventory must add up to, and how a dishonest ledger shows."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edged.evidence import bodies
from edged.evidence.ids import DockingId, EntryRef, SegmentId
from edged.evidence.verification import Report
from tests.unit.bundle_station import Station, failing, open_questions

CARD = {"a": b"a", "b": b"bb", "c": b"ccc"}


@pytest.fixture
def station(tmp_path: Path) -> Station:
    station = Station(folder=tmp_path)
    station.genesis()
    return station


def leave(station: Station, remaining: int) -> None:
    station.append(bodies.Undocking(docking=DockingId("d"), outcome="kept", remaining=remaining))


def report_on(station: Station, *segments: SegmentId, inventories: bool = True) -> Report:
    seq = station.export(list(segments))
    return station.bundle(seq, station.folder / "b", inventories=inventories).verify(station.trust)


def dock_and_seal(station: Station, card: Mapping[str, bytes] = CARD, **changes: object) -> list[SegmentId]:
    station.dock("d", "r", CARD, **changes)
    return [station.seal("d", "r", path, data) for path, data in card.items()]


def test_a_docking_in_which_nothing_was_erased_adds_up(station: Station) -> None:
    sealed = dock_and_seal(station)
    leave(station, 3)
    report = report_on(station, sealed[0])
    assert (failing(report), open_questions(report)) == (set(), {"time"})


def test_a_file_of_the_inventory_that_was_never_sealed_shows(station: Station) -> None:
    sealed = dock_and_seal(station, {"a": b"a", "b": b"bb"})
    leave(station, 3)
    assert amiss(report_on(station, *sealed), "neither sealed nor sighted: c")


def test_a_file_that_was_sighted_is_accounted_for(station: Station) -> None:
    sealed = dock_and_seal(station, {"a": b"a", "b": b"bb"})
    station.append(bodies.Sighting(segment=sealed[0], docking=DockingId("d"), path="c"))
    leave(station, 3)
    assert open_questions(report_on(station, *sealed)) == {"time"}


def test_a_number_that_continues_another_recorder_shows(station: Station) -> None:
    dock_and_seal(station, {"a": b"a"})
    first_of_r = station.last_of["r"][1]
    station.dock("e", "s", {"b": b"bb"})
    second_of_s = station.seal("e", "s", "b", b"bb", recorder_seq=2, recorder_prev=first_of_r)
    (first,) = [SegmentId(name) for kind, name in station.names if kind == "segment" and name != second_of_s]
    assert failing(report_on(station, first, second_of_s)) == {"chain"}


def test_a_file_gone_without_a_wipe_shows(station: Station) -> None:
    sealed = dock_and_seal(station)
    leave(station, 2)
    assert amiss(report_on(station, *sealed), "3 file(s) should have stayed")


def test_a_wipe_that_the_undocking_does_not_count_shows(station: Station) -> None:
    sealed = dock_and_seal(station)
    station.clear_and_wipe("d", {"a": sealed[0]}, 3)
    assert amiss(report_on(station, *sealed), "2 file(s) should have stayed on the card; the entries here say 3")


def test_a_wipe_of_another_docking_does_not_count(station: Station) -> None:
    sealed = dock_and_seal(station)
    leave(station, 2)
    station.append(
        bodies.Wipe(
            docking=DockingId("elsewhere"),
            segment=sealed[0],
            path="a",
            sha256=station.sealed(sealed[0]).sha256,
            clearance=EntryRef("0" * 64),
            outcome="gone",
        )
    )
    assert amiss(report_on(station, *sealed), "3 file(s) should have stayed")


def test_a_recorder_still_docked_shows(station: Station) -> None:
    assert amiss(report_on(station, *dock_and_seal(station)), "0 undocking entries")


def test_files_that_vanished_since_the_last_docking_show(station: Station) -> None:
    sealed = dock_and_seal(station, missing=4)
    leave(station, 3)
    assert amiss(report_on(station, *sealed), "4 file(s) that the recorder held")


def test_a_docking_entry_that_counts_other_files_than_its_inventory_shows(station: Station) -> None:
    sealed = dock_and_seal(station, files=2)
    leave(station, 3)
    assert amiss(report_on(station, *sealed), "counts 2 files")


def test_a_gap_in_the_numbers_of_a_docking_shows(station: Station) -> None:
    station.dock("d", "r", {"a": b"a", "b": b"bb"})
    first = station.seal("d", "r", "a", b"a")
    station.last_of["r"] = 5, station.last_of["r"][1]
    second = station.seal("d", "r", "b", b"bb")
    leave(station, 2)
    report = report_on(station, first, second)
    assert "chain" in failing(report)
    assert any("gap or a repetition" in each.en for each in report.findings)


def test_without_inventories_completeness_is_open(station: Station) -> None:
    sealed = dock_and_seal(station)
    leave(station, 3)
    report = report_on(station, *sealed, inventories=False)
    assert (failing(report), open_questions(report)) == (set(), {"completeness", "time"})


def amiss(report: Report, finding: str) -> bool:
    """Say whether completeness is open for the reason that a finding gives, and nothing failed."""
    assert failing(report) == set()
    assert open_questions(report) == {"completeness", "time"}
    assert any(finding in each.en for each in report.findings), [each.en for each in report.findings]
    return True


def test_a_neighbour_that_is_not_here_leaves_the_chain_open(station: Station) -> None:
    station.dock("before", "r", {"z": b"z"})
    station.seal("before", "r", "z", b"z")
    sealed = dock_and_seal(station)
    leave(station, 3)
    report = report_on(station, *sealed)
    assert (failing(report), open_questions(report)) == (set(), {"chain", "time"})


Change = Callable[[Station], dict[str, object]]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {"recorder_seq": 1, "recorder_prev": None},
        lambda _: {"recorder_prev": None},
        lambda _: {"recorder_prev": EntryRef("1" * 64)},
        lambda _: {"recorder_seq": 3},
        lambda _: {"recorder_seq": 1},
    ],
    ids=["number twice", "no predecessor", "another predecessor", "number skipped", "predecessor of the first"],
)
def test_a_second_segment_that_does_not_follow_the_first_is_found(station: Station, change: Change) -> None:
    station.dock("d", "r", {"a": b"a", "b": b"bb"})
    first = station.seal("d", "r", "a", b"a")
    second = station.seal("d", "r", "b", b"bb", **change(station))
    leave(station, 2)
    assert failing(report_on(station, first, second)) == {"chain"}


def test_segments_of_two_recorders_make_two_chains(station: Station) -> None:
    sealed = dock_and_seal(station)
    leave(station, 3)
    station.dock("e", "s", {"x": b"x"})
    other = station.seal("e", "s", "x", b"x")
    station.append(bodies.Undocking(docking=DockingId("e"), outcome="kept", remaining=1))
    report = report_on(station, sealed[0], other)
    assert (failing(report), open_questions(report)) == (set(), {"time"})
