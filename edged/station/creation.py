"""`edged init`: makes a station once, with its identity, its first epoch and a commented configuration.

Order: nothing may be there yet, and the configuration has to be right; then it is written; keys; book with its
`genesis`. An interruption leaves no station: until the `genesis` entry is durable, nothing has been signed, and `init`
can be run again on empty folders.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from string import Template

from edged import __version__, keys
from edged.book import Book
from edged.clock import Clock, random_hex
from edged.config import STATION_FILE, StationConfig, parse_toml
from edged.errors import ConfigError, EdgedError, UsageError
from edged.evidence.bodies import Genesis
from edged.evidence.certificates import fingerprint
from edged.evidence.ids import EpochId, StationId, origin_of
from edged.station.files import KEYS
from edged.vault.disk import Disk
from edged.vault.vault import Vault

SHIPPED = next(
    folder
    for folder in (Path(__file__).parent.parent / "shipped", Path(__file__).parent.parent.parent / "config")
    if folder.is_dir()
)
"""The configuration that comes with edged: in the installed package, or in the checkout."""


@dataclass(frozen=True, kw_only=True)
class NewStation:
    """What a station is made from."""

    station: StationId
    domain: str
    zone: str
    config: Path
    """Folder of the configuration, absolute; must be empty or not exist."""
    state: Path
    """Folder of the state, absolute; likewise."""
    root_key: Path
    """Where the root's private key is written; belongs off the station."""


@dataclass(frozen=True, kw_only=True)
class MadeStation:
    """What came out."""

    origin: str
    root_pem: Path
    root_fingerprint: str
    """SHA-256 of the root certificate's DER, to be noted where nobody at the station can change it."""


def create(new: NewStation, clock: Clock) -> MadeStation:
    """Make the station; raises UsageError if something is there already, ConfigError for a wrong name."""
    for folder in (new.config, new.state):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                f"{folder} is not empty.", hint="A station is made once, in folders of its own; name others."
            )
    if new.root_key.exists():
        raise UsageError(f"{new.root_key} exists already.", hint="A key is never overwritten; name another file.")
    if not os.access(new.root_key.parent, os.W_OK | os.X_OK):
        raise UsageError(f"{new.root_key.parent} is no folder to write to.", hint="Make it first, or name another.")
    text = _configuration(new)
    try:
        config = parse_toml(text, StationConfig)
    except ValueError as error:
        raise ConfigError(f"The station cannot be made: {error}", hint="Nothing was made.") from error
    epoch = EpochId(f"{clock.now():%Y-%m}-{random_hex(4)}")
    origin = origin_of(new.domain, new.station, epoch)
    _write_configuration(new, text)
    disk = Disk()
    for made in (new.state, config.bays.folder, config.cases.folder):
        if made is not None:
            disk.make_folders(made)
    Vault(config.paths.vault, disk)
    key = keys.make(new.state / KEYS, station=new.station, origin=origin, clock=clock, root_key=new.root_key)
    book = Book(new.state, station=new.station, clock=clock)
    try:
        genesis = Genesis(
            origin=origin,
            public_key=key.vkey(origin),
            certificate_sha256=fingerprint(key.certificate),
            previous=None,
            software=f"edged {__version__}",
            reason=book.registers.add_reason(code="new-station", text="The station was made with `edged init`."),
        )
        book.ledger.open_epoch(id=epoch, origin=origin, genesis=genesis)
    finally:
        book.close()
    root_pem = new.state / KEYS / keys.ROOT_PEM
    return MadeStation(origin=origin, root_pem=root_pem, root_fingerprint=key.root_fingerprint)


def _configuration(new: NewStation) -> str:
    """Give the shipped `station.toml` with the station's own values filled in."""
    values = {
        "station": new.station,
        "domain": new.domain,
        "zone": new.zone,
        "state": str(new.state),
        "vault": str(new.state / "vault"),
        "bays": str(new.state / "bays"),
        "cases": str(new.state / "cases"),
    }
    # Strings of TOML are escaped as those of JSON.
    escaped = {key: json.dumps(value, ensure_ascii=False)[1:-1] for key, value in values.items()}
    return Template((SHIPPED / STATION_FILE).read_text("utf-8")).substitute(escaped)


def _write_configuration(new: NewStation, text: str) -> None:
    """Copy the shipped files, and write `station.toml` over the shipped one."""
    try:
        # Contents alone: the folder may have been made for few, and what is made in it follows the umask.
        for path in sorted(SHIPPED.rglob("*")):
            target = new.config / path.relative_to(SHIPPED)
            if path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        (new.config / STATION_FILE).write_text(text, "utf-8")
    except OSError as error:
        raise EdgedError(f"{error.filename} cannot be written: {error.strerror}.") from error
