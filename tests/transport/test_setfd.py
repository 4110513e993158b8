"""Coupling with sockets that others have connected, and keepalives."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from vfiipc import TCP

from .suite.base import FLOOD, LIMIT, LONG, PREFIX, Aside

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="keepalives are set on Linux only")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    first, second = socket.socketpair()
    with first, second:
        yield first, second


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class TestRefused:
    def refuses(self, source: int | socket.socket) -> OSError:
        with TCP() as ipc:
            assert ipc.setFD(source) is False
            assert not ipc.error()
            assert ipc.getFD() == -1
            assert isinstance(ipc.last_error, OSError)
            return ipc.last_error

    def test_listeners(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert "listening" in str(self.refuses(server))
            self.refuses(server.fileno())
            with socket.create_connection(server.getsockname()):
                server.accept()[0].close()

    def test_pipes(self) -> None:
        for descriptor in os.pipe():
            self.refuses(descriptor)
            assert is_open(descriptor)
            os.close(descriptor)

    def test_datagrams(self) -> None:
        with ExitStack() as stack:
            for sock in socket.socketpair(type=socket.SOCK_DGRAM):
                stack.enter_context(sock)
                self.refuses(sock)
                assert is_open(sock.fileno())
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            udp.connect(("127.0.0.1", 9))
            self.refuses(udp.fileno())
            assert is_open(udp.fileno())

    def test_what_is_not_connected(self) -> None:
        with socket.socket() as sock:
            assert self.refuses(sock).errno == errno.ENOTCONN
            assert is_open(sock.fileno())

    def test_what_is_closed(self, ends: tuple[socket.socket, socket.socket]) -> None:
        first, second = socket.socketpair()
        second.close()
        number = first.fileno()
        first.close()
        for source in (first, number, -1, 2**30, 2**32 + ends[0].fileno(), 2**70):
            assert self.refuses(source).errno == errno.EBADF

    def test_tls(self, ends: tuple[socket.socket, socket.socket]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        with context.wrap_socket(ends[0], do_handshake_on_connect=False) as sock:
            assert "TLS" in str(self.refuses(sock))
            assert is_open(sock.fileno())

    def test_leaves_everything_as_it_was(self, ends: tuple[socket.socket, socket.socket]) -> None:
        with TCP() as ipc, TCP() as peer:
            assert ipc.setFD(ends[0])
            assert peer.setFD(ends[1])
            peer.write_msgs(PREFIX, [(1, b"a"), (2, b"b")])
            assert ipc.read_msg(PREFIX, LIMIT, LONG) == (1, b"a")
            assert ipc.setFD(ipc.getFD()) is False
            assert "this very object" in str(ipc.last_error)
            assert ipc.setFD(-1) is False
            assert not ipc.error()
            assert ipc.read_msg(PREFIX, LIMIT, LONG) == (2, b"b")

    def test_its_own_descriptor_while_it_listens(self) -> None:
        with TCP() as ipc:
            assert ipc.listen(0, "127.0.0.1")
            assert ipc.setFD(ipc.getFD()) is False
            assert ipc.is_server()


class TestCoupled:
    def test_a_socket_is_detached(self, ends: tuple[socket.socket, socket.socket]) -> None:
        number = ends[0].fileno()
        with TCP() as ipc:
            assert ipc.setFD(ends[0])
            assert ends[0].fileno() == -1
            assert ipc.getFD() == number
            assert ipc.remote_addr() == ipc.local_addr() == ""
        assert not is_open(number)
        assert ends[1].recv(1) == b""

    def test_what_was_there_is_closed(self, ends: tuple[socket.socket, socket.socket]) -> None:
        former, peer = socket.socketpair()
        with TCP() as ipc, peer:
            assert ipc.setFD(former)
            assert ipc.setFD(ends[0].detach())
            assert peer.recv(1) == b""
            assert ipc.write(b"x")
            assert ends[1].recv(1) == b"x"

    @pytest.mark.parametrize("timeout", [0.0, 0.01, None])
    def test_any_blocking_state_is_kept(
        self, ends: tuple[socket.socket, socket.socket], timeout: float | None
    ) -> None:
        ends[0].settimeout(timeout)
        state = os.get_blocking(ends[0].fileno())
        with TCP() as ipc:
            assert ipc.setFD(ends[0])
            assert os.get_blocking(ipc.getFD()) is state
            reading = Aside(ipc.read, 3, LONG).until_blocked()
            ends[1].sendall(b"abc")
            assert reading.result() == b"abc"
            writing = Aside(ipc.write, FLOOD, LONG).until_blocked()
            got = 0
            while got < len(FLOOD):
                got += len(ends[1].recv(2**20))
            assert writing.result() is True
            assert ipc.read(1, 20) == b""
            assert not ipc.error()
            assert os.get_blocking(ipc.getFD()) is state

    @pytest.mark.parametrize("timeout", [0.0, 5.0])
    def test_a_default_timeout_changes_nothing(
        self,
        ends: tuple[socket.socket, socket.socket],
        monkeypatch: pytest.MonkeyPatch,
        timeout: float,
    ) -> None:
        socket.setdefaulttimeout(timeout)
        try:
            with TCP() as ipc, TCP() as server, TCP() as client:
                assert ipc.setFD(ends[0].detach())
                assert os.get_blocking(ipc.getFD())
                reading = Aside(ipc.read, 1, LONG).until_blocked()
                ends[1].send(b"x")
                assert reading.result() == b"x"
                assert server.listen(0, "127.0.0.1")
                assert client.connect(server.local_addr(), 0, LONG)
                accepted = server.accept(LONG)
                assert accepted is not None
                with accepted:
                    reading = Aside(accepted.read, 1, LONG).until_blocked()
                    assert client.write(b"y")
                    assert reading.result() == b"y"
        finally:
            socket.setdefaulttimeout(None)

    def test_the_end_does_not_stop_writing(self, ends: tuple[socket.socket, socket.socket]) -> None:
        # IPC-E3
        ends[1].shutdown(socket.SHUT_WR)
        with TCP() as ipc:
            assert ipc.setFD(ends[0])
            assert ipc.read(1, LONG) == b""
            assert ipc.eof()
            assert ipc.write(b"still")
            assert ends[1].recv(10) == b"still"

    def test_a_dup_keeps_the_connection(self, ends: tuple[socket.socket, socket.socket]) -> None:
        # IPC-Z5
        with ends[0].dup() as dup, TCP() as ipc:
            assert ipc.setFD(ends[0])
            reading = Aside(ipc.read, 1).until_blocked()
            ipc.close()
            assert reading.result() == b""
            dup.sendall(b"still here")
            assert ends[1].recv(20) == b"still here"
            ends[1].sendall(b"and back")
            assert dup.recv(20) == b"and back"


Options = dict[str, int]
NAMES = ["TCP_KEEPCNT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_USER_TIMEOUT"]


def options(ipc: TCP) -> Options:
    with socket.socket(fileno=os.dup(ipc.getFD())) as sock:
        found = {name: sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in NAMES}
        found["SO_KEEPALIVE"] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        return found


@needs_linux
class TestKeepalive:
    def test_sets_all_that_it_needs(self, server: TCP) -> None:
        assert server.setKeepalive(3, 1)
        assert options(server) == {
            "TCP_KEEPCNT": 3,
            "TCP_KEEPIDLE": 1,
            "TCP_KEEPINTVL": 1,
            "TCP_USER_TIMEOUT": 3000,
            "SO_KEEPALIVE": 1,
        }

    def test_what_is_accepted_has_it_too(self, server: TCP) -> None:
        assert server.setKeepalive(4, 5)
        with TCP() as client:
            assert client.connect(server.local_addr(), 0, LONG)
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                assert options(accepted) == options(server)
            assert options(client)["SO_KEEPALIVE"] == 0
            assert client.setKeepalive(2, 7)
            assert options(client)["TCP_USER_TIMEOUT"] == 14000

    def test_nothing_disables(self, server: TCP) -> None:
        assert server.setKeepalive(3, 1)
        assert server.setKeepalive(0, 0)
        assert options(server)["SO_KEEPALIVE"] == 0
        assert options(server)["TCP_USER_TIMEOUT"] == 0

    @pytest.mark.parametrize(
        ("cnt", "interval"), [(-1, 1), (128, 1), (3, 0), (3, -1), (3, 32768), (127, 32767)]
    )
    def test_out_of_range_keeps_what_was(self, server: TCP, cnt: int, interval: int) -> None:
        assert server.setKeepalive(3, 2)
        before = options(server)
        assert server.setKeepalive(cnt, interval) is False
        assert isinstance(server.last_error, OSError)
        assert str(cnt) in str(server.last_error)
        assert not server.error()
        assert options(server) == before

    @pytest.mark.parametrize(("cnt", "interval"), [(127, 1), (1, 32767), (65, 32767)])
    def test_the_highest(self, server: TCP, cnt: int, interval: int) -> None:
        assert server.setKeepalive(cnt, interval), server.last_error

    def test_unix_sockets_have_none(self, ends: tuple[socket.socket, socket.socket]) -> None:
        with TCP() as ipc:
            assert ipc.setFD(ends[0])
            assert ipc.setKeepalive(3, 1) is False
            assert "not a TCP socket" in str(ipc.last_error)
            assert not ipc.error()

    def test_not_open(self) -> None:
        with TCP() as ipc:
            assert ipc.setKeepalive(3, 1) is False
            assert isinstance(ipc.last_error, OSError)
            assert ipc.last_error.errno == errno.ENOTCONN
            assert not ipc.error()

    def test_what_the_kernel_refuses_is_put_back(
        self, server: TCP, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert server.setKeepalive(3, 1)
        before = options(server)
        setsockopt = socket.socket.setsockopt

        def refuse(sock: socket.socket, level: int, name: int, value: int) -> None:
            if (level, name, value) == (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 35_000):
                raise OSError(errno.EINVAL, "refused")
            setsockopt(sock, level, name, value)

        monkeypatch.setattr(socket.socket, "setsockopt", refuse)
        assert server.setKeepalive(5, 7) is False
        assert options(server) == before
        assert "refused" in str(server.last_error)
