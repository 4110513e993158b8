"""Handles each payload that a client receives: completes asks, calls handlers, sends back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ..transport.logs import shown
from .handlers import Handler, Handlers
from .json_members import MalformedPayload
from .loggers import client_logger
from .messages import ALL, Notify, Observation, UnicastError, decode
from .notification import Notification
from .pending_asks import Asks

__all__ = ["Dispatcher"]


class Dispatcher:
    """Belongs to one loop.

    Args:
        handlers: called with notifications.
        asks: those that wait for a reply or a unicast error.
        send: sends a payload to the server.
    """

    def __init__(
        self, handlers: Handlers, asks: Asks, send: Callable[[bytes], Awaitable[None]]
    ) -> None:
        self._handlers = handlers
        self._asks = asks
        self._send = send
        self._logged_malformed = False
        #: Called with each ``Observation``; None to observe nothing.
        self.observer: Callable[[Observation], object] | None = None
        #: Called with each notification that could not be delivered; None to log them.
        self.on_unicast_error: Handler | None = None

    async def dispatch(self, payload: bytes) -> None:
        """Decodes a payload and calls whom it is for, once a handler may run (NFY-C2).

        Args:
            payload: the data of a message from the server.

        Raises:
            ConnectionClosed, OSError: it was to be sent back, and the connection is lost.
        """
        await self._handlers.room()
        try:
            message = decode(payload)
        except MalformedPayload as fault:
            if not self._logged_malformed:  # NFY-M4
                self._logged_malformed = True
                text = "the server sent %d bytes; malformed payload ignored: %s (logged once)"
                client_logger.warning(text, len(payload), fault)
            return
        if isinstance(message, UnicastError):
            if not self._asks.fail(message):
                self._undelivered(message)
        elif isinstance(message, Notify):
            await self._notified(message, payload)
        elif isinstance(message, Observation) and self.observer is not None:
            self._handlers.call(self.observer, message, "observations")

    async def _notified(self, notify: Notify, payload: bytes) -> None:
        answered = self._asks.answer(notify)
        if answered and notify.to != ALL:
            return
        found = self._handlers.matching(notify)
        for handled in found:
            assert handled.handler is not None
            name = handled.notification
            self._handlers.call(handled.handler, Notification(notify), name, handled)
        if not found and notify.to != ALL:  # NFY-B1
            await self._send(payload)

    def _undelivered(self, error: UnicastError) -> None:
        handler = self.on_unicast_error
        if handler is not None:
            self._handlers.call(handler, Notification(error), "unicast errors")
            return
        client_logger.info("nobody got %s to %s", shown(error.notification), shown(error.to))
