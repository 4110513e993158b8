"""TLS against peers that send records without data: tickets, changes of keys, renegotiations."""

from __future__ import annotations

import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from vfiipc import TLS

from .certificates import HOST, Certificates
from .suite.base import LIMIT, LONG, PREFIX, Aside, port_of
from .suite.callbacks import Calls
from .test_tls_peers import connected, free_port, openssl, say

pytestmark = pytest.mark.long

#: Seconds. A call that a flood holds up takes ten; on a busy machine, any may take one.
HELD_UP = 3.0

ENGINES = pytest.mark.parametrize(
    "flags", [TLS.IGNORE_NONE, TLS.IGNORE_EXPIRED], ids=["ssl", "pyOpenSSL"]
)
WITH_OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")

#: They take about four seconds to read.
TICKETS = 60_000
#: Bytes of an encrypted answer to a request for new keys.
ANSWER = 27


@contextmanager
def flooding(certificates: Certificates) -> Iterator[int]:
    """The port of a server that follows its handshake up with tickets."""
    key, cert = certificates.good
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.num_tickets = TICKETS

    def serve(listener: socket.socket) -> None:
        try:
            with context.wrap_socket(listener.accept()[0], server_side=True) as sock:
                sock.recv(1)
        except OSError:
            pass  # the client has seen enough

    with socket.create_server((HOST, 0)) as listener:
        serving = Aside(serve, listener)
        yield listener.getsockname()[1]
        serving.result()


@ENGINES
class TestTickets:
    @pytest.fixture
    def client(self, certificates: Certificates, flags: int) -> Iterator[TLS]:
        with flooding(certificates) as port, TLS() as client:
            assert client.addCA(certificates.ca)
            assert client.setCheckConfig(flags)
            assert client.connect(HOST, port, LONG), client.last_error
            # More of them are there than a call can read in its time.
            time.sleep(0.5)
            yield client

    def test_a_reading_call_keeps_its_time(self, client: TLS) -> None:  # IPC-S11
        calls: list[Callable[[], object]] = [
            lambda: client.read_msg(PREFIX, LIMIT, 20),
            lambda: client.read(1, 20),
            lambda: client.poll_in(20),
            lambda: client.peek(1, 20),
        ]
        for call in calls:
            begin = time.monotonic()
            call()
            assert time.monotonic() - begin < HELD_UP
        assert not client.error(), client.last_error

    def test_a_writing_call_keeps_its_time(self, client: TLS) -> None:  # IPC-S11
        reading = Aside(client.read, 1, LONG)
        for _ in range(5):
            begin = time.monotonic()
            assert client.write(b"x", LONG)
            assert time.monotonic() - begin < HELD_UP
        client.close()
        assert reading.result() == b""

    def test_a_callback_is_not_called(self, client: TLS) -> None:  # IPC-S8
        calls = Calls()
        assert client.set_callback(calls)
        assert calls.none()


class KeyUpdates:
    """A client of TLS 1.3 that has its own hands on the keys, once the handshake is complete.

    Args:
        sock: connected to a server.
        certificates: whom to believe, and what to show.
        folder: for the secrets.
    """

    def __init__(self, sock: socket.socket, certificates: Certificates, folder: Path) -> None:
        log = folder / "secrets"
        context = ssl.create_default_context(cafile=str(certificates.ca))
        key, cert = certificates.client
        context.load_cert_chain(cert, key)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.keylog_filename = str(log)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        sock.sendall(outgoing.read())
        cipher = session.cipher()
        assert cipher is not None
        assert cipher[0] == "TLS_AES_256_GCM_SHA384"
        lines = [line.split() for line in log.read_text().splitlines()]
        self._secret = next(
            bytes.fromhex(line[2]) for line in lines if line[0] == "CLIENT_TRAFFIC_SECRET_0"
        )

    def requests(self, count: int) -> bytes:
        """Records which each change the keys, and ask for a change at the other end."""
        return b"".join(self._request() for _ in range(count))

    def _request(self) -> bytes:
        # A handshake record of the type key_update, with update_requested, then the new keys.
        plain = bytes([24, 0, 0, 1, 1, 22])
        head = bytes([23, 3, 3, 0, len(plain) + 16])
        key, nonce = self._expand("key", 32), self._expand("iv", 12)
        self._secret = self._expand("traffic upd", 48)
        return head + AESGCM(key).encrypt(nonce, plain, head)

    def _expand(self, label: str, length: int) -> bytes:
        name = b"tls13 " + label.encode()
        info = bytes([0, length, len(name)]) + name + b"\0"
        return HKDFExpand(SHA384(), length, info).derive(self._secret)


@contextmanager
def served_by(certificates: Certificates, flags: int) -> Iterator[TLS]:
    """A listening object that uses the engine which ``flags`` stand for."""
    with TLS() as server:
        assert server.setKeyCert(*certificates.good)
        assert server.addCA(certificates.ca)
        if flags:
            # Lets every client in, as without; but it takes pyOpenSSL to ask for a certificate.
            assert server.setClientAuth(True)
            assert server.setCheckConfig(flags)
        assert server.listen(0, HOST), server.last_error
        yield server


@ENGINES
class TestRequestsForNewKeys:
    def test_answers_that_are_never_read(
        self, certificates: Certificates, tmp_path: Path, flags: int
    ) -> None:  # IPC-S11
        with served_by(certificates, flags) as server, socket.socket() as sock:
            # The system has little room for answers.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with socket.socket(fileno=socket.dup(server.getFD())) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            sock.connect((HOST, port_of(server)))
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                reading = Aside(accepted.read, 1, LONG)
                client = KeyUpdates(sock, certificates, tmp_path)
                flooding = Aside(_flood, sock, client)
                assert reading.result() == b""
                assert accepted.error()
                assert "answers" in str(accepted.last_error)
                assert not accepted.write(b"x", 0)
            flooding.result()

    def test_answers_that_are_read(
        self, certificates: Certificates, tmp_path: Path, flags: int
    ) -> None:
        with (
            served_by(certificates, flags) as server,
            socket.create_connection((HOST, port_of(server))) as sock,
        ):
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                reading = Aside(accepted.read, 1, LONG)
                client = KeyUpdates(sock, certificates, tmp_path)
                for _ in range(20):
                    sock.sendall(client.requests(200))
                    begin = time.monotonic()
                    assert accepted.write(b"x", LONG)
                    assert time.monotonic() - begin < HELD_UP
                    # The answer to the first one may come with what is written next.
                    received = 0
                    while received < 199 * ANSWER:
                        received += len(sock.recv(65536))
                assert reading.thread.is_alive(), accepted.last_error
                accepted.close()
                assert reading.result() == b""


def _flood(sock: socket.socket, client: KeyUpdates) -> None:
    try:
        for _ in range(200):
            sock.sendall(client.requests(500))
    except OSError:
        pass  # the server has seen enough


@WITH_OPENSSL
class TestRenegotiation:
    """Asking for it ends the connection: refusing alone would answer each request."""

    def test_a_client_asks(self, certificates: Certificates) -> None:  # IPC-S11
        with served_by(certificates, TLS.IGNORE_NONE) as server:
            self._check(server, [])

    def test_a_client_asks_pyopenssl(self, certificates: Certificates) -> None:
        key, cert = certificates.client
        with served_by(certificates, TLS.IGNORE_EXPIRED) as server:
            self._check(server, ["-key", str(key), "-cert", str(cert)])

    def _check(self, server: TLS, shown: list[str]) -> None:
        with openssl("s_client", "-connect", server.local_addr(), "-tls1_2", *shown) as program:
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                say(program, b"before\n")
                assert accepted.read(7, LONG) == b"before\n", accepted.last_error
                say(program, b"R\n")
                assert accepted.read(1, LONG) == b""
                assert accepted.error()
                assert "renegotiate" in str(accepted.last_error)
                assert not accepted.write(b"x", LONG)

    @ENGINES
    def test_a_server_asks(self, certificates: Certificates, flags: int) -> None:  # IPC-S11
        key, cert = certificates.good
        port = free_port()
        with (
            openssl(
                "s_server",
                *("-accept", f"{HOST}:{port}", "-key", str(key), "-cert", str(cert), "-tls1_2"),
            ) as program,
            TLS() as client,
        ):
            assert client.addCA(certificates.ca)
            assert client.setCheckConfig(flags)
            assert connected(client, port), client.last_error
            assert client.write(b"hello\n", LONG)
            say(program, b"r\n")
            assert client.read(1, LONG) == b""
            assert client.error()
            assert "renegotiate" in str(client.last_error)
