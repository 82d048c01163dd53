"""Object locks do not lapse: extended in time, as far as the term goes, and never shortened."""

import threading
from datetime import UTC, datetime, timedelta

from edged.clock import from_rfc3339
from edged.station.jobs.relock import RelockJob
from edged.stores.port import Found
from tests.crash.inside import inside
from tests.crash.station import Station, clip_path


def _locked_until(found: Found) -> datetime:
    assert found.lock_mode == "COMPLIANCE"
    assert found.locked_until is not None
    return found.locked_until


def test_a_lock_that_used_up_half_of_its_horizon_is_extended_without_another_version(station: Station) -> None:
    bay = station.dock(station.card("EG01234", {clip_path(1, "BC00001"): b"film"}))
    with inside(station) as parts:
        station.until_phase(bay, "done")
        store = parts.store
        assert store is not None
        (segment,) = parts.book.facts.all_segments(after=0, most=10)
        (before,) = [row for row in parts.book.facts.replicas(segment.segment) if row.store == store.id]
        first = _locked_until(store.stat(before.key, before.version))

        longer = timedelta(days=4 * 365)
        assert not RelockJob(parts, store, horizon=longer).step(threading.Event())

        (after,) = [row for row in parts.book.facts.replicas(segment.segment) if row.store == store.id]
        assert after.version == before.version
        assert after.ref != before.ref
        lasts = _locked_until(store.stat(after.key, after.version))
        assert lasts > first + timedelta(days=365)
        assert after.locked_until is not None
        assert from_rfc3339(after.locked_until) == lasts

        size = parts.book.ledger.size()
        assert not RelockJob(parts, store, horizon=longer).step(threading.Event())
        assert parts.book.ledger.size() == size, "what was just extended is left alone"

        shorter = timedelta(days=30)
        assert not RelockJob(parts, store, horizon=shorter).step(threading.Event())
        assert _locked_until(store.stat(after.key, after.version)) == lasts
    assert datetime.now(UTC) < lasts
