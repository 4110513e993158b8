"""``TCP``: the original's transport over TCP sockets, including sockets connected elsewhere."""

from __future__ import annotations

import socket

from .addresses import address_text, split_address
from .deadline import Deadline
from .fd import couple
from .host_ipc import HostIPC
from .lifetime import Lifetime
from .message_stream import MessageStream
from .sockets import SocketStream
from .system import closed_on_failure
from .tcp_sockets import dial

__all__ = ["TCP"]


class TCP(HostIPC):
    """``IPC`` over TCP. See ``IPC`` for reading, writing, flags and threads."""

    def _reach(
        self, hostname: str, port: int, deadline: Deadline, lifetime: Lifetime
    ) -> SocketStream:
        return _stream(dial(*split_address(hostname, port), lifetime, deadline), None, lifetime)

    def accept(self, timeout_msec: float = -1) -> TCP | None:
        """See ``IPC.accept``."""
        return self._accept_by(timeout_msec, TCP, _stream)

    def setFD(self, socket_fd: int | socket.socket) -> bool:
        """Takes over a connected stream socket (TCP or Unix); the previous one is closed.

        Args:
            socket_fd: a descriptor, or a ``socket.socket``, which is detached. From now on the
                object owns it. ``remote_addr()`` is empty.

        Returns:
            Whether it was taken over; otherwise nothing has changed, and ``last_error`` tells why.

        Raises:
            TypeError: it is neither a descriptor nor a socket.
        """
        held = self._listener or self._messages.stream
        messages = MessageStream()
        try:
            sock = couple(socket_fd, held.fileno() if held is not None else -1)
            try:
                stream = SocketStream(sock, messages.lifetime, own=False)
            except OSError:
                sock.detach()
                raise
        except OSError as cause:
            return self._refuse(cause)
        if isinstance(socket_fd, socket.socket):
            socket_fd.detach()
        return self._open(self._renew(messages), stream, "coupled")


def _stream(sock: socket.socket, address: object, lifetime: Lifetime) -> SocketStream:
    """A stream over a connected socket, which is closed if this fails."""
    with closed_on_failure(sock):
        return SocketStream(sock, lifetime, remote=address_text(address or sock.getpeername()))
