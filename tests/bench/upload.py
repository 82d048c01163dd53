"""Uploading to one S3 server on loopback: edged's store beside `rclone copy`, each with its defaults.

edged sends as the station does: so many files at once as its configuration says, each part with its sealed digest,
its progress noted durably in a book, the object locked and asked for again. CPU time is the client's alone: of
edged as it runs in a daemon, without the start of an interpreter.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path

from edged.book import Book
from edged.clock import SystemClock
from edged.config import StorePart
from edged.evidence.digests import Digests
from edged.stores.port import Upload
from edged.stores.s3 import S3Store
from hwsim.seaweed import SeaweedFS
from tests.bench import peers
from tests.bench.report import Row
from tests.bench.rounds import Contestant, rates, take_turns
from tests.bench.setting import Setting
from tests.bench.station import BUCKET, STATION, serving
from tests.bench.verification import digest_all

_LOCK = timedelta(hours=1)
_AT_ONCE = int(StorePart.model_fields["uploads_at_once"].default)


class Uploads:
    """edged's side."""

    def __init__(self, store: S3Store, book: Book, files: dict[Path, Digests]) -> None:
        self._store = store
        self._book = book
        self._files = files
        self._clock = SystemClock()

    def run(self, number: int) -> None:
        """Upload every file under keys of this round."""
        until, stop = self._clock.now() + _LOCK, threading.Event()
        uploads = [
            Upload(
                key=f"segments/bench/{number}/{path.name}",
                source=path,
                part_digests=digests.part_digests,
                size_bytes=digests.size_bytes,
                locked_until=until,
            )
            for path, digests in self._files.items()
        ]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            running = [pool.submit(self._store.upload, upload, self._book.work, stop) for upload in uploads]
            try:
                wait(running)
            except BaseException:
                stop.set()
                raise
        for each in running:
            each.result()


def measure(setting: Setting) -> list[Row]:
    """Measure the rows of uploading."""
    rclone = peers.find(setting, "rclone", "upload beside rclone")
    setting.tell("upload: starting an S3 server")
    folder = setting.folder / "upload"
    card = _choose(setting, folder / "card")
    sealed = digest_all(setting)
    by_name = {Path(name).name: digests for name, digests in sealed.items()}
    with serving(folder / "server") as (server, store):
        book = Book(folder, station=STATION, clock=SystemClock())
        try:
            uploads = Uploads(store, book, {path: by_name[path.name] for path in card})
            contestants = [Contestant(name="edged", run=uploads.run)]
            if rclone is not None:
                contestants.append(_rclone(rclone, card[0].parent, server))
            turns = take_turns(contestants, rounds=setting.scale.rounds, cold=card, tell=setting.tell)
        finally:
            book.close()
    size_bytes = sum(path.stat().st_size for path in card)
    rate = {name: rates(each, size_bytes) for name, each in turns.items()}
    cpu = {name: [turn.cpu_seconds for turn in each] for name, each in turns.items()}
    if "rclone copy" not in turns:
        return [Row(what="upload", unit="MB/s", edged=rate["edged"])]
    peer = "rclone copy"
    return [
        Row(what="upload", unit="MB/s", edged=rate["edged"], peer=peer, theirs=rate[peer], at_least=1.0),
        Row(what="upload, CPU time", unit="CPU s", edged=cpu["edged"], peer=peer, theirs=cpu[peer], at_most=0.5),
    ]


def _choose(setting: Setting, folder: Path) -> list[Path]:
    """Give the files to upload, the longest that together keep within the bound, in a folder of their own."""
    folder.mkdir(parents=True)
    chosen: list[Path] = []
    left = setting.scale.upload_bytes
    for path in sorted(setting.files, key=lambda path: path.stat().st_size, reverse=True):
        size_bytes = path.stat().st_size
        if size_bytes <= left:
            left -= size_bytes
            os.link(path, folder / path.name)
            chosen.append(folder / path.name)
    return chosen


def _rclone(rclone: str, card: Path, server: SeaweedFS) -> Contestant:
    environment = {
        "RCLONE_CONFIG_STORE_TYPE": "s3",
        "RCLONE_CONFIG_STORE_PROVIDER": "Other",
        "RCLONE_CONFIG_STORE_ENDPOINT": server.endpoint,
        "RCLONE_CONFIG_STORE_REGION": "us-east-1",
        "RCLONE_CONFIG_STORE_ACCESS_KEY_ID": server.access_key,
        "RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY": server.secret_key,
        "RCLONE_CONFIG_STORE_NO_CHECK_BUCKET": "true",
    }

    def run(number: int) -> None:
        target = f"store:{BUCKET}/rclone/{number}"
        peers.run([rclone, "copy", "--config", os.devnull, card, target], environment)

    return Contestant(name="rclone copy", run=run)
