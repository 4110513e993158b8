"""What ``TCP``, ``TLS`` and ``Pipe`` share: connecting, accepting and keepalives over sockets."""

from __future__ import annotations

import errno
import socket
from abc import abstractmethod
from collections.abc import Callable
from operator import index
from typing import TypeVar

from .connection import Connection, not_connected
from .deadline import Deadline
from .ipc import IPC
from .keepalive import Held, set_keepalive
from .lifetime import Lifetime
from .sockets import Listener

__all__ = ["SocketIPC"]

Peer = TypeVar("Peer", bound=IPC)


class SocketIPC(IPC):
    """``IPC`` over sockets of the operating system."""

    @abstractmethod
    def accept(self, timeout_msec: float = -1) -> SocketIPC | None:
        """See ``IPC``."""

    def _refuse(self, cause: Exception) -> bool:
        """Keeps why something was not done."""
        self._connection.note(cause)
        return False

    def _connect_by(self, reach: Callable[[Lifetime], Connection]) -> bool:
        """Closes what was held, and takes hold of what ``reach`` finds; whether it found any.

        Args:
            reach: connects; it raises ``OSError`` or ``ValueError`` where it cannot, and
                ``InterruptedError`` when the lifetime, which it is given, has ended.
        """
        attempt = Lifetime(lambda: None)
        waiting = Connection(None)
        self._replace(waiting, attempt=attempt)
        try:
            connection = reach(attempt)
        except InterruptedError:
            return False
        except (OSError, ValueError) as cause:
            waiting.note(cause)
            return False
        if not self._install(connection, attempt):
            assert connection.stream is not None
            connection.stream.lifetime.end()
            return False
        return True

    def _listen_on(self, sock: socket.socket) -> bool:
        """Listens with a socket that listens already, and owns it; otherwise as ``listen``."""
        self._replace(Connection(None))
        self._replace(self._connection, listener=Listener(sock))
        return True

    def _accept_by(
        self, deadline: Deadline, take: Callable[[socket.socket, object], Peer]
    ) -> Peer | None:
        """The next connection, as ``take`` makes it from a socket and its peer's address.

        Args:
            deadline: how long to wait for one.
            take: owns the socket; where it raises ``OSError``, too.
        """
        connection, listener = self._connection, self._listener
        if not isinstance(listener, Listener):
            connection.note(OSError(errno.EINVAL, "accept needs an object that listens"))
            return None
        try:
            accepted = listener.accept(deadline)
            return take(*accepted) if accepted is not None else None
        except OSError as cause:
            connection.note(cause)
            return None

    def _keep_alive(self, cnt: int, interval: int) -> bool:
        """See ``TCP.setKeepalive``."""
        cnt, interval = index(cnt), index(interval)
        held: object = self._listener or self._connection.stream
        try:
            if not isinstance(held, Held):
                raise not_connected()
            set_keepalive(held, cnt, interval)
        except OSError as cause:
            return self._refuse(cause)
        return True
