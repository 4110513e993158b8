"""TCP keepalive, which detects dead peers of idle connections (NFY-S2)."""

from __future__ import annotations

import os
import socket
import sys
from typing import Final

from ..aio import Connection

__all__ = ["is_local", "keep_alive"]

_INTERVAL: Final = 10  # seconds between probes
_PROBES: Final = 3


def is_local(connection: Connection) -> bool:
    """Whether the peer is on the other end of a Unix socket (NFY-S1)."""
    sock = connection.get_extra_info("socket")
    return sock is not None and sock.family not in (socket.AF_INET, socket.AF_INET6)


def keep_alive(connection: Connection) -> None:
    """Ends a TCP connection whose peer is dead for some 30 seconds. On Linux only."""
    sock = connection.get_extra_info("socket")
    if sys.platform != "linux" or sock is None or is_local(connection):
        return
    tcp = socket.IPPROTO_TCP
    try:
        # The socket objects of event loops do not allow all options.
        with socket.socket(fileno=os.dup(sock.fileno())) as copy:
            copy.setsockopt(tcp, socket.TCP_KEEPIDLE, _INTERVAL)
            copy.setsockopt(tcp, socket.TCP_KEEPINTVL, _INTERVAL)
            copy.setsockopt(tcp, socket.TCP_KEEPCNT, _PROBES)
            copy.setsockopt(tcp, socket.TCP_USER_TIMEOUT, _PROBES * _INTERVAL * 1000)
            copy.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except OSError:
        pass  # closed already, or no descriptor is free
