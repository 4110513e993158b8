"""One connection to NATS: ``nats-py``'s client, which lets go of it however it ends.

Importing this needs ``nats-py``, so that ``nats.py`` does it when a connection is made.
"""

from __future__ import annotations

import asyncio
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

#: What nats-py raises when a connection is missing or lost, or when an address is wrong.
_FAULTS: Final = (OSError, Error, ValueError, ImportError, asyncio.TimeoutError)
_KEPT_FAULTS: Final = 64

#: Seconds for a connection to each of the servers, for the last words to leave, and for its end.
_PATIENCE: Final = 5.0
_LAST_WORDS: Final = 1.0
_CLOSING: Final = 1.0
#: Seconds between looks whether the connection is lost.
_LOOK: Final = 0.1


class NatsClient(Client):
    """A connection, which is not made again when it is lost.

    Args:
        address: where the servers are, for texts.
        arrived: is told what has arrived.
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
        #: Bytes that wait to be sent.
        self.waiting = 0

    async def open(self, servers: Sequence[str], options: dict[str, Any]) -> None:
        """Connects to one of the servers.

        Raises:
            BusError: none of them can be used.
        """
        patience = _PATIENCE * len(servers)
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
            if not isinstance(error, _FAULTS):
                raise
            said = [fault for fault in self._faults if not isinstance(fault, OSError)]
            cause = str((said or [*self._faults, error])[0]) or "no answer in time"
            raise BusError(f"no connection to the bus at {self._address}: {cause}") from None

    async def run(self) -> None:
        """Carries out what is wanted for as long as there is a connection.

        nats-py need not tell that it has lost the connection, and a command can wait for ever then.
        So nothing but its state decides.
        """
        carrying = asyncio.ensure_future(self._carry())
        try:
            while self.is_connected and not carrying.done():
                await asyncio.wait([carrying], timeout=_LOOK)
        finally:
            self._is_ending = True
            await _end(carrying)
        if not carrying.cancelled() and (error := carrying.exception()) is not None:
            server_logger.error("the bus at %s fails", self._address, exc_info=error)

    @property
    def reason(self) -> str:
        """Why the connection was lost."""
        error = self.last_error
        return shown(error) if error is not None else "the server has ended the connection"

    async def end(self) -> None:
        """Ends the connection. What waits is sent if that does not take long."""
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())
        await asyncio.wait([self._ending])

    async def _end(self) -> None:
        if self.is_connected:
            await _end(asyncio.ensure_future(self._say_last()), _LAST_WORDS)
        await _end(asyncio.ensure_future(self.close()), _CLOSING)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        # nats-py would first send what is left. It would wait for ever for a server that does not
        # read, and stop half-way if the connection is lost: the tasks of subscriptions would stay.
        self._pending_data_size = 0
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        await super()._close(status, do_cbs)

    async def _failed(self, error: Exception) -> None:
        self._faults.append(error)
        if isinstance(error, SlowConsumerError) or "permissions" in str(error).lower():
            server_logger.warning("the bus at %s says: %s", self._address, shown(error))

    # --- messages

    def command(self, command: BusMessage) -> None:
        """Does this soon, and in order; not at all without a connection."""
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

    async def _say_last(self) -> None:
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
        except _FAULTS as error:  # that the connection is lost, `run` finds
            server_logger.debug("the bus at %s: %s", self._address, shown(error))

    async def _came(self, message: Msg) -> None:
        headers = message.headers or {}
        nobody = headers.get("Status") == "503" and not message.data
        self._arrived(Arrival(message.subject, message.data, message.reply, nobody))


async def _end(task: asyncio.Task[None], seconds: float = 0.0) -> None:
    """Ends a task that may never end: it gets some seconds, and is cancelled then."""
    await asyncio.wait([task], timeout=seconds)
    while not task.done():
        task.cancel()  # nats-py keeps a cancellation to itself, at times
        await asyncio.wait([task], timeout=0.1)
    if not task.cancelled():
        task.exception()  # or asyncio would complain that nobody has looked
