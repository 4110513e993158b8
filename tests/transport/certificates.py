"""Certificates for the tests of TLS: good ones, and one for each fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path

import trustme
from trustme import KeyType

from vfiipc import TLS

from .suite.base import LONG, PREFIX, Aside

__all__ = ["HOST", "Certificates", "KeyCert", "served", "tls_pair"]

HOST = "127.0.0.1"
KeyCert = tuple[Path, Path]


class Certificates:
    """Made when they are first asked for, in a folder.

    Args:
        folder: where the files go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = trustme.CA(key_type=KeyType.ECDSA)
        self.stranger = trustme.CA(key_type=KeyType.ECDSA)

    @cached_property
    def ca(self) -> Path:
        """The authority that is believed."""
        path = self._folder / "ca.pem"
        self.authority.cert_pem.write_to_path(path)
        return path

    @cached_property
    def good(self) -> KeyCert:
        return self._issue("good", HOST, "localhost", "::1")

    @cached_property
    def client(self) -> KeyCert:
        return self._issue("client", "client.example")

    @cached_property
    def other_host(self) -> KeyCert:
        return self._issue("other-host", "other.example", "192.0.2.1")

    @cached_property
    def expired(self) -> KeyCert:
        past = datetime.now(timezone.utc) - timedelta(days=2)
        return self._issue("expired", HOST, not_before=past - timedelta(days=9), not_after=past)

    @cached_property
    def not_yet_valid(self) -> KeyCert:
        future = datetime.now(timezone.utc) + timedelta(days=2)
        return self._issue(
            "not-yet-valid", HOST, not_before=future, not_after=future + timedelta(days=9)
        )

    @cached_property
    def unknown_authority(self) -> KeyCert:
        return self._issue("unknown-authority", HOST, by=self.stranger)

    @cached_property
    def self_signed(self) -> KeyCert:
        return self._write("self-signed", *_self_signed())

    @cached_property
    def common_name_only(self) -> KeyCert:
        """The host stands where it counts no more."""
        return self._issue("common-name-only", "other.example", common_name="localhost")

    def _issue(
        self,
        name: str,
        *identities: str,
        by: trustme.CA | None = None,
        common_name: str | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> KeyCert:
        issue = (by or self.authority).issue_cert
        leaf = issue(
            *identities,
            common_name=common_name,
            key_type=KeyType.ECDSA,
            not_before=not_before,
            not_after=not_after,
        )
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return self._write(name, leaf.private_key_pem.bytes(), chain)

    def _write(self, name: str, key: bytes, certificate: bytes) -> KeyCert:
        paths = self._folder / f"{name}.key", self._folder / f"{name}.pem"
        paths[0].write_bytes(key)
        paths[1].write_bytes(certificate)
        return paths


def _self_signed() -> tuple[bytes, bytes]:
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "self-signed")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=9))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), False
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def tls_pair(
    certificates: Certificates, prepare: Callable[[TLS], object] = lambda ipc: None
) -> tuple[TLS, TLS]:
    """Two connected objects, both prepared by ``prepare``; the second was accepted."""
    with TLS() as server:
        client = TLS()
        assert server.setKeyCert(*certificates.good), server.last_error
        for ipc in (server, client):
            assert ipc.addCA(certificates.ca), ipc.last_error
            prepare(ipc)
        assert server.listen(0, HOST), server.last_error
        connecting = Aside(client.connect, server.local_addr(), 0, LONG)
        accepted = server.accept(LONG)
        assert accepted is not None
        while connecting.thread.is_alive():
            assert not accepted.poll_in(5), accepted.last_error
        assert connecting.result(), client.last_error
        return client, accepted


@contextmanager
def served(key_cert: KeyCert, *, authority: Path | None = None) -> Iterator[TLS]:
    """A server that sends a message to each client; with an authority, it asks for certificates."""
    with TLS() as server:
        assert server.setKeyCert(*key_cert), server.last_error
        if authority is not None:
            assert server.addCA(authority)
            assert server.setClientAuth(True)
        assert server.listen(0, HOST), server.last_error

        def serve() -> None:
            while (accepted := server.accept()) is not None:
                with accepted:
                    if accepted.write_msg(PREFIX, 1, b"welcome", LONG):
                        accepted.read(1, LONG)

        serving = Aside(serve)
        yield server
        server.close()
        serving.result()
