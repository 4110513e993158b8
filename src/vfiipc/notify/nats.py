"""NATS as the bus, with ``nats-py``, which is imported when a connection is made.

When the connection is lost, a new client takes the place of the old one. So nothing that was
published before is sent late, which nats-py's own way of reconnecting would do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..transport.logs import shown
from .bus import Arrival, Bus, BusError, BusListener, Publish, Subscribe, Unsubscribe
from .loggers import server_logger

if TYPE_CHECKING:
    from .nats_client import NatsClient

__all__ = ["NatsBus"]

#: Bytes that may wait to be sent. More cannot be sent then.
_MOST_WAITING: Final = 16 << 20
_CROWDED: Final = 1 << 20
#: Seconds between attempts to connect again.
_PAUSE: Final = 0.5

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
        self._client: NatsClient | None = None
        self._listener: BusListener | None = None
        self._subjects: dict[str, None] = {}  # in order
        self._is_too_large = False
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def address(self) -> str:
        return ", ".join(map(_place, self._servers))

    @property
    def max_payload(self) -> int:
        return self._client.max_payload if self._client is not None else 0

    @property
    def is_crowded(self) -> bool:
        return self._client is not None and self._client.waiting > _CROWDED

    async def connect(self, listener: BusListener) -> None:
        """Connects.

        Raises:
            BusError: it cannot be done.
            ImportError: ``nats-py`` is not installed.
        """
        client = await self._dial()
        if self._closed:
            await client.end()
            raise BusError(f"the bus at {self.address} was closed while it connected")
        self._listener = listener
        self._task = asyncio.get_running_loop().create_task(self._run(client))
        self._use(client)

    def publish(self, message: Publish) -> bool:
        client = self._client
        size = len(message.data)
        if client is None or not client.is_connected or client.waiting + size > _MOST_WAITING:
            return False
        if size > client.max_payload:
            self._complain(size, client.max_payload)
            return False
        client.command(message)
        return True

    def subscribe(self, subject: str) -> None:
        if subject not in self._subjects:
            self._subjects[subject] = None
            if self._client is not None:
                self._client.command(Subscribe(subject))

    def unsubscribe(self, subject: str) -> None:
        if subject in self._subjects:
            del self._subjects[subject]
            if self._client is not None:
                self._client.command(Unsubscribe(subject))

    async def aclose(self) -> None:
        self._closed = True
        self._listener = None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        client, self._client = self._client, None
        if client is not None:
            await client.end()

    # --- connections

    async def _dial(self) -> NatsClient:
        try:
            from .nats_client import NatsClient
        except ImportError as error:
            hint = "in a clone of vfiipc: pip install '.[nats]'"
            raise ImportError(f"NATS needs nats-py ({error}); {hint}") from None
        client = NatsClient(self.address, self._arrived)
        await client.open(self._servers, self._options)
        return client

    def _use(self, client: NatsClient) -> None:
        self._client = client
        for subject in self._subjects:
            client.command(Subscribe(subject))

    async def _run(self, client: NatsClient) -> None:
        call = asyncio.get_running_loop().call_soon  # a failure there does not end this task
        while True:
            await client.run()
            if self._listener is not None:
                call(self._listener.lost, client.reason)
            await client.end()
            client = await self._dial_again()
            self._use(client)
            if self._listener is not None:
                call(self._listener.connected)

    async def _dial_again(self) -> NatsClient:
        while True:
            await asyncio.sleep(_PAUSE)
            try:
                return await self._dial()
            except Exception as error:  # noqa: BLE001 - whatever is there now, NATS comes back
                server_logger.debug("%s", shown(error))

    # --- messages

    def _arrived(self, arrival: Arrival) -> None:
        if self._listener is not None:
            self._listener.arrived(arrival)

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
