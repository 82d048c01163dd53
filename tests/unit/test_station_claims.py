"""Which bay keeps a recorder, how long another one waits for it, and which files keep a docking from its clearance."""

import threading
from pathlib import Path

import pytest

from edged.errors import EdgedError, StoppedError, UnavailableError
from edged.evidence import bodies
from edged.evidence.ids import BayId, RecorderId
from edged.station.live import Live
from edged.station.recorder_claims import Claims
from edged.station.worker import Pauses, guarded
from tests.unit.book_station import DOCKING, Ticking, docked, odd, open_book, sealed, sg

R, ONE, OTHER, HANDED = RecorderId("r"), BayId("one"), BayId("other"), BayId("intake-1")


@pytest.fixture
def claims() -> Claims:
    return Claims()


@pytest.fixture
def gone() -> threading.Event:
    return threading.Event()


def test_only_one_bay_has_a_recorder(claims: Claims, gone: threading.Event) -> None:
    assert claims.take(R, ONE, gone) is None
    assert claims.take(R, ONE, gone) is None
    kept = claims.take(R, OTHER, threading.Event())
    assert kept is not None
    assert (kept.bay, kept.lets_go, claims.bay_of(R)) == (ONE, False, ONE)
    assert (claims.holds(ONE), claims.holds(OTHER)) == (True, False)
    claims.give_back(OTHER)
    assert claims.bay_of(R) == ONE
    claims.give_back(ONE)
    assert claims.take(R, OTHER, gone) is None


def test_one_that_stays_is_waited_for_only_so_long(claims: Claims, gone: threading.Event) -> None:
    claims.take(R, ONE, gone)
    kept = claims.take(R, OTHER, gone)
    assert kept is not None
    assert not claims.wait(R, kept, threading.Event(), 0.5)


def test_one_that_begins_to_leave_and_one_that_has_left_end_the_wait(claims: Claims, gone: threading.Event) -> None:
    claims.take(R, ONE, gone)
    kept = claims.take(R, OTHER, gone)
    assert kept is not None
    threading.Timer(0.1, gone.set).start()
    assert claims.wait(R, kept, threading.Event(), 20)
    assert kept.lets_go
    threading.Timer(0.1, claims.give_back, [ONE]).start()
    assert claims.wait(R, kept, threading.Event())
    assert claims.bay_of(R) is None


def test_what_a_person_handed_in_ends_by_itself(claims: Claims, gone: threading.Event) -> None:
    claims.take(R, HANDED, gone)
    kept = claims.take(R, ONE, gone)
    assert kept is not None
    assert kept.lets_go


def test_who_waits_stops_waiting_when_its_own_recorder_leaves(claims: Claims, gone: threading.Event) -> None:
    claims.take(R, ONE, threading.Event())
    kept = claims.take(R, OTHER, gone)
    assert kept is not None
    threading.Timer(0.1, gone.set).start()
    with pytest.raises(StoppedError):
        claims.wait(R, kept, gone)


def test_it_is_known_what_kind_of_error_raised_an_alarm() -> None:
    live, pauses = Live(Ticking()), Pauses()

    def fail_with(error: EdgedError) -> None:
        def step() -> float:
            raise error

        guarded(step, source="upload", live=live, pauses=pauses)

    assert not live.has_failed("upload", UnavailableError)
    fail_with(UnavailableError("It fails."))
    assert live.has_failed("upload", UnavailableError)
    # The same words of another error are another failure.
    fail_with(EdgedError("It fails."))
    assert not live.has_failed("upload", UnavailableError)
    fail_with(UnavailableError("It fails."))
    live.calm("upload")
    assert not live.has_failed("upload", UnavailableError)


def test_a_file_that_is_not_trusted_is_one_however_often_that_is_said(tmp_path: Path) -> None:
    book = open_book(tmp_path)
    body, document = docked({"a": b"a", "b": b"b", "c": b"c"})
    book.ledger.append(body, documents=[document])
    assert book.facts.distrusted_in(DOCKING) == 0
    unsure = bodies.Quarantine(code="second-reading-differs", unreadable=(), second_sha256=None)
    about = bodies.Subject(kind="segment", id=sg(b"a"))
    said = odd("second-reading-differs", docking=DOCKING, path="a", subject=about)
    book.ledger.append(sealed("a", b"a", quarantine=unsure), said)
    assert book.facts.distrusted_in(DOCKING) == 1
    book.ledger.append(sealed("b", b"b"), odd("partly-unreadable", docking=DOCKING, path="b"))
    book.ledger.append(sealed("c", b"c"), odd("counter-skips", docking=DOCKING, path="c"))
    assert book.facts.distrusted_in(DOCKING) == 2
    book.close()
