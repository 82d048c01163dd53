"""When a checkpoint is chosen to be anchored, who owes what, and how tokens are renewed: on a real book."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.anchors.port import Authority, Conflict, Cosigned, Stamp
from edged.anchors.post import Poster
from edged.anchors.rfc3161 import HttpAuthority
from edged.book import Book
from edged.book.anchors import MOST_ROUNDS
from edged.clock import ClockState, SystemClock, from_rfc3339
from edged.config import AnchorsPart, AuthorityPart, WitnessPart
from edged.errors import UnavailableError
from edged.evidence import timestamps
from edged.evidence.entry import parse
from edged.evidence.note import Checkpoint, sign_note
from edged.station.jobs.anchor import AuthorityJob, RoundsJob, WitnessJob
from edged.station.live import Live
from hwsim.authority import Authority as Openssl
from hwsim.authority import Server
from tests.unit.book_station import ORIGIN, START, STATION, begin, docked, sealed, undocked

LOG_KEY = Ed25519PrivateKey.generate()
STOP = threading.Event()


class Moving:
    """A clock that is moved by hand."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def state(self) -> ClockState:
        return "synchronised"

    def go(self, **span: float) -> None:
        self.moment += timedelta(**span)
        self.seconds += timedelta(**span).total_seconds()


@dataclass
class Scripted:
    """An authority, or a witness, that is away or answers what it is told to."""

    name: str
    clock: Moving
    away: bool = False
    expires_after: timedelta = timedelta(days=1_000)
    asked: list[bytes] = field(default_factory=list)
    size: int = 0

    def stamp(self, data: bytes) -> Stamp:
        self._ask(data)
        moment = self.clock.now()
        said = f"token {len(self.asked)} of {self.name}".encode()
        return Stamp(data=said, moment=moment, by="TSA", expires=moment + self.expires_after)

    def add_checkpoint(self, old: int, proof: Sequence[bytes], checkpoint: bytes) -> Cosigned | Conflict:
        del proof
        self._ask(checkpoint)
        if old != self.size:
            return Conflict(size=self.size)
        self.size = int(checkpoint.split(b"\n")[1])
        line = f"\u2014 {self.name} line{len(self.asked)}\n".encode()
        return Cosigned(line=line, moment=self.clock.now(), by=self.name)

    def close(self) -> None:
        pass

    def _ask(self, data: bytes) -> None:
        if self.away:
            raise UnavailableError("away")
        self.asked.append(data)


@dataclass
class Desk:
    """What the jobs see of a station: a real book, a clock moved by hand."""

    book: Book
    clock: Moving
    parts: Any
    rounds: RoundsJob
    docking: int = 0

    def sign(self) -> int:
        """Sign the ledger as it is; gives its size."""
        ledger = self.book.ledger
        head = ledger.decide_head()
        if head.note is None:
            text = Checkpoint(origin=ORIGIN, size=head.size, root=head.root).text()
            ledger.keep_note(head, sign_note(text, ORIGIN, LOG_KEY))
        return head.size

    def write(self, name: str) -> None:
        self.book.ledger.append(sealed(name, name.encode()))

    def sizes(self) -> list[int]:
        return [each.size for each in self.book.anchors.rounds()]

    def step(self) -> bool:
        self.clock.go(seconds=10)
        return self.rounds.step(STOP)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = Moving()
    book = Book(tmp_path, station=STATION, clock=clock)
    begin(book)
    body, document = docked({"a.mp4": b"a.mp4", "b.mp4": b"b.mp4", "c.mp4": b"c.mp4"})
    book.ledger.append(body, documents=[document])
    part = AnchorsPart(
        authority=(AuthorityPart(id="tsa", url="http://127.0.0.1:9", root=tmp_path),),
        witness=(WitnessPart(name="w", url="http://127.0.0.1:9", vkey="x"),),
    )
    parts = SimpleNamespace(
        book=book, clock=clock, live=Live(clock), config=SimpleNamespace(anchors=part), anchor_wanted=threading.Event()
    )
    yield Desk(book=book, clock=clock, parts=parts, rounds=RoundsJob(parts))  # type: ignore[arg-type]
    book.close()


def serve(desk: Desk, who: Scripted, kind: str) -> int:
    """Have somebody do all it owes; gives how much that was."""
    job = AuthorityJob(desk.parts, who, is_first=True) if kind == "tsa" else WitnessJob(desk.parts, who)
    done = 0
    while job.step(STOP):
        done += 1
    return done


# ------------------------------------------------------------------------------------------------------ when


def test_new_entries_wait_for_an_hour(desk: Desk) -> None:
    size = desk.sign()
    assert not desk.step()
    desk.clock.go(minutes=58)
    assert not desk.step()
    desk.clock.go(minutes=2)
    assert desk.step()
    assert desk.sizes() == [size]
    assert not desk.step()


def test_end_of_a_docking_does_not_wait(desk: Desk) -> None:
    desk.book.ledger.append(undocked())
    assert not desk.step(), "what is not signed cannot be anchored"
    size = desk.sign()
    assert desk.step()
    assert desk.sizes() == [size]


def test_whoever_asks_need_not_wait(desk: Desk) -> None:
    desk.sign()
    desk.parts.anchor_wanted.set()
    assert desk.step()
    assert not desk.parts.anchor_wanted.is_set()


def test_clock_that_was_set_back_delays_nothing(desk: Desk) -> None:
    desk.sign()
    desk.clock.moment -= timedelta(days=30)
    assert desk.step()


def test_hour_goes_on_although_the_clock_stands_still(desk: Desk) -> None:
    desk.sign()
    assert not desk.step()
    desk.clock.seconds += 3_600
    assert desk.step()


def test_anchors_alone_make_nothing_due(desk: Desk) -> None:
    desk.book.ledger.append(undocked())
    desk.sign()
    desk.step()
    assert serve(desk, Scripted("tsa", desk.clock), "tsa") == 1
    assert serve(desk, Scripted("w", desk.clock), "w") == 1
    desk.sign()
    desk.clock.go(days=3)
    assert not desk.step()
    desk.write("a.mp4")
    desk.sign()
    desk.clock.go(hours=1)
    assert desk.step()


def test_log_that_went_on_elsewhere_is_not_anchored_here(desk: Desk) -> None:
    desk.book.ledger.append(undocked())
    desk.sign()
    desk.step()
    with desk.book.database.write() as connection:
        connection.execute("UPDATE epoch SET closed = 2")
    assert desk.book.anchors.news() == []
    assert desk.sizes() == []
    assert desk.book.anchors.owed_by("w") is None


# ------------------------------------------------------------------------------------------------- who owes what


def test_round_that_nobody_anchored_gives_way_to_the_next(desk: Desk) -> None:
    for name in ("a.mp4", "b.mp4"):
        desk.write(name)
        newest = desk.sign()
        desk.clock.go(hours=2)
        assert desk.step()
    assert desk.sizes() == [newest]


def test_round_that_somebody_anchored_waits_for_the_others(desk: Desk) -> None:
    witness, authority = Scripted("w", desk.clock), Scripted("tsa", desk.clock, away=True)
    sizes = []
    for name in ("a.mp4", "b.mp4"):
        desk.write(name)
        sizes.append(desk.sign())
        desk.clock.go(hours=2)
        assert desk.step()
        assert serve(desk, witness, "w") == 1
    with pytest.raises(UnavailableError):
        serve(desk, authority, "tsa")
    desk.step()
    assert desk.sizes() == sizes
    authority.away = False
    assert serve(desk, authority, "tsa") == 2
    desk.step()
    assert desk.sizes() == []
    assert [each.size for each in desk.book.anchors.after(0, 99) if each.name == "tsa"] == sizes


def test_somebody_new_owes_only_what_is_open(desk: Desk) -> None:
    desk.write("a.mp4")
    desk.sign()
    desk.clock.go(hours=2)
    desk.step()
    serve(desk, Scripted("tsa", desk.clock), "tsa")
    serve(desk, Scripted("w", desk.clock), "w")
    desk.step()
    assert serve(desk, Scripted("new", desk.clock), "tsa") == 0


def test_answer_of_a_witness_that_was_lost_is_asked_for_again(desk: Desk) -> None:
    """The witness remembers what it cosigned; the station was killed before it kept that."""
    desk.write("a.mp4")
    size = desk.sign()
    desk.clock.go(hours=2)
    desk.step()
    witness = Scripted("w", desk.clock, size=size)
    assert serve(desk, witness, "w") == 1
    assert desk.book.anchors.largest_by("w", ORIGIN) == size


def test_witness_that_is_ahead_of_the_round_cosigns_what_it_knows_again(desk: Desk) -> None:
    first = desk.sign()
    desk.clock.go(hours=2)
    desk.step()
    desk.write("a.mp4")
    larger = desk.sign()
    witness = Scripted("w", desk.clock, size=larger)
    assert serve(desk, witness, "w") == 1
    assert first < larger == desk.book.anchors.largest_by("w", ORIGIN)


def test_rounds_are_bounded(desk: Desk) -> None:
    anchors = desk.book.anchors
    with desk.book.database.write() as connection:
        connection.executemany("INSERT INTO anchoring (epoch, size) VALUES (1, ?)", [(n,) for n in range(1, 1_500)])
    desk.book.database.run("forget_rounds", most=MOST_ROUNDS)
    with desk.book.database.reading() as connection:
        assert connection.execute("SELECT count(*), max(size) FROM anchoring").fetchone()[:] == (MOST_ROUNDS, 1_499)
    assert anchors.last_round(1) == 1_499


# ------------------------------------------------------------------------------------------------------ entries


def test_entry_of_an_anchor_says_what_is_held(desk: Desk) -> None:
    desk.book.ledger.append(undocked())
    size = desk.sign()
    desk.step()
    serve(desk, Scripted("tsa", desk.clock), "tsa")
    (row,) = desk.book.anchors.after(0, 9)
    entry = parse(desk.book.ledger.bytes_at(row.position))
    plain = entry.body.plain()  # type: ignore[union-attr]
    head = desk.book.ledger.heads()[-1]
    assert plain["origin"] == ORIGIN
    assert plain["size"] == size == head.size
    assert plain["kind"] == "rfc3161"
    assert plain["by"] == "TSA"
    assert plain["sha256"] == row.sha256
    assert row.data == b"token 1 of tsa"
    assert desk.book.registers.document(row.sha256) == row.data
    assert entry.after is None
    desk.write("a.mp4")
    assert parse(desk.book.ledger.entry_bytes(desk.book.ledger.size() - 1)).after == row.sha256


def test_nobody_cites_an_anchor_of_the_future(desk: Desk) -> None:
    desk.book.ledger.append(undocked())
    desk.sign()
    desk.step()
    serve(desk, Scripted("tsa", desk.clock), "tsa")
    ahead = Moving(desk.clock.now() + timedelta(days=365))
    serve(desk, Scripted("w", ahead), "w")
    first, second = desk.book.anchors.after(0, 9)
    desk.write("a.mp4")
    written = parse(desk.book.ledger.entry_bytes(desk.book.ledger.size() - 1))
    assert written.after == first.sha256 != second.sha256
    assert desk.parts.live.has_alarm("clock w")


# ----------------------------------------------------------------------------------------------------- renewals


def test_token_is_renewed_before_its_authority_expires_and_only_for_longer(desk: Desk) -> None:
    desk.book.ledger.append(undocked())
    desk.sign()
    desk.step()
    authority = Scripted("tsa", desk.clock, expires_after=timedelta(days=400))
    job = AuthorityJob(desk.parts, authority, is_first=True)
    assert job.step(STOP)
    assert not job.step(STOP), "a token that lasts is left alone"
    desk.clock.go(days=300)
    authority.expires_after = timedelta(days=100)
    assert not job.step(STOP), "the authority still has the certificate that expires"
    assert len(authority.asked) == 2
    desk.clock.go(hours=23)
    assert not job.step(STOP)
    assert len(authority.asked) == 2, "and is asked again a day later, not each time"
    desk.clock.go(hours=2)
    authority.expires_after = timedelta(days=1_000)
    assert job.step(STOP)
    assert not job.step(STOP)
    first, second = desk.book.anchors.after(0, 9)
    assert authority.asked[-1] == first.data
    assert (first.file_name, second.file_name) == ("tsa.tsr", "tsa.1.tsr")
    assert second.size == first.size
    assert second.expires is not None
    assert from_rfc3339(second.expires) > desk.clock.now() + timedelta(days=900)


def test_tokens_of_an_authority_that_is_no_longer_configured_are_renewed_by_another(desk: Desk) -> None:
    desk.book.ledger.append(undocked())
    desk.sign()
    desk.step()
    old = Scripted("old", desk.clock, expires_after=timedelta(days=100))
    assert AuthorityJob(desk.parts, old, is_first=False).step(STOP)
    new = Scripted("tsa", desk.clock)
    assert serve(desk, new, "tsa") == 2
    assert [each.file_name for each in desk.book.anchors.after(0, 9)] == ["old.tsr", "tsa.tsr", "old.1.tsr"]


def test_real_tokens_renewed_verify_as_a_series(desk: Desk, tmp_path: Path) -> None:
    now = SystemClock().now()
    desk.clock.moment = now
    desk.book.ledger.append(undocked())
    desk.sign()
    desk.step()
    short = Openssl(tmp_path / "short", name="Short", not_after=now + timedelta(days=20)).make()
    long = Openssl(tmp_path / "long", name="Long").make()
    for each in (short, long):
        with Server(each) as server:
            poster = Poster(server.url, who="it", clock=SystemClock(), stop=STOP)
            one: Authority = HttpAuthority("tsa", poster, [each.root])
            job = AuthorityJob(desk.parts, one, is_first=True)
            while job.step(STOP):
                pass
            one.close()
    series = [each.data for each in desk.book.anchors.after(0, 9)]
    assert len(series) == 2
    note = desk.book.ledger.heads()[0].note
    assert note is not None
    for later in (1, 200):
        judged, _ = timestamps.judge_series(series, note, [short.root, long.root], now=now + timedelta(days=later))
        assert judged is not None
        assert judged.verdict == "verified"
    (alone,) = timestamps.judge_series(series[:1], note, [short.root], now=now + timedelta(days=200))
    assert alone is not None
    assert alone.verdict == "not-established"
