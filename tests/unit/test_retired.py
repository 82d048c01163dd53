"""Originals that left the vault: everybody who opens one copes, and central storage is believed nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edged.audit.stations import open_book
from edged.bundles.contents import plan_export
from edged.bundles.load import FolderFiles
from edged.bundles.make import make_bundle
from edged.config import StationConfig, StorePart
from edged.errors import MalformedError, UnreadableError
from edged.evidence import bodies
from edged.evidence.digests import sha256_hex
from edged.evidence.ids import ExportId, SegmentId
from edged.evidence.verification import verify
from edged.station.clearing import decide, lacks_proof
from edged.station.jobs.derive import DeriveJob
from edged.station.jobs.relock import RelockJob
from edged.station.jobs.replicate import ReplicateJob
from edged.station.jobs.reread import RereadJob
from edged.station.view import StationView
from edged.stores.port import MissingError
from edged.vault.place import CHUNKS_FILE
from tests.unit.book_station import copied
from tests.unit.retiring_station import FILES, A, Retiring, Shifted, make_retiring
from tests.unit.stored_station import NEVER, check_station


@pytest.fixture(params=["directory", "s3"])
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Retiring]:
    """A station whose originals were retired, and each kind of store."""
    fixture = {"directory": "new_share", "s3": "new_bucket"}[request.param]
    made = make_retiring(tmp_path / "station", request.getfixturevalue(fixture)())
    made.retire()
    yield made
    made.stored.close()


@pytest.fixture
def nas(new_share: Any, tmp_path: Path) -> Iterator[Retiring]:
    """One whose store is a folder."""
    made = make_retiring(tmp_path / "station", new_share())
    made.retire()
    yield made
    made.stored.close()


# ------------------------------------------------------------------------------------------ what comes after it is gone


def test_nobody_reads_uploads_or_derives_what_was_retired(station: Retiring) -> None:
    size = station.parts.book.ledger.size()
    parts = station.parts
    jobs = [
        RereadJob(parts),
        ReplicateJob(parts, station.store, at_once=1, horizon=timedelta(days=30)),
        DeriveJob(parts, "proxy"),
    ]
    assert [(job.step(NEVER), job.put_off) for job in jobs] == [(False, 0)] * 3
    assert parts.book.ledger.size() == size


def test_lock_of_what_was_retired_is_extended_without_its_original(station: Retiring) -> None:
    before = station.stored.replica(A)
    longer = timedelta(days=400)
    assert not RelockJob(station.parts, station.store, horizon=longer).step(NEVER)
    after = station.stored.replica(A)
    assert after.version == before.version
    until = station.store.stat(after.key, after.version).locked_until
    assert until is not None
    assert until > Shifted(days=300).now()


def test_recorder_that_brings_a_retired_file_again_keeps_it_and_is_not_held_up(station: Retiring) -> None:
    docking = station.parts.book.facts.docking(station.dock_again("dk-20261122-00000001"))
    assert docking is not None
    station.publish()
    assert not lacks_proof(station.parts, docking, unsealed=0)
    (file,) = decide(station.parts, docking, unsealed=0).files
    assert any("vault" in reason for reason in file.verdict.reasons)  # type: ignore[union-attr]


def test_copy_that_came_back_is_retired_again(nas: Retiring) -> None:
    nas.stored.original(A).write_bytes(FILES[A])
    nas.stored.original(A).chmod(0o440)
    nas.parts.book.ledger.append(copied(nas.id(A), checksum=nas.stored.segments[A].sha256))
    assert nas.problems() == []
    nas.retire()
    assert nas.phases(A) == ["ordered", "done", "ordered", "done"]
    assert nas.problems() == []


# ---------------------------------------------------------------------------------------------------- `edged check`


def test_check_finds_a_retired_original_that_is_there(nas: Retiring) -> None:
    nas.stored.original(A).write_bytes(FILES[A])
    assert any("was retired from the vault, and" in text for text in nas.problems())


def test_check_finds_a_retired_segment_without_its_chunk_list(nas: Retiring) -> None:
    nas.stored.original(A).with_name(CHUNKS_FILE).unlink()
    assert any(CHUNKS_FILE in text for text in nas.problems())


# ------------------------------------------------------------------------------------------------------------ bundles


def export(station: Retiring) -> int:
    """Write the export of all segments; gives its position in the book."""
    book = station.parts.book
    ledger, registers = book.ledger, book.registers
    segments = sorted(SegmentId(each.segment) for each in station.stored.segments.values())
    view, name = StationView(book, station.config), ExportId("ex-20261122-00000001")
    listed = plan_export(view, export=name, segments=segments, upto_seq=ledger.last_position() + 1)
    body = bodies.Export(
        export=name,
        selection={"segments": [str(segment) for segment in segments]},
        purpose=registers.add_reason(code="export", text="for the case"),
        list_sha256=sha256_hex(listed),
    )
    ledger.append(body, documents=[listed])
    station.publish()
    return ledger.positions_of_type("export")[-1]


def bundle(station: Retiring, out: Path, config: StationConfig | None = None, **how: Any) -> None:
    """Make the bundle as `edged bundle` does: beside the daemon, with a book and a store of its own."""
    book = open_book(station.stored.state)
    view = StationView(book, config or station.config, **how)
    try:
        make_bundle(view, export(station), out)
    finally:
        view.close()
        book.close()


def test_bundle_of_retired_segments_holds_them_and_verifies(station: Retiring, tmp_path: Path) -> None:
    bundle(station, out := tmp_path / "bundle")
    report = verify(FolderFiles(out), station.stored.trust())
    assert {name: check.verdict for name, check in report.checks.items() if check.verdict == "failed"} == {}
    assert [each.checks["bytes"].verdict for each in report.segments] == ["verified"] * len(FILES)
    for path, data in FILES.items():
        (original,) = (out / "data/segments" / station.id(path)).glob("*.mp4")
        assert original.read_bytes() == data
    told = [path.read_text() for path in (out / "data/custody").rglob("*.json")]
    assert sum('"type":"retire"' in text for text in told) == 2 * len(FILES)


def test_copy_that_the_store_replaced_is_not_handed_out(nas: Retiring, tmp_path: Path) -> None:
    settings = nas.config.store
    assert settings is not None
    kept: Path = settings.folder / nas.stored.replica(A).key  # type: ignore[union-attr]
    kept.chmod(0o640)
    kept.write_bytes(FILES[A].swapcase())
    with pytest.raises(MalformedError, match=f"{nas.id(A)}.*no longer what was sealed"):
        bundle(nas, tmp_path / "bundle")
    kept.unlink()
    with pytest.raises(MissingError):
        bundle(nas, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_later_version_of_the_key_is_an_impostor(station: Retiring, tmp_path: Path) -> None:
    station.store.put(station.stored.replica(A).key, FILES[A].swapcase())
    bundle(station, out := tmp_path / "bundle")
    (original,) = (out / "data/segments" / station.id(A)).glob("*.mp4")
    assert original.read_bytes() == FILES[A]


def test_original_that_vanished_without_an_entry_is_not_made_up_for(nas: Retiring, tmp_path: Path) -> None:
    nas.stored.take_in({"20261122/c.mp4": b"third"})
    nas.stored.publish()
    nas.stored.original("20261122/c.mp4").unlink()
    with pytest.raises(UnreadableError, match="No such file"):
        bundle(nas, tmp_path / "bundle")


def test_bundle_says_which_store_is_asked_for_in_vain(nas: Retiring, tmp_path: Path) -> None:
    assert nas.config.store is not None
    other = nas.config.model_copy(update={"store": nas.config.store.model_copy(update={"id": "other"})})
    for config in (other, nas.config.model_copy(update={"store": None})):
        with pytest.raises(UnreadableError, match=r"its copy lies in nas, which \[store\] does not name"):
            bundle(nas, tmp_path / "bundle", config)


def test_investigator_gives_credentials_that_can_be_read(new_bucket: Any, tmp_path: Path) -> None:
    station = make_retiring(tmp_path / "station", new_bucket())
    station.retire()
    part = station.config.store
    assert isinstance(part, StorePart)
    secret = part.model_copy(update={"credentials": tmp_path / "not-for-me.toml"})
    config = station.config.model_copy(update={"store": secret})
    with pytest.raises(UnreadableError, match="central storage cannot be opened") as caught:
        bundle(station, tmp_path / "bundle", config)
    assert "--credentials" in caught.value.hint
    bundle(station, tmp_path / "bundle", config, credentials=part.credentials)
    assert (tmp_path / "bundle").is_dir()
    station.stored.close()


def test_verification_of_the_station_says_how_many_copies_were_removed(nas: Retiring) -> None:
    nas.stored.take_in({"20261122/c.mp4": b"third"})
    nas.stored.publish()
    found, segments = check_station(nas.stored, replace(nas.stored.trust(), now=Shifted(1).now()))
    assert list(segments) == [nas.id("20261122/c.mp4")]
    assert segments[nas.id("20261122/c.mp4")].checks["bytes"].verdict == "verified"
    assert any("2 copies were removed" in each.en for each in found.report.findings)
    assert not [name for name, check in found.report.checks.items() if check.verdict == "failed"]
