"""`witness.toml`: who a witness is, where it listens, and which logs it knows; and the making of a new one.

The key is made once, by `edged witness init`, and read by nobody but the witness's user. A log is known by its
verifier key: name and origin of an edged ledger are the same.
"""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from pydantic import AfterValidator, Field, model_validator

from edged.config import Folder, Part, parse_toml, read_toml
from edged.errors import ConfigError, EdgedError, MalformedError, NotAllowedError, UsageError
from edged.evidence.cosignatures import witness_vkey
from edged.evidence.note import ED25519, VerifierKey, parse_vkey

WITNESS_TOML: Final = "witness.toml"
WITNESS_KEY: Final = "witness.key"
MEMORY: Final = "memory.sqlite"

_TEMPLATE: Final = """\
# A witness: it cosigns the ledgers of stations, and never anything that contradicts what it cosigned before.
# It reads this file when it starts.

# What it signs as; it belongs to the key, and cannot be changed later.
name = "{name}"
# Where it listens: an address of this machine, and a port.
listen = "127.0.0.1:8700"
# With both, it speaks HTTPS; stations name the authority of this certificate as `ca_file`.
#certificate = "/etc/edged/witness.pem"
#key = "/etc/edged/witness-tls.key"

# One table for each ledger that it knows. `edged status` of a station that it does not know says what to put here;
# each new epoch of a station is a new ledger.
#[[log]]
#vkey = "example.org/st-01/2026-11-0a1b+01234567+…"
"""


def _key_of_log(text: str) -> str:
    try:
        kind = parse_vkey(text).kind
    except MalformedError as error:
        raise ValueError(f"a verifier key: {error.message}") from error
    if kind != ED25519:
        raise ValueError("the verifier key of a log (type 0x01)")
    return text


class LogPart(Part):
    """A log that the witness knows."""

    vkey: Annotated[str, AfterValidator(_key_of_log)]
    origin: Annotated[str, Field(min_length=1, pattern=r"^[^\n]+$")] | None = None
    """The log's origin, if it is not the name of its key."""

    @property
    def key(self) -> VerifierKey:
        """The key by which the log signs."""
        return parse_vkey(self.vkey)


class WitnessConfig(Part):
    """`witness.toml` as a whole."""

    name: Annotated[str, Field(pattern=r"^[^\s+\"\\]{1,128}$")]
    listen: Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")] = "127.0.0.1:8700"
    certificate: Folder | None = None
    key: Folder | None = None
    """PEM files by which it speaks HTTPS."""
    log: tuple[LogPart, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key only together")
        if not 0 <= self.address[1] <= 65_535:  # noqa: PLR2004 - ports
            raise ValueError("listen with a port up to 65535")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen at; port 0 for a free one."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    def logs(self) -> dict[str, list[VerifierKey]]:
        """Give the keys of each log by its origin."""
        found: dict[str, list[VerifierKey]] = {}
        for each in self.log:
            found.setdefault(each.origin or each.key.name, []).append(each.key)
        return found

    def tls(self) -> ssl.SSLContext | None:
        """Give what it speaks HTTPS by; raises ConfigError for files that cannot be used."""
        if self.certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # An empty passphrase, as OpenSSL would ask for one on the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
        except OSError as error:
            raise ConfigError(
                f"{self.certificate} and {self.key} cannot be used: {error.strerror or error}."
            ) from error
        return context


@dataclass(frozen=True, kw_only=True)
class WitnessFolder:
    """The folder of a witness, read."""

    folder: Path
    config: WitnessConfig
    private: Ed25519PrivateKey

    @property
    def memory(self) -> Path:
        """The file of what it remembers."""
        return self.folder / MEMORY

    @property
    def vkey(self) -> str:
        """What stations and policies know it by."""
        return witness_vkey(self.config.name, self.private.public_key().public_bytes_raw())


def make_witness(folder: Path, name: str) -> WitnessFolder:
    """Make a witness's folder with a new key; raises UsageError if one is there, ConfigError for a wrong name."""
    text = _TEMPLATE.format(name=name)
    try:
        read = parse_toml(text, WitnessConfig)
    except ValueError as error:
        raise ConfigError(f"The witness cannot be made: {error}", hint="Nothing was made.") from error
    if read.name != name:
        raise ConfigError(f"{name!r} cannot name a witness.", hint="Nothing was made.")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(folder / WITNESS_KEY, pem, 0o600)
        _write_new(folder / WITNESS_TOML, text.encode(), 0o640)
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} exists already.", hint="A witness is made once; its key is never overwritten."
        ) from error
    except OSError as error:
        raise EdgedError(f"{error.filename} cannot be written: {error.strerror}.") from error
    return read_witness(folder)


def read_witness(folder: Path) -> WitnessFolder:
    """Read a witness's folder; raises ConfigError, or NotAllowedError if others could read its key."""
    config = read_toml(folder / WITNESS_TOML, WitnessConfig)
    path = folder / WITNESS_KEY
    try:
        mode = path.stat().st_mode
        private = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"The witness's key {path} cannot be loaded: {error}.", hint="Make a witness with `edged witness init`."
        ) from error
    if mode & 0o077:
        raise NotAllowedError(f"The witness's key {path} can be read by others.", hint="Run `chmod 600` on it.")
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(f"The witness's key {path} is no Ed25519 key.")
    return WitnessFolder(folder=folder, config=config, private=private)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
