"""`edged init`: makes a station once, with its identity, its first epoch and a commented configuration.

Order: nothing may be there yet; configuration; keys; book with its `genesis`. An interruption leaves no station:
until the `genesis` entry is durable, nothing has been signed, and `init` can be run again on empty folders.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from string import Template

from edged import __version__, keys
from edged.book import Book
from edged.clock import Clock, random_hex
from edged.config import STATION_FILE, read_station
from edged.errors import EdgedError, UsageError
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
    epoch = EpochId(f"{clock.now():%Y-%m}-{random_hex(4)}")
    origin = origin_of(new.domain, new.station, epoch)
    _write_configuration(new)
    config = read_station(new.config)
    disk = Disk()
    for folder in (new.state, config.bays.folder, config.cases.folder):
        disk.make_folders(folder)
    Vault(config.paths.vault, disk, reserve_bytes=0)
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


def _write_configuration(new: NewStation) -> None:
    """Copy the shipped files, with the station's own values filled into `station.toml`."""
    values = {
        "station": new.station,
        "domain": new.domain,
        "zone": new.zone,
        "state": str(new.state),
        "vault": str(new.state / "vault"),
        "bays": str(new.state / "bays"),
        "cases": str(new.state / "cases"),
    }
    try:
        shutil.copytree(SHIPPED, new.config, dirs_exist_ok=True)
        template = Template((SHIPPED / STATION_FILE).read_text("utf-8"))
        (new.config / STATION_FILE).write_text(template.substitute(values), "utf-8")
    except OSError as error:
        raise EdgedError(f"{error.filename} cannot be written: {error.strerror}.") from error
