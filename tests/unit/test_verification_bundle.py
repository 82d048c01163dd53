"""An honest bundle: what verification says of it, under which trust, and in which form."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.evidence import bodies
from edged.evidence.certificates import fingerprint, make_root
from edged.evidence.ids import DockingId, Sha256, StationId
from edged.evidence.verification import Trust, sentences, verify
from edged.evidence.verification.report import BUNDLE_CHECKS, SEGMENT_CHECKS, not_established
from tests.unit.bundle_station import (
    START,
    Case,
    Forgery,
    Station,
    failing,
    open_questions,
    ordinary_case,
)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return ordinary_case(tmp_path_factory.mktemp("station"))


@pytest.fixture(scope="module")
def honest(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Forgery:
    return case.station.bundle(case.export_seq, tmp_path_factory.mktemp("out") / "b", kinds=["poster"])


def test_everything_but_the_time_is_verified(case: Case, honest: Forgery) -> None:
    report = honest.verify(case.station.trust)
    assert (report.verdict, failing(report), open_questions(report)) == ("not-established", set(), {"time"})
    assert [each.segment for each in report.segments] == sorted([case.video, case.photo, case.empty])


def test_the_report_says_in_plain_words_that_only_the_time_is_open(case: Case, honest: Forgery) -> None:
    said = [each.en for each in sentences(honest.verify(case.station.trust))]
    assert said[0].startswith("Not established, because of the time alone")
    assert any("That is a claim" in line for line in said)
    assert any("O=self-made by st-07" in line and fingerprint(case.station.root) in line for line in said)
    assert all(each.zh for each in sentences(honest.verify(case.station.trust)))


@pytest.mark.parametrize(
    ("also_open", "start"),
    [
        (
            ["completeness"],
            "Not established: the time is not confirmed from outside, and there are findings on whether",
        ),
        (["chain"], "Not established: nothing here contradicts the evidence"),
        (["chain", "completeness"], "Not established: nothing here contradicts the evidence"),
    ],
)
def test_the_bundle_is_not_called_whole_where_another_check_is_open(
    case: Case, honest: Forgery, also_open: list[str], start: str
) -> None:
    report = honest.verify(case.station.trust)
    open_ones = dict.fromkeys(also_open, not_established("Something is amiss.", "有异常之处。"))
    said = next(iter(sentences(replace(report, checks={**report.checks, **open_ones}))))
    assert said.en.startswith(start)
    assert "whole" not in said.en
    assert "证据包完整" not in said.zh


def test_the_json_object_has_exactly_the_keys_of_section_7(case: Case, honest: Forgery) -> None:
    document = honest.verify(case.station.trust).plain()
    assert json.loads(json.dumps(document)) == document
    assert list(document) == ["verdict", "checks", "segments", "findings", "not_proven"]
    checks, segments = document["checks"], document["segments"]
    assert isinstance(checks, dict)
    assert isinstance(segments, list)
    assert tuple(checks) == BUNDLE_CHECKS
    assert all(set(check) == {"verdict", "detail"} for check in checks.values())
    for segment in segments:
        assert set(segment) == {
            "segment", "name", "verdict", "checks", "root", "not_before", "not_after", "damage",
        }  # fmt: skip
        assert tuple(segment["checks"]) == SEGMENT_CHECKS
        assert segment["root"] == {
            "subject": "O=self-made by st-07",
            "sha256": fingerprint(case.station.root),
        }
        assert (segment["not_before"], segment["not_after"], segment["damage"]) == (None, None, [])


def test_a_pool_changes_nothing(case: Case, honest: Forgery) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert verify(honest, case.station.trust, pool) == honest.verify(case.station.trust)


def test_without_a_root_nothing_is_known_of_who_signed(honest: Forgery) -> None:
    report = honest.verify(Trust())
    assert failing(report) == set()
    assert open_questions(report) == {"identity", "custody", "selection", "time"}
    assert all(each.root is None for each in report.segments)


def test_under_another_root_nothing_is_known_of_who_signed(honest: Forgery) -> None:
    _, other = make_root(StationId("st-07"), START - timedelta(days=1), START + timedelta(days=1))
    report = honest.verify(Trust(roots=(other,)))
    assert failing(report) == set()
    assert open_questions(report) == {"identity", "custody", "selection", "time"}


def test_not_proven_says_the_five_things_of_section_7(case: Case, honest: Forgery) -> None:
    said = " ".join(each.en for each in honest.verify(case.station.trust).not_proven)
    for words in (
        "before a file was read from the card",
        "after the export",
        "revoked was not checked",
        "flash memory removes its name",
        "binds to no authority",
    ):
        assert words in said


def test_findings_tell_what_the_evidence_says(case: Case, honest: Forgery) -> None:
    said = " ".join(each.en for each in honest.verify(case.station.trust).findings)
    assert "clock-stepped" in said
    assert "cannot be played: empty file" in said
    assert "shows nothing between 2026-11-21T07:00:51+08:00 and 2026-11-21T07:02:00+08:00" in said


def test_findings_tell_of_quarantine_and_clocks(tmp_path: Path) -> None:
    station = Station(folder=tmp_path)
    station.genesis()
    station.dock("d", "r", {"a": b"a"}, clock_offset_ms=-90_000)
    segment = station.seal(
        "d",
        "r",
        "a",
        b"a",
        quarantine=bodies.Quarantine(code="read-error", unreadable=((0, 1),), second_sha256=None),
        recorded=bodies.Recorded(
            start="2026-11-22T00:00:00+00:00", end=None, zone="UTC", source="mtime", uncertainty_ms=0
        ),
    )
    station.append(bodies.Undocking(docking=DockingId("d"), outcome="kept", remaining=1))
    report = station.bundle(station.export([segment]), tmp_path / "b").verify(station.trust)
    said = " ".join(each.en for each in report.findings)
    assert f"{segment} (a) is in quarantine (read-error); unreadable bytes: 0–1." in said
    assert "-90.000 s (± 0.100 s) off the station's" in said
    assert "recorded after it was sealed" in said
    assert failing(report) == set()


def test_findings_give_no_bytes_of_a_file_in_quarantine_that_could_be_read(tmp_path: Path) -> None:
    station = Station(folder=tmp_path)
    station.genesis()
    station.dock("d", "r", {"DCIM/A.MP4": b"a"})
    twice = bodies.Quarantine(code="second-reading-differs", unreadable=(), second_sha256=Sha256("0" * 64))
    segment = station.seal("d", "r", "DCIM/A.MP4", b"a", quarantine=twice)
    station.append(bodies.Undocking(docking=DockingId("d"), outcome="kept", remaining=1))
    report = station.bundle(station.export([segment]), tmp_path / "b").verify(station.trust)
    assert f"{segment} (DCIM/A.MP4) is in quarantine (second-reading-differs)." in [each.en for each in report.findings]


def test_settings_logs_and_positions_are_not_said_to_be_damaged_recordings(tmp_path: Path) -> None:
    station = Station(folder=tmp_path)
    station.genesis()
    card = {"VIDEO/1.MP4": b"v", "VIDEO/2.MP4": b"w", "GPS/1.NMEA": b"g", "DEVICE.INI": b"i", "LOG/1.LOG": b"l"}
    station.dock("d", "r", card)
    dark = bodies.Unreadable(unreadable="it is damaged beyond reading")
    sealed = [station.seal("d", "r", "VIDEO/1.MP4", b"v")]
    sealed += [
        station.seal("d", "r", path, card[path], media=dark) for path in ("VIDEO/2.MP4", "DEVICE.INI", "LOG/1.LOG")
    ]
    # Beside a film, also what is named as one.
    sealed += [station.seal("d", "r", "GPS/1.NMEA", b"g", media=dark, side_of=sealed[0])]
    sealed += [station.seal("d", "r", "VIDEO/1.JPG", b"j", media=dark, side_of=sealed[0])]
    station.append(bodies.Undocking(docking=DockingId("d"), outcome="kept", remaining=5))
    report = station.bundle(station.export(sealed), tmp_path / "b").verify(station.trust)
    said = [each.en for each in report.findings if "cannot be played" in each.en]
    assert said == ["1 file(s) cannot be played: it is damaged beyond reading: 2.MP4."]


def test_a_certificate_revoked_before_signing_fails_identity(case: Case, honest: Forgery) -> None:
    report = honest.verify(Trust(roots=(case.station.root,), crls=(_crl(case, x509.ReasonFlags.superseded, -10),)))
    assert failing(report) == {"identity", "custody", "selection"}


def test_a_certificate_revoked_after_signing_does_not(case: Case, honest: Forgery) -> None:
    report = honest.verify(Trust(roots=(case.station.root,), crls=(_crl(case, x509.ReasonFlags.superseded, 900),)))
    assert open_questions(report) == {"time"}
    assert any("only against the 1 list" in each.en for each in report.not_proven)


def test_a_key_stolen_before_signing_leaves_identity_open(case: Case, honest: Forgery) -> None:
    report = honest.verify(Trust(roots=(case.station.root,), crls=(_crl(case, x509.ReasonFlags.key_compromise, -10),)))
    assert failing(report) == set()
    assert open_questions(report) == {"identity", "custody", "selection", "time"}


def _crl(case: Case, reason: x509.ReasonFlags, seconds: int) -> x509.CertificateRevocationList:
    at = START + timedelta(seconds=seconds)
    revoked = (
        x509.RevokedCertificateBuilder()
        .serial_number(case.station.certificate.serial_number)
        .revocation_date(at)
        .add_extension(x509.CRLReason(reason), critical=False)
        .add_extension(x509.InvalidityDate(at.replace(microsecond=0)), critical=False)
        .build()
    )
    builder = x509.CertificateRevocationListBuilder().issuer_name(case.station.root.subject)
    return (
        builder.last_update(START)
        .next_update(START + timedelta(days=1))
        .add_revoked_certificate(revoked)
        .sign(case.station.root_key, None)
    )


def test_a_bundle_without_segments_is_never_verified(case: Case) -> None:
    report = Forgery({}).verify(case.station.trust)
    assert failing(report) == {"bag"}
    assert report.checks["custody"].verdict == "verified"
    assert report.checks["completeness"].verdict == "not-established"


def test_a_thief_of_nothing_cannot_sign_with_a_key_of_his_own(case: Case, tmp_path: Path) -> None:
    forged = Station(folder=tmp_path, key=Ed25519PrivateKey.generate())
    forged.genesis()
    forged.dock("d", "r", {"a": b"a"})
    segment = forged.seal("d", "r", "a", b"a")
    report = forged.bundle(forged.export([segment]), tmp_path / "b").verify(case.station.trust)
    assert "identity" in open_questions(report)
    assert report.verdict == "not-established"
