"""``Pipe``: the original's transport between processes on one machine, over Unix sockets."""

from __future__ import annotations

import errno
import os
import socket
import struct
import warnings
from operator import index
from typing import Final

from .deadline import Deadline
from .ipc import IPC
from .lifetime import Lifetime
from .sockets import SocketListener, SocketStream
from .system import closed_on_failure
from .tcp_sockets import check_backlog
from .unix_sockets import (
    SocketFile,
    address_of,
    attempts,
    bound_socket,
    new_socket,
    path_text,
)

__all__ = ["Pipe"]

_HIGHEST_MODE: Final = 0o777
# struct ucred of unix(7): process, user and group.
_CREDENTIALS: Final = struct.Struct("iII")


class Pipe(IPC):
    r"""``IPC`` over Unix stream sockets. See ``IPC`` for reading, writing, flags and threads.

    A path names the server, or on Linux an abstract name: a string that begins with ``"\0"``. The
    permissions of the file and of its directories control who may connect.

    Args:
        config: ``Pipe.PC_None``; ``Pipe.PC_EnableCredentials`` is deprecated and changes nothing.

    Raises:
        ValueError: ``config`` is neither.
    """

    PC_None: Final = 0
    PC_EnableCredentials: Final = 1

    def __init__(self, config: int = PC_None) -> None:
        if index(config) not in (self.PC_None, self.PC_EnableCredentials):
            allowed = "Pipe.PC_None or Pipe.PC_EnableCredentials"
            raise ValueError(f"config is {config}, but must be {allowed}")
        super().__init__()
        if config == self.PC_EnableCredentials:
            unneeded = "PC_EnableCredentials has no effect: remote_addr() always tells who it is"
            warnings.warn(unneeded, DeprecationWarning, stacklevel=2)

    def __repr__(self) -> str:
        if isinstance(self._listener, _PipeListener):
            return f"<Pipe listening on {self._listener.path!r}>"
        if self._messages.stream is not None:
            return f"<Pipe to {self.remote_addr() or 'an unknown peer'}>"
        return "<Pipe not open>"

    def connect(self, path: str | os.PathLike[str], timeout_msec: float = -1) -> bool:
        r"""Connects to the server at this path; the object's previous connection is closed first.

        Args:
            path: of the socket's file; or an abstract name behind ``"\0"``.
            timeout_msec: how long to wait while the listener's queue is full; otherwise the result
                is known at once.

        Returns:
            Whether the connection was established; otherwise ``last_error`` tells why.

        Raises:
            TypeError: an argument is of the wrong type.
        """
        path, deadline = path_text(path), Deadline(timeout_msec)

        def reach(lifetime: Lifetime) -> SocketStream:
            return _stream(_dial(path, lifetime, deadline), path, lifetime)

        return self._connect_by(reach)

    def listen(
        self, path: str | os.PathLike[str], mode: int | None = None, backlog: int = 128
    ) -> bool:
        r"""Listens for connections, which ``accept`` returns.

        The file of a socket that no longer exists is replaced; that of a server, and any other
        file, is not. ``close`` removes the file that this creates.

        Args:
            path: where to create the socket's file; or an abstract name behind ``"\0"``.
            mode: the file's permissions, 0..0o777, in effect before anybody can connect: 0o600 for
                this user alone. None for 0o777 as reduced by the umask.
            backlog: connections that may wait to be accepted, 0 or more.

        Returns:
            Whether it listens; otherwise ``last_error`` tells why.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: ``mode`` is outside 0..0o777, or ``backlog`` negative.
        """
        path, backlog = path_text(path), check_backlog(backlog)
        if mode is not None and not 0 <= index(mode) <= _HIGHEST_MODE:
            raise ValueError(f"mode is {mode:#o}, but must be in 0..{_HIGHEST_MODE:#o}")

        def bind(lifetime: Lifetime) -> _PipeListener:
            return _PipeListener(*bound_socket(path, mode, backlog, lifetime), path, lifetime)

        return self._listen_by(bind)

    def accept(self, timeout_msec: float = -1) -> Pipe | None:
        """See ``IPC.accept``."""
        return self._accept_by(timeout_msec, Pipe, _stream)


class _PipeListener(SocketListener):
    """A listening socket, and its file (None for an abstract name), which ``close`` removes."""

    def __init__(
        self, sock: socket.socket, file: SocketFile | None, path: str, lifetime: Lifetime
    ) -> None:
        super().__init__(sock, lifetime)
        self.path = path
        self._file = file

    def close(self) -> None:
        if self._file is not None:
            self._file.remove()
        super().close()


def _dial(path: str, lifetime: Lifetime, deadline: Deadline) -> socket.socket:
    """A connected socket; raises what ``_connect_by`` requires."""
    address = address_of(path)
    with new_socket(path) as sock:
        sock.setblocking(False)
        for pause in attempts(sock, address):
            if deadline.passed():
                raise TimeoutError(errno.ETIMEDOUT, "timed out before the queue had room")
            lifetime.wait([], deadline.within(pause))
            if lifetime.ended:
                raise InterruptedError
        return sock


def _stream(sock: socket.socket, _: object, lifetime: Lifetime) -> SocketStream:
    with closed_on_failure(sock):
        return SocketStream(sock, lifetime, remote=_credentials(sock))


def _credentials(sock: socket.socket) -> str:
    """Process, user and group of the peer, as the system knows them; otherwise empty."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return ""
    packed = sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    return " ".join(map(str, _CREDENTIALS.unpack(packed)))
