"""Attacks on a bundle that passed through somebody's hands: each names the very checks that must catch it.

Unless an attack is about the lists of files, the forger has put them right (`rebag`), as anybody can.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.bundles.contents import plan_export
from edged.clock import rfc3339
from edged.errors import MalformedError
from edged.evidence import bodies, canonical
from edged.evidence.certificates import certify_epoch, to_pem
from edged.evidence.digests import sha256_hex
from edged.evidence.entry import ZERO_REF, parse, reference
from edged.evidence.ids import ExportId
from edged.evidence.note import Checkpoint, sign_note, vkey
from edged.evidence.proofs import format_proof
from edged.evidence.verification import Report
from edged.evidence.verification.selection import parse_export_list
from tests.unit.bundle_station import (
    CHUNK,
    START,
    VIDEO,
    Case,
    Forgery,
    Station,
    failing,
    open_questions,
    ordinary_case,
)

LOG = "st-07/2026-11-ab12"


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
def judge(case: Case) -> Callable[[Forgery], Report]:
    return lambda forgery: forgery.verify(case.station.trust)


Judge = Callable[[Forgery], Report]


def video(case: Case, name: str = "A.MP4") -> str:
    return f"data/segments/{case.video}/{name}"


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# -- the lists of files


def test_one_flipped_byte_is_found_by_the_bag_too(case: Case, bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.edit(video(case), lambda data: flip(data, 5)))) == {"bag", "bytes"}


def test_a_stray_file_is_found(bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.add("data/note.txt", b"believe me"))) == {"bag"}


def test_a_stray_file_that_is_listed_is_found(bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.add("data/note.txt", b"believe me").rebag())) == {"bag"}


def test_a_stray_file_beside_the_data_is_found(bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.add("README.txt", b"believe me").rebag())) == {"bag"}


def test_a_listed_file_that_is_not_there_is_found(bundle: Forgery, judge: Judge) -> None:
    line = f"{'0' * 64}  data/texts2.json\n".encode()
    assert failing(judge(bundle.edit("manifest-sha256.txt", lambda data: data + line))) == {"bag"}


def test_a_file_listed_twice_is_found(bundle: Forgery, judge: Judge) -> None:
    twice = bundle.edit("manifest-sha256.txt", lambda data: data + data.splitlines(keepends=True)[0])
    assert failing(judge(twice)) == {"bag"}


def test_a_link_is_found_and_not_followed(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.drop(video(case)).rebag())
    assert failing(report) == set()
    assert "bytes" in open_questions(report)
    bundle.others[video(case)] = "other"
    assert failing(judge(bundle)) == {"bag"}


def test_an_empty_folder_is_found(bundle: Forgery, judge: Judge) -> None:
    bundle.others["data/segments/sg-gone"] = "folder"
    assert failing(judge(bundle)) == {"bag"}


def test_a_missing_list_of_files_is_found(bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.drop("manifest-sha256.txt"))) == {"bag"}


def test_a_list_that_sha256sum_reads_otherwise_is_refused(bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.edit("manifest-sha256.txt", lambda data: data.replace(b"  data/", b" *data/")))) == {
        "bag"
    }


def test_the_report_and_the_instructions_are_ignored_but_listed(bundle: Forgery, judge: Judge) -> None:
    lie = b"Everything is fine. Run curl | sh.\n"
    for name in ("VERIFY.md", "data/report.html", "data/trust/root.pem"):
        bundle.add(name, lie)
    assert failing(judge(bundle)) == {"bag"}
    assert failing(judge(bundle.rebag())) == set()


# -- the originals


def test_a_flipped_byte_is_placed_in_chunk_range_and_time(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.edit(video(case), lambda data: flip(data, CHUNK + 12_345)).rebag())
    assert failing(report) == {"bytes"}
    (damage,) = next(each.damage for each in report.segments if each.segment == case.video)
    assert (damage.chunk, damage.from_byte, damage.to_byte) == (1, CHUNK, 2 * CHUNK)
    assert damage.from_time == "2026-11-21T07:00:25.499+08:00"
    assert damage.to_time == "2026-11-21T07:00:50.999+08:00"
    detail = next(each for each in report.segments if each.segment == case.video).checks["bytes"].detail.en
    assert f"Chunk 1, bytes {CHUNK} to {2 * CHUNK - 1}" in detail
    assert "07:00:25" in detail


def test_a_truncated_original_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.edit(video(case), lambda data: data[:-1]).rebag())
    assert failing(report) == {"bytes"}
    damage = next(each.damage for each in report.segments if each.damage)
    assert [(each.chunk, each.from_byte, each.to_byte) for each in damage] == [(2, 2 * CHUNK, len(VIDEO))]


def test_an_extended_original_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.edit(video(case), lambda data: data + b"x" * CHUNK).rebag())
    assert failing(report) == {"bytes"}
    damage = next(each.damage for each in report.segments if each.damage)
    assert [each.chunk for each in damage] == [2, 3]
    assert damage[0].from_time is not None
    assert damage[0].to_time is None
    assert damage[1].from_time is None


def test_an_emptied_original_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.add(video(case), b"").rebag())
    assert failing(report) == {"bytes"}
    assert [each.chunk for each in next(each.damage for each in report.segments if each.damage)] == [0, 1, 2]


def test_an_empty_original_that_was_filled_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.add(f"data/segments/{case.empty}/C.MP4", b"x").rebag())) == {"bytes"}


def test_swapped_chunks_are_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(
        bundle.edit(video(case), lambda data: data[CHUNK : 2 * CHUNK] + data[:CHUNK] + data[2 * CHUNK :]).rebag()
    )
    assert failing(report) == {"bytes"}
    assert [each.chunk for each in next(each.damage for each in report.segments if each.damage)] == [0, 1]


def test_an_altered_chunk_list_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.edit(video(case, "chunks.sha256"), lambda data: data[65:] + data[:65]).rebag())
    assert failing(report) == {"bytes"}
    assert all(not each.damage for each in report.segments)


def test_an_original_altered_together_with_its_chunk_list_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    bundle.edit(video(case), lambda data: flip(data, 0)).add(video(case, "chunks.sha256"), b"nonsense\n")
    assert failing(judge(bundle.rebag())) == {"bytes"}


def test_a_renamed_original_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.move(video(case), video(case, "innocent.mp4")).rebag())) == {"bytes"}


@pytest.mark.parametrize("name", ["bad name.MP4", ".A.MP4", "视频.MP4", "n" * 101, "A\n.MP4"])
def test_an_original_renamed_to_what_no_original_is_named_is_found(
    case: Case, bundle: Forgery, judge: Judge, name: str
) -> None:
    bundle.move(video(case), video(case, name))
    if "\n" in name:  # which no list of files can name
        assert failing(judge(bundle)) == {"bag", "bytes"}
    else:
        assert failing(judge(bundle.rebag())) == {"bag", "bytes"}


def test_a_second_original_beside_the_first_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.add(video(case, "A2.MP4"), b"another").rebag())) == {"bag"}


def test_originals_of_two_segments_swapped_are_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    photo = f"data/segments/{case.photo}/B.JPG"
    bundle.files[video(case)], bundle.files[photo] = bundle.files[photo], bundle.files[video(case)]
    assert failing(judge(bundle.rebag())) == {"bytes"}


# -- what is left out, or added


def test_a_removed_original_is_not_established(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.drop(video(case)).rebag())
    assert failing(report) == set()
    assert open_questions(report) == {"bytes", "time"}


def test_a_removed_segment_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    bundle.drop(*[path for path in bundle.files if path.startswith(f"data/segments/{case.photo}/")])
    assert "selection" in failing(judge(bundle.rebag()))


def test_a_dropped_custody_entry_is_found(bundle: Forgery, judge: Judge) -> None:
    path = bundle.find('"type":"hold"')
    bundle.drop(path, path.replace(".json", ".tlog-proof"))
    assert failing(judge(bundle.rebag())) == {"selection"}


def test_a_dropped_proof_leaves_custody_open(bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.drop(bundle.find('"type":"hold"').replace(".json", ".tlog-proof")).rebag())
    assert failing(report) == set()
    assert open_questions(report) == {"custody", "time"}


def test_a_dropped_proof_of_a_segment_leaves_its_inclusion_open(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.drop(video(case, "entry.tlog-proof")).rebag())
    assert failing(report) == set()
    assert open_questions(report) == {"inclusion", "signature", "identity", "time"}


def test_a_dropped_segment_entry_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.drop(video(case, "entry.json")).rebag())
    assert "selection" in failing(report)
    assert "bytes" in open_questions(report)


def test_a_note_is_judged_without_its_entry_too(case: Case, bundle: Forgery, judge: Judge) -> None:
    def signature(report: Report) -> str:
        return next(each for each in report.segments if each.segment == case.video).checks["signature"].verdict

    bundle.add(video(case, "entry.json"), b"{}")
    assert signature(judge(bundle.rebag())) == "verified"
    bundle.drop(video(case, "entry.json"))
    assert signature(judge(bundle.rebag())) == "verified"
    forged = case.station.note(37, key=Ed25519PrivateKey.generate())
    proof = bundle.files[video(case, "entry.tlog-proof")]
    bundle.add(video(case, "entry.tlog-proof"), proof.replace(case.station.heads[37], forged))
    assert signature(judge(bundle.rebag())) == "failed"
    bundle.drop(f"data/logs/{LOG}/station.pem")
    assert signature(judge(bundle.rebag())) == "not-established"


def test_a_dropped_export_entry_leaves_the_selection_open(bundle: Forgery, judge: Judge) -> None:
    path = bundle.find('"type":"export"')
    bundle.drop(path, path.replace(".json", ".tlog-proof"))
    assert failing(judge(bundle.rebag())) == {"selection"}  # the text of its purpose is now nobody's
    report = judge(bundle.drop("data/texts.json").rebag())
    assert failing(report) == set()
    assert open_questions(report) == {"selection", "time"}


def test_a_dropped_list_leaves_the_selection_open(bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.drop("data/export.json").rebag())
    assert failing(report) == set()
    assert open_questions(report) == {"selection", "time"}


def test_an_entry_dropped_from_the_list_as_well_is_found(bundle: Forgery, judge: Judge) -> None:
    path = bundle.find('"type":"hold"')
    ref = sha256_hex(bundle.files[path])
    bundle.replace("data/export.json", f'"{ref}"', '""').replace("data/export.json", '"",', "")
    bundle.drop(path, path.replace(".json", ".tlog-proof"))
    assert failing(judge(bundle.rebag())) == {"selection"}


def test_an_entry_of_the_same_log_that_was_not_exported_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    seq = case.station.naming("segment", case.other)[0]
    proof = format_proof(seq, case.station.inclusion_proof(seq, 37), case.station.heads[37])
    bundle.add(f"data/custody/{LOG}/{seq}.json", case.station.entry_bytes(seq))
    bundle.add(f"data/custody/{LOG}/{seq}.tlog-proof", proof)
    assert failing(judge(bundle.rebag())) == {"selection"}


# -- entries and proofs


def test_a_reserialised_entry_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    pretty = bundle.edit(video(case, "entry.json"), lambda data: json.dumps(json.loads(data)).encode())
    assert failing(judge(pretty.rebag())) == {"entry", "inclusion", "selection"}


def test_an_altered_custody_entry_is_found(bundle: Forgery, judge: Judge) -> None:
    bundle.replace(bundle.find('"type":"anomaly"'), "1500", "1501")
    assert failing(judge(bundle.rebag())) == {"custody", "selection"}


def test_duplicate_keys_are_refused(case: Case, bundle: Forgery, judge: Judge) -> None:
    bundle.edit(video(case, "entry.json"), lambda data: data.replace(b'{"actor":', b'{"actor":"edged","actor":', 1))
    report = judge(bundle.rebag())
    assert "entry" in failing(report)
    detail = next(each for each in report.segments if each.segment == case.video).checks["entry"].detail.en
    assert "twice" in detail


def test_a_further_key_of_the_envelope_is_refused(case: Case, bundle: Forgery, judge: Judge) -> None:
    bundle.edit(video(case, "entry.json"), lambda data: data.replace(b',"v":1}', b',"v":1,"x":1}'))
    assert "entry" in failing(judge(bundle.rebag()))


def test_a_further_key_of_a_body_is_not_refused(tmp_path: Path) -> None:
    station = Station(folder=tmp_path)
    station.genesis()
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a", weather="rain")
    report = station.bundle(station.export([segment]), tmp_path / "b").verify(station.trust)
    assert failing(report) == set()


def test_an_entry_of_an_unknown_type_is_no_problem(bundle: Forgery, judge: Judge) -> None:
    assert bundle.find('"type":"novelty"')
    assert failing(judge(bundle)) == set()


def test_a_reason_in_a_further_key_or_a_later_type_is_cited(tmp_path: Path) -> None:
    station = Station(folder=tmp_path)
    station.genesis(second=station.reason("a", "By a further key.").model_dump())
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a")
    station.append(("novelty", {"segment": segment, "why": [station.reason("b", "By a later type.").model_dump()]}))
    bundle = station.bundle(station.export([segment]), tmp_path / "b")
    texts = {digest: {"salt": salt, "text": text} for digest, (salt, text) in station.texts.items()}
    assert len(texts) == 4
    bundle.add("data/texts.json", canonical.encode(texts))
    assert failing(bundle.rebag().verify(station.trust)) == set()


@pytest.mark.parametrize("name", ["sg-1", "segment", "sg-" + "A" * 32, "sg-" + "0" * 33, "sg-" + "0" * 31])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("sighting", {"segment": "NAME", "docking": "d", "path": "a"}),
        ("retire", {"segment": "NAME", "store": "vault", "proofs": []}),
        ("clearance", {"docking": "d", "items": [{"segment": "NAME", "path": "a"}], "proofs": []}),
        ("anomaly", {"kind": "x", "docking": None, "subject": {"kind": "segment", "id": "NAME"}, "detail": {}}),
    ],
)
def test_a_segment_id_in_an_entry_that_is_none_is_found(
    tmp_path: Path, kind: str, body: dict[str, object], name: str
) -> None:
    with pytest.raises(MalformedError, match=f"{kind} entry"):
        parse(_signed_raw(Station(folder=tmp_path), kind, json.loads(json.dumps(body).replace("NAME", name))))
    parse(_signed_raw(Station(folder=tmp_path), kind, json.loads(json.dumps(body).replace("NAME", "sg-" + "0a" * 16))))


def test_a_recorder_may_be_named_like_no_segment() -> None:
    assert bodies.Subject(kind="recorder", id="sg-1").id == "sg-1"


@pytest.mark.parametrize("epoch", ["2026-13-ab12", "2026-00-ab12", "2026-11-AB12", "2026-11-ab1", "e", "2026-11-ab123"])
def test_an_epoch_that_is_none_is_found(case: Case, bundle: Forgery, judge: Judge, epoch: str) -> None:
    bundle.drop(video(case, "entry.tlog-proof"))
    bundle.replace(video(case, "entry.json"), '"epoch":"2026-11-ab12"', f'"epoch":"{epoch}"')
    assert "entry" in failing(judge(bundle.rebag()))


@pytest.mark.parametrize("epoch", ["2026-13-ab12", "2026-11-AB12", "e"])
@pytest.mark.parametrize("file", ["logs/st-07/{}/station.pem", "logs/st-07/{}/9/checkpoint", "custody/st-07/{}/0.json"])
def test_a_folder_of_an_epoch_that_is_none_has_no_place(bundle: Forgery, judge: Judge, file: str, epoch: str) -> None:
    assert failing(judge(bundle.add("data/" + file.format(epoch), b"x").rebag())) == {"bag"}


@pytest.mark.parametrize("name", ["sg-1", "SG-" + "0" * 32, "sg-" + "0" * 33])
def test_a_folder_of_a_segment_id_that_is_none_has_no_place(bundle: Forgery, judge: Judge, name: str) -> None:
    for file in ("segments/{}/entry.json", "segments/{}/A.MP4", "derivatives/{}/poster.jpg"):
        assert failing(judge(bundle.copy().add("data/" + file.format(name), b"x").rebag())) == {"bag"}


def _signed_raw(station: Station, kind: str, body: dict[str, object]) -> bytes:
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


@pytest.mark.parametrize("padding", [65_535, 2_000_000])
def test_an_overlong_entry_is_no_entry_but_is_here(tmp_path: Path, padding: int) -> None:
    station = Station(folder=tmp_path)
    station.genesis()
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a")
    overlong = _signed_raw(station, "novelty", {"long": "x" * padding})
    honest = plan_export(station, export=ExportId("ex-1"), segments=[segment], upto_seq=len(station.entries))
    listed = parse_export_list(honest)
    wide = replace(listed, entries=(*listed.entries, reference(overlong))).encode()
    seq = station.export([segment], listed=wide)
    bundle = _bundle_as_if(station, seq, tmp_path / "b", wide, honest)
    number, size = len(station.entries) - 3, len(station.entries)
    bundle.add(f"data/custody/{LOG}/{number}.json", overlong)
    proof = format_proof(number, station.inclusion_proof(number, size), station.heads[size])
    report = bundle.add(f"data/custody/{LOG}/{number}.tlog-proof", proof).rebag().verify(station.trust)
    assert failing(report) == {"custody"}
    assert "longer than 65535" in report.checks["custody"].detail.en


def test_entries_of_two_segments_swapped_are_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    for name in ("entry.json", "entry.tlog-proof"):
        one, two = video(case, name), f"data/segments/{case.photo}/{name}"
        bundle.files[one], bundle.files[two] = bundle.files[two], bundle.files[one]
    assert failing(judge(bundle.rebag())) == {"entry", "bytes"}


def test_a_custody_entry_under_another_number_is_found(bundle: Forgery, judge: Judge) -> None:
    wipe = min(path for path in bundle.files if b'"type":"wipe"' in bundle.files[path])
    for end in (".json", ".tlog-proof"):
        bundle.move(wipe.replace(".json", end), f"data/custody/{LOG}/30{end}")
    assert failing(judge(bundle.rebag())) == {"custody"}


def test_a_custody_entry_under_another_log_is_found(bundle: Forgery, judge: Judge) -> None:
    path = bundle.find('"type":"hold"')
    for end in (".json", ".tlog-proof"):
        bundle.move(path.replace(".json", end), path.replace(".json", end).replace("ab12", "ffff"))
    assert failing(judge(bundle.rebag())) == {"custody"}


def test_the_proof_of_another_entry_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    bundle.add(video(case, "entry.tlog-proof"), bundle.files[f"data/segments/{case.photo}/entry.tlog-proof"])
    assert failing(judge(bundle.rebag())) == {"entry", "inclusion"}


def test_an_altered_hash_in_a_proof_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    def change(data: bytes) -> bytes:
        lines = data.split(b"\n")
        lines[2], lines[3] = lines[3], lines[2]
        return b"\n".join(lines)

    assert failing(judge(bundle.edit(video(case, "entry.tlog-proof"), change).rebag())) == {"inclusion"}


def test_a_malformed_proof_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    bundle.edit(video(case, "entry.tlog-proof"), lambda data: data.replace(b"index ", b"index 0"))
    report = judge(bundle.rebag())
    assert failing(report) == {"inclusion"}
    assert open_questions(report) == {"signature", "identity", "time"}


# -- signatures and certificates


def test_a_checkpoint_signed_again_by_another_key_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    old = case.station.heads[37]
    new = case.station.note(37, key=Ed25519PrivateKey.generate())
    for path, data in list(bundle.files.items()):
        if path.startswith("data/") and old in data:
            bundle.add(path, data.replace(old, new))
    assert failing(judge(bundle.rebag())) == {"signature", "consistency", "custody", "selection"}


def test_a_bundle_signed_again_with_its_own_key_in_station_pem_has_no_identity(
    case: Case, bundle: Forgery, judge: Judge
) -> None:
    thief = Station(folder=case.station.folder)
    old, new = case.station.heads[37], case.station.note(37, key=thief.key)
    for path, data in list(bundle.files.items()):
        if path.startswith("data/") and old in data:
            bundle.add(path, data.replace(old, new))
    report = judge(bundle.add(f"data/logs/{LOG}/station.pem", thief.certificates_pem()).rebag())
    assert failing(report) == {"consistency"}  # the genesis entry names the true key
    assert open_questions(report) == {"identity", "custody", "selection", "time"}


def test_another_root_of_the_log_in_a_proof_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    proof = bundle.files[video(case, "entry.tlog-proof")]
    fork = case.station.note(37, root=b"\x00" * 32)
    bundle.add(video(case, "entry.tlog-proof"), proof.replace(case.station.heads[37], fork))
    assert failing(judge(bundle.rebag())) == {"inclusion", "consistency"}


def test_a_certificate_for_another_log_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    station = case.station
    wrong = certify_epoch(
        station.root_key,
        station.root,
        station=station.name,
        origin="evidence.example/st-07/2026-11-0000",
        public_key=station.key.public_key(),
        not_before=START - timedelta(days=1),
        not_after=START + timedelta(days=1),
    )
    bundle.add(f"data/logs/{LOG}/station.pem", to_pem([wrong]))
    assert failing(judge(bundle.rebag())) == {"identity", "consistency", "custody", "selection"}


def test_a_certificate_that_had_expired_is_found(tmp_path: Path) -> None:
    station = Station(folder=tmp_path)
    station.certify(station.origin, not_after=START - timedelta(hours=1))
    station.genesis()
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a")
    report = station.bundle(station.export([segment]), tmp_path / "b").verify(station.trust)
    assert failing(report) == {"identity", "custody", "selection"}


def test_a_missing_certificate_leaves_signature_and_identity_open(bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.drop(f"data/logs/{LOG}/station.pem").rebag())
    assert failing(report) == set()
    assert open_questions(report) == {"signature", "identity", "consistency", "custody", "selection", "time"}


def test_garbage_for_a_certificate_is_found(bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.add(f"data/logs/{LOG}/station.pem", b"-----BEGIN CERTIFICATE-----\n!!\n").rebag())
    assert failing(report) == {"consistency"}
    assert "identity" in open_questions(report)


def test_an_origin_that_is_no_key_name_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    checkpoint = Checkpoint(origin="a b+c", size=37, root=b"\x00" * 32)
    note = sign_note(checkpoint.text(), "a", case.station.key)
    for path, data in list(bundle.files.items()):
        if path.startswith("data/") and case.station.heads[37] in data:
            bundle.add(path, data.replace(case.station.heads[37], note))
    assert {"entry", "inclusion", "signature", "identity", "consistency"} <= failing(judge(bundle.rebag()))


# -- what stands beside the entries


def test_an_altered_inventory_is_found(bundle: Forgery, judge: Judge) -> None:
    bundle.replace("data/dockings/dock-1/inventory.json", "DCIM/C.MP4", "DCIM/Z.MP4")
    assert failing(judge(bundle.rebag())) == {"completeness"}


def test_a_removed_inventory_leaves_completeness_open(bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.drop("data/dockings/dock-1/inventory.json").rebag())
    assert failing(report) == set()
    assert open_questions(report) == {"completeness", "time"}


def test_an_altered_text_of_a_reason_is_found(bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.replace("data/texts.json", "court", "press").rebag())) == {"selection"}


def test_a_text_that_no_entry_cites_is_found(bundle: Forgery, judge: Judge) -> None:
    texts = json.loads(bundle.files["data/texts.json"])
    texts[sha256_hex(b"0" * 32 + b"he did it")] = {"salt": "0" * 32, "text": "he did it"}
    assert failing(judge(bundle.add("data/texts.json", canonical.encode(texts)).rebag())) == {"selection"}


def test_a_text_left_out_is_no_problem(bundle: Forgery, judge: Judge) -> None:
    assert failing(judge(bundle.add("data/texts.json", b"{}").rebag())) == set()


def test_an_altered_derivative_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    poster = f"data/derivatives/{case.video}/poster.jpg"
    assert failing(judge(bundle.edit(poster, lambda data: data + b"!").rebag())) == {"derivatives"}


def test_a_derivative_shown_for_another_segment_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    name = "data/derivatives/{}/poster.jpg"
    assert failing(judge(bundle.move(name.format(case.video), name.format(case.photo)).rebag())) == {"derivatives"}


def test_a_derivative_of_no_kind_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    name = f"data/derivatives/{case.video}/"
    assert failing(judge(bundle.move(name + "poster.jpg", name + "thumbnail.jpg").rebag())) == {"bag", "derivatives"}


def test_a_derivative_shown_as_another_kind_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    name = f"data/derivatives/{case.video}/"
    assert failing(judge(bundle.move(name + "poster.jpg", name + "redacted.jpg").rebag())) == {"derivatives"}


# -- the two lists of export.json


@pytest.mark.parametrize(
    "change",
    [
        lambda listed: listed | {"segments": []},
        lambda listed: listed | {"entries": listed["entries"][1:]},
        lambda listed: listed | {"export": "ex-2"},
        lambda listed: listed | {"more": 1},
    ],
)
def test_a_list_that_differs_from_the_bundle_fails_even_when_signed(
    tmp_path: Path, change: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    station = Station(folder=tmp_path)
    station.genesis()
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a")
    honest = plan_export(station, export=ExportId("ex-1"), segments=[segment], upto_seq=5)
    wrong = canonical.encode(change(json.loads(honest)))
    seq = station.export([segment], listed=wrong)
    station.documents[sha256_hex(wrong)] = honest  # what the bundle is made from
    forged = _bundle_as_if(station, seq, tmp_path / "b", wrong, honest)
    assert failing(forged.verify(station.trust)) == {"selection"}


def _bundle_as_if(station: Station, seq: int, out: Path, wrong: bytes, honest: bytes) -> Forgery:
    """Make the honest bundle of a second export, and give it the signed wrong list and its entry."""
    second = station.export([], listed=honest)
    bundle = station.bundle(second, out)
    size = second + 1
    bundle.drop(f"data/custody/{LOG}/{second}.json", f"data/custody/{LOG}/{second}.tlog-proof")
    bundle.add(f"data/custody/{LOG}/{seq}.json", station.entry_bytes(seq))
    proof = format_proof(seq, station.inclusion_proof(seq, size), station.heads[size])
    return bundle.add(f"data/custody/{LOG}/{seq}.tlog-proof", proof).add("data/export.json", wrong).rebag()


def test_two_exports_that_cite_one_list_are_refused(tmp_path: Path) -> None:
    station = Station(folder=tmp_path)
    station.genesis()
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a")
    first = station.export([segment])
    listed = station.documents[json.loads(station.entry_bytes(first))["body"]["list_sha256"]]
    second = station.export([segment], listed=listed)
    bundle = station.bundle(second, tmp_path / "b")
    bundle.add(f"data/custody/{LOG}/{first}.json", station.entry_bytes(first))
    proof = format_proof(first, station.inclusion_proof(first, second + 1), station.heads[second + 1])
    bundle.add(f"data/custody/{LOG}/{first}.tlog-proof", proof)
    assert failing(bundle.rebag().verify(station.trust)) == {"selection"}


def test_a_key_in_the_genesis_entry_that_is_not_the_log_s_is_found(tmp_path: Path) -> None:
    station = Station(folder=tmp_path)
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    station.genesis(public_key=vkey(station.origin, other))
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a")
    report = station.bundle(station.export([segment]), tmp_path / "b").verify(station.trust)
    assert failing(report) == {"consistency"}
