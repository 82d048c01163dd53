"""SM3 beside SHA-256: computed in the same pass where it is configured, and checked wherever an entry names it."""

import hashlib
import os
import subprocess
from pathlib import Path
from threading import Event

import pytest

from edged.bundles import pages
from edged.clock import SystemClock
from edged.config import read_station
from edged.errors import ConfigError
from edged.evidence import digests
from edged.evidence.digests import Digester, has_sm3
from edged.evidence.ids import RecorderId
from edged.evidence.verification import Report, reading
from edged.offload.copying import copy
from edged.offload.reading import CardReader
from edged.offload.ring import Ring
from edged.station import assembly
from edged.vault.disk import Disk
from edged.vault.incoming import Source
from edged.vault.vault import Vault
from tests.independent import verifier
from tests.unit.bundle_station import Forgery, Station, failing, open_questions
from tests.unit.made_station import make
from tests.unit.test_independent_verifier import judged_alike, written

FILM = bytes(range(256)) * 40_000
SM3 = hashlib.new("sm3", FILM).hexdigest()


def test_sm3_of_the_standard_s_examples() -> None:
    """GB/T 32905, appendix A."""
    for data, expected in (
        (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
        (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
    ):
        digester = Digester(sm3=True)
        digester.update(data)
        assert digester.finish().sm3 == expected


@pytest.mark.parametrize("sm3", [True, False])
def test_one_pass_copies_and_computes_what_is_asked_for(tmp_path: Path, *, sm3: bool) -> None:
    (tmp_path / "card").write_bytes(FILM)
    source = Source(recorder=RecorderId("r"), path="card", size_bytes=len(FILM), modified_ns=0)
    draft = Vault(tmp_path / "vault", Disk()).incoming.begin(source)
    fd = os.open(tmp_path / "card", os.O_RDONLY)
    reader = CardReader(fd, clock=SystemClock(), stop=Event(), still_there=lambda: None)
    with Ring() as ring:
        found = copy(reader, draft, ring, on_bytes=lambda _: None, sm3=sm3).digests
    os.close(fd)
    assert found.sha256 == hashlib.sha256(FILM).hexdigest()
    assert found.sm3 == (SM3 if sm3 else None)
    draft.discard()


def bundle_of(folder: Path, sm3: str | None) -> tuple[Station, Forgery]:
    station = Station(folder=folder)
    station.genesis()
    station.dock("d", "r", {"a.mp4": FILM})
    segment = station.seal("d", "r", "a.mp4", FILM, sm3=sm3)
    return station, station.bundle(station.export([segment]), folder / "out")


def bytes_of(report: Report) -> str:
    (segment,) = report.segments
    return segment.checks["bytes"].verdict


def test_an_original_with_its_sealed_sm3_is_verified(tmp_path: Path) -> None:
    station, bundle = bundle_of(tmp_path, SM3)
    assert b'"sm3":"' + SM3.encode() in b"".join(bundle.files.values())
    assert judged_alike(bundle, station.trust, tmp_path / "b") == {"completeness": "not-established"}
    assert bytes_of(bundle.verify(station.trust)) == "verified"


def test_an_original_whose_sealed_sm3_is_of_another_file_fails(tmp_path: Path) -> None:
    station, bundle = bundle_of(tmp_path, hashlib.new("sm3", b"another").hexdigest())
    found = judged_alike(bundle, station.trust, tmp_path / "b")
    assert found == {"bytes": "failed", "completeness": "not-established"}
    report = bundle.verify(station.trust)
    assert "SM3" in report.segments[0].checks["bytes"].detail.en
    assert report.segments[0].damage == ()


def test_where_there_is_no_sm3_nothing_is_said_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    station, bundle = bundle_of(tmp_path, SM3)
    monkeypatch.setattr(reading, "has_sm3", lambda: False)
    report = bundle.verify(station.trust)
    assert failing(report) == set()
    assert "bytes" in open_questions(report)
    assert "SM3 was not checked" in report.segments[0].checks["bytes"].detail.en
    monkeypatch.setattr(verifier, "sm3", lambda: None)
    alone = verifier.verify(written(bundle, tmp_path / "b"), verifier.Trust([station.root], []))
    assert alone["segments"][0]["checks"]["bytes"]["verdict"] == "not-established"  # type: ignore[index]


@pytest.mark.parametrize(("sm3", "said"), [(SM3, "OK: "), ("0" * 64, "DIFFERENT: ")])
def test_the_commands_of_the_bundle_say_the_same(tmp_path: Path, sm3: str, said: str) -> None:
    bundle_of(tmp_path, sm3)
    block = Path(pages.__file__).with_name("originals.sh").read_text()
    done = subprocess.run(["bash", "-c", block], cwd=tmp_path / "out", check=False, capture_output=True, text=True)
    assert done.stdout.startswith(said), done.stderr
    assert (done.returncode == 0) == (sm3 == SM3)


def test_openssl_on_the_command_line_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(FILM)
    said = subprocess.run(["openssl", "dgst", "-sm3", "-r", tmp_path / "film"], check=True, capture_output=True)
    assert said.stdout.decode()[:64] == SM3


def test_an_openssl_without_sm3_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(tmp_path)
    made.close()
    file = made.config_folder / "station.toml"
    assert not read_station(made.config_folder).ledger.sm3
    file.write_text(file.read_text().replace("sm3 = false", "sm3 = true"))
    assert assembly.check_configuration(made.config_folder).ledger.sm3

    def new(name: str, *_: object) -> None:
        raise ValueError(f"unsupported hash type {name}")

    assert has_sm3()
    monkeypatch.setattr(digests.hashlib, "new", new)
    with pytest.raises(ConfigError, match="cannot compute SM3"):
        assembly.check_configuration(made.config_folder)
    with pytest.raises(ConfigError, match="cannot compute SM3"):
        assembly.build(made.config_folder, SystemClock())
