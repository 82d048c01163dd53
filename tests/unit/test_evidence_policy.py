"""Witness policies: the file's grammar, held to strictly, and the time of a quorum."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import MalformedError
from edged.evidence import cosignatures
from edged.evidence.note import vkey
from edged.evidence.policy import parse

START = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")


def public(name: str) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"-")).public_key().public_bytes_raw()


def key(name: str) -> str:
    return cosignatures.witness_vkey(f"{name}.example", public(name))


WITNESSES = "".join(f"witness {name} {key(name)}\n" for name in NAMES)

# The example of the specification, C2SP/tlog-policy, with keys.
EXAMPLE = f"""log example.com/log+00000000+AAAA

{WITNESSES}group X-witnesses 2 X1 X2 X3
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def after(**hours: int) -> dict[str, datetime]:
    return {name: START + timedelta(hours=number) for name, number in hours.items()}


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (after(X1=1, X2=2, Y1=3), 3),
        (after(X1=1, X2=5, Y1=3), 5),
        (after(X1=1, X2=5, X3=2, Y1=3), 3),
        (after(X1=1, X2=5, X3=2, Y1=3, Y2=1, Y3=9), 2),
        (after(X1=1, X2=2, X3=3), None),
        (after(X1=1, Y1=1, Y2=1, Y3=1), None),
        (after(), None),
        (after(Z=1), None),
    ],
)
def test_a_quorum_s_time_is_the_latest_in_the_earliest_set(times: dict[str, datetime], expected: int | None) -> None:
    found = parse(EXAMPLE.encode()).moment(times)
    assert found == (None if expected is None else START + timedelta(hours=expected))


@given(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9)))
def test_the_time_is_that_of_the_best_of_all_sets(hours: dict[str, int]) -> None:
    """Compared with trying every set of witnesses."""

    def satisfied(chosen: set[str]) -> bool:
        return len(chosen & {"X1", "X2", "X3"}) >= 2 and bool(chosen & {"Y1", "Y2", "Y3"})

    sets = [set(each) for count in range(len(hours) + 1) for each in combinations(hours, count)]
    best = min((max(hours[name] for name in each) for each in sets if satisfied(each)), default=None)
    found = parse(EXAMPLE.encode()).moment(after(**hours))
    assert found == (None if best is None else START + timedelta(hours=best))


def test_a_quorum_of_one_witness_needs_no_group() -> None:
    rules = parse(f"witness w {key('X1')} https://w.example/\nquorum w\n".encode())
    assert rules.moment(after(w=1)) == START + timedelta(hours=1)
    assert rules.moment(after(v=1)) is None
    assert rules.witnesses["w"].name == "X1.example"


def test_quorum_none_is_never_reached() -> None:
    for text in ("quorum none\n", f"witness w {key('X1')}\nquorum none\n"):
        rules = parse(text.encode())
        assert rules.quorum is None
        assert rules.moment(after(w=1)) is None


def test_blanks_comments_and_bytes_beyond_ascii_are_allowed() -> None:
    text = f"\t \n  # a comment \xff \n \twitness\t \u89c1\u8bc1  {key('X1')} \t\nquorum \u89c1\u8bc1\n"
    assert parse(text.encode()).moment({"\u89c1\u8bc1": START}) == START
    latin = text.encode().replace("\u89c1\u8bc1".encode(), b"\xe9\xff")
    assert parse(latin).quorum == "\udce9\udcff"


def test_log_lines_are_ignored_whatever_they_hold() -> None:
    assert parse(b"log anything\nlog a b\nlog a b\nquorum none\n").quorum is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no quorum"),
        ("# nothing\n", "no quorum"),
        ("quorum none", "not ended"),
        ("quorum none\nquorum none\n", "line 2: a second quorum"),
        ("quorum w\nwitness w K1\n", "line 1: 'w' is defined on no line before"),
        ("quorum\n", "no line of a policy"),
        ("quorum none none\n", "no line of a policy"),
        ("Quorum none\n", "no line of a policy"),
        ("quorum none # all\n", "no line of a policy"),
        ("quorum\u00a0none\n", "no line of a policy"),
        ("witness w\nquorum none\n", "no line of a policy"),
        ("witness w K1 url more\nquorum none\n", "no line of a policy"),
        ("witness none K1\nquorum none\n", "'none' is taken"),
        ("witness w K1\nwitness w K2\nquorum w\n", "'w' is taken"),
        ("witness w K1\nwitness v K1\nquorum w\n", "also that of another"),
        ("witness w K1\nwitness v R1\nquorum w\n", "also that of another"),
        ("witness w L1\nquorum w\n", "not one for cosignatures"),
        ("witness w nonsense\nquorum w\n", "NAME"),
        ("witness w K1\ngroup w any w\nquorum w\n", "'w' is taken"),
        ("witness w K1\ngroup g any\nquorum w\n", "no line of a policy"),
        ("witness w K1\ngroup g 0 w\nquorum w\n", "'0' is not"),
        ("witness w K1\ngroup g 2 w\nquorum w\n", "'2' is not"),
        ("witness w K1\ngroup g 01 w\nquorum w\n", "'01' is not"),
        ("witness w K1\ngroup g +1 w\nquorum w\n", "is not"),
        ("witness w K1\ngroup g \u0661 w\nquorum w\n", "is not"),
        ("witness w K1\ngroup g ALL w\nquorum w\n", "is not"),
        ("witness w K1\ngroup g any w w\nquorum g\n", "a member twice"),
        ("witness w K1\ngroup g any w\ngroup h any w\nquorum g\n", "a member twice"),
        ("witness w K1\ngroup g any w v\nwitness v K2\nquorum g\n", "defined on no line before"),
        ("group g any g\nquorum g\n", "defined on no line before"),
        ("witness w K1\ngroup g any w none\nquorum g\n", "defined on no line before"),
        ("log\nquorum none\n", "no line of a policy"),
        ("quorum none\r\n", "control characters"),
        ("quorum none\n\x00\n", "control characters"),
        ("quorum none\n\x7f\n", "control characters"),
    ],
)
def test_a_policy_that_is_not_one_is_refused_with_the_line(text: str, complaint: str) -> None:
    keys = {
        "K1": key("X1"),
        "K2": key("X2"),
        "R1": cosignatures.witness_vkey("renamed", public("X1")),
        "L1": vkey("X1.example", public("X1")),
    }
    for name, value in keys.items():
        text = text.replace(name, value)
    with pytest.raises(MalformedError, match=complaint):
        parse(text.encode())


def test_a_policy_of_endless_length_is_refused() -> None:
    with pytest.raises(MalformedError, match="megabyte"):
        parse(b"#" * (1 << 20) + b"\n")
    many = "".join(f"group g{number} any {f'g{number - 1}' if number else 'w'}\n" for number in range(1_200))
    with pytest.raises(MalformedError, match="more than 1000"):
        parse(f"witness w {key('X1')}\n{many}quorum w\n".encode())


def test_groups_nested_deep_are_no_recursion() -> None:
    many = "".join(f"group g{number} any {f'g{number - 1}' if number else 'w'}\n" for number in range(900))
    rules = parse(f"witness w {key('X1')}\n{many}quorum g899\n".encode())
    assert rules.moment(after(w=1)) == START + timedelta(hours=1)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_policy_are_never_a_traceback(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(b"quorum none\n" + data + b"x")
