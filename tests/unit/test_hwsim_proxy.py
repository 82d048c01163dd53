"""The proxy of the simulation does to connections what it was told, at the byte it was told."""

import socket
import threading
from collections.abc import Iterator

import pytest

from edged.clock import SystemClock
from hwsim.proxy import Fault, Proxy


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that gives everything back."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while piece := connection.recv(65_536):
                        connection.sendall(piece)
                except OSError:
                    return

        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()
        ended.set()
        server.join()


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[Proxy]:
    with Proxy(echo) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with connect(proxy) as client:
        yield client


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def receive(client: socket.socket) -> bytes:
    """Take what comes until the other side ends it."""
    taken = b""
    while piece := client.recv(65_536):
        taken += piece
    return taken


def test_bytes_pass_both_ways_and_an_end_is_passed_on(proxy: Proxy, client: socket.socket) -> None:
    data = bytes(range(256)) * 4096

    def send() -> None:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    assert receive(client) == data
    sender.join()
    assert proxy.to_server_bytes == len(data)


def test_an_orderly_cut_lets_so_many_bytes_pass(proxy: Proxy, client: socket.socket) -> None:
    proxy.script(Fault(after_bytes=3, how="close"))
    client.sendall(b"12345")
    assert receive(client) in {b"", b"123"}
    assert proxy.to_server_bytes == 3


def test_a_reset_lets_so_many_bytes_pass(proxy: Proxy, client: socket.socket) -> None:
    proxy.script(Fault(after_bytes=3, how="reset"))
    client.sendall(b"12345")
    with pytest.raises(ConnectionResetError):
        receive(client)
    assert proxy.to_server_bytes == 3


def test_a_stall_is_silence_until_the_proxy_is_closed(proxy: Proxy, client: socket.socket) -> None:
    proxy.script(Fault(after_bytes=0, how="stall"))
    client.sendall(b"12345")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert proxy.to_server_bytes == 0
    proxy.close()
    assert receive(client) == b""


def test_faults_follow_each_other_over_several_connections(proxy: Proxy) -> None:
    proxy.script(Fault(after_bytes=2, how="reset"), Fault(after_bytes=2, how="reset"))
    for _ in range(2):
        with connect(proxy) as client:
            client.sendall(b"12345")
            with pytest.raises(ConnectionResetError):
                receive(client)
    with connect(proxy) as client:
        client.sendall(b"12345")
        client.shutdown(socket.SHUT_WR)
        assert receive(client) == b"12345"
    assert proxy.to_server_bytes == 2 + 2 + 5


def test_down_resets_old_and_new_connections_until_up(proxy: Proxy, client: socket.socket) -> None:
    client.sendall(b"1")
    assert client.recv(1) == b"1"
    proxy.down()
    with pytest.raises(ConnectionResetError):
        receive(client)
    with pytest.raises(ConnectionResetError), connect(proxy) as refused:
        receive(refused)
    proxy.up()
    with connect(proxy) as again:
        again.sendall(b"1")
        assert again.recv(1) == b"1"


def test_each_piece_is_delayed(proxy: Proxy, client: socket.socket) -> None:
    clock = SystemClock()
    proxy.delay(0.15)
    begun = clock.monotonic()
    client.sendall(b"1")
    assert client.recv(1) == b"1"
    assert clock.monotonic() - begun >= 0.3


def test_a_server_that_is_not_there_looks_like_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()
    with Proxy(nobody) as proxy, pytest.raises(ConnectionResetError), connect(proxy) as client:
        receive(client)


def test_it_listens_on_loopback_alone_and_leaves_no_thread(echo: tuple[str, int]) -> None:
    before = set(threading.enumerate())
    with Proxy(echo) as proxy, connect(proxy) as client:
        assert proxy._listener.getsockname()[0] == "127.0.0.1"
        client.sendall(b"1")
        assert client.recv(1) == b"1"
    mine = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("proxy")]
    assert mine == []
