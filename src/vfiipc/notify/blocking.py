"""The client for threads: the same API as the asyncio client, with callbacks in threads.

The connection is served by a loop in a thread of its own. Rules: ``spec/notify.md``, section 10.
"""

from __future__ import annotations

import asyncio
import ssl as tls
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from ..exchange import ConnectionClosed, timeout_of
from .callbacks import InThread
from .client import Client as AsyncClient
from .connect import DEFAULT_ADDRESS, MAX_HANDLERS
from .connect import connect as connect_async
from .handlers import Handler
from .loop_thread import LoopThread
from .messages import MAX_PAYLOAD, Observation
from .notification import Notification

__all__ = ["Client", "connect"]


def connect(
    address: str = DEFAULT_ADDRESS,
    *,
    app_id: str,
    reconnect: bool = True,
    timeout: float | None = None,
    drain: float = 1.0,
    ssl: tls.SSLContext | None = None,
    server_hostname: str | None = None,
    max_payload: int = MAX_PAYLOAD,
    max_handlers: int = MAX_HANDLERS,
) -> Client:
    """Connects to a notification server.

    Args:
        address: ``tcp://host:port``, ``tls://host:port`` or ``pipe:///path``.
        app_id: the application ID, for which this client registers and from which it sends.
        reconnect: whether to reconnect and register everything again after a loss.
        timeout: seconds for connecting; None leaves it to the system.
        drain: seconds that ``close`` waits for notifications still in transit; 0 or more, finite.
        ssl: the context for ``tls://``; by default ``ssl.create_default_context()``.
        server_hostname: the name that the certificate must match, if not that of the address.
        max_payload: maximum payload that the server accepts, in bytes, 1 or more.
        max_handlers: number of running callbacks at which reading stops, 1 or more.

    Raises:
        TypeError, ValueError: an argument is invalid.
        OSError: no connection; ``TimeoutError`` if not in time. The text names the address.
    """
    connecting = connect_async(
        address,
        app_id=app_id,
        reconnect=reconnect,
        timeout=timeout,
        drain=drain,
        ssl=ssl,
        server_hostname=server_hostname,
        max_payload=max_payload,
        max_handlers=max_handlers,
    )
    loop = LoopThread()
    try:
        return Client(loop.run(_awaited(connecting)), loop)
    except BaseException:
        loop.stop()
        raise


async def _awaited(connecting: Any) -> AsyncClient:
    made: AsyncClient = await connecting
    return made


class Client:
    """A client of a notification server, as made by ``connect``.

    Any number of threads may use it at once. Do not call it from a signal handler: if the handler
    interrupts another call of the client, both may wait forever. Let the handler set a
    ``threading.Event``, and act on that.
    """

    def __init__(self, client: AsyncClient, loop: LoopThread) -> None:
        self._client = client
        self._loop = loop
        self._closing = threading.Lock()

    def __repr__(self) -> str:
        return repr(self._client)

    @property
    def app_id(self) -> str:
        """The application ID."""
        return self._client.app_id

    @property
    def address(self) -> str:
        """The address of the server."""
        return self._client.address

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._client.connected.is_set()

    def wait_connected(self, timeout: float | None = None) -> bool:
        """Waits for a connection; returns whether there is one after ``timeout`` seconds."""
        timeout = timeout_of(timeout)
        return self.connected or self._loop.run(_within(timeout, self._client.connected))

    # --- registering

    def register(
        self,
        notification: str,
        callback: Handler | None,
        *,
        priority: int = 0,
        to: str | None = None,
    ) -> None:
        """Registers a callback for notifications; each call runs in a thread of its own.

        Args:
            notification: the notification ID, 1 to 255 bytes of UTF-8.
            callback: gets a ``Notification``; several calls may run at once. None withdraws.
            priority: a unicast goes to the highest one; ``-2**31..2**31-1``.
            to: the application that receives; this client's own by default.

        Raises:
            TypeError, ValueError: an argument is invalid.
            RuntimeError: withdrawn from inside its callback.
            ConnectionClosed: the client is closed.
        """
        handler = callback
        if callable(callback):
            handler = InThread(callback)
        self._loop.run(self._client.register(notification, handler, priority=priority, to=to))

    def unregister(self, notification: str, *, to: str | None = None) -> None:
        """Withdraws registrations; returns when no callback of theirs is running (NFY-C3).

        Args:
            notification: the notification ID.
            to: the receiver; None for all that this client has registered for the ID.

        Raises:
            TypeError, ValueError: an argument is invalid.
            RuntimeError: called from inside such a callback.
        """
        self._loop.run(self._client.unregister(notification, to=to))

    def notifications(
        self, notification: str, *, priority: int = 0, to: str | None = None
    ) -> Generator[Notification, None, None]:
        """Iterates over notifications; registers for them and withdraws at the end.

        The iteration ends when the client is closed. Leaving it withdraws the registration, and
        sends back the unicasts that were not taken; with ``contextlib.closing`` at once.

        Args:
            notification: the notification ID.
            priority: as for ``register``.
            to: as for ``register``.

        Raises:
            TypeError, ValueError: an argument is invalid.
            OSError: the connection is lost, and not restored.
        """
        arriving = self._client.notifications(notification, priority=priority, to=to)
        try:
            while (given := self._loop.run(_next(arriving))) is not None:
                yield given
        except ConnectionClosed:
            if not self._loop.stopped:
                raise
        finally:
            with suppress(ConnectionClosed):  # closed meanwhile, which withdraws everything
                self._loop.run(arriving.aclose())

    # --- sending

    def send(
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
        self._loop.run(self._client.send(to, notification, parameter, flags=flags, sender=sender))

    def ask(
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
        return self._loop.run(
            self._client.ask(
                to,
                notification,
                parameter,
                reply=reply,
                timeout=timeout,
                flags=flags,
                sender=sender,
            )
        )

    def sync(self, timeout: float | None = None) -> None:
        """Returns when the server has processed everything that was sent before (NFY-C1).

        Raises:
            TimeoutError: no answer within ``timeout`` seconds; None sets no limit.
            ConnectionClosed, OSError: there is no connection, or it was lost.
        """
        self._loop.run(self._client.sync(timeout))

    def on_unicast_error(self, callback: Handler | None) -> None:
        """Sets the callback for notifications that were not delivered; None removes it (NFY-C6)."""
        self._client.on_unicast_error(InThread(callback) if callable(callback) else callback)

    def observe(self, callback: Callable[[Observation], object] | None) -> None:
        """Sets the callback for observations; None ends observing. Local clients only.

        Raises:
            ConnectionClosed, OSError: there is no connection.
        """
        handler = InThread(callback) if callable(callback) else callback
        self._loop.run(self._client.observe(handler))

    # --- the end

    def close(self) -> None:
        """Unregisters, waits ``drain`` seconds, sends back what still arrives, closes (NFY-C8).

        Callbacks that are running then go on. May be called again.
        """
        if self._loop.is_forked:
            return  # the parent process closes it
        with self._closing:
            if not self._loop.stopped:
                self._loop.run(self._client.close())
                self._loop.stop()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _within(timeout: float | None, event: asyncio.Event) -> bool:
    try:
        return await asyncio.wait_for(event.wait(), timeout)
    except asyncio.TimeoutError:
        return False


async def _next(arriving: Any) -> Notification | None:
    given: Notification | None = await anext(arriving, None)
    return given
