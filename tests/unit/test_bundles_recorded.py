"""Reports give the recorder's claim and, beside it, the interval that it stands for, with what that follows from."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edged.bundles.pages import Checked, read_account, report_html
from edged.bundles.pages.recorded import Recorded
from edged.evidence import bodies
from edged.evidence.ids import SegmentId
from edged.evidence.verification import Trust
from edged.rules.clocks import Interval
from tests.unit.bundle_station import START, Forgery, Station

CLAIM = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
"""What `Station.seal` has the first file of a recorder claim: nine hours before it is docked."""


def made(
    folder: Path, *dockings: dict[str, object], recorded: bodies.Recorded | None = None
) -> tuple[Forgery, SegmentId]:
    """Give a bundle of one file that was read in the last of these dockings of its recorder."""
    station = Station(folder=folder)
    station.genesis()
    changes = {} if recorded is None else {"recorded": recorded}
    for number, docking in enumerate(dockings):
        last = number == len(dockings) - 1
        data = b"a" if last else f"{number}".encode()
        station.dock(f"d-{number}", "r", {"a": data}, **docking)
        segment = station.seal(f"d-{number}", "r", "a", data, **(changes if last else {}))
    names = [SegmentId(name) for kind, name in station.names if kind == "segment"]
    return station.bundle(station.export(sorted(set(names))), folder / "bundle"), segment


def measured(offset_ms: int | None, uncertainty_ms: int | None = 2_000, **more: object) -> dict[str, object]:
    return {"clock_offset_ms": offset_ms, "clock_uncertainty_ms": uncertainty_ms, **more}


def test_a_claim_is_told_as_it_stands_and_as_the_interval_it_stands_for(tmp_path: Path) -> None:
    bundle, segment = made(tmp_path, measured(97_000))
    times = Recorded(read_account(bundle)).of(segment)
    assert times is not None
    assert isinstance(times.start, Interval)
    truly = CLAIM - timedelta(seconds=97)
    assert times.start.earliest < truly < times.start.latest
    # 2 s of the reading, 1 s of the name, and 3 s a day for nine hours.
    assert times.start.latest - times.start.earliest == pytest.approx(
        2 * timedelta(seconds=3 + 9 / 24 * 3), abs=timedelta(seconds=0.05)
    )
    page = bundle.files["data/report.html"].decode()
    assert "2026-11-21 07:00:00.000 +08:00" in page
    assert re.search(r"2026-11-21 06:58:1[89]\.\d{3} \+08:00 –", page)
    for words in (
        "+97.000 s ± 2.000 s",
        "GA/T 947 allows",
        "按采集站时钟，开始于",
        "nobody set it otherwise in between",
    ):
        assert words in page
    (told,) = json.loads(bundle.files["data/report.json"])["recorded"].values()
    assert told["claimed"]["start"] == "2026-11-21T07:00:00+08:00"
    assert told["start"]["earliest"] == times.start.earliest.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    assert told["basis"]["en"] == times.basis.en


def test_a_clock_that_was_not_compared_gives_no_interval_and_says_so(tmp_path: Path) -> None:
    bundle, segment = made(tmp_path, measured(None, None))
    times = Recorded(read_account(bundle)).of(segment)
    assert times is not None
    assert (times.start, times.end) == (None, None)
    assert "nobody can say by how much" in bundle.files["data/report.html"].decode()
    (told,) = json.loads(bundle.files["data/report.json"])["recorded"].values()
    assert told["start"] is None
    assert told["claimed"]["start"] is not None


def test_a_clock_that_somebody_set_between_two_dockings_here_widens_the_interval(tmp_path: Path) -> None:
    bundle, segment = made(tmp_path, measured(3_600_000), measured(0))
    times = Recorded(read_account(bundle)).of(segment)
    assert times is not None
    assert times.start is not None
    assert times.start.latest - times.start.earliest > timedelta(hours=1)
    assert "it was set in between" in times.basis.en


def test_only_dockings_up_to_the_file_s_own_count(tmp_path: Path) -> None:
    bundle, _ = made(tmp_path, measured(0), measured(3_600_000))
    account = read_account(bundle)
    bases = {
        entry.body.docking: str(Recorded(account).of(name))
        for name, entry in account.sealed.items()
        if isinstance(entry.body, bodies.Segment)
    }
    assert "set in between" not in bases["d-0"]
    assert "set in between" in bases["d-1"]


def test_without_the_entry_of_its_docking_nothing_is_said_of_the_clock(tmp_path: Path) -> None:
    bundle, segment = made(tmp_path, measured(97_000))
    (path,) = (
        path for path, data in bundle.files.items() if path.startswith("data/custody/") and b'"type":"docking"' in data
    )
    broken = bundle.copy()
    broken.files.pop(path)
    times = Recorded(read_account(broken)).of(segment)
    assert times is not None
    assert times.start is None
    assert "is not here" in times.basis.en


def test_a_file_that_claims_no_time_has_none(tmp_path: Path) -> None:
    nothing = bodies.Recorded(start=None, end=None, zone="UTC", source="mtime", uncertainty_ms=2_000)
    bundle, segment = made(tmp_path, measured(97_000), recorded=nothing)
    times = Recorded(read_account(bundle)).of(segment)
    assert times is not None
    assert (times.start, times.end) == (None, None)


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-22T00:00:00Z"])
def test_claims_without_sense_get_a_page_all_the_same(tmp_path: Path, start: str) -> None:
    wild = bodies.Recorded(start=start, end=start, zone="UTC", source="filename", uncertainty_ms=2**53 - 1)
    bundle, _ = made(tmp_path, measured(1 - 2**53, 2**53 - 1), recorded=wild)
    checked = Checked(by_station=False, moment=START, trust=Trust(), tool="edged 9")
    assert report_html(bundle.verify(Trust()), read_account(bundle), checked)
