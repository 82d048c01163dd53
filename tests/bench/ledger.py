"""A large book: proving any of its entries, starting a daemon on it, and what that daemon takes when idle."""

import random
from typing import Final

from edged.book import Book
from edged.book.database import Database
from edged.book.ledger import Ledger
from edged.clock import SystemClock
from edged.errors import LedgerError
from edged.evidence import bodies, merkle
from edged.evidence.note import parse_checkpoint, parse_note
from edged.evidence.proofs import format_proof, parse_proof
from tests.bench import daemon
from tests.bench.filling import docked, fill, sealed, undocked
from tests.bench.report import Row
from tests.bench.rounds import make_cold, middle, timed
from tests.bench.setting import Setting
from tests.bench.station import STATION, BenchStation, make_station, serving

_PROOFS: Final = 100
"""Entries proven a round."""
_APPENDED: Final = 100
"""Entries appended a round, each durable before the next."""
_SEED: Final = 20_261_121


def measure(setting: Setting) -> list[Row]:
    """Measure the rows of the ledger and of the daemon."""
    folder, clock = setting.folder / "ledger", SystemClock()
    setting.tell("ledger: starting an S3 server")
    with serving(folder / "server") as (server, store):
        station = make_station(folder / "station", clock, server)
        each_seconds = fill(station, clock, store, segments=setting.scale.segments, tell=setting.tell)
        proofs = [_prove_some(setting, station, number) for number in range(setting.scale.rounds)]
        lives = daemon.watch(setting, station)
    opening = [_open(setting, station) for _ in range(setting.scale.rounds)]
    appended = _append(setting, station)
    size = setting.scale.segments
    return [
        Row(what=f"ledger: slowest of {_PROOFS} proofs", unit="ms", edged=[max(each) for each in proofs], at_most=20),
        Row(what="ledger: a proof in the middle", unit="ms", edged=[middle(each) for each in proofs]),
        Row(what=f"ledger: opening the book, {size} segments", unit="ms", edged=opening),
        Row(what="ledger: appending, each durable", unit="a second", edged=appended),
        Row(what="ledger: appending, hundreds at once", unit="a second", edged=[1 / each_seconds]),
        *lives,
    ]


def _prove_some(setting: Setting, station: BenchStation, number: int) -> list[float]:
    """Prove entries here and there from a cold book; gives milliseconds, once each proof is shown to be right."""
    setting.tell(f"ledger: proving entries, round {number + 1} of {setting.scale.rounds}")
    chosen = random.Random(_SEED + number)
    make_cold([station.state / "book.sqlite"])
    book = Book(station.state, station=STATION, clock=SystemClock(), read_only=True)
    try:
        ledger = book.ledger
        size = ledger.size()
        taken = []
        for seq in chosen.sample(range(size), min(_PROOFS, size)):
            proofs: list[bytes] = []
            turn = timed(lambda seq=seq, proofs=proofs: proofs.append(_prove(ledger, seq)))  # type: ignore[misc]
            _check(ledger.entry_bytes(seq), proofs[0])
            taken.append(1000 * turn.seconds)
        return taken
    finally:
        book.close()


def _prove(ledger: Ledger, seq: int) -> bytes:
    """Make the proof of an entry, as `edged ledger prove` does."""
    covering = ledger.checkpoint_covering(seq)
    if covering is None:
        raise LedgerError(f"Entry {seq} is under no checkpoint.")
    size, checkpoint = covering
    ledger.entry_bytes(seq)
    return format_proof(seq, ledger.inclusion_proof(seq, size), checkpoint)


def _check(entry: bytes, proof: bytes) -> None:
    seq, hashes, checkpoint = parse_proof(proof)
    signed = parse_checkpoint(parse_note(checkpoint).text)
    if not merkle.verify_inclusion(seq, signed.size, merkle.leaf_hash(entry), hashes, signed.root):
        raise LedgerError(f"The proof of entry {seq} is wrong.")


def _open(setting: Setting, station: BenchStation) -> float:
    """Open the book from a cold cache until it says its size; gives milliseconds."""
    setting.tell("ledger: opening the book")
    make_cold([station.state / "book.sqlite"])
    opened: list[Database] = []

    def work() -> None:
        book = Book(station.state, station=STATION, clock=SystemClock())
        opened.append(book.database)
        book.ledger.size()

    turn = timed(work)
    opened[0].close()
    return 1000 * turn.seconds


def _append(setting: Setting, station: BenchStation) -> list[float]:
    """Append segments one by one to the large book; gives entries a second."""
    book = Book(station.state, station=STATION, clock=SystemClock())
    first = setting.scale.segments
    try:
        found = []
        for number in range(setting.scale.rounds):
            setting.tell(f"ledger: appending, round {number + 1} of {setting.scale.rounds}")
            docking, recorder = docked(book, first + number, _APPENDED)
            some = [sealed(first + number * _APPENDED + each, docking, recorder) for each in range(_APPENDED)]
            make_cold([])

            def work(some: list[bodies.Segment] = some) -> None:
                for body in some:
                    book.ledger.append(body)

            found.append(_APPENDED / timed(work).seconds)
            book.ledger.append(undocked(docking, _APPENDED))
        return found
    finally:
        book.close()
