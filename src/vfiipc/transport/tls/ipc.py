"""``TLS``: the original's transport over TLS 1.2 and 1.3."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final

from ...codec import check_integer
from ..addresses import PortError, address_text, check_text, split_address
from ..byte_stream import Listening
from ..deadline import FOREVER, Deadline
from ..host_ipc import HostIPC
from ..lifetime import Lifetime
from ..system import closed_on_failure
from ..tcp_sockets import dial
from . import ssl_engine
from .config import Config, load_authorities, load_key_cert, require_pyopenssl, single_checks
from .engine import EngineMaker
from .errors import Check, Code, code_of
from .stream import TLSStream

__all__ = ["TLS", "engine_maker"]

_HANDSHAKE_MSEC: Final = 10_000
_ALL_FLAGS: Final = 31


class TLS(HostIPC):
    """``IPC`` over TLS 1.2 or 1.3. See ``IPC`` for reading, writing, flags and threads.

    The settings (``setKeyCert``, ``addCA`` and others) apply to the next ``connect`` or ``listen``,
    and survive ``close``. Without an authority (``addCA``, ``addDefaultCA``), no peer is trusted.

    ``connect`` requires that the server's certificate is for the given name or address, and makes
    the handshake: its time-out covers both, or else ``handshake_timeout_msec`` the handshake. With
    TLS 1.3, a server may refuse this side's certificate only afterwards: the next reading or
    writing call reports it. ``TLSError()`` tells why something failed, like ``last_error``.
    Rules: ``spec/ipc.md``, section 9.
    """

    _logger: ClassVar[str] = "vfiipc.tls"

    OK: Final = Code.OK
    ERR_HOST: Final = Code.ERR_HOST
    ERR_PORT: Final = Code.ERR_PORT
    ERR_SOCKET: Final = Code.ERR_SOCKET
    ERR_UNKNOWN_HOST: Final = Code.ERR_UNKNOWN_HOST
    ERR_CONNECT: Final = Code.ERR_CONNECT
    ERR_TIMEOUT: Final = Code.ERR_TIMEOUT
    ERR_AUTHENTICATION: Final = Code.ERR_AUTHENTICATION
    ERR_FAIL: Final = Code.ERR_FAIL

    IGNORE_NONE: Final = Check.IGNORE_NONE
    IGNORE_ALL: Final = Check.IGNORE_ALL
    IGNORE_SELF_SIGNED: Final = Check.IGNORE_SELF_SIGNED
    IGNORE_EXPIRED: Final = Check.IGNORE_EXPIRED
    IGNORE_NOT_YET_VALID: Final = Check.IGNORE_NOT_YET_VALID
    IGNORE_HOSTNAME: Final = Check.IGNORE_HOSTNAME

    def __init__(self) -> None:
        super().__init__()
        #: Milliseconds for the handshake: after ``accept``, and after TCP has connected if
        #: ``connect`` has no time-out of its own.
        self.handshake_timeout_msec: float = _HANDSHAKE_MSEC
        self._config = Config()
        self._maker: EngineMaker | None = None
        self._judged: tuple[BaseException | None, Code] = (None, Code.OK)

    # --- certificates

    def setKeyCert(
        self, key_file: str | os.PathLike[str], cert_file: str | os.PathLike[str]
    ) -> bool:
        """Sets this side's private key and certificate.

        Args:
            key_file: the key, in PEM, not encrypted.
            cert_file: the certificate, in PEM, followed by those that lead to an authority.

        Returns:
            False if a file cannot be used (``last_error`` names it); nothing has changed then.
        """
        key, cert = os.fspath(key_file), os.fspath(cert_file)
        check_text("key_file", key)
        check_text("cert_file", cert)
        return self._configure(partial(load_key_cert, key, cert), key_cert=(key, cert))

    def addCA(
        self,
        file: str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> bool:
        """Adds trusted authorities.

        Args:
            file: certificates in PEM.
            directory: files named by the hash of their subject, as ``openssl rehash`` makes them.

        Returns:
            False if one cannot be used (``last_error`` names it); nothing has changed then.
        """
        if file is None and directory is None:
            raise TypeError("addCA needs a file, a directory or both")
        file = os.fspath(file) if file is not None else None
        directory = os.fspath(directory) if directory is not None else None
        check_text("file", file or "")
        check_text("directory", directory or "")
        authorities = (*self._config.authorities, (file, directory))
        check = partial(load_authorities, file, directory)
        return self._configure(check, authorities=authorities)

    setCA = addCA  # in the original, both do the same

    def addDefaultCA(self) -> bool:
        """Adds the authorities that the system trusts. Always True."""
        self._config = replace(self._config, default_authorities=True)
        return True

    def setClientAuth(self, enable: bool) -> bool:
        """Sets whether a server requires client certificates: ``enable``. Returns True."""
        self._config = replace(self._config, client_auth=bool(enable))
        return True

    def setCheckConfig(self, flags: int) -> bool:
        """Disables checks of the peer's certificate.

        Args:
            flags: ``IGNORE_NONE``, ``IGNORE_ALL``, or any of the others joined with ``|``. Each
                disables one check.

        Returns:
            False if that requires pyOpenSSL (the extra ``tls``), which is not installed.

        Raises:
            ValueError: there is no such flag.
        """
        name = "flags (IGNORE_ values, joined with |)"
        ignored = Check(check_integer(name, flags, 0, _ALL_FLAGS))

        def check() -> None:
            if single_checks(ignored):
                require_pyopenssl(ignored)

        return self._configure(check, ignored=ignored)

    def _configure(self, check: Callable[[], None], **changes: Any) -> bool:
        """Changes the configuration, unless ``check`` raises an ``OSError``."""
        try:
            check()
        except OSError as cause:
            return self._refuse(cause)
        self._config = replace(self._config, **changes)
        return True

    def TLSError(self) -> tuple[int, str]:
        """Code and text of ``last_error``: ``(TLS.OK, "")`` if nothing has failed."""
        cause = self.last_error
        judged, code = self._judged
        if cause is None or cause is not judged:
            code = code_of(cause)
        return code, "" if cause is None else str(cause)

    def hasAuthEx(self) -> bool:
        """Whether keys inside a terminal can be used: never outside of one."""
        return False

    def _refuse(self, cause: Exception) -> bool:
        self._judged = cause, Code.ERR_FAIL
        return super()._refuse(cause)

    @contextmanager
    def _judging(self, code: Code) -> Iterator[None]:
        """Assigns ``code`` to a failure of the block, unless it is a special one."""
        try:
            yield
        except (OSError, ValueError) as cause:
            self._judged = cause, _judged_as(cause, code)
            raise

    # --- connections

    def _reach(self, hostname: str, port: int, deadline: Deadline, lifetime: Lifetime) -> TLSStream:
        with self._judging(Code.ERR_HOST):
            host, number = split_address(hostname, port)
        with self._judging(Code.ERR_FAIL):
            maker = engine_maker(self._config, server=False)
        with self._judging(Code.ERR_CONNECT):
            sock = dial(host, number, lifetime, deadline)
        if deadline.remaining() is None:
            deadline = Deadline(self.handshake_timeout_msec)
        stream = _stream(sock, maker, host.partition("%")[0].rstrip("."), lifetime, deadline)
        try:
            stream.make_handshake(FOREVER)  # within its own deadline (IPC-S5)
        except BaseException:
            stream.close()
            raise
        return stream

    def _listen_by(self, bind: Callable[[Lifetime], Listening]) -> bool:
        def judged(lifetime: Lifetime) -> Listening:
            with self._judging(Code.ERR_FAIL):
                self._maker = engine_maker(self._config, server=True)
            with self._judging(Code.ERR_SOCKET):
                return bind(lifetime)

        return super()._listen_by(judged)

    def accept(self, timeout_msec: float = -1) -> TLS | None:
        """The next connection of a listening object, as soon as TCP has connected.

        The first call that reads, writes or polls makes the handshake, within its own time-out and
        within ``handshake_timeout_msec`` from now (IPC-S6). If the handshake fails, that breaks the
        new object alone (IPC-S7). See ``IPC.accept``.
        """
        maker = self._maker

        def take(sock: socket.socket, address: object, lifetime: Lifetime) -> TLSStream:
            assert maker is not None  # a listening object has one
            handshake = Deadline(self.handshake_timeout_msec)
            return _stream(sock, maker, None, lifetime, handshake, address)

        peer = self._accept_by(timeout_msec, TLS, take)
        if peer is not None:
            peer._config, peer.handshake_timeout_msec = self._config, self.handshake_timeout_msec
        return peer

    def _make_handshake(self, timeout_msec: float = -1) -> None:
        """Waits until the handshake is complete.

        Raises:
            OSError: it failed or timed out, or the object was closed.
        """
        stream = self._messages.stream
        if not isinstance(stream, TLSStream) or not stream.lifetime.enter(sys._getframe()):
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        try:
            stream.make_handshake(Deadline(timeout_msec))
        finally:
            stream.lifetime.leave(sys._getframe())

    def getFD(self) -> int:
        """The listening descriptor, to wait on; -1 on a connection.

        A connection's descriptor would report bytes that are not data, and miss data that has been
        decrypted: use ``poll_in`` or ``set_callback`` (IPC-S8).
        """
        listener = self._listener
        return listener.fileno() if listener is not None else -1

    def setFD(self, socket_fd: int | socket.socket) -> bool:
        """Always False: ``socket_fd`` does not tell whether this side is client or server."""
        text = "TLS cannot be coupled with a socket: use connect, or listen and accept"
        return self._refuse(OSError(errno.EOPNOTSUPP, text))


def engine_maker(config: Config, *, server: bool) -> EngineMaker:
    """Reads the files of a configuration, and chooses the engine that it needs.

    Raises:
        OSError: a file cannot be used, and the text names it; or a check cannot be disabled.
    """
    if server and config.key_cert is None:
        raise OSError(errno.EINVAL, "a TLS server needs a certificate: call setKeyCert first")
    if not _needs_pyopenssl(config, server):
        return ssl_engine.engine_maker(config, server)
    require_pyopenssl(config.ignored)
    from . import openssl_engine  # an extra, and slow to import

    if config.key_cert is not None:
        load_key_cert(*config.key_cert)
    return openssl_engine.engine_maker(config, server)


def _needs_pyopenssl(config: Config, server: bool) -> bool:
    """Whether the standard library would disable more checks than it should."""
    if server and not config.client_auth:
        return False
    if config.ignored & Check.IGNORE_ALL:
        return server
    return single_checks(config.ignored)


def _judged_as(cause: OSError | ValueError, code: Code) -> Code:
    """The code of a failure to connect or listen, which is usually ``code``."""
    if isinstance(cause, ValueError):
        return Code.ERR_PORT if isinstance(cause, PortError) else Code.ERR_HOST
    special = code_of(cause)
    return code if code is Code.ERR_FAIL or special is Code.ERR_FAIL else special


def _stream(
    sock: socket.socket,
    maker: EngineMaker,
    server: str | None,
    lifetime: Lifetime,
    handshake: Deadline,
    address: object = None,
) -> TLSStream:
    """A stream over a connected socket, which is closed if this fails."""
    with closed_on_failure(sock):
        remote = address_text(address or sock.getpeername())
        return TLSStream(sock, maker(server), lifetime, remote=remote, handshake=handshake)
