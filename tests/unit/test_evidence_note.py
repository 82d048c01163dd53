"""Notes and checkpoints against the examples of the C2SP pages, and in every form that is not exact."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.errors import MalformedError
from edged.evidence import note
from edged.evidence.note import Checkpoint

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SIGNED = (
    "This is an example message.\n"
    "\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
COSIGNED = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key for tests").digest())
ORIGIN = "example.org/st-1/2026-11-0a1b"
OURS = note.parse_vkey(note.vkey(ORIGIN, KEY.public_key().public_bytes_raw()))


def test_example_of_the_page_verifies() -> None:
    key = note.parse_vkey(VKEY)
    read = note.parse_note(SIGNED.encode())
    assert read.text == "This is an example message.\n"
    assert note.verify(read, key)
    assert note.vkey("example.com/foo", key.public) == VKEY


def test_example_with_an_altered_text_does_not_verify() -> None:
    read = note.parse_note(SIGNED.replace("example message", "exemplary message").encode())
    assert not note.verify(read, note.parse_vkey(VKEY))


def test_cosigned_checkpoint_of_the_page_is_read() -> None:
    read = note.parse_note(COSIGNED.encode())
    checkpoint = note.parse_checkpoint(read.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == read.text
    assert [each.name for each in read.signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]


def test_what_we_sign_we_verify() -> None:
    checkpoint = Checkpoint(origin=ORIGIN, size=5, root=b"r" * 32)
    data = note.sign_note(checkpoint.text(), ORIGIN, KEY)
    read = note.parse_note(data)
    assert note.parse_checkpoint(read.text) == checkpoint
    assert note.verify(read, OURS)
    assert data.decode().startswith(f"{ORIGIN}\n5\n")


def test_text_with_blank_lines_ends_at_the_last_one() -> None:
    data = note.sign_note("one\n\n\ntwo\n\n", ORIGIN, KEY)
    assert note.parse_note(data).text == "one\n\n\ntwo\n\n"


def test_signature_by_another_key_under_the_same_name_does_not_count() -> None:
    data = note.sign_note("text\n", ORIGIN, Ed25519PrivateKey.generate())
    assert not note.verify(note.parse_note(data), OURS)


def test_forged_signature_with_our_name_and_id_spoils_the_good_one() -> None:
    data = note.sign_note("text\n", ORIGIN, KEY)
    forged = base64.b64encode(OURS.key_id + b"\x00" * 64).decode()
    assert note.verify(note.parse_note(data), OURS)
    assert not note.verify(note.parse_note(data + f"— {ORIGIN} {forged}\n".encode()), OURS)


def test_signature_of_another_length_does_not_verify() -> None:
    short = base64.b64encode(OURS.key_id + b"\x00").decode()
    assert not note.verify(note.parse_note(f"text\n\n— {ORIGIN} {short}\n".encode()), OURS)


def test_signatures_of_unknown_witnesses_are_passed_over() -> None:
    data = note.sign_note("text\n", ORIGIN, KEY)
    lines = "".join(f"— w{i}.example {base64.b64encode(bytes(4) + bytes([i])).decode()}\n" for i in range(16))
    read = note.parse_note(data + lines.encode())
    assert len(read.signatures) == 17
    assert note.verify(read, OURS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n\n",
        SIGNED.encode()[:-1],
        SIGNED.encode() + b"\n",
        SIGNED.encode() + b"trailing\n",
        SIGNED.replace("\n", "\r\n").encode(),
        SIGNED.replace("message", "mess\x00age").encode(),
        SIGNED.replace("message", "mess\tage").encode(),
        SIGNED.replace("— ", "- ").encode(),
        SIGNED.replace("— ", "—").encode(),
        SIGNED.replace("— example", "—  example").encode(),
        SIGNED.replace("foo ", "foo+ ").encode(),
        SIGNED.replace("foo ", "foo\u00a0 ").encode(),
        SIGNED.replace("foo ", "foo\u2003x ").encode(),
        SIGNED.replace("aQM=\n", "aQN=\n").encode(),
        SIGNED.replace("aQM=\n", "aQM\n").encode(),
        SIGNED.replace("aQM=\n", "aQM==\n").encode(),
        SIGNED.replace("aQM=\n", "aQM= \n").encode(),
        SIGNED.replace("aQM=\n", "a-_=\n").encode(),
        "text\n\n— name AAAAAA==\n".encode(),
        "text\n\n— name \n".encode(),
        "text\n\n— name\n".encode(),
        b"\xff" + SIGNED.encode(),
        SIGNED.encode("utf-16"),
        ("text\n\n" + "— n AAAAAAE=\n" * 101).encode(),
        b"x" * 2_000_000 + SIGNED.encode(),
    ],
)
def test_note_in_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        note.parse_note(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n1\n" + "A" * 43 + "=",
        "a\n1\n" + "A" * 43 + "=\nextension\n",
        "a\n1\n" + "A" * 43 + "=\n\n",
        "\n1\n" + "A" * 43 + "=\n",
        "a\n01\n" + "A" * 43 + "=\n",
        "a\n+1\n" + "A" * 43 + "=\n",
        "a\n-1\n" + "A" * 43 + "=\n",
        "a\n 1\n" + "A" * 43 + "=\n",
        "a\n1_0\n" + "A" * 43 + "=\n",
        "a\n١\n" + "A" * 43 + "=\n",
        "a\n1.0\n" + "A" * 43 + "=\n",
        "a\n\n" + "A" * 43 + "=\n",
        f"a\n{2**63}\n" + "A" * 43 + "=\n",
        "a\n" + "1" * 10_000 + "\n" + "A" * 43 + "=\n",
        "a\n1\n" + "A" * 42 + "B=\n",
        "a\n1\n" + "A" * 44 + "\n",
        "a\n1\n" + "A" * 40 + "\n",
        "a\r\n1\r\n" + "A" * 43 + "=\r\n",
    ],
)
def test_checkpoint_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        note.parse_checkpoint(text)


def test_checkpoint_of_an_empty_log_has_size_0() -> None:
    assert note.parse_checkpoint("a\n0\n" + "A" * 43 + "=\n").size == 0
    assert note.parse_checkpoint(f"a\n{2**63 - 1}\n" + "A" * 43 + "=\n").size == 2**63 - 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a+b",
        VKEY[:-1],
        VKEY + "+",
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("foo+", "foo +"),
        VKEY.replace("+AeK", "+BeK").replace("+Aek", "+Aik"),
        "+" + VKEY.split("+", 1)[1],
        f"n+00000000+{base64.b64encode(bytes([2]) + bytes(32)).decode()}",
    ],
)
def test_verifier_key_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        note.parse_vkey(text)


def test_key_of_a_witness_is_read_but_does_not_verify_a_log() -> None:
    public = KEY.public_key().public_bytes_raw()
    number = note.key_id("w.example", public, kind=note.COSIGNATURE).hex()
    encoded = base64.b64encode(bytes([note.COSIGNATURE]) + public).decode()
    witness = note.parse_vkey(f"w.example+{number}+{encoded}")
    assert witness.kind == note.COSIGNATURE
    with pytest.raises(MalformedError):
        note.verify(note.parse_note(SIGNED.encode()), witness)


@pytest.mark.parametrize(
    ("text", "name"),
    [("no newline", ORIGIN), ("a\tb\n", ORIGIN), ("a\n", ""), ("a\n", "a b"), ("a\n", "a+b"), ("a\n", "a\nb")],
)
def test_what_is_no_note_is_not_signed(text: str, name: str) -> None:
    with pytest.raises(MalformedError):
        note.sign_note(text, name, KEY)
