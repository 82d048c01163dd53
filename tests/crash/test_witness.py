"""A witness that is killed at any moment remembers everything it ever said, and says nothing that contradicts it."""

import random
import socket
import threading
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edged.anchors.port import Conflict, Cosigned, ForkError
from edged.anchors.post import Poster
from edged.anchors.tlog_witness import HttpWitness
from edged.clock import SystemClock
from edged.errors import UnavailableError
from edged.evidence import merkle
from edged.evidence.cosignatures import lines, verify
from edged.evidence.note import Checkpoint, parse_checkpoint, parse_note, parse_vkey, sign_note, vkey
from hwsim.witness import HonestWitness

CLOCK: Final = SystemClock()
ORIGIN: Final = "example.org/st-01/2026-11-0a1b"
KEY: Final = Ed25519PrivateKey.generate()
LOG: Final = vkey(ORIGIN, KEY.public_key().public_bytes_raw())


def reader(salt: bytes) -> merkle.HashReader:
    """Give the hashes of a tree of its own; another salt is another log under the same name."""

    def read(level: int, index: int) -> bytes:
        if level == 0:
            return merkle.leaf_hash(salt + index.to_bytes(8, "big"))
        return merkle.node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))

    return read


READ: Final = reader(b"honest")


def checkpoint(size: int, read: merkle.HashReader = READ) -> bytes:
    return sign_note(Checkpoint(origin=ORIGIN, size=size, root=merkle.root(size, read)).text(), ORIGIN, KEY)


def client(witness: HonestWitness) -> HttpWitness:
    poster = Poster(
        f"{witness.url}/add-checkpoint", who="the witness", clock=CLOCK, stop=threading.Event(), whole_seconds=5.0
    )
    return HttpWitness("w", poster, parse_vkey(witness.vkey))


def get(witness: HonestWitness, path: str) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request("GET", witness.url + path)


@pytest.fixture
def witness(tmp_path: Path) -> HonestWitness:
    made = HonestWitness(tmp_path / "witness", "example.org/witness")
    made.know(LOG)
    return made


def test_killed_witness_remembers_what_it_said(witness: HonestWitness) -> None:
    dice = random.Random(4)
    said = 0
    for _ in range(6):
        with witness:
            one = client(witness)
            known = one.add_checkpoint(0, [], checkpoint(1)) if said else None
            assert known is None or (isinstance(known, Conflict) and known.size >= said), "it forgot what it said"
            size = known.size if isinstance(known, Conflict) else 0
            assert size <= said + 1, "it remembers what nobody showed it"
            killer = threading.Timer(dice.uniform(0.05, 0.4), witness.kill)
            try:
                for grown in range(size + 1, size + 2_000):
                    answer = one.add_checkpoint(
                        grown - 1, merkle.consistency_proof(grown - 1, grown, READ), checkpoint(grown)
                    )
                    assert isinstance(answer, Cosigned)
                    said = grown
                    if grown == size + 2:
                        killer.start()
            except UnavailableError:
                pass
            killer.join()
            one.close()
    assert said > 10
    with witness:
        newest = get(witness, f"/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint")
        note = parse_note(newest.data)
        assert parse_checkpoint(note.text).size in {said, said + 1}
        by_log, by_witness = lines(newest.data)
        assert verify(by_witness, note.text, parse_vkey(witness.vkey)) <= CLOCK.now()
        assert by_log in checkpoint(parse_checkpoint(note.text).size)


def test_forked_log_is_not_cosigned_before_or_after_a_kill(witness: HonestWitness) -> None:
    fork = reader(b"rewritten")
    for _ in range(2):
        with witness:
            one = client(witness)
            first = one.add_checkpoint(0, [], checkpoint(5))
            assert isinstance(first, Cosigned) or first == Conflict(size=5)
            for old, size in ((5, 5), (5, 8)):
                with pytest.raises(ForkError):
                    one.add_checkpoint(old, merkle.consistency_proof(old, size, fork), checkpoint(size, fork))
            assert one.add_checkpoint(3, merkle.consistency_proof(3, 4, fork), checkpoint(4, fork)) == Conflict(size=5)
            one.close()
            witness.kill()


def test_two_witnesses_on_one_memory_do_not_contradict_each_other(witness: HonestWitness, tmp_path: Path) -> None:
    """A mistake of whoever runs it; of requests that race, one is answered, and the other is a conflict."""
    twin = HonestWitness(tmp_path / "witness", "example.org/witness")
    twin.know(LOG)
    with witness, twin:
        answers: list[list[Cosigned | Conflict]] = [[], []]

        def ask(which: HonestWitness, read: merkle.HashReader, into: list[Cosigned | Conflict]) -> None:
            one = client(which)
            into.append(one.add_checkpoint(0, [], checkpoint(3, read)))
            one.close()

        threads = [
            threading.Thread(target=ask, args=(which, read, into))
            for which, read, into in zip((witness, twin), (READ, reader(b"other")), answers, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    (one,), (other,) = answers
    assert {type(one), type(other)} == {Cosigned, Conflict}


def test_stop_finishes_what_is_under_way_and_ends_well(witness: HonestWitness) -> None:
    witness.start()
    one = client(witness)
    assert isinstance(one.add_checkpoint(0, [], checkpoint(3)), Cosigned)
    assert witness.stop() == 0
    one.close()


def test_those_who_say_nothing_keep_nobody_out(witness: HonestWitness) -> None:
    """As many connections as are served, each with the beginning of a request; they are closed when time is over."""
    with witness, ExitStack() as held:
        idle = [held.enter_context(socket.create_connection(("127.0.0.1", witness.port))) for _ in range(70)]
        for each in idle:
            each.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nX-")
            each.settimeout(20)
        one = client(witness)
        with pytest.raises(UnavailableError, match="503"):
            one.add_checkpoint(0, [], checkpoint(3))
        assert all(each.recv(1_000) == b"" for each in idle)
        assert isinstance(one.add_checkpoint(0, [], checkpoint(3)), Cosigned)
        one.close()


def test_request_that_is_too_long_or_never_ends_is_refused(witness: HonestWitness) -> None:
    with witness:
        with urllib3.PoolManager(retries=False) as pool:
            answer = pool.request("POST", f"{witness.url}/add-checkpoint", body=b"x" * (1 << 20))
            assert answer.status == 413
            assert pool.request("PUT", f"{witness.url}/add-checkpoint", body=b"x").status == 405
            assert pool.request("GET", f"{witness.url}/{'0' * 64}/checkpoint").status == 404
        with socket.create_connection(("127.0.0.1", witness.port)) as slow:
            slow.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nold ")
            slow.settimeout(20)
            assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
        one = client(witness)
        assert isinstance(one.add_checkpoint(0, [], checkpoint(3)), Cosigned)
        one.close()
