"""Serving: ``async with serve(handler, address, ...) as server``, a task for each connection."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl as tls
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, Final, TypeAlias

from ..exchange import (
    MAX_UNCLAIMED,
    MAX_UNCLAIMED_SIZE,
    REQUEST_IDS,
    ConnectionClosed,
    Settings,
    check_callable,
    connection_limit,
    serving_times,
)
from ..transport.addresses import Address, where_to_listen
from ..transport.logs import shown
from ..transport.tcp_sockets import check_listener
from ..transport.unix_sockets import SocketFile
from .accepting import Acceptor, listen, take_over
from .connection import Connection
from .handover import HANDSHAKE_TIMEOUT, hand_over
from .send_buffer import MAX_UNSENT
from .settings import CLOSE_TIMEOUT, AsyncSettings, check_context

__all__ = ["Handler", "PendingServer", "Server", "serve"]

_logger = logging.getLogger("vfiipc")

#: Serves one connection.
Handler: TypeAlias = Callable[[Connection], Awaitable[object]]

#: Seconds for handlers whose connections were closed, and again for those that were cancelled.
_AFTER_CLOSE: Final = 1.0


def serve(
    handler: Handler,
    address: str | None = None,
    *,
    prefix: int,
    size_limit: int,
    sock: socket.socket | None = None,
    max_connections: int | None = None,
    idle_timeout: float | None = None,
    grace: float = 5.0,
    ssl: tls.SSLContext | None = None,
    strict: bool = False,
    request_ids: range = REQUEST_IDS,
    max_unclaimed: int = MAX_UNCLAIMED,
    max_unclaimed_size: int = MAX_UNCLAIMED_SIZE,
    max_unsent: int = MAX_UNSENT,
    close_timeout: float = CLOSE_TIMEOUT,
) -> PendingServer:
    """Serves, when the result is awaited or entered with ``async with``.

    Args:
        handler: called with each ``Connection``, and awaited; the connection is closed when it is
            done. An exception is logged, and affects no other connection.
        address: ``tcp://host:port``, ``tls://host:port``, ``pipe:///path``, or ``host:port``. With
            port 0 the system chooses, see ``Server.address``; without a host, the server listens on
            all interfaces. ``fd://3`` is a socket that the process inherited.
        prefix: the synchronisation mark of both ends, 0..2**32-1.
        size_limit: maximum data size of a received message, in bytes, 0..2**31-5.
        sock: instead of an address: a socket that is bound or listening. The server owns it.
        max_connections: how many are served at once, 1 or more; None sets no limit. Further
            connections wait in the system's queue.
        idle_timeout: seconds without a received byte after which a connection is closed, also in
            the TLS handshake, which ends after 10 s in any case.
        grace: seconds that handlers get to end when the server closes.
        ssl: required for ``tls://``: a context with the server's certificate. With ``sock`` or
            ``fd://`` it selects TLS.
        strict: end a connection at the first byte that does not belong to a message.
        request_ids: the message IDs that ``request`` uses, an ascending range.
        max_unclaimed: messages of a connection that may wait to be received before reading stops.
        max_unclaimed_size: bytes of data in them before reading stops.
        max_unsent: bytes of a connection that may be buffered before ``send`` waits.
        close_timeout: seconds that closing a connection may take.

    Raises:
        TypeError, ValueError: an argument is invalid. Raised at once; the other when awaited.
        OSError: it cannot listen there.

    Rules: ``spec/connections.md``.
    """
    target = where_to_listen(address, sock)
    shared = Settings(prefix, size_limit, strict, request_ids, max_unclaimed, max_unclaimed_size)
    settings = AsyncSettings(shared, max_unsent, close_timeout)
    check_callable(handler)
    check_context(ssl)
    where = target or check_listener(sock, tls=ssl is not None)
    if target and target.scheme != "fd" and (ssl is None) == (target.scheme == "tls"):
        needed = "tls:// needs ssl=, with a certificate" if ssl is None else "ssl= needs tls://"
        raise ValueError(f"{needed}; the address is {address!r}")
    if max_connections is not None:
        max_connections = connection_limit(max_connections)
    times = serving_times(idle_timeout, grace)
    server = Server(handler, where, settings, ssl, max_connections, *times)
    return PendingServer(server)


class PendingServer:
    """What ``serve`` returns: await it, or enter it with ``async with``, once, to listen."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __await__(self) -> Generator[Any, None, Server]:
        return self._server._start().__await__()

    async def __aenter__(self) -> Server:
        return await self._server._start()

    async def __aexit__(self, *_: object) -> None:
        await self._server.__aexit__()


class _ServedConnection:
    """One connection, from the accepted socket to the end of its handler."""

    __slots__ = ("connection", "sock", "task")

    def __init__(self, sock: socket.socket) -> None:
        #: The socket, until it is handed over to the loop.
        self.sock: socket.socket | None = sock
        self.connection: Connection | None = None
        self.task: asyncio.Task[None] | None = None


class Server:
    """The result of ``serve``: accepts connections until it is closed. Belongs to one loop."""

    def __init__(
        self,
        handler: Handler,
        where: Address | socket.socket,
        settings: AsyncSettings,
        context: tls.SSLContext | None,
        max_connections: int | None,
        idle_timeout: float | None,
        grace: float,
    ) -> None:
        self._handler = handler
        self._where = where
        self._address = ""
        self._settings = settings
        self._context = context
        self._max_connections = max_connections
        self._idle_timeout = idle_timeout
        self._grace = grace
        self._started = False
        self._acceptor: Acceptor | None = None
        self._file: SocketFile | None = None  # of a pipe
        self._served: set[_ServedConnection] = set()
        self._closing: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it can be reached: an address for ``connect``."""
        return self._address

    @property
    def connections(self) -> int:
        """How many connections it has, including those in the TLS handshake."""
        return len(self._served)

    def close(self) -> None:
        """Stops accepting, and gives handlers ``grace`` seconds to finish.

        Then their connections are closed, and handlers that still do not finish are cancelled.
        ``wait_closed`` waits for all of that. May be called again.
        """
        if self._closing is None:
            if self._acceptor is not None:
                if self._file is not None:
                    self._file.remove()
                self._acceptor.close()
            self._closing = asyncio.get_running_loop().create_task(self._end())

    async def wait_closed(self) -> None:
        """Waits until no handler is running; call it after ``close``."""
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        try:
            await self.wait_closed()
        except BaseException:
            if self._closing is not None:
                self._closing.cancel()
            self._abort()
            raise

    # Accepting

    async def _start(self) -> Server:
        if self._started:
            raise RuntimeError("this server has already been started; create a new one")
        self._started = True
        encrypted = self._context is not None
        if isinstance(self._where, socket.socket):
            listener, self._file, address = take_over(self._where, tls=encrypted)
        else:
            listener, self._file, address = await listen(self._where, tls=encrypted)
        self._address = str(address)
        self._acceptor = Acceptor(listener, self._accepted)
        self._acceptor.resume()
        return self

    def _accepted(self, sock: socket.socket) -> None:
        # Set up before the task is made (CON-S1): an eager task factory starts it at once.
        served = _ServedConnection(sock)
        self._served.add(served)
        if self._max_connections is not None and len(self._served) >= self._max_connections:
            assert self._acceptor is not None
            self._acceptor.pause()  # CON-S3
        served.task = asyncio.get_running_loop().create_task(self._serve(served))
        served.task.add_done_callback(partial(self._done, served))

    def _done(self, served: _ServedConnection, task: asyncio.Task[None]) -> None:
        self._served.remove(served)
        if served.sock is not None:
            served.sock.close()  # cancelled before it started
        if self._closing is None and self._acceptor is not None:
            self._acceptor.resume()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            address = shown(self.address)
            _logger.error("a connection to %s was not served", address, exc_info=error)

    async def _serve(self, served: _ServedConnection) -> None:
        assert served.sock is not None
        sock, served.sock = served.sock, None
        connection = served.connection = await self._take_over(sock)
        if connection is None:
            return
        where = shown(connection.remote_address or self.address)
        try:
            await self._handler(connection)
        except ConnectionClosed as closed:
            _logger.debug("%s: %s", where, shown(closed))
        except (Exception, SystemExit):  # CON-S2: asyncio would end the loop for a SystemExit
            _logger.exception("the handler of the connection with %s failed", where)
        finally:
            connection.close()
        await connection.wait_closed()

    async def _take_over(self, sock: socket.socket) -> Connection | None:
        loop = asyncio.get_running_loop()
        # Made here, not taken from the result of `make`: with TLS, uvloop returns another protocol.
        protocol = self._settings.protocol()
        make = partial(loop.connect_accepted_socket, lambda: protocol, sock)
        limit = HANDSHAKE_TIMEOUT
        if self._idle_timeout is not None:
            limit = min(limit, self._idle_timeout)
        try:
            await hand_over(sock, protocol, make, self._context, limit)
        except OSError as error:
            address = shown(self.address)
            _logger.info(
                "a connection to %s failed before it was served: %s", address, shown(error)
            )
            return None
        if self._idle_timeout is not None:
            protocol.watch_idleness(self._idle_timeout)
        return Connection(protocol)

    # Ending

    async def _end(self) -> None:  # CON-S6
        await self._wait(self._grace)
        for served in self._served:
            if served.connection is not None:
                served.connection.close()
        await self._wait(_AFTER_CLOSE)
        self._abort()
        await self._wait(_AFTER_CLOSE)
        if self._served:
            _logger.error(
                "%d handlers are still running although they were cancelled", len(self._served)
            )

    async def _wait(self, seconds: float) -> None:
        tasks = [served.task for served in self._served if served.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
            await asyncio.sleep(0)  # lets their done callbacks run

    def _abort(self) -> None:
        for served in list(self._served):
            if served.connection is not None:
                served.connection.abort()
            if served.task is not None:
                served.task.cancel()
