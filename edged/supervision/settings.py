"""Where the broker is, how to get in, and the certificates that are needed for it."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from edged.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """Where the broker is and how to get in."""

    id: str
    """What the outbox knows it by; another id is told everything from the start."""
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    """Without it, whoever can listen on the way reads all of it, the password too."""
    ca_file: Path | None = None
    """PEM file of the authorities that may vouch for the broker; None for the public ones."""
    certificate: Path | None = None
    """PEM file by which the station proves who it is."""
    key: Path | None = None
    """PEM file of the key that belongs to `certificate`, without a passphrase."""

    @property
    def name(self) -> str:
        """The broker as its errors call it."""
        return f"The broker at {self.host}:{self.port}"


def tls_context(settings: BrokerSettings) -> ssl.SSLContext:
    """Make the context of a connection; raises ConfigError naming the file that cannot be used."""
    file: Path | None = None
    try:
        context = ssl.create_default_context()
        if (file := settings.ca_file) is not None:
            context = ssl.create_default_context(cafile=file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if (file := settings.certificate) is not None:
            # An empty passphrase, as OpenSSL would ask for one on the terminal.
            context.load_cert_chain(file, settings.key, password="")
    except OSError as error:  # SSLError is one
        raise ConfigError(
            f"The certificates for {settings.name} cannot be used: {file}: {cause_of(error)}.",
            hint="Certificates, authorities and keys are PEM files that the daemon's user can read.",
        ) from error
    return context


def cause_of(error: OSError) -> str:
    """Say in a few words what went wrong on the network or in a handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return error.strerror or str(error) or type(error).__name__
