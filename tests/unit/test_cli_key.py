"""`edged key` without a daemon: what it shows, asks for, and refuses."""

import json
import os
import stat
from pathlib import Path

import pytest

from edged import keys
from edged.clock import SystemClock
from edged.evidence.ids import StationId
from edged.keys.certifying import request_of
from edged.station.creation import NewStation, create
from tests.unit.calling import Caller, Said


class Station:
    """A station without central storage, made a moment ago."""

    def __init__(self, folder: Path, call: Caller) -> None:
        self.folder = folder
        self._call = call

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def __call__(self, *words: object) -> Said:
        return self._call("key", *words, config=self / "config")


@pytest.fixture
def station(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Station:
    new = NewStation(
        station=StationId("st-01"),
        domain="example.org",
        zone="UTC",
        config=tmp_path / "config",
        state=tmp_path / "state",
        root_key=tmp_path / "root.key",
    )
    create(new, SystemClock())
    return Station(tmp_path, Caller(capsys))


def test_show_says_who_vouches_for_the_key_and_how_long(station: Station) -> None:
    shown = json.loads(station("show", "--json").out)
    (epoch,), (root,) = shown["epochs"], shown["roots"]
    assert (shown["station"], epoch["state"], shown["waiting"]) == ("st-01", "open", None)
    assert epoch["key"]["days_left"] == 5 * 365 - 1
    assert epoch["key"]["issuer"] == root["subject"] == "O=self-made by st-01"
    assert [(file["mode"], file["own"]) for file in shown["files"]] == [("0600", True)]
    said = station("show")
    assert said.code == 0
    assert epoch["key"]["sha256"] in said.out
    assert root["sha256"] in said.out


def test_request_is_the_same_until_it_is_answered(station: Station) -> None:
    first = station("request").out
    assert request_of(first.encode())[0].startswith("example.org/st-01/")
    out = station / "next.csr"
    assert station("request", "--out", str(out)).code == 0
    assert out.read_text() == first
    assert "not certified yet" in station("show").out


def test_answer_is_installed_and_waits(station: Station) -> None:
    asked = json.loads(station("request", "--json").out)
    key, roots, request = (station / "root.key").read_bytes(), asked["roots"].encode(), asked["request"].encode()
    answer = station / "answer.pem"
    answer.write_bytes(keys.certify(key, roots, request, station=StationId("st-01"), now=SystemClock().now()))
    done = station("install", str(answer), "--wait", "--json")
    assert done.code == 0
    assert json.loads(done.out)["origin"] == asked["origin"]
    waiting = json.loads(station("show", "--json").out)["waiting"]
    assert (waiting["open"], waiting["certificate"]["issuer"]) == (False, "O=self-made by st-01")
    found = (station / "state/keys/next/epoch.key").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o600, os.geteuid())


def test_wrong_answers_are_refused_with_the_reason(station: Station) -> None:
    answer = station / "answer.pem"
    answer.write_text((station / "state/keys/station.pem").read_text())
    assert station("install", str(answer)).code == 64
    station("request")
    said = station("install", str(answer))
    assert said.code == 64
    assert "of the key that waits" in said.err
    assert station("install", str(station / "none.pem")).code == 66
    answer.write_bytes(b"\xff")
    assert station("install", str(answer)).code == 66


def test_station_that_signs_nothing_has_no_key_to_change(station: Station) -> None:
    said = station("rotate", "--root-key", str(station / "root.key"))
    assert said.code == 64
    assert "without central storage" in said.err


def test_root_key_of_another_root_is_refused(station: Station) -> None:
    said = station("rotate", "--root-key", str(station / "state/keys/epoch.key"))
    assert said.code == 64
    assert "not the private key of a root" in said.err


def test_key_that_others_can_read_is_not_used(station: Station) -> None:
    (station / "state/keys/epoch.key").chmod(0o644)
    assert station("show").code == 77
