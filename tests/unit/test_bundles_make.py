"""Making a bundle: what goes in, that the same export gives the same bytes, and what stops it."""

import errno
import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bagit
import pytest

from edged.bundles.contents import concerning, plan_export
from edged.bundles.load import verify_target
from edged.bundles.make import make_bundle, zip_bundle
from edged.errors import (
    FullError,
    LedgerError,
    MalformedError,
    StorageError,
    UnavailableError,
    UnreadableError,
    UsageError,
)
from edged.evidence import bodies
from edged.evidence.digests import sha256_hex
from edged.evidence.entry import parse, reference
from edged.evidence.ids import DockingId, EntryRef, ExportId, SegmentId, StoreId
from edged.evidence.verification import Trust
from tests.unit.bundle_station import Case, Forgery, Station, failing, ordinary_case

VAULT = StoreId("vault")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return ordinary_case(tmp_path_factory.mktemp("station"))


@pytest.fixture(scope="module")
def folder(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "bundle"
    return make_bundle(case.station, case.export_seq, out, kinds=["poster", "proxy"]).path


def contents(folder: Path) -> Mapping[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def small(folder: Path) -> tuple[Station, SegmentId, int]:
    station = Station(folder=folder)
    station.genesis()
    station.dock("d", "r", {"a.mp4": b"film"})
    segment = station.seal("d", "r", "a.mp4", b"film")
    return station, segment, station.export([segment])


# -- what concerns a segment


def kinds_of(case: Case, seqs: list[int]) -> list[str]:
    return [parse(case.station.entry_bytes(seq)).type for seq in seqs]


def test_entries_of_segment_docking_case_and_epoch_are_chosen(case: Case) -> None:
    seqs = concerning(case.station, [case.video], case.export_seq)
    kinds = kinds_of(case, seqs)
    assert kinds.count("genesis") == 1
    assert kinds.count("docking") == 1
    assert kinds.count("undocking") == 1
    assert kinds.count("segment") == 4  # all of its docking
    assert kinds.count("wipe") == 3
    assert {"anomaly", "classification", "clearance", "derivative", "novelty"} <= set(kinds)
    assert "unrelated" not in kinds
    assert seqs == sorted(set(seqs))


def test_a_case_concerns_a_segment_only_while_it_belongs_to_it(case: Case) -> None:
    holds = [
        parse(case.station.entry_bytes(seq)).body
        for seq in concerning(case.station, [case.video], case.export_seq)
        if parse(case.station.entry_bytes(seq)).type == "hold"
    ]
    # The hold on case-9 was placed after the segment had been moved to case-1.
    assert [hold.subject.id for hold in holds if isinstance(hold, bodies.Hold)] == ["case-1"]


def test_a_case_concerns_no_segment_before_it_was_classified_so(tmp_path: Path) -> None:
    station, segment, _ = small(tmp_path)
    subject = bodies.Subject(kind="case", id="c")
    reason = station.reason("x", "y")
    early = station.append(bodies.Hold(hold="h1", subject=subject, action="placed", reason=reason, reference=None))
    station.classify(segment, "c")
    late = station.append(bodies.Hold(hold="h1", subject=subject, action="lifted", reason=reason, reference=None))
    seqs = concerning(station, [segment], len(station.entries))
    assert station.seq_of(early) not in seqs
    assert station.seq_of(late) in seqs


def test_what_entries_cite_is_followed_one_step_and_no_further(case: Case, tmp_path: Path) -> None:
    station, segment, _ = small(tmp_path)
    station.dock("e", "s", {"z": b"z"})
    stranger = station.seal("e", "s", "z", b"z")
    foreign = station.append(bodies.Retire(segment=stranger, store=VAULT, proofs=(station.replicas[stranger][1],)))
    mine = station.append(bodies.Retire(segment=segment, store=VAULT, proofs=(foreign,)))
    seqs = concerning(station, [segment], len(station.entries))
    assert station.seq_of(mine) in seqs
    assert station.seq_of(foreign) in seqs
    assert station.seq_of(station.replicas[stranger][1]) not in seqs
    # A wipe cites its clearance, and the clearance its replicas.
    chosen = concerning(case.station, [case.photo], case.export_seq)
    assert case.station.seq_of(case.station.replicas[case.empty][0]) in chosen


def test_entries_after_the_export_are_not_chosen(tmp_path: Path) -> None:
    station, segment, seq = small(tmp_path)
    before = concerning(station, [segment], seq)
    station.classify(segment, "c")
    assert concerning(station, [segment], seq) == before


def test_a_citation_of_an_entry_of_another_epoch_is_passed_over(tmp_path: Path) -> None:
    station, segment, _ = small(tmp_path)
    station.classify(segment, "c", supersedes=EntryRef("5" * 64))
    assert concerning(station, [segment], len(station.entries))


def test_an_unknown_segment_cannot_be_exported(case: Case) -> None:
    with pytest.raises(UsageError, match="sg-nobody"):
        plan_export(case.station, export=ExportId("x"), segments=[SegmentId("sg-nobody")], upto_seq=5)


def test_the_list_is_sorted_and_cites_all_but_the_export_itself(case: Case) -> None:
    ids = [case.video, case.photo, case.video]
    listed = json.loads(plan_export(case.station, export=ExportId("x"), segments=ids, upto_seq=case.export_seq))
    assert listed["segments"] == sorted({case.video, case.photo})
    assert listed["entries"] == sorted(set(listed["entries"]))
    assert reference(case.station.entry_bytes(case.export_seq)) not in listed["entries"]


# -- the bundle


def test_a_bundle_is_a_valid_bag(folder: Path) -> None:
    bagit.Bag(str(folder)).validate()
    info = (folder / "bag-info.txt").read_text()
    assert "Bagging-Date: 2026-11-21\nExternal-Identifier: ex-1\n" in info


def test_the_same_export_gives_the_same_bytes_again(case: Case, folder: Path, tmp_path: Path) -> None:
    case.station.sign()
    with ThreadPoolExecutor(2) as pool:
        again = make_bundle(case.station, case.export_seq, tmp_path / "again", kinds=["poster", "proxy"], pool=pool)
    assert contents(again.path) == contents(folder)
    assert {path.stat().st_mode & 0o777 for path in again.path.rglob("*")} == {0o755, 0o644}


def test_originals_lie_there_byte_for_byte_under_their_names(case: Case, folder: Path) -> None:
    for segment, name in ((case.video, "A.MP4"), (case.photo, "B.JPG"), (case.empty, "C.MP4")):
        assert (folder / "data/segments" / segment / name).read_bytes() == case.station.files[segment].read_bytes()


def test_texts_that_may_not_be_disclosed_stay_out(tmp_path: Path) -> None:
    station, _, seq = small(tmp_path)
    del station.texts[sha256_hex(b"0123456789abcdef0123456789abcdefAsked for by the court.")]
    bundle = station.bundle(seq, tmp_path / "b")
    assert b"court." not in bundle.files["data/texts.json"]
    assert b"A station begins." in bundle.files["data/texts.json"]
    assert failing(bundle.verify(station.trust)) == set()


def test_texts_that_a_further_key_or_a_later_type_cites_come_along(tmp_path: Path) -> None:
    station, segment, _ = small(tmp_path)
    further, later = station.reason("x", "By a further key."), station.reason("y", "By a later type.")
    station.append(bodies.Sighting(segment=segment, docking=DockingId("d"), path="a.mp4", because=further.model_dump()))
    station.append(("novelty", {"segment": segment, "steps": [{"why": later.model_dump()}]}))
    bundle = station.bundle(station.export([segment], "ex-2"), tmp_path / "b")
    assert b"By a further key." in bundle.files["data/texts.json"]
    assert b"By a later type." in bundle.files["data/texts.json"]
    assert failing(bundle.verify(station.trust)) == set()


def test_derivatives_and_inventories_can_be_left_out(case: Case, tmp_path: Path) -> None:
    bundle = case.station.bundle(case.export_seq, tmp_path / "b", inventories=False)
    assert not [path for path in bundle.files if "derivatives" in path or "dockings" in path]
    assert failing(bundle.verify(case.station.trust)) == set()


def test_a_hostile_name_becomes_a_harmless_one(tmp_path: Path) -> None:
    station = Station(folder=tmp_path)
    station.genesis()
    names = ["../../etc/passwd", "x/entry.json", "x/%0A-rf", "CON.mp4", "x/" + "n" * 240 + ".mp4", "视频.mp4"]
    station.dock("d", "r", {name: name.encode() for name in names})
    sealed = [station.seal("d", "r", name, name.encode()) for name in names]
    bundle = station.bundle(station.export(sealed), tmp_path / "b")
    report = bundle.verify(station.trust)
    assert failing(report) == set()
    assert {each.name for each in report.segments} == {
        "passwd", "_entry.json", "_0A-rf", "_CON.mp4", "n" * 96 + ".mp4", "__.mp4",
    }  # fmt: skip


# -- the report that comes with it


def test_the_report_says_the_verdict_under_the_stations_own_root(folder: Path) -> None:
    report = json.loads((folder / "data/report.json").read_text())
    assert report["verdict"] == "not-established"
    assert report["checks"]["bag"]["verdict"] == "verified"
    assert "proves nothing" in report["notice"]


# -- what stops it


def test_a_vault_file_that_changed_stops_the_making_and_names_the_segment(tmp_path: Path) -> None:
    station, segment, seq = small(tmp_path)
    station.files[segment].write_bytes(b"fiIm")
    with pytest.raises(MalformedError, match=f"{segment}.*no longer what was sealed"):
        make_bundle(station, seq, tmp_path / "b")
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_vault_file_that_is_gone_stops_the_making_and_names_the_segment(tmp_path: Path) -> None:
    station, segment, seq = small(tmp_path)
    station.files[segment].unlink()
    with pytest.raises(UnreadableError, match=segment):
        make_bundle(station, seq, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_link_in_the_vaults_place_is_not_followed(tmp_path: Path) -> None:
    station, segment, seq = small(tmp_path)
    place = station.files[segment]
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    with pytest.raises(UnreadableError, match=segment):
        make_bundle(station, seq, tmp_path / "b")


def test_a_derivative_that_is_not_the_ledgers_stops_the_making(tmp_path: Path) -> None:
    station, segment, _ = small(tmp_path)
    station.derive(segment, "poster", b"picture")
    seq = station.export([segment], "ex-2")
    station.files[f"{segment} poster"].write_bytes(b"another")
    with pytest.raises(MalformedError, match="poster"):
        make_bundle(station, seq, tmp_path / "b", kinds=["poster"])
    assert make_bundle(station, seq, tmp_path / "b").report.verdict == "not-established"


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_nothing_that_exists_is_written_over(tmp_path: Path, kind: str) -> None:
    station, _, seq = small(tmp_path)
    out = tmp_path / "b"
    match kind:
        case "file":
            out.write_text("mine")
        case "folder":
            out.mkdir()
        case _:
            out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="exists already"):
        make_bundle(station, seq, out)


def test_an_export_that_no_checkpoint_covers_waits(tmp_path: Path) -> None:
    station, _, seq = small(tmp_path)
    station.heads.clear()
    with pytest.raises(UnavailableError, match="checkpoint"):
        make_bundle(station, seq, tmp_path / "b")


def test_an_entry_that_is_no_export_makes_no_bundle(tmp_path: Path) -> None:
    station, _, _ = small(tmp_path)
    with pytest.raises(UsageError, match="no export"):
        make_bundle(station, 1, tmp_path / "b")


def test_a_list_that_its_entry_does_not_cite_makes_no_bundle(tmp_path: Path) -> None:
    station, _, seq = small(tmp_path)
    cited = json.loads(station.entry_bytes(seq))["body"]["list_sha256"]
    station.documents[cited] += b" "
    with pytest.raises(LedgerError, match="list"):
        make_bundle(station, seq, tmp_path / "b")


def test_a_listed_entry_that_the_ledger_lacks_makes_no_bundle(tmp_path: Path) -> None:
    station, segment, _ = small(tmp_path)
    listed = plan_export(station, export=ExportId("ex-2"), segments=[segment], upto_seq=5)
    ref = json.loads(listed)["entries"][-1]
    seq = station.export([segment], "ex-2", listed=listed.replace(ref.encode(), b"f" * 64))
    with pytest.raises(LedgerError, match="f" * 64):
        make_bundle(station, seq, tmp_path / "b")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    station, _, seq = small(tmp_path)
    with pytest.raises(StorageError, match="cannot be written"):
        make_bundle(station, seq, tmp_path / "missing" / "b")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    class Full(Station):
        def inclusion_proof(self, seq: int, size: int) -> list[bytes]:
            if seq == 3:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().inclusion_proof(seq, size)

    station, _, seq = small(tmp_path)
    station.__class__ = Full
    with pytest.raises(FullError, match="No space left"):
        make_bundle(station, seq, tmp_path / "b")
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


# -- as a zip


def test_the_same_bundle_gives_the_same_zip_and_it_verifies(case: Case, folder: Path, tmp_path: Path) -> None:
    zip_bundle(folder, tmp_path / "a.zip", top="ex-1")
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    zip_bundle(folder, tmp_path / "b.zip", top="ex-1")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert verify_target(tmp_path / "a.zip", case.station.trust) == verify_target(folder, case.station.trust)
    shutil.unpack_archive(tmp_path / "a.zip", tmp_path / "unpacked")
    assert contents(tmp_path / "unpacked/ex-1") == contents(folder)
    with pytest.raises(UsageError):
        zip_bundle(folder, tmp_path / "a.zip", top="ex-1")


def test_a_bundle_in_memory_is_judged_as_the_one_on_disk(case: Case, folder: Path) -> None:
    assert Forgery.of(folder).verify(case.station.trust).verdict == "not-established"
    assert Forgery.of(folder).verify(Trust()).verdict == "not-established"
