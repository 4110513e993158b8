"""Serving: ``with serve(handler, address, ...) as server``, a thread for each connection."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from .. import transport
from ..exchange import (
    MAX_UNCLAIMED,
    MAX_UNCLAIMED_SIZE,
    REQUEST_IDS,
    ConnectionClosed,
    Settings,
    check_callable,
    connection_limit,
    explained,
    serving_times,
    timeout_of,
)
from ..transport.addresses import Address, parse, where_to_listen
from ..transport.ipc import IPC
from ..transport.logs import shown
from ..transport.sockets import SocketListener
from ..transport.tcp_sockets import check_listener, inherited, listening_at
from ..transport.waiters import Waiters
from .connect import check_tls
from .connection import Connection
from .schemes import SchemeIPC, is_tls, listen_at, object_for

__all__ = ["Handler", "Server", "serve"]

_logger = logging.getLogger("vfiipc")

#: Serves one connection, in a thread of its own.
Handler: TypeAlias = Callable[[Connection], object]

_MAX_CONNECTIONS: Final = 256
_BACKLOG: Final = 128
#: Seconds for handlers whose connections were closed.
_AFTER_CLOSE: Final = 1.0
#: Seconds until accepting is retried after a failure.
_PAUSE: Final = 0.1


def serve(
    handler: Handler,
    address: str | None = None,
    *,
    prefix: int,
    size_limit: int,
    sock: socket.socket | None = None,
    max_connections: int = _MAX_CONNECTIONS,
    idle_timeout: float | None = None,
    grace: float = 5.0,
    tls: transport.TLS | None = None,
    strict: bool = False,
    request_ids: range = REQUEST_IDS,
    max_unclaimed: int = MAX_UNCLAIMED,
    max_unclaimed_size: int = MAX_UNCLAIMED_SIZE,
) -> Server:
    """Listens, and serves each connection in a thread of its own until the server is closed.

    Args:
        handler: called with each ``Connection``, which is closed when it returns. An exception is
            logged, and affects no other connection.
        address: ``tcp://host:port``, ``tls://host:port``, ``pipe:///path``, or ``host:port``. With
            port 0 the system chooses, see ``Server.address``; without a host, the server listens on
            all interfaces. ``fd://3`` is a socket that the process inherited.
        prefix: the synchronisation mark of both ends, 0..2**32-1.
        size_limit: maximum data size of a received message, in bytes, 0..2**31-5.
        sock: instead of an address: a socket that is bound or listening. The server owns it.
        max_connections: how many are served at once, 1 or more; further ones wait in the system's
            queue.
        idle_timeout: seconds without a received byte after which a connection is closed while its
            handler waits for a message.
        grace: seconds that handlers get to return when the server closes.
        tls: required for ``tls://``: a ``TLS`` object that is not open, with the server's
            certificate; the server owns it. With ``sock`` or ``fd://`` it selects TLS.
        strict: end a connection at the first byte that does not belong to a message.
        request_ids: the message IDs that ``request`` uses, an ascending range.
        max_unclaimed: messages of a connection that may wait to be received before reading stops.
        max_unclaimed_size: bytes of data in them before reading stops.

    Raises:
        TypeError, ValueError: an argument is invalid.
        OSError: it cannot listen there; the text names the address.

    Rules: ``spec/connections.md``.
    """
    check_callable(handler)
    target = where_to_listen(address, sock)
    check_tls(target, tls)
    if target is not None and target.scheme == "tls" and tls is None:
        raise ValueError(f"tls:// needs tls=, with a certificate; the address is {address!r}")
    max_connections = connection_limit(max_connections)
    idle_timeout, grace = serving_times(idle_timeout, grace)
    settings = Settings(prefix, size_limit, strict, request_ids, max_unclaimed, max_unclaimed_size)
    if tls is not None and idle_timeout is not None:
        _shorten_handshakes(tls, idle_timeout * 1000)
    listener, reached = _listen(target or check_listener(sock, tls=tls is not None), tls)
    return Server(handler, listener, reached, settings, max_connections, idle_timeout, grace)


class Server:
    """The result of ``serve``: accepts connections until it is closed. Thread safe.

    Programs get one from ``serve``, which describes the arguments.
    """

    def __init__(
        self,
        handler: Handler,
        listener: SchemeIPC,
        target: Address,
        settings: Settings,
        max_connections: int,
        idle_timeout: float | None,
        grace: float,
    ) -> None:
        self._handler = handler
        self._listener = listener
        self._target = target
        self._settings = settings
        self._idle_timeout = idle_timeout
        self._grace = grace
        self._max_connections = max_connections
        self._handlers: dict[Connection, threading.Thread] = {}
        self._closing = False
        self._accepts = True  # until the accepting thread has ended
        self._process = os.getpid()  # a forked child has none of these threads
        self._changed = Waiters()  # woken when one of these has changed
        self._accepting = threading.Thread(
            target=self._accept_all, name=f"vfiipc server {target}", daemon=True
        )
        self._accepting.start()

    def __repr__(self) -> str:
        state = "closed" if self._closing else f"at {self.address}"
        return f"<vfiipc.Server {state}, {self.connections} connections>"

    @property
    def address(self) -> str:
        """Where it can be reached: an address for ``connect``."""
        return str(self._target)

    @property
    def connections(self) -> int:
        """How many connections are being served."""
        return len(self._handlers)

    # --- accepting

    def _accept_all(self) -> None:
        try:
            self._accept_until_closed()
        finally:
            self._accepts = False
            self._changed.wake()

    def _accept_until_closed(self) -> None:
        failing = False
        while self._has_place():
            peer = self._listener.accept()
            cause = self._listener.last_error if peer is None else self._begin(peer)
            if peer is not None and cause is None:
                failing = False
                continue
            if not failing and not self._closing:
                # CON-S4
                _logger.error(
                    "%s cannot accept connections, will retry: %s", shown(self), shown(cause)
                )
                failing = True
            self._changed.wait(lambda: self._closing, _PAUSE)

    def _has_place(self) -> bool:
        """Waits until another connection may be served (CON-S3); False when the server closes."""
        while len(self._handlers) >= self._max_connections and not self._closing:
            self._changed.wait(lambda: len(self._handlers) < self._max_connections or self._closing)
        return not self._closing

    def _begin(self, peer: IPC) -> Exception | None:
        """Starts the handler's thread; on failure, closes the connection and returns the reason."""
        connection = Connection(peer, **vars(self._settings))
        connection._reader.idle_timeout = self._idle_timeout
        thread = threading.Thread(
            target=self._serve, args=(connection,), name="vfiipc handler", daemon=True
        )  # CON-S1
        self._handlers[connection] = thread
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            self._end(connection)
            return error
        return None

    def _serve(self, connection: Connection) -> None:
        where = shown(connection.remote_address or self.address)
        try:
            if self._is_ready(connection, where):
                self._handler(connection)
        except ConnectionClosed as closed:
            _logger.debug("%s: %s", where, shown(closed))
        except BaseException:  # a SystemExit would end this thread silently (CON-S2)
            _logger.exception("the handler of the connection with %s failed", where)
        finally:
            self._end(connection)

    def _is_ready(self, connection: Connection, where: str) -> bool:
        """Makes the TLS handshake; the handler never sees a connection that failed it (CON-S7)."""
        peer = connection._ipc
        try:
            if is_tls(peer):
                peer._make_handshake()
        except OSError as error:
            _logger.info(
                "the connection with %s failed before it was served: %s", where, shown(error)
            )
            return False
        return True

    def _end(self, connection: Connection) -> None:
        connection.close()
        self._handlers.pop(connection, None)
        self._changed.wake()

    # --- ending

    def close(self) -> None:
        """Stops accepting, and returns when the handlers have ended (CON-S6). May be repeated.

        A handler that calls it does not wait for itself.

        Handlers get ``grace`` seconds to return; then their connections are closed, and they get
        another second. A handler that still does not return is logged and abandoned.
        """
        self._stop()
        try:
            self._wait_for_handlers(self._grace)
        finally:
            for connection in self._others():
                connection.close()
        if not self._wait_for_handlers(_AFTER_CLOSE):
            _logger.error(
                "%d handlers are still running although their connections were closed",
                self.connections,
            )

    def _stop(self) -> None:
        self._closing = True
        self._listener.close()
        self._changed.wake()
        # Not `Thread.join`: a signal handler that interrupts it and calls `close` would deadlock.
        while self._accepts and self._process == os.getpid():
            self._changed.wait(lambda: not self._accepts)

    def _others(self) -> list[Connection]:
        """Connections with a handler in another thread."""
        own = threading.current_thread()
        if self._process != os.getpid():
            return []
        return [held for held, thread in list(self._handlers.items()) if thread is not own]

    def _wait_for_handlers(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self._others():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self._changed.wait(lambda: not self._others(), left)
        return True

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Waits until another thread, or a signal handler, closes the server.

        Args:
            timeout: seconds to wait; None sets no limit.

        Returns:
            Whether it is closed.
        """
        timeout = timeout_of(timeout)
        end = None if timeout is None else time.monotonic() + timeout
        while not self._closing:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self._changed.wait(lambda: self._closing, left)
        return self._closing

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _shorten_handshakes(tls: transport.TLS, msec: float) -> None:
    """Applies the idle time-out to the TLS handshake as well (CON-S7)."""
    allowed = tls.handshake_timeout_msec
    tls.handshake_timeout_msec = msec if allowed < 0 else min(allowed, msec)


def _listen(
    target: Address | socket.socket, tls: transport.TLS | None
) -> tuple[SchemeIPC, Address]:
    """Listens; returns the object, and the address by which it can be reached."""
    if isinstance(target, Address) and target.scheme != "fd":
        listener = object_for(target.scheme, tls)
        if not listen_at(listener, target):
            raise explained(listener.last_error, f"cannot listen on {target}")
        _, _, port = listener.local_addr().rpartition(":")
        return listener, target.reachable(int(port or target.port))
    what, encrypted = "the socket that was given", tls is not None
    try:
        if isinstance(target, Address):
            what = str(target)
            return _take_over(*inherited(target.fd, _BACKLOG, tls=encrypted), tls)
        return _take_over(target, listening_at(target, _BACKLOG, tls=encrypted), tls)
    except OSError as cause:
        raise explained(cause, f"cannot listen on {what}") from cause


def _take_over(
    sock: socket.socket, at: str, tls: transport.TLS | None
) -> tuple[SchemeIPC, Address]:
    """Listens on an existing socket, whose address is ``at`` (CON-A6)."""
    target = parse(at, listening=True)
    listener = object_for(target.scheme, tls)
    if not listener._listen_by(lambda lifetime: SocketListener(sock, lifetime)):
        assert listener.last_error is not None
        raise listener.last_error
    return listener, target.reachable(target.port)
