"""Records of TLS without data, without end: they hold no call beyond its time, and no memory."""

from __future__ import annotations

import hmac
import itertools
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256, sha384
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from OpenSSL import SSL

from tests.transport.certificates import HOST, Certificates
from tests.transport.suite.base import LIMIT, LONG, PATIENCE, PREFIX, Aside, port_of, until
from vfiipc import TCP, TLS

#: Seconds within which a call returns whose time is a fraction of one.
BOUND = 2.5

ENGINES = pytest.mark.parametrize(
    "flags", [TLS.IGNORE_NONE, TLS.IGNORE_EXPIRED], ids=["ssl", "pyOpenSSL"]
)


class TicketServer:
    """A server that sends session tickets as fast as it can, far quicker than they are taken in.

    OpenSSL takes its time for each, so the records are made here, with the keys that it tells
    (RFC 8446, 4.6.1, 5.2 and 7.1).
    """

    def __init__(self, certificates: Certificates, folder: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.num_tickets = 0
        self._keys = folder / "keys"
        self._context.keylog_filename = str(self._keys)
        key, cert = certificates.good
        self._context.load_cert_chain(cert, key)
        self._listener = socket.create_server((HOST, 0))
        self._stopped = False
        self.port = int(self._listener.getsockname()[1])
        self._serving = Aside(self._serve)

    def _serve(self) -> None:
        sock = self._listener.accept()[0]
        with sock.dup() as raw, self._context.wrap_socket(sock, server_side=True) as tls:
            cipher = tls.cipher()
            assert cipher is not None
            seal = self._sealer(sha256 if cipher[0].endswith("SHA256") else sha384)
            raw.settimeout(PATIENCE)
            try:
                for sequence in itertools.count():
                    raw.sendall(seal(sequence))
                    if self._stopped:
                        return
            except OSError:
                pass  # the client has seen enough

    def _sealer(self, algorithm: Callable[..., object]) -> Callable[[int], bytes]:
        (secret,) = [
            bytes.fromhex(line.split()[2])
            for line in self._keys.read_text(encoding="ascii").splitlines()
            if line.startswith("SERVER_TRAFFIC_SECRET_0")
        ]

        def expanded(label: bytes, size: int) -> bytes:
            label = b"tls13 " + label
            info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0" + b"\1"
            return hmac.digest(secret, info, algorithm)[:size]  # type: ignore[arg-type]

        cipher = AESGCM(expanded(b"key", 16 if len(secret) == 32 else 32))
        salt = int.from_bytes(expanded(b"iv", 12), "big")
        # Lifetime and what is added to the age, no nonce, a ticket of one byte, no extensions.
        ticket = bytes.fromhex("00000e10 00000000 00 0001 74 0000")
        message = b"\x04" + len(ticket).to_bytes(3, "big") + ticket
        plain = message * (16_000 // len(message)) + b"\x16"
        header = b"\x17\x03\x03" + (len(plain) + 16).to_bytes(2, "big")
        return lambda sequence: (
            header + cipher.encrypt((salt ^ sequence).to_bytes(12, "big"), plain, header)
        )

    def close(self) -> None:
        self._stopped = True
        self._listener.close()
        self._serving.result()


@contextmanager
def flood_of_tickets(certificates: Certificates, folder: Path, flags: int) -> Iterator[TLS]:
    """A client of such a server."""
    with TLS() as client:
        assert client.addCA(certificates.ca)
        assert client.setCheckConfig(flags), client.last_error
        server = TicketServer(certificates, folder)
        try:
            assert client.connect(HOST, server.port, LONG), client.last_error
            yield client
        finally:
            Aside(client.close).result()
            server.close()


@ENGINES
def test_tickets_hold_no_reader(certificates: Certificates, tmp_path: Path, flags: int) -> None:
    with flood_of_tickets(certificates, tmp_path, flags) as client:
        for call in (
            lambda: client.read_msg(PREFIX, LIMIT, 300),
            lambda: client.read(1, 300),
            lambda: client.peek(1, 300).data,
            lambda: client.poll_in(300),
        ):
            began = time.monotonic()
            assert not Aside(call).result(), client.last_error
            assert time.monotonic() - began < BOUND
        assert not client.error(), client.last_error


@ENGINES
def test_tickets_hold_no_writer(certificates: Certificates, tmp_path: Path, flags: int) -> None:
    with flood_of_tickets(certificates, tmp_path, flags) as client:
        reading = Aside(client.read_msg, PREFIX, LIMIT, LONG)
        time.sleep(0.1)
        for _ in range(3):
            began = time.monotonic()
            Aside(client.write_msg, PREFIX, 1, b"x", 200).result()
            assert time.monotonic() - began < BOUND
        began = time.monotonic()
        Aside(client.close).result()
        assert time.monotonic() - began < BOUND
        assert reading.result() is None


@ENGINES
def test_tickets_hold_no_callback_of_others(
    certificates: Certificates, tmp_path: Path, flags: int
) -> None:
    near, far = socket.socketpair()
    with flood_of_tickets(certificates, tmp_path, flags) as client, TCP() as other, far:
        assert Aside(client.set_callback, lambda data, ipc: None).result()
        time.sleep(0.1)
        assert other.setFD(near)
        told = threading.Event()
        assert Aside(other.set_callback, lambda data, ipc: told.set()).result()
        began = time.monotonic()
        far.sendall(b"x")
        assert told.wait(PATIENCE)
        assert time.monotonic() - began < BOUND


# --- renegotiation


class Renegotiator:
    """A client of TLS 1.2 that asks for a new handshake again and again, and never reads.

    OpenSSL would wait for an answer to the first request, so the records are made here, with the
    keys that OpenSSL tells (RFC 5246, 6.3 and 8.1; RFC 5288 for AES-GCM).
    """

    def __init__(self, port: int, certificates: Certificates) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256")
        key, cert = certificates.client
        context.use_privatekey_file(str(key))
        context.use_certificate_chain_file(str(cert))
        self._secrets: list[bytes] = []
        context.set_keylog_callback(lambda _, line: self._secrets.append(line))
        self.socket = socket.create_connection((HOST, port))
        self._tls = SSL.Connection(context, self.socket)
        self._tls.set_connect_state()
        self._tls.do_handshake()
        self._cipher, self._salt = self._write_key()
        self._sequence = 1  # the first one was that of Finished

    def _write_key(self) -> tuple[AESGCM, bytes]:
        (master,) = [
            bytes.fromhex(line.split()[2].decode())
            for line in self._secrets
            if line.startswith(b"CLIENT_RANDOM")
        ]
        ours, theirs = self._tls.client_random(), self._tls.server_random()
        assert ours is not None
        assert theirs is not None
        seed = b"key expansion" + theirs + ours
        block, a = b"", seed
        while len(block) < 40:
            a = hmac.digest(master, a, sha256)
            block += hmac.digest(master, a + seed, sha256)
        # No keys for a MAC; then both keys for writing, then both salts.
        return AESGCM(block[:16]), block[32:36]

    def requests(self, count: int) -> bytes:
        """So many records, each with the beginning of a ClientHello."""
        records = []
        hello = b"\x01\x00\x00\x00"
        for _ in range(count):
            sequence = self._sequence.to_bytes(8, "big")
            self._sequence += 1
            bound = sequence + b"\x16\x03\x03" + len(hello).to_bytes(2, "big")
            sealed = sequence + self._cipher.encrypt(self._salt + sequence, hello, bound)
            records.append(b"\x16\x03\x03" + len(sealed).to_bytes(2, "big") + sealed)
        return b"".join(records)


REQUESTS = 200_000


def resident() -> int:
    """Bytes of memory in use."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("client_auth", [False, True], ids=["ssl", "pyOpenSSL"])
def test_a_request_to_renegotiate_ends_the_connection(
    certificates: Certificates, client_auth: bool
) -> None:
    with TLS() as server:
        assert server.setKeyCert(*certificates.good)
        if client_auth:  # which makes the other engine necessary, with IGNORE_ALL
            assert server.setClientAuth(True)
            assert server.setCheckConfig(TLS.IGNORE_ALL), server.last_error
        assert server.listen(0, HOST), server.last_error
        connecting = Aside(Renegotiator, port_of(server), certificates)
        accepted = server.accept(LONG)
        assert accepted is not None
        with accepted:
            while connecting.thread.is_alive():
                assert not accepted.poll_in(5), accepted.last_error
            _ask_again_and_again(accepted, connecting.result())


def _ask_again_and_again(accepted: TLS, peer: Renegotiator) -> None:
    portions = [peer.requests(REQUESTS // 20) for _ in range(2)]
    reading = Aside(accepted.read_msg, PREFIX, LIMIT, LONG)
    before, sent = resident(), 0
    with peer.socket:
        peer.socket.settimeout(PATIENCE)
        try:
            for number in range(20):
                peer.socket.sendall(
                    portions[number] if number < 2 else peer.requests(REQUESTS // 20)
                )
                sent += 1
        except OSError:
            pass  # as it should
        until(lambda: not reading.thread.is_alive() or sent == 20)
        grown = resident() - before
        assert sent < 20, f"all was taken, and the memory grew by {grown:,} bytes"
        assert reading.result() is None
        assert accepted.error()
        assert grown < 16 << 20
