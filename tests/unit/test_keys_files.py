"""The station's keys: made once, readable by their owner alone, never overwritten, and what stock tools expect."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edged import keys
from edged.errors import ConfigError, EdgedError, NotAllowedError, UsageError
from edged.evidence.certificates import fingerprint
from edged.evidence.note import parse_note, parse_vkey, verify
from edged.keys import EPOCH_KEY, ROOT_PEM, STATION_PEM, StationKey
from tests.unit.book_station import ORIGIN, STATION, Ticking


class Clock(Ticking):
    """Goes on by milliseconds from now, so that `openssl` finds the certificates valid."""

    def now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys"


@pytest.fixture
def root_key(tmp_path: Path) -> Path:
    return tmp_path / "root.key"


@pytest.fixture
def key(folder: Path, root_key: Path) -> StationKey:
    return make(folder, root_key)


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def make(folder: Path, root_key: Path) -> StationKey:
    return keys.make(folder, station=STATION, origin=ORIGIN, clock=Clock(), root_key=root_key)


def openssl(*arguments: object) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_private_keys_are_readable_by_their_owner_alone(key: StationKey, folder: Path, root_key: Path) -> None:
    assert (mode(folder), mode(folder / EPOCH_KEY), mode(root_key)) == (0o750, 0o600, 0o600)
    assert {path.name for path in folder.iterdir()} == {EPOCH_KEY, STATION_PEM, ROOT_PEM}
    assert key.private.public_key().public_bytes_raw() == key.raw_public


def test_private_key_of_the_root_is_written_nowhere_else(key: StationKey, folder: Path, root_key: Path) -> None:
    secret = root_key.read_bytes().splitlines()[1]
    assert key.root_pem == (folder / ROOT_PEM).read_bytes()
    assert not [path for path in folder.iterdir() if secret in path.read_bytes()]


def test_what_was_made_is_what_is_loaded(key: StationKey, folder: Path) -> None:
    again = keys.load(folder)
    assert again.raw_public == key.raw_public
    assert again.certificates_pem == key.certificates_pem
    assert again.root_fingerprint == key.root_fingerprint == fingerprint(x509.load_pem_x509_certificate(key.root_pem))


def test_what_it_signs_verifies_under_its_verifier_key(key: StationKey) -> None:
    text = f"{ORIGIN}\n1\nAAAA\n"
    note = parse_note(key.sign(text, ORIGIN))
    assert verify(note, parse_vkey(key.vkey(ORIGIN)))


def test_certificate_says_what_stock_tools_look_for(key: StationKey, folder: Path, root_key: Path) -> None:
    assert key.certificate
    station, root = folder / STATION_PEM, folder / ROOT_PEM
    told = openssl("x509", "-in", station, "-noout", "-subject", "-issuer", "-ext", "subjectAltName")
    assert f"CN = {STATION}" in told.replace("CN=", "CN = ")
    assert f"self-made by {STATION}" in told
    assert f"URI:tlog:{ORIGIN}" in told
    assert openssl("x509", "-in", station, "-noout", "-ext", "basicConstraints").endswith("CA:FALSE\n")
    usage = openssl("x509", "-in", station, "-noout", "-ext", "keyUsage")
    assert usage.splitlines()[1].strip() == "Digital Signature"
    assert "critical" in usage
    authority = openssl("x509", "-in", root, "-noout", "-ext", "basicConstraints,keyUsage")
    assert "CA:TRUE, pathlen:0" in authority
    assert openssl("verify", "-no-CApath", "-no-CAstore", "-CAfile", root, station).strip() == f"{station}: OK"
    assert "ED25519" in openssl("pkey", "-in", folder / EPOCH_KEY, "-noout", "-text")
    public = openssl("pkey", "-in", root_key, "-pubout")
    assert public == openssl("x509", "-in", root, "-noout", "-pubkey")


def test_epoch_outlives_years_and_the_root_decades(key: StationKey) -> None:
    root = x509.load_pem_x509_certificate(key.root_pem)
    now = datetime.now(UTC)
    assert key.certificate.not_valid_before_utc < now < key.certificate.not_valid_after_utc
    assert (key.certificate.not_valid_after_utc - now).days // 365 == 4
    assert (root.not_valid_after_utc - now).days // 365 == 29


@pytest.mark.parametrize("name", [EPOCH_KEY, STATION_PEM, ROOT_PEM])
def test_no_file_is_ever_overwritten(folder: Path, root_key: Path, name: str) -> None:
    folder.mkdir(parents=True)
    (folder / name).write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        make(folder, root_key)
    assert (folder / name).read_text() == "precious"


def test_root_key_is_never_written_over_another(folder: Path, root_key: Path, tmp_path: Path) -> None:
    root_key.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="exists already"):
        make(folder, root_key)
    assert not (tmp_path / "elsewhere").exists()
    assert not list(folder.iterdir())


def test_place_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgedError, match=r"nowhere/root\.key cannot be written"):
        make(folder, tmp_path / "nowhere" / "root.key")
    assert not list(folder.iterdir())


def test_umask_that_hides_everything_hides_the_certificates_alone(folder: Path, root_key: Path) -> None:
    os.umask(0o077)
    make(folder, root_key)
    assert {mode(path) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o660, 0o601])
def test_key_that_others_could_read_is_not_used(key: StationKey, folder: Path, bits: int) -> None:
    assert key
    (folder / EPOCH_KEY).chmod(bits)
    with pytest.raises(NotAllowedError, match="can be read by others") as caught:
        keys.load(folder)
    assert caught.value.exit_code == 77
    assert "chmod 600" in caught.value.hint


def test_certificate_of_another_key_is_refused(key: StationKey, folder: Path, tmp_path: Path) -> None:
    assert key
    make(tmp_path / "other", tmp_path / "other-root.key")
    shutil.copy(tmp_path / "other" / STATION_PEM, folder / STATION_PEM)
    with pytest.raises(ConfigError, match="is not the certificate of"):
        keys.load(folder)


@pytest.mark.parametrize("name", [EPOCH_KEY, STATION_PEM, ROOT_PEM])
@pytest.mark.parametrize("content", [None, b"", b"no PEM at all", b"\xff\xfe"])
def test_file_that_is_missing_or_is_something_else_is_a_configuration_error(
    key: StationKey, folder: Path, name: str, content: bytes | None
) -> None:
    assert key
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    with pytest.raises(ConfigError):
        keys.load(folder)


def test_key_of_another_kind_is_refused(key: StationKey, folder: Path) -> None:
    assert key
    rsa = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / EPOCH_KEY).write_bytes(rsa)
    with pytest.raises(ConfigError, match="no Ed25519 key"):
        keys.load(folder)


def test_two_stations_never_share_a_key(key: StationKey, tmp_path: Path) -> None:
    other = make(tmp_path / "other", tmp_path / "other-root.key")
    assert other.raw_public != key.raw_public
    assert other.root_fingerprint != key.root_fingerprint
