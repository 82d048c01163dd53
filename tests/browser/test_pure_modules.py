"""The page's pure modules under node, against those of the program: both accept and give the same."""

import hashlib
import json
import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from edged.errors import MalformedError
from edged.evidence import canonical, merkle, policy
from edged.evidence.bodies import BODIES
from edged.evidence.cosignatures import witness_vkey
from edged.evidence.entry import parse
from edged.evidence.ids import RecorderId, Sha256, bundle_name, escape_path, segment_id, split_origin, unescape_path
from edged.evidence.note import parse_note
from edged.evidence.text import parse_base64, parse_decimal
from edged.evidence.verification.originals import time_at
from edged.evidence.verification.words import printable
from tests.browser.nodejs import NODE
from tests.unit.bundle_station import Case, ordinary_case

HARNESS: Final = Path(__file__).with_name("pure.mjs")
Ask = Callable[[str, Sequence[Any]], list[Any]]
REFUSED: Final = {"refused": True}


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Ask the page's modules one question many times."""
    with subprocess.Popen([NODE, HARNESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        into, out = process.stdin, process.stdout

        def asking(call: str, arguments: Sequence[Any]) -> list[Any]:
            answers = []
            for each in arguments:
                into.write(json.dumps({"call": call, "with": each}) + "\n")
                into.flush()
                answers.append(json.loads(out.readline()))
            return answers

        yield asking
        into.close()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return ordinary_case(tmp_path_factory.mktemp("station"))


def expected(call: Callable[[], object]) -> object:
    try:
        return {"is": call()}
    except MalformedError:
        return REFUSED


def compare(ask: Ask, call: str, arguments: Sequence[Any], ours: Callable[[Any], object]) -> None:
    for argument, answer in zip(arguments, ask(call, arguments), strict=True):
        assert answer == expected(lambda argument=argument: ours(argument)), argument  # type: ignore[misc]


# -- JSON

ODD_JSON: Final = [
    b"",
    b" ",
    b"null",
    b"nul",
    b"[1,2",
    b"[1,]",
    b'{"a":1,}',
    b'{"a" : 1 }',
    b'{"b":1,"a":2}',
    b'{"a":1,"a":1}',
    b"1.0",
    b"1e3",
    b"-0",
    b"01",
    b"+1",
    b"9007199254740991",
    b"9007199254740992",
    b"-9007199254740992",
    b"1" * 400,
    b"NaN",
    b"Infinity",
    b'"\\u0041"',
    b'"\\ud83d\\ude00"',
    b'"\\ud83d"',
    b'"\\ude00\\ud83d"',
    b'"\\u00zz"',
    b'"\\x41"',
    b'"\x1f"',
    b'"\x7f"',
    b'"\\/"',
    b'"/"',
    '"é€😀\u2028"'.encode(),
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b"\xef\xbb\xbf{}",
    b"{}\n",
    b"[[],{}]",
    b"[" * 63 + b"]" * 63,
    b"[" * 64 + b"]" * 64,
    b"[" * 64 + b"1" + b"]" * 64,
    b"[" * 65 + b"]" * 65,
    b"[" * 5000,
    b'{"__proto__":1}',
    b'{"toString":{"constructor":[]}}',
    '{"😀":1,"￿":2,"é":3,"e":4}'.encode(),
    b'{"10":1,"9":2,"a":3}',
    b"true false",
    b"truefalse",
    b'{"a":tru}',
    b"[\t1\r\n,2 ]",
    b"\x0b1",
]


def test_odd_json(ask: Ask) -> None:
    compare(ask, "canonical", [each.hex() for each in ODD_JSON], lambda text: _canonical(bytes.fromhex(text)))


@pytest.mark.parametrize("seed", range(8))
def test_damaged_json(ask: Ask, case: Case, seed: int) -> None:
    chance = random.Random(seed)
    cases = []
    for _ in range(60):
        data = bytearray(chance.choice(case.station.entries))
        for _ in range(chance.randrange(3)):
            data[chance.randrange(len(data))] = chance.choice(b'"\\{}[]:,0-9.eu \xc3\xff\x00a')
        cases.append(bytes(data).hex())
    compare(ask, "canonical", cases, lambda text: _canonical(bytes.fromhex(text)))


@pytest.mark.parametrize("seed", range(8))
def test_random_json(ask: Ask, seed: int) -> None:
    chance = random.Random(seed)
    values = [json.dumps(_value(chance, 4), ensure_ascii=chance.random() < 0.5).encode() for _ in range(60)]
    compare(ask, "canonical", [each.hex() for each in values], lambda text: _canonical(bytes.fromhex(text)))


def _canonical(data: bytes) -> str:
    return canonical.encode(canonical.decode(data)).hex()


def _value(chance: random.Random, depth: int) -> object:
    kind = chance.randrange(6 if depth else 4)
    match kind:
        case 0:
            return chance.choice([None, True, False])
        case 1:
            return chance.choice([1, -1]) * chance.getrandbits(chance.choice([4, 30, 53]))
        case 2 | 3:
            return "".join(chance.choice('aé€😀\n\t"\\/\x01\x7f\u2028\uffff') for _ in range(chance.randrange(6)))
        case 4:
            return [_value(chance, depth - 1) for _ in range(chance.randrange(4))]
        case _:
            return {str(_value(chance, 0)): _value(chance, depth - 1) for _ in range(chance.randrange(4))}


# -- entries


def test_every_key_of_every_type_wants_the_same(ask: Ask, case: Case) -> None:
    """Each value of each entry is replaced by values of other kinds, or taken away: both take or refuse it."""
    others = [
        None,
        True,
        0,
        -1,
        2**53 - 1,
        "",
        "x",
        "a/b",
        "-a",
        "sg-" + "0" * 32,
        "0" * 64,
        "2026-11-21",
        "permanent",
        "2026-02-30T00:00:00Z",
        "2026-11-21T07:00:00.5+08:00",
        "2026-11-21T07:00:00.123Z",
        [],
        [1, 2],
        [[2, 1]],
        {},
        {"code": "a", "text": "0" * 64},
        {"kind": "case", "id": "c"},
        {"unreadable": "x"},
        "e.x/s/2026-11-ab12",
    ]
    seen, entries = set(), []
    for data in case.station.entries:
        document = json.loads(data)
        if document["type"] in seen:
            continue
        seen.add(document["type"])
        for path in _paths(document):
            entries += [canonical.encode(_changed(document, path, other)).hex() for other in [*others, ...]]
    assert len(seen & set(BODIES)) > 10
    compare(ask, "entry", entries, lambda text: parse(bytes.fromhex(text)).type)


def _paths(value: object, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key)
            yield from _paths(inner, (*at, key))


def _changed(document: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(document))
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


# -- names and paths


def test_paths_and_names(ask: Ask) -> None:
    chance = random.Random(1)
    raw = [
        bytes(chance.choice(b"aA./-_ %\x00\x7f\x80\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff\xed\xa0") for _ in range(12))
        for _ in range(400)
    ]
    raw += [
        b"con.txt",
        b"LPT9",
        b"a" * 120 + b".mp4",
        b"a." + b"x" * 120,
        b".hidden",
        b"entry.json",
        b"x.",
        b"",
        b"\xef\xbb\xbf",
    ]
    compare(ask, "escape", [each.hex() for each in raw], lambda text: escape_path(bytes.fromhex(text)))
    paths = [escape_path(each) for each in raw] + ["%", "%2", "%25", "%C3%A9", "%c3", "/a", "é", "%41", "%E9"]
    compare(ask, "path", paths, _checked)
    compare(ask, "name", paths, bundle_name)
    compare(
        ask,
        "segment",
        [["r", "0" * 64], ["é", "f" * 64]],
        lambda each: segment_id(RecorderId(each[0]), Sha256(each[1])),
    )
    origins = [
        "a/b/2026-11-ab12",
        "a./b/2026-11-ab12",
        "a/b/2026-13-ab12",
        "a/b",
        "a/b/c/d",
        "é/b/2026-11-ab12",
        "a/b/2026-11-ab12\n",
    ]
    compare(ask, "origin", origins, lambda each: list(split_origin(each)))


def _checked(path: str) -> str:
    unescape_path(path)
    if not path or path.startswith("/"):
        raise MalformedError("it is not relative")
    return "a path"


def test_numbers_texts_and_times(ask: Ask, case: Case) -> None:
    texts = [
        "",
        "AA==",
        "AB==",
        "AA=",
        "AA",
        "AAA=",
        "AAAA\n",
        " AAAA",
        "AA AA",
        "-_-_",
        "+/+/",
        "=",
        "====",
        "AA==AA==",
    ]
    compare(ask, "base64", texts, lambda each: parse_base64(each, "it").hex())
    numbers = ["0", "00", "1", "-1", "+1", "1_0", "９", str(2**63 - 1), str(2**63), "9" * 30, "", "1\n", " 1"]
    compare(ask, "decimal", numbers, lambda each: str(parse_decimal(each, "it")))
    odd = ["plain", "a\nb", "\u202e", "\x1b[2J", "\ud800", "é😀", "\u00a0", "\u3000", "x" * 1200, "\ue000", "\u00ad"]
    compare(ask, "printable", odd, printable)
    times = [
        "2026-11-21T07:00:00+08:00",
        "2026-11-21T07:00:51.123456789-03:30",
        "2026-11-20T23:00:00Z",
        None,
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
    ]
    sealed = case.station.sealed(case.video)
    asked = [
        [{"bytes": size, "recorded": {"start": start, "end": end}}, byte]
        for start in times
        for end in times
        for size, byte in ((10, 3), (10, 10), (10, 11), (0, 0))
    ]

    def at(question: list[Any]) -> str | None:
        said, byte = question
        recorded = sealed.recorded.model_copy(update=said["recorded"])
        return time_at(sealed.model_copy(update={"bytes": said["bytes"], "recorded": recorded}), byte)

    compare(ask, "timeAt", asked, at)


# -- notes, policies and proofs


@pytest.mark.parametrize("seed", range(6))
def test_damaged_notes(ask: Ask, case: Case, seed: int) -> None:
    chance = random.Random(seed)
    whole = max(case.station.heads.values(), key=len)
    notes = [whole, whole + whole.split(b"\n\n")[1], b"\n\n", b"a\n\n", whole[:-1], whole + b"\n"]
    for _ in range(80):
        data = bytearray(whole)
        data[chance.randrange(len(data))] = chance.choice(b"\n +=A\x00\xc2\xa0\xe2\x80\x94")
        notes.append(bytes(data))
    compare(
        ask,
        "note",
        [each.hex() for each in notes],
        lambda text: [
            [each.name, each.key_id.hex(), each.signature.hex()] for each in parse_note(bytes.fromhex(text)).signatures
        ],
    )


def test_policies(ask: Ask) -> None:
    key = "w+c4a0ee25+BOXhm4m5tlS3pAdhYdPHYfSJ/VH7YrGVYHlEXAUTrL5l"
    made = [_witness(number) for number in range(3)]
    good = "".join(f"witness w{number} {each}\n" for number, each in enumerate(made))
    texts = [
        "",
        "quorum none\n",
        "quorum none",
        "quorum w\n",
        f"witness w {key}\nquorum w\n",
        good + "quorum w1\n",
        good + "group g 2 w0 w1 w2\nquorum g\n",
        good + "group g 0 w0\nquorum g\n",
        good + "group g 02 w0 w1\nquorum g\n",
        good + "group g any w0 w0\nquorum g\n",
        good + "group g all w0\ngroup h all w0\nquorum g\n",
        good + "quorum none\nquorum none\n",
        good + "group none all w0\nquorum w0\n",
        good + "  # c\n\t\n log x y z q\nquorum w0\n",
        good + "log x\nlog x http://y\nquorum w0\n",
        good + "group g ４ w0\nquorum g\n",
        good + "group toString all w0\nquorum toString\n",
        good + "group g constructor w0\nquorum g\n",
        good + f"witness w9 {made[0]}\nquorum w9\n",
        good + "quorum w0\r\n",
        good + "quorum\x00w0\n",
    ]
    compare(
        ask,
        "policy",
        [each.encode().hex() for each in texts],
        lambda text: list(policy.parse(bytes.fromhex(text)).witnesses),
    )


def _witness(number: int) -> str:
    public = bytes([number]) * 32
    return witness_vkey(f"witness.example/{number}", public)


def test_proofs_of_a_tree(ask: Ask) -> None:
    leaves = [f"leaf {number}".encode() for number in range(21)]
    nodes: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int) -> bytes:
        return nodes[level, index]

    for number, leaf in enumerate(leaves):
        for level, index, node in merkle.appended_nodes(number, merkle.leaf_hash(leaf), read):
            nodes[level, index] = node
    chance = random.Random(5)
    inclusion: list[tuple[int, int, bytes, list[bytes], bytes]] = []
    consistency: list[tuple[int, int, list[bytes], bytes, bytes]] = []
    for size in range(1, 22):
        root = merkle.root(size, read)
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, read)
            inclusion.append((index, size, leaves[index], proof, root))
            inclusion.append((index, size, leaves[chance.randrange(21)], _hurt(chance, proof), root))
            inclusion.append((index + chance.choice([-1, 1]), size + 1, leaves[index], proof, root))
        for old in range(size + 1):
            proof = merkle.consistency_proof(old, size, read)
            consistency.append((old, size, proof, merkle.root(old, read), root))
            consistency.append((old, size, _hurt(chance, proof), merkle.root(old, read), root))
            consistency.append((old + chance.choice([-1, 1]), size, proof, merkle.root(old, read), root))
    assert len(inclusion) > 600
    compare(
        ask,
        "inclusion",
        [
            [index, size, leaf.hex(), [each.hex() for each in proof], root.hex()]
            for index, size, leaf, proof, root in inclusion
        ],
        lambda asked: merkle.verify_inclusion(
            asked[0],
            asked[1],
            merkle.leaf_hash(bytes.fromhex(asked[2])),
            [bytes.fromhex(each) for each in asked[3]],
            bytes.fromhex(asked[4]),
        ),
    )
    compare(
        ask,
        "consistency",
        [
            [old, size, [each.hex() for each in proof], before.hex(), root.hex()]
            for old, size, proof, before, root in consistency
        ],
        lambda asked: merkle.verify_consistency(
            asked[0],
            asked[1],
            [bytes.fromhex(each) for each in asked[2]],
            bytes.fromhex(asked[3]),
            bytes.fromhex(asked[4]),
        ),
    )


def _hurt(chance: random.Random, proof: Sequence[bytes]) -> list[bytes]:
    hurt = list(proof)
    match chance.randrange(4):
        case 0 if hurt:
            hurt.pop(chance.randrange(len(hurt)))
        case 1:
            hurt.append(hashlib.sha256(b"more").digest())
        case 2 if hurt:
            hurt[0] = hurt[0][:31]
        case _ if len(hurt) > 1:
            hurt[0], hurt[1] = hurt[1], hurt[0]
        case _:
            hurt.insert(0, b"")
    return hurt
