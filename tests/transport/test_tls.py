"""What is particular to TLS: the handshake, callbacks, and the end of the stream."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.relay import Relay
from vfiipc import TLS
from vfiipc.codec import encode

from .certificates import HOST, Certificates, served, tls_pair
from .suite.base import LIMIT, LONG, PREFIX, Aside, port_of, until
from .suite.callbacks import Calls


@pytest.fixture
def listening(certificates: Certificates) -> Iterator[TLS]:
    with TLS() as server:
        assert server.setKeyCert(*certificates.good)
        assert server.listen(0, HOST)
        yield server


class TestCodes:
    def test_nobody_listens(self, listening: TLS) -> None:
        address = listening.local_addr()
        listening.close()
        client = TLS()
        assert client.connect(address, 0, LONG) is False
        assert client.TLSError()[0] == TLS.ERR_CONNECT
        client.close()
        assert client.TLSError() == (TLS.OK, "")

    def test_an_unknown_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*arguments: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        client = TLS()
        assert client.connect("nobody.example", 1, LONG) is False
        assert client.TLSError() == (TLS.ERR_UNKNOWN_HOST, str(client.last_error))

    @pytest.mark.parametrize(
        ("hostname", "port", "code"),
        [
            ("", 1, TLS.ERR_HOST),
            ("port:x:y", 1, TLS.ERR_HOST),
            ("host", 0, TLS.ERR_PORT),
            ("host:1", 2, TLS.ERR_PORT),
            ("host:70000", 0, TLS.ERR_PORT),
        ],
    )
    def test_what_is_no_address(self, hostname: str, port: int, code: int) -> None:
        client = TLS()
        assert client.connect(hostname, port, LONG) is False
        assert client.TLSError()[0] == code

    def test_a_port_that_is_taken(self, listening: TLS, certificates: Certificates) -> None:
        with TLS() as second:
            assert second.setKeyCert(*certificates.good)
            assert second.listen(port_of(listening), HOST) is False
            assert second.TLSError()[0] == TLS.ERR_SOCKET

    def test_a_silent_server(self) -> None:  # IPC-S5
        with socket.create_server((HOST, 0)) as silent, TLS() as client:
            assert client.connect(HOST, silent.getsockname()[1], 50) is False
            assert client.TLSError()[0] == TLS.ERR_TIMEOUT
            client.handshake_timeout_msec = 50
            assert client.connect(HOST, silent.getsockname()[1]) is False
            assert client.TLSError()[0] == TLS.ERR_TIMEOUT

    def test_close_wakes_a_handshake(self) -> None:
        with socket.create_server((HOST, 0)) as silent, TLS() as client:
            connecting = Aside(client.connect, HOST, silent.getsockname()[1]).until_blocked()
            client.close()
            assert connecting.result() is False
            assert client.last_error is None

    def test_couples_with_no_socket(self) -> None:
        client = TLS()
        assert client.setFD(0) is False
        assert client.TLSError()[0] == TLS.ERR_FAIL


class TestSilentClients:
    """What a client does in its handshake harms nobody else."""

    def test_accept_does_not_wait(self, listening: TLS) -> None:  # IPC-S6
        with socket.create_connection((HOST, port_of(listening))):
            accepted = listening.accept(LONG)
            assert accepted is not None
            with accepted:
                assert accepted.poll_in(0) is False
                assert accepted.read_msg(PREFIX, LIMIT, 20) is None
                assert accepted.write(b"x", 20) is False
                assert not accepted.error()
                assert accepted.getFD() == -1

    @pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
    def test_time_ends_it(self, listening: TLS, hello: bytes) -> None:  # IPC-S7
        listening.handshake_timeout_msec = 50
        for member, arguments in [("read", (1,)), ("poll_in", ()), ("write", (b"x",))]:
            with socket.create_connection((HOST, port_of(listening))) as silent:
                silent.sendall(hello)
                accepted = listening.accept(LONG)
                assert accepted is not None
                with accepted:
                    Aside(getattr(accepted, member), *arguments).result()
                    assert accepted.error()
                    assert accepted.TLSError()[0] == TLS.ERR_TIMEOUT
        assert listening.last_error is None

    def test_a_callback_tells_of_it(self, listening: TLS) -> None:
        listening.handshake_timeout_msec = 50
        calls = Calls()
        with socket.create_connection((HOST, port_of(listening))) as silent:
            accepted = listening.accept(LONG)
            assert accepted is not None
            with accepted:
                assert accepted.set_callback(calls)
                silent.sendall(b"\x16")
                calls.next()
                assert accepted.read(1, 0) == b""
                assert isinstance(accepted.last_error, TimeoutError)
                assert accepted.error()
                assert calls.none()

    @pytest.mark.parametrize(
        "sent", [b"GET / HTTP/1.0\r\n\r\n", b"\0" * 100, b"\x16\x03\x01\x00\x05garbage"]
    )
    def test_garbage(self, listening: TLS, certificates: Certificates, sent: bytes) -> None:
        # IPC-S7
        with socket.create_connection((HOST, port_of(listening))) as stranger:
            accepted = listening.accept(LONG)
            assert accepted is not None
            with accepted:
                stranger.sendall(sent)
                assert accepted.poll_in(LONG)
                assert accepted.error()
                assert isinstance(accepted.last_error, ssl.SSLError)
                assert accepted.TLSError()[0] == TLS.ERR_FAIL
        assert listening.last_error is None

    @pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
    def test_gone_in_mid_handshake(self, listening: TLS, sent: bytes) -> None:
        with socket.create_connection((HOST, port_of(listening))) as stranger:
            stranger.sendall(sent)
        accepted = listening.accept(LONG)
        assert accepted is not None
        with accepted:
            assert accepted.read_msg(PREFIX, LIMIT, LONG) is None
            assert accepted.error()
            assert not accepted.eof()
            assert "handshake" in str(accepted.last_error)


class TestCallbacks:
    def test_handshake_bytes_are_no_data(self, listening: TLS, certificates: Certificates) -> None:
        # IPC-S8
        calls, client = Calls(), TLS()
        client.addCA(certificates.ca)
        connecting = Aside(client.connect, listening.local_addr(), 0, LONG)
        accepted = listening.accept(LONG)
        assert accepted is not None
        with accepted, client:
            # The thread of the callbacks makes the handshake.
            assert accepted.set_callback(calls)
            assert connecting.result() is True
            assert calls.none()
            assert client.write_msgs(PREFIX, [(1, b"a"), (2, b"b")])
            for expected in [(1, b"a"), (2, b"b")]:
                calls.next()
                assert accepted.read_msg(PREFIX, LIMIT, 0) == expected
            assert calls.none()

    def test_what_a_writer_brings_in_is_told(
        self, listening: TLS, certificates: Certificates
    ) -> None:  # IPC-S8
        """The writer makes the handshake, and the client's data comes along with its last part."""
        calls, client = Calls(), TLS()
        client.addCA(certificates.ca)

        def talk() -> None:
            assert client.connect(listening.local_addr(), 0, LONG), client.last_error
            assert client.write(b"early", LONG)

        talking = Aside(talk)
        accepted = listening.accept(LONG)
        assert accepted is not None
        with accepted, client:
            assert accepted.write(b"x", LONG)
            talking.result()
            until(lambda: accepted.peek(5, 0).n == 5)
            accepted.set_callback(calls)
            calls.next()
            assert accepted.read(5, LONG) == b"early"

    def test_a_reader_and_a_writer_share_the_handshake(
        self, listening: TLS, certificates: Certificates
    ) -> None:  # IPC-S6
        for _ in range(5):
            with TLS() as client:
                client.addCA(certificates.ca)
                with socket.create_connection((HOST, port_of(listening))) as late:
                    accepted = listening.accept(LONG)
                    assert accepted is not None
                    with accepted:
                        reading = Aside(accepted.read, 1).until_blocked()
                        writing = Aside(accepted.write, b"x").until_blocked()
                        late.close()
                        assert reading.result() == b""
                        assert writing.result() is False
                connecting = Aside(client.connect, listening.local_addr(), 0, LONG)
                accepted = listening.accept(LONG)
                assert accepted is not None
                with accepted:
                    reading = Aside(accepted.read, 1, LONG)
                    writing = Aside(accepted.write, b"x", LONG)
                    assert connecting.result() is True
                    assert client.write(b"y", LONG)
                    assert client.read(1, LONG) == b"x"
                    assert reading.result() == b"y"
                    assert writing.result() is True


@contextmanager
def relayed(certificates: Certificates, flags: int) -> Iterator[tuple[TLS, TLS, Relay]]:
    """A client, what was accepted, and who passes on their bytes."""
    with TLS() as server, TLS() as client:
        assert server.setKeyCert(*certificates.good)
        assert client.addCA(certificates.ca)
        assert client.setCheckConfig(flags), client.last_error
        assert server.listen(0, HOST), server.last_error
        with Relay(port_of(server)) as relay:
            connecting = Aside(client.connect, HOST, relay.port, LONG)
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                while connecting.thread.is_alive():
                    assert not accepted.poll_in(5), accepted.last_error
                assert connecting.result(), client.last_error
                yield client, accepted, relay


@pytest.mark.parametrize("flags", [TLS.IGNORE_NONE, TLS.IGNORE_EXPIRED], ids=["ssl", "pyOpenSSL"])
class TestBroken:
    """With each of the engines at the client."""

    def test_cut_off_is_an_error(self, certificates: Certificates, flags: int) -> None:  # IPC-S9
        with relayed(certificates, flags) as (second, first, relay):
            assert first.write(b"abc")
            assert second.read(3, LONG) == b"abc"
            relay.to_client.shutdown(socket.SHUT_WR)
            assert second.read(1, LONG) == b""
            assert second.error()
            assert not second.eof()
            assert "close_notify" in str(second.last_error)

    def test_gone_in_mid_message(self, certificates: Certificates, flags: int) -> None:  # IPC-S9
        with relayed(certificates, flags) as (second, first, relay):
            half = encode(PREFIX, 1, b"12345")[:14]
            assert first.write(half)
            assert second.peek(14, LONG).n > 0
            relay.to_client.shutdown(socket.SHUT_RDWR)
            assert second.read_msg(PREFIX, LIMIT, LONG) is None
            assert second.error()
            assert second.read(100, 0) == half

    def test_damage_is_an_error(self, certificates: Certificates, flags: int) -> None:  # IPC-S9
        with relayed(certificates, flags) as (second, first, relay):
            relay.to_client.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            assert second.read(1, LONG) == b""
            assert second.error()
            assert isinstance(second.last_error, ssl.SSLError)
            assert first.read(1, LONG) == b""
            assert first.error()

    def test_a_server_that_speaks_no_tls(self, flags: int) -> None:
        with socket.create_server((HOST, 0)) as server, TLS() as client:
            assert client.setCheckConfig(flags)
            assert client.addDefaultCA()
            for answer in (b"220 no TLS here\r\n" * 10, b""):
                connecting = Aside(client.connect, HOST, server.getsockname()[1], LONG)
                with server.accept()[0] as stranger:
                    stranger.recv(65536)
                    stranger.sendall(answer)
                assert connecting.result() is False
                assert isinstance(client.last_error, OSError)
                assert client.TLSError()[0] == TLS.ERR_FAIL


class TestObjects:
    def test_keepalive(self, listening: TLS, certificates: Certificates) -> None:
        if not sys.platform.startswith("linux"):
            pytest.skip("keepalives are set on Linux only")
        first, second = tls_pair(certificates)
        with first, second:
            for ipc in (listening, first, second):
                assert ipc.setKeepalive(3, 10), ipc.last_error
                assert ipc.setKeepalive(0, 10)
                assert ipc.setKeepalive(1000, 10) is False
                assert ipc.TLSError()[0] == TLS.ERR_FAIL
        assert first.setKeepalive(3, 10) is False

    def test_what_is_set_up_stays_over_close(self, certificates: Certificates) -> None:
        with served(certificates.good) as server, TLS() as client:
            assert client.addCA(certificates.ca)
            for _ in range(2):
                assert client.connect(server.local_addr(), 0, LONG), client.last_error
                client.close()

    def test_only_who_listens_accepts(self, listening: TLS) -> None:
        with TLS() as ipc:
            assert ipc.accept(0) is None
            assert ipc.TLSError()[0] == TLS.ERR_FAIL
        assert listening.accept(0) is None
        assert listening.TLSError() == (TLS.OK, "")
        assert listening.getFD() >= 0

    def test_mistakes_raise(self) -> None:
        ipc = TLS()
        with pytest.raises(ValueError, match="backlog"):
            ipc.listen(0, HOST, -1)
        with pytest.raises(ValueError, match="port"):
            ipc.connect("host", 70_000)
        with pytest.raises(TypeError, match="hostname"):
            ipc.connect(5, 1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="key_file"):
            ipc.setKeyCert(b"key", "cert")  # type: ignore[arg-type]

    def test_handshakes_leave_no_descriptors(
        self, listening: TLS, certificates: Certificates
    ) -> None:
        def once() -> None:
            client = TLS()
            client.addCA(certificates.ca)
            connecting = Aside(client.connect, listening.local_addr(), 0, LONG)
            accepted = listening.accept(LONG)
            assert accepted is not None
            assert accepted.write(b"x", LONG)
            assert connecting.result() is True
            assert client.read(1, LONG) == b"x"
            accepted.close()
            client.close()

        once()
        folder = Path("/proc/self/fd")
        if not folder.exists():
            pytest.skip("no list of descriptors here")
        before = len(list(folder.iterdir()))
        for _ in range(100):
            once()
        assert len(list(folder.iterdir())) <= before + 2
