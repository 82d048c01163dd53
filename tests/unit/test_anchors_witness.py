"""Being a witness, as C2SP `tlog-witness` words it, request by request; and the settings of one."""

import sqlite3
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.anchors.memory import Memory, Seen
from edged.anchors.witness_settings import WITNESS_KEY, WITNESS_TOML, make_witness, read_witness
from edged.anchors.witnessing import MAX_BODY_BYTES, Reply, Witnessing
from edged.errors import ConfigError, NewerStateError, NotAllowedError, StorageError, UsageError
from edged.evidence import merkle
from edged.evidence.cosignatures import lines, verify, witness_vkey
from edged.evidence.note import Checkpoint, parse_note, parse_vkey, sign_note, vkey
from edged.evidence.proofs import format_consistency
from edged.evidence.text import to_base64
from tests.unit.book_station import START, Ticking

ORIGIN: Final = "example.org/st-01/2026-11-0a1b"
NAME: Final = "example.org/witness"
LOG: Final = Ed25519PrivateKey.generate()
OTHER: Final = Ed25519PrivateKey.generate()
OWN: Final = Ed25519PrivateKey.generate()
KEY: Final = parse_vkey(vkey(ORIGIN, LOG.public_key().public_bytes_raw()))
SIZE_TYPE: Final = "text/x.tlog.size"


def read(level: int, index: int) -> bytes:
    if level == 0:
        return merkle.leaf_hash(index.to_bytes(2, "big"))
    return merkle.node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))


def text(size: int, *, root: bytes | None = None, origin: str = ORIGIN) -> str:
    return Checkpoint(origin=origin, size=size, root=merkle.root(size, read) if root is None else root).text()


def signed(size: int, *, by: Ed25519PrivateKey = LOG, root: bytes | None = None, origin: str = ORIGIN) -> bytes:
    return sign_note(text(size, root=root, origin=origin), origin, by)


def body(old: int, size: int, *, proof: Sequence[bytes] | None = None) -> bytes:
    path = merkle.consistency_proof(old, size, read) if proof is None and old <= size else proof or []
    return format_consistency(old, path, signed(size))


@pytest.fixture
def witness(tmp_path: Path) -> Witnessing:
    return again(tmp_path)


def again(folder: Path) -> Witnessing:
    return Witnessing(NAME, OWN, logs={ORIGIN: [KEY]}, memory=Memory(folder / "memory"), clock=Ticking())


def size_of(witness: Witnessing) -> int:
    """Ask what it knows, as a client may that knows nothing itself."""
    reply = witness.add_checkpoint(format_consistency(9_999, [], signed(9_999, root=bytes(32))))
    assert (reply.status, reply.kind) == (409, SIZE_TYPE)
    return int(reply.body)


def test_cosignature_is_over_the_checkpoint_at_this_time(witness: Witnessing) -> None:
    reply = witness.add_checkpoint(body(0, 5))
    assert reply.status == 200
    moment = verify(reply.body, text(5), parse_vkey(witness_vkey(NAME, OWN.public_key().public_bytes_raw())))
    assert moment == START.replace(microsecond=0)


def test_log_may_grow_and_be_shown_again(witness: Witnessing, tmp_path: Path) -> None:
    for old, size in ((0, 1), (1, 1), (1, 4), (4, 7), (7, 7)):
        assert witness.add_checkpoint(body(old, size)).status == 200
        witness = again(tmp_path)
    assert size_of(witness) == 7


@pytest.mark.parametrize("old", [0, 3, 6])
def test_another_old_size_than_the_newest_is_a_conflict_that_names_it(witness: Witnessing, old: int) -> None:
    witness.add_checkpoint(body(0, 5))
    assert witness.add_checkpoint(body(old, 8)) == Reply(status=409, body=b"5\n", kind=SIZE_TYPE)
    assert size_of(witness) == 5


def test_old_size_of_a_log_never_seen_is_zero(witness: Witnessing) -> None:
    assert witness.add_checkpoint(body(3, 5)) == Reply(status=409, body=b"0\n", kind=SIZE_TYPE)


REFUSED: Final[dict[str, tuple[int, bytes]]] = {
    "unknown-origin": (404, format_consistency(0, [], signed(5, origin="example.org/st-02/2026-11-0a1b"))),
    "another-key": (403, format_consistency(0, [], signed(5, by=OTHER))),
    "old-size-above-checkpoint": (400, body(6, 5)),
    "shorter-log": (400, body(5, 4)),
    "proof-from-nothing": (422, body(0, 5, proof=[bytes(32)])),
    "no-proof": (422, body(5, 8, proof=[])),
    "wrong-proof": (422, body(5, 8, proof=[bytes(32)] * 4)),
    "second-root-for-a-size": (422, format_consistency(5, [], signed(5, root=bytes(32)))),
    "proof-for-the-same-size": (422, body(5, 5, proof=[bytes(32)])),
    "root-of-the-empty-tree": (422, format_consistency(0, [], signed(0, root=bytes(32)))),
    "no-old-line": (400, b"\n" + signed(5)),
    "old-with-a-zero-before": (400, b"old 00\n\n" + signed(5)),
    "too-many-hashes": (400, format_consistency(5, [bytes(32)] * 64, signed(8))),
    "short-hash": (400, b"old 5\nAAAA\n\n" + signed(8)),
    "no-checkpoint": (400, b"old 5\n\n"),
    "extension-line": (400, b"old 0\n\n" + sign_note(text(5) + "more\n", ORIGIN, LOG)),
    "not-utf-8": (400, b"old 0\n\n\xff\xfe\n\n"),
    "empty": (400, b""),
    "too-long": (413, b"old 0\n\n" + b"x" * MAX_BODY_BYTES),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_and_nothing_is_remembered(witness: Witnessing, what: str) -> None:
    status, request = REFUSED[what]
    before = 0 if what in {"proof-from-nothing", "root-of-the-empty-tree"} else 5
    if before:
        assert witness.add_checkpoint(body(0, 5)).status == 200
    reply = witness.add_checkpoint(request)
    assert reply.status == status, reply.body
    assert b"\xe2\x80\x94" not in reply.body
    assert size_of(witness) == before


def test_signature_that_claims_a_known_key_and_is_wrong_spoils_the_note(witness: Witnessing) -> None:
    good, bad = signed(5), signed(5, root=bytes(32))
    both = good + bad.rpartition(b"\n\n")[2]
    assert witness.add_checkpoint(format_consistency(0, [], both)).status == 403


def test_signatures_of_strangers_are_passed_over_and_not_kept(witness: Witnessing) -> None:
    stranger = sign_note(text(5), "example.org/stranger", OTHER).rpartition(b"\n\n")[2]
    assert witness.add_checkpoint(format_consistency(0, [], signed(5) + stranger)).status == 200
    newest = witness.newest(sha256(ORIGIN.encode()).hexdigest())
    assert b"stranger" not in newest.body


def test_one_of_several_keys_of_a_log_is_enough(tmp_path: Path) -> None:
    keys = [parse_vkey(vkey(ORIGIN, each.public_key().public_bytes_raw())) for each in (OTHER, LOG)]
    witness = Witnessing(NAME, OWN, logs={ORIGIN: keys}, memory=Memory(tmp_path / "m"), clock=Ticking())
    assert witness.add_checkpoint(body(0, 5)).status == 200


def test_monitors_see_the_newest_checkpoint_with_both_signatures(witness: Witnessing) -> None:
    where = sha256(ORIGIN.encode()).hexdigest()
    assert witness.newest(where).status == 404
    line = [witness.add_checkpoint(body(old, size)).body for old, size in ((0, 5), (5, 8))][-1]
    newest = witness.newest(where)
    assert newest.status == 200
    assert parse_note(newest.body).text == text(8)
    assert lines(newest.body) == (lines(signed(8))[0], line)
    assert witness.newest(sha256(b"unknown").hexdigest()).status == 404


def test_empty_log_may_be_cosigned(witness: Witnessing) -> None:
    assert witness.add_checkpoint(format_consistency(0, [], signed(0))).status == 200
    assert witness.add_checkpoint(body(0, 3)).status == 200


# ----------------------------------------------------------------------------------------------------- its memory


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cosigned SET size = 4",
        "UPDATE cosigned SET root = zeroblob(32)",
        "UPDATE cosigned SET origin = 'another'",
        "DELETE FROM cosigned",
    ],
)
def test_memory_itself_refuses_to_go_back(tmp_path: Path, statement: str) -> None:
    memory = Memory(tmp_path / "memory")
    with memory.turn(ORIGIN) as turn:
        turn.remember(Seen(size=5, root=bytes(range(32)), note=b"note"))
    other = sqlite3.connect(tmp_path / "memory")
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        other.execute(statement)
    other.close()


def test_memory_that_failed_remembers_what_it_did_before(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "memory")
    with memory.turn(ORIGIN) as turn:
        turn.remember(Seen(size=5, root=bytes(32), note=b"note"))

    def fail() -> None:
        with memory.turn(ORIGIN) as turn:
            turn.remember(Seen(size=6, root=bytes(32), note=b"note"))
            raise StorageError("pulled")

    with pytest.raises(StorageError, match="pulled"):
        fail()
    found = memory.seen(ORIGIN)
    assert found is not None
    assert found.size == 5


def test_memory_of_a_newer_edged_or_of_something_else_is_not_touched(tmp_path: Path) -> None:
    newer = sqlite3.connect(tmp_path / "newer")
    newer.execute("PRAGMA user_version = 9")
    newer.close()
    with pytest.raises(NewerStateError):
        Memory(tmp_path / "newer")
    (tmp_path / "text").write_bytes(b"this is no database, but a text that is long enough to be taken for one" * 20)
    with pytest.raises(StorageError):
        Memory(tmp_path / "text")


# --------------------------------------------------------------------------------------------------- its settings


def test_made_witness_can_be_read_and_is_made_once(tmp_path: Path) -> None:
    made = make_witness(tmp_path / "w", NAME)
    assert parse_vkey(made.vkey).name == NAME
    assert read_witness(tmp_path / "w").vkey == made.vkey
    assert (tmp_path / "w" / WITNESS_KEY).stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="exists already"):
        make_witness(tmp_path / "w", NAME)
    assert read_witness(tmp_path / "w").vkey == made.vkey


def test_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    make_witness(tmp_path, NAME)
    (tmp_path / WITNESS_KEY).chmod(0o640)
    with pytest.raises(NotAllowedError, match="read by others"):
        read_witness(tmp_path)


WRONG: Final = {
    "name with a plus": ('name = "a+b"', "name"),
    "no port": ('name = "a"\nlisten = "127.0.0.1"', "listen"),
    "port beyond": ('name = "a"\nlisten = "127.0.0.1:70000"', "listen"),
    "half of tls": ('name = "a"\ncertificate = "/x"', "certificate and key"),
    "relative": ('name = "a"\ncertificate = "x"\nkey = "y"', "absolute"),
    "log without a key": ('name = "a"\n[[log]]\norigin = "b"', "log.0.vkey is missing"),
    "key of a witness": (
        f'name = "a"\n[[log]]\nvkey = "{witness_vkey(NAME, OWN.public_key().public_bytes_raw())}"',
        "key of a log",
    ),
    "no key": (f'name = "a"\n[[log]]\nvkey = "x+00000000+{to_base64(bytes(33))}"', "verifier key"),
    "unknown": ('name = "a"\nlogs = 3', "logs is not a key"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_setting_is_named(tmp_path: Path, what: str) -> None:
    make_witness(tmp_path, NAME)
    written, part = WRONG[what]
    (tmp_path / WITNESS_TOML).write_text(written)
    with pytest.raises(ConfigError) as caught:
        read_witness(tmp_path)
    assert part in caught.value.message


@pytest.mark.parametrize("name", ["", "a b", "a+b", 'a"b', "a\nb", 'a"\nlisten = "0.0.0.0:1'])
def test_witness_without_a_proper_name_is_not_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        make_witness(tmp_path / "w", name)
    assert not (tmp_path / "w").exists()
