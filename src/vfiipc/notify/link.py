"""The client's connection: keepalive, and reconnecting after a loss."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from ..aio import Connection
from ..exchange import ConnectionClosed, same_error
from ..transport.logs import shown
from .keepalive import keep_alive
from .loggers import client_logger

__all__ = ["ClientLink", "Listener"]

# Seconds between attempts to reconnect, and for each of them (NFY-C7).
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0
_ATTEMPT: Final = 10.0


class Listener(NamedTuple):
    """The callbacks of a link.

    Attributes:
        received: a payload has arrived; the next one is read when this has returned.
        made: there is a connection, over which ``send`` works.
        lost: the connection is lost, for this reason.
    """

    received: Callable[[bytes], Awaitable[None]]
    made: Callable[[], Awaitable[None]]
    lost: Callable[[BaseException], None]


class ClientLink:
    """Keeps one connection at a time, and reconnects. Belongs to one loop.

    Args:
        address: the address of the server, for messages.
        dial: connects; called with the time-out in seconds, None for no limit.
        reconnect: whether to reconnect after a loss.
        listener: the callbacks.
    """

    def __init__(
        self,
        address: str,
        dial: Callable[[float | None], Awaitable[Connection]],
        reconnect: bool,
        listener: Listener,
    ) -> None:
        self._address = shown(address)
        self._dial = dial
        self._reconnect = reconnect
        self._listener = listener
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._pause = _FIRST_PAUSE
        self._reason: BaseException = ConnectionClosed(f"not connected to {self._address} yet")
        #: Why there will be no more connections; None while reconnecting is possible.
        self.over: BaseException | None = None
        #: Set while there is a connection, over which everything is registered.
        self.connected = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection to send over."""
        return self._connection is not None

    async def start(self, timeout: float | None) -> None:
        """Connects, once.

        Raises:
            RuntimeError: it has already been started.
            TimeoutError, OSError: there is no connection.
        """
        if self._task is not None:
            raise RuntimeError("this client has already been started; create a new one")
        connection = await self._dial(timeout)
        self._use(connection)
        self.connected.set()
        self._task = asyncio.get_running_loop().create_task(self._run(connection))

    async def send(self, payload: bytes) -> None:
        """Sends a payload.

        Raises:
            ConnectionClosed, OSError: there is no connection.
        """
        if self._connection is None:
            raise same_error(self._reason)
        await self._connection.send(payload)

    async def close(self) -> None:
        """Closes permanently, after sending what is queued."""
        self._reconnect = False
        connection, self._connection = self._connection, None
        self._reason = self.over = ConnectionClosed("the client was closed")
        if connection is not None:
            connection.close()
            await connection.wait_closed()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def wait_over(self) -> None:
        """Returns when ``over`` is set."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _use(self, connection: Connection) -> None:
        keep_alive(connection)
        self._connection = connection

    async def _run(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            made = loop.time()
            reason = await self._read(connection)
            if loop.time() - made > self._pause:
                self._pause = (
                    _FIRST_PAUSE  # a connection that ends sooner counts as a failure (NFY-C7)
                )
            self.connected.clear()
            if self._connection is None:
                return  # closed on this side
            self._connection = None
            self._reason = ConnectionClosed(
                f"the connection to {self._address} is lost: {shown(reason)}"
            )
            level = logging.INFO if isinstance(reason, ConnectionClosed) else logging.WARNING
            client_logger.log(level, "%s", self._reason)
            if not self._reconnect:
                self.over = self._reason
            self._listener.lost(self._reason)
            connection.abort()
            await connection.wait_closed()
            if self.over is not None:
                return
            connection = await self._connect_again()
            client_logger.info("connected to %s again", self._address)
            self._use(connection)
            try:
                await self._listener.made()
                self.connected.set()
            except OSError:
                pass  # reading fails with the same error

    async def _read(self, connection: Connection) -> BaseException:
        received = self._listener.received
        try:
            while True:
                message = await connection.recv()
                await received(message.data)
        except OSError as reason:
            return reason

    async def _connect_again(self) -> Connection:
        while True:
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            try:
                return await self._dial(_ATTEMPT)
            except OSError as error:
                client_logger.info("%s", shown(error))
