"""A station that is told to compute SM3 as well seals every file with it, and all else is as without."""

import hashlib

from tests.crash.station import Station, clip_path

FILES = {clip_path(1): b"one" * 3_000_000, clip_path(2): b""}


def test_every_entry_of_a_file_holds_its_sm3(station: Station) -> None:
    station.configure(ledger={"sm3": True, "publish_seconds": 0.2})
    with station.running():
        bay = station.dock(station.card("BC00001", FILES))
        station.until_phase(bay, "done")
    found = {body["sha256"]: body["sm3"] for body in station.bodies("segment")}
    assert found == {hashlib.sha256(data).hexdigest(): hashlib.new("sm3", data).hexdigest() for data in FILES.values()}
    station.is_whole()
