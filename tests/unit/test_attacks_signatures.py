"""Attacks on the signatures and certificates of a bundle."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from edged.evidence.certificates import certify_epoch, to_pem
from edged.evidence.ids import StationId
from edged.evidence.note import Checkpoint, sign_note
from edged.evidence.verification import Report, Trust
from tests.unit import attacked
from tests.unit.attacked import LOG, Judge, everywhere, video
from tests.unit.bundle_station import (
    START,
    Case,
    Forgery,
    Station,
    failing,
    open_questions,
)

case, honest, bundle, judge = attacked.case, attacked.honest, attacked.bundle, attacked.judge


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


# -- certificates that are right for something else


def certified(case: Case, bundle: Forgery, judge: Judge, **changes: Any) -> Report:
    """Give the station's key another certificate by the same root, and judge."""
    station = case.station
    asked = {
        "root_key": station.root_key,
        "root": station.root,
        "station": station.name,
        "origin": station.origin,
        "public_key": station.key.public_key(),
        "not_before": START - timedelta(days=1),
        "not_after": START + timedelta(days=900),
    }
    certificate = certify_epoch(**(asked | changes))
    return judge(bundle.add(f"data/logs/{LOG}/station.pem", to_pem([certificate])).rebag())


UNCERTIFIED = {"identity", "consistency", "custody", "selection"}
"""`consistency` too: the genesis entry names the digest of the true certificate."""


def test_a_certificate_of_another_station_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    assert failing(certified(case, bundle, judge, station=StationId("st-08"))) == UNCERTIFIED


def test_a_certificate_that_is_not_yet_valid_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    assert failing(certified(case, bundle, judge, not_before=START + timedelta(days=1))) == UNCERTIFIED


def test_a_certificate_that_expired_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    assert failing(certified(case, bundle, judge, not_after=START - timedelta(seconds=1))) == UNCERTIFIED


def test_a_certificate_by_another_root_has_no_identity(
    case: Case, bundle: Forgery, judge: Judge, tmp_path: Path
) -> None:
    other = Station(folder=tmp_path)
    report = certified(case, bundle, judge, root_key=other.root_key, root=other.root)
    assert failing(report) == {"consistency"}
    assert open_questions(report) == {"identity", "custody", "selection", "time"}


def test_another_certified_station_cannot_sign_for_this_one(case: Case, bundle: Forgery, judge: Judge) -> None:
    """Its own key and its own, valid certificate by the very root that the verifier gave."""
    key = Ed25519PrivateKey.generate()
    everywhere(bundle, case.station.heads[37], case.station.note(37, key=key))
    report = certified(
        case,
        bundle,
        judge,
        station=StationId("st-08"),
        origin="evidence.example/st-08/2026-11-ab12",
        public_key=key.public_key(),
    )
    assert failing(report) == UNCERTIFIED
    assert {each.checks["signature"].verdict for each in report.segments} == {"verified"}


def remade(case: Case, usage: x509.KeyUsage, *, authority: bool) -> bytes:
    """Certify the station's key for other uses."""
    station = case.station
    names = [x509.UniformResourceIdentifier(f"tlog:{station.origin}")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station.name)]))
        .issuer_name(station.root.subject)
        .public_key(station.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START - timedelta(days=1))
        .not_valid_after(START + timedelta(days=900))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    return to_pem([certificate.sign(station.root_key, None)])


USE = {
    "digital_signature": True,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


def test_an_authority_s_certificate_as_a_station_s_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    pem = remade(case, x509.KeyUsage(**(USE | {"key_cert_sign": True})), authority=True)
    assert failing(judge(bundle.add(f"data/logs/{LOG}/station.pem", pem).rebag())) == UNCERTIFIED


def test_a_certificate_that_is_not_for_signatures_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    pem = remade(
        case, x509.KeyUsage(**(USE | {"digital_signature": False, "content_commitment": True})), authority=False
    )
    assert failing(judge(bundle.add(f"data/logs/{LOG}/station.pem", pem).rebag())) == UNCERTIFIED


def test_the_root_itself_as_a_station_s_certificate_is_found(case: Case, bundle: Forgery, judge: Judge) -> None:
    pem = to_pem([case.station.root])
    assert {"identity", "signature", "consistency"} <= failing(
        judge(bundle.add(f"data/logs/{LOG}/station.pem", pem).rebag())
    )


def test_a_station_cannot_certify_another(case: Case, bundle: Forgery, judge: Judge) -> None:
    """A leaf whose issuer is the station's own certificate, which is none of an authority."""
    station, key = case.station, Ed25519PrivateKey.generate()
    below = certify_epoch(
        station.key,
        station.certificate,
        station=station.name,
        origin=station.origin,
        public_key=key.public_key(),
        not_before=START - timedelta(days=1),
        not_after=START + timedelta(days=1),
    )
    everywhere(bundle, station.heads[37], station.note(37, key=key))
    report = judge(bundle.add(f"data/logs/{LOG}/station.pem", to_pem([below, station.certificate])).rebag())
    assert "consistency" in failing(report)
    assert {each.checks["identity"].verdict for each in report.segments} <= {"failed", "not-established"}


@pytest.mark.parametrize(
    ("reason", "days", "verdict"),
    [
        (x509.ReasonFlags.superseded, -1, "failed"),
        (x509.ReasonFlags.cessation_of_operation, -1, "failed"),
        (x509.ReasonFlags.superseded, 1, "verified"),
        (x509.ReasonFlags.key_compromise, -1, "not-established"),
        (x509.ReasonFlags.key_compromise, 1, "verified"),
    ],
)
def test_a_revoked_certificate_counts_by_reason_and_time(
    case: Case, bundle: Forgery, reason: x509.ReasonFlags, days: int, verdict: str
) -> None:
    station, since = case.station, (START + timedelta(days=days)).replace(microsecond=0)
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(station.certificate.serial_number)
        .revocation_date(since)
        .add_extension(x509.CRLReason(reason), critical=False)
        .add_extension(x509.InvalidityDate(since), critical=False)
    )
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(station.root.subject)
        .last_update(START)
        .next_update(START + timedelta(days=30))
        .add_revoked_certificate(entry.build())
    )
    report = bundle.verify(Trust(roots=(station.root,), crls=(crl.sign(station.root_key, None),)))
    assert {each.checks["identity"].verdict for each in report.segments} == {verdict}
