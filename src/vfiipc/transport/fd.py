"""Takes over a socket that was connected elsewhere."""

from __future__ import annotations

import errno
import os
import socket
from operator import index
from typing import Any, Final

from .sockets import is_tls_socket

__all__ = ["couple"]

_HIGHEST_DESCRIPTOR: Final = 2**31 - 1


def couple(source: int | socket.socket, own: int) -> socket.socket:
    """A second socket object for a connected stream socket; one of the two must be detached.

    Args:
        source: a descriptor, or a socket.
        own: the descriptor that the object already uses, which is refused.

    Raises:
        TypeError: it is neither.
        OSError: it is not a connected stream socket (TCP or Unix); nothing has changed.
    """
    if is_tls_socket(source):
        raise OSError(errno.EINVAL, "a TLS socket cannot be coupled: its bytes are encrypted")
    fileno = source.fileno() if isinstance(source, socket.socket) else _descriptor(source)
    # A number that does not fit into a C int would be truncated to another descriptor.
    if not 0 <= fileno <= _HIGHEST_DESCRIPTOR:
        raise OSError(errno.EBADF, f"descriptor {fileno} is not open")
    if fileno == own:
        raise OSError(errno.EBUSY, f"descriptor {fileno} is in use by this very object")
    sock = _wrap(fileno)
    try:
        _check(sock)
    except OSError:
        sock.detach()
        raise
    return sock


def _descriptor(source: Any) -> int:
    try:
        return index(source)
    except TypeError:
        kind = type(source).__name__
        raise TypeError(f"socket_fd must be a socket or a descriptor, not {kind}") from None


def _wrap(fileno: int) -> socket.socket:
    """A socket object for a descriptor; its blocking state, shared with others, stays as it is."""
    if socket.getdefaulttimeout() is None:
        return socket.socket(fileno=fileno)
    blocking = os.get_blocking(fileno)
    sock = socket.socket(fileno=fileno)
    sock.setblocking(True)
    os.set_blocking(fileno, blocking)
    return sock


def _check(sock: socket.socket) -> None:
    families = {socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_UNIX", socket.AF_INET)}
    if sock.family not in families or sock.type != socket.SOCK_STREAM:
        raise OSError(errno.EPROTOTYPE, "only TCP and Unix stream sockets can be coupled")
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise OSError(errno.EINVAL, "a listening socket cannot be coupled")
    sock.getpeername()
