"""``IPC`` between hosts: what ``TCP`` and ``TLS`` share."""

from __future__ import annotations

import errno
import socket
import sys
from abc import abstractmethod
from functools import partial
from operator import index
from typing import Any, Final

from .addresses import check_port, check_text
from .byte_stream import ByteStream
from .deadline import Deadline
from .ipc import IPC
from .lifetime import Lifetime
from .sockets import SocketListener
from .stream_state import not_connected
from .tcp_sockets import check_backlog, listening_socket

__all__ = ["HostIPC"]

_HIGHEST_COUNT: Final = 127
_HIGHEST_INTERVAL: Final = 32767
_HIGHEST_TIMEOUT: Final = 2**31 - 1


class HostIPC(IPC):
    """``IPC`` between hosts, by name or IP address and port."""

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
        reach = partial(self._reach, hostname, check_port(port), Deadline(timeout_msec))
        return self._connect_by(reach)

    @abstractmethod
    def _reach(
        self, hostname: str, port: int, deadline: Deadline, lifetime: Lifetime
    ) -> ByteStream:
        """Connects; for ``_connect_by``."""

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

        def bind(lifetime: Lifetime) -> SocketListener:
            return SocketListener(
                listening_socket(port, listen_address, backlog, lifetime), lifetime
            )

        return self._listen_by(bind)

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
        cnt, interval = index(cnt), index(interval)
        held = self._listener or self._messages.stream
        sock: Any = getattr(held, "socket", None)
        frame = sys._getframe()
        try:
            if held is None or not held.lifetime.enter(frame):
                raise not_connected()
            _set_keepalive(sock, cnt, interval)
        except OSError as cause:
            return self._refuse(cause)
        finally:
            if held is not None:
                held.lifetime.leave(frame)
            del frame
        return True


def _set_keepalive(sock: socket.socket, cnt: int, interval: int) -> None:
    """Sets the options, or leaves all of them as they were.

    Raises:
        OSError: out of range, not a TCP socket, or not on Linux.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOPROTOOPT, "keepalive probes can be set on Linux only")
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        raise OSError(errno.ENOPROTOOPT, "not a TCP socket: it has no keepalive probes")
    wanted = _keepalive_options(cnt, interval)
    former = [(level, name, sock.getsockopt(level, name)) for level, name, _ in wanted]
    try:
        for option in wanted:
            sock.setsockopt(*option)
    except OSError:
        for option in former:
            sock.setsockopt(*option)
        raise


def _keepalive_options(cnt: int, interval: int) -> list[tuple[int, int, int]]:
    """Level, name and value of each option to set."""
    tcp = socket.IPPROTO_TCP
    if cnt == 0:
        return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0), (tcp, socket.TCP_USER_TIMEOUT, 0)]
    if not 1 <= cnt <= _HIGHEST_COUNT or not 1 <= interval <= _HIGHEST_INTERVAL:
        allowed = f"cnt in 0..{_HIGHEST_COUNT}, interval in 1..{_HIGHEST_INTERVAL} seconds"
        raise OSError(errno.EINVAL, f"cnt is {cnt}, interval is {interval}: {allowed} is allowed")
    timeout = cnt * interval * 1000
    if timeout > _HIGHEST_TIMEOUT:
        most = f"cnt * interval may be at most {_HIGHEST_TIMEOUT // 1000} seconds"
        raise OSError(errno.EINVAL, f"cnt is {cnt}, interval is {interval}: {most}")
    return [
        (tcp, socket.TCP_KEEPCNT, cnt),
        (tcp, socket.TCP_KEEPIDLE, interval),
        (tcp, socket.TCP_KEEPINTVL, interval),
        (tcp, socket.TCP_USER_TIMEOUT, timeout),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
