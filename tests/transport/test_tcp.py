"""What is particular to TCP: reaching a host, and being reached."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from vfiipc import TCP

from .suite.base import LIMIT, LONG, PATIENCE, PREFIX, Aside, port_of, until
from .suite.closing import untouched

LOCALHOST = "127.0.0.1"


@contextmanager
def deaf() -> Iterator[tuple[str, int]]:
    """The address of a listener whose queue is full: connecting to it takes for ever."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.2", 0))
        listening.listen(0)
        for _ in range(4):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        yield listening.getsockname()


def candidate(address: tuple[str, int]) -> tuple[Any, ...]:
    return socket.AF_INET, socket.SOCK_STREAM, 0, "", address


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    found = [candidate(address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


class TestConnecting:
    def test_refused(self, server: TCP) -> None:
        address = server.local_addr()
        server.close()
        with TCP() as ipc:
            assert ipc.connect(address, 0, LONG) is False
            assert isinstance(ipc.last_error, ConnectionRefusedError)
            assert not ipc.error()

    def test_in_time(self) -> None:
        with deaf() as (host, port), TCP() as ipc:
            begin = time.monotonic()
            assert ipc.connect(host, port, 100) is False
            assert time.monotonic() - begin < PATIENCE / 2
            assert isinstance(ipc.last_error, TimeoutError)

    def test_close_wakes(self) -> None:  # IPC-Z1
        with deaf() as (host, port), TCP() as ipc:
            connecting = Aside(ipc.connect, host, port).until_blocked()
            ipc.close()
            assert connecting.result() is False
            assert ipc.last_error is None
            assert not ipc.error()
            assert ipc.getFD() == -1

    def test_another_connect_ends_the_first(self, server: TCP) -> None:
        with deaf() as (host, port), TCP() as ipc:
            connecting = Aside(ipc.connect, host, port).until_blocked()
            assert ipc.connect(server.local_addr(), 0, LONG)
            assert connecting.result() is False
            assert ipc.remote_addr() == server.local_addr()

    def test_addresses_that_do_not_answer_are_passed_by(
        self, server: TCP, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with deaf() as silent, TCP() as ipc:
            resolves_to(monkeypatch, silent, silent, (LOCALHOST, port_of(server)))
            assert ipc.connect("some.host", 80, LONG)
            assert ipc.remote_addr() == server.local_addr()
            assert ipc.last_error is None

    def test_addresses_that_refuse_are_passed_by(
        self, server: TCP, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with TCP() as ipc:
            resolves_to(monkeypatch, ("127.0.0.3", 1), (LOCALHOST, port_of(server)))
            assert ipc.connect("some.host", 80, LONG)
            assert ipc.remote_addr() == server.local_addr()

    def test_families_that_are_not_there_are_passed_by(
        self, server: TCP, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = [(9999, socket.SOCK_STREAM, 0, "", ("nowhere", 1))] * 2
        found.append(candidate((LOCALHOST, port_of(server))))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with TCP() as ipc:
            assert ipc.connect("some.host", 80, LONG), ipc.last_error
            del found[2]
            assert ipc.connect("some.host", 80, LONG) is False
            assert isinstance(ipc.last_error, OSError)
            assert ipc.last_error.errno == errno.EAFNOSUPPORT

    def test_what_is_under_way_is_not_dropped(
        self, server: TCP, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # CON-A7
        with deaf() as silent, TCP() as ipc:
            resolves_to(monkeypatch, silent, ("127.0.0.3", 1))
            begin = time.monotonic()
            assert ipc.connect("some.host", 80, 600) is False
            assert time.monotonic() - begin >= 0.5
            assert isinstance(ipc.last_error, TimeoutError)

    def test_one_deadline_for_all_addresses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with deaf() as silent, TCP() as ipc:
            resolves_to(monkeypatch, *[silent] * 50)
            begin = time.monotonic()
            assert ipc.connect("some.host", 80, 100) is False
            assert time.monotonic() - begin < PATIENCE / 2

    def test_no_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with TCP() as ipc:
            resolves_to(monkeypatch)
            assert ipc.connect("some.host", 80, LONG) is False
            assert isinstance(ipc.last_error, OSError)

    def test_a_resolver_that_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "no such host")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with TCP() as ipc:
            assert ipc.connect("some.host", 80) is False
            assert isinstance(ipc.last_error, socket.gaierror)

    def test_a_slow_resolver_is_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        go_on = threading.Event()

        def slow(*_: object, **__: object) -> list[Any]:
            go_on.wait(PATIENCE)
            return [candidate((LOCALHOST, 1))]

        monkeypatch.setattr(socket, "getaddrinfo", slow)
        try:
            with TCP() as ipc:
                assert ipc.connect("some.host", 80, 50) is False
                assert isinstance(ipc.last_error, TimeoutError)
                connecting = Aside(ipc.connect, "some.host", 80).until_blocked()
                ipc.close()
                assert connecting.result() is False
                assert untouched(ipc)
        finally:
            go_on.set()
        until(lambda: "vfiipc-resolver" not in [thread.name for thread in threading.enumerate()])

    def test_without_a_thread_the_resolver_runs_in_this_one(
        self, server: TCP, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # IPC-H8
        def refuse(_: object) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as without, TCP() as tcp:
            without.setattr(threading.Thread, "start", refuse)
            assert tcp.connect("localhost", port_of(server), 10_000), tcp.last_error

    def test_literals_never_reach_the_resolver(self, server: TCP) -> None:
        with TCP() as ipc:
            before = threading.active_count()
            assert ipc.connect(server.local_addr(), 0, LONG)
            assert threading.active_count() <= before  # threads of earlier tests may end

    def test_what_was_there_is_closed_first(self, server: TCP) -> None:
        with TCP() as ipc:
            assert ipc.connect(server.local_addr(), 0, LONG)
            former = server.accept(LONG)
            assert former is not None
            with former:
                assert ipc.connect(server.local_addr(), 0, LONG)
                assert former.read(1, LONG) == b""
                assert former.eof()
                assert ipc.connect("localhost", 0) is False
                assert ipc.getFD() == -1

    def test_an_object_may_be_used_again(self, server: TCP) -> None:  # IPC-Z6
        with TCP() as ipc:
            for number in range(3):
                assert ipc.connect(server.local_addr(), 0, LONG)
                accepted = server.accept(LONG)
                assert accepted is not None
                with accepted:
                    assert accepted.write_msg(PREFIX, number, b"x")
                    assert accepted.write(b"half")
                assert ipc.read_msg(PREFIX, LIMIT, LONG) == (number, b"x")
                assert ipc.read_msg(PREFIX, LIMIT, LONG) is None
                assert ipc.eof()
                if number:
                    ipc.close()
            assert ipc.listen(0, LOCALHOST)
            assert ipc.is_server()
            assert not ipc.eof()


class TestListening:
    def test_taken(self, server: TCP) -> None:
        with TCP() as other:
            assert other.listen(port_of(server), LOCALHOST) is False
            assert isinstance(other.last_error, OSError)
            assert other.last_error.errno == errno.EADDRINUSE
            assert not other.is_server()

    def test_no_address_of_this_machine(self) -> None:
        with TCP() as ipc:
            assert ipc.listen(0, "192.0.2.1") is False
            assert isinstance(ipc.last_error, OSError)

    def test_a_port_may_be_used_again_at_once(self, server: TCP) -> None:
        port = port_of(server)
        with TCP() as client:
            assert client.connect(server.local_addr(), 0, LONG)
            accepted = server.accept(LONG)
            assert accepted is not None
            accepted.close()
            server.close()
            assert server.listen(port, LOCALHOST), server.last_error

    def test_without_ipv6_it_is_ipv4(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "has_ipv6", False)
        with TCP() as server, TCP() as client:
            assert server.listen(0)
            assert server.local_addr().startswith("0.0.0.0:")
            assert client.connect(LOCALHOST, port_of(server), LONG)

    @pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
    def test_where_the_kernel_has_no_ipv6_it_is_ipv4(
        self, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        class WithoutIPv6(socket.socket):
            def __init__(self, family: int = -1, *arguments: Any, **named: Any) -> None:
                if family == socket.AF_INET6:
                    raise OSError(number, os.strerror(number))
                super().__init__(family, *arguments, **named)

        monkeypatch.setattr(socket, "has_ipv6", True)
        monkeypatch.setattr(socket, "socket", WithoutIPv6)
        with TCP() as server, TCP() as client:
            assert server.listen(0), server.last_error
            assert server.local_addr().startswith("0.0.0.0:")
            assert client.connect(LOCALHOST, port_of(server), LONG)

    def test_accept_in_time(self, server: TCP) -> None:  # IPC-T6
        assert server.accept(0) is None
        assert server.accept(20) is None
        assert server.last_error is None

    def test_close_wakes_accept(self, server: TCP) -> None:  # IPC-Z1
        accepting = [Aside(server.accept).until_blocked() for _ in range(3)]
        server.close()
        assert [call.result() for call in accepting] == [None] * 3
        assert server.last_error is None

    def test_listening_anew_ends_the_first(self, server: TCP) -> None:
        accepting = Aside(server.accept).until_blocked()
        assert server.listen(0, LOCALHOST)
        assert accepting.result() is None

    def test_reading_and_writing_is_an_error(self, server: TCP) -> None:  # IPC-X6
        assert server.read(1) == b""
        assert server.write(b"x") is False
        assert server.error()
        with TCP() as client:
            assert client.connect(server.local_addr(), 0, LONG)
            accepted = server.accept(LONG)
            assert accepted is not None
            accepted.close()

    def test_a_connection_that_died_is_given_or_skipped(self, server: TCP) -> None:
        with socket.create_connection((LOCALHOST, port_of(server))) as dead:
            dead.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with TCP() as client:
            assert client.connect(server.local_addr(), 0, LONG)
            accepted = None
            while accepted is None or accepted.remote_addr() != client.local_addr():
                if accepted is not None:
                    accepted.close()
                accepted = server.accept(LONG)
                assert accepted is not None
            accepted.close()

    def test_accept_skips_what_died(self, server: TCP, monkeypatch: pytest.MonkeyPatch) -> None:
        causes = [errno.ECONNABORTED, errno.EPROTO, errno.EHOSTUNREACH]
        accept = socket.socket.accept

        def dying(sock: socket.socket) -> tuple[socket.socket, Any]:
            if causes:
                raise OSError(causes.pop(), "died in the queue")
            return accept(sock)

        monkeypatch.setattr(socket.socket, "accept", dying)
        with TCP() as client:
            assert client.connect(server.local_addr(), 0, LONG)
            accepted = server.accept(LONG)
            assert accepted is not None
            accepted.close()
            assert not causes
            assert server.last_error is None

    def test_accept_tells_what_it_cannot(
        self, server: TCP, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: socket.socket) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        monkeypatch.setattr(socket.socket, "accept", full)
        assert server.accept(LONG) is None
        assert isinstance(server.last_error, OSError)
        assert server.last_error.errno == errno.EMFILE
        assert not server.error()

    def test_accept_tells_what_it_cannot_after_a_read_by_mistake(
        self, server: TCP, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # IPC-X3
        assert server.read(1, 0) == b""
        assert server.error()

        def full(_: socket.socket) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        monkeypatch.setattr(socket.socket, "accept", full)
        assert server.accept(LONG) is None
        assert isinstance(server.last_error, OSError)
        assert server.last_error.errno == errno.EMFILE
        assert server.error()

    def test_the_callback_tells_of_connections(self, server: TCP) -> None:
        accepted: list[TCP] = []

        def come(data: object, ipc: Any) -> None:
            peer = ipc.accept(0)
            if peer is not None:
                accepted.append(peer)

        server.set_callback(come)
        clients = [TCP() for _ in range(3)]
        for client in clients:
            assert client.connect(server.local_addr(), 0, LONG)
        until(lambda: len(accepted) == 3)
        for ipc in [*clients, *accepted]:
            ipc.close()

    def test_strict_is_handed_on(self, server: TCP) -> None:
        server.strict = True
        with TCP() as client:
            assert client.connect(server.local_addr(), 0, LONG)
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                assert accepted.strict is True
