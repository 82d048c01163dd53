"""The configuration: TOML files in one folder, read once, checked whole, never guessed.

A wrong key is refused with the file, the key and what is allowed, before anything is touched: a setting that
was misread is how other systems lost evidence. Catalogues and profiles have models of their own in `rules`
and `bays`; `read_toml` is the one way any of these files is read.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from edged.errors import ConfigError

STATION_FILE = "station.toml"

_Model = TypeVar("_Model", bound=BaseModel)

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$")]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$")]
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


Folder = Annotated[Path, BeforeValidator(lambda v: Path(v) if isinstance(v, str) else v), AfterValidator(_absolute)]
Zone = Annotated[str, AfterValidator(_zone)]


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
    """What of the vault's disk is never used up; below it the station stops accepting recorders."""


class BaysPart(Part):
    """Where recorders appear and how they are emptied."""

    source: Literal["directory"]
    folder: Folder
    at_once: Annotated[int, Field(ge=1, le=32)] = 4
    settle_seconds: Seconds = 1.0
    wipe: Literal["after-clearance", "never"]


class CasesPart(Part):
    """The folder into which case files are dropped."""

    folder: Folder


class StorePart(Part):
    """Central storage."""

    kind: Literal["s3"]
    id: Id
    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    region: str = "us-east-1"
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    credentials: Folder
    """A TOML file with `access_key` and `secret_key`, readable by the daemon alone."""
    ca_bundle: Folder | None = None
    lock_horizon_days: Annotated[int, Field(ge=1, le=36_500)] = 365
    uploads_at_once: Annotated[int, Field(ge=1, le=16)] = 2


class MediaPart(Part):
    """Derivatives."""

    derivatives: tuple[Literal["poster", "proxy"], ...] = ("poster", "proxy")


class LedgerPart(Part):
    """Publishing."""

    publish_seconds: Seconds = 2.0
    """How long new entries wait for others before a checkpoint is signed over them and published."""


class StationConfig(Part):
    """`station.toml` as a whole."""

    station: StationPart
    paths: PathsPart
    bays: BaysPart
    cases: CasesPart
    store: StorePart | None = None
    media: MediaPart = MediaPart()
    ledger: LedgerPart = LedgerPart()


class Credentials(Part):
    """The file that `store.credentials` names."""

    access_key: str
    secret_key: str


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
        key = ".".join(str(part) for part in detail["loc"]) or "the file"
        if detail["type"] == "extra_forbidden":
            sentences.append(f"{key} is not a key that is known here")
        elif detail["type"] == "missing":
            sentences.append(f"{key} is missing")
        else:
            reason = detail["msg"].removeprefix("Value error, ")
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
