"""What the commands do: make a station, run it, ask it, and hand its ledger and footage to others."""

import hashlib
import json
import signal
import stat
import subprocess
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from edged.config import SOCKET
from edged.evidence import merkle
from edged.evidence.note import parse_checkpoint, parse_note
from edged.evidence.proofs import parse_proof
from tests.unit.calling import Caller, start
from tests.unit.made_station import FILES, Made, make_used


@pytest.fixture
def edged(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A station with footage and an export of it, all of it signed."""
    made = make_used(tmp_path_factory.mktemp("used"))
    made.export()
    made.publish()
    yield made
    made.close()


# --------------------------------------------------------------------------------------------------------- init


def new(folder: Path, *arguments: object) -> list[object]:
    places = ("--config", folder / "etc", "--state", folder / "state", "--root-key", folder / "root.key")
    return ["init", "--station", "st-07", "--domain", "evidence.example", *places, *arguments]


def test_init_makes_a_station_and_says_what_to_do(edged: Caller, tmp_path: Path) -> None:
    said = edged(*new(tmp_path))
    assert (said.code, said.err) == (0, "")
    assert "evidence.example/st-07/20" in said.out
    assert str(tmp_path / "root.key") in said.out
    assert edged("check", config=tmp_path / "etc").code == 0
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) & 0o007 == 0


def test_init_tells_a_program_where_everything_lies(edged: Caller, tmp_path: Path) -> None:
    plain = json.loads(edged(*new(tmp_path), "--json").out)
    assert set(plain) == {"origin", "root", "root_sha256", "root_key", "config"}
    der = subprocess.run(
        ["openssl", "x509", "-in", plain["root"], "-outform", "DER"], capture_output=True, check=True
    ).stdout
    assert hashlib.sha256(der).hexdigest() == plain["root_sha256"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--station", "st 07"],
        ["--domain", "Evidence.Example"],
        ["--domain", "a/b"],
        ["--zone", "Asia/Nowhere"],
        ["--root-key", "/nowhere/root.key"],
    ],
)
def test_init_that_cannot_be_done_makes_nothing(edged: Caller, tmp_path: Path, wrong: list[str]) -> None:
    said = edged(*new(tmp_path, *wrong))
    assert said.code in {64, 78}
    assert list(tmp_path.iterdir()) == []
    assert edged(*new(tmp_path)).code == 0


@pytest.mark.parametrize("taken", ["etc", "state", "root.key"])
def test_init_overwrites_nothing(edged: Caller, tmp_path: Path, taken: str) -> None:
    path = tmp_path / taken if taken == "root.key" else tmp_path / taken / "precious"
    path.parent.mkdir(exist_ok=True)
    path.write_text("precious")
    said = edged(*new(tmp_path))
    assert said.code == 64
    assert path.read_text() == "precious"
    assert len([each for each in tmp_path.rglob("*") if each.is_file()]) == 1


def test_init_takes_folders_of_any_name(edged: Caller, tmp_path: Path) -> None:
    folder = tmp_path / 'a "quoted" \\ 执法 $station'
    folder.mkdir()
    assert edged(*new(folder)).code == 0
    assert edged("check", config=folder / "etc").code == 0


# ----------------------------------------------------------------------------------------------- run and status


def test_daemon_runs_answers_and_stops_when_told(edged: Caller, tmp_path: Path) -> None:
    assert edged(*new(tmp_path)).code == 0
    with start("run", "--config", tmp_path / "etc", stderr=subprocess.PIPE) as daemon:
        try:
            assert daemon.stderr is not None
            for line in daemon.stderr:
                if "is running" in line:
                    break
            assert edged("status", config=tmp_path / "etc").code == 0
            said = edged("status", "--json", config=tmp_path / "etc")
            plain = json.loads(said.out)
            assert (plain["station"], plain["bays"], plain["ledger"]["size"]) == ("st-07", [], 1)
            assert "No central storage" in plain["alarms"][0]["text"]
            people = edged("status", config=tmp_path / "etc").out
            assert "Station st-07" in people
            assert "No recorder is docked." in people
            refused = edged("bundle", tmp_path / "out", "--case", "c-1", config=tmp_path / "etc")
            assert (refused.code, "No segment is classified to case c-1" in refused.err) == (64, True)
            assert edged("check", config=tmp_path / "etc").code == 0
        finally:
            daemon.send_signal(signal.SIGTERM)
        daemon.communicate(timeout=60)
    assert daemon.returncode == 0
    assert not (tmp_path / "state" / SOCKET).exists()
    assert edged("status", config=tmp_path / "etc").code == 69


# ------------------------------------------------------------------------------------------------------- ledger


def test_ledger_is_shown_to_people_and_programs(edged: Caller, used: Made) -> None:
    size = used.book.ledger.size()
    people = edged("ledger", "show", config=used.config_folder).out.splitlines()
    assert len(people) == size
    assert people[0].split()[3] == "genesis"
    lines = edged("ledger", "show", "--json", config=used.config_folder).out.splitlines()
    assert [line.encode() for line in lines] == used.book.ledger.entries_between(0, size)
    # The chain that a shell loop can walk: `prev` is the SHA-256 of the line before.
    for before, line in pairwise(lines):
        assert json.loads(line)["prev"] == hashlib.sha256(before.encode()).hexdigest()


def test_ledger_is_shown_by_type_and_newest(edged: Caller, used: Made) -> None:
    wipes = edged("ledger", "show", "--type", "wipe", "--json", config=used.config_folder).out.splitlines()
    assert {json.loads(line)["type"] for line in wipes} == {"wipe"}
    assert len(wipes) == 4
    last = edged("ledger", "show", "--type", "wipe", "--last", 1, "--json", config=used.config_folder).out.splitlines()
    assert last == wipes[-1:]
    assert edged("ledger", "show", "--type", "nothing", config=used.config_folder).out == ""


@pytest.mark.parametrize("by", ["seq", "reference"])
def test_entry_is_proven_to_somebody_else(edged: Caller, used: Made, tmp_path: Path, by: str) -> None:
    seq = used.book.ledger.of_type("segment")[0]
    data = used.book.ledger.entry_bytes(seq)
    name = seq if by == "seq" else hashlib.sha256(data).hexdigest()
    said = edged("ledger", "prove", name, tmp_path / "proof", "--json", config=used.config_folder)
    assert json.loads(said.out)["seq"] == seq
    assert (tmp_path / "proof" / "entry.json").read_bytes() == data
    index, hashes, checkpoint = parse_proof((tmp_path / "proof" / "entry.tlog-proof").read_bytes())
    head = parse_checkpoint(parse_note(checkpoint).text)
    assert merkle.verify_inclusion(index, head.size, merkle.leaf_hash(data), hashes, head.root)


@pytest.mark.parametrize("entry", ["10000", "-1", "0x1", "0" * 64, "٣", "9" * 30])
def test_entry_that_is_not_there_cannot_be_proven(edged: Caller, used: Made, tmp_path: Path, entry: str) -> None:
    said = edged("ledger", "prove", "--config", used.config_folder, "--", entry, tmp_path / "proof")
    assert (said.code, f"no entry {entry}" in said.err) == (64, True)
    assert not (tmp_path / "proof").exists()


def test_proof_that_cannot_be_written_says_so(edged: Caller, used: Made, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = edged("ledger", "prove", 0, tmp_path / "file" / "proof", config=used.config_folder)
    assert (said.code, "cannot be written" in said.err) == (64, True)


# ------------------------------------------------------------------------------------------------------- bundle


EXPORT = "ex-20261121-00000001"


def test_bundle_of_an_export_is_made_again_and_is_the_same(edged: Caller, used: Made, tmp_path: Path) -> None:
    for name in ("one", "two"):
        said = edged("bundle", "--export", EXPORT, tmp_path / name, config=used.config_folder)
        assert (said.code, "holds 3 segments" in said.out) == (0, True)
    one, two = (
        {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in (tmp_path / name).rglob("*.*")
         if path.is_file()}
        for name in ("one", "two")
    )  # fmt: skip
    assert one == two
    assert FILES["20261121/a.mp4"] in one.values()
    assert edged("verify", tmp_path / "one").code == 2


def test_bundle_in_a_zip_leaves_nothing_but_the_zip(edged: Caller, used: Made, tmp_path: Path) -> None:
    said = edged("bundle", "--export", EXPORT, tmp_path / "out.zip", "--json", config=used.config_folder)
    assert json.loads(said.out) == {"export": EXPORT, "bundle": str(tmp_path / "out.zip"), "segments": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {"out"}
    assert edged("verify", tmp_path / "out.zip").code == 2


@pytest.mark.parametrize(
    "asked",
    [[], ["--case", "c", "--export", "e"], ["--segment", "s", "--case", "c"], ["--export", "nothing"]],
)
def test_bundle_of_nothing_or_of_two_things_is_wrong_usage(
    edged: Caller, used: Made, tmp_path: Path, asked: list[str]
) -> None:
    assert edged("bundle", tmp_path / "out", *asked, config=used.config_folder).code == 64
    assert list(tmp_path.iterdir()) == []


def test_wrong_segment_is_named_with_its_option(edged: Caller, used: Made, tmp_path: Path) -> None:
    said = edged("bundle", tmp_path / "out", "--segment", "sg-XYZ", config=used.config_folder)
    assert said.code == 64
    assert "--segment 'sg-XYZ' is no segment: it is written as sg- and 32 digits or letters from a to f." in said.err
    assert "Asking the station" not in said.err


def test_bays_that_are_folders_are_told_as_such(edged: Caller, used: Made) -> None:
    said = edged("bays", config=used.config_folder)
    assert said.code == 0
    assert "Bays are the sub-folders of" in said.out
    assert "No USB storage" not in said.out


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_bundle_is_never_written_over_anything(edged: Caller, used: Made, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    said = edged("bundle", "--export", EXPORT, tmp_path / name, config=used.config_folder)
    assert (said.code, "exists already" in said.err) == (64, True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_bundle_asks_for_a_folder_that_is_there(edged: Caller, used: Made, tmp_path: Path) -> None:
    said = edged("bundle", "--export", EXPORT, tmp_path / "gone" / "out", config=used.config_folder)
    assert (said.code, "is no folder" in said.err) == (64, True)


def test_commands_that_read_leave_the_station_as_it_was(edged: Caller, used: Made, tmp_path: Path) -> None:
    watched = [*used.config.paths.vault.rglob("*"), *(used.config.paths.state / "keys").iterdir()]
    before = [(path, path.stat().st_mtime_ns, path.stat().st_mode) for path in watched]
    size = used.book.ledger.size()
    edged("check", "--deep", config=used.config_folder)
    edged("bundle", "--export", EXPORT, tmp_path / "out", config=used.config_folder)
    edged("ledger", "show", config=used.config_folder)
    assert [(path, path.stat().st_mtime_ns, path.stat().st_mode) for path in watched] == before
    assert used.book.ledger.size() == size
    assert list((used.config.paths.state / "bays").iterdir()) == []
