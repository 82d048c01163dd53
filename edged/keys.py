"""The station's key files: the epoch's private key, its certificate, and the root's certificate.

    keys/epoch.key     Ed25519, PKCS#8 PEM, readable by the daemon's user alone
    keys/station.pem   certificate of that key, then its issuers without the root
    keys/root.pem      certificate of the root

The root's own private key is written where the person who makes the station says, and belongs off the station:
whoever holds it can certify anything (EVIDENCE.md, section 4).
"""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from edged.clock import Clock
from edged.errors import ConfigError, EdgedError, MalformedError, NotAllowedError, UsageError
from edged.evidence.certificates import certify_epoch, fingerprint, make_root, raw_public_key
from edged.evidence.certificates import load_certificates as parse_certificates
from edged.evidence.ids import Sha256, StationId
from edged.evidence.note import sign_note, vkey

EPOCH_KEY = "epoch.key"
STATION_PEM = "station.pem"
ROOT_PEM = "root.pem"

EPOCH_LIFE = timedelta(days=5 * 365)
"""How long an epoch's certificate is valid; rotation comes well before."""
ROOT_LIFE = timedelta(days=30 * 365)
"""How long a self-made root is valid: as long as footage of permanent cases is likely to be shown."""
_SLACK = timedelta(minutes=5)
"""Certificates begin this much earlier, for verifiers whose clocks are behind."""


@dataclass(frozen=True, kw_only=True)
class StationKey:
    """The key of the open epoch, in the hands of the one process that may use it."""

    private: Ed25519PrivateKey
    certificate: x509.Certificate
    certificates_pem: bytes
    """Certificate of the epoch key, then its issuers without the root."""
    root_pem: bytes

    @property
    def raw_public(self) -> bytes:
        """The 32 bytes of the public key."""
        return raw_public_key(self.certificate)

    @property
    def root_fingerprint(self) -> Sha256:
        """The SHA-256 of the root certificate's DER."""
        return fingerprint(x509.load_pem_x509_certificate(self.root_pem))

    def vkey(self, origin: str) -> str:
        """Give the verifier key of the log with this origin."""
        return vkey(origin, self.raw_public)

    def sign(self, text: str, origin: str) -> bytes:
        """Sign a checkpoint's text as a note under the origin's name."""
        return sign_note(text, origin, self.private)


def make(folder: Path, *, station: StationId, origin: str, clock: Clock, root_key: Path) -> StationKey:
    """Make a root and the first epoch's key, and write them: the root's private key to `root_key` alone.

    Raises UsageError if a file is there already, EdgedError if one cannot be written.
    """
    now = clock.now()
    root_private, root = make_root(station, now - _SLACK, now + ROOT_LIFE)
    private = Ed25519PrivateKey.generate()
    certificate = certify_epoch(
        root_private,
        root,
        station=station,
        origin=origin,
        public_key=private.public_key(),
        not_before=now - _SLACK,
        not_after=now + EPOCH_LIFE,
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(root_key, _private_pem(root_private), 0o600)
        _write_new(folder / EPOCH_KEY, _private_pem(private), 0o600)
        _write_new(folder / STATION_PEM, certificate.public_bytes(Encoding.PEM), 0o644)
        _write_new(folder / ROOT_PEM, root.public_bytes(Encoding.PEM), 0o644)
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} exists already.", hint="A key is never overwritten; name another file or folder."
        ) from error
    except OSError as error:
        raise EdgedError(f"{error.filename} cannot be written: {error.strerror}.") from error
    return load(folder)


def load(folder: Path) -> StationKey:
    """Load the station's key; raises ConfigError, or NotAllowedError if others could read it."""
    try:
        mode = (folder / EPOCH_KEY).stat().st_mode
        private = load_pem_private_key((folder / EPOCH_KEY).read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"The station's key {folder / EPOCH_KEY} cannot be loaded: {error}.",
            hint="Was this station made with `edged init`, and does its own user run it?",
        ) from error
    if mode & 0o077:
        raise NotAllowedError(
            f"The station's key {folder / EPOCH_KEY} can be read by others.", hint="Run `chmod 600` on it."
        )
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"The station's key {folder / EPOCH_KEY} is no Ed25519 key.")
    certificates_pem, root_pem = load_certificates(folder)
    try:
        certificate, *_ = parse_certificates(certificates_pem)
        parse_certificates(root_pem)
        public = raw_public_key(certificate)
    except MalformedError as error:
        raise ConfigError(f"The certificates in {folder} cannot be used: {error.message}.") from error
    if public != private.public_key().public_bytes_raw():
        raise ConfigError(f"{folder / STATION_PEM} is not the certificate of {folder / EPOCH_KEY}.")
    return StationKey(private=private, certificate=certificate, certificates_pem=certificates_pem, root_pem=root_pem)


def load_certificates(folder: Path) -> tuple[bytes, bytes]:
    """Give what anybody may read: the epoch's certificates without the root, and the root's."""
    try:
        return (folder / STATION_PEM).read_bytes(), (folder / ROOT_PEM).read_bytes()
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}.") from error


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_new(path: Path, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
