"""The client for asyncio: registers handlers, sends, and asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from secrets import token_hex
from typing import Final, NamedTuple

from ..aio import Connection
from ..exchange import ConnectionClosed, same_error, timeout_of
from ..transport.logs import shown
from .dispatcher import Dispatcher
from .handlers import Handled, Handler, Handlers, check_handler
from .link import ClientLink, Listener
from .messages import (
    Message,
    Notify,
    Observation,
    Observe,
    Register,
    Unregister,
    check_application,
    check_flags,
    check_id,
    check_priority,
    encode,
)
from .notification import Notification, Undeliverable, parameter_text
from .pending_asks import Ask, Asks
from .streams import NotificationQueue

__all__ = ["Client", "ClientOptions"]

#: The notification ID with which ``sync`` asks nobody.
_SYNC: Final = "vfiipc.sync"

_CLOSED: Final = "the client was closed"


class ClientOptions(NamedTuple):
    """The arguments of ``connect`` that a client keeps, validated."""

    app_id: str
    address: str
    drain: float
    max_payload: int
    max_handlers: int


class Client:
    """A client of a notification server, as made by ``connect``. Belongs to one loop.

    Any number of tasks may use it at once. Rules: ``spec/notify.md``, section 10.
    """

    def __init__(
        self,
        options: ClientOptions,
        dial: Callable[[float | None], Awaitable[Connection]],
        reconnect: bool,
    ) -> None:
        self._options = options
        self._handlers = Handlers(options.max_handlers)
        self._asks = Asks()
        self._streams: set[NotificationQueue] = set()
        self._closed = False
        # The link and the dispatcher need each other: the one delivers, the other sends back.
        listener = Listener(self._received, self._made, self._lost)
        self._link = ClientLink(options.address, dial, reconnect, listener)
        self._dispatcher = Dispatcher(self._handlers, self._asks, self._link.send)

    def __repr__(self) -> str:
        state = "connected" if self.connected.is_set() else "not connected"
        return f"<Client {self.app_id!r} of {shown(self.address)}, {state}>"

    @property
    def app_id(self) -> str:
        """The application ID."""
        return self._options.app_id

    @property
    def address(self) -> str:
        """The address of the server."""
        return self._options.address

    @property
    def connected(self) -> asyncio.Event:
        """Set while there is a connection."""
        return self._link.connected

    async def start(self, timeout: float | None) -> None:
        """Connects within ``timeout`` seconds; ``connect`` calls it."""
        await self._link.start(timeout)

    # --- registering

    async def register(
        self,
        notification: str,
        handler: Handler | None,
        *,
        priority: int = 0,
        to: str | None = None,
    ) -> None:
        """Registers a handler for notifications; returns when the request is sent (NFY-C1).

        Args:
            notification: the notification ID, 1 to 255 bytes of UTF-8.
            handler: called with each ``Notification``; coroutine functions run as tasks, several at
                once. None withdraws the registration.
            priority: a unicast goes to the highest one; ``-2**31..2**31-1``.
            to: the application that receives; this client's own by default.

        Raises:
            TypeError, ValueError: an argument is invalid.
            RuntimeError: withdrawn from inside its handler.
            ConnectionClosed: the client is closed.
        """
        if handler is None:
            await self.unregister(notification, to=self.app_id if to is None else to)
            return
        check_handler(handler)
        await self._register(self._wish(notification, priority, to), handler)

    def _wish(self, notification: str, priority: int, to: str | None) -> Register:
        receiver = self.app_id if to is None else check_application(to, "to")
        return Register(
            receiver, check_id(notification, "the notification ID"), check_priority(priority)
        )

    async def _register(self, wish: Register, handler: Handler | None) -> Handled:
        over = self._link.over if not self._closed else ConnectionClosed(_CLOSED)
        if over is not None:
            raise same_error(over)
        handled = self._handlers.add(wish, handler)
        await self._tell(wish)
        return handled

    async def unregister(self, notification: str, *, to: str | None = None) -> None:
        """Withdraws registrations; returns when no handler of theirs is running (NFY-C3).

        Args:
            notification: the notification ID.
            to: the receiver; None for all that this client has registered for the ID.

        Raises:
            TypeError, ValueError: an argument is invalid.
            RuntimeError: called from inside such a handler.
        """
        check_id(notification, "the notification ID")
        if to is not None:
            check_application(to, "to")
        found = [
            handled
            for handled in self._handlers.of(notification)
            if to in (None, handled.receiver) and handled.handler is not None
        ]
        for handled in found:
            self._handlers.refuse_inside(handled)
        for handled in found:
            await self._withdraw(handled)
        for handled in found:
            await self._handlers.ended(handled)

    async def _withdraw(self, handled: Handled) -> None:
        if self._handlers.find(handled.notification, handled.receiver) is not handled:
            return  # replaced, or withdrawn already
        if self._asks.need(handled.notification, handled.receiver):
            self._handlers.add(handled.wish, None)  # goes on for the reply alone
            return
        self._handlers.remove(handled)
        await self._tell(Unregister(handled.receiver, handled.notification))

    async def notifications(
        self, notification: str, *, priority: int = 0, to: str | None = None
    ) -> AsyncGenerator[Notification, None]:
        """Iterates over notifications; registers for them and withdraws at the end.

        The iteration ends when the client is closed. Leaving it withdraws the registration, and
        sends back the unicasts that were not taken; with ``contextlib.aclosing`` at once.

        Args:
            notification: the notification ID.
            priority: as for ``register``.
            to: as for ``register``.

        Raises:
            TypeError, ValueError: an argument is invalid.
            ConnectionClosed, OSError: the connection is lost, and not restored.
        """
        stream = NotificationQueue(self._options.max_handlers)
        handled = await self._register(self._wish(notification, priority, to), stream.put)
        self._streams.add(stream)
        try:
            while (given := await stream.take()) is not None:
                yield given
        finally:
            self._streams.discard(stream)
            stream.close()
            await self._withdraw(handled)
            await self._handlers.ended(handled)
            await self._send_back(stream)

    # --- sending

    async def send(
        self,
        to: str,
        notification: str,
        parameter: object = None,
        *,
        flags: int = 0,
        sender: str | None = None,
    ) -> None:
        """Sends a notification; returns when it has been handed to the connection (NFY-C1).

        Args:
            to: an application ID, ``"1"`` for any one application, ``"*"`` for all.
            notification: the notification ID, 1 to 255 bytes of UTF-8.
            parameter: a value for ``json.dumps``, or ``bytes`` with JSON text, sent as they are.
            flags: reserved; 0..2**32-1.
            sender: the application that sends; this client's own by default.

        Raises:
            TypeError, ValueError: an argument is invalid, or the payload is too large.
            ConnectionClosed, OSError: there is no connection; nothing was sent.
        """
        await self._link.send(
            self._checked(self._notify(to, notification, parameter, flags, sender))
        )

    def _notify(
        self, to: str, notification: str, parameter: object, flags: int, sender: str | None
    ) -> Notify:
        return Notify(
            self.app_id if sender is None else check_application(sender, "sender"),
            check_id(to, "to"),
            check_id(notification, "the notification ID"),
            parameter_text(parameter),
            check_flags(flags),
        )

    def _checked(self, notify: Notify) -> bytes:
        payload = encode(notify)
        if len(payload) > self._options.max_payload:
            raise ValueError(
                f"the notification has {len(payload)} bytes, but the server takes"
                f" {self._options.max_payload} at most"
            )
        return payload

    async def ask(
        self,
        to: str,
        notification: str,
        parameter: object = None,
        *,
        reply: str,
        timeout: float | None = None,
        flags: int = 0,
        sender: str | None = None,
    ) -> Notification:
        """Sends a notification and returns the reply to it (NFY-C5).

        Args:
            to: as for ``send``.
            notification: the notification ID.
            parameter: as for ``send``.
            reply: the notification ID of the reply.
            timeout: seconds to wait for it; None sets no limit.
            flags: as for ``send``.
            sender: as for ``send``; the reply comes to this application.

        Raises:
            Undeliverable: the notification was not delivered.
            TimeoutError: no reply arrived in time.
            TypeError, ValueError, ConnectionClosed, OSError: as for ``send``; also, the connection
                was lost before the reply came.
        """
        timeout = timeout_of(timeout)
        check_id(reply, "reply")
        ask = Ask(self._notify(to, notification, parameter, flags, sender), reply)
        payload = self._checked(ask.sent)
        receiver = ask.sent.sender
        self._asks.add(ask)
        try:
            if self._handlers.find(reply, receiver) is None:
                await self._register(Register(receiver, reply), None)
            await self._link.send(payload)
            return await ask.result(timeout)
        finally:
            self._asks.remove(ask)
            handled = self._handlers.find(reply, receiver)
            if handled is not None and handled.handler is None:
                await self._withdraw(handled)

    async def sync(self, timeout: float | None = None) -> None:
        """Returns when the server has processed everything that was sent before (NFY-C1).

        Afterwards registrations are in effect, and the unicast errors of what was sent before have
        arrived. It sends a notification to an application that does not exist, and waits for its
        unicast error.

        Raises:
            TimeoutError: no answer within ``timeout`` seconds; None sets no limit.
            ConnectionClosed, OSError: there is no connection, or it was lost.
        """
        timeout = timeout_of(timeout)
        ask = Ask(Notify(self.app_id, f"{_SYNC}.{token_hex(8)}", _SYNC, b"null"), "")
        self._asks.add(ask)
        try:
            await self._link.send(encode(ask.sent))
            await ask.result(timeout)
        except Undeliverable:
            pass
        finally:
            self._asks.remove(ask)

    def on_unicast_error(self, handler: Handler | None) -> None:
        """Sets the handler for unicast errors; None removes it (NFY-C6).

        It is called with each notification that was not delivered, except those of ``ask``.

        Raises:
            TypeError: the handler is neither callable nor None.
        """
        check_handler(handler)
        self._dispatcher.on_unicast_error = handler

    async def observe(self, handler: Callable[[Observation], object] | None) -> None:
        """Sets the handler for observations; None ends observing. Local clients only.

        Raises:
            TypeError: the handler is neither callable nor None.
            ConnectionClosed, OSError: there is no connection.
        """
        check_handler(handler)
        self._dispatcher.observer = handler
        await self._tell(Observe(wanted=handler is not None))

    # --- the end

    async def close(self) -> None:
        """Unregisters, waits ``drain`` seconds, sends back what still arrives, closes (NFY-C8).

        Handlers that are running then are cancelled. May be called again.
        """
        if self._closed:
            return
        self._closed = True
        try:
            registered = list(self._handlers)
            for handled in registered:
                self._handlers.remove(handled)
                await self._tell(Unregister(handled.receiver, handled.notification))
            if registered and self._link.is_open:
                await asyncio.sleep(self._options.drain)
        finally:
            for stream in list(self._streams):
                await self._send_back(stream)
                stream.end(None)
            await self._link.close()
            self._asks.fail_all(ConnectionClosed(_CLOSED))
            await self._handlers.cancel()

    async def wait_closed(self) -> None:
        """Returns when the connection has ended permanently."""
        await self._link.wait_over()

    # --- what the link reports

    async def _tell(self, message: Message) -> None:
        """Sends what the next connection begins with anyway, if there is one now (NFY-C7)."""
        if self._link.is_open:
            try:
                await self._link.send(encode(message))
            except OSError:
                pass

    async def _received(self, payload: bytes) -> None:
        await self._dispatcher.dispatch(payload)

    async def _made(self) -> None:
        for handled in self._handlers:
            if self._handlers.find(handled.notification, handled.receiver) is handled:
                await self._link.send(encode(handled.wish))
        if self._dispatcher.observer is not None:
            await self._link.send(encode(Observe()))

    def _lost(self, reason: BaseException) -> None:
        self._asks.fail_all(reason)
        if self._link.over is not None:
            for stream in list(self._streams):
                stream.end(reason)

    async def _send_back(self, stream: NotificationQueue) -> None:
        for left in stream.rest():
            if not left.is_broadcast:
                await self._tell(left._notify)
