"""What ``TCP``, ``TLS`` and ``Pipe`` share: connecting, listening, accepting, keepalive."""

from __future__ import annotations

import errno
import socket
import sys
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from operator import index
from typing import Final, Protocol, TypeVar, runtime_checkable

from .byte_stream import ByteStream
from .deadline import Deadline
from .ipc import IPC
from .lifetime import Lifetime
from .sockets import Listener
from .stream_state import not_connected

__all__ = ["SocketIPC"]

Peer = TypeVar("Peer", bound=IPC)

_HIGHEST_COUNT: Final = 127
_HIGHEST_INTERVAL: Final = 32767
_HIGHEST_TIMEOUT: Final = 2**31 - 1


class SocketIPC(IPC):
    """``IPC`` over sockets of the operating system."""

    @abstractmethod
    def accept(self, timeout_msec: float = -1) -> SocketIPC | None:
        """See ``IPC``."""

    def _refuse(self, cause: Exception) -> bool:
        """Records why something was refused."""
        self._messages.note(cause)
        return False

    def _connect_by(self, reach: Callable[[Lifetime], ByteStream]) -> bool:
        """Closes the previous connection and opens a new one with ``reach``; whether it succeeded.

        Args:
            reach: connects; it raises ``OSError`` or ``ValueError`` if it cannot, and
                ``InterruptedError`` if the lifetime that it is given has ended.
        """
        messages = self._renew()
        try:
            stream = reach(messages.lifetime)
        except InterruptedError:
            return False
        except (OSError, ValueError) as cause:  # IPC-G3
            messages.note(cause)
            return False
        return self._open(messages, stream)

    def _listen_by(self, bind: Callable[[Lifetime], Listener]) -> bool:
        """Closes the previous connection and listens with ``bind``; whether it succeeded.

        Args:
            bind: creates a listener; raises the same exceptions as ``reach`` above.
        """
        messages = self._renew()
        try:
            listener = bind(messages.lifetime)
        except InterruptedError:
            return False
        except (OSError, ValueError) as cause:
            messages.note(cause)
            return False
        return self._listen_on(messages, listener)

    def _adopt_listener(self, sock: socket.socket) -> bool:
        """Takes over a listening socket; otherwise like ``listen``."""
        return self._listen_by(partial(Listener, sock))

    def _accept_by(
        self,
        deadline: Deadline,
        make_peer: Callable[[], Peer],
        take: Callable[[socket.socket, object, Lifetime], ByteStream],
    ) -> Peer | None:
        """The next connection.

        Args:
            deadline: how long to wait for one.
            make_peer: creates the object for it.
            take: creates the stream from a socket, its peer's address and the connection's
            lifetime.
                It owns the socket, even if it raises ``OSError``.
        """
        messages, listener = self._messages, self._listener
        try:
            if not isinstance(listener, Listener):
                raise OSError(errno.EINVAL, "accept needs an object that listens")
            accepted = listener.accept(deadline)
            if accepted is None:
                return None
            peer = make_peer()
            stream = take(*accepted, peer._messages.lifetime)
        except OSError as cause:
            messages.note(cause)
            return None
        peer.strict = self.strict
        peer._open(peer._messages, stream, "accepted")
        return peer

    def _keep_alive(self, cnt: int, interval: int) -> bool:
        """See ``TCP.setKeepalive``."""
        cnt, interval = index(cnt), index(interval)
        held: object = self._listener or self._messages.stream
        try:
            if not isinstance(held, _Held):
                raise not_connected()
            _set_keepalive(held, cnt, interval)
        except OSError as cause:
            return self._refuse(cause)
        return True


@runtime_checkable
class _Held(Protocol):
    """An object that owns a socket."""

    @property
    def socket(self) -> socket.socket: ...

    @property
    def lifetime(self) -> Lifetime: ...


def _set_keepalive(held: _Held, cnt: int, interval: int) -> None:
    """Sets the options, or leaves all of them as they were.

    Args:
        held: the owner of the socket.
        cnt: probes before the connection is dropped, 1..127; 0 disables.
        interval: seconds between probes, 1..32767.

    Raises:
        OSError: out of range, not open, not a TCP socket, or not on Linux.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOPROTOOPT, "keepalive probes can be set on Linux only")
    sock, frame = held.socket, sys._getframe()
    try:
        if not held.lifetime.enter(frame):
            raise not_connected()
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
    finally:
        held.lifetime.leave(frame)
        del frame


def _keepalive_options(cnt: int, interval: int) -> list[tuple[int, int, int]]:
    """Level, name and value of each option to set."""
    tcp = socket.IPPROTO_TCP
    if cnt == 0:
        return [
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0),
            (tcp, socket.TCP_USER_TIMEOUT, 0),
        ]
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
