"""Attacks on the entries of a bundle and on their proofs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edged.bundles.contents import plan_export
from edged.errors import MalformedError
from edged.evidence import bodies, canonical
from edged.evidence.digests import sha256_hex
from edged.evidence.entry import parse, reference
from edged.evidence.ids import ExportId
from edged.evidence.proofs import format_proof
from edged.evidence.verification.selection import parse_export_list
from tests.unit import attacked
from tests.unit.attacked import LOG, Judge, bundle_as_if, photo, signed_raw, video
from tests.unit.bundle_station import (
    Case,
    Forgery,
    Station,
    failing,
    open_questions,
)

case, honest, bundle, judge = attacked.case, attacked.honest, attacked.bundle, attacked.judge


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
        parse(signed_raw(Station(folder=tmp_path), kind, json.loads(json.dumps(body).replace("NAME", name))))
    parse(signed_raw(Station(folder=tmp_path), kind, json.loads(json.dumps(body).replace("NAME", "sg-" + "0a" * 16))))


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


@pytest.mark.parametrize("padding", [65_535, 2_000_000])
def test_an_overlong_entry_is_no_entry_but_is_here(tmp_path: Path, padding: int) -> None:
    station = Station(folder=tmp_path)
    station.genesis()
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a")
    overlong = signed_raw(station, "novelty", {"long": "x" * padding})
    honest = plan_export(station, export=ExportId("ex-1"), segments=[segment], upto_seq=len(station.entries))
    listed = parse_export_list(honest)
    wide = replace(listed, entries=(*listed.entries, reference(overlong))).encode()
    seq = station.export([segment], listed=wide)
    bundle = bundle_as_if(station, seq, tmp_path / "b", wide, honest)
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


# -- entries that say something else than what was signed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('"time":"2026-11-21T08:00', '"time":"2026-11-20T08:00', id="back-dated"),
        pytest.param('"recorder_seq":1', '"recorder_seq":2', id="reordered"),
        pytest.param('"officer":null', '"officer":"138009"', id="of another officer"),
        pytest.param('"start":"2026-11-21', '"start":"2026-11-20', id="of another day"),
        pytest.param('"path":"DCIM/A.MP4"', '"path":"DCIM/A1.MP4"', id="found elsewhere"),
    ],
)
def test_a_segment_s_entry_that_was_altered_is_found(
    case: Case, bundle: Forgery, judge: Judge, old: str, new: str
) -> None:
    report = judge(bundle.replace(video(case, "entry.json"), old, new).rebag())
    assert {"inclusion", "selection"} <= failing(report)


def test_segments_put_in_another_order_are_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    bundle.replace(video(case, "entry.json"), '"recorder_seq":1', '"recorder_seq":2')
    bundle.replace(photo(case, "entry.json"), '"recorder_seq":2', '"recorder_seq":1')
    assert failing(judge(bundle.rebag())) == {"inclusion", "selection", "chain"}


def test_an_entry_that_claims_another_content_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    sealed = case.station.sealed(case.video)
    bundle.replace(video(case, "entry.json"), sealed.sha256, sha256_hex(b"innocent"))
    bundle.add(video(case), b"innocent")
    assert failing(judge(bundle.rebag())) == {
        "bytes",
        "chain",
        "derivatives",
        "entry",
        "inclusion",
        "selection",
    }


def test_a_segment_moved_to_another_case_is_found(bundle: Forgery, judge: Judge) -> None:
    path = bundle.find('"case":"case-1"')
    assert failing(judge(bundle.replace(path, '"case":"case-1"', '"case":"case-2"').rebag())) == {
        "custody",
        "selection",
    }


def test_a_term_made_shorter_is_found(bundle: Forgery, judge: Judge) -> None:
    path = bundle.find('"case":"case-1"')
    shorter = bundle.replace(path, '"retain_until":"permanent"', '"retain_until":"2026-12-01"')
    assert failing(judge(shorter.rebag())) == {"custody", "selection"}


def test_a_wipe_that_never_was_is_found(bundle: Forgery, judge: Judge) -> None:
    path = min(path for path in bundle.files if b'"type":"wipe"' in bundle.files[path])
    assert {"custody", "selection"} <= failing(judge(bundle.replace(path, '"gone"', '"present"').rebag()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b'"bytes":', b'"bytes":90071992547409930', id="a number beyond 2^53"),
        pytest.param(b'"bytes":', b'"bytes":' + b"9" * 5000, id="a number of 5000 digits"),
        pytest.param(b'"duration_ms":51000', b'"duration_ms":51000.0', id="a floating-point number"),
        pytest.param(b'"duration_ms":51000', b'"duration_ms":51e3', id="an exponent"),
        pytest.param(b'"uncertainty_ms":1000', b'"uncertainty_ms":-0', id="minus zero"),
        pytest.param(b'"duration_ms":51000', b'"duration_ms":NaN', id="not a number"),
        pytest.param(b'"important":false', b'"important":false,"important":false', id="a key twice"),
        pytest.param(b'"zone":"Asia/Shanghai"', b'"zone":"\\ud800"', id="a lone surrogate"),
        pytest.param(b"Asia/Shanghai", b"\xed\xa0\x80", id="a surrogate in UTF-8"),
        pytest.param(b"Asia/Shanghai", b"\xff\xfe", id="invalid UTF-8"),
        pytest.param(b"Asia/Shanghai", b"\xc0\xaf", id="overlong UTF-8"),
        pytest.param(b'{"actor"', b'\xef\xbb\xbf{"actor"', id="a byte order mark"),
        pytest.param(b'"important":false', b'"important":' + b"[" * 20_000 + b"]" * 20_000, id="nested 20 000 deep"),
        pytest.param(
            b'"important":false', b'"important":' + b'{"a":' * 9_000 + b"0" + b"}" * 9_000, id="objects nested deep"
        ),
        pytest.param(b"Asia/Shanghai", b"Asia\\/Shanghai", id="a needless escape"),
        pytest.param(b'"important":false', b'"important": false', id="a blank"),
        pytest.param(b',"v":1}', b',"v":1}\n', id="a line end"),
        pytest.param(b'"actor":"edged",', b"", id="keys in another order"),
    ],
)
def test_json_that_is_not_canonical_i_json_is_no_entry(
    case: Case, bundle: Forgery, judge: Judge, old: bytes, new: bytes
) -> None:
    def change(data: bytes) -> bytes:
        altered = data.replace(old, new, 1)
        return altered if new else altered[:-1] + b',"actor":"edged"}'

    report = judge(bundle.edit(video(case, "entry.json"), change).rebag())
    assert {"entry", "inclusion", "selection"} <= failing(report)
