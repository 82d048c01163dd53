"""What tests of several rooms share: real servers, started once by whoever asks first, and what to store in them."""

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from edged.evidence.digests import Digester
from edged.evidence.ids import StoreId
from edged.stores.directory import DirectorySettings, DirectoryStore
from edged.stores.port import Store, Upload
from edged.stores.s3 import S3Settings, S3Store
from edged.vault.reread import ON_DISK, file_system
from hwsim.seaweed import SeaweedFS

NewBucket = Callable[[], S3Settings]
NewShare = Callable[[], DirectorySettings]
NewUpload = Callable[..., Upload]

_NUMBERS = itertools.count(1)

# Whatever started this may ignore Ctrl-C, as a shell has what runs in its background do; commands would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How fast examples are generated says something about the machine alone, which is shared with other tests.
settings.register_profile("shared", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def _own_umask() -> Iterator[None]:
    """Give the umask back: commands that are run within the tests' own process set theirs."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An S3 server on loopback: `.endpoint`, `.access_key`, `.secret_key`, `.settings(bucket)`."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    with SeaweedFS(folder, access_key="edged-tests", secret_key="not-a-secret") as server:  # noqa: S106
        yield server


@pytest.fixture(scope="session")
def new_bucket(object_store: SeaweedFS) -> NewBucket:
    """Make a new bucket with Object Lock at each call; gives the settings to store into it."""

    def make() -> S3Settings:
        settings = object_store.settings(f"footage-{next(_NUMBERS)}")
        store = S3Store(settings)
        store.create_bucket()
        store.close()
        return settings

    return make


@dataclass
class Parts:
    """A parts log in memory that can stop the upload once so many parts are done."""

    uploads: dict[str, tuple[str, dict[int, str]]] = field(default_factory=dict)
    sent: list[int] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    stop_after: int | None = None
    threads: set[int] = field(default_factory=set)

    def load(self, key: str) -> tuple[str, dict[int, str]] | None:
        self.threads.add(threading.get_ident())
        return self.uploads.get(key)

    def begin(self, key: str, upload_id: str) -> None:
        self.threads.add(threading.get_ident())
        self.uploads[key] = (upload_id, {})

    def done(self, key: str, part: int, etag: str) -> None:
        self.threads.add(threading.get_ident())
        self.uploads[key][1][part] = etag
        self.sent.append(part)
        if len(self.sent) == self.stop_after:
            self.stop.set()

    def forget(self, key: str) -> None:
        self.threads.add(threading.get_ident())
        self.uploads.pop(key, None)


@pytest.fixture
def parts_log() -> Parts:
    return Parts()


@pytest.fixture
def object_key() -> str:
    """A key that no other test uses."""
    return f"segments/{next(_NUMBERS)}/clip.mp4"


@pytest.fixture
def new_upload(tmp_path: Path, object_key: str) -> NewUpload:
    """Make a file of a length, no two 64 KiB of it alike, and give the upload of it."""

    def make(size_bytes: int, *, to: str = object_key, until: datetime | None = None) -> Upload:
        path = tmp_path / "clip.mp4"
        path.write_bytes(content(size_bytes))
        digester = Digester()
        digester.update(path.read_bytes())
        digests = digester.finish()
        return Upload(
            key=to,
            source=path,
            part_digests=digests.part_digests,
            size_bytes=digests.size_bytes,
            locked_until=until,
        )

    return make


def content(size_bytes: int) -> bytes:
    """Give bytes that differ from block to block."""
    blocks = (number.to_bytes(8, "big") * 8192 for number in range(size_bytes // 65_536 + 1))
    return b"".join(blocks)[:size_bytes]


@pytest.fixture(scope="session")
def new_share(tmp_path_factory: pytest.TempPathFactory) -> NewShare:
    """Make a new folder of a directory store at each call; gives the settings to store into it."""

    def make() -> DirectorySettings:
        folder = tmp_path_factory.mktemp("nas")
        if file_system(folder) not in ON_DISK:
            pytest.skip(f"temporary files lie on {file_system(folder)} here")
        settings = DirectorySettings(id=StoreId("nas"), folder=folder)
        DirectoryStore(settings).set_up()
        return settings

    return make


@pytest.fixture(scope="session", params=["s3", "directory"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each implementation behind the port."""
    match request.param:
        case "s3":
            store: Store = S3Store(request.getfixturevalue("new_bucket")())
        case "directory":
            store = DirectoryStore(request.getfixturevalue("new_share")())
    yield store
    store.close()


@pytest.fixture
def s3(new_bucket: Callable[[], S3Settings]) -> Iterator[S3Store]:
    """An S3 store with a bucket of its own."""
    store = S3Store(new_bucket())
    yield store
    store.close()
