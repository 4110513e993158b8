"""``TLS``: the original's transport over TLS 1.2 and 1.3."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from operator import index
from typing import ClassVar, Final

from ..addresses import PortError, address_text, check_text, split_address
from ..deadline import FOREVER, Deadline
from ..lifetime import Lifetime
from ..socket_ipc import HostIPC
from ..sockets import Listener
from ..tcp_sockets import dial
from .config import (
    Config,
    check_authorities,
    check_key_cert,
    require_pyopenssl,
    single_checks,
)
from .engine import EngineMaker
from .engines import engines
from .errors import Check, Code, code_of
from .stream import TLSStream

__all__ = ["TLS"]

_HANDSHAKE_MSEC: Final = 10_000
_ALL_FLAGS: Final = 31


class TLS(HostIPC):
    """``IPC`` over TLS 1.2 or 1.3. See ``IPC`` for reading, writing, flags and threads.

    What is set with ``setKeyCert``, ``addCA`` and the like counts for the next ``connect`` or
    ``listen``, and stays over ``close``. Without an authority (``addCA``, ``addDefaultCA``) no peer
    is believed. Rules: ``spec/ipc.md``, section 9.
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
        #: Milliseconds after ``accept``, or after TCP has connected where ``connect`` has no time
        #: limit of its own, in which the handshake has to be complete.
        self.handshake_timeout_msec: float = _HANDSHAKE_MSEC
        self._config = Config()
        self._engines: EngineMaker | None = None
        self._judged: tuple[BaseException | None, Code] = (None, Code.OK)

    # --- what is shown and what is believed

    def setKeyCert(
        self, key_file: str | os.PathLike[str], cert_file: str | os.PathLike[str]
    ) -> bool:
        """Sets the own private key, and the certificate that is shown to peers.

        Args:
            key_file: the key, in PEM, not encrypted.
            cert_file: the certificate, in PEM, followed by those that lead to an authority.

        Returns:
            False when a file cannot be used (``last_error`` names it); the former ones stay then.
        """
        key, cert = os.fspath(key_file), os.fspath(cert_file)
        check_text("key_file", key)
        check_text("cert_file", cert)
        try:
            check_key_cert(key, cert)
        except OSError as cause:
            return self._refuse(cause)
        self._config = replace(self._config, key_file=key, cert_file=cert)
        return True

    def addCA(
        self,
        file: str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> bool:
        """Adds authorities whose certificates are believed.

        Args:
            file: certificates in PEM.
            directory: files named by the hash of their subject, as ``openssl rehash`` makes them.

        Returns:
            False when one cannot be used (``last_error`` names it); nothing has changed then.
        """
        file = os.fspath(file) if file is not None else None
        directory = os.fspath(directory) if directory is not None else None
        if file is None and directory is None:
            raise TypeError("addCA needs a file, a directory or both")
        for name, path in (("file", file), ("directory", directory)):
            if path is not None:
                check_text(name, path)
        try:
            check_authorities(file, directory)
        except OSError as cause:
            return self._refuse(cause)
        authorities = (*self._config.authorities, (file, directory))
        self._config = replace(self._config, authorities=authorities)
        return True

    def setCA(
        self,
        file: str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> bool:
        """The same as ``addCA``, as in the original."""
        return self.addCA(file, directory)

    def addDefaultCA(self) -> bool:
        """Adds the authorities that the system believes. Always True."""
        self._config = replace(self._config, default_authorities=True)
        return True

    def setClientAuth(self, enable: bool) -> bool:
        """Whether a server demands a certificate of each client. Always True."""
        self._config = replace(self._config, client_auth=bool(enable))
        return True

    def setCheckConfig(self, flags: int) -> bool:
        """Lifts checks of the peer's certificate.

        Args:
            flags: ``IGNORE_NONE``, ``IGNORE_ALL``, or any of the others joined with ``|``. Each
                lifts its own check and no other.

        Returns:
            False when that takes pyOpenSSL (the extra ``tls``) and it is not installed.

        Raises:
            ValueError: there is no such flag.
        """
        if not 0 <= index(flags) <= _ALL_FLAGS:
            raise ValueError(f"flags is {flags}, but must be IGNORE_ flags joined, 0..{_ALL_FLAGS}")
        ignored = Check(flags)
        try:
            if single_checks(ignored):
                require_pyopenssl(ignored)
        except OSError as cause:
            return self._refuse(cause)
        self._config = replace(self._config, ignored=ignored)
        return True

    def TLSError(self) -> tuple[int, str]:
        """Code and text of ``last_error``: ``(TLS.OK, "")`` when nothing has failed."""
        cause = self.last_error
        judged, code = self._judged
        if cause is None or cause is not judged:
            code = code_of(cause)
        return code, "" if cause is None else str(cause)

    def hasAuthEx(self) -> bool:
        """Whether keys inside a terminal can be used: never, outside one."""
        return False

    def _refuse(self, cause: Exception) -> bool:
        self._judged = cause, Code.ERR_FAIL
        return super()._refuse(cause)

    @contextmanager
    def _judging(self, code: Code) -> Iterator[None]:
        """Has a failure inside count as ``code``, unless it is a special one."""
        try:
            yield
        except (OSError, ValueError) as cause:
            self._judged = cause, _judged_as(cause, code)
            raise

    # --- connections

    def connect(self, hostname: str, port: int, timeout_msec: float = -1) -> bool:
        """Connects and makes the handshake; the object's previous connection is closed first.

        With TLS 1.3, a server may refuse this side's certificate only afterwards: the next reading
        or writing call reports it.

        Args:
            hostname: as for ``TCP``. The server's certificate must be for this name or address.
            port: as for ``TCP``.
            timeout_msec: for resolving, connecting and the handshake together; negative leaves
                connecting to the operating system, and the handshake to
                ``handshake_timeout_msec``.

        Returns:
            Whether the connection was established; otherwise ``TLSError()`` and ``last_error`` tell
            why.
        """
        return super().connect(hostname, port, timeout_msec)

    def _reach(self, hostname: str, port: int, deadline: Deadline, lifetime: Lifetime) -> TLSStream:
        with self._judging(Code.ERR_HOST):
            host, number = split_address(hostname, port)
        with self._judging(Code.ERR_FAIL):
            maker = engines(self._config, server=False)
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

    def _listen_by(self, bind: Callable[[Lifetime], Listener]) -> bool:
        def judged(lifetime: Lifetime) -> Listener:
            with self._judging(Code.ERR_FAIL):
                self._engines = engines(self._config, server=True)
            with self._judging(Code.ERR_SOCKET):
                return bind(lifetime)

        return super()._listen_by(judged)

    def accept(self, timeout_msec: float = -1) -> TLS | None:
        """The next connection of a listening object, as soon as TCP has connected.

        The first call that reads, writes or polls makes the handshake, within its own time-out and
        within ``handshake_timeout_msec`` from now (IPC-S6). If the handshake fails, that breaks the
        new object alone (IPC-S7). See ``IPC.accept``.
        """
        maker = self._engines

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
            OSError: it has failed, or the time was up, or the object was closed.
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

        The descriptor of a connection would tell of bytes that are no data, and be silent about
        data that is decrypted already: ``poll_in`` and ``set_callback`` tell right (IPC-S8).
        """
        listener = self._listener
        return listener.fileno() if listener is not None else -1

    def setFD(self, socket_fd: int | socket.socket) -> bool:
        """Refused: a socket does not tell which part of the handshake this side would play."""
        text = "a TLS object couples with no socket: use connect, or listen and accept"
        return self._refuse(OSError(errno.EOPNOTSUPP, text))


def _judged_as(cause: OSError | ValueError, code: Code) -> Code:
    """The code of a failure to connect or listen, of which ``code`` is the usual one."""
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
    """Over a connected socket, which is closed where that fails."""
    try:
        remote = address_text(sock.getpeername() if address is None else address)
        return TLSStream(sock, maker(server), lifetime, remote=remote, handshake=handshake)
    except BaseException:
        sock.close()
        raise
