"""Half-close and reset, for which ``IPC`` has no members."""

from __future__ import annotations

import socket
from collections.abc import Callable

from .. import IPC
from ..transport.system import RESET_ON_CLOSE

__all__ = ["reset", "shut_down"]


def shut_down(link: IPC) -> None:
    """Tells the peer that no more will come, while it may go on sending."""
    _apply(link, lambda sock: sock.shutdown(socket.SHUT_WR))


def reset(link: IPC) -> None:
    """Closes a connection so that the peer sees it broken; a Unix socket is merely closed."""
    _apply(link, lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE))
    link.close()


def _apply(link: IPC, act: Callable[[socket.socket], object]) -> None:
    descriptor = link.getFD()
    if descriptor < 0:
        return
    try:
        sock = socket.socket(fileno=descriptor)  # the same descriptor: a copy may not be had
    except OSError:
        return  # it has gone already
    try:
        act(sock)
    except OSError:
        pass
    finally:
        sock.detach()
