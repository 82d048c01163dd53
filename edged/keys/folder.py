"""The folder of keys: the one that signs now, the one that waits for the next epoch, certificates of those before.

Changing over is a walk of small durable steps (`KeyFolder.turn_to`), each of which can be the last before a crash:
certificates of the old epoch kept; old private key destroyed; new root, new certificates, new key in their places.
Where it stopped is seen from the files, and the next call walks on.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from edged.clock import Clock
from edged.errors import ConfigError, EdgedError, MalformedError, UsageError
from edged.evidence.certificates import (
    SAN_PREFIX,
    certify_epoch,
    extension_of,
    fingerprint,
    make_root,
    raw_public_key,
    to_pem,
)
from edged.evidence.certificates import load_certificates as parse_certificates
from edged.evidence.ids import Sha256, StationId, split_origin
from edged.evidence.note import sign_note, vkey
from edged.keys.certifying import EPOCH_LIFE, SLACK, check_answer, make_request, request_of
from edged.keys.files import CONDEMNED, destroy, load_private, move, private_pem, sync_folder, write_new, write_over

EPOCH_KEY: Final = "epoch.key"
STATION_PEM: Final = "station.pem"
ROOT_PEM: Final = "root.pem"
_REQUEST_PEM: Final = "request.pem"
_NEXT: Final = "next"
_CLOSED: Final = "closed"

ROOT_LIFE: Final = timedelta(days=30 * 365)
"""How long a self-made root is valid: as long as footage of permanent cases is likely to be shown."""


@dataclass(frozen=True, kw_only=True)
class StationKey:
    """The key of an epoch, in the hands of the one process that may use it."""

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
        return fingerprint(parse_certificates(self.root_pem)[0])

    def vkey(self, origin: str) -> str:
        """Give the verifier key of the log with this origin."""
        return vkey(origin, self.raw_public)

    def sign(self, text: str, origin: str) -> bytes:
        """Sign a checkpoint's text as a note under the origin's name."""
        return sign_note(text, origin, self.private)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The key of the next epoch."""

    origin: str
    request: bytes
    public: bytes
    certificates: tuple[x509.Certificate, ...]
    """Empty until it is certified."""

    def is_valid(self, now: datetime) -> bool:
        """Say whether it is certified, and the certificate is valid now."""
        return bool(self.certificates) and (
            self.certificates[0].not_valid_before_utc <= now <= self.certificates[0].not_valid_after_utc
        )


class KeyFolder:
    """The keys of one station."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = folder / _NEXT
        self.turn = threading.RLock()
        """Held by whoever signs, and by whoever changes what is signed with."""

    def check(self) -> None:
        """Load every private key that is here; raises ConfigError, NotAllowedError."""
        if (self._folder / EPOCH_KEY).exists() or not (self._next / EPOCH_KEY).exists():
            load(self._folder)
        if (self._next / EPOCH_KEY).exists():
            load_private(self._next / EPOCH_KEY)

    def private_origins(self) -> set[str]:
        """Give the origins of the logs whose private keys are here."""
        found = {self._folder / EPOCH_KEY: self._folder / STATION_PEM, self._next / EPOCH_KEY: self._next / STATION_PEM}
        here = {origin_of_certificate(_first(pem)) for key, pem in found.items() if key.exists() and pem.exists()}
        # Between two steps of a change-over the certificate has its place, and its key not yet.
        if not (self._folder / EPOCH_KEY).exists() and (self._next / EPOCH_KEY).exists():
            here.add(origin_of_certificate(_first(self._folder / STATION_PEM)))
        return here

    def private_files(self) -> list[Path]:
        """Give the private keys that are here, one that is being destroyed among them."""
        named = [folder / EPOCH_KEY for folder in (self._folder, self._next)]
        return [path for path in [*named, named[0].with_name(f"{EPOCH_KEY}{CONDEMNED}")] if path.exists()]

    # ------------------------------------------------------------------------------------------- reading

    def certificates_of(self, origin: str) -> bytes | None:
        """Give the certificates of any epoch of this station, without the root, in PEM; None if they are not here."""
        closed = self._folder / _CLOSED / f"{split_origin(origin)[2]}.pem"
        for path in (self._folder / STATION_PEM, self._next / STATION_PEM, closed):
            if path.exists() and origin_of_certificate(_first(path)) == origin:
                return path.read_bytes()
        return None

    def roots_pem(self) -> bytes:
        """Give the certificates of all roots that vouch for epochs of this station."""
        known = _read(self._folder / ROOT_PEM)
        new = self._next / ROOT_PEM
        return (
            to_pem(tuple(dict.fromkeys([*_certificates(new.read_bytes()), *_certificates(known)])))
            if (new.exists())
            else known
        )

    def waiting(self) -> Waiting | None:
        """Give the key that waits for the next epoch, certified or not."""
        request = self._next / _REQUEST_PEM
        if not request.exists() or not (self._next / EPOCH_KEY).exists():
            return None
        try:
            origin, public = request_of(request.read_bytes())
        except MalformedError as error:
            raise ConfigError(f"{request} cannot be used: {error.message}.") from error
        answer = self._next / STATION_PEM
        certificates = _certificates(answer.read_bytes()) if answer.exists() else ()
        return Waiting(
            origin=origin, request=request.read_bytes(), public=public.public_bytes_raw(), certificates=certificates
        )

    # ------------------------------------------------------------------------------------ the next epoch

    def request(self, *, station: StationId, origin: str) -> Waiting:
        """Make a key for the epoch with this origin, and its request; one that waits already stays, and is given."""
        if (waiting := self.waiting()) is not None:
            return waiting
        self.discard()
        self._next.mkdir(mode=0o700, exist_ok=True)
        sync_folder(self._folder)
        private = Ed25519PrivateKey.generate()
        write_new(self._next / EPOCH_KEY, private_pem(private), 0o600)
        # The request is last: a key without one was never shown to anybody, and is made anew.
        write_new(self._next / _REQUEST_PEM, make_request(private, station=station, origin=origin), 0o644)
        found = self.waiting()
        if found is None:
            raise ConfigError(f"{self._next} does not hold what was just written.")
        return found

    def install(self, answer: bytes, root: bytes | None, *, station: StationId, clock: Clock) -> Waiting:
        """Take in what came back for the waiting key: its certificate and issuers; `root` where it is a new one.

        Raises UsageError with what does not fit.
        """
        waiting = self.waiting()
        if waiting is None:
            raise UsageError("No key waits for a certificate.", hint="`edged key request` makes one.")
        known = _certificates(_read(self._folder / ROOT_PEM))
        try:
            roots = (*(() if root is None else parse_certificates(root)), *known)
        except MalformedError as error:
            raise UsageError(f"The root cannot be read: {error.message}.") from error
        pem, end = check_answer(
            answer, roots, public=waiting.public, station=station, origin=waiting.origin, now=clock.now()
        )
        write_over(self._next / ROOT_PEM, end.public_bytes(Encoding.PEM), 0o644)
        write_over(self._next / STATION_PEM, pem, 0o644)
        return self.waiting() or waiting

    def discard(self) -> None:
        """Destroy the key that waits: its epoch was opened elsewhere."""
        destroy(self._next / EPOCH_KEY)
        for name in (_REQUEST_PEM, STATION_PEM, ROOT_PEM):
            (self._next / name).unlink(missing_ok=True)

    def keep_certificates(self, origin: str, pem: bytes) -> None:
        """Keep the certificates of an epoch whose key was never here, or is not any more."""
        folder = self._folder / _CLOSED
        if not folder.exists():
            folder.mkdir(mode=0o755)
            sync_folder(self._folder)
        write_over(folder / f"{split_origin(origin)[2]}.pem", pem, 0o644)

    # ----------------------------------------------------------------------------------------- signing

    def of(self, origin: str) -> StationKey:
        """Load the key that signs the log of an origin; raises ConfigError if there is none."""
        path = self._folder / STATION_PEM
        if origin_of_certificate(_first(path)) != origin:
            raise ConfigError(
                f"{path} is not the certificate of {origin}.", hint="`edged key show` says which keys are here."
            )
        return load(self._folder)

    def turn_to(self, origin: str) -> StationKey:
        """Make the waiting key the one that signs, the old one destroyed; called when nothing of it is to be signed.

        Does nothing where the key of this origin signs already. Raises ConfigError where it is neither.
        """
        current, new = self._folder / STATION_PEM, self._next / STATION_PEM
        if (old := origin_of_certificate(_first(current))) != origin:
            if not new.exists() or origin_of_certificate(_first(new)) != origin:
                return self.of(origin)
            self.keep_certificates(old, current.read_bytes())
            destroy(self._folder / EPOCH_KEY)
            write_over(self._folder / ROOT_PEM, self.roots_pem(), 0o644)
            move(new, current)
        key, kept = self._next / EPOCH_KEY, self._folder / EPOCH_KEY
        if key.exists() and not kept.exists():
            move(key, kept)
        if not key.exists():
            for name in (_REQUEST_PEM, ROOT_PEM):
                (self._next / name).unlink(missing_ok=True)
        return self.of(origin)


def make(folder: Path, *, station: StationId, origin: str, clock: Clock, root_key: Path) -> StationKey:
    """Make a root and the first epoch's key, and write them: the root's private key to `root_key` alone.

    Raises UsageError if a file is there already, EdgedError if one cannot be written.
    """
    now = clock.now()
    root_private, root = make_root(station, now - SLACK, now + ROOT_LIFE)
    private = Ed25519PrivateKey.generate()
    certificate = certify_epoch(
        root_private,
        root,
        station=station,
        origin=origin,
        public_key=private.public_key(),
        not_before=now - SLACK,
        not_after=now + EPOCH_LIFE,
    )
    try:
        # Its group reads the certificates, to make bundles with; each private key is its owner's alone.
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        write_new(root_key, private_pem(root_private), 0o600)
        write_new(folder / EPOCH_KEY, private_pem(private), 0o600)
        write_new(folder / STATION_PEM, certificate.public_bytes(Encoding.PEM), 0o644)
        write_new(folder / ROOT_PEM, root.public_bytes(Encoding.PEM), 0o644)
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} exists already.", hint="A key is never overwritten; name another file or folder."
        ) from error
    except OSError as error:
        raise EdgedError(f"{error.filename} cannot be written: {error.strerror}.") from error
    return load(folder)


def load(folder: Path) -> StationKey:
    """Load the key that signs; raises ConfigError, or NotAllowedError if others could read it."""
    private = load_private(folder / EPOCH_KEY)
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
    """Give what anybody may read: the certificates of the epoch that is signed now, and the roots'."""
    return _read(folder / STATION_PEM), _read(folder / ROOT_PEM)


def origin_of_certificate(certificate: x509.Certificate) -> str:
    """Give the origin of the log whose key a certificate is for; nothing where it names none."""
    names = extension_of(certificate, x509.SubjectAlternativeName)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier) if names else []
    return next((uri.removeprefix(SAN_PREFIX) for uri in uris if uri.startswith(SAN_PREFIX)), "")


def _first(path: Path) -> x509.Certificate:
    return _certificates(_read(path))[0]


def _certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    try:
        return parse_certificates(pem)
    except MalformedError as error:
        raise ConfigError(f"A certificate of the station cannot be used: {error.message}.") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}.") from error
