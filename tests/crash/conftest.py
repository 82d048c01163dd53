"""Stations for the system tests: each in a folder of its own, with a bucket of its own in a real S3 server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from edged.stores.s3 import S3Settings
from tests.crash.station import Station


class MakeStation(Protocol):
    """Makes a station; without `store`, one that has no central storage."""

    def __call__(self, *, store: S3Settings | None = ..., **tables: dict[str, Any]) -> Station: ...


@pytest.fixture
def make_station(tmp_path: Path) -> Iterator[MakeStation]:
    """Make stations whose daemons end with the test."""
    made: list[Station] = []

    def make(*, store: S3Settings | None = None, **tables: dict[str, Any]) -> Station:
        folder = tmp_path / f"station-{len(made)}"
        folder.mkdir()
        station = Station(folder=folder, store=store, tables=tables)
        station.make()
        made.append(station)
        return station

    yield make
    for station in made:
        station.clean_up()


@pytest.fixture
def station(make_station: MakeStation, new_bucket: Callable[[], S3Settings]) -> Station:
    """A station with central storage."""
    return make_station(store=new_bucket())
