"""Canonical JSON: one spelling out, nothing ambiguous in."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import MalformedError
from edged.evidence import canonical

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@settings(deadline=None)
@given(values)
def test_what_is_written_is_read_back_and_canonical(value: canonical.Json) -> None:
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert canonical.is_canonical(data)
    assert json.loads(data) == value


def test_keys_are_sorted_by_utf_16_as_rfc_8785_shows() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    expected = '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}'
    assert canonical.encode(value) == expected.encode()


def test_strings_are_escaped_as_rfc_8785_shows() -> None:
    value = "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f\u007f"
    assert canonical.encode(value) == b'"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f"'


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"\\u0062":2}}',
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b"1.0",
        b"1e2",
        b"-0.0",
        b"NaN",
        b"Infinity",
        b"9007199254740992",
        b"-9007199254740992",
        b"1" * 5000,
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf1",
        b'"1"'.decode().encode("utf-16"),
        b"",
        b"{}x",
        b'"a\nb"',
        b"{'a':1}",
        b"01",
        "١".encode(),
    ],
)
def test_json_that_two_readers_could_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        canonical.decode(data)
    assert not canonical.is_canonical(data)


@pytest.mark.parametrize("data", [b"[1, 2]", b' "a"', b'{"b":1,"a":2}', b'"\\u0041"', b"-0", b'"\\/"', b"1\n"])
def test_valid_json_in_another_spelling_is_not_canonical(data: bytes) -> None:
    canonical.decode(data)
    assert not canonical.is_canonical(data)


def deep(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        "\ud800",
        {"\udc00": 1},
        {1: 2},
        b"x",
        {"a": {1, 2}},
        [object()],
        deep(1000),
    ],
)
def test_what_has_no_canonical_form_is_not_written(value: object) -> None:
    with pytest.raises(MalformedError):
        canonical.encode(value)


def test_noncharacters_of_a_file_name_survive() -> None:
    assert canonical.decode(canonical.encode("\ufffe\uffff\ufdd0")) == "\ufffe\uffff\ufdd0"


@settings(deadline=None)
@given(st.binary())
def test_arbitrary_bytes_are_read_or_malformed(data: bytes) -> None:
    try:
        canonical.decode(data)
    except MalformedError:
        return
