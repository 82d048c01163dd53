"""What `edged/anchors/port.py` promises, held against real servers on loopback: honest, and bad in every way."""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from edged.anchors.port import AnchorError, Conflict, Cosigned, ForkError, UnknownLogError
from edged.anchors.post import Poster
from edged.anchors.rfc3161 import HttpAuthority
from edged.anchors.tlog_witness import HttpWitness
from edged.clock import SystemClock
from edged.errors import ConfigError, EdgedError, StoppedError, UnavailableError
from edged.evidence import cosignatures, merkle, timestamps
from edged.evidence.digests import sha256_hex
from edged.evidence.note import Checkpoint, parse_vkey, sign_note, vkey
from hwsim.authority import Authority, Behaviour, Server
from hwsim.witness import BadWitness, HonestWitness
from hwsim.witness import Behaviour as Badness

CLOCK = SystemClock()
DATA = b"the bytes of a checkpoint\n"
ORIGIN = "example.org/st-01/2026-11-0a1b"
KEY = Ed25519PrivateKey.generate()
LOG = vkey(ORIGIN, KEY.public_key().public_bytes_raw())
LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(20)]


def poster(url: str, *, seconds: float = 5.0, stop: threading.Event | None = None) -> Poster:
    return Poster(url, who="the other side", clock=CLOCK, stop=stop or threading.Event(), whole_seconds=seconds)


def read(level: int, index: int) -> bytes:
    if level == 0:
        return LEAVES[index]
    return merkle.node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))


def checkpoint(size: int) -> bytes:
    return sign_note(Checkpoint(origin=ORIGIN, size=size, root=merkle.root(size, read)).text(), ORIGIN, KEY)


def proof(old: int, new: int) -> list[bytes]:
    return merkle.consistency_proof(old, new, read)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), intermediates=1).make()


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HonestWitness]:
    witness = HonestWitness(tmp_path_factory.mktemp("witness"), "example.org/witness-1")
    witness.know(LOG)
    with witness:
        yield witness


def client(witness: HonestWitness | BadWitness, *, seconds: float = 5.0) -> HttpWitness:
    return HttpWitness("w", poster(f"{witness.url}/add-checkpoint", seconds=seconds), parse_vkey(witness.vkey))


# -------------------------------------------------------------------------------------------------- authorities


def test_token_is_over_the_very_bytes_and_kept_raw(authority: Authority) -> None:
    with Server(authority) as server:
        one = HttpAuthority("tsa", poster(server.url), [authority.root])
        stamp, again = one.stamp(DATA), one.stamp(DATA)
        one.close()
    assert sha256_hex(stamp.data) != sha256_hex(again.data)
    assert timestamps.verify(stamp.data, DATA, [authority.root]).moment == stamp.moment
    assert stamp.by == authority.name
    assert abs(stamp.moment - CLOCK.now()) < timedelta(minutes=1)
    assert stamp.expires > stamp.moment + timedelta(days=300)


WRONG: list[Behaviour] = [each for each in get_args(Behaviour) if each != "honest"]


@pytest.mark.parametrize("behaviour", WRONG)
def test_nothing_is_taken_from_an_authority_that_misbehaves(authority: Authority, behaviour: Behaviour) -> None:
    with Server(authority, behaviour=behaviour) as server:
        one = HttpAuthority("tsa", poster(server.url), [authority.root])
        with pytest.raises(AnchorError) as caught:
            one.stamp(DATA)
        one.close()
    assert "tsa" in caught.value.message
    assert caught.value.hint


def test_token_of_another_root_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, name="Another").make()
    with Server(other) as server:
        one = HttpAuthority("tsa", poster(server.url), [authority.root])
        with pytest.raises(AnchorError, match="none of the roots"):
            one.stamp(DATA)
        one.close()


def test_authority_that_is_no_authority_is_refused(authority: Authority, honest: HonestWitness) -> None:
    one = HttpAuthority("tsa", poster(honest.url), [authority.root])
    with pytest.raises(AnchorError, match="404"):
        one.stamp(DATA)
    one.close()


# ---------------------------------------------------------------------------------------------------- witnesses


def test_witness_cosigns_a_log_that_grows(honest: HonestWitness) -> None:
    one = client(honest)
    first = one.add_checkpoint(0, [], checkpoint(3))
    second = one.add_checkpoint(3, proof(3, 7), checkpoint(7))
    same = one.add_checkpoint(7, [], checkpoint(7))
    behind = one.add_checkpoint(3, proof(3, 9), checkpoint(9))
    one.close()
    for size, answer in ((3, first), (7, second), (7, same)):
        assert isinstance(answer, Cosigned)
        text = checkpoint(size).decode().partition("\n\n")[0] + "\n"
        assert cosignatures.verify(answer.line, text, parse_vkey(honest.vkey)) == answer.moment
        assert answer.line.startswith("\u2014 example.org/witness-1 ".encode())
        assert answer.line.endswith(b"\n")
    assert behind == Conflict(size=7)


def test_witness_that_does_not_know_the_log_says_so(honest: HonestWitness) -> None:
    origin = "example.org/st-02/2026-11-0a1b"
    other = sign_note(Checkpoint(origin=origin, size=3, root=merkle.root(3, read)).text(), origin, KEY)
    one = client(honest)
    with pytest.raises(UnknownLogError, match="does not know this ledger"):
        one.add_checkpoint(0, [], other)
    one.close()


def test_witness_that_knows_another_key_says_so(honest: HonestWitness) -> None:
    text = Checkpoint(origin=ORIGIN, size=3, root=merkle.root(3, read)).text()
    one = client(honest)
    with pytest.raises(UnknownLogError, match="another key"):
        one.add_checkpoint(0, [], sign_note(text, ORIGIN, Ed25519PrivateKey.generate()))
    one.close()


def test_cosignature_is_found_among_those_of_strangers() -> None:
    with BadWitness("example.org/bad", "other-lines") as bad:
        one = client(bad)
        answer = one.add_checkpoint(0, [], checkpoint(3))
        one.close()
    assert isinstance(answer, Cosigned)
    assert answer.by == "example.org/bad"


REFUSED: dict[Badness, tuple[type[EdgedError], str]] = {
    "wrong-key": (AnchorError, "no cosignature by its key"),
    "other-checkpoint": (AnchorError, "not over this checkpoint"),
    "contradiction": (ForkError, "contradicts"),
    "stranger": (UnknownLogError, "does not know"),
    "refusal": (AnchorError, "418"),
    "redirect": (AnchorError, "307"),
    "overload": (UnavailableError, "503"),
    "garbage": (AnchorError, "no cosignature"),
    "no-size": (AnchorError, "no size"),
    "endless": (AnchorError, "more than"),
}


@pytest.mark.parametrize("behaviour", REFUSED)
def test_nothing_is_taken_from_a_witness_that_misbehaves(behaviour: Badness) -> None:
    kind, part = REFUSED[behaviour]
    with BadWitness("example.org/bad", behaviour) as bad:
        one = client(bad)
        with pytest.raises(kind, match=part) as caught:
            one.add_checkpoint(0, [], checkpoint(3))
        one.close()
    assert type(caught.value) is kind
    assert bad.requests == 1


# ------------------------------------------------------------------------------------------------- the network


def silent() -> Iterator[str]:
    """Serve somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def trickling() -> Iterator[str]:
    """Serve somebody whose answer has no end, a byte at a time."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-")
                while not over.wait(0.1):
                    try:
                        connection.sendall(b"a")
                    except OSError:
                        return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        over.set()
        thread.join()


@pytest.fixture(params=[silent, trickling])
def slow_url(request: pytest.FixtureRequest) -> Iterator[str]:
    make: Callable[[], Iterator[str]] = request.param
    yield from make()


def test_request_ends_in_time_however_slow_the_other_side_is(slow_url: str) -> None:
    one = poster(slow_url, seconds=1.0)
    begun = CLOCK.monotonic()
    with pytest.raises(UnavailableError, match=r"(takes longer|timed out)"):
        one.post(b"x", {})
    assert CLOCK.monotonic() - begun < 3
    one.close()


def test_request_ends_at_once_when_the_process_stops(slow_url: str) -> None:
    stop = threading.Event()
    one = poster(slow_url, seconds=60.0, stop=stop)
    threading.Timer(0.3, stop.set).start()
    begun = CLOCK.monotonic()
    with pytest.raises(StoppedError):
        one.post(b"x", {})
    assert CLOCK.monotonic() - begun < 3
    one.close()


def test_nobody_there_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    one = poster(f"http://127.0.0.1:{port}/")
    with pytest.raises(UnavailableError, match=r"^The other side cannot be reached: [Cc]onnection refused\.$"):
        one.post(b"x", {})
    one.close()


def test_connection_is_kept_and_replaced_when_it_broke(authority: Authority) -> None:
    with Server(authority) as server:
        one = HttpAuthority("tsa", poster(server.url), [authority.root])
        one.stamp(DATA)
        port = int(server.url.rpartition(":")[2].strip("/"))
    with pytest.raises(UnavailableError):
        one.stamp(DATA)
    with Server(authority, port=port):
        assert one.stamp(DATA).by == authority.name
    one.close()


# ------------------------------------------------------------------------------------------------------- HTTPS


def self_signed(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate for a name or address, and its key; gives their files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web server")])
    now = CLOCK.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, private


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9"])
def test_witness_over_https_is_reached_by_whoever_trusts_its_certificate(tmp_path: Path, address: str) -> None:
    pem, key = self_signed(tmp_path, address)
    witness = HonestWitness(tmp_path / "w", "example.org/witness")
    witness.know(LOG)
    witness.speak_https(pem, key)
    with witness:
        assert witness.url.startswith("https://")

        def ask(ca_file: Path | None) -> Cosigned | Conflict:
            url = f"{witness.url}/add-checkpoint"
            post = Poster(url, who="the witness w", clock=CLOCK, stop=threading.Event(), ca_file=ca_file)
            one = HttpWitness("w", post, parse_vkey(witness.vkey))
            try:
                return one.add_checkpoint(0, [], checkpoint(3))
            finally:
                one.close()

        with pytest.raises(UnavailableError, match="The witness w cannot be reached safely") as caught:
            ask(None)
        assert "ca_file" in caught.value.hint
        if address == "127.0.0.1":
            assert isinstance(ask(pem), Cosigned)
        else:
            with pytest.raises(UnavailableError, match=r"(?i)not valid for|mismatch"):
                ask(pem)


def test_file_that_vouches_for_nobody_is_said(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for file in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match=file.name):
            Poster("https://127.0.0.1/", who="the witness w", clock=CLOCK, stop=threading.Event(), ca_file=file)
