"""The demo's own checks: each promise is kept by a demo that went well, and can be found broken."""

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.clock import SystemClock
from edged.errors import MalformedError
from edged.evidence.digests import Digester
from edged.evidence.ids import escape_path
from hwsim.demo import proofs, verdicts
from hwsim.demo.account import Account, account, escaped
from hwsim.demo.proofs import ExpectationError
from hwsim.demo.store import DemoStore
from hwsim.quick import quick_card


def entry(kind: str, **body: Any) -> str:
    return json.dumps({"type": kind, "body": body})


LEDGER = [
    entry("genesis", origin="example/s/e"),
    entry("docking", docking="d1", recorder={"id": "A"}),
    entry("segment", segment="s1", docking="d1", recorder="A", path="1.MP4", quarantine=None),
    entry("undocking", docking="d1", outcome="interrupted"),
    entry("docking", docking="d2", recorder={"id": "A"}),
    entry("sighting", segment="s1", docking="d2", path="1.MP4"),
    entry("segment", segment="s2", docking="d2", recorder="A", path="2.MP4", quarantine={"code": "x"}),
    entry("sighting", segment="s2", docking="d2", path="COPY/2.MP4"),
    entry("classification", segment="s1", case=None),
    entry("classification", segment="s1", case="C"),
    entry("replica", segment="s1", store="vault", key="k"),
    entry("replica", segment="s2", store="central", key="k"),
    entry("wipe", docking="d2", path="1.MP4", outcome="gone"),
    entry("wipe", docking="d2", path="2.MP4", outcome="present"),
    entry("undocking", docking="d2", outcome="kept"),
]


def test_the_account_counts_distinct_recorder_and_path() -> None:
    ledger = account(LEDGER)
    assert dict(ledger.sealed) == {("A", "1.MP4"): "s1", ("A", "2.MP4"): "s2"}
    assert dict(ledger.sighted) == {("A", "COPY/2.MP4"): "s2"}
    assert ledger.quarantined == {("A", "2.MP4")}
    assert ledger.replicated == {("A", "2.MP4"), ("A", "COPY/2.MP4")}
    assert ledger.wiped == {("A", "1.MP4")}
    assert ledger.outcomes == (("A", "interrupted"), ("A", "kept"))
    assert ledger.interrupted == ("d1",)
    assert ledger.sealed_in("d1") == 1
    assert dict(ledger.cases) == {"s1": "C"}


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"type": "segment"}', entry("sighting", segment="s", docking="?", path="p")]
)
def test_what_is_no_ledger_is_refused(line: str) -> None:
    with pytest.raises(MalformedError):
        account([line])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoStore]:
    with DemoStore(tmp_path_factory.mktemp("store")) as store:
        yield store


def stored(store: DemoStore, original: Path, data: bytes, *, locked: bool = True) -> Account:
    """Put `data` as the replica of `original`, as the station does."""
    s3 = store.client()
    where: Any = {"Bucket": store.bucket, "Key": f"segments/{original.parent.name}"}
    lock: Any = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": SystemClock().now() + timedelta(hours=1)}
    begun = s3.create_multipart_upload(**where, ChecksumAlgorithm="SHA256", **(lock if locked else {}))["UploadId"]
    part = s3.upload_part(**where, UploadId=begun, PartNumber=1, Body=data, ChecksumAlgorithm="SHA256")
    done = s3.complete_multipart_upload(
        **where,
        UploadId=begun,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]},
    )
    replica = {"store": "central", "key": where["Key"], "version": done["VersionId"]}
    return account(
        [
            entry("docking", docking="d", recorder={"id": "A"}),
            entry("segment", segment="s1", docking="d", recorder="A", path="1.MP4", quarantine=None),
            entry("replica", segment="s1", checksum=proofs.composite(original), **replica),
        ]
    )


@pytest.fixture
def original(tmp_path: Path) -> Path:
    (tmp_path / "1.MP4").write_bytes(b"film")
    return tmp_path / "1.MP4"


def test_a_locked_object_with_the_right_bytes_passes(store: DemoStore, original: Path) -> None:
    ledger = stored(store, original, b"film")
    files = {("A", "1.MP4"): original}
    assert proofs.check_store(files, ledger, store.client(), store.bucket, SystemClock()) == 1


def test_an_object_without_a_lock_is_noticed(store: DemoStore, original: Path) -> None:
    ledger = stored(store, original, b"film", locked=False)
    with pytest.raises(ExpectationError, match="let a locked version"):
        proofs.check_store({("A", "1.MP4"): original}, ledger, store.client(), store.bucket, SystemClock())


def test_an_object_of_other_bytes_is_noticed(store: DemoStore, original: Path) -> None:
    ledger = stored(store, original, b"fiLm")
    with pytest.raises(ExpectationError, match="the store says"):
        proofs.check_store({("A", "1.MP4"): original}, ledger, store.client(), store.bucket, SystemClock())


def test_a_deletion_that_fails_for_another_reason_is_no_lock(store: DemoStore, original: Path) -> None:
    ledger = stored(store, original, b"film")
    with pytest.raises(ExpectationError, match="NoSuchBucket"):
        proofs.check_store({("A", "1.MP4"): original}, ledger, store.client(), "no-bucket", SystemClock())


@given(st.binary(max_size=40))
def test_paths_are_escaped_as_the_station_does(path: bytes) -> None:
    assert escaped(path) == escape_path(path)


@pytest.mark.parametrize("size", [0, 1, 8 * 1024 * 1024, 8 * 1024 * 1024 + 1])
def test_the_composite_checksum_is_the_stations(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(size))
    digester = Digester()
    digester.update(bytes(size))
    assert proofs.composite(file) == digester.finish().composite


class Scene:
    """A demo that went well, in files and a ledger: one card, two paths of the same bytes, one segment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        quick_card(folder / "originals/A", {b"1.MP4": b"film", b"COPY/1.MP4": b"film"})
        (folder / "recorders/A/DCIM").mkdir(parents=True)
        kept = folder / "vault/segments/A/2026/11/21/s1"
        kept.mkdir(parents=True)
        (kept / "1.MP4").write_bytes(b"film")
        (kept / "chunks.sha256").write_text("…")
        self.kept = kept
        self.files = proofs.originals(folder / "originals")
        self.lines = [
            entry("docking", docking="d", recorder={"id": "A"}),
            entry("segment", segment="s1", docking="d", recorder="A", path="1.MP4", quarantine=None),
            entry("sighting", segment="s1", docking="d", path="COPY/1.MP4"),
            entry("replica", segment="s1", store="central", key="k", version="v"),
            entry("wipe", docking="d", path="1.MP4", outcome="gone"),
            entry("wipe", docking="d", path="COPY/1.MP4", outcome="gone"),
        ]

    @property
    def ledger(self) -> Account:
        return account(self.lines)


@pytest.fixture
def good(tmp_path: Path) -> Scene:
    (tmp_path / "originals").mkdir()
    return Scene(tmp_path)


def test_a_demo_that_went_well_passes(good: Scene) -> None:
    proofs.check_account(good.files, good.ledger)
    assert proofs.check_vault(good.files, good.ledger, good.folder / "vault") == 8
    assert proofs.check_cards({"A": [], "B": []}) == 2


@pytest.mark.parametrize(
    ("left_out", "sentence"),
    [(2, "not accounted for"), (3, "not in central storage"), (5, "not wiped")],
)
def test_a_file_that_is_left_out_is_noticed(good: Scene, left_out: int, sentence: str) -> None:
    del good.lines[left_out]
    with pytest.raises(ExpectationError, match=sentence):
        proofs.check_account(good.files, good.ledger)


def segment(number: int, *, size: int = 1, important: bool = False, side_of: str | None = None, **media: Any) -> str:
    body = {"bytes": size, "important": important, "side_of": side_of, "media": media}
    return entry("segment", segment=f"s{number}", docking="d", recorder="A", path=f"{number}", **body)


VARIETY = [
    segment(1, important=True, video="h264"),
    segment(2, size=21 << 20, video="h264"),
    segment(3, size=0, unreadable="the file is empty"),
    segment(4, unreadable="the MP4 index (moov) is missing"),
    segment(5, unreadable="the content is not in a known format"),
    segment(6, side_of="s1", unreadable="the content is not in a known format"),
]


def test_a_varied_ledger_passes() -> None:
    proofs.check_variety(account(VARIETY))


@pytest.mark.parametrize("overlooked", [[0], [1], [2], [3], [4, 5], [5], [0, 1]])
def test_what_the_station_overlooks_is_noticed(overlooked: list[int]) -> None:
    lines = [line for number, line in enumerate(VARIETY) if number not in overlooked]
    with pytest.raises(ExpectationError, match="no segment"):
        proofs.check_variety(account(lines))


def test_a_file_that_no_card_held_is_noticed(good: Scene) -> None:
    (good.folder / "originals/A/1.MP4").unlink()
    with pytest.raises(ExpectationError, match="no card held"):
        proofs.check_account(proofs.originals(good.folder / "originals"), good.ledger)


def test_a_changed_byte_in_the_vault_is_noticed(good: Scene) -> None:
    (good.kept / "1.MP4").write_bytes(b"fiLm")
    with pytest.raises(ExpectationError, match="is not what recorder A held"):
        proofs.check_vault(good.files, good.ledger, good.folder / "vault")


def test_a_missing_original_in_the_vault_is_noticed(good: Scene) -> None:
    (good.kept / "1.MP4").unlink()
    with pytest.raises(ExpectationError, match="holds 0 originals"):
        proofs.check_vault(good.files, good.ledger, good.folder / "vault")
    shutil.rmtree(good.kept)
    with pytest.raises(ExpectationError, match="no folder in the vault"):
        proofs.check_vault(good.files, good.ledger, good.folder / "vault")


def test_a_file_left_on_a_card_is_noticed() -> None:
    with pytest.raises(ExpectationError, match="still on A"):
        proofs.check_cards({"B": [], "A": [b"DCIM/1.MP4"]})


SIX = ("bytes", "entry", "inclusion", "signature", "identity", "time")


def report(time: str = "verified") -> dict[str, Any]:
    def found(verdict: str) -> dict[str, str]:
        return {"verdict": verdict, "detail": "because"}

    checks = {name: found(time if name == "time" else "verified") for name in SIX}
    whole = ("bag", "selection", "consistency", "custody", "derivatives", "chain", "completeness")
    return {
        "verdict": time,
        "checks": {name: found("verified") for name in whole},
        "segments": [{"segment": "s1", "verdict": time, "checks": checks, "damage": []}],
    }


def test_a_bundle_that_is_verified_passes() -> None:
    verdicts.check_untouched(0, report(), {"s1"})


def test_a_bundle_that_lacks_time_alone_passes_only_where_that_is_due() -> None:
    verdicts.check_untouched(2, report("not-established"), {"s1"}, time="not-established")
    with pytest.raises(ExpectationError, match="exits 2"):
        verdicts.check_untouched(2, report("not-established"), {"s1"})
    with pytest.raises(ExpectationError, match="exits 0"):
        verdicts.check_untouched(0, report(), {"s1"}, time="not-established")


def test_a_bundle_with_anything_else_amiss_is_noticed() -> None:
    with pytest.raises(ExpectationError, match="exits 1"):
        verdicts.check_untouched(1, report(), {"s1"})
    with pytest.raises(ExpectationError, match="ties 2 to the case"):
        verdicts.check_untouched(0, report(), {"s1", "s2"})
    for name in verdicts._DECIDING:
        wrong = report()
        wrong["checks"][name]["verdict"] = "not-established"
        with pytest.raises(ExpectationError, match=f"{name} of the bundle"):
            verdicts.check_untouched(0, wrong, {"s1"})
    for name in SIX:
        wrong = report()
        wrong["segments"][0]["checks"][name]["verdict"] = "failed"
        with pytest.raises(ExpectationError, match=f"{name} of s1 is failed"):
            verdicts.check_untouched(0, wrong, {"s1"})


def test_tampering_changes_one_bit_of_a_copy(tmp_path: Path) -> None:
    folder = tmp_path / "bundle/data/segments/s1"
    folder.mkdir(parents=True)
    (folder / "entry.json").write_bytes(b"e" * 99)
    film = bytes(range(40))
    (folder / "1.MP4").write_bytes(film)
    (folder / "1.MP4").chmod(0o444)
    done = verdicts.tamper(tmp_path / "bundle", tmp_path / "copy")
    changed = (tmp_path / "copy/data/segments/s1/1.MP4").read_bytes()
    assert (folder / "1.MP4").read_bytes() == film
    assert [at for at in range(40) if changed[at] != film[at]] == [done.byte] == [30]
    assert (done.segment, done.name, done.chunk) == ("s1", "1.MP4", 0)


def damaged_report(**damage: Any) -> Mapping[str, Any]:
    found = {"chunk": 1, "from_byte": 8388608, "to_byte": 9000000, "from_time": "08:00", "to_time": "08:01"}
    segments = [
        {"segment": "s1", "verdict": "failed", "damage": [found | damage]},
        {"segment": "s2", "verdict": "not-established", "damage": []},
    ]
    return {"verdict": "failed", "segments": segments}


def test_damage_must_be_the_damage_done() -> None:
    tampering = verdicts.Tampering(segment="s1", name="1.MP4", byte=8388700)
    assert verdicts.check_tampered(1, damaged_report(), tampering)["chunk"] == 1
    for wrong in ({"chunk": 0}, {"from_byte": 8388701}, {"to_byte": 8388700}, {"from_time": None}):
        with pytest.raises(ExpectationError):
            verdicts.check_tampered(1, damaged_report(**wrong), tampering)
    with pytest.raises(ExpectationError, match="exits 2"):
        verdicts.check_tampered(2, damaged_report(), tampering)
    other = verdicts.Tampering(segment="s2", name="1.MP4", byte=8388700)
    with pytest.raises(ExpectationError, match="changed was s2"):
        verdicts.check_tampered(1, damaged_report(), other)
