"""A large book: proving any of its entries, starting a daemon on it, and what that daemon takes when idle."""

import random
from collections.abc import Iterable
from functools import partial
from typing import Final

from edged.book import Book
from edged.book.ledger import Ledger
from edged.clock import SystemClock
from edged.errors import LedgerError
from edged.evidence import bodies, merkle
from edged.evidence.note import parse_checkpoint, parse_note
from edged.evidence.proofs import format_proof, parse_proof
from tests.bench import audit, daemon
from tests.bench.filling import PER_DOCKING, docked, docking_id, fill, sealed, undocked
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
        filled = fill(station, clock, store, segments=setting.scale.segments, tell=setting.tell)
        proofs = [_prove_some(setting, station, number) for number in range(setting.scale.rounds)]
        lives = daemon.watch(setting, station)
    opening = [_open(setting, station) for _ in range(setting.scale.rounds)]
    status = [_status(setting, station) for _ in range(setting.scale.rounds)]
    asking = [_ask(setting, station, number) for number in range(setting.scale.rounds)]
    audited = audit.measure(setting, station, filled.entries)
    appended = _append(setting, station)
    entries = f"{filled.entries} entries"
    return [
        Row(
            what=f"slowest of {_PROOFS} proofs, {entries}",
            unit="ms",
            edged=[max(each) for each in proofs],
            at_most=20,
        ),
        Row(what=f"median of {_PROOFS} proofs", unit="ms", edged=[middle(each) for each in proofs]),
        Row(what=f"opening the book, {entries}", unit="ms", edged=opening),
        Row(what=f"what `edged status` asks of the book, {entries}", unit="ms", edged=status),
        Row(what=f"what a docking of {PER_DOCKING} files asks of it, without what it writes", unit="ms", edged=asking),
        Row(what="appending segments, each durable", unit="a second", edged=appended),
        Row(what="appending entries, hundreds at once", unit="a second", edged=[filled.entries / filled.seconds]),
        *audited,
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
            turn, proof = timed(partial(_prove, ledger, seq))
            _check(ledger.entry_bytes(seq), proof)
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

    def work() -> Book:
        book = Book(station.state, station=STATION, clock=SystemClock())
        book.ledger.size()
        return book

    turn, book = timed(work)
    book.close()
    return 1000 * turn.seconds


def _status(setting: Setting, station: BenchStation) -> float:
    """Ask a cold book what `edged status` asks; gives milliseconds."""
    setting.tell("ledger: status")
    make_cold([station.state / "book.sqlite"])
    book = Book(station.state, station=STATION, clock=SystemClock(), read_only=True)

    def work() -> None:
        book.facts.totals()
        book.facts.undetermined(after=0, most=50)
        book.ledger.size()
        book.ledger.published_size()

    try:
        return 1000 * timed(work)[0].seconds
    finally:
        book.close()


def _ask(setting: Setting, station: BenchStation, number: int) -> float:
    """Ask a cold book all that one docking asks: half of its files are new, half were there before; milliseconds."""
    setting.tell(f"ledger: asking as a docking does, round {number + 1} of {setting.scale.rounds}")
    make_cold([station.state / "book.sqlite"])
    book = Book(station.state, station=STATION, clock=SystemClock(), read_only=True)
    facts = book.facts
    chosen = random.Random(_SEED + number).randrange(max(1, setting.scale.segments // PER_DOCKING))
    before = facts.docking(docking_id(chosen))
    if before is None:
        raise LedgerError(f"There is no docking {chosen}.")

    def work() -> None:
        facts.open_dockings()
        facts.last_docking_in(before.bay)
        facts.last_docking(before.recorder)
        known = list(facts.found(before.docking))
        for path in [*known[: PER_DOCKING // 2], *(f"NEW/{each}.MP4" for each in range(PER_DOCKING // 2))]:
            facts.segment_last_found_at(recorder=before.recorder, path=path, size_bytes=1)
            facts.found_at(before.docking, path)
        for found in facts.found(before.docking).values():
            facts.segment(found.segment)
            facts.replicas(found.segment)
        facts.docking_progress(before.docking)
        facts.lacking_proof(before.docking, "central", sealed_before=before.began)
        facts.sealed_files(before.docking)
        facts.clearances(before.docking)

    try:
        return 1000 * timed(work)[0].seconds
    finally:
        book.close()


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

            turn, _ = timed(partial(_append_each, book.ledger, some))
            found.append(_APPENDED / turn.seconds)
            book.ledger.append(undocked(docking, _APPENDED))
        return found
    finally:
        book.close()


def _append_each(ledger: Ledger, some: Iterable[bodies.Segment]) -> None:
    for body in some:
        ledger.append(body)
