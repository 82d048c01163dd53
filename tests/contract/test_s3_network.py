"""The network to an S3 server fails, and nothing that the server had taken is lost or sent twice."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edged.clock import SystemClock
from edged.errors import StoppedError, UnavailableError
from edged.evidence.digests import CHUNK_BYTES
from edged.stores.port import Upload
from edged.stores.s3 import S3Settings, S3Store
from hwsim.proxy import Fault, Proxy
from hwsim.seaweed import SeaweedFS

NewUpload = Callable[..., Upload]
NewBucket = Callable[[], S3Settings]


@pytest.fixture
def proxy(object_store: SeaweedFS) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", object_store.port)) as proxy:
        yield proxy


@pytest.fixture
def proxied(new_bucket: NewBucket, proxy: Proxy) -> Iterator[S3Store]:
    with closing(S3Store(replace(new_bucket(), endpoint=f"http://127.0.0.1:{proxy.port}"))) as store:
        yield store


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_cut_within_a_part_is_mended(
    proxied: S3Store, proxy: Proxy, new_upload: NewUpload, parts_log: Any, how: Any
) -> None:
    upload = new_upload(CHUNK_BYTES + 1)
    proxy.script(Fault(after_bytes=CHUNK_BYTES // 2, how=how))
    assert proxied.upload(upload, parts_log, threading.Event()).checksum == upload.composite
    assert proxy.to_server_bytes > CHUNK_BYTES * 3 // 2, "the fault was met"


def test_an_upload_goes_on_when_the_network_is_back(
    proxied: S3Store, proxy: Proxy, new_upload: NewUpload, parts_log: Any
) -> None:
    upload = new_upload(4 * CHUNK_BYTES)
    parts_log.stop_after = 1
    with pytest.raises(StoppedError):
        proxied.upload(upload, parts_log, parts_log.stop)
    proxy.down()
    with pytest.raises(UnavailableError):
        proxied.upload(upload, parts_log, threading.Event())
    proxy.up()
    assert proxied.upload(upload, parts_log, threading.Event()).checksum == upload.composite
    assert sorted(parts_log.sent) == [1, 2, 3, 4]


def test_a_read_that_ends_too_early_is_not_taken_for_the_whole(
    proxied: S3Store, proxy: Proxy, new_upload: NewUpload, parts_log: Any
) -> None:
    # More than all the buffers on the way hold.
    upload = new_upload(4 * CHUNK_BYTES)
    stored = proxied.upload(upload, parts_log, threading.Event())
    reading = proxied.read(upload.key, stored.version)
    next(reading)
    proxy.down()
    with pytest.raises(UnavailableError):
        list(reading)


def test_a_stop_is_heard_in_the_middle_of_a_slow_part(
    proxied: S3Store, proxy: Proxy, new_upload: NewUpload, parts_log: Any
) -> None:
    upload = new_upload(CHUNK_BYTES)
    proxy.delay(0.25)  # 32 s for the whole part
    stop = threading.Event()
    threading.Timer(2, stop.set).start()
    clock = SystemClock()
    begun = clock.monotonic()
    with pytest.raises(StoppedError):
        proxied.upload(upload, parts_log, stop)
    assert clock.monotonic() - begun < 12


def test_a_server_killed_in_the_middle_loses_nothing_it_had_taken(
    tmp_path: Path, new_upload: NewUpload, parts_log: Any
) -> None:
    with SeaweedFS(tmp_path / "server", access_key="a-key", secret_key="a-secret") as server:  # noqa: S106
        upload = new_upload(4 * CHUNK_BYTES)
        with closing(S3Store(server.settings("footage"), threads=1)) as store:
            store.create_bucket()
            before = store.put("before", b"1")

            def kill(params: dict[str, Any], **_: Any) -> None:
                if params["PartNumber"] == 3:
                    server.kill()

            store._client.meta.events.register("provide-client-params.s3.UploadPart", kill)
            with pytest.raises(UnavailableError, match="cannot be reached, or the connection broke"):
                store.upload(upload, parts_log, threading.Event())
        assert parts_log.sent == [1, 2]
        server.start()
        with closing(S3Store(server.settings("footage"))) as store:
            assert store.upload(upload, parts_log, threading.Event()).checksum == upload.composite
            assert b"".join(store.read("before", before.version)) == b"1"
        assert sorted(parts_log.sent) == [1, 2, 3, 4]
