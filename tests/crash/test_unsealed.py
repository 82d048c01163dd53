"""A crash after an original got its name and before its entry, and a card that does not give the file again."""

import os
from pathlib import Path

import pytest

from edged.evidence.ids import escape_path
from tests.crash.mortal import Life, Moment, check
from tests.crash.station import Station, clip_path, sg

RECORDER = "BC00001"
FILM = clip_path(1)
UNDATED = b"DCIM/film.mp4"


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
    original = station.originals()[sg(RECORDER, files[path])]
    assert original.read_bytes() == files[path]
    sealed = {body["segment"]: body["quarantine"] for body in station.bodies("segment")}
    code = "gone-from-card" if then == "deleted" else "changed-since-interruption"
    assert sealed[sg(RECORDER, files[path])]["code"] == code
    assert [said["detail"]["kept_bytes"] for said in station.anomalies(code)] == [4000]
    assert (sg(RECORDER, b"forged") in sealed) == (then == "changed")
    assert check(station.config) == []
    with station.running():
        assert not station.status()["unsealed"]
    assert not list((station.vault / "incoming").iterdir())
    station.is_whole()
