"""The check `time`, and all that anchors change, asked of both verifiers: they share no code, and give one answer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from edged.evidence import cosignatures, policy
from edged.evidence.digests import sha256_hex
from edged.evidence.verification import Trust
from hwsim.authority import Authority, Behaviour
from tests.independent import verifier
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
    stamped,
)
from tests.unit.bundle_station import START, Forgery
from tests.unit.test_independent_verifier import without_words, written

HOUR = timedelta(hours=1)
WITNESSES = [Witness(f"witness.example/w{number}") for number in range(3)]
Alteration = Callable[[Anchored, Authority], Forgery]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Anchored:
    authority = made_authority(tmp_path_factory.mktemp("authority"), intermediates=1)
    return anchored(tmp_path_factory.mktemp("station"), authority)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return made_authority(tmp_path_factory.mktemp("other"), name="Other", not_after=START + timedelta(days=9000))


def time_of(forgery: Forgery, trust: Trust, folder: Path, rules: str = "") -> str:
    """Ask both verifiers, compare all they say but their words, and give the verdict of `time`."""
    own = forgery.verify(replace(trust, policy=policy.parse(rules.encode()) if rules else None)).plain()
    theirs = verifier.verify(
        written(forgery, folder),
        verifier.Trust(
            list(trust.roots),
            list(trust.crls),
            list(trust.authorities),
            verifier.Policy.parse(rules.encode()) if rules else None,
            trust.now,
        ),
    )
    assert without_words(theirs) == without_words(own)
    (segment,) = own["segments"]  # type: ignore[misc]
    return str(segment["checks"]["time"]["verdict"])


def rules(quorum: str, count: int = 3) -> str:
    lines = [f"witness {number} {each.vkey}" for number, each in enumerate(WITNESSES[:count])]
    members = " ".join(str(number) for number in range(count))
    return "\n".join([*lines, f"group g {quorum} {members}", "quorum g"]) + "\n"


def behaving(behaviour: Behaviour) -> Alteration:
    return lambda made, _: made.replaced(sealed=made.stamp(made.sealed, SEALED, behaviour))


def stamped_at(moment: object) -> Alteration:
    return lambda made, _: made.replaced(sealed=made.stamp(made.sealed, moment))  # type: ignore[arg-type]


def dropped(*names: str) -> Alteration:
    def drop(made: Anchored, _: Authority) -> Forgery:
        places = {
            "first": made.token(made.first),
            "sealed": made.token(made.sealed),
            "exported": made.token(made.exported),
            "cited": f"data/anchors/{made.station.after}",
            "joint": f"{made.logs}/{made.exported}/from-{made.sealed}.consistency",
        }
        return made.bundle.copy().drop(*(places[name] for name in names)).rebag()

    return drop


def honest(made: Anchored, _: Authority) -> Forgery:
    return made.bundle.copy()


def another_checkpoint(made: Anchored, _: Authority) -> Forgery:
    return made.replaced(sealed=made.bundle.files[made.token(made.first)])


def nobody_s_token(made: Anchored, other: Authority) -> Forgery:
    return made.replaced(sealed=stamped(other, made.note(made.sealed), SEALED - HOUR))


def altered_time(made: Anchored, _: Authority) -> Forgery:
    token = made.bundle.files[made.token(made.sealed)]
    return made.replaced(sealed=token.replace(b"20261121100000Z", b"20261121090000Z"))


def later_proof(made: Anchored, _: Authority) -> Forgery:
    bundle = made.bundle.copy()
    seq = made.station.entries.index(bundle.files[made.entry()])
    return made.prove(bundle, made.entry("entry.tlog-proof"), seq, made.exported).rebag()


def misnamed_anchor(made: Anchored, _: Authority) -> Forgery:
    bundle = made.bundle.copy().drop(made.token(made.first))
    return bundle.add(f"data/anchors/{made.station.after}", made.stamp(made.first, FIRST - HOUR)).rebag()


def earlier_token_over_more(made: Anchored, _: Authority) -> Forgery:
    return made.replaced(exported=made.stamp(made.exported, SEALED - HOUR / 2))


def invalid_token_over_more(made: Anchored, _: Authority) -> Forgery:
    return made.replaced(exported=made.stamp(made.exported, EXPORTED, "other-bytes"))


@pytest.mark.parametrize(
    ("alter", "expected"),
    [
        (honest, "verified"),
        (another_checkpoint, "failed"),
        (nobody_s_token, "not-established"),
        (altered_time, "failed"),
        (behaving("wrong-use"), "failed"),
        (behaving("shared-use"), "failed"),
        (behaving("uncritical-use"), "failed"),
        (behaving("unnamed-certificate"), "failed"),
        (behaving("other-bytes"), "failed"),
        (behaving("no-certificates"), "not-established"),
        (behaving("refusal"), "not-established"),
        (behaving("garbage"), "not-established"),
        (stamped_at(TERM[0] - HOUR), "failed"),
        (stamped_at(TERM[1] + HOUR), "failed"),
        (stamped_at(FIRST - HOUR), "failed"),
        (stamped_at(FIRST - timedelta(seconds=2)), "verified"),
        (stamped_at(FIRST - timedelta(seconds=4)), "failed"),
        (dropped("sealed"), "not-established"),
        (dropped("sealed", "joint"), "not-established"),
        (dropped("first"), "verified"),
        (dropped("cited"), "verified"),
        (dropped("first", "cited"), "verified"),
        (dropped("first", "sealed", "exported", "cited"), "not-established"),
        (later_proof, "verified"),
        (misnamed_anchor, "verified"),
        (earlier_token_over_more, "verified"),
        (invalid_token_over_more, "failed"),
    ],
)
def test_tokens(made: Anchored, other: Authority, tmp_path: Path, alter: Alteration, expected: str) -> None:
    assert time_of(alter(made, other), made.trust(), tmp_path / "b") == expected


@pytest.mark.parametrize("given", [{"authorities": ()}, {"now": None}, {"now": TERM[1] + HOUR}, {"roots": ()}])
def test_what_the_verifier_gives(made: Anchored, tmp_path: Path, given: dict[str, object]) -> None:
    expected = "verified" if "roots" in given else "not-established"
    assert time_of(made.bundle, made.trust(**given), tmp_path / "b") == expected


@pytest.mark.parametrize(
    ("renewed", "expected"),
    [
        ((-HOUR, "honest"), "verified"),
        ((HOUR, "honest"), "not-established"),
        ((-HOUR, "other-bytes"), "failed"),
        ((-HOUR, "garbage"), "not-established"),
    ],
)
def test_renewals(
    made: Anchored, other: Authority, tmp_path: Path, renewed: tuple[timedelta, Behaviour], expected: str
) -> None:
    at, behaviour = renewed
    token = made.token(made.sealed)
    bundle = made.bundle.copy()
    renewal = stamped(other, bundle.files[token], TERM[1] + at, behaviour)
    bundle.add(token.replace(".tsr", ".1.tsr"), renewal).rebag()
    both = made.trust(authorities=(made.authority.root, other.root), now=TERM[1] + 2 * HOUR)
    assert time_of(bundle, both, tmp_path / "b") == expected
    one = made.trust(now=TERM[1] + 2 * HOUR)
    assert time_of(bundle, one, tmp_path / "b") == "not-established"


COMPROMISED = x509.ReasonFlags.key_compromise


@pytest.mark.parametrize(
    ("at", "changes", "expected"),
    [
        (SEALED - HOUR / 2, {}, "failed"),
        (NOW - HOUR, {}, "not-established"),
        (NOW + HOUR, {}, "verified"),
        (NOW - HOUR, {"reason": COMPROMISED}, "not-established"),
        (NOW - HOUR, {"reason": COMPROMISED, "invalid_since": SEALED - HOUR}, "not-established"),
        (NOW - HOUR, {"reason": COMPROMISED, "invalid_since": EXPORTED}, "not-established"),
        (NOW - HOUR, {"reason": COMPROMISED, "invalid_since": NOW + HOUR}, "verified"),
    ],
)
def test_revoked_authorities(
    made: Anchored, tmp_path: Path, at: datetime, changes: dict[str, Any], expected: str
) -> None:
    authority = made.authority
    for certificate in (authority.signer, authority.issuers[1].certificate):
        crl = authority.revoke(certificate, at, **changes)
        assert time_of(made.bundle, made.trust(crls=(crl,)), tmp_path / "b") == expected


Lines = Callable[[Anchored], list[bytes]]


def at_hours(*hours: float | None) -> Lines:
    return lambda made: [
        each.line(made.note(made.sealed), SEALED + hour * HOUR)
        for each, hour in zip(WITNESSES, hours, strict=False)
        if hour is not None
    ]


def replayed(made: Anchored) -> list[bytes]:
    return [WITNESSES[0].line(made.note(made.first), SEALED)]


def zero(made: Anchored) -> list[bytes]:
    text = made.note(made.sealed).decode().partition("\n\n")[0] + "\n"
    witness = WITNESSES[0]
    signature = bytes(8) + witness.key.sign(f"cosignature/v1\ntime 0\n{text}".encode())
    key_id = cosignatures.parse_line(witness.line(made.note(made.sealed), SEALED)).key_id
    return [f"\u2014 {witness.name} {cosignatures.to_base64(key_id + signature)}\n".encode()]


@pytest.mark.parametrize(
    ("lines", "quorum", "expected"),
    [
        (at_hours(0, 1, 2), "any", "verified"),
        (at_hours(0, 1, 2), "2", "verified"),
        (at_hours(2, 1, 0), "all", "verified"),
        (at_hours(0, 1), "all", "not-established"),
        (at_hours(None, 1), "2", "not-established"),
        (lambda made: [*at_hours(0)(made), *at_hours(1)(made)], "2", "not-established"),
        (lambda made: [*at_hours(1)(made), *at_hours(0)(made)], "any", "verified"),
        (replayed, "any", "failed"),
        (lambda made: [*at_hours(None, 0)(made), *replayed(made)], "any", "failed"),
        (zero, "any", "failed"),
        (lambda made: [Witness("witness.example/w0").line(made.note(made.sealed), SEALED)], "any", "not-established"),
    ],
)
def test_cosignatures(made: Anchored, tmp_path: Path, lines: Lines, quorum: str, expected: str) -> None:
    bundle = made.cosign(made.bundle.copy(), made.sealed, *lines(made)).rebag()
    assert time_of(bundle, made.trust(authorities=()), tmp_path / "b", rules(quorum)) == expected


def test_a_quorum_before_the_token_that_the_entry_cites(made: Anchored, tmp_path: Path) -> None:
    bundle = made.cosign(made.bundle.copy(), made.sealed, *at_hours(-1.5)(made)).rebag()
    assert time_of(bundle, made.trust(authorities=()), tmp_path / "b", rules("any")) == "verified"
    assert time_of(bundle, made.trust(), tmp_path / "b", rules("any")) == "failed"


def test_quorum_none(made: Anchored, tmp_path: Path) -> None:
    bundle = made.cosign(made.bundle.copy(), made.sealed, *at_hours(0, 1, 2)(made)).rebag()
    none = rules("any").replace("quorum g", "quorum none")
    assert time_of(bundle, made.trust(authorities=()), tmp_path / "b", none) == "not-established"
    assert time_of(bundle, made.trust(), tmp_path / "b", none) == "verified"


def test_a_cited_cosignature(tmp_path: Path) -> None:
    authority = made_authority(tmp_path / "authority")
    made = anchored(tmp_path, authority, cite=False)
    note, station = made.note(made.first), made.station
    line = WITNESSES[0].line(note, FIRST)
    station.after = sha256_hex(line)
    segment = station.seal("d", "r", "b", b"b")
    bundle = station.bundle(station.export([segment]), tmp_path / "second")
    size = len(station.entries)
    bundle.add(f"{made.logs}/{size}/tsa.tsr", made.stamp(size, EXPORTED))
    place = f"data/anchors/{sha256_hex(line)}"
    bundle.add(place, line).add(f"{place}.checkpoint", note).rebag()
    for quorum in ("any", "2"):
        assert time_of(bundle, made.trust(), tmp_path / "b", rules(quorum)) == "verified"
    wrong = bundle.copy().add(f"{place}.checkpoint", made.note(made.sealed)).rebag()
    assert time_of(wrong, made.trust(), tmp_path / "b", rules("any")) == "failed"
    early = bundle.copy().add(f"{made.logs}/{size}/tsa.tsr", made.stamp(size, FIRST - HOUR)).rebag()
    assert time_of(early, made.trust(), tmp_path / "b", rules("any")) == "failed"
