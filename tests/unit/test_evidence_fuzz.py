"""Every parser of outside bytes against damaged bytes: an answer or `MalformedError`, nothing else."""

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.evidence.certificates import load_certificates, load_crls
from edged.evidence.identity import check_identity
from tests.fuzz.parsers import CRL, LEAF, NOW, ORIGIN, PARSERS, ROOT, STATION, parses


@pytest.mark.parametrize("kind", sorted(PARSERS))
@settings(deadline=None, max_examples=60)
@given(data=st.binary())
def test_arbitrary_bytes(kind: str, data: bytes) -> None:
    parses(PARSERS[kind][0], data)


@pytest.mark.parametrize("kind", sorted(PARSERS))
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damaged_bytes(kind: str, data: st.DataObject) -> None:
    parse, good = PARSERS[kind]
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 8)))
    put = data.draw(
        st.sampled_from([b"", b"\x00", b"\n", b"9" * 5000, "٣".encode(), b"\xff", b"="]) | st.binary(max_size=4)
    )
    parses(parse, good[:start] + put + good[end:])


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2000), st.integers(0, 255), st.booleans())
def test_damaged_certificate_is_refused_or_judged(at: int, value: int, is_root: bool) -> None:  # noqa: FBT001
    der = bytearray((ROOT if is_root else LEAF).public_bytes(Encoding.DER))
    der[at % len(der)] = value
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(bytes(der)) + b"-----END CERTIFICATE-----\n"

    def judge(data: bytes) -> None:
        (damaged,) = load_certificates(data)
        leaf, root = (LEAF, damaged) if is_root else (damaged, ROOT)
        check_identity(leaf, [damaged], [root], station=STATION, origin=ORIGIN, at=NOW, crls=[CRL])

    parses(judge, pem)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2000), st.integers(0, 255))
def test_damaged_revocation_list_is_refused_or_judged(at: int, value: int) -> None:
    der = bytearray(CRL.public_bytes(Encoding.DER))
    der[at % len(der)] = value

    def judge(data: bytes) -> None:
        check_identity(LEAF, [], [ROOT], station=STATION, origin=ORIGIN, at=NOW, crls=load_crls(data))

    parses(judge, bytes(der))


@pytest.mark.parametrize("kind", sorted(PARSERS))
def test_the_undamaged_bytes_are_accepted(kind: str) -> None:
    assert parses(*PARSERS[kind])
