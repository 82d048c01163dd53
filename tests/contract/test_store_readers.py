"""What both readers of a store guarantee, whatever lies behind them."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from edged.clock import SystemClock
from edged.stores.directory import DirectorySettings, DirectoryStore
from edged.stores.folder_reader import FolderReader
from edged.stores.port import MissingError, Store
from edged.stores.reader import Reader
from edged.stores.s3 import S3Settings, S3Store
from edged.stores.s3_reader import S3Reader


@pytest.fixture(scope="module", params=["directory", "s3"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Store, Reader]]:
    """A store with something in it, and its reader."""
    if request.param == "s3":
        bucket: Callable[[], S3Settings] = request.getfixturevalue("new_bucket")
        settings = bucket()
        store: Store = S3Store(settings)
        reader: Reader = S3Reader(settings)
    else:
        share: Callable[[], DirectorySettings] = request.getfixturevalue("new_share")
        shared = share()
        store, reader = DirectoryStore(shared), FolderReader(shared.folder)
    until = SystemClock().now() + timedelta(seconds=5)
    store.put("ledger/x.example/st/e1/checkpoint", b"one")
    store.put("ledger/x.example/st/e1/checkpoint", b"two")
    store.put("ledger/x.example/st/e2/checkpoint", b"other")
    store.put("segments/r/a.mp4", b"footage", until)
    yield store, reader
    reader.close()
    store.close()


def test_newest_is_the_last_that_was_stored(both: tuple[Store, Reader]) -> None:
    _, reader = both
    assert b"".join(reader.newest("ledger/x.example/st/e1/checkpoint")) == b"two"


def test_every_version_is_listed_and_can_be_read(both: tuple[Store, Reader]) -> None:
    _, reader = both
    key = "ledger/x.example/st/e1/checkpoint"
    found = {each.version: each for each in reader.listing(key)}
    assert {each.key for each in found.values()} == {key}
    read = {version: b"".join(reader.read(key, version)) for version in found}
    assert sorted(read.values()) == [b"one", b"two"]
    assert [read[each.version] for each in found.values() if each.is_newest] == [b"two"]


def test_the_version_that_was_told_is_the_one_that_is_listed(both: tuple[Store, Reader]) -> None:
    store, reader = both
    stored = store.put("segments/r/b.mp4", b"more footage")
    (listed,) = reader.listing("segments/r/b.mp4")
    assert (listed.version, listed.size_bytes, listed.is_object) == (stored.version, 12, True)


def test_what_is_not_there_is_missing(both: tuple[Store, Reader]) -> None:
    _, reader = both
    with pytest.raises(MissingError):
        next(reader.newest("ledger/nothing"))
    with pytest.raises(MissingError):
        next(reader.read("segments/r/a.mp4", None))
    assert list(reader.listing("nothing/")) == []


def test_folders_are_the_next_parts_of_keys(both: tuple[Store, Reader]) -> None:
    _, reader = both
    assert reader.folders("ledger/") == ["x.example"]
    assert reader.folders("ledger/x.example/st/") == ["e1", "e2"]
    assert reader.folders("ledger/x.example/st/e1/") == []
    assert reader.folders("nothing/") == []


def test_what_lies_beside_a_prefix_is_not_listed(both: tuple[Store, Reader]) -> None:
    _, reader = both
    assert {each.key for each in reader.listing("ledger/x.example/st/e1")} == {"ledger/x.example/st/e1/checkpoint"}
