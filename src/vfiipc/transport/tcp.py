"""``TCP``: the original's transport over TCP sockets, including sockets connected elsewhere."""

from __future__ import annotations

import socket

from .addresses import address_text, check_port, check_text, split_address
from .deadline import Deadline
from .fd import couple
from .lifetime import Lifetime
from .message_stream import MessageStream
from .socket_ipc import SocketIPC
from .sockets import Listener, SocketStream
from .tcp_sockets import check_backlog, dial, listening_socket

__all__ = ["TCP"]


class TCP(SocketIPC):
    """``IPC`` over TCP. See ``IPC`` for reading, writing, flags and threads."""

    def connect(self, hostname: str, port: int, timeout_msec: float = -1) -> bool:
        """Connects to a listening peer; the object's previous connection is closed first.

        Args:
            hostname: name or IP address, optionally with the port: ``name:port``, ``[IPv6]:port``.
            port: 1..65535, or 0 to take it from ``hostname``.
            timeout_msec: for resolving and connecting, all addresses of the host together; negative
                leaves it to the operating system.

        Returns:
            Whether the connection was established; otherwise ``last_error`` tells why.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: ``port`` is outside 0..65535.
        """
        check_text("hostname", hostname)
        port, deadline = check_port(port), Deadline(timeout_msec)

        def reach(lifetime: Lifetime) -> SocketStream:
            return _stream(dial(*split_address(hostname, port), lifetime, deadline), None, lifetime)

        return self._connect_by(reach)

    def listen(self, port: int, listen_address: str | None = None, backlog: int = 128) -> bool:
        """Listens for connections, which ``accept`` returns.

        Args:
            port: 1..65535, or 0 to let the system choose; ``local_addr()`` returns the choice.
            listen_address: the interface's IP address, ``"127.0.0.1"`` for local connections only;
                None for all interfaces, IPv4 and IPv6.
            backlog: connections that may wait to be accepted, 0 or more.

        Returns:
            Whether it listens; otherwise ``last_error`` tells why.

        Raises:
            TypeError: an argument is of the wrong type.
            ValueError: ``port`` is outside 0..65535, or ``backlog`` negative.
        """
        if listen_address is not None:
            check_text("listen_address", listen_address)
        port, backlog = check_port(port), check_backlog(backlog)

        def bind(lifetime: Lifetime) -> Listener:
            return Listener(listening_socket(port, listen_address, backlog, lifetime), lifetime)

        return self._listen_by(bind)

    def accept(self, timeout_msec: float = -1) -> TCP | None:
        """The next connection of a listening object.

        Args:
            timeout_msec: how long to wait for one.

        Returns:
            A new object, which the caller must close; None on a time-out, after ``close`` or an
            error (``last_error`` tells).
        """
        return self._accept_by(Deadline(timeout_msec), TCP, _stream)

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

    def setKeepalive(self, cnt: int, interval: int) -> bool:
        """Makes the kernel probe the peer, so that a dead link ends the connection.

        It also sets ``TCP_USER_TIMEOUT``, which ends a healthy connection if its peer stops reading
        for longer than ``cnt * interval`` seconds. Connections inherit it from their listener.

        Args:
            cnt: probes before the connection is dropped, 1..127; 0 disables.
            interval: seconds between probes, 1..32767.

        Returns:
            Whether it was set; otherwise the previous setting stays, and ``last_error`` tells why
            (out of range, not open, a Unix socket, not on Linux).
        """
        return self._keep_alive(cnt, interval)


def _stream(sock: socket.socket, address: object, lifetime: Lifetime) -> SocketStream:
    """A stream over a connected socket, which is closed if this fails."""
    try:
        remote = sock.getpeername() if address is None else address
        return SocketStream(sock, lifetime, remote=address_text(remote))
    except BaseException:
        sock.close()
        raise
