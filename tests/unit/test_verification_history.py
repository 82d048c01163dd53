"""Attacks on the history of a log: several checkpoints in one bundle, forks, witnesses, epochs that were closed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.evidence import bodies
from edged.evidence.certificates import fingerprint
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import DockingId, EntryRef, EpochId, SegmentId
from edged.evidence.note import sign_note, vkey
from edged.evidence.proofs import format_consistency, format_proof
from edged.evidence.text import to_base64
from edged.evidence.verification import Report
from tests.independent import verifier
from tests.unit.bundle_station import Forgery, Station, failing, open_questions
from tests.unit.test_independent_verifier import written

LOG = "data/logs/st-07/2026-11-ab12"
CUSTODY = "data/custody/st-07/2026-11-ab12"


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(folder=tmp_path)


Extra = Callable[[Station], object]


def bundle_of(station: Station, extra: Extra = lambda _: None, *, genesis: dict[str, object] | None = None) -> Forgery:
    """Make a bundle of a short ledger in which `extra` writes one more entry that names the segment."""
    station.genesis(**(genesis or {}))
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a")
    station.append(bodies.Undocking(docking=DockingId("d"), outcome="kept", remaining=1))
    extra(station)
    return station.bundle(station.export([segment]), station.folder / "b")


def judge(station: Station, bundle: Forgery) -> Report:
    return bundle.rebag().verify(station.trust)


def two_sizes(station: Station, *, joint: bool = True) -> tuple[Forgery, int, int]:
    """Give a bundle in which the genesis entry is proven by a smaller checkpoint, and both sizes."""
    bundle = bundle_of(station)
    large = max(station.heads)
    small = large - 2
    station.heads[small] = station.note(small)
    bundle.add(f"{LOG}/{small}/checkpoint", station.heads[small])
    proof = format_proof(0, station.inclusion_proof(0, small), station.heads[small])
    bundle.add(f"{CUSTODY}/0.tlog-proof", proof)
    if joint:
        hashes = station.consistency_proof(small, large)
        bundle.add(f"{LOG}/{large}/from-{small}.consistency", format_consistency(small, hashes, station.heads[large]))
    return bundle, small, large


def test_two_joined_sizes_are_one_history(station: Station) -> None:
    bundle, _, _ = two_sizes(station)
    report = judge(station, bundle)
    assert (failing(report), open_questions(report)) == (set(), {"time"})


def test_two_sizes_that_nothing_joins_are_not_established(station: Station) -> None:
    bundle, _, _ = two_sizes(station, joint=False)
    report = judge(station, bundle)
    assert (failing(report), open_questions(report)) == (set(), {"consistency", "time"})


def three_sizes(station: Station) -> Forgery:
    """Give a bundle whose genesis entry is proven at size 5, with checkpoints joined from 3 to 5 to 7."""
    bundle = bundle_of(station)
    for old, size in ((3, 5), (5, 7)):
        station.heads[old] = station.note(old)
        bundle.add(f"{LOG}/{old}/checkpoint", station.heads[old])
        joint = format_consistency(old, station.consistency_proof(old, size), station.note(size))
        bundle.add(f"{LOG}/{size}/from-{old}.consistency", joint)
    return bundle.add(f"{CUSTODY}/0.tlog-proof", format_proof(0, station.inclusion_proof(0, 5), station.heads[5]))


@pytest.mark.parametrize(
    "missing",
    [
        ["3/checkpoint"],
        ["5/checkpoint"],
        ["7/checkpoint"],
        ["5/from-3.consistency"],
        ["7/from-5.consistency"],
        ["5/checkpoint", "5/from-3.consistency"],
        ["7/checkpoint", "7/from-5.consistency"],
    ],
)
def test_a_missing_checkpoint_or_joint_of_several_is_never_a_failure(station: Station, missing: list[str]) -> None:
    bundle = three_sizes(station)
    assert open_questions(judge(station, bundle.copy())) == {"time"}
    report = judge(station, bundle.drop(*[f"{LOG}/{each}" for each in missing]))
    assert failing(report) == set()
    assert open_questions(report) == {"consistency", "time"}


def test_a_fork_at_a_smaller_size_is_found(station: Station) -> None:
    bundle, small, _ = two_sizes(station)
    bundle.add(f"{LOG}/{small}/checkpoint", station.note(small, root=b"\x01" * 32))
    assert failing(judge(station, bundle)) == {"consistency"}


def test_an_altered_consistency_proof_is_found(station: Station) -> None:
    bundle, small, large = two_sizes(station)
    hashes = [b"\x02" * 32, *station.consistency_proof(small, large)[1:]]
    bundle.add(f"{LOG}/{large}/from-{small}.consistency", format_consistency(small, hashes, station.heads[large]))
    assert failing(judge(station, bundle)) == {"consistency"}


def test_a_consistency_proof_from_another_size_than_its_name_is_found(station: Station) -> None:
    bundle, small, large = two_sizes(station)
    hashes = station.consistency_proof(small - 1, large)
    wrong = format_consistency(small - 1, hashes, station.heads[large])
    bundle.add(f"{LOG}/{large}/from-{small}.consistency", wrong)
    assert failing(judge(station, bundle)) == {"consistency"}


def test_a_consistency_proof_to_a_size_that_is_not_the_next_is_found(station: Station) -> None:
    bundle, small, large = two_sizes(station)
    bundle.move(f"{LOG}/{large}/from-{small}.consistency", f"{LOG}/{large}/from-{small - 1}.consistency")
    assert failing(judge(station, bundle)) == {"consistency"}


def test_a_checkpoint_under_another_size_is_found(station: Station) -> None:
    bundle, small, _ = two_sizes(station)
    bundle.add(f"{LOG}/{small}/checkpoint", station.note(small - 1))
    assert failing(judge(station, bundle)) == {"consistency"}


def test_a_checkpoint_of_another_station_is_found(station: Station, tmp_path: Path) -> None:
    bundle, small, _ = two_sizes(station)
    other = Station(folder=tmp_path, domain="elsewhere.example")
    other.genesis()
    bundle.add(f"{LOG}/{small}/checkpoint", other.note(1))
    assert failing(judge(station, bundle)) == {"consistency"}


def test_a_checkpoint_signed_by_another_key_is_found(station: Station) -> None:
    bundle, small, _ = two_sizes(station)
    forged = station.note(small, key=Ed25519PrivateKey.generate())
    bundle.add(f"{LOG}/{small}/checkpoint", forged)
    assert failing(judge(station, bundle)) == {"consistency"}


def test_a_missing_checkpoint_leaves_consistency_open(station: Station) -> None:
    bundle, small, _ = two_sizes(station)
    report = judge(station, bundle.drop(f"{LOG}/{small}/checkpoint"))
    assert failing(report) == set()
    assert open_questions(report) == {"consistency", "time"}


def test_witness_lines_may_follow_the_checkpoint(station: Station) -> None:
    bundle, _, large = two_sizes(station)
    bundle.add(f"{LOG}/{large}/checkpoint.cosigned", station.heads[large] + witness_line(station, large))
    assert failing(judge(station, bundle)) == set()


def test_witness_lines_over_another_checkpoint_are_found(station: Station) -> None:
    bundle, small, large = two_sizes(station)
    bundle.add(f"{LOG}/{large}/checkpoint.cosigned", station.heads[small] + witness_line(station, small))
    assert failing(judge(station, bundle)) == {"consistency"}


def test_a_second_signature_of_the_log_among_witness_lines_is_found(station: Station) -> None:
    bundle, _, large = two_sizes(station)
    again = station.heads[large].splitlines(keepends=True)[-1]
    bundle.add(f"{LOG}/{large}/checkpoint.cosigned", station.heads[large] + again)
    assert failing(judge(station, bundle)) == {"consistency"}


def test_a_checkpoint_with_witness_lines_is_not_the_log_s_alone(station: Station) -> None:
    bundle, small, _ = two_sizes(station)
    bundle.add(f"{LOG}/{small}/checkpoint", station.heads[small] + witness_line(station, small))
    assert failing(judge(station, bundle)) == {"consistency"}


def witness_line(station: Station, size: int) -> bytes:
    text = station.heads[size].decode().partition("\n\n")[0] + "\n"
    return sign_note(text, "witness.example/w1", Ed25519PrivateKey.generate()).splitlines(keepends=True)[-1]


def test_tokens_without_an_authority_given_are_ignored(station: Station) -> None:
    bundle, _, large = two_sizes(station)
    bundle.add(f"{LOG}/{large}/tsa.tsr", b"not even DER").add(f"{LOG}/{large}/tsa.1.tsr", b"nor this")
    report = judge(station, bundle)
    assert (failing(report), open_questions(report)) == (set(), {"time"})


def test_an_anchor_entry_that_contradicts_the_checkpoint_is_found(station: Station) -> None:
    bundle = bundle_of(station, lambda it: anchor(it, size=8, root=b"\x09" * 32))
    assert max(station.heads) == 8
    assert failing(judge(station, bundle)) == {"consistency"}


def test_an_anchor_whose_token_is_not_here_is_a_finding(station: Station) -> None:
    bundle = bundle_of(station, lambda it: anchor(it, size=3, root=b"\x09" * 32))
    report = judge(station, bundle)
    assert failing(report) == set()
    assert any("named but not here" in each.en for each in report.findings)
    bundle.add(f"{LOG}/8/tsa.tsr", b"token")
    assert not any("named but not here" in each.en for each in judge(station, bundle).findings)


def anchor(station: Station, *, size: int, root: bytes) -> None:
    station.append(
        bodies.Anchor(
            kind="rfc3161",
            origin=station.origin,
            size=size,
            root=to_base64(root),
            sha256=sha256_hex(b"token"),
            by="TSA",
            segment=SegmentId(json_segment(station)),  # a further key, so that the entry concerns the segment
        )
    )


def json_segment(station: Station) -> str:
    return next(name for kind, name in station.names if kind == "segment")


def test_an_entry_after_the_close_is_found(station: Station) -> None:
    bundle = bundle_of(station, lambda it: it.append(bodies.Close(reason=it.reason("end", "x"), next=None)))
    assert failing(judge(station, bundle)) == {"consistency"}


def test_a_log_that_ends_with_its_close_is_fine(station: Station) -> None:
    bundle = bundle_of(station)
    close = station.append(bodies.Close(reason=station.reason("end", "x"), next=None))
    size = station.sign()
    seq = station.seq_of(close)
    assert seq == size - 1
    old = max(each for each in station.heads if each < size)
    hashes = station.consistency_proof(old, size)
    bundle.add(f"{LOG}/{size}/checkpoint", station.heads[size])
    bundle.add(f"{LOG}/{size}/from-{old}.consistency", format_consistency(old, hashes, station.heads[size]))
    bundle.add(f"{CUSTODY}/{seq}.json", station.entry_bytes(seq))
    proof = format_proof(seq, station.inclusion_proof(seq, size), station.heads[size])
    bundle.add(f"{CUSTODY}/{seq}.tlog-proof", proof)
    assert failing(judge(station, bundle)) == {"selection"}  # not on the list, but no contradiction in the log


def test_a_missing_first_entry_leaves_consistency_open(station: Station) -> None:
    bundle = bundle_of(station)
    bundle.drop(f"{CUSTODY}/0.json", f"{CUSTODY}/0.tlog-proof")
    report = judge(station, bundle)
    assert failing(report) == {"selection"}
    assert "consistency" in open_questions(report)


def test_a_log_that_begins_twice_is_found(station: Station) -> None:
    bundle = bundle_of(station, lambda it: it.genesis())
    assert failing(judge(station, bundle)) == {"consistency"}


def test_an_epoch_that_cites_another_last_checkpoint_than_is_here_is_found(station: Station, tmp_path: Path) -> None:
    before = Station(folder=tmp_path, epoch="2026-10-0001")  # type: ignore[arg-type]
    before.genesis()
    previous = bodies.Previous(origin=before.origin, size=1, root=to_base64(b"\x05" * 32))
    bundle = bundle_of(station, genesis={"previous": previous})
    folder = "data/logs/st-07/2026-10-0001"
    bundle.add(f"{folder}/station.pem", before.certificates_pem()).add(f"{folder}/1/checkpoint", before.note(1))
    assert failing(judge(station, bundle)) == {"consistency"}


def test_an_epoch_that_went_on_after_the_next_one_cited_it_is_found(station: Station, tmp_path: Path) -> None:
    before = Station(folder=tmp_path, epoch="2026-10-0001")  # type: ignore[arg-type]
    before.genesis()
    root = before.note(1).decode().split("\n")[2]
    bundle = bundle_of(station, genesis={"previous": bodies.Previous(origin=before.origin, size=1, root=root)})
    folder = "data/logs/st-07/2026-10-0001"
    bundle.add(f"{folder}/station.pem", before.certificates_pem()).add(f"{folder}/1/checkpoint", before.note(1))
    assert failing(judge(station, bundle)) == set()
    before.genesis()
    joint = format_consistency(1, before.consistency_proof(1, 2), before.note(2))
    bundle.add(f"{folder}/2/checkpoint", before.note(2)).add(f"{folder}/2/from-1.consistency", joint)
    assert failing(judge(station, bundle)) == {"consistency"}


def test_an_entry_that_does_not_cite_the_one_before_it_is_found(station: Station) -> None:
    reason = station.reason("end", "x")
    stray = bodies.Disclosure(subject=bodies.Subject(kind="docking", id="d"), action="a", outcome=None, reason=reason)
    bundle = bundle_of(station, lambda it: it.append(stray, prev=EntryRef("1" * 64)))
    assert failing(judge(station, bundle)) == {"consistency"}


def test_a_first_entry_that_cites_one_before_it_is_found(station: Station) -> None:
    body = bodies.Genesis(
        origin=station.origin,
        public_key=vkey(station.origin, station.key.public_key().public_bytes_raw()),
        certificate_sha256=fingerprint(station.certificate),
        previous=None,
        software="edged",
        reason=station.reason("first", "x"),
    )
    station.append(body, prev=EntryRef("1" * 64))
    station.dock("d", "r", {"a": b"a"})
    segment = station.seal("d", "r", "a", b"a")
    station.append(bodies.Undocking(docking=DockingId("d"), outcome="kept", remaining=1))
    bundle = station.bundle(station.export([segment]), station.folder / "b")
    assert failing(judge(station, bundle)) == {"consistency"}


def earlier_epoch(folder: Path, following: str | None) -> Station:
    """Make an epoch of two entries, closed in favour of the log with the origin `following`."""
    before = Station(folder=folder, epoch=EpochId("2026-10-0001"))
    before.genesis()
    before.append(bodies.Close(reason=before.reason("end", "x"), next=following))
    before.sign()
    return before


def with_epoch(bundle: Forgery, before: Station, size: int = 2) -> Forgery:
    """Add the first entries of an earlier epoch, proven at a size."""
    log = f"{before.name}/{before.epoch}"
    bundle.add(f"data/logs/{log}/station.pem", before.certificates_pem())
    bundle.add(f"data/logs/{log}/{size}/checkpoint", before.note(size))
    for seq in range(size):
        bundle.add(f"data/custody/{log}/{seq}.json", before.entry_bytes(seq))
        proof = format_proof(seq, before.inclusion_proof(seq, size), before.note(size))
        bundle.add(f"data/custody/{log}/{seq}.tlog-proof", proof)
    return bundle


def cited(before: Station, size: int = 2) -> bodies.Previous:
    return bodies.Previous(origin=before.origin, size=size, root=before.note(size).decode().split("\n")[2])


def check_of_epochs(station: Station, before: Station, previous: bodies.Previous | None, size: int = 2) -> str:
    """Give the verdict of `consistency`, on which the verifier written from the page alone agrees."""
    bundle = with_epoch(bundle_of(station, genesis={"previous": previous}), before, size)
    own = judge(station, bundle).checks["consistency"].verdict
    theirs = verifier.verify(written(bundle, station.folder / "w"), verifier.Trust([station.root], []))
    assert theirs["checks"]["consistency"]["verdict"] == own  # type: ignore[index]
    return own


def test_epochs_that_join_are_one_history(station: Station, tmp_path: Path) -> None:
    before = earlier_epoch(tmp_path, station.origin)
    assert check_of_epochs(station, before, cited(before)) == "verified"


def test_an_epoch_whose_close_names_nobody_may_be_continued(station: Station, tmp_path: Path) -> None:
    before = earlier_epoch(tmp_path, None)
    assert check_of_epochs(station, before, cited(before)) == "verified"


def test_an_epoch_that_was_closed_in_favour_of_another_is_not_continued(station: Station, tmp_path: Path) -> None:
    before = earlier_epoch(tmp_path, "evidence.example/st-07/2026-12-0002")
    assert check_of_epochs(station, before, cited(before)) == "failed"


def test_an_epoch_that_does_not_cite_the_one_closed_in_its_favour_is_found(station: Station, tmp_path: Path) -> None:
    before = earlier_epoch(tmp_path, station.origin)
    assert check_of_epochs(station, before, None) == "failed"


def test_an_epoch_that_cites_less_than_was_closed_is_found(station: Station, tmp_path: Path) -> None:
    """The closing entry would have been cut off: what is cited must be the very end."""
    before = earlier_epoch(tmp_path, station.origin)
    assert check_of_epochs(station, before, cited(before, 1)) == "failed"


def test_an_epoch_that_cites_more_than_was_closed_is_found(station: Station, tmp_path: Path) -> None:
    before = earlier_epoch(tmp_path, station.origin)
    longer = cited(before).model_copy(update={"size": 3})
    assert check_of_epochs(station, before, longer) == "failed"


def test_a_closed_epoch_that_was_extended_is_found(station: Station, tmp_path: Path) -> None:
    before = earlier_epoch(tmp_path, station.origin)
    previous = cited(before)
    before.append(("novelty", {}))
    assert check_of_epochs(station, before, previous, size=3) == "failed"


def test_an_entry_above_what_the_next_epoch_cites_is_found_without_its_checkpoint(
    station: Station, tmp_path: Path
) -> None:
    before = Station(folder=tmp_path, epoch=EpochId("2026-10-0001"))
    before.genesis()
    before.append(("novelty", {}))
    bundle = with_epoch(bundle_of(station, genesis={"previous": cited(before, 1)}), before)
    bundle.drop("data/logs/st-07/2026-10-0001/2/checkpoint")
    assert judge(station, bundle).checks["consistency"].verdict == "failed"
