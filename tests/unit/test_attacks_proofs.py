"""Attacks on the proofs and checkpoints of a bundle."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edged.evidence.note import sign_note
from edged.evidence.proofs import format_proof
from tests.unit import attacked
from tests.unit.attacked import Judge, everywhere, video
from tests.unit.bundle_station import Case, Forgery, Station, failing

case, honest, bundle, judge = attacked.case, attacked.honest, attacked.bundle, attacked.judge


def ended_in(bundle: Forgery, path: str, note: bytes) -> Forgery:
    """Let a proof end in another checkpoint."""
    return bundle.edit(path, lambda data: data.partition(b"\n\n")[0] + b"\n\n" + note)


def test_a_proof_in_another_tree_is_found(case: Case, bundle: Forgery, judge: Judge, tmp_path: Path) -> None:
    other = Station(folder=tmp_path)
    other.genesis()
    for number in range(36):
        other.append(("novelty", {"number": number}))
    proof = format_proof(2, other.inclusion_proof(2, 37), case.station.heads[37])
    assert failing(judge(bundle.add(video(case, "entry.tlog-proof"), proof).rebag())) == {"inclusion"}


def test_a_proof_by_a_log_of_one_s_own_is_found(case: Case, bundle: Forgery, judge: Judge, tmp_path: Path) -> None:
    """The entry is in the other log, word for word, and the proof is right; but the key is another."""
    other = Station(folder=tmp_path)
    for data in case.station.entries[:4]:
        other.append_bytes(data, "copied", {})
    proof = format_proof(2, other.inclusion_proof(2, 4), other.note(4))
    report = judge(bundle.add(video(case, "entry.tlog-proof"), proof).rebag())
    assert failing(report) == {"signature"}


def test_a_proof_in_a_shorter_log_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    ended_in(bundle, video(case, "entry.tlog-proof"), case.station.note(2))
    report = judge(bundle.rebag())
    assert "inclusion" in failing(report)


def test_a_proof_in_a_forked_log_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    """Signed by the true key, as its thief would: the tree is consistent in itself, and not with the other."""
    fork = Station(folder=case.station.folder, key=case.station.key)
    for data in case.station.entries[:36]:
        fork.append_bytes(data, "copied", {})
    fork.append(("novelty", {"of": "a fork"}))
    proof = format_proof(2, fork.inclusion_proof(2, 37), fork.note(37))
    report = judge(bundle.add(video(case, "entry.tlog-proof"), proof).rebag())
    assert failing(report) == {"consistency"}


@pytest.mark.parametrize(
    "number", [b"18446744073709551616", b"9" * 400, b"-1", b"1e3", "٣".encode(), b"01", b"+1", b"0x10"]
)
def test_a_proof_of_an_impossible_number_is_found(case: Case, bundle: Forgery, judge: Judge, number: bytes) -> None:
    bundle.edit(video(case, "entry.tlog-proof"), lambda data: data.replace(b"index 2\n", b"index " + number + b"\n"))
    assert "inclusion" in failing(judge(bundle.rebag()))


def test_a_proof_of_a_million_hashes_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    hashes = b"A" * 43 + b"=\n"
    bundle.edit(
        video(case, "entry.tlog-proof"), lambda data: data.replace(b"index 2\n", b"index 2\n" + hashes * 1_000_000)
    )
    assert failing(judge(bundle.rebag())) == {"inclusion"}


# -- checkpoints in another form


def remade(case: Case, change: Callable[[str], str]) -> bytes:
    """Give the checkpoint with another body, signed by the true key."""
    text = case.station.heads[37].decode().partition("\n\n")[0] + "\n"
    changed = change(text)
    assert changed != text
    return sign_note(changed, case.station.origin, case.station.key)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text + "extra\n", id="an extension line"),
        pytest.param(lambda text: text.replace("\n37\n", "\n037\n"), id="a size that is none"),
        pytest.param(lambda text: text.replace("\n37\n", "\n" + "9" * 300 + "\n"), id="a huge size"),
        pytest.param(lambda text: text.rpartition("\n")[0][:-8] + "\n", id="a root that is no hash"),
        pytest.param(lambda text: "\n".join(text.split("\n")[:2]) + "\n", id="no root"),
    ],
)
def test_a_signed_checkpoint_in_another_form_is_found(
    case: Case, bundle: Forgery, judge: Judge, change: Callable[[str], str]
) -> None:
    everywhere(bundle, case.station.heads[37], remade(case, change))
    assert {"inclusion", "consistency", "custody"} <= failing(judge(bundle.rebag()))


def test_a_checkpoint_of_another_origin_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    changed = remade(case, lambda text: text.replace("st-07", "st-08"))
    everywhere(bundle, case.station.heads[37], changed)
    assert {"entry", "signature", "identity", "consistency", "custody"} <= failing(judge(bundle.rebag()))


def test_a_checkpoint_with_two_signatures_of_the_log_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    note = case.station.heads[37]
    twice = note + note.splitlines(keepends=True)[-1]
    everywhere(bundle, note, twice)
    assert "consistency" in failing(judge(bundle.rebag()))


def test_a_checkpoint_with_a_second_and_wrong_signature_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    note, line = case.station.heads[37], case.station.note(36).splitlines(keepends=True)[-1]
    everywhere(bundle, note, note + line)
    assert {"signature", "consistency", "custody"} <= failing(judge(bundle.rebag()))
