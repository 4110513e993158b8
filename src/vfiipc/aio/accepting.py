"""Listening sockets, and an accept loop with a connection limit."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

from ..exchange import explained
from ..transport.addresses import Address, parse
from ..transport.lifetime import Lifetime
from ..transport.logs import shown
from ..transport.sockets import PEER_GONE
from ..transport.tcp_sockets import inherited, listening_at, listening_socket
from ..transport.unix_sockets import SocketFile, bound_socket
from .threads import run_in_thread

__all__ = ["Acceptor", "listen", "take_over"]

_logger = logging.getLogger("vfiipc")

_BACKLOG: Final = 128
#: Seconds until accepting is retried after a failure.
_PAUSE: Final = 0.2


class Acceptor:
    """Accepts connections from a listening socket, unless paused.

    While paused, connections wait in the system's queue, where their peers can already send. A
    failure to accept, such as a lack of descriptors, is logged once, and accepting is retried.

    Args:
        listener: a listening socket; closed by ``close``.
        accepted: called with each connection, which it then owns.
    """

    def __init__(self, listener: socket.socket, accepted: Callable[[socket.socket], None]) -> None:
        listener.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._accepted = accepted
        self._watching = False
        self._wanted = False
        self._timer: asyncio.TimerHandle | None = None
        self._failing = False

    def resume(self) -> None:
        """Starts or resumes accepting."""
        self._wanted = True
        if not self._watching and self._timer is None:
            self._watching = True
            self._loop.add_reader(self._listener, self._ready)

    def pause(self) -> None:
        """Leaves connections in the system's queue; may be called from ``accepted``."""
        self._wanted = False
        self._unwatch()

    def close(self) -> None:
        """Stops accepting, permanently. May be called again."""
        self.pause()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._listener.close()

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._listener)

    def _ready(self) -> None:
        for _ in range(_BACKLOG):
            if not self._watching:
                return
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in PEER_GONE:
                    continue  # CON-S8
                self._retry_later(error)
                return
            self._failing = False
            self._accepted(sock)

    def _retry_later(self, error: OSError) -> None:
        if not self._failing:  # CON-S4
            self._failing = True
            _logger.warning("cannot accept connections, will retry: %s", shown(error))
        self._unwatch()
        self._timer = self._loop.call_later(_PAUSE, self._try_again)

    def _try_again(self) -> None:
        self._timer = None
        if self._wanted:
            self.resume()


async def listen(
    address: Address, *, tls: bool
) -> tuple[socket.socket, SocketFile | None, Address]:
    """A listening socket, the file of a pipe, and the address by which it can be reached.

    Resolving a name may block, and so may locking a directory; both run in a thread.

    Raises:
        OSError: it cannot listen there; its text has the address.
    """
    try:
        if address.scheme == "fd":
            return _known(*inherited(address.fd, _BACKLOG, tls=tls))
        if address.scheme == "pipe":
            bind = partial(bound_socket, address.path, None, _BACKLOG, Lifetime())
            return *await run_in_thread(bind, _give_back), address
        listen = partial(listening_socket, address.port, address.host or None, _BACKLOG)
        listener = await run_in_thread(listen, socket.socket.close)
    except OSError as cause:
        raise explained(cause, f"cannot listen on {address}") from cause
    return listener, None, address.reachable(listener.getsockname()[1])


def take_over(sock: socket.socket, *, tls: bool) -> tuple[socket.socket, None, Address]:
    """Same as ``listen``, for an existing socket.

    Raises:
        OSError: it cannot listen.
    """
    try:
        return _known(sock, listening_at(sock, _BACKLOG, tls=tls))
    except OSError as cause:
        raise explained(cause, "cannot listen on the socket that was given") from cause


def _known(sock: socket.socket, at: str) -> tuple[socket.socket, None, Address]:
    address = parse(at, listening=True)
    return sock, None, address.reachable(address.port)


def _give_back(bound: tuple[socket.socket, SocketFile | None]) -> None:
    sock, file = bound
    if file is not None:
        file.remove()
    sock.close()
