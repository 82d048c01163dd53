"""What `edged verify` and `edged ledger audit` are pointed at: a bundle, a station, a store in a folder or a bucket."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from edged.audit.port import Target
from edged.audit.stations import StationTarget, open_book
from edged.audit.stores import StoredOriginals, StoreTarget
from edged.config import Credentials, StorePart, read_station, read_toml
from edged.errors import StoreError, UnavailableError, UnreadableError, UsageError
from edged.evidence.ids import StoreId, is_id
from edged.stores.folder_reader import FolderReader
from edged.stores.reader import Reader
from edged.stores.s3_client import S3Settings
from edged.stores.s3_reader import S3Reader

_S3: Final = "s3://"

EndpointOption = Annotated[str | None, typer.Option(help="Of s3://…: https://HOST[:PORT].")]
RegionOption = Annotated[str | None, typer.Option(help="Of s3://…: its region, where it has any.")]
CredentialsOption = Annotated[
    Path | None, typer.Option(help="Of s3://…: a TOML file with access_key and secret_key; reading is enough.")
]
CaBundleOption = Annotated[Path | None, typer.Option(help="Of s3://…: PEM file of who vouches for the endpoint.")]
StationOption = Annotated[
    Path | None, typer.Option("--config", help="Take what s3://… needs from this station's configuration folder.")
]
StoreOption = Annotated[str | None, typer.Option(help="Which store this is, as entries call it.")]


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to get at a store."""

    endpoint: str | None = None
    region: str | None = None
    credentials: Path | None = None
    ca_bundle: Path | None = None
    config: Path | None = None
    store: str | None = None


def is_bundle(text: str) -> bool:
    """Say whether a target is to be read as a bundle: all that is neither a station nor a store."""
    path = Path(text)
    others = ("station.toml", "book.sqlite", "edged-store.json", "ledger")
    return not text.startswith(_S3) and ((path / "bagit.txt").exists() or not any((path / x).exists() for x in others))


@contextmanager
def opened(text: str, access: Access, *, with_originals: bool) -> Iterator[Target]:
    """Open a station or a store; raises UnreadableError where it does not give what it should hold."""
    try:
        with _opened(text, access, with_originals=with_originals) as target:
            yield target
    except (UnavailableError, StoreError) as error:
        raise UnreadableError(error.message, hint=error.hint) from error


@contextmanager
def _opened(text: str, access: Access, *, with_originals: bool) -> Iterator[Target]:
    if access.store is not None and not is_id(access.store):
        raise UsageError(f"{access.store!r} is no name of a store.")
    if text.startswith(_S3):
        settings, prefix = _settings(text, access)
        reader: Reader = S3Reader(settings, prefix=prefix)
        store: str | None = settings.id or None
    elif (path := Path(text)) and (path / "station.toml").exists():
        station = read_station(path)
        with _station(station.paths.state, station.paths.vault, text, with_originals=with_originals) as target:
            yield target
        return
    elif (path / "book.sqlite").exists():
        with _station(path, path / "vault", text, with_originals=with_originals) as target:
            yield target
        return
    else:
        reader = FolderReader(path)
        store = access.store or reader.marked_as()
    try:
        originals = StoredOriginals(reader, None if store is None else StoreId(store)) if with_originals else None
        yield StoreTarget(reader, text, originals)
    finally:
        reader.close()


@contextmanager
def _station(state: Path, vault: Path, name: str, *, with_originals: bool) -> Iterator[StationTarget]:
    if with_originals and not vault.is_dir():
        raise UnreadableError(
            f"{vault} is no vault.", hint="Name the configuration folder: it says where the vault is."
        )
    book = open_book(state)
    try:
        yield StationTarget(book, state=state, vault=vault, name=name, with_originals=with_originals)
    finally:
        book.close()


def _settings(text: str, access: Access) -> tuple[S3Settings, str]:
    bucket, _, prefix = text.removeprefix(_S3).partition("/")
    part = None if access.config is None else read_station(access.config).store
    configured = part if isinstance(part, StorePart) else None
    endpoint = access.endpoint or (configured.endpoint if configured else None)
    credentials = access.credentials or (configured.credentials if configured else None)
    if not bucket or endpoint is None or credentials is None:
        raise UsageError(
            "A bucket is named s3://BUCKET[/PREFIX], with --endpoint and --credentials, or --config of its station."
        )
    known = read_toml(credentials, Credentials)
    is_own = configured is not None and configured.bucket == bucket
    return (
        S3Settings(
            id=StoreId(access.store or (configured.id if configured is not None and is_own else "")),
            endpoint=endpoint,
            region=access.region or (configured.region if configured else "us-east-1"),
            bucket=bucket,
            access_key=known.access_key,
            secret_key=known.secret_key,
            ca_bundle=access.ca_bundle or (configured.ca_bundle if configured else None),
        ),
        prefix,
    )
