"""Listening sockets: new TCP ones, existing ones, and the backlog."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import sys
from operator import index
from pathlib import Path
from typing import Final

from .addresses import address_text
from .deadline import FOREVER
from .dial import resolve
from .lifetime import Lifetime

__all__ = ["check_backlog", "check_listener", "inherited", "listening_at", "listening_socket"]

# The system takes what it can of this.
_HIGHEST_BACKLOG: Final = 65535


def check_backlog(backlog: int) -> int:
    """The backlog, capped at what systems accept; ``TypeError`` or ``ValueError`` if invalid."""
    number = index(backlog)
    if number < 0:
        raise ValueError(f"backlog is {backlog}, but must be 0 or more")
    return min(number, _HIGHEST_BACKLOG)


def listening_socket(
    port: int, address: str | None, backlog: int, lifetime: Lifetime | None = None
) -> socket.socket:
    """A listening TCP socket.

    Args:
        port: 0..65535; 0 lets the system choose.
        address: the interface's address; None for all interfaces, IPv4 and IPv6.
        backlog: connections that may wait, as returned by ``check_backlog``.
        lifetime: of the attempt; its end interrupts the resolving of a name. None if it has none.

    Raises:
        OSError: it cannot listen there.
        InterruptedError: the lifetime has ended.
    """
    if address is None:
        if socket.has_ipv6:
            try:
                return _bind(socket.AF_INET6, ("::", port), backlog, dual=True)
            except OSError as cause:
                if cause.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
        return _bind(socket.AF_INET, ("", port), backlog)
    family, _, _, _, bound = resolve(address, port, lifetime or Lifetime(), FOREVER)[0]
    return _bind(family, bound, backlog)


def _bind(
    family: int, address: tuple[object, ...], backlog: int, *, dual: bool = False
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # On Windows this option would let other programs take over the port.
        if sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.bind(address)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def inherited(descriptor: int, backlog: int, *, tls: bool) -> tuple[socket.socket, str]:
    """The socket that the process got with this number, by socket activation (CON-A6).

    Args:
        descriptor: the descriptor, which this owns from now on.
        backlog: connections that may wait, if it is not listening yet.
        tls: whether it is for TLS.

    Returns:
        The socket, which listens, and its address as ``listening_at`` gives it.

    Raises:
        OSError: a server cannot listen on it; it is unchanged, and stays the caller's.
    """
    sock = socket.socket(fileno=descriptor)
    try:
        check_listener(sock, tls=tls)
        address = listening_at(sock, backlog, tls=tls)
        sock.set_inheritable(False)
    except BaseException as cause:
        sock.detach()
        if isinstance(cause, ValueError):
            raise OSError(errno.EINVAL, str(cause)) from None
        raise
    return sock, address


def check_listener(sock: object, *, tls: bool) -> socket.socket:
    """The socket, if a server can listen on it: a bound TCP or Unix stream socket.

    Args:
        sock: what the caller gave.
        tls: whether it is for TLS, which requires TCP.

    Raises:
        TypeError: it is not a socket, or one of TLS.
        ValueError: it is another kind of socket, or connected, or closed.
    """
    if not isinstance(sock, socket.socket) or isinstance(sock, ssl.SSLSocket):
        raise TypeError(f"sock must be a plain socket.socket, not {type(sock).__name__}")
    if sock.fileno() < 0:
        raise ValueError("sock is closed, but must be bound or listening")
    unix = getattr(socket, "AF_UNIX", None)
    if sock.type != socket.SOCK_STREAM or sock.family not in {
        socket.AF_INET,
        socket.AF_INET6,
        unix,
    }:
        raise ValueError(f"sock must be a stream socket of TCP or Unix, not {sock!r}")
    if tls and sock.family == unix:
        raise ValueError("sock is a Unix socket, but TLS needs one of TCP")
    try:
        sock.getpeername()
    except OSError:
        return sock
    raise ValueError("sock is connected, but must be bound or listening")


def listening_at(sock: socket.socket, backlog: int, *, tls: bool) -> str:
    """Listens, unless the socket already does; returns the address for ``exchange.parse``.

    Raises:
        OSError: it cannot listen.
    """
    option = getattr(socket, "SO_ACCEPTCONN", None)
    if option is None or not sock.getsockopt(socket.SOL_SOCKET, option):
        sock.listen(backlog)
    name = sock.getsockname()
    if isinstance(name, tuple):
        return f"{'tls' if tls else 'tcp'}://{address_text(name)}"
    path = os.fsdecode(name)
    return f"pipe://@{path[1:]}" if path[:1] == "\0" else f"pipe://{Path(path).absolute()}"
