"""A station and a store for the bench: made as `edged init` makes one, in a folder of its own, and on loopback."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edged.clock import Clock
from edged.evidence.ids import StationId
from edged.station.creation import NewStation, create
from edged.stores.s3 import S3Store
from hwsim.demo.settings import with_values
from hwsim.seaweed import SeaweedFS

STATION = StationId("bench")
BUCKET = "evidence"


@dataclass(frozen=True, kw_only=True)
class BenchStation:
    """Where it lies."""

    config: Path
    state: Path


@contextmanager
def serving(folder: Path) -> Iterator[tuple[SeaweedFS, S3Store]]:
    """Hold an S3 server that has an empty bucket, and a store that uses it."""
    with ExitStack() as undo:
        server = SeaweedFS(folder, access_key="bench", secret_key=secrets.token_hex(16))
        # Before the start, which may be interrupted too.
        undo.callback(server.stop)
        server.start()
        store = S3Store(server.settings(BUCKET))
        undo.callback(store.close)
        store.create_bucket()
        yield server, store


def make_station(folder: Path, clock: Clock, server: SeaweedFS | None = None) -> BenchStation:
    """Make a station below `folder`, which keeps footage in the server's bucket if one is given."""
    folder.mkdir(parents=True)
    station = BenchStation(config=folder / "config", state=folder / "state")
    new = NewStation(
        station=STATION,
        domain="bench.example",
        zone="Asia/Shanghai",
        config=station.config,
        state=station.state,
        root_key=folder / "root.key",
    )
    create(new, clock)
    if server is not None:
        _add_store(station, server)
    return station


def _add_store(station: BenchStation, server: SeaweedFS) -> None:
    credentials = station.state / "keys" / "s3.toml"
    credentials.touch(mode=0o600)
    credentials.write_text(f'access_key = "{server.access_key}"\nsecret_key = "{server.secret_key}"\n', "utf-8")
    file = station.config / "station.toml"
    values: dict[str, str | float] = {
        "store.kind": "s3",
        "store.id": "central",
        "store.endpoint": server.endpoint,
        "store.bucket": BUCKET,
        "store.credentials": str(credentials),
    }
    file.write_text(with_values(file.read_text("utf-8"), values), "utf-8")
