"""Getting in, being refused, and brokers that are none: each ends in one plain sentence, and in nothing worse."""

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from edged.clock import SystemClock
from edged.errors import ConfigError, EdgedError, UnavailableError
from edged.supervision import link as link_module
from edged.supervision.connection import Presence
from edged.supervision.link import Link
from edged.supervision.settings import BrokerSettings
from hwsim.broker import BrokerTls, Mosquitto
from tests.unit.parties import HOUR, Party, issue
from tests.unit.supervision_station import kept, needs_broker, wait_until

PRESENCE = Presence(client_id="edged-st-07", will=("edged/st-07/state", b"lost"), watch="edged/st-07/bays/+")


def new_link(settings: BrokerSettings) -> Link:
    return Link(settings, PRESENCE, clock=SystemClock(), wake=threading.Event())


def attempt(settings: BrokerSettings) -> None:
    """Connect, tell something, and take leave; raises what `Link` raises."""
    link = new_link(settings)
    try:
        assert link.open(threading.Event())
        link.deliver("edged/st-07/state", b"here", retain=True, stop=threading.Event())
    finally:
        link.close("edged/st-07/state", b"gone")


def refusal(settings: BrokerSettings, kind: type[EdgedError] = UnavailableError) -> str:
    with pytest.raises(kind) as caught:
        attempt(settings)
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value.message.partition(f"{settings.host}:{settings.port} ")[2]


# Who may come in


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Mosquitto]:
    access = ["user st-07", "topic readwrite edged/st-07/#"]
    with Mosquitto(tmp_path / "broker", users={"st-07": "right"}, access=access) as broker:
        yield broker


@needs_broker
def test_a_station_with_the_right_password_is_let_in(strict: Mosquitto) -> None:
    attempt(strict.settings(user="st-07"))
    assert "New client connected from 127.0.0.1" in strict.log()
    assert "as edged-st-07 (p5, c1, k30, u'st-07')" in strict.log()


@needs_broker
@pytest.mark.parametrize(("user", "password"), [("st-07", "wrong"), ("nobody", "right"), (None, None), ("st-07", "")])
def test_wrong_credentials_are_said_to_be_wrong(strict: Mosquitto, user: str | None, password: str | None) -> None:
    settings = replace(strict.settings(), user=user, password=password)
    assert refusal(settings) == "does not authorise this station, in trying to connect."


@needs_broker
def test_a_topic_that_is_not_allowed_is_said(strict: Mosquitto) -> None:
    link = new_link(strict.settings(user="st-07"))
    assert link.open(threading.Event())
    with pytest.raises(UnavailableError, match="does not authorise this station, in trying to tell edged/st-08/state"):
        link.deliver("edged/st-08/state", b"false", retain=True, stop=threading.Event())
    link.deliver("edged/st-07/state", b"true", retain=True, stop=threading.Event())
    link.close("edged/st-07/state", b"gone")


def test_the_password_is_in_no_representation() -> None:
    assert "secret" not in repr(BrokerSettings(id="b", host="h", port=1, user="u", password="secret"))  # noqa: S106


@needs_broker
def test_another_station_of_the_same_name_is_noticed(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        first, second = new_link(broker.settings()), new_link(broker.settings())
        first.open(threading.Event())
        second.open(threading.Event())
        with pytest.raises(UnavailableError, match="broke off") as caught:  # older brokers do not say why
            first.deliver("edged/st-07/state", b"1", retain=True, stop=threading.Event())
        assert "another station has the same id" in caught.value.hint
        first.close("edged/st-07/state", b"gone")
        second.close("edged/st-07/state", b"gone")


@needs_broker
def test_who_takes_leave_leaves_no_will(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        attempt(broker.settings())
        assert kept(broker) == {"edged/st-07/state": b"gone"}
        link = new_link(broker.settings())
        link.open(threading.Event())
        assert not link.open(threading.Event())
        connection = link._connection
        assert connection is not None
        connection.cut()
        connection.join(5)
        assert kept(broker) == {"edged/st-07/state": b"lost"}
        link.close("edged/st-07/state", b"gone")


# Certificates


@dataclass(frozen=True)
class Secured:
    """A broker that speaks TLS and asks for certificates, and a station that has one."""

    broker: Mosquitto
    settings: BrokerSettings
    ca: Party


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    ca = issue("Agency", None)
    authority, _ = ca.save(tmp_path, "ca")
    certificate, key = issue("broker", ca).save(tmp_path, "broker")
    mine, my_key = issue("st-07", ca).save(tmp_path, "station")
    tls = BrokerTls(ca_file=authority, certificate=certificate, key=key)
    with Mosquitto(tmp_path / "broker", users={"st-07": "right"}, tls=tls) as broker:
        yield Secured(
            broker=broker,
            settings=replace(broker.settings(user="st-07"), tls=True, ca_file=authority, certificate=mine, key=my_key),
            ca=ca,
        )


@needs_broker
def test_a_station_with_a_certificate_is_let_in_over_tls(secured: Secured) -> None:
    attempt(secured.settings)
    assert "Received PUBLISH from edged-st-07" in secured.broker.log()


# paho leaves the socket of a handshake that failed to the garbage collector, which says so.
failed_handshake = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@needs_broker
@failed_handshake
def test_a_broker_that_nobody_vouches_for_gets_no_password(secured: Secured, tmp_path: Path) -> None:
    other, _ = issue("Somebody", None).save(tmp_path, "other")
    settings = replace(secured.settings, ca_file=other)
    for untrusting in (settings, replace(settings, ca_file=None)):
        sentence = refusal(untrusting)
        assert sentence.startswith("and this station do not trust each other: ")
        assert "certificate" in sentence
    assert "edged-st-07" not in secured.broker.log()


@needs_broker
@failed_handshake
def test_a_broker_by_another_name_gets_no_password(secured: Secured) -> None:
    sentence = refusal(replace(secured.settings, host="localhost"))
    assert sentence.startswith("and this station do not trust each other: Hostname mismatch")


@needs_broker
@failed_handshake
def test_a_station_whose_certificate_is_missing_foreign_or_old_is_refused(secured: Secured, tmp_path: Path) -> None:
    foreign = issue("st-07", issue("Somebody", None)).save(tmp_path, "foreign")
    old = issue("st-07", secured.ca, until=-HOUR).save(tmp_path, "old")
    for certificate, key in [(None, None), foreign, old]:
        settings = replace(secured.settings, certificate=certificate, key=key)
        assert refusal(settings) in {
            "ended the connection.",
            "cannot be reached: Connection reset by peer.",
        }
        assert "Received PUBLISH" not in secured.broker.log()


@needs_broker
@failed_handshake
def test_tls_where_none_is_spoken_and_none_where_it_is(secured: Secured, strict: Mosquitto) -> None:
    assert refusal(replace(secured.settings, tls=False)) in {
        "ended the connection.",
        "cannot be reached: Connection reset by peer.",
    }
    sentence = refusal(replace(secured.settings, port=strict.port))
    assert sentence.startswith(("and this station do not trust each other: ", "cannot be reached: "))


def test_certificates_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    ca = issue("Agency", None)
    authority, _ = ca.save(tmp_path, "ca")
    mine, my_key = issue("st-07", ca).save(tmp_path, "station")
    _, locked = issue("st-07", ca).save(tmp_path, "locked", BestAvailableEncryption(b"passphrase"))
    _, other = issue("st-07", ca).save(tmp_path, "other")
    empty = tmp_path / "empty.pem"
    empty.touch()
    good = BrokerSettings(id="b", host="127.0.0.1", port=9, tls=True, ca_file=authority, certificate=mine, key=my_key)
    wrong = [
        (replace(good, ca_file=tmp_path / "none.pem"), "none.pem: No such file or directory"),
        (replace(good, ca_file=empty), "empty.pem: "),
        (replace(good, certificate=empty), "empty.pem: "),
        (replace(good, key=tmp_path / "none.key"), "station.pem: No such file or directory"),
        (replace(good, key=locked), "station.pem: "),
        (replace(good, key=other), "station.pem: "),
    ]
    for settings, sentence in wrong:
        assert sentence in refusal(settings, ConfigError)


# What is no broker


def test_a_broker_that_is_not_there() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings = BrokerSettings(id="b", host="127.0.0.1", port=nobody.getsockname()[1])
        assert refusal(settings) == "cannot be reached: Connection refused."
    assert refusal(replace(settings, host="broker.invalid")).startswith("cannot be reached: ")
    assert refusal(replace(settings, host="a" * 300)).startswith(("cannot be reached: ", "speaks no MQTT"))


@pytest.fixture
def impostor() -> Iterator[Callable[[bytes], BrokerSettings]]:
    """Something that answers whatever it is sent with the same bytes, and then hangs up."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener, socket.socket() as _:
        answers: list[bytes] = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer, suppress(OSError):
                        peer.recv(4096)
                        peer.sendall(answers[0])
                        peer.shutdown(socket.SHUT_WR)
                        peer.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()

        def answering(answer: bytes) -> BrokerSettings:
            answers[:] = [answer]
            return BrokerSettings(id="b", host="127.0.0.1", port=listener.getsockname()[1])

        yield answering
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


TAKEN = b"\x20\x03\x00\x00\x00"
"""CONNACK: connected."""


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "ended the connection."),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "ended the connection."),
        (b"\x20\x02\x00\x01", "speaks no MQTT 5, in trying to connect."),  # as a broker of MQTT 3.1.1 refuses it
        (b"\x20\x03\x00\x84\x00", "speaks no MQTT 5, in trying to connect."),
        (b"\x20\x03\x00\x86\x00", "does not accept the user name or the password, in trying to connect."),
        (b"\x20\x03\x00\x85\x00", "does not accept the name of this station, in trying to connect."),
        (b"\x20\x03\x00\x8a\x00", "answers: Banned, in trying to connect."),
        (TAKEN + b"\xe0\x02\x8b\x00", "is shutting down, in trying to stay connected."),
        (
            TAKEN + b"\xe0\x02\x8e\x00",
            "gave the place of this station to another one that uses its name, in trying to stay connected.",
        ),
    ],
)
def test_what_a_broker_answers_is_said_in_plain_words(
    impostor: Callable[[bytes], BrokerSettings], answer: bytes, sentence: str
) -> None:
    assert refusal(impostor(answer)) == sentence


def test_no_answer_whatever_does_more_than_end_the_connection(
    impostor: Callable[[bytes], BrokerSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "_OPEN_SECONDS", 5)
    monkeypatch.setattr(link_module, "_ANSWER_SECONDS", 5)
    dice = random.Random(20261121)
    good = b"\x20\x09\x00\x00\x06\x22\x00\x0a\x21\x00\x14"
    packets = [0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0]
    for round_ in range(150):
        body = dice.randbytes(dice.randrange(12))
        packet = bytes([dice.choice(packets), len(body)]) + body
        answer = [dice.randbytes(dice.randrange(1, 40)), good + packet, packet, good + dice.randbytes(9)][round_ % 4]
        with suppress(UnavailableError):
            attempt(impostor(answer))
    assert threading.active_count() < 6


NOT_TAKEN = "which no broker sends to a station; it was not taken in."


@pytest.mark.parametrize(
    ("packet", "what"),
    [
        (b"\x30\xff\xff\xff\x7f" + bytes(100), "a packet of 268435455 bytes"),  # which paho would collect
        (b"\x30\x81\x80\x04" + bytes(100), "a packet of 65537 bytes"),
        (b"\x34\x08\x00\x01a\x00\x01\x00mm", "a message that it wants confirmed"),  # QoS 2: which paho would keep
        (b"\x32\x08\x00\x01a\x00\x01\x00mm", "a message that it wants confirmed"),
        (b"\xc0\x00", "a packet of type 12"),  # PINGREQ, PUBREC, PUBREL: which paho would answer, and answer, …
        (b"\x50\x02\x00\x01", "a packet of type 5"),
        (b"\x62\x02\x00\x01", "a packet of type 6"),
        (TAKEN, "a second answer to the same connection"),
    ],
)
def test_what_a_broker_has_no_business_sending_is_not_taken_in(
    impostor: Callable[[bytes], BrokerSettings], packet: bytes, what: str
) -> None:
    assert refusal(impostor(TAKEN + packet)) == f"sent {what}, {NOT_TAKEN}"


def test_a_broker_that_floods_and_never_reads_fills_no_memory() -> None:
    """Each request would be answered, and each answer kept until the broker reads it, which it never does."""
    flood = b"\xc0\x00" * 500_000
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            with suppress(OSError):
                peer, _ = listener.accept()
                with peer:
                    peer.recv(4096)
                    peer.sendall(TAKEN + flood)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        settings = BrokerSettings(id="b", host="127.0.0.1", port=listener.getsockname()[1])
        link = new_link(settings)
        # The flood may begin before the connection counts as open, or after.
        with suppress(UnavailableError):
            assert link.open(threading.Event())
        if (connection := link._connection) is not None:
            connection.join(10)
            assert connection.over
            assert len(connection._client._out_packet) <= 1
            link.close("edged/st-07/state", b"gone")
        thread.join(5)
        assert not thread.is_alive()


def test_a_station_that_may_not_read_its_bays_goes_on_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    # Mosquitto confirms a subscription that its access list denies; others, and its plugins, do not.
    answers = TAKEN + b"\x90\x04\x00\x01\x00\x87"
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer, suppress(OSError):
                peer.recv(4096)
                peer.sendall(answers)
                while peer.recv(4096):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        link = new_link(BrokerSettings(id="b", host="127.0.0.1", port=listener.getsockname()[1]))
        assert link.open(threading.Event())
        wait_until(lambda: "does not let this station read edged/st-07/bays/+" in caplog.text)
        connection = link._connection
        assert connection is not None
        assert connection.up
        connection.cut()
        connection.join(5)
        link.close("edged/st-07/state", b"gone")
        thread.join(5)
