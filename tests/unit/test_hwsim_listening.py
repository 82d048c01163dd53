"""Sockets that wait for connections are found, and told apart by who can reach them."""

import os
import socket

import pytest

from hwsim.listening import Listener, listeners


@pytest.mark.parametrize(
    ("family", "address", "loopback"),
    [
        (socket.AF_INET, "127.0.0.1", True),
        (socket.AF_INET, "127.0.0.53", True),
        (socket.AF_INET, "0.0.0.0", False),  # noqa: S104 - that is what must be found
        (socket.AF_INET6, "::1", True),
        (socket.AF_INET6, "::", False),
        (socket.AF_INET6, "::ffff:127.0.0.1", True),
    ],
)
def test_a_listener_is_found_with_its_reach(family: int, address: str, *, loopback: bool) -> None:
    with socket.socket(family) as listener:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((address, 0))
        listener.listen()
        mine = Listener(port=listener.getsockname()[1], loopback=loopback)
        assert mine in listeners(os.getpid())
    assert mine not in listeners(os.getpid())


def test_a_process_that_is_not_there_listens_nowhere() -> None:
    assert listeners(4_194_305) == frozenset()
