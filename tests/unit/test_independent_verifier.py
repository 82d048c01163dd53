"""Two verifiers that share no code give one answer: the project's own, and the one written from the page alone."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.evidence.certificates import to_pem
from edged.evidence.ids import bundle_name
from edged.evidence.proofs import format_consistency
from edged.evidence.verification import Trust
from tests.independent import verifier
from tests.unit.bundle_station import CHUNK, Case, Forgery, Station, ordinary_case

LOG = "st-07/2026-11-ab12"

SAYS_NOTHING = dict.fromkeys(["chain", "completeness", "derivatives"], "not-established")
"""What a bundle leaves open in which the entry of one segment cannot be read."""

Alteration = Callable[[Case, Forgery], Forgery]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return ordinary_case(tmp_path_factory.mktemp("station"))


@pytest.fixture(scope="module")
def honest(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Forgery:
    return case.station.bundle(case.export_seq, tmp_path_factory.mktemp("out") / "b", kinds=["poster"])


@pytest.fixture
def bundle(honest: Forgery) -> Forgery:
    return honest.copy()


def written(forgery: Forgery, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for path, data in forgery.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


def without_words(report: Mapping[str, object]) -> dict[str, object]:
    """Leave out of a report what each verifier says in its own words."""
    plain = json.loads(json.dumps(report))
    del plain["findings"], plain["not_proven"]
    for checks in [plain["checks"], *(segment["checks"] for segment in plain["segments"])]:
        for check in checks.values():
            del check["detail"]
    return dict(plain)


def not_verified(report: Mapping[str, object]) -> dict[str, str]:
    """Give the checks that are not verified, `time` apart; of several segments the worst counts."""
    plain = json.loads(json.dumps(report))
    found: dict[str, str] = {}
    for checks in [plain["checks"], *(segment["checks"] for segment in plain["segments"])]:
        for name, check in checks.items():
            if name != "time" and check["verdict"] != "verified" and found.get(name) != "failed":
                found[name] = check["verdict"]
    return found


def judged_alike(forgery: Forgery, trust: Trust, folder: Path) -> dict[str, str]:
    """Ask both verifiers, compare all they say but their words, and give what is not verified."""
    own = forgery.verify(trust).plain()
    other = verifier.verify(written(forgery, folder), verifier.Trust(list(trust.roots), list(trust.crls)))
    assert without_words(other) == without_words(own)
    return not_verified(own)


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def second_line(data: bytes, line: bytes, *, at: int = 2) -> bytes:
    lines = data.split(b"\n")
    return b"\n".join([*lines[:at], line, *lines[at + 1 :]])


def video(case: Case, name: str = "A.MP4") -> str:
    return f"data/segments/{case.video}/{name}"


def test_an_honest_bundle(case: Case, bundle: Forgery, tmp_path: Path) -> None:
    assert judged_alike(bundle, case.station.trust, tmp_path / "b") == {}


def test_an_honest_bundle_without_a_root(bundle: Forgery, tmp_path: Path) -> None:
    found = judged_alike(bundle, Trust(), tmp_path / "b")
    assert found == dict.fromkeys(["selection", "custody", "identity"], "not-established")


def test_an_honest_bundle_under_another_root(bundle: Forgery, tmp_path: Path) -> None:
    other = Station(folder=tmp_path)
    assert set(judged_alike(bundle, other.trust, tmp_path / "b").values()) == {"not-established"}


def altered_byte(case: Case, bundle: Forgery) -> Forgery:
    return bundle.edit(video(case), lambda data: flip(data, CHUNK + 5)).rebag()


def altered_byte_and_old_lists(case: Case, bundle: Forgery) -> Forgery:
    return bundle.edit(video(case), lambda data: flip(data, 5))


def longer_original(case: Case, bundle: Forgery) -> Forgery:
    return bundle.edit(video(case), lambda data: data + b"more").rebag()


def renamed_original(case: Case, bundle: Forgery) -> Forgery:
    return bundle.move(video(case), video(case, "B.MP4")).rebag()


def dropped_original(case: Case, bundle: Forgery) -> Forgery:
    return bundle.drop(video(case)).rebag()


def altered_entry(case: Case, bundle: Forgery) -> Forgery:
    return bundle.replace(video(case, "entry.json"), '"important":false', '"important":true').rebag()


def dropped_proof(case: Case, bundle: Forgery) -> Forgery:
    return bundle.drop(video(case, "entry.tlog-proof")).rebag()


def altered_path(case: Case, bundle: Forgery) -> Forgery:
    return bundle.edit(video(case, "entry.tlog-proof"), lambda data: second_line(data, b"A" * 43 + b"=")).rebag()


def altered_signature(case: Case, bundle: Forgery) -> Forgery:
    return bundle.edit(
        video(case, "entry.tlog-proof"), lambda data: re.sub(rb"[^\n]{8}\n$", b"AAAAAA==\n", data)
    ).rebag()


def dropped_custody_entry(_: Case, bundle: Forgery) -> Forgery:
    path = bundle.find('"type":"hold"')
    return bundle.drop(path, path.replace(".json", ".tlog-proof")).rebag()


def altered_custody_entry(_: Case, bundle: Forgery) -> Forgery:
    return bundle.replace(bundle.find('"type":"anomaly"'), '"ms":1500', '"ms":1501').rebag()


def moved_custody_entry(_: Case, bundle: Forgery) -> Forgery:
    path = bundle.find('"type":"hold"')
    for end in (".json", ".tlog-proof"):
        bundle.move(path.replace(".json", end), f"data/custody/{LOG}/999{end}")
    return bundle.rebag()


def another_certificate(_: Case, bundle: Forgery) -> Forgery:
    station = Station(folder=Path(), key=Ed25519PrivateKey.generate())
    return bundle.add(f"data/logs/{LOG}/station.pem", to_pem([station.certificate])).rebag()


def forked_checkpoint(case: Case, bundle: Forgery) -> Forgery:
    size = max(case.station.heads)
    return bundle.add(f"data/logs/{LOG}/{size}/checkpoint", case.station.note(size, root=b"\x01" * 32)).rebag()


def smaller_size(case: Case, bundle: Forgery, *, spoil: bool = False) -> Forgery:
    old, new = 5, max(case.station.heads)
    hashes = case.station.consistency_proof(old, new)
    proof = format_consistency(old, hashes[::-1] if spoil else hashes, case.station.heads[new])
    bundle.add(f"data/logs/{LOG}/{old}/checkpoint", case.station.note(old))
    return bundle.add(f"data/logs/{LOG}/{new}/from-{old}.consistency", proof).rebag()


def spoiled_join(case: Case, bundle: Forgery) -> Forgery:
    return smaller_size(case, bundle, spoil=True)


def dropped_join(case: Case, bundle: Forgery) -> Forgery:
    return smaller_size(case, bundle).drop(f"data/logs/{LOG}/{max(case.station.heads)}/from-5.consistency").rebag()


def altered_list(case: Case, bundle: Forgery) -> Forgery:
    return bundle.replace("data/export.json", case.photo, case.other).rebag()


def altered_text(_: Case, bundle: Forgery) -> Forgery:
    return bundle.replace("data/texts.json", "Investigation", "Conversation").rebag()


def altered_derivative(case: Case, bundle: Forgery) -> Forgery:
    return bundle.edit(f"data/derivatives/{case.video}/poster.jpg", lambda data: flip(data, 0)).rebag()


def altered_inventory(_: Case, bundle: Forgery) -> Forgery:
    return bundle.replace("data/dockings/dock-1/inventory.json", "B.JPG", "C.JPG").rebag()


def dropped_inventory(_: Case, bundle: Forgery) -> Forgery:
    return bundle.drop("data/dockings/dock-1/inventory.json").rebag()


def three_sizes(case: Case, bundle: Forgery) -> Forgery:
    for old, size in ((5, 8), (8, 20), (20, max(case.station.heads))):
        bundle.add(f"data/logs/{LOG}/{old}/checkpoint", case.station.note(old))
        proof = format_consistency(old, case.station.consistency_proof(old, size), case.station.note(size))
        bundle.add(f"data/logs/{LOG}/{size}/from-{old}.consistency", proof)
    return bundle.rebag()


def dropped_middle_checkpoint(case: Case, bundle: Forgery) -> Forgery:
    return three_sizes(case, bundle).drop(f"data/logs/{LOG}/8/checkpoint").rebag()


def dropped_middle_size(case: Case, bundle: Forgery) -> Forgery:
    middle = f"data/logs/{LOG}/8/"
    return three_sizes(case, bundle).drop(middle + "checkpoint", middle + "from-5.consistency").rebag()


def badly_renamed_original(case: Case, bundle: Forgery) -> Forgery:
    return bundle.move(video(case), video(case, "bad name.MP4")).rebag()


def dropped_entry(case: Case, bundle: Forgery) -> Forgery:
    return bundle.drop(video(case, "entry.json")).rebag()


def overlong_entry(case: Case, bundle: Forgery) -> Forgery:
    return bundle.edit(video(case, "entry.json"), lambda data: data[:-1] + b" " * 70_000 + b"}").rebag()


def entry_replaced_and_note_forged(case: Case, bundle: Forgery) -> Forgery:
    size = max(case.station.heads)
    forged = case.station.note(size, key=Ed25519PrivateKey.generate())
    bundle.edit(video(case, "entry.tlog-proof"), lambda data: data.replace(case.station.heads[size], forged))
    return bundle.add(video(case, "entry.json"), b"{}").rebag()


def derivative_of_no_kind(case: Case, bundle: Forgery) -> Forgery:
    folder = f"data/derivatives/{case.video}/"
    return bundle.move(folder + "poster.jpg", folder + "thumbnail.jpg").rebag()


def segment_folder_of_no_id(case: Case, bundle: Forgery) -> Forgery:
    for name in ("entry.json", "entry.tlog-proof", "chunks.sha256", "A.MP4"):
        bundle.move(video(case, name), f"data/segments/{case.video[:-1]}/{name}")
    return bundle.rebag()


def custody_folder_of_no_epoch(_: Case, bundle: Forgery) -> Forgery:
    path = bundle.find('"type":"hold"')
    for end in (".json", ".tlog-proof"):
        bundle.move(path.replace(".json", end), path.replace(".json", end).replace("2026-11", "2026-13"))
    return bundle.rebag()


def stranger(_: Case, bundle: Forgery) -> Forgery:
    return bundle.add("data/note.txt", b"believe me").rebag()


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (altered_byte, {"bytes": "failed"}),
        (altered_byte_and_old_lists, {"bag": "failed", "bytes": "failed"}),
        (longer_original, {"bytes": "failed"}),
        (renamed_original, {"bytes": "failed"}),
        (dropped_original, {"bytes": "not-established"}),
        (altered_entry, {"selection": "failed", "chain": "failed", "inclusion": "failed"}),
        (dropped_proof, dict.fromkeys(["inclusion", "signature", "identity"], "not-established")),
        (altered_path, {"inclusion": "failed"}),
        (altered_signature, {"consistency": "failed", "signature": "failed"}),
        (dropped_custody_entry, {"selection": "failed"}),
        (altered_custody_entry, {"selection": "failed", "custody": "failed"}),
        (moved_custody_entry, {"custody": "failed"}),
        (
            another_certificate,
            {
                **dict.fromkeys(["selection", "consistency", "custody", "signature"], "failed"),
                "identity": "not-established",
            },
        ),
        (forked_checkpoint, {"consistency": "failed"}),
        (smaller_size, {}),
        (spoiled_join, {"consistency": "failed"}),
        (dropped_join, {"consistency": "not-established"}),
        (altered_list, {"selection": "failed"}),
        (altered_text, {"selection": "failed"}),
        (altered_derivative, {"derivatives": "failed"}),
        (altered_inventory, {"completeness": "failed"}),
        (dropped_inventory, {"completeness": "not-established"}),
        (three_sizes, {}),
        (dropped_middle_checkpoint, {"consistency": "not-established"}),
        (dropped_middle_size, {"consistency": "not-established"}),
        (badly_renamed_original, {"bag": "failed", "bytes": "failed"}),
        (
            dropped_entry,
            {
                **SAYS_NOTHING,
                "selection": "failed",
                **dict.fromkeys(["bytes", "entry", "inclusion", "identity"], "not-established"),
            },
        ),
        (
            overlong_entry,
            {
                **SAYS_NOTHING,
                **dict.fromkeys(["selection", "entry", "inclusion"], "failed"),
                **dict.fromkeys(["bytes", "identity"], "not-established"),
            },
        ),
        (
            entry_replaced_and_note_forged,
            {
                **SAYS_NOTHING,
                **dict.fromkeys(["selection", "entry", "inclusion", "signature"], "failed"),
                **dict.fromkeys(["bytes", "identity"], "not-established"),
            },
        ),
        (derivative_of_no_kind, {"bag": "failed", "derivatives": "failed"}),
        (segment_folder_of_no_id, {**SAYS_NOTHING, "bag": "failed", "selection": "failed"}),
        (custody_folder_of_no_epoch, {"bag": "failed", "selection": "failed"}),
        (stranger, {"bag": "failed"}),
    ],
)
def test_an_altered_bundle(
    case: Case, bundle: Forgery, tmp_path: Path, alter: Alteration, expected: dict[str, str]
) -> None:
    assert judged_alike(alter(case, bundle), case.station.trust, tmp_path / "b") == expected


def test_a_reason_of_a_later_version_and_a_stolen_number(tmp_path: Path) -> None:
    station = Station(folder=tmp_path)
    station.genesis(second=station.reason("a", "By a further key.").model_dump())
    station.dock("d", "r", {"a": b"a"})
    first = station.seal("d", "r", "a", b"a")
    station.append(("novelty", {"segment": first, "why": [station.reason("b", "By a later type.").model_dump()]}))
    station.dock("e", "s", {"b": b"b"})
    second = station.seal("e", "s", "b", b"b", recorder_seq=2, recorder_prev=station.last_of["r"][1])
    bundle = station.bundle(station.export([first, second]), tmp_path / "out")
    assert b"By a later type." in bundle.files["data/texts.json"]
    found = judged_alike(bundle, station.trust, tmp_path / "b")
    assert found == {"chain": "failed", "completeness": "not-established"}


def test_the_command_answers_as_the_page_says(
    case: Case, bundle: Forgery, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    root = tmp_path / "root.pem"
    root.write_bytes(to_pem([case.station.root]))
    folder = written(bundle, tmp_path / "b")
    assert verifier.main([str(folder), "--trust", str(root), "--json"]) == 2
    assert without_words(json.loads(capsysbinary.readouterr().out)) == without_words(
        bundle.verify(case.station.trust).plain()
    )
    (folder / "bagit.txt").unlink()
    assert verifier.main([str(folder), "--trust", str(root)]) == 1
    assert verifier.main([str(tmp_path / "nothing")]) == 66
    with pytest.raises(SystemExit, match="64"):
        verifier.main([])


@pytest.mark.parametrize(
    "path",
    [
        "DCIM/100/A.MP4",
        "a b/ü 视频.mp4",
        "x/%FF%00.jpg",
        ".hidden",
        "-rf",
        "...",
        "ends.",
        "ENTRY.json",
        "entry.tlog-proof",
        "report.json",
        "con",
        "Com1.tar.gz",
        "com10",
        "nul.",
        "n" * 101,
        "n" * 100 + ".mp4",
        "n." + "e" * 120,
        "." * 101,
    ],
)
def test_both_derive_the_same_file_name(path: str) -> None:
    assert verifier.file_name_for(path) == bundle_name(path)
