"""What the modules of attacks share: an honest bundle, whoever judges it, and a forger's few tools.

A module takes the fixtures over by name (`case, honest, bundle, judge = attacked.case, …`). Unless an attack is about
the lists of files, the forger has put them right (`rebag`), as anybody can.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edged.clock import rfc3339
from edged.evidence import canonical
from edged.evidence.entry import ZERO_REF, reference
from edged.evidence.proofs import format_proof
from edged.evidence.verification import Report
from tests.unit.bundle_station import START, Case, Forgery, Station, ordinary_case

LOG = "st-07/2026-11-ab12"
Judge = Callable[[Forgery], Report]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return ordinary_case(tmp_path_factory.mktemp("station"))


@pytest.fixture(scope="module")
def honest(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Forgery:
    return case.station.bundle(case.export_seq, tmp_path_factory.mktemp("out") / "b", kinds=["poster"])


@pytest.fixture
def bundle(honest: Forgery) -> Forgery:
    return honest.copy()


@pytest.fixture
def judge(case: Case) -> Judge:
    return lambda forgery: forgery.verify(case.station.trust)


def video(case: Case, name: str = "A.MP4") -> str:
    return f"data/segments/{case.video}/{name}"


def photo(case: Case, name: str = "B.JPG") -> str:
    return f"data/segments/{case.photo}/{name}"


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def signed_raw(station: Station, kind: str, body: Mapping[str, object]) -> bytes:
    """Give an entry that this code would not write, as the next one of a station."""
    data = canonical.encode(
        {
            "v": 1,
            "type": kind,
            "station": station.name,
            "epoch": station.epoch,
            "seq": len(station.entries),
            "prev": reference(station.entries[-1]) if station.entries else ZERO_REF,
            "time": rfc3339(START),
            "clock": "synchronised",
            "actor": "edged",
            "body": body,
        }
    )
    station.append_bytes(data, kind, {})
    return data


def bundle_as_if(station: Station, seq: int, out: Path, wrong: bytes, honest: bytes) -> Forgery:
    """Make the honest bundle of a second export, and give it the signed wrong list and its entry."""
    second = station.export([], listed=honest)
    bundle = station.bundle(second, out)
    bundle.drop(f"data/custody/{LOG}/{second}.json", f"data/custody/{LOG}/{second}.tlog-proof")
    return with_entry(bundle, station, seq, second + 1).add("data/export.json", wrong).rebag()


def with_entry(bundle: Forgery, station: Station, seq: int, size: int) -> Forgery:
    """Add an entry of a station's log, proven at one of its sizes, as a custody entry."""
    place = f"data/custody/{station.name}/{station.epoch}/{seq}"
    bundle.add(f"{place}.json", station.entry_bytes(seq))
    return bundle.add(f"{place}.tlog-proof", format_proof(seq, station.inclusion_proof(seq, size), station.heads[size]))


def everywhere(bundle: Forgery, old: bytes, new: bytes) -> Forgery:
    """Put other bytes in the place of some in every file below `data/`."""
    for path, data in list(bundle.files.items()):
        if path.startswith("data/") and old in data:
            bundle.add(path, data.replace(old, new))
    return bundle
