"""TLS against OpenSSL's own programs."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vfiipc import TLS
from vfiipc.codec import encode

from .certificates import HOST, Certificates
from .suite.base import LIMIT, LONG, PREFIX

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")

VERSIONS = ["-tls1_2", "-tls1_3"]


@contextmanager
def openssl(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(["openssl", *arguments], stdin=pipe, stdout=pipe, stderr=pipe) as program:
        try:
            yield program
        finally:
            program.kill()


@pytest.fixture
def server(certificates: Certificates) -> Iterator[TLS]:
    with TLS() as listening:
        assert listening.setKeyCert(*certificates.good)
        assert listening.addCA(certificates.ca)
        assert listening.listen(0, HOST)
        yield listening


def free_port() -> int:
    with socket.create_server((HOST, 0)) as held:
        return int(held.getsockname()[1])


def say(program: subprocess.Popen[bytes], data: bytes) -> None:
    assert program.stdin is not None
    program.stdin.write(data)
    program.stdin.flush()


def connected(client: TLS, port: int) -> bool:
    """Tries until the program listens."""
    for _ in range(500):
        if client.connect(HOST, port, LONG) or client.TLSError()[0] != TLS.ERR_CONNECT:
            break
        time.sleep(0.02)
    return client.last_error is None


class TestSClient:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("client_auth", [False, True])
    def test_talks(
        self, certificates: Certificates, server: TLS, version: str, client_auth: bool
    ) -> None:
        if client_auth:
            assert server.setClientAuth(True)
            assert server.listen(0, HOST)
        key, cert = certificates.client
        shown = ["-key", str(key), "-cert", str(cert)] if client_auth else []
        trusted = ["-CAfile", str(certificates.ca), "-verify_return_error", "-verify_ip", HOST]
        with openssl(
            "s_client", "-connect", server.local_addr(), "-quiet", version, *trusted, *shown
        ) as program:
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                message = encode(PREFIX, 7, b"from openssl\n")
                say(program, message)
                assert accepted.read_msg(PREFIX, LIMIT, LONG) == (7, b"from openssl\n")
                assert accepted.write(message, LONG)
                assert program.stdout is not None
                assert program.stdout.read(len(message)) == message

    @pytest.mark.parametrize("version", VERSIONS)
    def test_a_client_without_a_certificate(self, server: TLS, version: str) -> None:
        assert server.setClientAuth(True)
        assert server.listen(0, HOST)
        with openssl("s_client", "-connect", server.local_addr(), "-quiet", version):
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                assert accepted.read_msg(PREFIX, LIMIT, LONG) is None
                assert accepted.error()
                assert accepted.TLSError()[0] == TLS.ERR_AUTHENTICATION

    def test_older_versions_are_refused(self, server: TLS) -> None:
        old = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]
        with openssl("s_client", "-connect", server.local_addr(), "-quiet", *old):
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                assert accepted.poll_in(LONG)
                assert accepted.error()

    @pytest.mark.parametrize("command", ["K", "k"])
    def test_a_change_of_keys(self, server: TLS, command: str) -> None:
        """With ``K`` the client asks for one of ours, too."""
        with openssl("s_client", "-connect", server.local_addr(), "-tls1_3") as program:
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                say(program, b"before\n")
                assert accepted.read(7, LONG) == b"before\n"
                say(program, command.encode() + b"\n")
                assert accepted.poll_in(200) is False
                say(program, b"behind\n")
                assert accepted.read(7, LONG) == b"behind\n"
                assert accepted.write(b"answer" * 4000, LONG)
                say(program, b"end\n")
                assert accepted.read(4, LONG) == b"end\n"
                assert not accepted.error()

    def test_no_renegotiation(self, server: TLS) -> None:
        with openssl("s_client", "-connect", server.local_addr(), "-tls1_2") as program:
            accepted = server.accept(LONG)
            assert accepted is not None
            with accepted:
                say(program, b"before\n")
                assert accepted.read(7, LONG) == b"before\n"
                say(program, b"R\n")
                # The client gives up when it is refused.
                assert accepted.read(1, LONG) == b""
                assert accepted.eof() or accepted.error()


class TestSServer:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_talks(self, certificates: Certificates, version: str) -> None:
        key, cert = certificates.good
        port = free_port()
        with openssl(
            "s_server",
            *("-accept", f"{HOST}:{port}", "-key", str(key), "-cert", str(cert)),
            *("-quiet", version, "-rev"),
        ):
            for flags in (TLS.IGNORE_NONE, TLS.IGNORE_NOT_YET_VALID):
                with TLS() as client:
                    assert client.addCA(certificates.ca)
                    assert client.setCheckConfig(flags)
                    assert connected(client, port), client.last_error
                    assert client.write(b"hello\n", LONG)
                    assert client.read(6, LONG) == b"olleh\n"

    @pytest.mark.parametrize("version", VERSIONS)
    def test_client_certificates(self, certificates: Certificates, version: str) -> None:
        key, cert = certificates.good
        port = free_port()
        with (
            openssl(
                "s_server",
                *("-accept", f"{HOST}:{port}", "-key", str(key), "-cert", str(cert)),
                *("-quiet", version, "-rev", "-Verify", "1", "-verify_return_error"),
                *("-CAfile", str(certificates.ca)),
            ),
            TLS() as client,
        ):
            assert client.addCA(certificates.ca)
            connected(client, port)
            if client.last_error is None:
                assert client.read(1, LONG) == b""
            assert client.TLSError()[0] == TLS.ERR_AUTHENTICATION, client.last_error
            assert client.setKeyCert(*certificates.client)
            assert connected(client, port), client.last_error
            assert client.write(b"hello\n", LONG)
            assert client.read(6, LONG) == b"olleh\n"
