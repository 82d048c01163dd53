"""The ledger: one chain without a gap, whose tree is that of RFC 6962, and heads that only grow."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.book import Book
from edged.book.ledger import Ledger
from edged.errors import LedgerError, MalformedError, UnreadableError
from edged.evidence import merkle, tiles
from edged.evidence.bodies import Segment
from edged.evidence.entry import ZERO_REF, Entry, parse, reference
from edged.evidence.ids import DockingId, EpochId, RecorderId
from tests.unit.book_station import (
    CENTRAL,
    DOCKING,
    EPOCH,
    ORIGIN,
    RECORDER,
    STATION,
    begin,
    classified,
    cleared,
    close,
    copied,
    docked,
    genesis,
    new_book,
    odd,
    open_book,
    sealed,
    sg,
    sighted,
)

NEXT = EpochId("2026-12-cd34")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(tmp_path)
    yield book
    book.close()


@pytest.fixture
def ledger(book: Book) -> Ledger:
    return book.ledger


def entries(ledger: Ledger) -> list[Entry]:
    return [parse(data) for data in ledger.entries_between(0, ledger.size())]


def dock(book: Book, files: dict[str, bytes]) -> None:
    body, document = docked(files)
    book.ledger.append(body, documents=[document])


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def test_entry_says_where_it_stands(ledger: Ledger) -> None:
    written = ledger.append(odd("one"), odd("two"), actor="user:admin")
    first, second = written
    assert [each.seq for each in written] == [1, 2]
    stored = parse(ledger.entry_bytes(2))
    assert stored == second.entry
    assert (stored.prev, stored.seq, stored.type) == (first.ref, 2, "anomaly")
    assert (stored.station, stored.epoch, stored.actor) == (STATION, EPOCH, "user:admin")
    assert stored.clock == "unsynchronised"
    assert reference(ledger.entry_bytes(2)) == second.ref
    assert parse(ledger.entry_bytes(0)).prev == ZERO_REF


def test_chain_joins_every_entry_to_the_one_before(ledger: Ledger) -> None:
    for number in range(10):
        ledger.append(odd(f"{number}"))
    prev = ZERO_REF
    for seq, data in enumerate(ledger.entries_between(0, ledger.size())):
        assert (parse(data).seq, parse(data).prev) == (seq, prev)
        prev = reference(data)


def test_segments_of_a_recorder_are_a_chain_of_their_own(book: Book) -> None:
    other = RecorderId("rec-0002")
    dock(book, {})
    refs = [
        book.ledger.append(sealed("a", b"a"), sealed("b", b"b"))[-1].ref,
        book.ledger.append(sealed("a", b"a", recorder=other))[0].ref,
        book.ledger.append(sealed("c", b"c"))[0].ref,
    ]
    bodies = [entry.body for entry in entries(book.ledger) if isinstance(entry.body, Segment)]
    chain = [(body.recorder, body.recorder_seq, body.recorder_prev) for body in bodies]
    first = reference(book.ledger.entry_bytes(2))
    assert chain == [(RECORDER, 1, None), (RECORDER, 2, first), (other, 1, None), (RECORDER, 3, refs[0])]


def test_chain_of_a_recorder_goes_on_across_epochs(book: Book) -> None:
    dock(book, {})
    before = book.ledger.append(sealed("a", b"a"))[0].ref
    book.ledger.append(close())
    begin(book, NEXT)
    body = book.ledger.append(sealed("b", b"b"))[0].entry.body
    assert isinstance(body, Segment)
    assert (body.recorder_seq, body.recorder_prev) == (2, before)


def test_tree_is_that_of_rfc_6962_at_every_size(ledger: Ledger) -> None:
    for number in range(69):
        ledger.append(odd(f"{number}"))
    leaves = ledger.entries_between(0, 70)
    roots = [ledger.root(size) for size in range(71)]
    assert roots == [naive_root(leaves[:size]) for size in range(71)]
    for seq in (0, 1, 31, 63, 64, 69):
        for size in {seq + 1, 64, 65, 70} - set(range(seq + 1)):
            proof = ledger.inclusion_proof(seq, size)
            assert merkle.verify_inclusion(seq, size, merkle.leaf_hash(leaves[seq]), proof, roots[size])
    for level, index in ((0, 7), (3, 2), (6, 0)):
        subtree = leaves[index << level : (index + 1) << level]
        assert ledger.tree_hash(level, index) == naive_root(subtree)


def test_hash_that_is_not_there_is_a_ledger_error(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="lacks the tree hash"):
        ledger.tree_hash(4, 0)
    with pytest.raises(LedgerError, match="not among the first"):
        ledger.inclusion_proof(1, 1)


def test_tiles_hold_the_leaf_hashes_and_the_roots_of_full_tiles(book: Book) -> None:
    book.ledger.append(*(odd(f"{number}") for number in range(299)))
    leaves = book.ledger.entries_between(0, 300)
    hashes = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves]
    expected = {
        tiles.Tile(0, 0, 256): b"".join(hashes[:256]),
        tiles.Tile(0, 1, 44): b"".join(hashes[256:]),
        tiles.Tile(1, 0, 1): naive_root(leaves[:256]),
    }
    assert {tile: book.ledger.tile_bytes(tile) for tile in tiles.tiles_for(0, 300)} == expected


def test_many_threads_at_once_leave_one_chain(book: Book) -> None:
    dock(book, {})
    ledger, start = book.ledger, threading.Barrier(6)

    def append(thread: int) -> None:
        start.wait()
        for number in range(15):
            data = f"{thread}-{number}".encode()
            segment = sealed(f"{thread}/{number}", data)
            ledger.append(segment, copied(segment.segment))

    threads = [threading.Thread(target=append, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    leaves = ledger.entries_between(0, ledger.size())
    parsed = [parse(data) for data in leaves]
    assert [entry.seq for entry in parsed] == list(range(2 + 6 * 15 * 2))
    assert [entry.prev for entry in parsed] == [ZERO_REF, *map(reference, leaves[:-1])]
    assert ledger.root(len(leaves)) == naive_root(leaves)
    chain = [entry.body for entry in parsed if isinstance(entry.body, Segment)]
    assert [body.recorder_seq for body in chain] == list(range(1, 91))
    # What one call appends stays together.
    assert [entry.type for entry in parsed[2:]] == ["segment", "replica"] * 90


def test_entry_whose_projection_fails_is_not_written(book: Book) -> None:
    dock(book, {})
    before = book.ledger.size(), book.ledger.root(2)
    # Its docking is not known: the projection cannot be made, so the entry must not be there either.
    with pytest.raises(Exception, match="FOREIGN KEY"):
        book.ledger.append(odd("first"), sealed("a", b"a", docking=DockingId("dk-unknown")), documents=[b"cited"])
    assert (book.ledger.size(), book.ledger.root(2)) == before
    with pytest.raises(UnreadableError):
        book.registers.document(hashlib.sha256(b"cited").hexdigest())
    assert book.ledger.append(odd("next"))[0].seq == 2


def test_segment_sealed_twice_is_refused(book: Book) -> None:
    dock(book, {})
    book.ledger.append(sealed("a", b"a"))
    with pytest.raises(Exception, match="UNIQUE"):
        book.ledger.append(sealed("b", b"a"))
    assert book.ledger.size() == 3


def test_classification_of_an_unknown_segment_is_refused(book: Book) -> None:
    with pytest.raises(Exception, match="constraint failed"):
        book.ledger.append(classified(sg(b"unknown")))
    assert book.ledger.size() == 1


def test_entry_that_is_too_long_is_not_written(ledger: Ledger) -> None:
    with pytest.raises(MalformedError, match="longer than"):
        ledger.append(odd("one"), odd("long", detail={"text": "x" * 70_000}))
    assert ledger.size() == 1


@pytest.mark.parametrize("actor", ["root", "user:", "user:a b", "user:a\n", "", "remote"])
def test_actor_that_cannot_be_signed_is_refused(ledger: Ledger, actor: str) -> None:
    with pytest.raises(MalformedError, match="actor"):
        ledger.append(odd("one"), actor=actor)
    assert ledger.size() == 1


def test_documents_are_there_with_the_entry(book: Book) -> None:
    body, document = docked({"a.mp4": b"1"})
    book.ledger.append(body, documents=[document, document])
    assert book.registers.document(body.inventory_sha256) == document


def test_one_epoch_is_open_at_a_time(book: Book) -> None:
    with pytest.raises(LedgerError, match="open already"):
        begin(book, NEXT)
    assert book.ledger.epoch.id == EPOCH
    assert book.ledger.size() == 1


def test_nothing_is_appended_before_the_first_epoch(tmp_path: Path) -> None:
    book = new_book(tmp_path)
    with pytest.raises(LedgerError, match="no open epoch"):
        book.ledger.append(odd("one"))
    with pytest.raises(LedgerError, match="no open epoch"):
        book.ledger.size()
    book.close()


def test_nothing_is_appended_behind_a_close(book: Book) -> None:
    book.ledger.append(close())
    with pytest.raises(LedgerError, match="no open epoch"):
        book.ledger.append(odd("one"))
    with pytest.raises(Exception, match="open epoch"), book.database.write() as connection:
        connection.execute("INSERT INTO entry (epoch, seq, ref, type, bytes) VALUES (1, 2, ?, 't', x'00')", ["f" * 64])


def test_close_with_something_behind_it_is_refused_whole(book: Book) -> None:
    with pytest.raises(Exception, match="open epoch"):
        book.ledger.append(close(), odd("behind"))
    assert book.ledger.size() == 1
    assert book.ledger.epoch.id == EPOCH


def test_next_epoch_begins_at_its_own_first_entry(book: Book) -> None:
    book.ledger.append(close(f"evidence.example/{STATION}/{NEXT}"))
    begun = begin(book, NEXT)
    assert (begun.seq, begun.entry.prev, begun.entry.epoch) == (0, ZERO_REF, NEXT)
    assert book.ledger.size() == 1
    assert book.ledger.root(1) == naive_root(book.ledger.entries_between(0, 1))
    assert book.ledger.bytes_at(1) != book.ledger.bytes_at(3) == book.ledger.entry_bytes(0)


def test_epoch_is_never_used_again(book: Book) -> None:
    book.ledger.append(close())
    with pytest.raises(Exception, match="UNIQUE"):
        book.ledger.open_epoch(id=EPOCH, origin=ORIGIN, genesis=genesis())


def test_epoch_whose_genesis_fails_is_not_open(tmp_path: Path) -> None:
    book = new_book(tmp_path)
    wrong = genesis().model_copy(update={"software": "x" * 70_000})
    with pytest.raises(MalformedError):
        book.ledger.open_epoch(id=EPOCH, origin=ORIGIN, genesis=wrong)
    with pytest.raises(LedgerError, match="no open epoch"):
        _ = book.ledger.epoch
    book.close()


def test_head_is_decided_once_for_a_size(book: Book) -> None:
    ledger = book.ledger
    head = ledger.decide_head()
    assert (head.size, head.root, head.note, head.published) == (1, ledger.root(1), None, False)
    assert ledger.decide_head() == head
    ledger.append(odd("one"))
    grown = ledger.decide_head()
    assert (grown.size, grown.root) == (2, ledger.root(2))
    assert ledger.heads() == [head, grown]
    assert ledger.newest_head() == grown


def test_second_signature_for_a_head_is_not_taken(ledger: Ledger) -> None:
    head = ledger.decide_head()
    ledger.keep_note(head, b"first")
    ledger.keep_note(head, b"second")
    assert [each.note for each in ledger.heads()] == [b"first"]


def test_published_heads_are_told_by_epoch(book: Book) -> None:
    ledger = book.ledger
    assert (ledger.published_size(), ledger.published_sizes()) == (0, {})
    for number in range(3):
        ledger.append(odd(f"{number}"))
        ledger.keep_note(ledger.decide_head(), b"note")
    assert ledger.published_size() == 0
    ledger.mark_published(3)
    assert (ledger.published_size(), ledger.published_sizes()) == (3, {EPOCH: 3})
    ledger.append(close())
    begin(book, NEXT)
    assert (ledger.published_size(), ledger.published_sizes()) == (0, {EPOCH: 3})
    ledger.mark_published(ledger.decide_head().size)
    assert ledger.published_sizes() == {EPOCH: 3, NEXT: 1}


def test_entry_is_covered_by_the_smallest_signed_head_above_it(ledger: Ledger) -> None:
    assert ledger.checkpoint_covering(0) is None
    for size in (1, 3, 5):
        while ledger.size() < size:
            ledger.append(odd("more"))
        head = ledger.decide_head()
        if size != 3:
            ledger.keep_note(head, f"note of {size}".encode())
    assert ledger.checkpoint_covering(0) == (1, b"note of 1")
    assert ledger.checkpoint_covering(1) == (5, b"note of 5")
    assert ledger.checkpoint_covering(4) == (5, b"note of 5")
    assert ledger.checkpoint_covering(5) is None


def test_entries_are_found_by_reference_type_and_name(book: Book) -> None:
    ledger, segment = book.ledger, sg(b"a")
    dock(book, {})
    sealed_ref = ledger.append(sealed("a", b"a"))[0].ref
    ledger.append(sighted("b", segment), copied(segment), copied(segment, CENTRAL))
    ledger.append(cleared([(segment, "a")], []), odd("odd", docking=DOCKING), classified(segment, case="case-1"))
    assert ledger.seq_of(sealed_ref) == 2
    assert ledger.seq_of("0" * 64) is None
    assert ledger.of_type("replica") == [4, 5]
    assert ledger.of_type("nothing") == []
    assert ledger.naming("segment", segment) == [2, 3, 4, 5, 6, 8]
    assert ledger.naming("docking", DOCKING) == [1, 2, 3, 6, 7]
    assert ledger.naming("recorder", RECORDER) == [1, 2]
    assert ledger.naming("case", "case-1") == [8]
    assert ledger.naming("segment", "case-1") == []


@pytest.mark.parametrize("seq", [1, -1, 2**40])
def test_what_is_not_in_the_ledger_is_unreadable(ledger: Ledger, seq: int) -> None:
    with pytest.raises(UnreadableError, match="no entry"):
        ledger.entry_bytes(seq)
    with pytest.raises(UnreadableError, match="no entry"):
        ledger.bytes_at(seq + 1)
