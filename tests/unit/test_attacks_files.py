"""Attacks on the files of a bundle: what is listed, the originals, what is left out or added."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.evidence.digests import sha256_hex
from edged.evidence.proofs import format_proof
from edged.evidence.verification import Report
from tests.unit import attacked
from tests.unit.attacked import LOG, Judge, flip, photo, video, with_entry
from tests.unit.bundle_station import (
    CHUNK,
    VIDEO,
    Case,
    Forgery,
    Station,
    digest,
    failing,
    open_questions,
)

case, honest, bundle, judge = attacked.case, attacked.honest, attacked.bundle, attacked.judge


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


# -- one bit, anywhere


PLACES = {
    "the original": ("data/segments/{video}/A.MP4", {"bytes"}),
    "the chunk list": ("data/segments/{video}/chunks.sha256", {"bytes"}),
    "the segment's entry": ("data/segments/{video}/entry.json", {"entry", "inclusion", "selection"}),
    "the segment's proof": ("data/segments/{video}/entry.tlog-proof", {"inclusion"}),
    "a custody entry": (f"data/custody/{LOG}/1.json", {"custody", "selection"}),
    "a custody proof": (f"data/custody/{LOG}/1.tlog-proof", {"custody"}),
    "the checkpoint": (f"data/logs/{LOG}/37/checkpoint", {"consistency"}),
    "the list of what was exported": ("data/export.json", {"selection"}),
    "the texts of reasons": ("data/texts.json", {"selection"}),
    "an inventory": ("data/dockings/dock-1/inventory.json", {"completeness"}),
    "a derivative": ("data/derivatives/{video}/poster.jpg", {"derivatives"}),
    "the kind of bag": ("bagit.txt", {"bag"}),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("bit", [0, 5, 7])
def test_one_flipped_bit_is_found_wherever_it_is(
    case: Case, bundle: Forgery, judge: Judge, place: str, bit: int
) -> None:
    path, checks = PLACES[place]
    path = path.format(video=case.video)

    def change(data: bytes) -> bytes:
        at = len(data) // 2
        return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]

    assert checks <= failing(judge(bundle.edit(path, change).rebag()))


@pytest.mark.parametrize(
    "path", ["VERIFY.md", "verify.html", "data/report.json", "data/trust/root.pem", "bag-info.txt"]
)
def test_a_flipped_bit_in_what_only_informs_is_found_by_the_bag(bundle: Forgery, judge: Judge, path: str) -> None:
    assert failing(judge(bundle.edit(path, lambda data: flip(data, len(data) // 2)))) == {"bag"}


@pytest.mark.parametrize("path", ["manifest-sha256.txt", "tagmanifest-sha256.txt"])
def test_a_flipped_bit_in_a_list_of_files_is_found(bundle: Forgery, judge: Judge, path: str) -> None:
    assert failing(judge(bundle.edit(path, lambda data: flip(data, 10)))) == {"bag"}


def test_flipped_bits_in_two_chunks_are_both_placed(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.edit(video(case), lambda data: flip(flip(data, 0), len(data) - 1)).rebag())
    assert failing(report) == {"bytes"}
    damage = next(each.damage for each in report.segments if each.damage)
    assert [(each.chunk, each.from_byte, each.to_byte) for each in damage] == [
        (0, 0, CHUNK),
        (2, 2 * CHUNK, len(VIDEO)),
    ]


@pytest.mark.parametrize(("at", "chunk"), [(CHUNK - 1, 0), (CHUNK, 1), (2 * CHUNK - 1, 1), (2 * CHUNK, 2)])
def test_a_flipped_bit_at_the_edge_of_a_chunk_is_placed(
    case: Case, bundle: Forgery, judge: Judge, at: int, chunk: int
) -> None:
    report = judge(bundle.edit(video(case), lambda data: flip(data, at)).rebag())
    assert failing(report) == {"bytes"}
    assert [each.chunk for each in next(each.damage for each in report.segments if each.damage)] == [chunk]


def test_a_chunk_that_was_cut_out_is_placed(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.edit(video(case), lambda data: data[:CHUNK] + data[2 * CHUNK :]).rebag())
    assert failing(report) == {"bytes"}
    damage = next(each.damage for each in report.segments if each.damage)
    assert [(each.chunk, each.from_byte) for each in damage] == [(1, CHUNK), (2, 2 * CHUNK)]


# -- segments in another place


def test_a_segment_s_folder_under_another_id_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    other = "sg-" + "0" * 32
    for path in [path for path in bundle.files if path.startswith(f"data/segments/{case.photo}/")]:
        bundle.move(path, path.replace(case.photo, other))
    assert failing(judge(bundle.rebag())) == {"entry", "selection"}


def test_a_duplicated_segment_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    other = "sg-" + "0" * 32
    for path in [path for path in bundle.files if path.startswith(f"data/segments/{case.photo}/")]:
        bundle.add(path.replace(case.photo, other), bundle.files[path])
    assert {"entry", "selection"} <= failing(judge(bundle.rebag()))


def test_two_segments_in_each_other_s_folder_are_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    def other(path: str) -> str:
        return path.replace(case.photo, "?").replace(case.video, case.photo).replace("?", case.video)

    bundle.files = {(other(path) if "/segments/" in path else path): data for path, data in bundle.files.items()}
    assert failing(judge(bundle.rebag())) == {"entry"}


def test_an_original_in_another_segment_s_folder_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    report = judge(bundle.move(video(case), photo(case, "A.MP4")).rebag())
    assert failing(report) == {"bag"}
    assert "bytes" in open_questions(report)


def test_a_segment_of_another_bundle_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    """It is of the same station and proven; but it is not what was exported."""
    seq = case.station.naming("segment", case.other)[0]
    folder = f"data/segments/{case.other}"
    with_entry(bundle, case.station, seq, 37)
    for end in ("json", "tlog-proof"):
        bundle.move(f"data/custody/{LOG}/{seq}.{end}", f"{folder}/entry.{end}")
    bundle.add(f"{folder}/x.mp4", b"other camera").add(f"{folder}/chunks.sha256", digest(b"other camera").chunk_list)
    report = judge(bundle.rebag())
    assert failing(report) == {"selection"}
    (added,) = [each for each in report.segments if each.segment == case.other]
    assert {each.verdict for name, each in added.checks.items() if name != "time"} == {"verified"}


def test_no_segment_at_all_is_never_verified(case: Case, tmp_path: Path) -> None:
    """An export of nothing, right in all its parts."""
    station = Station(folder=tmp_path)
    station.genesis()
    report = station.bundle(station.export([]), tmp_path / "b").verify(station.trust)
    assert failing(report) == set()
    assert (report.segments, report.verdict) == ((), "not-established")
    assert failing(Forgery({}).verify(case.station.trust)) == {"bag"}
