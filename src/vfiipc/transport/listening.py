"""Sockets that listen for TCP connections, and how many may wait at any listening socket."""

from __future__ import annotations

import errno
import socket
import sys
from operator import index
from typing import Final

from .deadline import FOREVER
from .dial import resolve
from .lifetime import Lifetime

__all__ = ["check_backlog", "listening_socket"]

# The system takes what it can of this.
_HIGHEST_BACKLOG: Final = 65535


def check_backlog(backlog: int) -> int:
    """As many as the system may be asked for; ``TypeError`` or ``ValueError`` where it is none."""
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
        address: the adapter's address; None for all adapters, IPv4 and IPv6.
        backlog: connections that may wait, as ``check_backlog`` gives it.
        lifetime: of the attempt; its end ends the resolving of a name. None if it has none.

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
        # On Windows this option would let others take the port over.
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
