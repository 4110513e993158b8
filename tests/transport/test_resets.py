"""A peer that resets: the kernel tells it once, and the object keeps it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from vfiipc import TCP

from .suite.base import LIMIT, LONG, PREFIX, Aside, arrived, port_of, until


class TestResets:
    @pytest.fixture
    def ends(self, server: TCP) -> Iterator[tuple[socket.socket, TCP]]:
        with socket.create_connection(("127.0.0.1", port_of(server))) as sock:
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                yield sock, accepted

    @staticmethod
    def reset(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    @pytest.mark.parametrize("member", ["read", "read_msg", "poll_in"])
    def test_latches_the_cause(self, ends: tuple[socket.socket, TCP], member: str) -> None:
        # IPC-X1
        sock, ipc = ends
        self.reset(sock)
        arguments = {"read": (5, LONG), "read_msg": (PREFIX, LIMIT, LONG), "poll_in": (LONG,)}
        for _ in range(3):
            getattr(ipc, member)(*arguments[member])
            assert ipc.error()
            assert not ipc.eof()
            assert isinstance(ipc.last_error, ConnectionResetError)
        assert ipc.write(b"x") is False
        assert isinstance(ipc.last_error, ConnectionResetError)

    def test_what_peek_learns_is_kept(self, ends: tuple[socket.socket, TCP]) -> None:  # IPC-X4
        sock, ipc = ends
        self.reset(sock)
        for _ in range(2):
            assert ipc.peek(5, LONG) == (-1, b"")
            assert not ipc.error()
            assert isinstance(ipc.last_error, ConnectionResetError)
        assert ipc.read(5, LONG) == b""
        assert ipc.error()
        assert isinstance(ipc.last_error, ConnectionResetError)

    def test_what_was_received_before_comes_first(self, ends: tuple[socket.socket, TCP]) -> None:
        # IPC-X2
        sock, ipc = ends
        sock.sendall(b"before")
        arrived(ipc, 6)
        assert ipc.read(1, LONG) == b"b"
        self.reset(sock)
        until(lambda: ipc.peek(100, 0).n < 6 or ipc.write(b"x", 0) is False)
        assert ipc.read(5, LONG) == b"efore"
        assert ipc.read(1, LONG) == b""
        assert ipc.error()
        assert isinstance(ipc.last_error, OSError)

    def test_wakes_a_reader(self, ends: tuple[socket.socket, TCP]) -> None:
        sock, ipc = ends
        reading = Aside(ipc.read_msg, PREFIX, LIMIT).until_blocked()
        self.reset(sock)
        assert reading.result() is None
        assert isinstance(ipc.last_error, ConnectionResetError)

    def test_calls_back_once(self, ends: tuple[socket.socket, TCP]) -> None:  # IPC-C4
        sock, ipc = ends
        calls: list[object] = []

        def read(data: object, ipc: Any) -> None:
            calls.append(ipc.read(1, 0))

        ipc.set_callback(read)
        self.reset(sock)
        until(ipc.error)
        time.sleep(0.05)
        assert calls == [b""]
