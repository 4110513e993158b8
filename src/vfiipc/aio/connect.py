"""Connecting: ``conn = await connect(...)`` or ``async with connect(...) as conn``."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl as tls
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Final

from ..exchange import (
    MAX_UNCLAIMED,
    MAX_UNCLAIMED_SIZE,
    REQUEST_IDS,
    Address,
    check_timeout,
    parse,
)
from .connection import Connection
from .outgoing import MAX_UNSENT
from .protocol import MessageProtocol
from .settings import CLOSE_TIMEOUT, Settings

__all__ = ["Connecting", "connect"]

#: Seconds until the next address of a host is tried beside the one before (RFC 8305).
_NEXT_ADDRESS: Final = 0.25


def connect(
    address: str,
    *,
    prefix: int,
    size_limit: int,
    timeout: float | None = None,
    ssl: tls.SSLContext | None = None,
    server_hostname: str | None = None,
    strict: bool = False,
    request_ids: range = REQUEST_IDS,
    max_unclaimed: int = MAX_UNCLAIMED,
    max_unclaimed_size: int = MAX_UNCLAIMED_SIZE,
    max_unsent: int = MAX_UNSENT,
    close_timeout: float = CLOSE_TIMEOUT,
) -> Connecting:
    """Connects, when the result is awaited or entered with ``async with``.

    Args:
        address: ``tcp://host:port``, ``tls://host:port``, ``pipe:///path``, or ``host:port``.
        prefix: the synchronisation mark of both ends, 0..2**32-1.
        size_limit: the most bytes of data that a message received may have, 0..2**31-5.
        timeout: seconds for connecting, with the handshake of TLS; None: as long as it takes.
        ssl: for ``tls://``: how to prove who is who; by default ``ssl.create_default_context()``.
        server_hostname: the name that the certificate must have, if not the host of the address.
        strict: end the connection where something else than a message arrives.
        request_ids: the message IDs that ``request`` uses, ascending.
        max_unclaimed: messages that may wait to be received before reading stops, 1 or more.
        max_unclaimed_size: bytes of data in them before reading stops, 1 or more.
        max_unsent: bytes that may wait to be sent before ``send`` waits.
        close_timeout: seconds that closing may take, before what has not been sent is dropped.

    Raises:
        TypeError, ValueError: an argument is wrong; at once. All that follows, when awaited:
        TimeoutError: no connection in time.
        ssl.SSLError, OSError: no connection.

    Rules: ``spec/connections.md``.
    """
    target = parse(address)
    settings = Settings(
        prefix=prefix,
        size_limit=size_limit,
        strict=strict,
        request_ids=request_ids,
        max_unclaimed=max_unclaimed,
        max_unclaimed_size=max_unclaimed_size,
        max_unsent=max_unsent,
        close_timeout=close_timeout,
    )
    check_timeout(timeout)
    if ssl is None and target.scheme == "tls":
        ssl = tls.create_default_context()
    elif ssl is not None and target.scheme != "tls":
        raise ValueError(f"ssl= is for tls://HOST:PORT, but the address is {address!r}")
    return Connecting(target, settings, timeout, ssl, server_hostname)


class Connecting:
    """A connection that is about to be made; await it, or enter it with ``async with``. Once."""

    def __init__(
        self,
        target: Address,
        settings: Settings,
        timeout: float | None,
        context: tls.SSLContext | None,
        server_hostname: str | None,
    ) -> None:
        self._target = target
        self._settings = settings
        self._timeout = timeout
        self._context = context
        self._server_hostname = server_hostname
        self._connection: Connection | None = None

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._connect().__await__()

    async def __aenter__(self) -> Connection:
        self._connection = await self._connect()
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._connection is not None
        await self._connection.__aexit__(kind, value, trace)

    async def _connect(self) -> Connection:
        made = await within(self._timeout, self._create(), f"not connected to {self._target}")
        return Connection(made)

    async def _create(self) -> MessageProtocol:
        loop = asyncio.get_running_loop()
        factory = self._settings.protocol
        target = self._target
        if target.scheme == "pipe":
            _, made = await loop.create_unix_connection(factory, target.path)
            return made
        extra: dict[str, Any] = {}
        if self._context is not None:
            extra = {"ssl": self._context, "server_hostname": self._server_hostname or target.host}
        if isinstance(loop, asyncio.BaseEventLoop) and not _is_literal(target.host):
            extra["happy_eyeballs_delay"] = _NEXT_ADDRESS  # other loops need not know it
        _, made = await loop.create_connection(factory, target.host, target.port, **extra)
        return made


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def within(
    timeout: float | None, making: Coroutine[Any, Any, MessageProtocol], what: str
) -> MessageProtocol:
    """Makes a connection in so many seconds; one that comes too late is closed, not lost.

    Raises:
        TimeoutError: too late; ``what`` says what has not been done.
    """
    task = asyncio.ensure_future(making)
    try:
        await asyncio.wait([task], timeout=timeout)
    except BaseException:
        _throw_away(task)
        raise
    if task.done():
        return task.result()
    _throw_away(task)
    raise TimeoutError(f"{what} within {timeout:g} s")


def _throw_away(task: asyncio.Future[MessageProtocol]) -> None:
    def close(done: asyncio.Future[MessageProtocol]) -> None:
        if not done.cancelled() and done.exception() is None:
            done.result().abort()

    task.cancel()
    task.add_done_callback(close)
