"""Input made to crash, exhaust or mislead the verifier itself."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from edged.errors import UnreadableError
from edged.evidence import canonical
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import SegmentId
from edged.evidence.verification import BundleFile, Trust, Words, sentences, verify
from edged.evidence.verification.layout import MAX_ENTRIES_BYTES
from edged.evidence.verification.originals import time_at
from edged.evidence.verification.port import MAX_FILES
from tests.unit.bundle_station import Forgery, Station, failing

LOG = "st-07/2026-11-ab12"


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Station:
    station = Station(folder=tmp_path_factory.mktemp("station"))
    station.genesis()
    station.dock("d", "r", {"a.mp4": b"a short film"})
    station.seal("d", "r", "a.mp4", b"a short film")
    return station


@pytest.fixture(scope="module")
def honest(station: Station) -> Forgery:
    segments = [SegmentId(name) for kind, name in station.names if kind == "segment"]
    return station.bundle(station.export(segments), station.folder / "b")


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_to_any_small_file_is_never_a_crash(station: Station, honest: Forgery, seed: int) -> None:
    chance = random.Random(seed)
    bundle = honest.copy()
    for path in chance.sample(sorted(bundle.files), 4):
        data = bytearray(bundle.files[path])
        match chance.randrange(5):
            case 0:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            case 1:
                del data[chance.randrange(len(data)) :]
            case 2:
                data += chance.randbytes(50)
            case 3:
                data = bytearray(chance.randbytes(200))
            case _:
                data[chance.randrange(len(data))] = ord('"')
        bundle.add(path, bytes(data))
    report = bundle.rebag().verify(station.trust)
    assert report.plain()
    assert all(words.en.isprintable() for words in sentences(report))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data/export.json", None),
        ("data/export.json", []),
        ("data/export.json", {"v": 1, "export": "ex-1", "segments": {}, "entries": []}),
        ("data/export.json", {"v": 1, "export": "ex-1", "segments": [["x"]], "entries": [{}]}),
        ("data/texts.json", [1]),
        ("data/texts.json", {"x": {"salt": "0" * 32, "text": 5}}),
        ("data/texts.json", {"x": [["deep"]]}),
        (f"data/custody/{LOG}/1.json", {"v": 1}),
        (f"data/custody/{LOG}/1.json", [[[[1]]]]),
        ("data/dockings/d/inventory.json", {"v": 1, "docking": "d", "items": [1, None, {"kind": {}}]}),
    ],
)
def test_json_of_another_shape_is_no_crash(station: Station, honest: Forgery, path: str, value: object) -> None:
    report = honest.copy().add(path, canonical.encode(value)).rebag().verify(station.trust)
    assert report.verdict == "failed"


@pytest.mark.parametrize("data", [b"[" * 60_000, b"\xff\xfe", b"", b'{"a":1e9}', b'{"a":"\\ud800"}', b"9" * 60_000])
def test_json_that_is_none_is_no_crash(station: Station, honest: Forgery, data: bytes) -> None:
    for path in ("data/export.json", "data/texts.json", f"data/custody/{LOG}/2.json", "data/dockings/d/inventory.json"):
        assert honest.copy().add(path, data).rebag().verify(station.trust).verdict == "failed"


def test_a_sealed_inventory_of_another_shape_leaves_completeness_open(tmp_path: Path) -> None:
    for number, value in enumerate(([], {"v": 1, "docking": "d", "items": [1]}, {"v": 1, "docking": "e", "items": []})):
        inventory = canonical.encode(value)
        station = Station(folder=tmp_path)
        station.genesis()
        station.documents[sha256_hex(inventory)] = inventory
        station.dock("d", "r", {}, inventory_sha256=sha256_hex(inventory))
        station.documents[sha256_hex(inventory)] = inventory
        segment = station.seal("d", "r", "a", b"a")
        report = station.bundle(station.export([segment]), tmp_path / f"b{number}").verify(station.trust)
        assert failing(report) == set()
        assert report.checks["completeness"].verdict == "not-established"


class Endless:
    """A bundle whose one file never ends."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.read_bytes = 0

    def listing(self) -> Sequence[BundleFile]:
        return [BundleFile(path=self.path, kind="file", size_bytes=10)]

    def open(self, path: str) -> Iterator[bytes]:
        assert path == self.path
        while self.read_bytes < 200 << 20:
            self.read_bytes += 1 << 20
            yield bytes(1 << 20)
        raise UnreadableError("the test gave up")


@pytest.mark.parametrize(
    ("path", "most_mib"),
    [
        (f"data/custody/{LOG}/1.json", 1),
        (f"data/custody/{LOG}/1.tlog-proof", 1),
        (f"data/logs/{LOG}/station.pem", 1),
        (f"data/logs/{LOG}/5/checkpoint", 1),
        (f"data/logs/{LOG}/5/from-3.consistency", 1),
        ("data/texts.json", 17),
    ],
)
def test_a_small_file_that_does_not_end_is_not_swallowed(path: str, most_mib: int) -> None:
    files = Endless(path)
    assert verify(files, Trust()).verdict == "failed"
    assert files.read_bytes <= most_mib << 20


def test_a_bundle_of_too_many_files_is_not_read() -> None:
    class Crowd(Endless):
        def listing(self) -> Sequence[BundleFile]:
            return [BundleFile(path="x", kind="file", size_bytes=0)] * (MAX_FILES + 1)

    with pytest.raises(UnreadableError, match="more than"):
        verify(Crowd("x"), Trust())


def test_entries_that_together_exceed_memory_are_not_read() -> None:
    class Heavy(Endless):
        def listing(self) -> Sequence[BundleFile]:
            size_bytes = MAX_ENTRIES_BYTES // 2 + 1
            names = [f"data/custody/{LOG}/{number}.json" for number in (1, 2)]
            return [BundleFile(path=name, kind="file", size_bytes=size_bytes) for name in names]

    with pytest.raises(UnreadableError, match="exceed"):
        verify(Heavy("x"), Trust())


def test_a_name_cannot_rewrite_the_terminal() -> None:
    report = Forgery({"data/\x1b[2J\x1b[1;32mverified\r\n\u202e.txt": b""}).verify(Trust())
    said = "".join(words.en + words.zh for words in sentences(report))
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "\\u{1b}" in report.checks["bag"].detail.en


def test_an_overlong_name_is_cut() -> None:
    assert len(Words("x" * 100_000, "").en) < 2_000


def test_recorded_times_that_make_no_sense_give_no_time_of_damage(station: Station) -> None:
    (segment,) = [SegmentId(name) for kind, name in station.names if kind == "segment"]
    sealed = station.sealed(segment)
    for start, end in (
        ("2026-11-21T08:00:00+08:00", "2026-11-21T07:00:00+08:00"),
        ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
        (None, "2026-11-21T07:00:00+08:00"),
        ("2026-11-21T07:00:00+08:00", None),
    ):
        recorded = sealed.recorded.model_copy(update={"start": start, "end": end})
        changed = sealed.model_copy(update={"recorded": recorded})
        assert time_at(changed, changed.bytes) is None
