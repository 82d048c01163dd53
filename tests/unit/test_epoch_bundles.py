"""A bundle over two epochs: two logs, two keys, two roots even. Both verifiers and the page of commands see it good."""

import json
import re
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from edged import keys
from edged.book.ledger import Epoch
from edged.bundles.make import make_bundle
from edged.evidence import bodies
from edged.evidence.certificates import certify_epoch, fingerprint, load_certificates, make_root
from edged.evidence.ids import DockingId, EpochId, StationId
from edged.evidence.note import Checkpoint, vkey
from edged.evidence.verification import Trust
from edged.keys.certifying import request_of
from edged.station.files import KEYS
from edged.station.view import StationView
from edged.vault.place import place
from tests.independent import verifier
from tests.unit.book_station import (
    CENTRAL,
    START,
    STATION,
    VAULT,
    Ticking,
    classified,
    copied,
    docked,
    sealed,
    sg,
    undocked,
)
from tests.unit.bundle_station import Forgery
from tests.unit.calling import Caller
from tests.unit.kept import keep_original
from tests.unit.made_station import FILES, Made, make_used
from tests.unit.test_independent_verifier import not_verified, without_words, written

LATER = DockingId("dk-20261121-00000002")
NEXT = EpochId("2026-12-cd34")
BODY = b"footage of the second epoch"


def publish(made: Made) -> None:
    """Sign and publish all epochs in their order, as the station does."""
    folder, ledger = keys.KeyFolder(made.config.paths.state / KEYS), made.book.ledger
    for _ in range(10):
        epoch = ledger.signing_epoch()
        log = ledger.log(epoch)
        if log.published_size() == log.size():
            return
        key, head = folder.turn_to(epoch.origin), log.decide_head()
        text = Checkpoint(origin=epoch.origin, size=head.size, root=head.root).text()
        log.keep_note(head, key.sign(text, epoch.origin))
        log.mark_published(head.size)


def change_over(made: Made, origin: str) -> tuple[Epoch, x509.Certificate]:
    """Go on under a key that another root certified; gives the old epoch and the new root."""
    folder, ledger = keys.KeyFolder(made.config.paths.state / KEYS), made.book.ledger
    waiting = folder.request(station=STATION, origin=origin)
    root_key, root = make_root(StationId("agency"), START.replace(year=2020), START.replace(year=2046))
    leaf = certify_epoch(
        root_key,
        root,
        station=STATION,
        origin=origin,
        public_key=request_of(waiting.request)[1],
        not_before=START.replace(year=2025),
        not_after=START.replace(year=2030),
    )
    pem = root.public_bytes(Encoding.PEM)
    folder.install(leaf.public_bytes(Encoding.PEM), pem, station=STATION, clock=Ticking())
    old = ledger.epoch
    reason = made.book.registers.add_reason(code="rotation", text="once a year")
    with made.book.database.write():
        previous = ledger.close_epoch(bodies.Close(reason=reason, next=origin))
        genesis = bodies.Genesis(
            origin=origin,
            public_key=vkey(origin, waiting.public),
            certificate_sha256=fingerprint(leaf),
            previous=previous,
            software="edged 0.1.0",
            reason=reason,
        )
        ledger.open_epoch(id=NEXT, origin=origin, genesis=genesis)
    return old, root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make_used(tmp_path_factory.mktemp("station"))
    change_over(made, f"evidence.example/{STATION}/{NEXT}")
    # The recorder of the first epoch comes again, with one file more; a segment of the first moves to another case.
    ledger = made.book.ledger
    body, document = docked({"20261121/d.mp4": BODY}, LATER)
    ledger.append(body, documents=[document])
    segment = sealed("20261121/d.mp4", BODY, docking=LATER)
    day = segment.recorded.start
    assert day is not None
    where = place(recorder=segment.recorder, segment=segment.segment, path=segment.path, day=day)
    keep_original(made.vault, where, BODY)
    ledger.append(segment, *(copied(segment.segment, store) for store in (VAULT, CENTRAL)))
    moved = sg(FILES["20261121/a.mp4"])
    before = made.book.facts.classification(moved)
    assert before is not None
    ledger.append(classified(moved, case="case-2", supersedes=before.ref), undocked(LATER, "kept", 1))
    made.export()
    publish(made)
    return made


@pytest.fixture(scope="module")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "bundle"
    (number,) = made.book.ledger.positions_of_type("export")
    make_bundle(StationView(made.book, made.config), number, out)
    return out


def roots(made: Made) -> tuple[x509.Certificate, ...]:
    return load_certificates((made.config.paths.state / KEYS / keys.ROOT_PEM).read_bytes())


def both(bundle: Path, trust: Trust) -> dict[str, str]:
    """Ask both verifiers; they agree on every check, and what they say is given."""
    own = without_words(Forgery.of(bundle).verify(trust).plain())
    other = without_words(verifier.verify(bundle, verifier.Trust(list(trust.roots), list(trust.crls))))
    assert own == other
    return not_verified(own | {"findings": [], "not_proven": []})


def test_bundle_holds_both_logs_with_their_ends(made: Made, bundle: Path) -> None:
    old, new = made.book.ledger.epochs()
    for epoch in (old, new):
        folder = bundle / "data/logs" / STATION / epoch.id
        size = made.book.ledger.log(epoch).size()
        assert {path.name for path in folder.iterdir()} == {"station.pem", f"{size}"}
    custody = bundle / "data/custody" / STATION
    ends = {epoch.id: made.book.ledger.log(epoch).of_type("close") for epoch in (old, new)}
    assert (custody / old.id / f"{ends[old.id][0]}.json").exists()
    assert (custody / old.id / "0.json").exists()
    assert (custody / new.id / "0.json").exists()
    epochs = {json.loads(path.read_bytes())["epoch"] for path in bundle.glob("data/segments/*/entry.json")}
    assert epochs == {old.id, new.id}
    assert len(list(bundle.glob("data/segments/*/entry.json"))) == len(FILES) + 1


def test_both_verifiers_find_it_good_under_both_roots(made: Made, bundle: Path) -> None:
    assert len(roots(made)) == 2
    assert both(bundle, Trust(roots=roots(made))) == {}


@pytest.mark.parametrize("which", [0, 1])
def test_one_root_vouches_for_one_epoch_only(made: Made, bundle: Path, which: int) -> None:
    found = both(bundle, Trust(roots=(roots(made)[which],)))
    # The newest root vouches for the export and the second epoch, the station's own for the first.
    wanted = ["custody", "identity"] if which == 0 else ["custody", "identity", "selection"]
    assert found == dict.fromkeys(wanted, "not-established")


def test_the_same_export_gives_the_same_bytes_when_the_epoch_has_ended(
    made: Made, bundle: Path, tmp_path: Path
) -> None:
    (number,) = made.book.ledger.positions_of_type("export")
    again = tmp_path / "again"
    make_bundle(StationView(made.book, made.config), number, again)
    left, right = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (bundle, again)
    )
    assert left == right


Change = Callable[[Forgery, str, str], Forgery]

ATTACKS: dict[str, tuple[Change, str]] = {
    "the key of the new epoch in the old one's place": (
        lambda b, old, new: b.add(f"data/logs/{old}/station.pem", b.files[f"data/logs/{new}/station.pem"]),
        "failed",
    ),
    "the close is left out": (
        lambda b, old, _: _without_close(b, old),
        "failed",
    ),
    "the old log without its certificate": (
        lambda b, old, _: b.drop(f"data/logs/{old}/station.pem"),
        "not-established",
    ),
}


def _without_close(bundle: Forgery, log: str) -> Forgery:
    (found,) = [
        path
        for path, data in bundle.files.items()
        if path.startswith(f"data/custody/{log}/") and b'"type":"close"' in data
    ]
    return bundle.drop(found).drop(found.replace(".json", ".tlog-proof"))


@pytest.mark.parametrize("what", ATTACKS)
def test_epochs_that_were_tampered_with_are_caught(made: Made, bundle: Path, tmp_path: Path, what: str) -> None:
    change, verdict = ATTACKS[what]
    old, new = (f"{STATION}/{epoch.id}" for epoch in made.book.ledger.epochs())
    forged = change(Forgery.of(bundle), old, new).rebag()
    found = both(written(forged, tmp_path / "forged"), Trust(roots=roots(made)))
    assert verdict in found.values()


def test_commands_of_the_page_find_it_good(made: Made, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes((made.config.paths.state / KEYS / keys.ROOT_PEM).read_bytes())
    blocks = re.findall(r"^```sh\n(.*?)^```$", (bundle / "VERIFY.md").read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["sh"],
        input="\n".join(blocks),
        cwd=bundle,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "LC_ALL": "C.UTF-8", "ROOT": str(tmp_path / "root.pem")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count("Signature Verified Successfully") == 2
    assert done.stdout.count("OK: the key is certified for this log") == 2
    entries = len(list(bundle.glob("data/custody/*/*/*.json"))) + len(list(bundle.glob("data/segments/*/entry.json")))
    assert len(re.findall(r"^OK: data/(?:custody/.*|segments/.*/entry)\.json$", done.stdout, re.MULTILINE)) == entries


def revoked(made: Made, reason: x509.ReasonFlags, since: datetime, dated: datetime | None) -> bytes:
    """Give the list by which the station's own root revokes the certificate of the first epoch."""
    key = load_pem_private_key((made.config_folder.parent / "root.key").read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    folder = keys.KeyFolder(made.config.paths.state / KEYS)
    (root,) = [each for each in roots(made) if each.public_key() == key.public_key()]
    leaf = load_certificates(folder.certificates_of(made.book.ledger.epochs()[0].origin) or b"")[0]
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(leaf.serial_number)
        .revocation_date(since)
        .add_extension(x509.CRLReason(reason), critical=False)
    )
    if dated is not None:
        entry = entry.add_extension(x509.InvalidityDate(dated.replace(tzinfo=None)), critical=False)
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(root.subject)
        .last_update(since)
        .next_update(since + timedelta(days=30))
        .add_revoked_certificate(entry.build())
        .sign(key, None)
        .public_bytes(Encoding.PEM)
    )


STOLEN = x509.ReasonFlags.key_compromise
DAY = timedelta(days=1)

REVOKED = {
    "stolen before it signed": (STOLEN, START + DAY, START - DAY, "not-established"),
    "stolen after it signed": (STOLEN, START - DAY, START + DAY, "verified"),
    "stolen, nobody says when": (STOLEN, START + DAY, None, "not-established"),
    "withdrawn before it signed": (x509.ReasonFlags.superseded, START - DAY, None, "failed"),
    "withdrawn after it signed": (x509.ReasonFlags.superseded, START + DAY, None, "verified"),
}


@pytest.mark.parametrize("what", REVOKED)
def test_revocation_of_one_epochs_key_counts_by_its_dates_and_for_that_epoch_alone(
    made: Made, bundle: Path, what: str
) -> None:
    reason, since, dated, verdict = REVOKED[what]
    crl = x509.load_pem_x509_crl(revoked(made, reason, since, dated))
    found = both(bundle, Trust(roots=roots(made), crls=(crl,)))
    assert found == ({} if verdict == "verified" else {"custody": verdict, "identity": verdict})
    report = Forgery.of(bundle).verify(Trust(roots=roots(made), crls=(crl,)))
    old, _ = made.book.ledger.epochs()
    verdicts = {each.segment: each.checks["identity"].verdict for each in report.segments}
    for segment, each in verdicts.items():
        in_old = bool(made.book.ledger.log(old).naming("segment", segment)) and segment != sg(BODY)
        assert each == (verdict if in_old else "verified")


def test_revocation_list_on_the_command_line_changes_the_verdict(
    made: Made, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "root.pem").write_bytes((made.config.paths.state / KEYS / keys.ROOT_PEM).read_bytes())
    (tmp_path / "crl.pem").write_bytes(revoked(made, x509.ReasonFlags.superseded, START - DAY, None))
    said = Caller(capsys)("verify", bundle, "--trust", tmp_path / "root.pem", "--crl", tmp_path / "crl.pem", "--json")
    assert said.code == 1
    assert json.loads(said.out)["checks"]["custody"]["verdict"] == "failed"
