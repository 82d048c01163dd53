"""Attacks on the anchors of a bundle: each names what `time` says of it, and whatever else must catch it."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from edged.evidence import bodies, policy
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import DockingId, StationId
from edged.evidence.proofs import format_proof
from edged.evidence.verification import Report, Trust
from hwsim.authority import Authority, Behaviour
from tests.unit.anchored_station import (
    EXPORTED,
    FIRST,
    NOW,
    SEALED,
    TERM,
    Anchored,
    Witness,
    anchored,
    made_authority,
    policy_of,
    stamped,
)
from tests.unit.bundle_station import START, Forgery, Station, failing, open_questions

HOUR = timedelta(hours=1)
AFTER_TERM = TERM[1] + timedelta(days=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return made_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return made_authority(tmp_path_factory.mktemp("other"), name="Other TSA", not_after=START + timedelta(days=9000))


@pytest.fixture(scope="module")
def made(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Anchored:
    return anchored(tmp_path_factory.mktemp("station"), authority)


def time_of(report: Report) -> str:
    (segment,) = report.segments
    return segment.checks["time"].verdict


def detail_of(report: Report) -> str:
    (segment,) = report.segments
    return segment.checks["time"].detail.en


def found(report: Report, words: str) -> bool:
    return any(words in each.en for each in report.findings)


# -- an honest bundle


def test_an_anchored_bundle_is_verified(made: Anchored) -> None:
    report = made.bundle.verify(made.trust())
    assert (report.verdict, failing(report), open_questions(report)) == ("verified", set(), set())
    (segment,) = report.segments
    assert (segment.not_before, segment.not_after) == (FIRST.replace(microsecond=0), SEALED.replace(microsecond=0))
    assert not report.findings
    assert detail_of(report) == "The entry existed on 2026-11-21T10:00:00.000Z, says TSA."


def test_the_earliest_token_counts_even_over_a_larger_size(made: Anchored) -> None:
    report = made.replaced(exported=made.stamp(made.exported, SEALED - HOUR / 2)).verify(made.trust())
    assert time_of(report) == "verified"
    assert report.segments[0].not_after == (SEALED - HOUR / 2).replace(microsecond=0)


def test_several_intermediates_inside_the_token(tmp_path: Path) -> None:
    authority = made_authority(tmp_path / "authority", intermediates=2)
    made = anchored(tmp_path, authority)
    assert made.bundle.verify(made.trust()).verdict == "verified"


@pytest.mark.parametrize("nothing", [{"authorities": ()}, {"authorities": (), "policy": None, "now": None}])
def test_without_an_authority_given_nothing_is_established(made: Anchored, nothing: dict[str, object]) -> None:
    report = made.bundle.verify(made.trust(**nothing))
    assert (failing(report), open_questions(report)) == (set(), {"time"})
    assert (report.segments[0].not_before, report.segments[0].not_after) == (None, None)


def test_without_knowing_the_time_nothing_is_established(made: Anchored) -> None:
    assert time_of(made.bundle.verify(made.trust(now=None))) == "not-established"


# -- tokens


def test_a_token_of_another_checkpoint_is_refused(made: Anchored) -> None:
    report = made.replaced(sealed=made.bundle.files[made.token(made.first)]).verify(made.trust())
    assert failing(report) == {"time"}
    assert "over other bytes" in detail_of(report)


def test_a_token_of_another_log_is_refused(made: Anchored, tmp_path: Path) -> None:
    elsewhere = Station(folder=tmp_path, name=StationId("st-08"))
    elsewhere.genesis()
    token = stamped(made.authority, elsewhere.note(elsewhere.sign()), SEALED)
    assert failing(made.replaced(sealed=token).verify(made.trust())) == {"time"}


def test_a_token_by_an_authority_that_nobody_gave_is_ignored(made: Anchored, other: Authority) -> None:
    forged = stamped(other, made.note(made.sealed), SEALED - HOUR)
    report = made.replaced(sealed=forged).verify(made.trust())
    assert (failing(report), open_questions(report)) == (set(), {"time"})
    assert "later checkpoint" in detail_of(report)
    assert report.segments[0].not_after == EXPORTED.replace(microsecond=0)


def test_one_given_authority_is_enough_beside_another(made: Anchored, other: Authority) -> None:
    bundle = made.bundle.copy().add(made.token(made.sealed, "other"), stamped(other, made.note(made.sealed), SEALED))
    assert time_of(bundle.rebag().verify(made.trust())) == "verified"
    both = made.trust(authorities=(made.authority.root, other.root))
    assert time_of(bundle.verify(both)) == "verified"


def test_one_invalid_token_of_several_given_authorities_is_told(made: Anchored, other: Authority) -> None:
    forged = stamped(other, b"something else", SEALED)
    bundle = made.bundle.copy().add(made.token(made.sealed, "other"), forged).rebag()
    both = made.trust(authorities=(made.authority.root, other.root))
    assert failing(bundle.verify(both)) == {"time"}
    assert time_of(bundle.verify(made.trust())) == "verified"


@pytest.mark.parametrize(
    "behaviour", ["wrong-use", "shared-use", "uncritical-use", "unnamed-certificate", "other-bytes"]
)
def test_a_token_that_is_none_by_the_rules_is_refused(made: Anchored, behaviour: Behaviour) -> None:
    report = made.replaced(sealed=made.stamp(made.sealed, SEALED, behaviour)).verify(made.trust())
    assert failing(report) == {"time"}


@pytest.mark.parametrize("behaviour", ["no-certificates", "refusal", "garbage"])
def test_what_does_not_say_whose_token_it_is_counts_for_nothing(made: Anchored, behaviour: Behaviour) -> None:
    report = made.replaced(sealed=made.stamp(made.sealed, SEALED, behaviour)).verify(made.trust())
    assert (failing(report), open_questions(report)) == (set(), {"time"})
    assert found(report, "not whose one can tell")


def test_an_altered_imprint_is_refused(made: Anchored) -> None:
    token = made.bundle.files[made.token(made.sealed)]
    sealed, exported = (bytes.fromhex(sha256_hex(made.note(size))) for size in (made.sealed, made.exported))
    assert token.count(sealed) == 1
    report = made.replaced(exported=token.replace(sealed, exported)).verify(made.trust())
    assert failing(report) == {"time"}
    assert "not the one that was signed" in detail_of(report)


def test_an_altered_time_in_a_token_is_refused(made: Anchored) -> None:
    token = made.bundle.files[made.token(made.sealed)]
    assert token.count(b"20261121100000Z") == 1
    report = made.replaced(sealed=token.replace(b"20261121100000Z", b"20261121090000Z")).verify(made.trust())
    assert failing(report) == {"time"}


def test_a_token_back_dated_before_the_authority_was_certified_is_refused(made: Anchored) -> None:
    report = made.replaced(sealed=made.stamp(made.sealed, TERM[0] - HOUR)).verify(made.trust())
    assert failing(report) == {"time"}
    assert "was not valid on" in detail_of(report)


def test_a_token_after_the_authority_s_term_is_refused(made: Anchored) -> None:
    report = made.replaced(sealed=made.stamp(made.sealed, TERM[1] + HOUR)).verify(made.trust())
    assert failing(report) == {"time"}


def test_a_removed_token_is_a_finding(made: Anchored) -> None:
    report = made.bundle.copy().drop(made.token(made.sealed)).rebag().verify(made.trust())
    assert (failing(report), open_questions(report)) == (set(), {"time"})
    assert found(report, f"at size {made.sealed} is named but not here")


def test_a_token_put_in_the_place_of_another_size_is_refused(made: Anchored) -> None:
    bundle = made.bundle.copy().move(made.token(made.first), made.token(made.exported, "again"))
    assert failing(bundle.rebag().verify(made.trust())) == {"time"}


# -- authorities that ended


def test_a_token_of_an_expired_authority_is_not_established(made: Anchored) -> None:
    report = made.bundle.verify(made.trust(now=AFTER_TERM))
    assert (failing(report), open_questions(report)) == (set(), {"time"})
    assert "no renewal holds" in detail_of(report)
    assert (report.segments[0].not_before, report.segments[0].not_after) == (None, None)


def renewed(made: Anchored, other: Authority, at: timedelta, behaviour: Behaviour = "honest") -> Forgery:
    bundle = made.bundle.copy()
    token = made.token(made.sealed)
    return bundle.add(
        token.replace(".tsr", ".1.tsr"), stamped(other, bundle.files[token], TERM[1] + at, behaviour)
    ).rebag()


def test_a_token_that_was_renewed_in_time_outlives_its_authority(made: Anchored, other: Authority) -> None:
    both = made.trust(now=AFTER_TERM, authorities=(made.authority.root, other.root))
    report = renewed(made, other, -HOUR).verify(both)
    assert time_of(report) == "verified"
    assert report.segments[0].not_after == SEALED.replace(microsecond=0)


def test_a_token_that_was_renewed_too_late_is_not_established(made: Anchored, other: Authority) -> None:
    both = made.trust(now=AFTER_TERM + HOUR, authorities=(made.authority.root, other.root))
    assert time_of(renewed(made, other, HOUR).verify(both)) == "not-established"


def test_a_renewal_by_an_authority_that_nobody_gave_is_ignored(made: Anchored, other: Authority) -> None:
    assert time_of(renewed(made, other, -HOUR).verify(made.trust(now=AFTER_TERM))) == "not-established"


def test_a_renewal_that_is_invalid_is_refused(made: Anchored, other: Authority) -> None:
    both = made.trust(now=AFTER_TERM, authorities=(made.authority.root, other.root))
    report = renewed(made, other, -HOUR, "other-bytes").verify(both)
    assert failing(report) == {"time"}
    assert "its renewal" in detail_of(report)


def test_a_renewal_is_renewed_in_its_turn(made: Anchored, other: Authority, tmp_path: Path) -> None:
    third = made_authority(tmp_path, name="Third TSA", not_after=START + timedelta(days=20_000))
    bundle = renewed(made, other, -HOUR)
    one, two = (made.token(made.sealed).replace(".tsr", f".{number}.tsr") for number in (1, 2))
    bundle.add(two, stamped(third, bundle.files[one], START + timedelta(days=8999))).rebag()
    all_three = (made.authority.root, other.root, third.root)
    late = START + timedelta(days=15_000)
    assert time_of(bundle.verify(made.trust(now=late, authorities=all_three))) == "verified"
    assert time_of(bundle.verify(made.trust(now=late, authorities=all_three[:2]))) == "not-established"
    gap = bundle.copy().drop(one).rebag()
    assert time_of(gap.verify(made.trust(now=late, authorities=all_three))) == "not-established"


def test_an_authority_revoked_before_it_stamped_is_refused(made: Anchored) -> None:
    crl = made.authority.revoke(made.authority.signer, SEALED - HOUR / 2)
    report = made.bundle.verify(made.trust(crls=(crl,)))
    assert failing(report) == {"time"}
    assert "was revoked on" in detail_of(report)


def test_an_authority_revoked_after_it_stamped_is_not_established(made: Anchored) -> None:
    crl = made.authority.revoke(made.authority.signer, EXPORTED + HOUR)
    report = made.bundle.verify(made.trust(crls=(crl,)))
    assert (failing(report), open_questions(report)) == (set(), {"time"})


def test_an_authority_revoked_after_its_token_was_renewed_is_fine(made: Anchored, other: Authority) -> None:
    crl = made.authority.revoke(made.authority.signer, TERM[1] - HOUR / 2)
    both = made.trust(now=AFTER_TERM, authorities=(made.authority.root, other.root), crls=(crl,))
    assert time_of(renewed(made, other, -HOUR).verify(both)) == "verified"


@pytest.mark.parametrize("since", [SEALED - HOUR, SEALED + HOUR, None])
def test_an_authority_whose_key_was_stolen_establishes_nothing(made: Anchored, since: object) -> None:
    crl = made.authority.revoke(
        made.authority.signer,
        EXPORTED + HOUR,
        reason=x509.ReasonFlags.key_compromise,
        invalid_since=since,  # type: ignore[arg-type]
    )
    report = made.bundle.verify(made.trust(crls=(crl,)))
    assert (failing(report), open_questions(report)) == (set(), {"time"})


def test_a_revocation_list_that_somebody_else_signed_says_nothing(made: Anchored, other: Authority) -> None:
    crl = other.revoke(other.signer, SEALED - HOUR)
    assert made.bundle.verify(made.trust(crls=(crl,))).verdict == "verified"


# -- what came with the bundle is no trust


def test_the_bundle_s_own_authority_and_policy_are_ignored(made: Anchored, other: Authority) -> None:
    forged = made.replaced(sealed=stamped(other, made.note(made.sealed), SEALED - HOUR))
    witness = Witness("w.example/1")
    own = f"witness w {witness.vkey}\nquorum w\n".encode()
    forged.add("data/trust/tsa.pem", other.root_pem).add("data/trust/policy.txt", own)
    made.cosign(forged, made.sealed, witness.line(made.note(made.sealed), SEALED - HOUR)).rebag()
    report = forged.verify(made.trust())
    assert (failing(report), open_questions(report)) == (set(), {"time"})


def test_an_authority_that_shares_its_key_with_a_root_of_stations_is_a_finding(made: Anchored) -> None:
    trust = made.trust(roots=(made.station.root, made.authority.root))
    report = made.bundle.verify(trust)
    assert report.verdict == "verified"
    assert found(report, "shares its key with a root of stations")


# -- cosignatures


@pytest.fixture(scope="module")
def witnesses() -> list[Witness]:
    return [Witness(f"witness.example/w{number}") for number in range(3)]


def cosigned(made: Anchored, *lines: bytes) -> Forgery:
    return made.cosign(made.bundle.copy(), made.sealed, *lines).rebag()


def by_policy(made: Anchored, rules: policy.Policy, **changes: object) -> Trust:
    return made.trust(authorities=(), policy=rules, **changes)


def test_a_quorum_of_witnesses_verifies_the_time(made: Anchored, witnesses: list[Witness]) -> None:
    note = made.note(made.sealed)
    lines = [each.line(note, SEALED + number * HOUR) for number, each in enumerate(witnesses)]
    bundle = cosigned(made, *lines)
    for rule, hours in (("any", 0), ("2", 1), ("all", 2)):
        report = bundle.verify(by_policy(made, policy_of(witnesses, rule), now=None))
        assert (report.verdict, failing(report)) == ("verified", set())
        assert report.segments[0].not_after == (SEALED + hours * HOUR).replace(microsecond=0)


def test_two_of_three_is_no_quorum_with_one(made: Anchored, witnesses: list[Witness]) -> None:
    report = cosigned(made, witnesses[1].line(made.note(made.sealed), SEALED)).verify(
        by_policy(made, policy_of(witnesses, "2"))
    )
    assert (failing(report), open_questions(report)) == (set(), {"time"})
    assert "no quorum" in detail_of(report)


def test_one_witness_twice_is_no_quorum_of_two(made: Anchored, witnesses: list[Witness]) -> None:
    note = made.note(made.sealed)
    twice = cosigned(made, witnesses[0].line(note, SEALED), witnesses[0].line(note, SEALED + HOUR))
    assert time_of(twice.verify(by_policy(made, policy_of(witnesses, "2")))) == "not-established"
    assert twice.verify(by_policy(made, policy_of(witnesses, "any"))).segments[0].not_after == SEALED.replace(
        microsecond=0
    )


def test_quorum_none_establishes_nothing(made: Anchored, witnesses: list[Witness]) -> None:
    lines = [each.line(made.note(made.sealed), SEALED) for each in witnesses]
    report = cosigned(made, *lines).verify(by_policy(made, policy_of(witnesses, "none")))
    assert (failing(report), open_questions(report)) == (set(), {"time"})
    assert "asks for no witness" in detail_of(report)


def test_a_witness_that_the_policy_does_not_name_is_ignored(made: Anchored, witnesses: list[Witness]) -> None:
    report = cosigned(made, Witness("witness.example/w0").line(made.note(made.sealed), SEALED)).verify(
        by_policy(made, policy_of(witnesses, "any"))
    )
    assert (failing(report), open_questions(report)) == (set(), {"time"})


def test_a_cosignature_replayed_from_another_size_is_refused(made: Anchored, witnesses: list[Witness]) -> None:
    report = cosigned(made, witnesses[0].line(made.note(made.first), SEALED)).verify(
        by_policy(made, policy_of(witnesses, "any"))
    )
    assert failing(report) == {"time"}


def test_a_cosignature_replayed_from_another_log_is_refused(
    made: Anchored, witnesses: list[Witness], tmp_path: Path
) -> None:
    elsewhere = Station(folder=tmp_path, name=StationId("st-08"))
    elsewhere.genesis()
    report = cosigned(made, witnesses[0].line(elsewhere.note(elsewhere.sign()), SEALED)).verify(
        by_policy(made, policy_of(witnesses, "any"))
    )
    assert failing(report) == {"time"}


def test_an_altered_time_in_a_cosignature_is_refused(made: Anchored, witnesses: list[Witness]) -> None:
    note = made.note(made.sealed)
    early, late = (witnesses[0].line(note, moment) for moment in (SEALED - HOUR, SEALED))
    # The name, and the 16 characters of key id and time that base64 keeps apart from the rest.
    mixed = early[: -len(late.split()[-1]) - 1 + 16] + late[-len(late.split()[-1]) - 1 + 16 :]
    report = cosigned(made, mixed).verify(by_policy(made, policy_of(witnesses, "any")))
    assert failing(report) == {"time"}


def test_one_invalid_cosignature_is_told_beside_a_quorum(made: Anchored, witnesses: list[Witness]) -> None:
    note = made.note(made.sealed)
    lines = [witnesses[0].line(note, SEALED), witnesses[1].line(made.note(made.first), SEALED)]
    assert failing(cosigned(made, *lines).verify(by_policy(made, policy_of(witnesses, "any")))) == {"time"}


def test_cosignatures_over_another_body_than_the_checkpoint_s_count_for_nothing(
    made: Anchored, witnesses: list[Witness]
) -> None:
    other_body = made.note(made.first)
    bundle = made.bundle.copy()
    bundle.add(f"{made.logs}/{made.sealed}/checkpoint.cosigned", other_body + witnesses[0].line(other_body, SEALED))
    report = bundle.rebag().verify(by_policy(made, policy_of(witnesses, "any")))
    assert failing(report) == {"consistency"}
    assert time_of(report) == "not-established"


def test_a_quorum_earlier_than_the_token_gives_the_time(made: Anchored, witnesses: list[Witness]) -> None:
    bundle = cosigned(made, witnesses[0].line(made.note(made.sealed), SEALED - HOUR / 2))
    report = bundle.verify(made.trust(policy=policy_of(witnesses, "any")))
    assert report.verdict == "verified"
    assert report.segments[0].not_after == (SEALED - HOUR / 2).replace(microsecond=0)


# -- which checkpoint


def test_a_later_anchor_than_the_earliest_is_a_finding(made: Anchored) -> None:
    bundle = made.bundle.copy()
    seq = made.station.entries.index(bundle.files[made.entry()])
    made.prove(bundle, made.entry("entry.tlog-proof"), seq, made.exported).rebag()
    report = bundle.verify(made.trust())
    assert time_of(report) == "verified"
    assert report.segments[0].not_after == EXPORTED.replace(microsecond=0)
    assert found(report, "Not proven by the earliest anchored checkpoint")


def test_a_proof_to_a_shorter_log_is_refused(made: Anchored) -> None:
    bundle = made.bundle.copy()
    seq = made.station.entries.index(bundle.files[made.entry()])
    proof = format_proof(seq, made.station.inclusion_proof(seq, made.sealed), made.note(made.first))
    report = bundle.add(made.entry("entry.tlog-proof"), proof).rebag().verify(made.trust())
    assert "inclusion" in failing(report)


def test_an_anchor_that_no_proof_joins_to_the_entry_does_not_cover_it(made: Anchored) -> None:
    bundle = made.bundle.copy().drop(
        made.token(made.sealed), f"{made.logs}/{made.exported}/from-{made.sealed}.consistency"
    )
    report = bundle.rebag().verify(made.trust())
    assert (failing(report), open_questions(report)) == (set(), {"consistency", "time"})
    assert report.segments[0].not_after is None


def test_the_token_of_a_forked_checkpoint_does_not_cover_the_entry(made: Anchored) -> None:
    forked = made.station.note(made.exported, root=b"\x01" * 32)
    bundle = made.bundle.copy().drop(made.token(made.sealed)).add(f"{made.logs}/{made.exported}/checkpoint", forked)
    bundle.add(made.token(made.exported), stamped(made.authority, forked, SEALED - HOUR))
    report = bundle.rebag().verify(made.trust())
    assert "consistency" in failing(report)
    assert report.segments[0].not_after is None


def test_a_past_re_signed_with_a_stolen_key_is_caught_by_the_token(
    made: Anchored, witnesses: list[Witness], tmp_path: Path
) -> None:
    thief = Station(folder=tmp_path, key=made.station.key)
    thief.root, thief.certificate, thief.after = made.station.root, made.station.certificate, made.station.after
    thief.genesis()
    thief.dock("d", "r", {"a": b"altered"})
    segment = thief.seal("d", "r", "a", b"altered")
    thief.append(bodies.Undocking(docking=DockingId("d"), outcome="kept", remaining=1))
    forged = thief.bundle(thief.export([segment]), tmp_path / "forged")
    size = len(thief.entries)
    assert open_questions(forged.rebag().verify(made.trust())) == {"time"}  # all but the time looks right
    checkpoint = f"{made.logs}/{size}/checkpoint"
    for honest in (made.first, made.sealed, made.exported):
        token = made.bundle.files[made.token(honest)]
        stolen = forged.copy().add(made.token(size), token)
        assert failing(stolen.rebag().verify(made.trust())) == {"time"}
        line = witnesses[0].line(made.note(honest), SEALED)
        stolen = forged.copy().add(f"{checkpoint}.cosigned", forged.files[checkpoint] + line)
        assert failing(stolen.rebag().verify(by_policy(made, policy_of(witnesses, "any")))) == {"time"}
    fresh = forged.copy().add(made.token(size), stamped(made.authority, forged.files[checkpoint], NOW))
    report = fresh.rebag().verify(made.trust())
    assert report.segments[0].not_after == NOW.replace(microsecond=0)  # it shows when it was made


# -- lower bounds


def test_an_entry_that_cites_a_later_anchor_than_the_one_that_covers_it_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    made = anchored(tmp_path, authority)
    early = made.replaced(sealed=made.stamp(made.sealed, FIRST - HOUR)).verify(made.trust())
    assert failing(early) == {"time"}
    assert "cites an anchor of 2026-11-21T09:00:00.000Z" in detail_of(early)
    close = made.replaced(sealed=made.stamp(made.sealed, FIRST - timedelta(seconds=1)))
    assert time_of(close.verify(made.trust())) == "verified"


def test_a_cited_anchor_that_is_not_here_bounds_nothing(made: Anchored) -> None:
    cited = made.bundle.copy().drop(f"data/anchors/{made.station.after}", made.token(made.first)).rebag()
    report = cited.verify(made.trust())
    assert (time_of(report), report.segments[0].not_before) == ("verified", None)


@pytest.mark.parametrize("kept", ["data/anchors", "logs"])
def test_a_cited_anchor_counts_wherever_it_lies(made: Anchored, kept: str) -> None:
    gone = made.token(made.first) if kept == "data/anchors" else f"data/anchors/{made.station.after}"
    report = made.bundle.copy().drop(gone).rebag().verify(made.trust())
    assert report.segments[0].not_before == FIRST.replace(microsecond=0)


def test_a_file_under_anchors_that_is_not_what_its_name_says_is_refused(made: Anchored) -> None:
    bundle = made.bundle.copy().drop(made.token(made.first))
    bundle.add(f"data/anchors/{made.station.after}", made.stamp(made.first, FIRST - HOUR))
    report = bundle.rebag().verify(made.trust())
    assert failing(report) == {"bag"}
    assert report.segments[0].not_before is None


def test_a_cited_cosignature_bounds_where_its_witness_alone_is_a_quorum(
    authority: Authority, witnesses: list[Witness], tmp_path: Path
) -> None:
    made = anchored(tmp_path, authority, cite=False)
    note, station = made.note(made.first), made.station
    line = witnesses[0].line(note, FIRST)
    station.after = sha256_hex(line)
    segment = station.seal("d", "r", "b", b"b")
    size = station.sign() + 1
    bundle = station.bundle(station.export([segment]), tmp_path / "second")
    bundle.add(f"{made.logs}/{size}/tsa.tsr", made.stamp(size, EXPORTED))
    bundle.add(f"data/anchors/{sha256_hex(line)}", line).add(f"data/anchors/{sha256_hex(line)}.checkpoint", note)
    bundle.rebag()
    for rule, bound in (("any", FIRST.replace(microsecond=0)), ("2", None), ("none", None)):
        report = bundle.verify(made.trust(policy=policy_of(witnesses, rule)))
        assert (time_of(report), report.segments[0].not_before) == ("verified", bound)
    lonely = bundle.copy().drop(f"data/anchors/{sha256_hex(line)}.checkpoint").rebag()
    assert lonely.verify(made.trust(policy=policy_of(witnesses, "any"))).segments[0].not_before is None
    replayed = bundle.copy().add(f"data/anchors/{sha256_hex(line)}.checkpoint", made.note(made.sealed)).rebag()
    assert failing(replayed.verify(made.trust(policy=policy_of(witnesses, "any")))) == {"time"}


# -- what the time of signing changes


def test_a_key_stolen_after_the_anchor_leaves_what_was_signed_before(made: Anchored) -> None:
    station = made.station
    for since, expected in ((EXPORTED + HOUR, "verified"), (FIRST, "not-established")):
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(station.certificate.serial_number)
            .revocation_date(NOW)
            .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
            .add_extension(x509.InvalidityDate(since.replace(microsecond=0)), critical=False)
        )
        crl = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(station.root.subject)
            .last_update(NOW)
            .next_update(NOW + HOUR)
            .add_revoked_certificate(entry.build())
            .sign(station.root_key, None)
        )
        assert made.bundle.verify(made.trust(crls=(crl,))).segments[0].checks["identity"].verdict == expected


def test_a_back_dated_entry_is_judged_by_the_anchor_not_by_its_own_clock(authority: Authority, tmp_path: Path) -> None:
    """The certificate ended before the token, though the entry claims a time within it."""
    made = anchored(tmp_path, authority, cite=False)
    station = made.station
    station.certify(station.origin, not_after=SEALED - HOUR / 2)
    bundle = made.bundle.copy().add(f"{made.logs}/station.pem", station.certificates_pem())
    report = bundle.rebag().verify(made.trust())
    assert "identity" in failing(report)
    assert report.segments[0].checks["identity"].detail.en.count("was not valid on 2026-11-21T10:00:00.000Z") == 1
