"""The change-over as the station decides on it: by period, before a certificate ends, never behind the store's back."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edged import keys
from edged.clock import ClockState, SystemClock
from edged.errors import EdgedError, LedgerError, UnavailableError, UsageError
from edged.evidence.bodies import Anomaly, Close, Genesis
from edged.evidence.entry import parse
from edged.evidence.ids import StationId
from edged.station.assembly import build
from edged.station.creation import NewStation, create
from edged.station.epochs import change_over, confirm, next_origin, ready_key
from edged.station.jobs.keys import KeyJob
from edged.station.jobs.publish import PublishJob
from edged.station.keeping import request_key
from edged.station.parts import Parts
from edged.stores.directory import DirectoryStore

STATION = StationId("st-01")
NEVER = threading.Event()


class Moving:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
        self.seconds = 0.0

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment

    def monotonic(self) -> float:
        self.seconds += 100.0
        return self.seconds

    def state(self) -> ClockState:
        return "synchronised"


@pytest.fixture
def clock() -> Moving:
    return Moving()


Make = Callable[..., Parts]


@pytest.fixture
def make(tmp_path: Path, clock: Moving) -> Iterator[Make]:
    """Make a station with a folder as its central storage."""
    built: list[Parts] = []

    def made(ledger: str = "") -> Parts:
        new = NewStation(
            station=STATION,
            domain="example.org",
            zone="UTC",
            config=tmp_path / "config",
            state=tmp_path / "state",
            root_key=tmp_path / "root.key",
        )
        create(new, clock)
        nas = tmp_path / "nas"
        nas.mkdir()
        text = (tmp_path / "config/station.toml").read_text()
        text = text.replace("publish_seconds = 2.0", f"publish_seconds = 0.1\n{ledger}")
        text += f'\n[store]\nkind = "directory"\nid = "nas"\nfolder = "{nas}"\n'
        (tmp_path / "config/station.toml").write_text(text)
        parts = build(tmp_path / "config", clock)
        assert isinstance(parts.store, DirectoryStore)
        parts.store.set_up()
        built.append(parts)
        return parts

    yield made
    for parts in built:
        parts.book.close()


def publish(parts: Parts) -> None:
    assert parts.store is not None
    job = PublishJob(parts, parts.store)
    while job.step(NEVER):
        pass


def certified(parts: Parts, tmp_path: Path) -> str:
    """Have a certified key wait; gives its origin."""
    asked = request_key(parts, {}, "edged")
    answer = keys.certify(
        (tmp_path / "root.key").read_bytes(),
        parts.key.roots_pem(),
        str(asked["request"]).encode(),
        station=STATION,
        now=parts.clock.now(),
    )
    return parts.key.install(answer, None, station=STATION, clock=parts.clock).origin


def origins(parts: Parts) -> list[str]:
    return [epoch.origin for epoch in parts.book.ledger.epochs()]


def test_closing_and_opening_are_one_and_the_old_key_signs_the_end(make: Make, tmp_path: Path) -> None:
    parts = make()
    publish(parts)
    ledger, (old,) = parts.book.ledger, origins(parts)
    wanted = certified(parts, tmp_path)
    assert change_over(parts, code="test", text="why", actor="user:li") == (old, wanted)
    # Footage would go on into the new epoch, while the old one is the one that is signed, by its own key.
    assert (ledger.epoch.origin, ledger.signing_epoch().origin) == (wanted, old)
    assert parts.key.private_origins() == {old, wanted}
    with pytest.raises(UsageError, match="No certified key"):
        change_over(parts, code="test", text="again")
    publish(parts)
    assert (ledger.signing_epoch().origin, parts.key.private_origins()) == (wanted, {wanted})
    first, second = (ledger.log(epoch) for epoch in ledger.epochs())
    close, genesis = parse(first.entry_bytes(first.size() - 1)), parse(second.entry_bytes(0))
    assert isinstance(close.body, Close)
    assert isinstance(genesis.body, Genesis)
    assert (close.actor, genesis.actor, close.body.next) == ("user:li", "user:li", wanted)
    assert genesis.body.previous is not None
    assert genesis.body.previous.size == first.size() == first.published_size()
    assert keys.load(tmp_path / "state/keys").vkey(wanted) == genesis.body.public_key


def test_no_second_change_over_before_the_first_is_through(make: Make, tmp_path: Path) -> None:
    parts = make()
    publish(parts)
    certified(parts, tmp_path)
    change_over(parts, code="test", text="why")
    with pytest.raises(UsageError, match="still waits to sign"):
        request_key(parts, {}, "user:li")


def test_nothing_is_closed_while_the_store_does_not_answer(make: Make, tmp_path: Path) -> None:
    parts = make()
    publish(parts)
    certified(parts, tmp_path)
    (tmp_path / "nas").rename(tmp_path / "unplugged")
    with pytest.raises(UnavailableError):
        change_over(parts, code="test", text="why")
    assert len(origins(parts)) == 1


def test_period_that_is_over_changes_the_key_if_one_waits_and_else_says_so(
    make: Make, clock: Moving, tmp_path: Path
) -> None:
    parts = make("rotate_days = 30")
    publish(parts)
    job = KeyJob(parts)
    clock.moment += timedelta(days=29)
    assert not job.step(NEVER)
    clock.moment += timedelta(days=2)
    with pytest.raises(EdgedError, match="31 days old"):
        job.step(NEVER)
    wanted = certified(parts, tmp_path)
    assert job.step(NEVER)
    assert parts.book.ledger.epoch.origin == wanted
    publish(parts)
    # The new epoch's own period begins.
    assert not job.step(NEVER)
    assert len(origins(parts)) == 2


def test_certificate_that_ends_is_told_in_time_and_replaced_without_a_period(
    make: Make, clock: Moving, tmp_path: Path
) -> None:
    parts = make()
    publish(parts)
    job = KeyJob(parts)
    clock.moment += timedelta(days=5 * 365 - 91)
    assert not job.step(NEVER)
    clock.moment += timedelta(days=2)
    with pytest.raises(EdgedError, match="ends in 88 days") as caught:
        job.step(NEVER)
    assert "edged key request" in caught.value.hint
    wanted = certified(parts, tmp_path)
    assert not job.step(NEVER)
    clock.moment += timedelta(days=60)
    assert job.step(NEVER)
    assert parts.book.ledger.epoch.origin == wanted


def test_waiting_certificate_that_has_ended_is_not_changed_to(make: Make, clock: Moving, tmp_path: Path) -> None:
    parts = make()
    publish(parts)
    certified(parts, tmp_path)
    clock.moment += timedelta(days=20 * 365)
    assert ready_key(parts) is None
    with pytest.raises(UsageError, match="No certified key"):
        change_over(parts, code="test", text="why")


def test_nothing_is_decided_before_the_store_confirmed(make: Make, clock: Moving, tmp_path: Path) -> None:
    parts = make("rotate_days = 1")
    certified(parts, tmp_path)
    clock.moment += timedelta(days=9)
    assert not KeyJob(parts).step(NEVER)
    assert len(origins(parts)) == 1


def test_published_entries_that_do_not_fit_their_checkpoint_bring_no_new_history(make: Make, tmp_path: Path) -> None:
    """A store that gives other entries than it published is not believed; the checkpoint it gave still counts."""
    parts = make()
    parts.book.ledger.append(Anomaly(kind="one", docking=None, subject=None, detail={}))
    publish(parts)
    (old,) = origins(parts)
    certified(parts, tmp_path)
    signed = parts.book.ledger.log(parts.book.ledger.epochs()[0]).entries_between(0, 2)
    # A copy of the disk goes ahead; then somebody exchanges the tiles.
    from edged.evidence.merkle import appended_nodes, leaf_hash, root  # noqa: PLC0415
    from edged.evidence.note import Checkpoint  # noqa: PLC0415
    from edged.evidence.tiles import bundle_entries, entries_path  # noqa: PLC0415

    nodes: dict[tuple[int, int], bytes] = {}
    for at, leaf in enumerate([*signed, b"theirs"]):
        for level, index, digest in appended_nodes(at, leaf_hash(leaf), lambda one, two: nodes[one, two]):
            nodes[level, index] = digest
    head = root(3, lambda one, two: nodes[one, two])
    text = Checkpoint(origin=old, size=3, root=head).text()
    assert parts.store is not None
    parts.store.put(f"ledger/{old}/checkpoint", parts.key.of(old).sign(text, old))
    parts.store.put(f"ledger/{old}/{entries_path(0, 3)}", bundle_entries([*signed, signed[1]]))
    assert not confirm(parts, parts.store)
    first, second = parts.book.ledger.epochs()
    assert (first.state, second.state) == ("left", "open")
    assert parts.book.ledger.log(first).size() == 2
    publish(parts)
    kinds = [parse(parts.book.ledger.entry_bytes(seq)).body for seq in parts.book.ledger.of_type("anomaly")]
    assert [each.kind for each in kinds if isinstance(each, Anomaly)] == ["ledger-contradicted"]


def test_checkpoint_that_the_epochs_key_did_not_sign_opens_nothing(make: Make, tmp_path: Path) -> None:
    parts = make()
    publish(parts)
    certified(parts, tmp_path)
    (old,) = origins(parts)
    stranger = keys.make(
        tmp_path / "stranger", station=STATION, origin=old, clock=SystemClock(), root_key=tmp_path / "stranger.key"
    )
    from edged.evidence.note import Checkpoint  # noqa: PLC0415

    assert parts.store is not None
    parts.store.put(
        f"ledger/{old}/checkpoint", stranger.sign(Checkpoint(origin=old, size=9, root=bytes(32)).text(), old)
    )
    with pytest.raises(LedgerError, match="not signed by this station's key"):
        confirm(parts, parts.store)
    assert origins(parts) == [old]


def test_origins_are_never_the_same(make: Make) -> None:
    parts = make()
    assert len({next_origin(parts) for _ in range(20)}) > 1
