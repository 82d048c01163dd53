"""A station's own account of dockings that were cut short: lost, or taken in later."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from edged.audit.dockings import Dockings
from edged.audit.stations import VaultOriginals
from edged.book import Book
from edged.evidence.canonical import decode, encode
from edged.evidence.digests import sha256_hex
from edged.evidence.entry import parse, reference
from edged.evidence.ids import DockingId, RecorderId
from tests.unit.book_station import docked, open_book, sealed, sg, sighted, undocked

FIRST, SECOND, THIRD = (DockingId(f"dk-20261121-0000000{n}") for n in (1, 2, 3))
CARD = {"A.MP4": b"first", "B.MP4": b"second", "C.MP4": b"third"}


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = open_book(tmp_path)
    yield book
    book.close()


def dock(book: Book, docking: DockingId, card: Mapping[str, bytes], **of: RecorderId) -> None:
    body, document = docked(card, docking, **of)
    book.ledger.append(body, documents=[document])


def audited(book: Book, folder: Path) -> tuple[str, list[str]]:
    dockings = Dockings(VaultOriginals(book, folder, folder))
    for seq in range(book.ledger.size()):
        data = book.ledger.entry_bytes(seq)
        dockings.take(parse(data), reference(data))
    return dockings.check().verdict, [words.en for words in dockings.amiss]


def cut_short(book: Book) -> None:
    """The recorder leaves when one of its three files is sealed."""
    dock(book, FIRST, CARD)
    book.ledger.append(sealed("A.MP4", CARD["A.MP4"], docking=FIRST), undocked(FIRST, "interrupted", 3))


def test_a_docking_that_was_cut_short_is_not_complete(book: Book, tmp_path: Path) -> None:
    cut_short(book)
    verdict, amiss = audited(book, tmp_path)
    assert verdict == "not-established"
    assert any("2 file(s) of the inventory" in each for each in amiss)


def test_what_a_later_docking_took_is_not_lost(book: Book, tmp_path: Path) -> None:
    cut_short(book)
    dock(book, SECOND, CARD)
    book.ledger.append(
        sighted("A.MP4", sg(CARD["A.MP4"]), SECOND),
        *(sealed(path, CARD[path], docking=SECOND) for path in ("B.MP4", "C.MP4")),
        undocked(SECOND, "kept", 3),
    )
    verdict, amiss = audited(book, tmp_path)
    assert verdict == "verified"
    (said,) = amiss
    assert said.startswith(f"{FIRST} was cut short; the 2 file(s) that it left on the card were all taken in later")
    assert said.endswith(f"{SECOND}. Nothing of them is lost.")


def test_what_two_later_dockings_took_together_is_not_lost(book: Book, tmp_path: Path) -> None:
    cut_short(book)
    dock(book, SECOND, CARD)
    book.ledger.append(sealed("B.MP4", CARD["B.MP4"], docking=SECOND), undocked(SECOND, "interrupted", 3))
    assert audited(book, tmp_path)[0] == "not-established"
    dock(book, THIRD, CARD)
    for path in ("A.MP4", "B.MP4"):
        book.ledger.append(sighted(path, sg(CARD[path]), THIRD))
    book.ledger.append(sealed("C.MP4", CARD["C.MP4"], docking=THIRD), undocked(THIRD, "kept", 3))
    verdict, amiss = audited(book, tmp_path)
    assert verdict == "verified"
    assert [each.split(" ", 1)[0] for each in amiss] == [FIRST, SECOND]


def test_a_file_that_was_swapped_between_dockings_is_lost(book: Book, tmp_path: Path) -> None:
    cut_short(book)
    swapped = CARD | {"C.MP4": b"another and longer one"}
    dock(book, SECOND, swapped)
    book.ledger.append(*(sealed(path, swapped[path], docking=SECOND) for path in ("B.MP4", "C.MP4")))
    book.ledger.append(sighted("A.MP4", sg(CARD["A.MP4"]), SECOND), undocked(SECOND, "kept", 3))
    assert audited(book, tmp_path)[0] == "not-established"


def test_a_file_that_was_written_anew_in_the_same_length_is_lost(book: Book, tmp_path: Path) -> None:
    cut_short(book)
    body, document = docked(CARD, SECOND)
    plain = decode(document)
    assert isinstance(plain, dict)
    assert isinstance(plain["items"], list)
    plain["items"][2]["modified"] = "2026-11-21T09:00:00+08:00"  # type: ignore[index,call-overload]
    document = encode(plain)
    body = body.model_copy(update={"inventory_sha256": sha256_hex(document)})
    book.ledger.append(body, documents=[document])
    book.ledger.append(*(sealed(path, CARD[path], docking=SECOND) for path in ("B.MP4", "C.MP4")))
    book.ledger.append(sighted("A.MP4", sg(CARD["A.MP4"]), SECOND), undocked(SECOND, "kept", 3))
    assert audited(book, tmp_path)[0] == "not-established"


def test_another_recorder_with_the_same_names_takes_nothing(book: Book, tmp_path: Path) -> None:
    cut_short(book)
    other = RecorderId("rec-0002")
    dock(book, SECOND, CARD, recorder=other)
    book.ledger.append(*(sealed(path, CARD[path], docking=SECOND, recorder=other) for path in CARD))
    book.ledger.append(undocked(SECOND, "kept", 3))
    assert audited(book, tmp_path)[0] == "not-established"
