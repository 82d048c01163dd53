"""Cosignatures of witnesses: exact lines, and the message that `openssl` checks too."""

import base64
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import MalformedError
from edged.evidence import cosignatures
from edged.evidence.note import parse_note, parse_vkey, sign_note, vkey
from edged.evidence.text import to_base64

TEXT = "evidence.example/st-07/2026-11-ab12\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
NAME = "witness.example/w1"
AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
LOG = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
WITNESS = parse_vkey(cosignatures.witness_vkey(NAME, KEY.public_key().public_bytes_raw()))
LINE = cosignatures.cosign(TEXT, NAME, KEY, AT)

# From the specification itself, C2SP/tlog-cosignature.
EXAMPLE = (
    "\u2014 witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()


def rewritten(seconds: int, *, key: Ed25519PrivateKey = KEY, text: str = TEXT) -> bytes:
    """Make a line of any time, signed for real."""
    signature = key.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
    return line(seconds.to_bytes(8, "big") + signature)


def line(signature: bytes) -> bytes:
    return f"\u2014 {NAME} {to_base64(WITNESS.key_id + signature)}\n".encode()


def test_a_cosignature_says_when_the_witness_saw_the_checkpoint() -> None:
    assert cosignatures.verify(LINE, TEXT, WITNESS) == AT
    with_fraction = cosignatures.cosign(TEXT, NAME, KEY, AT + timedelta(milliseconds=900))
    assert with_fraction == LINE


def test_the_line_is_as_the_specification_writes_it(tmp_path: Path) -> None:
    """Its key id, its time, and a signature that `openssl` verifies over the message of the specification."""
    dash, name, encoded = LINE.decode().rstrip("\n").split(" ")
    assert (dash, name) == ("\u2014", NAME)
    raw = base64.b64decode(encoded)
    assert raw[:4].hex() == cosignatures.witness_vkey(NAME, KEY.public_key().public_bytes_raw()).split("+")[1]
    assert raw[4:12] == int(AT.timestamp()).to_bytes(8, "big")
    (tmp_path / "message").write_bytes(b"cosignature/v1\ntime 1795253400\n" + TEXT.encode())
    (tmp_path / "signature").write_bytes(raw[12:])
    (tmp_path / "public").write_bytes(
        KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "public", "-rawin", "-in", "message"]
    subprocess.run([*command, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, check=True)
    vkey_of_log = vkey(NAME, KEY.public_key().public_bytes_raw())
    assert vkey_of_log.split("+")[1] != raw[:4].hex()  # the same key as a log's has another id


def test_the_example_of_the_specification_is_read() -> None:
    signature = cosignatures.parse_line(EXAMPLE)
    assert signature.name == "witness.example.com/w1"
    assert int.from_bytes(signature.signature[:8], "big") == 1_679_315_147
    assert len(signature.signature) == 72


def test_a_line_is_what_stands_in_the_note_byte_for_byte() -> None:
    note = sign_note(TEXT, "evidence.example/st-07/2026-11-ab12", LOG)
    other = cosignatures.cosign(TEXT, "other.example", LOG, AT)
    assert cosignatures.lines(note + LINE + other)[1:] == (LINE, other)
    assert b"".join(cosignatures.lines(note + LINE)) == (note + LINE).partition(b"\n\n")[2]
    assert parse_note(note + LINE).text == TEXT


@pytest.mark.parametrize(
    "altered",
    [
        TEXT.replace("\n3\n", "\n4\n"),
        TEXT.replace("st-07", "st-08"),
        TEXT.replace("CsU", "DsU"),
        TEXT + "extension\n",
        "",
    ],
)
def test_a_cosignature_replayed_over_another_checkpoint_is_refused(altered: str) -> None:
    with pytest.raises(MalformedError, match="not over this checkpoint"):
        cosignatures.verify(LINE, altered, WITNESS)


def test_an_altered_time_is_refused() -> None:
    raw = base64.b64decode(LINE.split()[-1])
    with pytest.raises(MalformedError, match="not over this checkpoint"):
        cosignatures.verify(line((int(AT.timestamp()) - 1).to_bytes(8, "big") + raw[12:]), TEXT, WITNESS)


def test_a_signature_of_the_log_kind_is_no_cosignature() -> None:
    plain = line(b"\x00" * 8 + KEY.sign(TEXT.encode()))
    with pytest.raises(MalformedError, match="not over this checkpoint"):
        cosignatures.verify(plain, TEXT, WITNESS)
    as_log = parse_vkey(vkey(NAME, KEY.public_key().public_bytes_raw()))
    with pytest.raises(MalformedError, match="no cosignature"):
        cosignatures.verify(LINE, TEXT, as_log)


@pytest.mark.parametrize("seconds", [0, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_a_time_that_is_none_is_refused(seconds: int) -> None:
    with pytest.raises(MalformedError, match="of no time"):
        cosignatures.verify(rewritten(seconds), TEXT, WITNESS)


def test_a_time_that_is_none_is_not_signed() -> None:
    for moment in (datetime(1969, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)):
        with pytest.raises(MalformedError):
            cosignatures.cosign(TEXT, NAME, KEY, moment)


@pytest.mark.parametrize("length", [0, 8, 63, 71, 73, 2428])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(MalformedError, match=r"has \d+ bytes|no cosignature"):
        cosignatures.verify(line(b"\x01" * length), TEXT, WITNESS)


def test_a_key_of_the_same_name_is_another_witness() -> None:
    namesake = cosignatures.cosign(TEXT, NAME, LOG, AT)
    assert not cosignatures.is_by(namesake, WITNESS)
    assert cosignatures.earliest([namesake], TEXT, WITNESS) is None
    with pytest.raises(MalformedError, match="no cosignature by"):
        cosignatures.verify(namesake, TEXT, WITNESS)


def test_the_earliest_of_several_lines_counts_and_one_bad_one_spoils_all() -> None:
    later, earlier = rewritten(2_000), rewritten(1_000)
    assert cosignatures.earliest([later, earlier], TEXT, WITNESS) == datetime.fromtimestamp(1_000, UTC)
    with pytest.raises(MalformedError):
        cosignatures.earliest([later, rewritten(1_000, text="x\n")], TEXT, WITNESS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        LINE[:-1],
        LINE + LINE,
        "\u2014 x\n\n".encode() + LINE,
        LINE.replace("\u2014".encode(), b"-"),
        b"x\n" + LINE,
        LINE.replace(b" ", b"  ", 1),
        LINE.replace(b"==", b"="),
        LINE[:-1] + b" \n",
        "\u2014 name \n".encode(),
    ],
)
def test_a_line_has_one_form(data: bytes) -> None:
    assert not cosignatures.is_by(data, WITNESS)
    with pytest.raises(MalformedError):
        cosignatures.parse_line(data)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_line_are_never_a_traceback(data: bytes) -> None:
    assert not cosignatures.is_by("\u2014 ".encode() + data, WITNESS)
