"""The key of the next epoch: requested, certified by whoever may, installed only if it fits, and turned to in order."""

import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edged import keys
from edged.errors import ConfigError, NotAllowedError, UsageError
from edged.evidence.certificates import certify_epoch, fingerprint, make_root, to_pem
from edged.evidence.ids import StationId
from edged.keys import files
from edged.keys.certifying import request_of
from tests.unit.book_station import START, STATION, Ticking

FIRST = f"evidence.example/{STATION}/2026-11-ab12"
NEXT = f"evidence.example/{STATION}/2026-12-cd34"
YEARS = timedelta(days=5 * 365)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of keys of a station in its first epoch; the root's key lies beside."""
    keys.make(tmp_path / "keys", station=STATION, origin=FIRST, clock=Ticking(), root_key=tmp_path / "root.key")
    return tmp_path / "keys"


@pytest.fixture
def here(folder: Path) -> keys.KeyFolder:
    return keys.KeyFolder(folder)


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def certified(folder: Path, here: keys.KeyFolder) -> bytes:
    """Request a key and certify it by the station's own root."""
    waiting = here.request(station=STATION, origin=NEXT)
    root_key = folder.with_name("root.key").read_bytes()
    return keys.certify(root_key, here.roots_pem(), waiting.request, station=STATION, now=START)


def install(here: keys.KeyFolder, answer: bytes, root: bytes | None = None) -> keys.Waiting:
    return here.install(answer, root, station=STATION, clock=Ticking())


def test_request_is_what_an_authority_needs(folder: Path, here: keys.KeyFolder) -> None:
    waiting = here.request(station=STATION, origin=NEXT)
    assert request_of(waiting.request)[0] == NEXT
    text = openssl("req", "-in", folder / "next/request.pem", "-noout", "-verify", "-text")
    assert f"CN = {STATION}" in text
    assert f"URI:tlog:{NEXT}" in text
    assert "CA:FALSE" in text
    assert "Digital Signature" in text
    assert (folder / "next/epoch.key").stat().st_mode & 0o777 == 0o600
    assert (folder / "next").stat().st_mode & 0o777 == 0o700
    # Asked again, it is the same: somebody may be certifying it just now.
    assert here.request(station=STATION, origin="evidence.example/st-07/2027-01-0000") == waiting


def test_key_without_its_request_was_shown_to_nobody_and_is_made_anew(folder: Path, here: keys.KeyFolder) -> None:
    first = here.request(station=STATION, origin=NEXT)
    (folder / "next/request.pem").unlink()
    assert here.waiting() is None
    assert here.request(station=STATION, origin=NEXT).public != first.public


def test_own_root_certifies_the_next_key(folder: Path, here: keys.KeyFolder) -> None:
    waiting = install(here, certified(folder, here))
    assert waiting.is_valid(START)
    assert not waiting.is_valid(START + timedelta(days=20_000))
    old = here.of(FIRST)
    turned = here.turn_to(NEXT)
    assert turned.raw_public == waiting.public != old.raw_public
    assert here.of(NEXT).raw_public == turned.raw_public
    assert here.certificates_of(FIRST) == old.certificates_pem
    assert here.waiting() is None
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "epoch.key",
        "station.pem",
        "root.pem",
        "closed/2026-11-ab12.pem",
    }
    with pytest.raises(ConfigError):
        here.of(FIRST)


class Agency:
    """A root, an authority under it, and what they issue."""

    def __init__(self) -> None:
        self.root_key, self.root = make_root(StationId("agency"), START - YEARS, START + YEARS)
        self.key = Ed25519PrivateKey.generate()
        name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "agency's own")])
        self.issuer = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.root.subject)
            .public_key(self.key.public_key())
            .serial_number(7)
            .not_valid_before(START - YEARS)
            .not_valid_after(START + YEARS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.root_key, None)
        )

    def issue(self, request: bytes, **changes: object) -> x509.Certificate:
        origin, public = request_of(request)
        given = {"station": STATION, "origin": origin, "public_key": public} | changes
        times = {"not_before": START - timedelta(days=1), "not_after": START + YEARS}
        return certify_epoch(self.key, self.issuer, **(times | given))  # type: ignore[arg-type]


@pytest.fixture
def agency() -> Agency:
    # Its root may have an authority under it.
    made = Agency()
    key = made.root_key
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "self-made by agency")])
    made.root = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(START - YEARS)
        .not_valid_after(START + YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .sign(key, None)
    )
    return made


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 2), (2, 1, 0)])
def test_answer_of_an_authority_is_taken_with_or_without_its_root(
    here: keys.KeyFolder, agency: Agency, order: tuple[int, ...]
) -> None:
    leaf = agency.issue(here.request(station=STATION, origin=NEXT).request)
    answer = to_pem([(leaf, agency.issuer, agency.root)[each] for each in order])
    waiting = install(here, answer, to_pem([agency.root]))
    assert waiting.certificates == (leaf, agency.issuer)
    here.turn_to(NEXT)
    # Bundles hold both epochs, so both roots stay known, the newest first.
    found = [fingerprint(each) for each in x509.load_pem_x509_certificates(here.roots_pem())]
    assert found[0] == fingerprint(agency.root)
    assert len(found) == 2


def other_key(agency: Agency, request: bytes) -> list[x509.Certificate]:
    stranger: Ed25519PublicKey = Ed25519PrivateKey.generate().public_key()
    return [agency.issue(request, public_key=stranger), agency.issuer]


REFUSED: dict[str, tuple[Callable[[Agency, bytes], list[x509.Certificate]], str]] = {
    "of another key": (other_key, "None of these certificates is of the key"),
    "twice": (lambda a, r: [a.issue(r), a.issue(r, not_after=START + timedelta(days=9)), a.issuer], "Several"),
    "for another station": (lambda a, r: [a.issue(r, station="st-08"), a.issuer], "instead of the station"),
    "for another log": (lambda a, r: [a.issue(r, origin=FIRST), a.issuer], "not for the log"),
    "expired": (lambda a, r: [a.issue(r, not_after=START - timedelta(hours=1)), a.issuer], "was not valid"),
    "without its issuer": (lambda a, r: [a.issue(r)], "no path leads"),
    "with the issuer of others": (lambda a, r: [a.issue(r), Agency().issuer], "no path leads"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_certificate_that_does_not_fit_is_refused(here: keys.KeyFolder, agency: Agency, what: str) -> None:
    make, text = REFUSED[what]
    answer = make(agency, here.request(station=STATION, origin=NEXT).request)
    with pytest.raises(UsageError, match=text):
        install(here, to_pem(answer), to_pem([agency.root]))
    found = here.waiting()
    assert found is not None
    assert not found.certificates


def test_certificate_of_an_authority_is_none_of_a_log(here: keys.KeyFolder, agency: Agency) -> None:
    request = here.request(station=STATION, origin=NEXT).request
    leaf = agency.issue(request)
    builder = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(leaf.issuer)
        .public_key(leaf.public_key())
        .serial_number(3)
        .not_valid_before(START)
        .not_valid_after(START + YEARS)
    )
    for certificate in (
        builder.sign(agency.key, None),
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(agency.key, None),
    ):
        with pytest.raises(UsageError, match="CA:FALSE"):
            install(here, to_pem([certificate, agency.issuer]), to_pem([agency.root]))


def test_root_that_came_with_the_answer_alone_is_not_trusted(here: keys.KeyFolder, agency: Agency) -> None:
    leaf = agency.issue(here.request(station=STATION, origin=NEXT).request)
    with pytest.raises(UsageError, match="no path leads") as caught:
        install(here, to_pem([leaf, agency.issuer, agency.root]))
    assert fingerprint(agency.root) in caught.value.hint


def test_nothing_waits_nothing_is_installed(here: keys.KeyFolder, agency: Agency) -> None:
    with pytest.raises(UsageError, match="No key waits"):
        install(here, to_pem([agency.root]))


def test_root_key_of_somebody_else_certifies_nothing(here: keys.KeyFolder) -> None:
    request = here.request(station=STATION, origin=NEXT).request
    stranger = files.private_pem(Ed25519PrivateKey.generate())
    for key in (stranger, b"nothing"):
        with pytest.raises(UsageError):
            keys.certify(key, here.roots_pem(), request, station=STATION, now=START)


class Killed(BaseException):
    """The process ends here."""


STEPS = ("destroy", "write_over", "move", "sync_folder", "write_new")


@pytest.mark.parametrize("nth", range(1, 40))
def test_turn_that_is_killed_at_any_step_is_walked_on(
    folder: Path, here: keys.KeyFolder, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(here, certified(folder, here))
    public = here.waiting()
    old = here.certificates_of(FIRST)
    count = 0

    def dying(call: Callable[..., None]) -> Callable[..., None]:
        def one(*args: object, **options: object) -> None:
            nonlocal count
            count += 1
            if count == nth:
                raise Killed
            call(*args, **options)
            count += 1
            if count == nth:
                raise Killed

        return one

    from edged.keys import folder as module  # noqa: PLC0415 - patched where it is used

    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(files, name, dying(getattr(files, name)))
            patch.setattr(module, name, getattr(files, name))
        try:
            here.turn_to(NEXT)
        except Killed:
            pass
        else:
            assert count < nth, "a kill was not noticed"
    again = keys.KeyFolder(folder)
    again.check()
    assert again.certificates_of(FIRST) == old
    key = again.turn_to(NEXT)
    assert public is not None
    assert key.raw_public == public.public
    assert again.private_origins() == {NEXT}
    assert again.certificates_of(FIRST) == old
    assert not list(folder.rglob("*.key.new"))


def test_destroyed_key_is_overwritten_before_it_is_removed(tmp_path: Path) -> None:
    key = tmp_path / "epoch.key"
    files.write_new(key, b"secret" * 20, 0o600)
    (tmp_path / "link").hardlink_to(key)
    files.destroy(key)
    assert not key.exists()
    assert (tmp_path / "link").read_bytes() == bytes(120)
    # Destroyed it stays.
    files.destroy(key)


@pytest.mark.parametrize("path", ["epoch.key", "next/epoch.key"])
def test_private_key_that_others_can_read_stops_the_start(folder: Path, here: keys.KeyFolder, path: str) -> None:
    here.request(station=STATION, origin=NEXT)
    here.check()
    (folder / path).chmod(0o640)
    with pytest.raises(NotAllowedError, match="can be read by others"):
        here.check()


def test_key_that_waits_is_destroyed_when_its_epoch_was_opened_elsewhere(folder: Path, here: keys.KeyFolder) -> None:
    install(here, certified(folder, here))
    here.discard()
    assert here.waiting() is None
    assert here.private_origins() == {FIRST}
    assert not list((folder / "next").iterdir())
