"""The transports, each through the whole suite."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from vfiipc import TCP, Pipe, loopback_pair
from vfiipc.transport import system

from .conformance import Conformance, Pair
from .suite.closing import Closing
from .suite.ends import Ends, Failures
from .suite.messages import Messages
from .suite.threads import Threads


def tcp_pair(address: str) -> tuple[TCP, TCP]:
    with TCP() as server:
        assert server.listen(0, address), server.last_error
        client = TCP()
        assert client.connect(server.local_addr(), 0, 20_000), client.last_error
        accepted = server.accept(20_000)
        assert accepted is not None
        return client, accepted


def coupled_pair(first: socket.socket, second: socket.socket) -> Pair:
    ends = TCP(), TCP()
    assert ends[0].setFD(first)
    assert ends[1].setFD(second.detach())
    return ends


def pipe_pair(path: str) -> tuple[Pipe, Pipe]:
    with Pipe() as server:
        assert server.listen(path), server.last_error
        client = Pipe()
        assert client.connect(path, 20_000), client.last_error
        accepted = server.accept(20_000)
        assert accepted is not None
        return client, accepted


class TestTCP4(Conformance):
    def connected_pair(self) -> Pair:
        return tcp_pair("127.0.0.1")


class TestTCP6(Conformance):
    def connected_pair(self) -> Pair:
        return tcp_pair("::1")


class TestCoupledTCP(Conformance):
    has_addresses = False

    def connected_pair(self) -> Pair:
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            return coupled_pair(client, server.accept()[0])


class TestCoupledSocketpair(Conformance):
    has_addresses = False

    def connected_pair(self) -> Pair:
        return coupled_pair(*socket.socketpair())


class OverPaths:
    """Makes pairs over files."""

    has_addresses = False

    @pytest.fixture(autouse=True)
    def names(self, tmp_path: Path) -> None:
        self._names: Iterator[str] = (str(tmp_path / f"{number}") for number in count())

    def connected_pair(self) -> Pair:
        return pipe_pair(next(self._names))


class TestPipe(OverPaths, Conformance):
    pass


class TestAbstractPipe(OverPaths, Messages, Closing):
    """Once it is connected, nothing differs from a path: messages, and what closing leaves."""

    @pytest.fixture(autouse=True)
    def names(self, tmp_path: Path) -> None:
        self._names = (f"\0{tmp_path}/{number}" for number in count())


class TestPortable(Conformance):
    """What systems other than Linux use."""

    @pytest.fixture(autouse=True)
    def portable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(system, "portable", True)

    def connected_pair(self) -> Pair:
        return tcp_pair("127.0.0.1")


class TestLoopback(Conformance):
    has_descriptor = False
    has_addresses = False

    def connected_pair(self) -> Pair:
        return loopback_pair()


class TestPortablePipe(OverPaths, Messages, Ends, Failures, Closing, Threads):
    """What may differ from TCP where it is portable: waiting, and how a Unix socket ends."""

    @pytest.fixture(autouse=True)
    def portable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(system, "portable", True)
