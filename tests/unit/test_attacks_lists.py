"""Attacks on what stands beside the entries of a bundle, and on the list of what was exported."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.bundles.contents import plan_export
from edged.evidence import bodies, canonical
from edged.evidence.digests import sha256_hex
from edged.evidence.entry import reference
from edged.evidence.ids import EpochId, ExportId, StationId
from edged.evidence.note import vkey
from edged.evidence.proofs import format_proof
from edged.evidence.verification.selection import ExportList
from tests.unit import attacked
from tests.unit.attacked import LOG, Judge, bundle_as_if, with_entry
from tests.unit.bundle_station import (
    Case,
    Forgery,
    Station,
    failing,
    open_questions,
)

case, honest, bundle, judge = attacked.case, attacked.honest, attacked.bundle, attacked.judge


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
    forged = bundle_as_if(station, seq, tmp_path / "b", wrong, honest)
    assert failing(forged.verify(station.trust)) == {"selection"}


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


# -- derivatives and custody that nobody at the station wrote


def test_a_derivative_without_an_entry_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    bundle.add(f"data/derivatives/{case.photo}/redacted.jpg", b"a face less")
    assert failing(judge(bundle.rebag())) == {"derivatives"}


def test_a_derivative_whose_entry_was_dropped_is_found(bundle: Forgery, judge: Judge) -> None:
    path = bundle.find('"type":"derivative"')
    report = judge(bundle.drop(path, path.replace(".json", ".tlog-proof")).rebag())
    assert failing(report) == {"derivatives", "selection"}


def own_log(case: Case, bundle: Forgery, thief: Station) -> Forgery:
    """Replace hold and export of the bundle by those of a log of one's own, with a list that fits."""
    for words in ('"type":"hold"', '"type":"export"'):
        path = bundle.find(words)
        bundle.drop(path, path.replace(".json", ".tlog-proof"))
    thief.genesis()
    subject = bodies.Subject(kind="case", id="case-1")
    reason = thief.reason("lifted", "Nothing to see here.")
    thief.append(bodies.Hold(hold="h-1", subject=subject, action="lifted", reason=reason, reference=None))
    size = len(thief.entries) + 1
    kept = [reference(data) for path, data in bundle.files.items() if re.search(r"(custody/.*/\d+|entry)\.json$", path)]
    listed = ExportList(
        export=ExportId("ex-1"),
        segments=(case.video, case.photo, case.empty),
        entries=(*kept, *map(reference, thief.entries)),
    ).encode()
    assert thief.export([], listed=listed) == size - 1
    for seq in range(size):
        with_entry(bundle, thief, seq, size)
    folder = f"data/logs/{thief.name}/{thief.epoch}"
    bundle.add(f"{folder}/station.pem", thief.certificates_pem()).add(f"{folder}/{size}/checkpoint", thief.heads[size])
    return bundle.add("data/export.json", listed).drop("data/texts.json").rebag()


@pytest.mark.parametrize(("name", "epoch"), [("st-08", "2026-11-ab12"), ("st-07", "2026-11-ffff")])
def test_forged_custody_in_a_log_of_one_s_own_is_not_established(  # noqa: PLR0917 - two names and the fixtures
    case: Case, bundle: Forgery, judge: Judge, tmp_path: Path, name: str, epoch: str
) -> None:
    thief = Station(folder=tmp_path, name=StationId(name), epoch=EpochId(epoch))
    report = judge(own_log(case, bundle, thief))
    assert report.verdict != "verified"
    assert {"custody", "selection"} <= open_questions(report)


def test_forged_custody_by_another_certified_station_is_not_established(
    case: Case, bundle: Forgery, judge: Judge, tmp_path: Path
) -> None:
    """The verifier's own root certified the other station: all holds, but it is not the segments' station."""
    other = Station(folder=tmp_path, name=StationId("st-08"))
    other.root_key, other.root = case.station.root_key, case.station.root
    other.certify(other.origin)
    report = judge(own_log(case, bundle, other))
    assert failing(report) == set()
    assert "selection" in open_questions(report)
    assert "by st-08" in report.checks["selection"].detail.en


def test_custody_of_the_own_station_signed_by_a_thief_of_nothing_is_found(
    case: Case, bundle: Forgery, judge: Judge, tmp_path: Path
) -> None:
    """The forged log has the true log's name, so it meets the true log's certificate and checkpoint."""
    thief = Station(folder=tmp_path)
    kept = bundle.files[f"data/logs/{LOG}/station.pem"]
    forged = own_log(case, bundle, thief).add(f"data/logs/{LOG}/station.pem", kept)
    assert {"consistency", "custody", "selection"} <= failing(judge(forged.rebag()))
