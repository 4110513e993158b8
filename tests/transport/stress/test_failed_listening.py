"""A ``Pipe.listen`` that fails because a server runs there: that server does not notice."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.transport.pipes import left_behind, reason, serves
from tests.transport.suite.base import LONG, Aside
from vfiipc import Pipe


@pytest.fixture(params=["path", "abstract"])
def name(request: pytest.FixtureRequest, path: Path) -> str:
    return str(path) if request.param == "path" else f"\0vfiipc-{os.getpid()}-{path.parent.name}"


def test_the_server_sees_no_connection(name: str) -> None:
    with Pipe() as server, Pipe() as other:
        assert server.listen(name), server.last_error
        accepting = Aside(server.accept, 500)
        for _ in range(5):
            assert other.listen(name) is False
            assert "in use" in str(other.last_error)
        assert accepting.result() is None
        assert server.last_error is None
        assert serves(server, name)


def test_nor_does_one_of_somebody_else(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, Pipe() as other:
        server.bind(str(path))
        server.listen()
        assert other.listen(path) is False
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
        assert path.is_socket()


def test_its_queue_keeps_its_place(path: Path) -> None:
    """Not even for a moment: a queue of one still has room for the one who comes."""
    with Pipe() as server, Pipe() as other, Pipe() as client:
        assert server.listen(path, backlog=0)
        for _ in range(3):
            assert other.listen(path) is False
        assert client.connect(path, 0), client.last_error
        accepted = server.accept(LONG)
        assert accepted is not None
        accepted.close()
        assert server.accept(0) is None


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_what_is_left_behind_is_replaced(path: Path, kind: int) -> None:
    left_behind(path, kind)
    with Pipe() as server:
        assert server.listen(path), server.last_error
        assert serves(server, path)


def test_a_datagram_socket_in_use_stays(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as owner, Pipe() as pipe:
        owner.bind(str(path))
        assert pipe.listen(path) is False
        assert "in use" in reason(pipe)[1]
        owner.settimeout(0.1)
        with pytest.raises(TimeoutError):
            owner.recv(1)
        assert path.is_socket()
