"""The engine of pyOpenSSL, which can decide about each fault of a certificate."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from OpenSSL import SSL, crypto

from ..addresses import is_literal
from .config import Config
from .engine import RECORD, Engine, EngineMaker, Receive
from .errors import Check, cut_off, failed, interrupted

if TYPE_CHECKING:
    import ssl


from ...codec import Buffer

__all__ = ["engine_maker", "matches_pattern"]

# OpenSSL's numbers of faults (X509_V_ERR_...), and the flag that ignores each (IPC-S2).
_FLAGS: Final = {
    9: Check.IGNORE_NOT_YET_VALID,
    10: Check.IGNORE_EXPIRED,
    18: Check.IGNORE_SELF_SIGNED,
}
_TEXTS: Final = {
    9: "certificate is not yet valid",
    10: "certificate has expired",
    18: "self-signed certificate",
    19: "self-signed certificate in certificate chain",
    20: "unable to get local issuer certificate",
    21: "unable to verify the first certificate",
}
_CHUNK: Final = 65536


@dataclass
class _Verdict:
    """The checks of one session, and why one failed."""

    host: str | None
    ignored: Check
    refusal: str | None = None


def engine_maker(config: Config, server: bool) -> EngineMaker:
    """A maker of sessions; ``OSError`` if a file cannot be used. Key and certificate can."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD if server else SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if server else 0)
    context.set_verify(mode, _judge)
    try:
        if config.key_cert is not None:
            key_file, cert_file = config.key_cert
            context.use_certificate_chain_file(cert_file)
            context.use_privatekey_file(key_file)
        for file, directory in config.authorities:
            if file is not None or directory is not None:
                context.load_verify_locations(file, directory)
    except SSL.Error as cause:
        raise _translated(cause) from None
    if config.default_authorities:
        context.set_default_verify_paths()
    return lambda host: _OpenSSLEngine(context, host, config.ignored)


def _judge(
    connection: SSL.Connection, certificate: crypto.X509, fault: int, depth: int, good: int
) -> bool:
    """OpenSSL asks it about each certificate of the chain, and each fault."""
    verdict = connection.get_app_data()
    assert isinstance(verdict, _Verdict)
    if verdict.ignored & Check.IGNORE_ALL:
        return True
    if not good and not verdict.ignored & _FLAGS.get(fault, Check.IGNORE_NONE):
        verdict.refusal = _TEXTS.get(fault, f"fault {fault} of a certificate")
        return False
    host = verdict.host
    if depth or host is None or verdict.ignored & Check.IGNORE_HOSTNAME:
        return True
    if not matches(certificate.to_cryptography(), host):
        verdict.refusal = f"the certificate is not that of {host!r}"
    return verdict.refusal is None


class _OpenSSLEngine(Engine):
    """See ``Engine``.

    The methods of pyOpenSSL are written in Python, so an exception may strike inside them after
    the work was done. Reading has two steps that can be repeated. Moving ciphertext has not: an
    exception there ends the session.
    """

    def __init__(self, context: SSL.Context, host: str | None, ignored: Check) -> None:
        self._verdict = _Verdict(host, ignored)
        self._session = SSL.Connection(context, None)
        self._session.set_app_data(self._verdict)
        self._received: list[bytes] = []  # ciphertext that the session does not have yet
        self._seen: list[bytes] = []  # plaintext that the session may still have
        self._certain = True  # False while ciphertext moves (IPC-S12)
        if host is None:
            self._session.set_accept_state()
            return
        self._session.set_connect_state()
        if not is_literal(host):
            self._session.set_tlsext_host_name(host.encode("idna"))

    @property
    def is_tls12(self) -> bool:
        return self._session.get_protocol_version() == SSL.TLS1_2_VERSION

    def handshake(self) -> bool:
        self._check()
        try:
            self._session.do_handshake()
        except SSL.WantReadError:
            return False
        except (SSL.SysCallError, SSL.ZeroReturnError):
            raise failed("UNEXPECTED_EOF", "the peer has closed during the handshake") from None
        except SSL.Error as cause:
            if self._verdict.refusal is not None:
                text = f"certificate verify failed: {self._verdict.refusal}"
                raise failed("CERTIFICATE_VERIFY_FAILED", text) from None
            raise _translated(cause) from None
        return True

    def fill(self, receive: Receive, limit: int, flags: int) -> int:
        self._check()
        received = self._received
        if not received:
            received.extend(map(receive, (limit,), (flags,)))
        data = received[0]
        count = len(data)
        if not count:
            self._session.bio_shutdown()
            received.clear()
            return 0
        self._certain = False
        self._session.bio_write(data)
        del received[0]
        self._certain = True
        return count

    def drain(self, out: bytearray) -> None:
        self._check()
        self._certain = False
        try:
            while True:
                out += self._session.bio_read(_CHUNK)
        except SSL.Error:
            self._certain = True  # it says so when there is no more

    def read(self, out: list[bytes]) -> bool:
        self._check()
        session, seen = self._session, self._seen
        try:
            if not seen:
                seen.append(session.recv(RECORD, socket.MSG_PEEK))
            if session.pending():
                session.recv(RECORD)
        except SSL.WantReadError:
            return False
        except SSL.ZeroReturnError:
            out.append(b"")
            return True
        except SSL.SysCallError:
            raise cut_off() from None
        except SSL.Error as cause:
            if "unexpected eof" in str(cause):
                raise cut_off() from None
            raise _translated(cause) from None
        any(map(out.append, map(seen.pop, (0,))))
        return True

    def write(self, data: Buffer) -> int:
        self._check()
        try:
            return self._session.send(memoryview(data))
        except SSL.Error as cause:
            raise _translated(cause) from None

    def close_notify(self) -> None:
        try:
            self._session.shutdown()
        except SSL.Error:
            pass  # the session is broken

    def _check(self) -> None:
        if not self._certain:
            raise interrupted()


def _translated(cause: SSL.Error) -> ssl.SSLError:
    """As the standard library would have it, with OpenSSL's name of the reason."""
    faults = cause.args[0] if cause.args and isinstance(cause.args[0], list) else []
    text = faults[-1][2] if faults else "TLS has failed"
    return failed(text.upper().replace(" ", "_"), text)


def matches(certificate: x509.Certificate, host: str) -> bool:
    """Whether the certificate's alternative names include the host (RFC 9525, IPC-S1).

    The common name does not count; a name never matches an address, or the reverse.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    names = extension.value
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        wanted = host.encode("idna").decode()
        patterns = names.get_values_for_type(x509.DNSName)
        return any(matches_pattern(pattern, wanted) for pattern in patterns)
    return address in names.get_values_for_type(x509.IPAddress)


def matches_pattern(pattern: str, host: str) -> bool:
    """Whether a name of a certificate means this host.

    Args:
        pattern: a name; its first label may be ``*``, which stands for one label.
        host: in ASCII.
    """
    pattern, host = pattern.lower().rstrip("."), host.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == host and bool(host)
    label, dot, rest = host.partition(".")
    return bool(label and dot) and "." in rest and rest == pattern[2:]
