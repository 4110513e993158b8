"""One connection to NATS: the client of ``nats-py``, with an end that always comes.

Importing this module needs ``nats-py``, so ``nats.py`` imports it when it connects.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error, SlowConsumerError

from ..transport.logs import shown
from .bus import Arrival, BusError, BusMessage, Publish, Subscribe
from .loggers import server_logger

__all__ = ["NatsClient"]

#: The exceptions of nats-py for missing and lost connections, and for invalid addresses.
_FAULTS: Final = (OSError, Error, ValueError, ImportError, asyncio.TimeoutError)
_KEPT_FAULTS: Final = 64

# Seconds.
_CONNECT_TIMEOUT: Final = 5.0  # for each server
_FLUSH_TIMEOUT: Final = 1.0  # for sending what is queued
_CLOSE_TIMEOUT: Final = 1.0
_LOOK: Final = 0.1  # between checks whether the connection is lost


class NatsClient(Client):
    """A connection that does not reconnect.

    Args:
        address: the addresses of the servers, for messages.
        arrived: called with each message that arrives.
    """

    def __init__(self, address: str, arrived: Callable[[Arrival], None]) -> None:
        super().__init__()
        self._address = address
        self._arrived = arrived
        self._subscriptions: dict[str, Subscription] = {}
        self._commands: deque[BusMessage] = deque()
        self._wanted = asyncio.Event()
        self._is_ending = False
        self._ending: asyncio.Task[None] | None = None
        self._faults: deque[Exception] = deque(maxlen=_KEPT_FAULTS)
        #: Number of bytes that wait to be sent.
        self.waiting = 0

    async def open(self, servers: Sequence[str], options: dict[str, Any]) -> None:
        """Connects to one of the servers.

        Raises:
            BusError: none of them can be used.
        """
        patience = _CONNECT_TIMEOUT * len(servers)
        connecting = asyncio.ensure_future(
            self.connect(
                list(servers),
                no_echo=True,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=self._failed,
                **options,
            )
        )
        try:
            await asyncio.wait([connecting], timeout=patience)
            if not connecting.done():
                raise TimeoutError(f"no answer within {patience:g} s")
            connecting.result()
        except BaseException as error:
            await _end(connecting)
            await self.end()
            if not isinstance(error, Exception):
                raise
            # Not only _FAULTS: malformed credentials also raise the exceptions of nkeys.
            said = [fault for fault in self._faults if not isinstance(fault, OSError)]
            cause = _text((said or [*self._faults, error])[0])
            raise BusError(f"no connection to the bus at {self._address}: {cause}") from None

    async def run(self) -> None:
        """Carries out commands until the connection is lost.

        nats-py does not always report a lost connection, and a command may then wait forever. So
        this checks the state of the client.
        """
        carrying = asyncio.ensure_future(self._carry())
        try:
            while self.is_connected and not carrying.done():
                await asyncio.wait([carrying], timeout=_LOOK)
        finally:
            self._is_ending = True
            await _end(carrying)
        if not carrying.cancelled() and (error := carrying.exception()) is not None:
            server_logger.error("error on the bus at %s", self._address, exc_info=error)

    @property
    def reason(self) -> str:
        """Why the connection was lost."""
        error = self.last_error
        return shown(error) if error is not None else "the server has ended the connection"

    async def end(self) -> None:
        """Ends the connection. Sends queued messages first, for a limited time."""
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())
        await asyncio.wait([self._ending])

    async def _end(self) -> None:
        if self.is_connected:
            await _end(asyncio.ensure_future(self._flush_commands()), _FLUSH_TIMEOUT)
        await _end(asyncio.ensure_future(self.close()), _CLOSE_TIMEOUT)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        # nats-py would first flush its buffer. It would wait forever for a server that does not
        # read, and stop half-way if the connection is lost, which leaks tasks of subscriptions.
        self._pending_data_size = 0
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        await super()._close(status, do_cbs)

    async def _failed(self, error: Exception) -> None:
        self._faults.append(error)
        if isinstance(error, SlowConsumerError) or "permissions" in str(error).lower():
            server_logger.warning("the bus at %s reports: %s", self._address, shown(error))

    # --- messages

    def command(self, command: BusMessage) -> None:
        """Queues a command; drops it if there is no connection."""
        if self.is_connected:
            if isinstance(command, Publish):
                self.waiting += len(command.data)
            self._commands.append(command)
            self._wanted.set()

    async def _carry(self) -> None:
        while self.is_connected:
            self._wanted.clear()
            while self._commands and not self._is_ending:
                await self._carry_out(self._commands.popleft())
            await self._wanted.wait()

    async def _flush_commands(self) -> None:
        while self._commands:
            command = self._commands.popleft()
            if isinstance(command, Publish):
                await self._carry_out(command)
        await self.flush()

    async def _carry_out(self, command: BusMessage) -> None:
        try:
            if isinstance(command, Publish):
                self.waiting -= len(command.data)
                await self.publish(command.subject, command.data, reply=command.reply)
            elif isinstance(command, Subscribe):
                subscription = await self.subscribe(command.subject, cb=self._came)
                self._subscriptions[command.subject] = subscription
            else:
                former = self._subscriptions.pop(command.subject, None)
                if former is not None:
                    await former.unsubscribe()
        except _FAULTS as error:  # `run` detects a lost connection
            server_logger.debug("the bus at %s: %s", self._address, shown(error))

    async def _came(self, message: Msg) -> None:
        headers = message.headers or {}
        nobody = headers.get("Status") == "503" and not message.data
        self._arrived(Arrival(message.subject, message.data, message.reply, nobody))


def _text(error: Exception) -> str:
    """The message of an exception, without its number."""
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror.partition(" (")[0]  # asyncio and ssl append details
        return os.strerror(error.errno) if text == "Connect call failed" and error.errno else text
    return str(error) or "no answer in time"


async def _end(task: asyncio.Task[None], seconds: float = 0.0) -> None:
    """Waits for a task for some seconds, then cancels it until it has ended."""
    await asyncio.wait([task], timeout=seconds)
    while not task.done():
        task.cancel()  # nats-py sometimes swallows a cancellation
        await asyncio.wait([task], timeout=0.1)
    if not task.cancelled():
        task.exception()  # marks it as retrieved
