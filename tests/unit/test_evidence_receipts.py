"""The code on a receipt: one spelling, bounded, and nothing that its checkpoint does not say."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import MalformedError
from edged.evidence.ids import EntryRef
from edged.evidence.note import Checkpoint, parse_note, parse_vkey, sign_note, verify, vkey
from edged.evidence.receipts import LONGEST, format_receipt, parse_receipt, receipt
from tests.unit.book_station import ORIGIN

KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
REF = EntryRef(hashlib.sha256(b"entry").hexdigest())
NOTE = sign_note(Checkpoint(origin=ORIGIN, size=12, root=b"\2" * 32).text(), ORIGIN, KEY)
CODE = format_receipt(receipt(NOTE, 11, REF))


def test_code_holds_the_exact_bytes_of_the_signed_checkpoint() -> None:
    found = parse_receipt(CODE)
    assert found.note() == NOTE
    assert (found.seq, found.ref) == (11, REF)
    assert verify(parse_note(found.note()), parse_vkey(vkey(ORIGIN, KEY.public_key().public_bytes_raw())))


def test_code_is_one_short_line_of_ascii() -> None:
    assert CODE.isascii()
    assert "\n" not in CODE
    assert len(CODE) < 350 < LONGEST
    assert CODE.startswith(f"edged-receipt:1 {ORIGIN} 12 ")


@pytest.mark.parametrize("seq", [12, 13, 2**40])
def test_entry_that_the_checkpoint_does_not_cover_gets_no_receipt(seq: int) -> None:
    with pytest.raises(MalformedError, match="below its size"):
        receipt(NOTE, seq, REF)


def test_checkpoint_that_its_log_did_not_sign_gives_no_receipt() -> None:
    other = sign_note(
        Checkpoint(origin=ORIGIN, size=12, root=b"\2" * 32).text(), "other.example/st-07/2026-11-ab12", KEY
    )
    with pytest.raises(MalformedError):
        receipt(other, 3, REF)


_PARTS = CODE.split(" ")


@pytest.mark.parametrize(
    "code",
    [
        "",
        " ",
        CODE + "\n",
        CODE + " ",
        " " + CODE,
        CODE.replace(" ", "  ", 1),
        CODE.replace(" ", "\t", 1),
        CODE.replace(" 12 ", " 012 "),
        CODE.replace(" 12 ", " +12 "),
        CODE.replace(" 12 ", " 1２ "),
        CODE.replace(" 12 ", " 9223372036854775808 "),
        CODE.replace(" 12 ", " 11 "),
        CODE.replace(" 11 ", " -1 "),
        CODE.replace("edged-receipt:1", "edged-receipt:2"),
        CODE.replace("edged-receipt:1", "EDGED-RECEIPT:1"),
        CODE.replace(REF, REF.upper()),
        CODE.replace(REF, REF[:-1]),
        CODE.replace(ORIGIN, "evidence.example"),
        CODE.replace(ORIGIN, "../../st-07/2026-11-ab12"),
        CODE.replace(_PARTS[3], _PARTS[3][:-1]),
        CODE.replace(_PARTS[3], _PARTS[3].replace("I=", "J=")),
        CODE.replace(_PARTS[4], _PARTS[3]),
        CODE + " more",
        " ".join(_PARTS[:-1]),
        CODE + "a" * LONGEST,
        "edged-receipt:1 " + "a" * 10_000_000,
        "\ud800",
    ],
)
def test_any_other_spelling_is_refused(code: str) -> None:
    with pytest.raises(MalformedError):
        parse_receipt(code)


@given(st.text(max_size=LONGEST + 10))
def test_whatever_was_scanned_is_a_receipt_or_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_receipt(text)


@given(st.integers(0, len(CODE) - 1), st.characters(min_codepoint=32, max_codepoint=126))
def test_a_code_that_is_read_is_written_the_same_again(at: int, other: str) -> None:
    changed = CODE[:at] + other + CODE[at + 1 :]
    try:
        found = parse_receipt(changed)
    except MalformedError:
        return
    assert format_receipt(found) == changed
