"""What a docking finds out of order about its recorder's footage: written once, whatever came between."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from edged.bays import claims
from edged.bays.inventory import Item
from edged.book.facts import DockingRow
from edged.clock import SystemClock
from edged.evidence import bodies
from edged.evidence.ids import DockingId, StationId
from edged.media.facts import Why
from edged.station.assembly import build
from edged.station.continuity import continuity
from edged.station.creation import NewStation, create
from edged.station.parts import Parts
from tests.unit.book_station import RECORDER, VAULT, cleared, copied, docked, sealed, sg, sighted, undocked, wiped

MONDAY, TUESDAY, WEDNESDAY = (DockingId(f"dk-2026010{day}-00000001") for day in (5, 6, 7))
CUT_SECONDS: Final = 60


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """A station with one recorder of the layout gat947, whose profile says how it cuts."""
    places = {"config": tmp_path / "config", "state": tmp_path / "state", "root_key": tmp_path / "root.key"}
    create(NewStation(station=StationId("st-01"), domain="example.org", zone="UTC", **places), SystemClock())
    (tmp_path / "config/register.toml").write_text(
        f'[[recorder]]\nid = "{RECORDER}"\nprofile = "gat947"\nserial = "A1B2C3D"\n'
    )
    profile = tmp_path / "config/recorders/gat947.toml"
    text = profile.read_text().replace("[[layout]]", f"[recording]\ncut_seconds = {CUT_SECONDS}\n\n[[layout]]", 1)
    profile.write_text(text)
    parts = build(tmp_path / "config", SystemClock())
    yield parts
    parts.book.close()


def name(number: int, *, day: int = 5, second: int = 0) -> str:
    """Give the path of a recording: number 7 at seven minutes past eight."""
    return f"2026010{day}/A1B2C3D_110203_2026010{day}08{number:02}{second:02}_{number:04}.MP4"


def card(*numbers: int, day: int = 5) -> dict[str, bytes]:
    return {name(number, day=day): f"{day} {number}".encode() for number in numbers}


def film(path: str, data: bytes, docking: DockingId, seconds: int = 20, **changes: Any) -> bodies.Segment:
    """Seal a video as the station does: times out of its name."""
    at = re.search(r"_2026010(\d)08(\d\d)(\d\d)_", path)
    start = "2026-01-05T08:00:00.000+00:00" if at is None else f"2026-01-0{at[1]}T08:{at[2]}:{at[3]}.000+00:00"
    recorded = bodies.Recorded(start=start, end=None, zone="UTC", source="filename", uncertainty_ms=1000)
    media = bodies.Media(container="mp4", video="h264 640x360", audio=None, duration_ms=seconds * 1000)
    return sealed(path, data, docking=docking, **{"recorded": recorded, "media": media} | changes)


def dock(parts: Parts, docking: DockingId, files: Mapping[str, bytes], *, bay: str = "bay-1") -> DockingRow:
    body, document = docked(files, docking)
    parts.book.ledger.append(body.model_copy(update={"bay": bay}), documents=[document])
    row = parts.book.facts.docking(docking)
    assert row is not None
    return row


def take(parts: Parts, docking: DockingId, files: Mapping[str, bytes], **changes: Any) -> None:
    """Seal what is new and sight what is known."""
    for path, data in files.items():
        if parts.book.facts.segment(sg(data)) is None:
            parts.book.ledger.append(film(path, data, docking, **changes))
        else:
            parts.book.ledger.append(sighted(path, sg(data), docking))


def erase(parts: Parts, docking: DockingId, files: Mapping[str, bytes]) -> None:
    proofs = [parts.book.ledger.append(copied(sg(data), VAULT))[0].ref for data in files.values()]
    items = [(sg(data), path) for path, data in files.items()]
    clearance = parts.book.ledger.append(cleared(items, proofs, docking))[0].ref
    for path, data in files.items():
        parts.book.ledger.append(wiped(path, data, clearance, docking=docking))


def judge(parts: Parts, docking: DockingRow, files: Mapping[str, bytes]) -> list[bodies.Anomaly]:
    """Ask for the anomalies of a card, and write them."""
    profile = next(each for each in parts.profiles if each.id == "gat947")
    items = [Item(path=path, kind="file", size_bytes=len(data), modified_ns=0) for path, data in files.items()]
    found = continuity(parts, docking, claims.describe(items, profile, "UTC"))
    if found:
        parts.book.ledger.append(*found)
    assert continuity(parts, docking, claims.describe(items, profile, "UTC")) == [], "nothing is said twice"
    return found


def whole(parts: Parts, docking: DockingId, files: Mapping[str, bytes], **changes: Any) -> list[bodies.Anomaly]:
    """Take a recorder in, have it judged, erase it, and let it go."""
    row = dock(parts, docking, files)
    take(parts, docking, files, **changes)
    found = judge(parts, row, files)
    erase(parts, docking, files)
    parts.book.ledger.append(undocked(docking))
    return found


def told(found: list[bodies.Anomaly]) -> list[tuple[str, dict[str, Any]]]:
    return [(each.kind, dict(each.detail)) for each in found]


def test_two_ordinary_days_are_without_a_finding(parts: Parts) -> None:
    assert whole(parts, MONDAY, card(1, 2, 3)) == []
    assert whole(parts, TUESDAY, card(4, 5, 6, day=6)) == []


def test_a_number_that_is_left_out_on_a_card_or_between_two(parts: Parts) -> None:
    (within,) = whole(parts, MONDAY, card(1, 2, 4))
    assert within.subject == bodies.Subject(kind="recorder", id=RECORDER)
    assert within.docking == MONDAY
    assert told([within]) == [
        ("counter-skips", {"first": 3, "last": 3, "count": 1, "before": name(2), "after": name(4)})
    ]
    assert told(whole(parts, TUESDAY, card(7, 8, day=6))) == [
        ("counter-skips", {"first": 5, "last": 6, "count": 2, "before": name(4), "after": name(7, day=6)})
    ]


def test_a_recording_that_is_sealed_anew_with_other_bytes_begins_no_new_count(parts: Parts) -> None:
    files = card(1, 2, 3, 4, 5)
    row = dock(parts, MONDAY, files)
    take(parts, MONDAY, files)
    assert judge(parts, row, files) == []
    erase(parts, MONDAY, {path: data for path, data in files.items() if path != name(5)})
    parts.book.ledger.append(undocked(MONDAY))
    assert whole(parts, TUESDAY, {name(5): b"longer by now"}) == []


def test_a_file_that_could_not_be_read_leaves_out_no_number(parts: Parts) -> None:
    files = card(1, 2, 3)
    row = dock(parts, MONDAY, files)
    take(parts, MONDAY, {path: data for path, data in files.items() if path != name(2)})
    assert judge(parts, row, files) == []


def test_a_docking_that_goes_on_in_the_middle_of_the_wipe_finds_what_it_found_before(parts: Parts) -> None:
    whole(parts, MONDAY, card(1))
    files = card(2, 3, 5, day=6)
    row = dock(parts, TUESDAY, files)
    take(parts, TUESDAY, files)
    left = {path: data for path, data in files.items() if path == name(5, day=6)}
    assert [each.detail["first"] for each in judge(parts, row, left)] == [4]


def test_files_that_stay_on_a_card_are_judged_once(parts: Parts) -> None:
    first = card(1, 2, 4)
    assert len(judged_and_kept(parts, MONDAY, first)) == 1
    assert judged_and_kept(parts, TUESDAY, first) == []
    assert judged_and_kept(parts, WEDNESDAY, first | card(5, day=7)) == []


def judged_and_kept(parts: Parts, docking: DockingId, files: Mapping[str, bytes]) -> list[bodies.Anomaly]:
    row = dock(parts, docking, files)
    take(parts, docking, files)
    found = judge(parts, row, files)
    parts.book.ledger.append(undocked(docking, "kept", len(files)))
    return found


def test_what_an_interrupted_docking_sealed_is_judged_by_the_next(parts: Parts) -> None:
    files = card(1, 2, 4)
    dock(parts, MONDAY, files)
    take(parts, MONDAY, dict(list(files.items())[2:]))
    parts.book.ledger.append(undocked(MONDAY, "interrupted", 3))
    assert [each.detail["first"] for each in judged_and_kept(parts, TUESDAY, files)] == [3]


def test_a_segment_that_is_not_continued_in_time(parts: Parts) -> None:
    files = {name(1): b"one", name(3): b"two", name(4): b"three"}
    row = dock(parts, MONDAY, files)
    parts.book.ledger.append(
        film(name(1), b"one", MONDAY, seconds=CUT_SECONDS),
        film(name(3), b"two", MONDAY, seconds=CUT_SECONDS),
        film(name(4), b"three", MONDAY, seconds=10),
    )
    skip, incomplete = judge(parts, row, files)
    assert skip.kind == "counter-skips"
    assert incomplete.subject == bodies.Subject(kind="segment", id=sg(b"one"))
    assert told([incomplete]) == [("recording-incomplete", {"why": "not-continued", "file": name(1)})]


def test_a_gap_and_an_overlap_name_both_segments(parts: Parts) -> None:
    paths = [f"20260105/A1B2C3D_110203_2026010508{at}_{n:04}.MP4" for n, at in ((1, "0000"), (2, "0105"), (3, "0110"))]
    files = {path: path.encode() for path in paths}
    row = dock(parts, MONDAY, files)
    parts.book.ledger.append(
        film(paths[0], files[paths[0]], MONDAY, seconds=CUT_SECONDS),
        film(paths[1], files[paths[1]], MONDAY, seconds=30),
        film(paths[2], files[paths[2]], MONDAY, seconds=10),
    )
    one, two, three = (sg(data) for data in files.values())
    assert told(judge(parts, row, files)) == [
        ("join-gap", {"before": one, "after": two, "least_ms": 4_000, "most_ms": 6_000}),
        ("join-overlap", {"before": two, "after": three, "least_ms": 24_000, "most_ms": 26_000}),
    ]


def test_files_that_were_never_finished(parts: Parts) -> None:
    files = card(1) | {name(2): b"", name(3): b"cut off"}
    row = dock(parts, MONDAY, files)
    take(parts, MONDAY, card(1))
    for path, why in ((name(2), Why.EMPTY), (name(3), Why.NO_INDEX)):
        media = bodies.Unreadable(unreadable=why.value)
        parts.book.ledger.append(film(path, files[path], MONDAY, media=media))
    assert told(judge(parts, row, files)) == [
        ("recording-incomplete", {"why": "empty", "file": name(2)}),
        ("recording-incomplete", {"why": "no-index", "file": name(3)}),
    ]


def test_missing_files_are_told_apart_by_whether_the_station_has_them(parts: Parts) -> None:
    files = card(1, 2, 3)
    dock(parts, MONDAY, files)
    take(parts, MONDAY, card(1, 2))
    parts.book.ledger.append(undocked(MONDAY, "interrupted", 3))
    (gone,) = [each for each in judged_and_kept(parts, TUESDAY, card(2)) if each.kind.startswith("missing")]
    assert gone.subject == bodies.Subject(kind="recorder", id=RECORDER)
    assert gone.detail == {
        "last_docking": MONDAY,
        "held": 1,
        "lost": 1,
        "held_files": [name(1)],
        "lost_files": [name(3)],
    }


def test_what_the_station_erased_is_not_missing(parts: Parts) -> None:
    whole(parts, MONDAY, card(1, 2, 3))
    assert whole(parts, TUESDAY, {}) == []


def test_the_same_bytes_elsewhere_and_an_erased_file_that_came_back(parts: Parts) -> None:
    files = card(1) | {"COPY/A.MP4": b"5 1"}
    (copy,) = whole(parts, MONDAY, files)
    expected = {"at": "COPY/A.MP4", "first_at": name(1), "erased_in": None}
    assert told([copy]) == [("same-file-again", expected)]
    assert copy.subject == bodies.Subject(kind="segment", id=sg(b"5 1"))
    (back,) = whole(parts, TUESDAY, card(1))
    assert told([back]) == [("same-file-again", {"at": name(1), "first_at": name(1), "erased_in": MONDAY})]


def test_empty_files_and_papers_of_the_recorder_are_no_copies(parts: Parts) -> None:
    files = card(1) | {"LOG/A.TXT": b"log", "LOG/B.TXT": b"log", "X/A.MP4": b"", "X/B.MP4": b""}
    whole(parts, MONDAY, files)
    assert [each for each in whole(parts, TUESDAY, {"LOG/A.TXT": b"log"}) if each.kind == "same-file-again"] == []


def test_what_a_person_handed_in_is_not_judged(parts: Parts) -> None:
    files = card(1, 5)
    row = dock(parts, MONDAY, files, bay="intake-1")
    take(parts, MONDAY, files)
    assert judge(parts, row, files) == []


def hand_in(parts: Parts, files: Mapping[str, bytes]) -> None:
    docking = DockingId("dk-20260105-0000000a")
    dock(parts, docking, files, bay="intake-1")
    take(parts, docking, files)
    parts.book.ledger.append(undocked(docking, "kept", len(files)))


def test_a_recorder_is_not_accused_by_what_a_person_handed_in_of_it(parts: Parts) -> None:
    whole(parts, MONDAY, card(1, 2, 3))
    # A file without its folder, one that was cut, and one that somebody numbered.
    odd = name(5).replace("_0005", "_0002")
    hand_in(parts, {name(4, day=6).rpartition("/")[2]: b"6 4", name(5, day=6): b"cut", odd: b"odd"})
    assert whole(parts, TUESDAY, card(4, 5, 6, day=6)) == []


def test_what_was_handed_in_is_not_missed_in_the_recorder_s_count(parts: Parts) -> None:
    whole(parts, MONDAY, card(1, 2, 3))
    hand_in(parts, card(4, 5, day=6))
    assert whole(parts, TUESDAY, card(6, 7, day=6)) == []


def test_what_was_handed_in_first_is_judged_all_the_same(parts: Parts) -> None:
    files = {name(1): b"cut off"}
    hand_in(parts, {})
    media = bodies.Unreadable(unreadable=Why.NO_INDEX.value)
    docking = DockingId("dk-20260105-0000000b")
    dock(parts, docking, files, bay="intake-2")
    take(parts, docking, files, media=media)
    parts.book.ledger.append(undocked(docking, "kept", 1))
    twice = files | {"COPY/A.MP4": b"cut off"}
    assert told(whole(parts, MONDAY, twice)) == [
        ("recording-incomplete", {"why": "no-index", "file": name(1)}),
        ("same-file-again", {"at": "COPY/A.MP4", "first_at": name(1), "erased_in": None}),
    ]


def test_a_card_that_is_out_of_order_as_a_whole_is_counted(parts: Parts) -> None:
    minutes = {n: f"08{n // 60:02}{n % 60:02}" for n in range(1, 241, 2)}
    files = {f"20260105/A1B2C3D_110203_20260105{at}_{n:04}.MP4": b"%d" % n for n, at in minutes.items()}
    row = dock(parts, MONDAY, files)
    take(parts, MONDAY, files, seconds=1)
    skips = [each for each in judge(parts, row, files) if each.kind == "counter-skips"]
    assert [each.detail.get("more") for each in skips] == [None] * 99 + [len(files) - 1 - 100]
