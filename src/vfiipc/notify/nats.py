"""NATS as the bus, with ``nats-py``, which is imported when a connection is made.

When a connection is lost, it is replaced by one with a new client. nats-py's own reconnecting would
send messages that were published earlier, and are outdated by then.
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

#: Maximum number of bytes that wait to be sent; beyond it, messages are refused.
_MAX_WAITING: Final = 16 << 20
_CROWDED: Final = 1 << 20
#: Seconds between attempts to reconnect.
_PAUSE: Final = 0.5

_PORT: Final = 4222
_SCHEMES: Final = ("nats", "tls", "ws", "wss")
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
        servers: addresses of NATS servers: ``nats://host:port`` or ``tls://host:port``. They can
            contain ``user:password@`` or ``token@`` before the host.
        options: other arguments of ``nats.connect``: ``tls``, ``user_credentials``,
            ``nkeys_seed``, ``user``, ``password``, ``token`` and others.

    Raises:
        TypeError, ValueError: an argument is invalid.
    """

    def __init__(self, servers: str | Sequence[str], **options: Any) -> None:
        listed = servers.split(",") if isinstance(servers, str) else servers
        self._servers = [each.strip() for each in listed if each.strip()]
        if not self._servers:
            raise ValueError("no NATS server given; use an address such as nats://host:4222")
        for each in self._servers:
            fault = _fault(each)
            if fault is not None:
                raise ValueError(
                    f"invalid NATS address: {fault}; use an address such as nats://host:4222"
                )
        wrong = _OWN & options.keys()
        if wrong:
            raise TypeError(
                f"{', '.join(sorted(wrong))}: set by vfiipc, and not available as options"
            )
        self._options = {"connect_timeout": 3, "ping_interval": 5, **options}
        self._client: NatsClient | None = None
        self._listener: BusListener | None = None
        self._subjects: dict[str, None] = {}  # an ordered set
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
            BusError: the connection failed.
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
        if client is None or not client.is_connected or client.waiting + size > _MAX_WAITING:
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
            text = "not sending a message of %d bytes, because the bus allows %d (logged only once)"
            server_logger.warning(text, size, allowed)


def _fault(server: str) -> str | None:
    """What is wrong with an address; None if nothing is. Shows no part that can be a password."""
    try:
        parts = urlsplit(server)
    except ValueError:
        return "the brackets do not match"
    if parts.scheme not in _SCHEMES:
        return f"the scheme is {parts.scheme!r}" if parts.scheme else "it has no scheme"
    if not parts.hostname:
        return "it has no host"
    try:
        wrong = parts.port == 0
    except ValueError:
        wrong = True
    return f"the port of {parts.hostname!r} must be in 1..65535" if wrong else None


def _place(server: str) -> str:
    """A valid address without its credentials."""
    parts = urlsplit(server)
    return shown(f"{parts.scheme}://{parts.hostname}:{parts.port or _PORT}")
