"""Originals leave the vault by an entry before and one after, and only while central storage shows that it has them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edged.config import StationConfig, parse_toml
from edged.errors import StorageError, UnavailableError, UnreadableError
from edged.evidence.ids import DockingId
from edged.station.assembly import build_jobs
from edged.station.jobs.retire import RetireJob
from edged.stores.directory import DirectorySettings
from edged.stores.port import MissingError
from edged.vault.place import CHUNKS_FILE
from tests.unit.book_station import cleared, derived, docked, sighted, undocked, wiped
from tests.unit.retiring_station import DAYS, FILES, TERM, A, B, Retiring, Shifted, make_retiring
from tests.unit.stored_station import NEVER


@pytest.fixture(params=["directory", "s3"])
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Retiring]:
    """A station with old originals, and each kind of store."""
    fixture = {"directory": "new_share", "s3": "new_bucket"}[request.param]
    made = make_retiring(tmp_path / "station", request.getfixturevalue(fixture)())
    yield made
    made.stored.close()


@pytest.fixture
def nas(new_share: Any, tmp_path: Path) -> Iterator[Retiring]:
    """One whose store is a folder."""
    made = make_retiring(tmp_path / "station", new_share())
    yield made
    made.stored.close()


def stays(station: Retiring, path: str = A) -> None:
    """Fail unless nothing at all becomes of an original."""
    station.work()
    station.publish()
    station.work()
    assert station.is_there(path)
    assert station.phases(path) == []


# ----------------------------------------------------------------------------------------------------- the way of one


def test_original_goes_after_a_published_order_and_a_further_entry_says_so(station: Retiring) -> None:
    job = station.job()
    station.work(job)
    assert (station.is_there(A), station.is_there(B)) == (True, True), "nothing is published yet"
    assert (station.phases(A), station.phases(B)) == (["ordered"], ["ordered"])
    assert station.problems() == []
    station.publish()
    station.work(job)
    assert (station.is_there(A), station.is_there(B)) == (False, False)
    assert station.phases(A) == ["ordered", "done"]
    assert station.stored.original(A).with_name(CHUNKS_FILE).exists()
    for body in station.retirements():
        (replica,) = [row for row in station.parts.book.facts.replicas(body.segment) if row.store != "vault"]
        assert (body.store, body.proofs) == ("vault", (replica.ref,))
    assert station.store.asked == 2, "what this run confirmed is not asked again"
    assert station.parts.book.facts.totals()["retired"] == 2
    assert station.problems() == []
    station.publish()
    size = station.parts.book.ledger.size()
    station.work()
    assert station.parts.book.ledger.size() == size


def test_original_of_yesterday_stays(station: Retiring) -> None:
    station.clock.days = TERM / timedelta(days=1) - 0.01
    stays(station)


def test_next_round_is_an_hour_later(nas: Retiring) -> None:
    nas.clock.days = 0
    job = nas.job()
    nas.work(job)
    assert 3599 < job.idle_seconds <= 3600
    nas.clock.days = DAYS
    nas.work(job)
    assert nas.phases(A) == []
    nas.clock.seconds = 3601
    nas.work(job)
    assert nas.phases(A) == ["ordered"]


# ------------------------------------------------------------------------------------------------------------- crashes


def test_crash_between_order_and_removal_is_taken_up_and_the_store_asked_once_more(station: Retiring) -> None:
    station.work()
    station.publish()
    asked = station.store.asked
    station.work(station.job())
    assert station.store.asked == asked + 2
    assert not station.is_there(A)
    assert station.phases(A) == ["ordered", "done"]


def test_crash_between_removal_and_its_entry_is_looked_up(station: Retiring) -> None:
    station.work()
    station.publish()
    station.stored.original(A).unlink()
    assert station.problems() == []
    station.work(station.job())
    assert station.phases(A) == ["ordered", "done"]
    assert station.problems() == []


def test_copy_lost_between_order_and_removal_keeps_the_original(station: Retiring) -> None:
    station.work()
    station.publish()
    station.store.first = lost
    assert "missing" in station.fail().message
    assert station.is_there(A)
    assert station.phases(A) == ["ordered"]
    station.store.first = None
    station.work(station.job())
    assert not station.is_there(A)


def test_nothing_is_removed_where_the_vault_is_not_mounted(nas: Retiring) -> None:
    nas.work()
    nas.publish()
    vault = nas.config.paths.vault
    vault.rename(vault.with_name("unmounted"))
    with pytest.raises((UnreadableError, StorageError)):
        nas.work()
    vault.with_name("unmounted").rename(vault)
    assert nas.is_there(A)
    assert nas.phases(A) == ["ordered"]


def test_nothing_is_removed_before_the_store_confirmed_this_ledger(nas: Retiring) -> None:
    nas.work()
    nas.publish()
    nas.stored.parts.confirmed.clear()
    nas.work()
    assert nas.is_there(A)


# ------------------------------------------------------------------------------------------- what the store has to show


def lost() -> None:
    raise MissingError("Store central does not hold it.")


def test_copy_that_is_missing_is_an_anomaly_and_nothing_goes(nas: Retiring) -> None:
    settings = nas.config.store
    assert settings is not None
    folder: Path = settings.folder  # type: ignore[union-attr]
    kept = folder / nas.stored.replica(A).key
    kept.unlink()
    assert "does not confirm the copy" in nas.fail().message
    assert nas.is_there(A)
    assert (nas.phases(A), nas.phases(B)) == ([], ["ordered"]), "one that fails holds up no other"
    assert nas.anomalies() == [("replica-not-confirmed", "missing")]
    nas.fail()
    assert nas.anomalies() == [("replica-not-confirmed", "missing")], "it is said once"


def test_copy_of_other_bytes_is_an_anomaly_and_nothing_goes(nas: Retiring) -> None:
    settings = nas.config.store
    assert settings is not None
    kept: Path = settings.folder / nas.stored.replica(A).key  # type: ignore[union-attr]
    kept.chmod(0o640)
    kept.write_bytes(FILES[A].swapcase())
    assert "different" in nas.fail().message
    assert nas.is_there(A)
    assert nas.anomalies() == [("replica-not-confirmed", "different")]


@pytest.mark.parametrize("changes", [{"lock_mode": None}, {"locked_until": None}, {"locked_until": "soon"}])
def test_copy_whose_lock_was_lifted_is_an_anomaly_and_nothing_goes(
    new_bucket: Any, tmp_path: Path, changes: dict[str, Any]
) -> None:
    station = make_retiring(tmp_path, new_bucket())
    soon = Shifted(days=DAYS + 0.5).now()
    station.store.changes = {key: soon if value == "soon" else value for key, value in changes.items()}
    station.fail()
    assert station.is_there(A)
    assert station.anomalies() == [("replica-not-confirmed", "not-locked")] * 2
    station.stored.close()


def test_footage_whose_lock_ended_with_its_term_waits_for_its_disposal(new_bucket: Any, tmp_path: Path) -> None:
    station = make_retiring(tmp_path, new_bucket())
    station.clock.days = 31
    stays(station)
    assert station.store.asked == 0
    assert station.anomalies() == []
    station.stored.close()


def test_store_that_cannot_be_reached_is_no_anomaly_and_is_asked_again(nas: Retiring) -> None:
    def away() -> None:
        raise UnavailableError("The store is away.")

    nas.store.first = away
    job = nas.job()
    for _ in range(2):
        with pytest.raises(UnavailableError, match="away"):
            job.step(NEVER)
    assert nas.anomalies() == []
    nas.store.first = None
    nas.work(job)
    assert nas.phases(A) == ["ordered"]


# ----------------------------------------------------------------------------------------------------- what is not due


def test_clock_that_is_not_synchronised_retires_nothing(nas: Retiring) -> None:
    nas.clock.synchronised = "unsynchronised"
    with pytest.raises(UnavailableError, match="not synchronised"):
        nas.work()
    assert nas.phases(A) == []
    assert nas.store.asked == 0


def test_file_that_a_recorder_may_still_hold_stays(station: Retiring) -> None:
    station.dock_again("dk-20261122-00000001", ends=True)
    stays(station, A)
    assert station.phases(B) == ["ordered", "done"]


COPY = "20261121/copy-of-a.mp4"


def dock_with_copy(station: Retiring, name: str, outcome: str, *, gone: str | None = None) -> None:
    """Have the recorder come with the first file twice on it, and leave when one of them was erased."""
    book, docking, segment = station.stored.parts.book, DockingId(name), station.id(A)
    body, document = docked({A: FILES[A], COPY: FILES[A]}, docking)
    book.ledger.append(body, documents=[document])
    book.ledger.append(sighted(A, segment, docking), sighted(COPY, segment, docking))
    proofs = [row.ref for row in book.facts.replicas(segment)]
    clearance = book.ledger.append(cleared([(segment, A), (segment, COPY)], proofs, docking))[0].ref
    for path in (A, COPY):
        outcome_of = "gone" if path == gone else "present"
        book.ledger.append(wiped(path, FILES[A], clearance, docking=docking, outcome=outcome_of))
    book.ledger.append(undocked(docking, outcome, 1))


@pytest.mark.parametrize("gone", [A, COPY])
def test_file_that_a_recorder_may_still_hold_under_another_name_stays(nas: Retiring, gone: str) -> None:
    dock_with_copy(nas, "dk-20261122-00000001", "kept", gone=gone)
    stays(nas)
    nas.dock_again("dk-20261123-00000001", bay="intake-12345678", ends=True)
    stays(nas)


def test_file_that_a_docking_saw_before_another_was_cut_short_stays(nas: Retiring) -> None:
    dock_with_copy(nas, "dk-20261122-00000001", "kept")
    book, docking, segment = nas.stored.parts.book, DockingId("dk-20261123-00000001"), nas.id(A)
    body, document = docked({A: FILES[A], COPY: FILES[A]}, docking)
    book.ledger.append(body, documents=[document])
    book.ledger.append(sighted(A, segment, docking))
    proofs = [row.ref for row in book.facts.replicas(segment)]
    clearance = book.ledger.append(cleared([(segment, A)], proofs, docking))[0].ref
    book.ledger.append(wiped(A, FILES[A], clearance, docking=docking), undocked(docking, "interrupted", 1))
    stays(nas)


def test_file_that_was_handed_in_goes(nas: Retiring) -> None:
    nas.dock_again("dk-20261122-00000001", bay="intake-12345678", ends=True)
    nas.retire()
    assert not nas.is_there(A)


def test_station_that_erases_nothing_retires_all_the_same(nas: Retiring) -> None:
    nas.dock_again("dk-20261122-00000001", ends=True)
    nas.configure("bays", wipe="never")
    nas.retire()
    assert not nas.is_there(A)


def test_file_of_an_open_docking_stays_even_where_nothing_is_erased(nas: Retiring) -> None:
    nas.configure("bays", wipe="never")
    nas.dock_again("dk-20261122-00000001")
    stays(nas)


def test_recorder_that_is_docked_while_the_store_is_asked_is_in_time(nas: Retiring) -> None:
    def dock_again() -> None:
        nas.store.first = None
        nas.dock_again("dk-20261122-00000001")

    nas.store.first = dock_again
    stays(nas)
    assert nas.store.asked > 0


def test_original_whose_derivatives_are_still_to_be_made_stays_until_they_are(nas: Retiring) -> None:
    row = nas.parts.book.facts.segment(nas.id(A))
    assert row is not None
    film = replace(row, container="mp4")

    def is_retirable() -> bool:
        return nas.job()._retirable(film) is not None

    assert nas.config.media.derivatives == ("poster", "proxy")
    assert not is_retirable()
    nas.parts.book.ledger.append(derived(row.segment, "poster"))
    assert not is_retirable()
    nas.parts.book.work.settle(row.segment, "derive proxy", "there is nothing to be seen")
    assert is_retirable()


# ---------------------------------------------------------------------------------------------------- `edged check`


def test_check_finds_an_original_that_is_gone_without_an_entry(nas: Retiring) -> None:
    nas.stored.original(A).unlink()
    assert any("cannot be read: No such file" in text for text in nas.problems())


def test_check_finds_removals_without_an_order_a_copy_or_a_checkpoint(nas: Retiring) -> None:
    nas.work()
    bodies = list(nas.retirements())
    done = {"phase": "done"}
    append = nas.parts.book.ledger.append
    append(type(bodies[0]).model_validate(bodies[0].plain() | done))
    append(type(bodies[1]).model_validate(bodies[1].plain() | done | {"proofs": ()}))
    append(type(bodies[1]).model_validate(bodies[1].plain() | done))
    told = "\n".join(nas.problems())
    assert told.count("which was under no published checkpoint then") == 2
    assert told.count("and cites no copy of it elsewhere") == 1
    assert told.count("none before it ordered that") == 1


# ---------------------------------------------------------------------------------------------------- configuration

STATION = """
[station]
id = "st-01"
domain = "example.org"
zone = "Asia/Shanghai"
[paths]
state = "/srv/state"
vault = "/srv/vault"
retire_after_days = %s
[bays]
source = "directory"
folder = "/srv/bays"
wipe = "never"
[cases]
folder = "/srv/cases"
"""
STORE = '[store]\nkind = "directory"\nid = "nas"\nfolder = "/srv/nas"\n'


def test_term_of_less_than_a_day_and_one_without_a_store_are_refused() -> None:
    assert parse_toml(STATION % 1 + STORE, StationConfig).paths.retire_after_days == 1
    for days in ("0", "-1", "0.5", '"30"', "true"):
        with pytest.raises(ValueError, match=re.escape("paths.retire_after_days is")):
            parse_toml(STATION % days + STORE, StationConfig)
    with pytest.raises(ValueError, match=r"retire_after_days needs \[store\]: there would be no copy left"):
        parse_toml(STATION % 90, StationConfig)


def test_job_runs_only_where_a_term_is_configured(new_share: Any, tmp_path: Path) -> None:
    settings: DirectorySettings = new_share()
    station = make_retiring(tmp_path, settings)
    assert not any(isinstance(job, RetireJob) for job in build_jobs(station.parts))
    station.configure("paths", retire_after_days=7)
    assert [job.name for job in build_jobs(station.parts) if isinstance(job, RetireJob)] == ["retire"]
    station.stored.close()
