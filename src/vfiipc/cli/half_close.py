"""Half-close and reset, for which ``IPC`` has no members."""

from __future__ import annotations

import socket
from collections.abc import Callable

from .. import IPC
from ..transport.system import RESET_ON_CLOSE

__all__ = ["reset", "shut_down"]


def shut_down(link: IPC) -> None:
    """Ends this side's stream; the peer can still send."""
    _apply(link, lambda sock: sock.shutdown(socket.SHUT_WR))


def reset(link: IPC) -> None:
    """Resets a TCP connection, so that the peer gets an error; closes a Unix socket."""
    _apply(link, lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE))
    link.close()


def _apply(link: IPC, act: Callable[[socket.socket], object]) -> None:
    descriptor = link.getFD()
    if descriptor < 0:
        return
    try:
        sock = socket.socket(fileno=descriptor)  # not a duplicate: there may be no free descriptor
    except OSError:
        return  # it is closed already
    try:
        act(sock)
    except OSError:
        pass
    finally:
        sock.detach()
