"""NATS as the bus, with ``nats-py``, which is imported when a connection is made.

When the connection is lost, a new client takes the place of the old one. So nothing that was
published before is sent late, which nats-py's own way of reconnecting would do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..transport.logs import shown
from .bus import Arrival, Bus, BusError, BusListener, Publish, Subscribe, Unsubscribe
from .loggers import server_logger

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

__all__ = ["NatsBus"]

#: Bytes that may wait to be sent. More cannot be sent then.
_MOST_WAITING: Final = 16 << 20
_CROWDED: Final = 1 << 20
#: Seconds between attempts to connect again, and for the last words to leave.
_PAUSE: Final = 0.5
#: Seconds for a connection to each of the servers.
_PATIENCE: Final = 5.0
_LAST_WORDS: Final = 1

_PORT: Final = 4222
_OWN: Final = {
    "servers",
    "allow_reconnect",
    "closed_cb",
    "disconnected_cb",
    "error_cb",
    "max_reconnect_attempts",
    "no_echo",
    "reconnect_time_wait",
    "reconnected_cb",
}


class NatsBus(Bus):
    """A connection to NATS.

    Args:
        servers: addresses of NATS servers: ``nats://host:port``, ``tls://host:port``, with
            ``user:password@`` or ``token@`` in front of the host where they ask for that.
        options: anything else that ``nats.connect`` takes: ``tls``, ``user_credentials``,
            ``nkeys_seed``, ``user``, ``password``, ``token`` …

    Raises:
        TypeError, ValueError: an argument is wrong.
    """

    def __init__(self, servers: str | Sequence[str], **options: Any) -> None:
        listed = servers.split(",") if isinstance(servers, str) else servers
        self._servers = [each.strip() for each in listed if each.strip()]
        if not self._servers:
            raise ValueError("a bus needs the address of a NATS server, as nats://host:4222")
        for each in self._servers:
            if urlsplit(each).scheme not in ("nats", "tls", "ws", "wss"):
                raise ValueError(f"{_place(each)} is not an address of NATS, as nats://host:4222")
        wrong = _OWN & options.keys()
        if wrong:
            raise TypeError(f"{', '.join(sorted(wrong))}: decided by vfiipc, not an option")
        self._options = {"connect_timeout": 3, "ping_interval": 5, **options}
        self._client: Client | None = None
        self._listener: BusListener | None = None
        self._subjects: dict[str, None] = {}  # in order
        self._subscriptions: dict[str, Any] = {}
        self._commands: deque[Publish | Subscribe | Unsubscribe] = deque()
        self._size = 0
        self._is_too_large = False
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._reason = ""

    @property
    def address(self) -> str:
        return ", ".join(map(_place, self._servers))

    @property
    def max_payload(self) -> int:
        return self._client.max_payload if self._client is not None else 0

    @property
    def is_crowded(self) -> bool:
        return self._size > _CROWDED

    async def connect(self, listener: BusListener) -> None:
        """Connects.

        Raises:
            BusError: it cannot be done.
            ImportError: ``nats-py`` is not installed.
        """
        self._client = await self._dial()
        self._listener = listener
        self._task = asyncio.get_running_loop().create_task(self._run(self._client))

    def publish(self, message: Publish) -> bool:
        client = self._client
        size = len(message.data)
        if client is None or not client.is_connected or self._size + size > _MOST_WAITING:
            return False
        if size > client.max_payload:
            self._complain(size, client.max_payload)
            return False
        self._size += size
        self._command(message)
        return True

    def subscribe(self, subject: str) -> None:
        self._subjects[subject] = None
        self._command(Subscribe(subject))

    def unsubscribe(self, subject: str) -> None:
        self._subjects.pop(subject, None)
        self._command(Unsubscribe(subject))

    async def aclose(self) -> None:
        self._closed = True
        task, self._task = self._task, None
        client, self._client = self._client, None
        self._listener = None
        while task is not None and not task.done():
            task.cancel()  # nats-py keeps a cancellation to itself, at times
            await asyncio.wait([task], timeout=0.1)
        if client is not None:
            for command in self._commands:
                if isinstance(command, Publish):
                    await self._carry_out(client, command)
            if client.is_connected:
                await _quietly(client.flush(_LAST_WORDS))
            await _quietly(client.close())

    # --- connections

    async def _dial(self) -> Client:
        try:
            from nats.aio.client import Client
            from nats.errors import Error, SlowConsumerError
        except ImportError as error:
            hint = "in a clone of vfiipc: pip install '.[nats]'"
            raise ImportError(f"NATS needs nats-py ({error}); {hint}") from None
        faults: list[BaseException] = []

        async def failed(error: Exception) -> None:
            faults.append(error)
            if isinstance(error, SlowConsumerError) or "permissions" in str(error).lower():
                server_logger.warning("the bus at %s says: %s", self.address, shown(error))

        async def closed() -> None:
            self._reason = shown(faults[-1]) if faults else "the server has ended the connection"
            self._wanted.set()

        client = Client()
        connecting = client.connect(
            self._servers,
            no_echo=True,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            error_cb=failed,
            closed_cb=closed,
            **self._options,
        )
        try:
            await _within(_PATIENCE * len(self._servers), connecting)
        except (OSError, Error, ValueError, ImportError, asyncio.TimeoutError) as error:
            await _quietly(client.close())
            said = [fault for fault in faults if not isinstance(fault, OSError)]
            cause = (said or faults or [error])[0]
            raise BusError(f"no connection to the bus at {self.address}: {cause}") from None
        return client

    async def _run(self, client: Client) -> None:
        while True:
            await self._pump(client)
            if self._is_closed():
                return  # closed on this side
            self._client = None
            self._commands.clear()
            self._subscriptions.clear()
            self._size = 0
            if self._listener is not None:
                self._listener.lost(self._reason)
            await _quietly(client.close())
            client = await self._dial_again()
            self._client = client
            self._commands.clear()  # what was wanted meanwhile is among the subjects
            self._commands.extend(map(Subscribe, self._subjects))
            if self._listener is not None:
                self._listener.connected()

    def _is_closed(self) -> bool:
        return self._closed

    async def _dial_again(self) -> Client:
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                return await self._dial()
            except BusError as error:
                server_logger.debug("%s", shown(error))

    # --- messages

    def _command(self, command: Publish | Subscribe | Unsubscribe) -> None:
        self._commands.append(command)
        self._wanted.set()

    async def _pump(self, client: Client) -> None:
        """Carries out what is wanted, in order, until the connection has ended."""
        while client.is_connected and not self._is_closed():
            self._wanted.clear()
            while self._commands and not self._is_closed():
                command = self._commands.popleft()
                await self._carry_out(client, command)
                if isinstance(command, Publish):
                    self._size -= len(command.data)
            await self._wanted.wait()

    async def _carry_out(self, client: Client, command: Publish | Subscribe | Unsubscribe) -> None:
        from nats.errors import Error

        try:
            if isinstance(command, Publish):
                await client.publish(command.subject, command.data, reply=command.reply)
            elif isinstance(command, Subscribe):
                subscription = await client.subscribe(command.subject, cb=self._came)
                self._subscriptions[command.subject] = subscription
            else:
                subscription = self._subscriptions.pop(command.subject, None)
                if subscription is not None:
                    await subscription.unsubscribe()
        except (OSError, Error) as error:  # that the connection is lost, `_pump` finds
            server_logger.debug("the bus at %s: %s", self.address, shown(error))

    async def _came(self, message: Msg) -> None:
        if self._listener is not None:
            headers = message.headers or {}
            nobody = headers.get("Status") == "503" and not message.data
            incoming = Arrival(message.subject, message.data, message.reply, nobody)
            self._listener.arrived(incoming)

    def _complain(self, size: int, allowed: int) -> None:
        if not self._is_too_large:
            self._is_too_large = True
            text = "%d bytes are too many for the bus, which takes %d; not sent (logged once)"
            server_logger.warning(text, size, allowed)


def _place(server: str) -> str:
    """An address without what is secret."""
    try:
        parts = urlsplit(server)
        return shown(f"{parts.scheme}://{parts.hostname or ''}:{parts.port or _PORT}")
    except ValueError:
        return "a server"


async def _within(seconds: float, doing: Coroutine[Any, Any, None]) -> None:
    """Waits for something that nats-py does, which need not end, nor heed a cancellation."""
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        task.cancel()
    if not task.done():
        raise TimeoutError(f"no answer within {seconds:g} s")
    task.result()


async def _quietly(closing: Coroutine[Any, Any, None]) -> None:
    from nats.errors import Error

    try:
        await _within(_LAST_WORDS, closing)
    except (OSError, Error, asyncio.TimeoutError):
        pass
