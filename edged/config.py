"""The configuration: TOML files in one folder, read once, checked whole, never guessed.

A wrong key is refused with the file, the key and what is allowed, before anything is touched: a setting that
was misread is how other systems lost evidence. Catalogues and profiles have models of their own in `rules`
and `bays`; `read_toml` is the one way any of these files is read.
"""

import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edged.errors import ConfigError
from edged.patterns import FORMS

STATION_FILE = "station.toml"
SOCKET = "control.sock"
INSTALLED_STATE = Path("/var/lib/edged")
INSTALLED_CONTROL = Path("/run/edged/control")
"""The folders that systemd gives an installed station's daemon."""

_AFTER_DAYS = re.compile(r"after ([1-9]|[1-9][0-9]|[12][0-9]{2}|3[0-5][0-9]|36[0-5]) days?")

_Model = TypeVar("_Model", bound=BaseModel)

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Seconds = Annotated[float, Field(ge=0.1, le=86_400)]


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("an absolute path, beginning with /")
    return path


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("a time zone of the IANA list, such as Asia/Shanghai") from error
    return name


def _wipe(policy: object) -> str:
    named = isinstance(policy, str) and (policy in {"after-clearance", "never"} or _AFTER_DAYS.fullmatch(policy))
    if not isinstance(policy, str) or not named:
        raise ValueError('"after-clearance", "after N days" (1 to 365), or "never"')
    return policy


Folder = Annotated[Path, BeforeValidator(lambda v: Path(v) if isinstance(v, str) else v), AfterValidator(_absolute)]
Zone = Annotated[str, AfterValidator(_zone)]
Wipe = Annotated[str, BeforeValidator(_wipe)]
Group = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}$")]
PartyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")]
"""What an authority or witness is called here; an authority's tokens are called so in bundles, so it has no dot."""
Port = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,127}$")]
"""A physical port as udev's `ID_PATH` names it; it is written into udev rules as it stands."""


class Part(BaseModel):
    """A table of a configuration file: unknown keys are refused, values are not coerced."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class StationPart(Part):
    """Who this station is."""

    id: Id
    domain: Domain
    """First part of the origin DOMAIN/STATION/EPOCH of its ledger."""
    zone: Zone
    """Time zone of the station and of recorders that do not name theirs."""


class PathsPart(Part):
    """Where the station keeps what it keeps."""

    state: Folder
    vault: Folder
    reserve_mib: Annotated[int, Field(ge=16, le=1 << 30)] = 1024
    """What of the disks of vault and state is never used up; below it the station stops accepting recorders."""
    retire_after_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    """After how many days an original leaves the vault, once central storage confirms its copy; None: never."""


class BaysPart(Part):
    """Where recorders appear and how they are emptied."""

    source: Literal["directory", "udev"]
    folder: Folder | None = None
    """With the source `directory`: each sub-folder is a docked recorder."""
    ports: dict[Port, Id] = {}
    """With the source `udev`: physical port, as `ID_PATH` begins, to the bay's name."""
    mounter: Folder = Path("/run/edged/mountd.sock")
    """With the source `udev`: the socket of `edged mountd`."""
    at_once: Annotated[int, Field(ge=1, le=32)] = 8
    """How many recorders are read at the same time."""
    settle_seconds: Seconds = 1.0
    wipe: Wipe
    """When a file is erased from its recorder, once it is cleared: at once, so many days after its seal, or never."""

    @model_validator(mode="after")
    def _has_bays(self) -> Self:
        if self.source == "directory" and self.folder is None:
            raise ValueError('source "directory" only with folder')
        if self.source == "udev" and not self.ports:
            raise ValueError('source "udev" only with at least one port in [bays.ports]')
        if len(set(self.ports.values())) < len(self.ports):
            raise ValueError("each bay at one port only")
        return self

    @property
    def wipe_delay(self) -> timedelta:
        """How long a file stays on its recorder after it was sealed."""
        found = _AFTER_DAYS.fullmatch(self.wipe)
        return timedelta(days=int(found[1])) if found else timedelta()


class OffloadPart(Part):
    """How files are taken off recorders."""

    second_read: Literal["off", "sampled", "full"] = "off"
    """Whether each file is read from the card a second time, past the page cache, and compared: none of it, some
    chunks, or all of it."""


class CasesPart(Part):
    """The folder into which case files are dropped."""

    folder: Folder


class _StoreBase(Part):
    """What every kind of central storage has."""

    id: Id
    lock_horizon_days: Annotated[int, Field(ge=1, le=36_500)] = 365
    uploads_at_once: Annotated[int, Field(ge=1, le=16)] = 2


class StorePart(_StoreBase):
    """Central storage that speaks S3."""

    kind: Literal["s3"]
    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    region: str = "us-east-1"
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    credentials: Folder
    """A TOML file with `access_key` and `secret_key`, readable by the daemon alone."""
    ca_bundle: Folder | None = None


class DirectoryStorePart(_StoreBase):
    """Central storage in a folder: a NAS that is mounted, or a dedicated storage device."""

    kind: Literal["directory"]
    folder: Folder


class MediaPart(Part):
    """Derivatives."""

    derivatives: tuple[Literal["poster", "proxy"], ...] = ("poster", "proxy")


class LedgerPart(Part):
    """Publishing."""

    publish_seconds: Seconds = 2.0
    """How long new entries wait for others before a checkpoint is signed over them and published."""
    rotate_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """After how many days the next key signs, if one waits that is certified; None: only before a certificate ends."""
    sm3: bool = False
    """Whether SM3 (GB/T 32905) of each original stands in its entry beside SHA-256."""


class AuthorityPart(Part):
    """A time-stamping authority (RFC 3161)."""

    id: PartyName
    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    root: Folder
    """PEM file of the certificates that its tokens must lead to."""
    ca_file: Folder | None = None
    """PEM file of the authorities that may vouch for its web server, if they are no public ones."""


class WitnessPart(Part):
    """A witness (C2SP `tlog-witness`)."""

    name: PartyName
    url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")]
    """Its submission prefix."""
    vkey: str
    ca_file: Folder | None = None


class AnchorsPart(Part):
    """Who outside the station bounds the ledger in time."""

    every_minutes: Annotated[int, Field(ge=1, le=1_440)] = 60
    """How long a new entry waits for an anchor at most; the end of a docking does not wait."""
    renew_days: Annotated[int, Field(ge=1, le=3_650)] = 180
    """How long before an authority's certificate expires its tokens are renewed."""
    policy: Folder | None = None
    """C2SP `tlog-policy` file: which cosignatures are a quorum."""
    authority: tuple[AuthorityPart, ...] = ()
    witness: tuple[WitnessPart, ...] = ()

    @model_validator(mode="after")
    def _names_are_different(self) -> Self:
        names = [each.id for each in self.authority] + [each.name for each in self.witness]
        if len(set(names)) < len(names):
            raise ValueError("authorities and witnesses with names of their own")
        return self


class SupervisionPart(Part):
    """The MQTT broker that is told live what the station does."""

    id: Id = "broker"
    """What the station remembers it by. Another id is told the whole ledger from its start."""
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$")]
    port: Annotated[int, Field(ge=1, le=65_535)] = 8883
    tls: bool = True
    ca_file: Folder | None = None
    """PEM file of the authorities that may vouch for the broker, if they are no public ones."""
    certificate: Folder | None = None
    key: Folder | None = None
    """PEM files by which the station proves who it is."""
    credentials: Folder | None = None
    """A TOML file with `user` and `password`, readable by the daemon alone."""

    @model_validator(mode="after")
    def _certificates_are_used(self) -> Self:
        if not self.tls and any((self.ca_file, self.certificate, self.key)):
            raise ValueError("ca_file, certificate and key need tls = true")
        if self.key is not None and self.certificate is None:
            raise ValueError("key needs certificate")
        return self


class ExportPart(Part):
    """What is not handed out."""

    refused: tuple[Literal["none", "privacy", "trade-secret", "work-secret", "state-secret", "unclassified"], ...] = (
        "work-secret",
        "state-secret",
    )
    """Secrecy classes of the catalogue; `unclassified` is footage of which the catalogue says none yet."""


class ControlPart(Part):
    """Who may ask the daemon for what."""

    socket: Folder | None = None
    """None: as `StationConfig.control_socket` says."""
    investigators: Group = "edged-investigators"
    administrators: Group = "edged-administrators"
    """Groups of this machine. One that does not exist has no members."""


class StationConfig(Part):
    """`station.toml` as a whole."""

    station: StationPart
    paths: PathsPart
    bays: BaysPart
    offload: OffloadPart = OffloadPart()
    cases: CasesPart
    store: Annotated[StorePart | DirectoryStorePart, Field(discriminator="kind")] | None = None
    media: MediaPart = MediaPart()
    ledger: LedgerPart = LedgerPart()
    anchors: AnchorsPart = AnchorsPart()
    supervision: SupervisionPart | None = None
    export: ExportPart = ExportPart()
    control: ControlPart = ControlPart()

    @model_validator(mode="after")
    def _copies_stay(self) -> Self:
        if self.paths.retire_after_days is not None and self.store is None:
            raise ValueError("paths.retire_after_days needs [store]: there would be no copy left")
        return self

    @property
    def control_socket(self) -> Path:
        """Where the daemon is asked: in the runtime folder of an installed station, else in the state folder."""
        installed = self.paths.state == INSTALLED_STATE
        return self.control.socket or (INSTALLED_CONTROL if installed else self.paths.state) / SOCKET


class Credentials(Part):
    """The file that `store.credentials` names."""

    access_key: str
    secret_key: str


class BrokerCredentials(Part):
    """The file that `supervision.credentials` names."""

    user: str
    password: str


def read_station(folder: Path) -> StationConfig:
    """Read `station.toml` in the configuration folder; raises ConfigError."""
    return read_toml(folder / STATION_FILE, StationConfig)


def read_toml(path: Path, model: type[_Model]) -> _Model:
    """Read one TOML file as `model`.

    Raises ConfigError naming the file, the key and what is allowed there.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} does not exist.",
            hint="Make a station with `edged init`, or name its folder with --config.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {_cause(error)}.") from error
    try:
        return parse_toml(text, model)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}", hint="Nothing was changed. Correct the file and try again.") from error


def parse_toml(text: str, model: type[_Model]) -> _Model:
    """Read TOML text as `model`; raises ValueError with one sentence a wrong key."""
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not TOML: {error}.") from error
    try:
        return model.model_validate(_tuples(plain))
    except ValidationError as error:
        raise ValueError(explain(error)) from error


def explain(error: ValidationError) -> str:
    """Say each wrong key of a model in words: where it is, what is allowed, what was found."""
    sentences = []
    for detail in error.errors(include_url=False):
        # Where the kind of a table decides what is in it, pydantic names the kind as if it were a key.
        key = ".".join(str(part) for part in detail["loc"] if part not in {"s3", "directory"})
        if detail["type"] == "extra_forbidden":
            sentences.append(f"{key} is not a key that is known here")
        elif detail["type"] == "missing":
            sentences.append(f"{key} is missing")
        elif detail["type"] == "string_pattern_mismatch" and (form := FORMS.get(detail["ctx"]["pattern"])):
            sentences.append(f"{key} is {detail['input']!r}; allowed: {form}")
        elif detail["type"] == "union_tag_not_found":
            sentences.append(f"{key}.kind is missing")
        elif detail["type"] == "union_tag_invalid":
            given = detail["ctx"]
            sentences.append(f"{key}.kind is {given['tag']!r}; allowed: {given['expected_tags']}")
        else:
            reason = detail["msg"].removeprefix("Value error, ")
            if not key:
                # A rule over several tables is a sentence of its own, with the keys in it.
                sentences.append(reason)
                continue
            allowed = f"allowed: {reason[:1].lower()}{reason[1:]}"
            # A rule over several keys is about a whole table: showing it all says nothing.
            whole = isinstance(detail["input"], dict | tuple)
            sentences.append(f"{key}: {allowed}" if whole else f"{key} is {detail['input']!r}; {allowed}")
    return "; ".join(sentences) + "."


def _tuples(value: object) -> object:
    """Turn TOML arrays into tuples: configuration is frozen, and strict models take nothing else for one."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


def _cause(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8 text"
