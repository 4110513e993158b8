"""The server: moves messages between connections and the router.

The router decides who gets what. This module decides which payloads are ignored (malformed, or too
large) and when a client that does not read is disconnected.
"""

from __future__ import annotations

import asyncio
import platform
import secrets
import ssl as tls
import time
from collections.abc import Generator, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol

from .. import aio
from ..transport.logs import NOTICE, shown
from .actions import Action, Deliver, Observed, Refused, TellUndeliverable
from .allow import AllowList
from .bus import Bus
from .bus_link import BusLink
from .client_queue import Guest
from .json_members import MalformedPayload
from .keepalive import is_local, keep_alive
from .loggers import server_logger
from .messages import (
    GROWTH,
    MAX_PAYLOAD,
    PREFIX,
    Message,
    Notify,
    Observe,
    Register,
    Unregister,
    decode,
    encode,
)
from .node import Node
from .router import MAX_REMOTE, Router

__all__ = ["MAX_QUEUE", "MAX_QUEUE_SIZE", "PendingService", "Service", "serve"]

#: Messages, and bytes of their payloads, that may wait for a client (NFY-Q1).
MAX_QUEUE: Final = 4096
MAX_QUEUE_SIZE: Final = 4 << 20

#: Seconds that a client with a full queue may take nothing, and how many times as full it may get.
_PATIENCE: Final = 2.0
_FACTOR: Final = 4

#: When this many wait for a client, its sender lets other tasks run.
_BATCH: Final = 32

_DISCARDED: Final = "sent too large a payload, or bytes that are not a message"


def serve(
    *addresses: str,
    allow: AllowList | None = None,
    ssl: tls.SSLContext | None = None,
    max_payload: int = MAX_PAYLOAD,
    max_remote: int = MAX_REMOTE,
    max_queue: int = MAX_QUEUE,
    max_queue_size: int = MAX_QUEUE_SIZE,
    max_connections: int | None = None,
    bus: Bus | None = None,
    node: str | None = None,
) -> PendingService:
    """A notification server, when the result is awaited or entered with ``async with``.

    Args:
        addresses: where it listens: ``tcp://host:port`` and ``tls://host:port`` for remote clients,
            ``pipe:///path`` for local ones. A port of 0 lets the system choose.
        allow: what remote clients may send and receive; None allows everything.
        ssl: required for ``tls://``: a context with the server's certificate.
        max_payload: maximum size of an accepted payload, in bytes, 1 or more.
        max_remote: registrations that all remote clients together may hold, 0 or more.
        max_queue: messages that may wait for a client before it is disconnected, 1 or more.
        max_queue_size: bytes of their payloads before it is disconnected, 1 or more.
        max_connections: clients of each address at once, 1 or more; None sets no limit.
        bus: connects this server with others, so that they act as one: a ``NatsBus``.
        node: a unique name on the bus, 1 to 255 bytes; the host name if None.

    Raises:
        TypeError, ValueError: an argument is invalid.
        OSError: it cannot listen there. Raised when awaited.
        BusError: the bus cannot be reached or is unsuitable, or another server has the name.
            Raised when awaited.
    """
    if not addresses:
        raise ValueError("a notification server needs an address to listen on")
    _check_limits(1, max_payload=max_payload, max_queue=max_queue, max_queue_size=max_queue_size)
    _check_limits(0, max_remote=max_remote)
    if allow is not None and not isinstance(allow, AllowList):
        raise TypeError(f"allow must be an AllowList or None, not {type(allow).__name__}")
    encrypted = [str(address).lower().startswith("tls://") for address in addresses]
    if ssl is not None and not any(encrypted):
        raise ValueError("ssl= is for tls:// addresses, and none is given")
    if bus is not None and not isinstance(bus, Bus):
        raise TypeError(f"bus must be a Bus or None, not {type(bus).__name__}")
    if node is not None and bus is None:
        raise ValueError("node= is the name of this server on a bus, so it needs bus=")
    router = Router(
        allow,
        max_remote=max_remote,
        first_reference=1 + secrets.randbelow(2**52),
        shared=bus is not None,
    )
    service = Service(router, max_payload, max_queue, max_queue_size)
    if bus is not None:
        own = Node(platform.node() if node is None else node, router, sessions=_session)
        service._link = BusLink(own, bus, max_payload, service._carry_out_for_others)
    servers = [
        aio.serve(
            service._serve,
            address,
            prefix=PREFIX,
            size_limit=max_payload + GROWTH,
            ssl=ssl if is_encrypted else None,
            max_connections=max_connections,
            max_unsent=1,  # what waits belongs into the queue of the client
            grace=0,
        )
        for address, is_encrypted in zip(addresses, encrypted)
    ]
    return PendingService(service, servers)


def _check_limits(least: int, **limits: int) -> None:
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be an int, not {type(value).__name__}")
        if value < least:
            raise ValueError(f"{name} is {value}, but must be {least} or more")


def _session() -> str:
    """A word that no other server has, and that sorts by time (NFY-G4)."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"


class Sender(Protocol):
    """Who causes something: a client, or the bus. It is told when a queue grows."""

    should_yield: bool


class PendingService:
    """A server that is about to listen; await it or enter it with ``async with``, once."""

    def __init__(self, service: Service, servers: list[Any]) -> None:
        self._service = service
        self._servers = servers

    def __await__(self) -> Generator[Any, None, Service]:
        return self._service._start(self._servers).__await__()

    async def __aenter__(self) -> Service:
        return await self._service._start(self._servers)

    async def __aexit__(self, *_: object) -> None:
        await self._service.aclose()


class Service:
    """A running notification server, as made by ``serve``. Belongs to one loop."""

    def __init__(
        self, router: Router, max_payload: int, max_queue: int, max_queue_size: int
    ) -> None:
        self._router = router
        self._max_payload = max_payload
        self._max_queue = max_queue
        self._max_queue_size = max_queue_size
        self._guests: dict[int, Guest] = {}
        self._servers = AsyncExitStack()
        self._addresses: tuple[str, ...] = ()
        self._link: BusLink | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it can be reached: addresses for ``connect``, in the order given."""
        return self._addresses

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._guests)

    async def aclose(self) -> None:
        """Stops listening, disconnects all clients, and leaves the other servers."""
        await self._servers.aclose()

    async def run(self) -> None:
        """Returns when this server had to leave the bus.

        That happens if another server had its name first, which is possible only if the two could
        not reach each other at the start. Notifications then stay on this server. Without a bus, it
        waits forever.
        """
        if self._link is None:
            await asyncio.get_running_loop().create_future()
        else:
            await self._link.name_taken.wait()

    async def _start(self, servers: Iterable[Any]) -> Service:
        async with AsyncExitStack() as stack:
            if self._link is not None:
                await self._link.start()
                stack.push_async_callback(self._link.aclose)
            started = [await stack.enter_async_context(server) for server in servers]
            self._addresses = tuple(server.address for server in started)
            self._servers = stack.pop_all()
        return self

    # --- one client

    async def _serve(self, connection: aio.Connection) -> None:
        keep_alive(connection)
        local = is_local(connection)
        number = self._router.join(local=local)
        guest = self._guests[number] = Guest(number, connection)
        server_logger.info("%s connected, %s", guest, "local" if local else "remote")
        try:
            async for message in connection:
                self._take(guest, message.data)
                if connection.discarded:
                    self._complain(guest, _DISCARDED)
                if guest.should_yield:
                    guest.should_yield = False
                    await asyncio.sleep(0)  # lets the tasks write that empty the queues
        except OSError as reason:  # a client may end its connection as it likes
            server_logger.debug("%s: %s", guest, reason)
        finally:
            if connection.discarded:
                self._complain(guest, _DISCARDED)
            self._leave(guest)
            server_logger.info("%s disconnected", guest)

    def _leave(self, guest: Guest) -> None:
        if self._guests.pop(guest.number, None) is not None:
            self._carry_out(self._router.gone(guest.number, guest.end()))

    def _complain(self, guest: Guest, fault: str) -> None:
        if not guest.complained:  # NFY-M4, NFY-M9
            guest.complained = True
            text = "%s %s; ignored, and so are further faults of this client (logged once)"
            server_logger.warning(text, guest, fault)

    def _take(self, guest: Guest, payload: bytes) -> None:
        """A payload from a client."""
        if guest.number not in self._guests:
            return  # it was disconnected because it does not read
        try:
            message = decode(payload)
        except MalformedPayload as fault:
            self._complain(guest, f"sent {len(payload)} bytes that are malformed: {fault}")
            return
        if message is None:
            return  # NFY-M2
        if len(payload) > self._max_payload and not self._comes_back(message):
            self._complain(guest, f"sent {len(payload)} bytes, {self._max_payload} are allowed")
            return
        if type(message) is Notify:
            self._carry_out(self._router.notify(guest.number, message), guest)
        else:
            self._keep(guest, message)

    def _keep(self, guest: Guest, message: Message) -> None:
        """What a client wants to get."""
        number, router = guest.number, self._router
        if isinstance(message, Register):
            if not router.register(number, message):
                server_logger.info("%s: no room for another remote registration", guest)
        elif isinstance(message, Unregister):
            router.unregister(number, message)
        elif isinstance(message, Observe):
            router.observe(number, wanted=message.wanted)
        if self._link is not None:
            self._link.changed()

    def _comes_back(self, message: Message) -> bool:
        return isinstance(message, Notify) and self._router.has_issued(message.reference)

    # --- what the router wants

    def _carry_out(self, actions: Iterable[Action], sender: Sender | None = None) -> None:
        """Does what the router wants.

        Args:
            actions: what that is.
            sender: who caused it. None when the queue of a disconnected client is redistributed;
                that does not count towards queue limits.
        """
        if self._link is not None:
            actions = self._link.sift(actions)
            if sender is not None and self._link.is_crowded:
                sender.should_yield = True
        self._perform(actions, sender)

    def _carry_out_for_others(self, actions: Iterable[Action]) -> None:
        self._perform(actions, self._link)

    def _perform(self, actions: Iterable[Action], sender: Sender | None) -> None:
        for action in actions:
            if isinstance(action, Deliver):
                self._put(action.client, action.payload, action, sender)
            elif isinstance(action, TellUndeliverable):
                self._put(action.client, encode(action.error), None, sender)
            elif isinstance(action, Observed):
                payload = encode(action.observation)
                for observer in action.clients:
                    self._put(observer, payload, None, sender)
            elif isinstance(action, Refused):
                self._log_refused(action)

    def _put(
        self, number: int, payload: bytes, delivery: Deliver | None, sender: Sender | None
    ) -> None:
        guest = self._guests.get(number)
        if guest is None:
            return  # disconnected since the router decided, by a broadcast or an observation
        guest.put(payload, delivery, counted=sender is not None)
        if sender is None:
            return
        if guest.count >= _BATCH:
            sender.should_yield = True
            if self._is_full(guest, _FACTOR):
                self._disconnect(guest)
            elif guest.timer is None and self._is_full(guest):
                self._watch(guest)

    def _is_full(self, guest: Guest, factor: int = 1) -> bool:
        return guest.count > factor * self._max_queue or guest.size > factor * self._max_queue_size

    def _watch(self, guest: Guest) -> None:
        loop = asyncio.get_running_loop()
        guest.timer = loop.call_later(_PATIENCE, self._check, guest, guest.sent)

    def _check(self, guest: Guest, sent: int) -> None:
        """Disconnects a client with a full queue that has taken nothing lately (NFY-Q2)."""
        guest.timer = None
        if self._is_full(guest):
            if guest.sent == sent:
                self._disconnect(guest)
            else:
                self._watch(guest)

    def _disconnect(self, guest: Guest) -> None:
        count = guest.count
        server_logger.warning("%s does not read: disconnected, %d messages waited", guest, count)
        guest.connection.abort()
        self._leave(guest)

    def _log_refused(self, refused: Refused) -> None:
        notify = refused.notify
        sender: object = self._guests.get(refused.client, "a client that is gone")
        if refused.node:
            sender = f"server {shown(refused.node)}"
        server_logger.log(  # NFY-A6
            NOTICE,
            "not allowed %s: %s from %s to %s, sent by %s",
            refused.direction,
            shown(notify.notification),
            shown(notify.sender),
            shown(notify.to),
            sender,
        )
