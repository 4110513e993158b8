"""Byte streams and listeners over sockets of the operating system."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final

from ..codec import Buffer
from . import system
from .addresses import address_text
from .byte_stream import ByteStream, Listening
from .lifetime import Lifetime

__all__ = ["SocketListener", "SocketStream", "is_tls_socket"]

#: Errors of accept(2) that concern the connection to be accepted, not the listener (CON-S8).
PEER_GONE: Final = {
    getattr(errno, name)
    for name in [
        "ECONNABORTED",
        "EPROTO",
        "ENETDOWN",
        "ENOPROTOOPT",
        "EHOSTDOWN",
        "ENONET",
        "EHOSTUNREACH",
        "EOPNOTSUPP",
        "ENETUNREACH",
        "EPERM",
    ]
    if hasattr(errno, name)
}


class SocketStream(ByteStream):
    """A connected stream socket, which it owns.

    Args:
        sock: the socket.
        lifetime: of the connection.
        own: whether nothing else can share the descriptor.
        remote: the peer's address, as shown to users.
    """

    descriptor_tells = True

    def __init__(
        self, sock: socket.socket, lifetime: Lifetime, *, own: bool = True, remote: str = ""
    ) -> None:
        super().__init__(lifetime)
        self.socket = sock
        system.adopt(sock, own=own)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.local = address_text(sock.getsockname())
        self.remote = remote
        self._fileno = sock.fileno()
        self._receive_flags, self._send_flags = system.flags()

    def fileno(self) -> int:
        return self._fileno

    def receiving(self, limits: Iterable[int]) -> Iterator[bytes | None]:
        return map(self.socket.recv, limits, repeat(self._receive_flags))

    def peek(self, limit: int) -> bytes | None:
        try:
            return self.socket.recv(limit, self._receive_flags | socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return None

    def send(self, buffers: Sequence[Buffer]) -> int:
        try:
            if len(buffers) != 1:
                return system.send_many(self.socket, buffers)
            return self.socket.send(buffers[0], self._send_flags)
        except (BlockingIOError, InterruptedError):
            return 0

    def wait(self, event: int, timeout: float | None) -> None:
        self.lifetime.wait([(self._fileno, event)], timeout)

    def waiting(self, event: int) -> Callable[[float | None], object]:
        try:
            return self.lifetime.watch([(self._fileno, event)]).poll
        except OSError:  # no descriptor is available now (IPC-H8)
            return super().waiting(event)

    def close(self) -> None:
        self.socket.close()  # no shutdown(2): other holders keep the connection (IPC-Z5)


class SocketListener(Listening):
    """A listening socket, which it owns."""

    def __init__(self, sock: socket.socket, lifetime: Lifetime) -> None:
        self.socket = sock
        self.lifetime = lifetime
        sock.setblocking(False)
        self._fileno = sock.fileno()
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            self.local = address_text(sock.getsockname())

    def fileno(self) -> int:
        return self._fileno

    def _accept_now(self) -> tuple[socket.socket, object] | None:
        """A connection, and its peer's address."""
        try:
            return self.socket.accept()
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as cause:
            if cause.errno not in PEER_GONE:
                raise
            return None

    def _wait(self, timeout: float | None) -> object:
        return self.lifetime.wait([(self._fileno, system.READ)], timeout)

    def close(self) -> None:
        self.socket.close()


def is_tls_socket(sock: object) -> bool:
    """Whether it is an ``ssl.SSLSocket``, whose descriptor carries encrypted bytes."""
    # Importing ssl is slow, and without it there can be none. Another thread may be importing it:
    # then it has no such name yet.
    tls_socket: Any = getattr(sys.modules.get("ssl"), "SSLSocket", ())
    return isinstance(sock, tls_socket)
