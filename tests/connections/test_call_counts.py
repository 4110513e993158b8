"""How many Python functions a message takes on a connection: what most of its time is made of."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator

import pytest

import vfiipc
from tests.transport.suite.base import Aside
from tests.transport.test_call_counts import calls
from vfiipc import Connection
from vfiipc.codec import encode

from .drivers import FRAMING, PREFIX, SECONDS

ONE = encode(PREFIX, 7, b"x" * 64)
#: Functions and files for a message that is there, or that has to be waited for.
MOST_CALLS, MOST_FILES = 30, 9


@pytest.fixture
def connected() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection that has been used, and the plain socket at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with (
            vfiipc.connect(address, timeout=SECONDS, **FRAMING) as conn,
            listener.accept()[0] as peer,
        ):
            for _ in range(3):
                peer.sendall(ONE)
                assert conn.recv(SECONDS) == (7, b"x" * 64)
            yield conn, peer


def files(counted: Counter[str]) -> set[str]:
    return {name.partition(":")[0] for name in counted}


@pytest.mark.parametrize("timeout", [None, 30, SECONDS])
def test_receiving_what_is_there(
    connected: tuple[Connection, socket.socket], timeout: float | None
) -> None:
    conn, peer = connected
    peer.sendall(ONE)
    assert conn._ipc.poll_in(int(SECONDS * 1000))
    counted = calls(lambda: conn.recv(timeout))
    assert counted.total() <= MOST_CALLS, counted
    assert len(files(counted)) <= MOST_FILES, counted


@pytest.mark.parametrize("timeout", [None, 30, SECONDS])
def test_receiving_what_has_to_be_waited_for(
    connected: tuple[Connection, socket.socket], timeout: float | None
) -> None:
    conn, peer = connected
    found: list[Counter[str]] = []

    def receive() -> None:
        found.append(calls(lambda: conn.recv(timeout)))

    for _ in range(3):  # the last of them knows that it had to wait before
        receiving = Aside(receive).until_blocked()
        peer.sendall(ONE)
        receiving.result()
    assert found[-1].total() <= MOST_CALLS, found[-1]
    assert len(files(found[-1])) <= MOST_FILES, found[-1]
