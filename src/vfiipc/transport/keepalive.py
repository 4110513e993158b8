"""Keepalive probes of the kernel."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Final, Protocol, runtime_checkable

from .connection import not_connected
from .lifetime import Lifetime

__all__ = ["Held", "set_keepalive"]

_HIGHEST_COUNT: Final = 127
_HIGHEST_INTERVAL: Final = 32767
_HIGHEST_TIMEOUT: Final = 2**31 - 1


@runtime_checkable
class Held(Protocol):
    """What owns a socket."""

    @property
    def socket(self) -> socket.socket: ...

    @property
    def lifetime(self) -> Lifetime: ...


def set_keepalive(held: Held, cnt: int, interval: int) -> None:
    """Sets the options, or leaves all of them as they were.

    Args:
        held: what owns the socket.
        cnt: probes before the connection is dropped, 1..127; 0 disables.
        interval: seconds between probes, 1..32767.

    Raises:
        OSError: out of range, not open, no TCP socket, or not on Linux.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOPROTOOPT, "keepalives are set on Linux only")
    sock = held.socket
    if not held.lifetime.enter():
        raise not_connected()
    try:
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            raise OSError(errno.ENOPROTOOPT, "this is no TCP socket: it has no keepalives")
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
        held.lifetime.leave()


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
